"""What can go wrong with logs."""

from halage.base.errors import Conflict, HalageError, Invalid, NotFound


class BadSearch(Invalid):
    """What is searched for cannot be read."""


class BadLogFilter(Invalid):
    """A filter's metric cannot have that name."""


class NoSuchLogFilter(NotFound):
    """There is no such filter."""


class BadOutlet(Invalid):
    """Logs cannot be sent to that address."""


class NoSuchOutlet(NotFound):
    """There is no such outlet."""


class NameTaken(Conflict):
    """There is one of that name already."""


class BrokenBlock(HalageError):
    """A block of lines cannot be read."""


class NotDelivered(HalageError):
    """An outlet did not take lines."""
