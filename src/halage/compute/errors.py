"""What can go wrong when units are started and watched."""

from halage.base.errors import HalageError, NotFound, Unavailable


class StartFailed(HalageError):
    """The process could not be started."""


class NoSuchUnit(NotFound):
    """There is no such unit."""


class AccountsExhausted(Unavailable):
    """Every numeric account was handed out: raise the range of user ids in the settings."""
