"""What can go wrong between a client and the server."""

from typing import Any

from halage.base.errors import HalageError, Unavailable


class ProblemError(HalageError):
    """The server refused. Facts: status, title, and what its problem document says besides."""

    status: int

    def __init__(self, status: int, title: str, detail: str, **facts: Any) -> None:
        self.title = title
        super().__init__(detail or title, status=status, **facts)


class ServerUnreachable(Unavailable):
    """The server cannot be reached."""


class NotAHalageServer(HalageError):
    """Something answers at this address, but not as Halage does."""
