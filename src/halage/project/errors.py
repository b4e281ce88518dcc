"""What can go wrong with projects."""

from halage.base.errors import Conflict, NotFound


class NoSuchProject(NotFound):
    """There is no such project."""


class ProjectExists(Conflict):
    """There is a project of that name already."""
