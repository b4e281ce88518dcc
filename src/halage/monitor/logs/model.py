"""Lines, what they are searched for, and the contracts of those who hand them in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from halage.monitor.inventory import place_names

OWN_GROUP = "halage"
"""The group of Halage's own log."""
_NAME = re.compile(
    r"(?P<project>[a-z][a-z0-9-]{0,62})"
    r"(?:/builds|\.(?P<environment>[a-z][a-z0-9-]{0,62})/(?:instances|access))"
)


@dataclass(frozen=True, slots=True)
class Group:
    """Lines that belong together: they are searched together and kept equally long.

    `name` is `PROJECT.ENVIRONMENT/instances`, `PROJECT.ENVIRONMENT/access`, `PROJECT/builds` or
    `halage`. `project` is None for what belongs to the server: administrators alone may read it.
    """

    name: str
    project: str | None
    environment: str | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """The names of its project and environment, as far as it has them."""
        return place_names(self.project, self.environment)

    @classmethod
    def named(cls, name: str) -> "Group":
        """The group of that name. Raises ValueError for what is no group's name."""
        if name == OWN_GROUP:
            return cls(name, None)
        if (match := _NAME.fullmatch(name)) is None:
            raise ValueError(f"{name!r} is no group of logs")
        return cls(name, match["project"], match["environment"])


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


class NumberedSink(Protocol):
    """Takes lines in from a source that may tell them again from its beginning."""

    def append_numbered(
        self, group: Group, stream: str, source: str, first: int, lines: Sequence[Line]
    ) -> None:
        """Keep lines with the numbers `first` and on of `source`; those that are kept already are

        left out, however often they are told. Otherwise as LogSink.append.
        """
        ...


class PlacedSink(LogSink, Protocol):
    """Takes lines in from a file that may be read again from an earlier place."""

    def append_placed(
        self, group: Group, stream: str, source: str, places: Sequence[int], lines: Sequence[Line]
    ) -> None:
        """Keep lines that end at these places of `source`, which grow; those of the stream that are kept

        already are left out. Otherwise as LogSink.append.
        """
        ...

    def note_place(self, source: str, place: int) -> None:
        """Hear that all lines of `source` before that place were handed over."""
        ...

    async def place_of(self, source: str) -> int | None:
        """Before which place every line of `source` is on the disk, 0 when none is known to be.

        None when that cannot be found out now.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeptLine:
    """A line in the store."""

    id: int
    """Grows with each line that is taken in, over all groups: what a page or a stream goes on from."""
    at: float
    group: str
    stream: str
    text: bytes
    is_gap: bool = False
    """It stands for lines that cannot be read any more, and says so."""

    @property
    def words(self) -> str:
        """The text; what is no UTF-8 is shown with replacement characters."""
        return self.text.decode(errors="replace")


class Comparison(StrEnum):
    """How a field of a JSON line is compared."""

    EQUALS = "="
    CONTAINS = "~"


@dataclass(frozen=True, slots=True)
class FieldTest:
    """A field of a JSON line, `a.b` for a nested one, and what it must be."""

    name: str
    comparison: Comparison
    value: str

    @classmethod
    def parse(cls, text: str) -> "FieldTest":
        """Read `NAME=VALUE` (is equal) or `NAME~VALUE` (contains). Raises ValueError."""
        match = re.fullmatch(r"([^=~]+)([=~])(.*)", text, re.DOTALL)
        if match is None:
            raise ValueError(f"{text!r} is not NAME=VALUE or NAME~VALUE")
        return cls(match[1], Comparison(match[2]), match[3])

    def __str__(self) -> str:
        return f"{self.name}{self.comparison}{self.value}"


@dataclass(frozen=True, slots=True)
class Search:
    """Which lines are wanted: all that meet every condition. Without any, all."""

    text: str = ""
    not_text: str = ""
    ignores_case: bool = False
    fields: tuple[FieldTest, ...] = ()
    stream: str | None = None
    start: float | None = None
    """Only lines of that moment and later (seconds, epoch)."""
    end: float | None = None
    """Only lines before that moment."""


@dataclass(frozen=True, slots=True)
class Page:
    """Lines that were found, newest first in the order in which they came in."""

    lines: tuple[KeptLine, ...]
    next_before: int | None
    """Search again with lines before this id for what is older; None when there is nothing more."""
    is_cut_off: bool
    """The time that a search may take was over before everything was looked at."""
    problems: tuple[str, ...] = ()
    """What could not be read, in words."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many lines there are: bucket i covers [start + i * period_s, + period_s)."""

    start: float
    period_s: float
    counts: tuple[int, ...]
    is_cut_off: bool
    """The time was over: older lines are not counted."""
    counted_from: float | None
    """With `is_cut_off`: what came in after that moment was counted; else None."""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """A group and what is kept of it."""

    name: str
    project: str | None
    environment: str | None
    lines: int
    size_bytes: int
    """As it was written, before compression."""
    first_at: float
    last_at: float
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogFilter:
    """A search whose hits are counted in a metric, from its making on."""

    id: int
    project: str
    environment: str | None
    metric: str
    group: str
    search: Search
    created_at: float
    created_by: str


class OutletState(StrEnum):
    """How an outlet does."""

    OK = "ok"
    FAILING = "failing"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Outlet:
    """A place outside that lines are sent on to as they come."""

    id: int
    name: str
    address: str
    groups: tuple[str, ...]
    """Names of groups; `*` stands for any characters."""
    header_names: tuple[str, ...]
    """The headers that are sent along; their values are sealed and never shown."""
    state: OutletState
    error: str
    behind: int
    """How many lines wait to be sent."""
    created_at: float
    created_by: str
