"""Projects: templates, members and everything of one site on one page."""
