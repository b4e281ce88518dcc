"""Lines, and the contract of those who hand them in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Group:
    """Lines that belong together: they are searched together and kept equally long.

    `name` is `PROJECT.ENVIRONMENT/instances`, `PROJECT.ENVIRONMENT/access`, `PROJECT/builds` or
    `halage`. `project` is None for what belongs to the server: administrators alone may read it.
    """

    name: str
    project: str | None
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was written, without its line break. Bytes: what cannot be decoded is kept."""

    at: float
    """When it was written, or read where the writer gives no time (seconds, epoch)."""
    text: bytes


class LogSink(Protocol):
    """Takes lines in."""

    def append(self, group: Group, stream: str, lines: Sequence[Line]) -> None:
        """Keep lines, in the order of their time. Never blocks and never raises: when the disk is

        full or too much comes at once, lines are dropped, and a mark in the stream says how many.
        """
        ...
