"""A site's own metrics come in: put by people's scripts, sent over StatsD, scraped from instances."""
