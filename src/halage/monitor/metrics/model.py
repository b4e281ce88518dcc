"""Series and their samples; what is read back; the contracts of those who write and read them."""

import fnmatch
import functools
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from halage.monitor.metrics.sketch import Sketch

TICK_S = 10
"""The usual resolution of samples (seconds)."""
DETAILED_TICK_S = 1
"""The resolution of environments with detailed monitoring."""

SILENT_S = 86400
"""A series that nothing was heard of for that long is asked no more, until it is heard of again (seconds)."""

Cursor = tuple[str, int]
"""The name of something that is read piece by piece, and how far it was read."""

OWN_PREFIXES = ("instance_", "environment_", "machine_", "halage_")
"""Names that Halage gives itself; a site's own metrics may not begin so."""


class Kind(StrEnum):
    """What a sample says of its tick."""

    GAUGE = "gauge"
    """A level: CPU in per cent, bytes in use. A second sample of a tick replaces the first."""
    COUNT = "count"
    """How often something happened during the tick. A second sample of a tick adds to the first."""
    DISTRIBUTION = "distribution"
    """A sketch of values seen during the tick. A second sample of a tick is merged with the first."""


class SeriesKey(NamedTuple):
    """A metric's name and its dimensions, sorted by name: what tells one series from all others.

    A tuple, because thousands are looked up every second and its hash is the interpreter's own.
    """

    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, name: str, **dimensions: str) -> "SeriesKey":
        """The key of these dimensions."""
        return cls(name, tuple(sorted(dimensions.items())))

    def get(self, dimension: str) -> str | None:
        """The value of a dimension, None where it has none of that name."""
        return next((value for name, value in self.dimensions if name == dimension), None)

    def __str__(self) -> str:
        """As people write it: `instance_cpu_percent{project="shop"}`."""
        inner = ",".join(f'{name}="{value}"' for name, value in self.dimensions)
        return f"{self.name}{{{inner}}}" if inner else self.name


@dataclass(frozen=True, slots=True)
class Sample:
    """What one series says of one tick. A DISTRIBUTION has a Sketch for a value, the others a number."""

    key: SeriesKey
    kind: Kind
    value: float | Sketch


@dataclass(frozen=True, slots=True)
class Series:
    """A series that the store knows."""

    id: int
    key: SeriesKey
    kind: Kind
    resolution_s: int
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class Selector:
    """Which series are meant: a name and dimensions, each with `*` and `?` for what is left open.

    A series matches when its name does and each dimension named here does; it may have others.
    """

    name: str
    dimensions: Mapping[str, str] = field(default_factory=dict)

    def matches(self, key: SeriesKey) -> bool:
        """Whether the series is one of those."""
        if not _is_like(key.name, self.name):
            return False
        own = dict(key.dimensions)
        return all(name in own and _is_like(own[name], want) for name, want in self.dimensions.items())


def _is_like(text: str, pattern: str) -> bool:
    if "*" not in pattern and "?" not in pattern:
        return text == pattern
    return _compiled(pattern).match(text) is not None


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


@dataclass(slots=True)
class Buckets:
    """Aggregates of a series by period: bucket i covers [start + i * period_s, + period_s).

    A bucket with a count of 0 has no data; its total, minimum and maximum mean nothing.
    `sketches` is None when percentiles were not asked for.
    """

    start: int
    period_s: int
    count: "array[float]"
    total: "array[float]"
    minimum: "array[float]"
    maximum: "array[float]"
    sketches: list[Sketch | None] | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """What a read gave: by series id, and what could not be read, in words (a corrupt chunk, named)."""

    buckets: Mapping[int, Buckets]
    period_s: int
    """The period of the answer: longer than the one asked for where only coarser data is kept."""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What the store takes in at most."""

    series: int = 20000
    """Series that had a sample within the last day. Ten times as many may be kept in all."""
    reserve_bytes: int = 64 * 1024 * 1024
    """Space that is left free on the disk for others: with less than that, nothing is taken in."""


class MetricReader(Protocol):
    """Reads what is kept. Synchronous, safe from any thread."""

    @property
    def version(self) -> int:
        """Another number once `find` may answer with other series than before.

        That is: when a series is new or forgotten, and when one is heard of again after SILENT_S.
        """
        ...

    def find(self, selector: Selector) -> Sequence[Series]:
        """Series that match, by name and dimensions."""
        ...

    def read(
        self,
        series: Iterable[Series],
        start: float,
        end: float,
        period_s: int,
        *,
        with_sketches: bool = False,
    ) -> Read:
        """Aggregates of [start, end), both widened to whole periods."""
        ...


class MetricWriter(Protocol):
    """Takes samples in. Synchronous, safe from any thread."""

    def write(self, at: float, resolution_s: int, samples: Sequence[Sample]) -> None:
        """Keep the samples of the tick that begins at `at` (rounded down to the resolution).

        Once it returns they outlive a kill -9. A tick may be written in several parts, late and out
        of order by an hour at most. Raises TooOld, MetricsFull, TooManySeries (which keeps the others).
        """
        ...


class MetricKeeper(MetricWriter, Protocol):
    """A MetricWriter that keeps cursors in the same transaction as the samples."""

    def write(
        self, at: float, resolution_s: int, samples: Sequence[Sample], *, cursor: Cursor | None = None
    ) -> None:
        """Keep samples and cursor, both or neither; see MetricWriter. TooOld, MetricsFull: neither."""
        ...

    def cursor(self, name: str) -> int | None:
        """The cursor of that name as it was last kept."""
        ...

    def compact(self, now: float, most: int | None = None) -> bool:
        """Do what is due, `most` hours of series at most (2 ms each); True when there is more to do."""
        ...
