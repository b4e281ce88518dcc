"""What can go wrong with runs."""

from halage.base.errors import Conflict, NotFound


class NoSuchRun(NotFound):
    """There is no such run."""


class NoSuchStage(NotFound):
    """This run has no such stage."""


class RunEnded(Conflict):
    """This run has ended already."""


class NotWaiting(Conflict):
    """This run does not wait for an approval."""


class CannotRetry(Conflict):
    """This run cannot be retried now."""
