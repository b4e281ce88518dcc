"""What can go wrong with alarms."""

from halage.base.errors import Conflict, HalageError, Invalid, NotFound


class BadAlarm(Invalid):
    """The definition of an alarm cannot be used. Fact: errors (location, found, allowed)."""


class NoSuchAlarm(NotFound):
    """There is no such alarm."""


class AlarmConflict(Conflict):
    """The name is taken, or another alarm's rule names this one."""


class TooManyAlarms(Conflict):
    """The limit on the number of alarms is reached."""


class NotDelivered(HalageError):
    """What an alarm does could not be done. The message holds no secret."""


class NotNeeded(HalageError):
    """What an alarm does need not be done any more: the message says why."""
