"""The root error and the five categories that the doors (API, console, git, CLI) know how to answer."""

import os
from typing import Any


class HalageError(Exception):
    """Something went wrong in Halage."""

    def __init__(self, message: str | None = None, **facts: Any) -> None:
        """Take the message (by default the class's docstring) and facts, kept as attributes.

        A message says what happened, to which thing, and what to do now. Facts are shown to
        users as well: never put a secret in one.
        """
        self.message = message or " ".join((type(self).__doc__ or "").split())
        self.facts = facts
        super().__init__(self.message)
        for name, value in facts.items():
            setattr(self, name, value)


class Invalid(HalageError):
    """The input cannot be used as it is."""


class NotFound(HalageError):
    """There is no such thing, or you may not see it."""


class Conflict(HalageError):
    """The thing is in a state that does not allow this now."""


class NotAllowed(HalageError):
    """You are not allowed to do this."""


class Unavailable(HalageError):
    """Halage cannot do this at the moment; try again."""


def cause_in_words(error: BaseException) -> str:
    """What the kernel said, where it said something; HTTP clients alone say that "all attempts failed"."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return os.strerror(cause.errno).lower()
        cause = cause.__cause__ or cause.__context__
    return str(error).rstrip(".") or type(error).__name__
