"""What can go wrong with jobs."""

from halage.base.errors import Conflict, NotFound


class NoSuchJob(NotFound):
    """There is no such job."""


class JobEnded(Conflict):
    """This job has ended already."""
