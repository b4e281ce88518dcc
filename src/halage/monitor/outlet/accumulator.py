"""What stands at this moment: counters since Halage started, the latest levels, histograms.

It stands in front of the store and sees every sample that goes there. Bounded: a sketch is kept as
a histogram of coarse bounds, a series without samples for an hour is forgotten.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from halage.base.clock import Clock
from halage.monitor.inventory import place_name
from halage.monitor.metrics.errors import TooOld
from halage.monitor.metrics.forgotten import Forgotten, places_of
from halage.monitor.metrics.model import Cursor, Kind, MetricKeeper, Sample, SeriesKey
from halage.monitor.metrics.sketch import GAMMA, Sketch

STALE_TICKS = 3
"""A level that was not sampled for so many ticks is not shown."""
FORGET_S = 3600.0
STEP = 17
"""Bins of a sketch for each bound, so counts are exact. Each bound is 1.405 times the one before."""
BOUNDS_AT_ONCE = 4
"""Bounds come and go in groups, so that new ones are rare."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Values since Halage started. `cumulative[i]` of them are `bounds[i]` at most."""

    bounds: tuple[float, ...]
    cumulative: tuple[int, ...]
    count: int
    total: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What a series says now: a level, a count since Halage started, or a histogram."""

    key: SeriesKey
    kind: Kind
    value: float | Histogram


class _Entry:
    __slots__ = ("at", "below", "bins", "count", "kind", "resolution_s", "total")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.at = 0.0
        self.resolution_s = 0
        self.total = 0.0
        """The level, the count, or the sum of the values."""
        self.count = 0
        self.below = 0
        """Values that are not above zero."""
        self.bins: dict[int, int] = {}


class Accumulator:
    """A MetricKeeper that passes everything on to the store. Safe from any thread."""

    def __init__(self, store: MetricKeeper, clock: Clock, *, limit: int) -> None:
        """`limit`: of series that are kept in mind; what comes past it is stored, but not shown here."""
        self._store = store
        self._clock = clock
        self._limit = limit
        self._lock = threading.Lock()
        self._entries: dict[SeriesKey, _Entry] = {}
        self.samples = 0
        """How many came by since the start."""
        self._forgot_at = clock.now()
        self._forgotten = Forgotten()

    def write(
        self, at: float, resolution_s: int, samples: Sequence[Sample], *, cursor: Cursor | None = None
    ) -> None:
        """Store the samples and add them up. Raises what the store raises.

        What a full store refused has happened all the same; only what came too late is left out.
        """
        try:
            self._store.write(at, resolution_s, samples, cursor=cursor)
        except TooOld:
            raise
        except Exception:
            self._take(at, resolution_s, samples)
            raise
        self._take(at, resolution_s, samples)

    def cursor(self, name: str) -> int | None:
        """The cursor of that name as it was last kept."""
        return self._store.cursor(name)

    def compact(self, now: float, most: int | None = None) -> bool:
        """Have the store do a piece of what is due; True when there is more to do."""
        return self._store.compact(now, most)

    def forget_place(self, project: str, environment: str | None = None) -> None:
        """Show nothing of a project or environment that is removed, nor of what still comes of its time."""
        gone = place_name(project, environment)
        with self._lock:
            self._forgotten.note(gone, self._clock.now())
            for key in [key for key in self._entries if gone in places_of(key)]:
                del self._entries[key]

    def level(self, key: SeriesKey) -> float | None:
        """What a level says now; None when it was not sampled lately, or is none."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.kind is not Kind.GAUGE or _is_stale(entry, self._clock.now()):
                return None
            return entry.total

    def standing(self, is_wanted: Callable[[SeriesKey], bool]) -> list[Standing]:
        """What there is now of the wanted series."""
        now = self._clock.now()
        with self._lock:
            return [
                Standing(key, entry.kind, _value_of(entry))
                for key, entry in self._entries.items()
                if not _is_stale(entry, now) and is_wanted(key)
            ]

    def _take(self, at: float, resolution_s: int, samples: Sequence[Sample]) -> None:
        with self._lock:
            self.samples += len(samples)
            for sample in self._forgotten.without(samples, at, self._clock.now()):
                entry = self._entries.get(sample.key)
                if entry is None or entry.kind is not sample.kind:
                    if entry is None and len(self._entries) >= self._limit:
                        continue
                    entry = self._entries[sample.key] = _Entry(sample.kind)
                _add(entry, at, sample)
                if at >= entry.at:
                    entry.at, entry.resolution_s = at, resolution_s
            self._forget()

    def _forget(self) -> None:
        now = self._clock.now()
        if 0 <= now - self._forgot_at < 60:
            return
        self._forgot_at = now
        for key in [key for key, entry in self._entries.items() if now - entry.at > FORGET_S]:
            del self._entries[key]


def _is_stale(entry: _Entry, now: float) -> bool:
    ended_at = entry.at + entry.resolution_s
    return entry.kind is Kind.GAUGE and now >= ended_at + STALE_TICKS * entry.resolution_s


def _add(entry: _Entry, at: float, sample: Sample) -> None:
    value = sample.value
    if isinstance(value, Sketch):
        entry.count += value.count
        entry.total += value.total
        entry.below += value.zeros + sum(value.negative.values())
        for index, count in value.bins.items():
            coarse = -(-index // STEP)
            entry.bins[coarse] = entry.bins.get(coarse, 0) + count
    elif entry.kind is Kind.COUNT:
        entry.total += value
    elif at >= entry.at:
        entry.total = value


def _value_of(entry: _Entry) -> float | Histogram:
    if entry.kind is not Kind.DISTRIBUTION:
        return entry.total
    if not entry.bins:
        return Histogram((), (), entry.count, entry.total)
    lowest = min(entry.bins) // BOUNDS_AT_ONCE * BOUNDS_AT_ONCE
    highest = -(-max(entry.bins) // BOUNDS_AT_ONCE) * BOUNDS_AT_ONCE
    if highest == lowest:
        highest += BOUNDS_AT_ONCE
    seen, cumulative = entry.below, []
    for coarse in range(lowest, highest + 1):
        seen += entry.bins.get(coarse, 0)
        cumulative.append(seen)
    bounds = tuple(GAMMA ** (coarse * STEP) for coarse in range(lowest, highest + 1))
    return Histogram(bounds, tuple(cumulative), entry.count, entry.total)
