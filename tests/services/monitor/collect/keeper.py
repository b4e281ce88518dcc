"""A store of metrics in memory, which outlives the collectors that write to it, and what they watch."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from halage.base.clock import Clock as AnyClock
from halage.compute.model import STANDARD_TYPES
from halage.monitor.collect.model import Tick
from halage.monitor.inventory import WatchedEnvironment, WatchedInstance, Workload
from halage.monitor.logs.model import Group, Line
from halage.monitor.metrics.errors import MetricsFull, TooOld
from halage.monitor.metrics.model import Cursor, Kind, Sample, SeriesKey
from halage.monitor.metrics.sketch import Sketch
from tests.clock import ManualClock

HOUR_S = 3600


class Clock(ManualClock):
    """A clock that knows how many sleep on it."""

    def __init__(self, now: float = 1_000_000_003.0) -> None:
        super().__init__(now)
        self.asleep = 0

    async def sleep(self, seconds: float) -> None:
        self.asleep += 1
        try:
            await super().sleep(seconds)
        finally:
            self.asleep -= 1

    async def pass_by(self, seconds: int, sleepers: int = 1) -> None:
        """Let seconds pass, and after each let that many come to rest again."""
        for _ in range(seconds):
            await self.advance(1.0)
            async with asyncio.timeout(10):
                while self.asleep < sleepers:  # noqa: ASYNC110 - they work in threads as well
                    await asyncio.sleep(0.001)


class MemoryKeeper:
    """A MetricKeeper that keeps to the rules of one: late samples are refused, counts are added."""

    def __init__(self, clock: AnyClock) -> None:
        self._clock = clock
        self.is_full = False
        self.error: Exception | None = None
        self.writes: list[tuple[float, int]] = []
        """Every write that was kept: tick and resolution."""
        self.counts: Counter[tuple[float, int, SeriesKey]] = Counter()
        self.gauges: dict[tuple[float, int, SeriesKey], float] = {}
        self.sketches: dict[tuple[float, int, SeriesKey], Sketch] = {}
        self.cursors: dict[str, int] = {}
        self.compactions: list[float] = []
        self.pieces = 0
        """Of compaction that are left to do."""

    def write(
        self, at: float, resolution_s: int, samples: Sequence[Sample], *, cursor: Cursor | None = None
    ) -> None:
        if self.is_full:
            raise MetricsFull
        if self.error is not None:
            raise self.error
        if self._clock.now() - at > HOUR_S:
            raise TooOld
        assert at % resolution_s == 0
        self.writes.append((at, resolution_s))
        for sample in samples:
            place = (at, resolution_s, sample.key)
            if isinstance(sample.value, Sketch):
                self.sketches.setdefault(place, Sketch()).merge(sample.value)
            elif sample.kind is Kind.COUNT:
                self.counts[place] += sample.value  # type: ignore[assignment]  # a count may be half
            else:
                self.gauges[place] = sample.value
        if cursor is not None:
            self.cursors[cursor[0]] = cursor[1]

    def cursor(self, name: str) -> int | None:
        return self.cursors.get(name)

    def compact(self, now: float, most: int | None = None) -> bool:
        self.compactions.append(now)
        self.pieces -= 1
        return self.pieces > 0

    def sum(self, name: str, resolution_s: int = 10, **dimensions: str) -> dict[int, float]:
        """A count by tick, added up over series."""
        found: Counter[int] = Counter()
        for (at, resolution, key), value in self.counts.items():
            if (key.name, resolution) == (name, resolution_s) and _fits(key, dimensions):
                found[int(at)] += value
        return dict(found)

    def level(self, name: str, resolution_s: int = 10, **dimensions: str) -> dict[int, float]:
        """A gauge by tick."""
        return {
            int(at): value
            for (at, resolution, key), value in self.gauges.items()
            if (key.name, resolution) == (name, resolution_s) and _fits(key, dimensions)
        }


def _fits(key: SeriesKey, dimensions: dict[str, str]) -> bool:
    return all(key.get(name) == value for name, value in dimensions.items())


@dataclass
class MemorySink:
    """A PlacedSink that keeps lines by group and stream."""

    lines: dict[tuple[str, str], list[Line]] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def append(self, group: Group, stream: str, lines: Sequence[Line]) -> None:
        self.lines.setdefault((group.name, stream), []).extend(lines)

    def append_placed(
        self, group: Group, stream: str, source: str, places: Sequence[int], lines: Sequence[Line]
    ) -> None:
        known = self.places.get(f"{source} {group.name} {stream}", 0)
        new = [line for line, place in zip(lines, places, strict=True) if place > known]
        self.append(group, stream, new)
        self.note_place(f"{source} {group.name} {stream}", places[-1])

    def note_place(self, source: str, place: int) -> None:
        self.places[source] = max(place, self.places.get(source, 0))

    async def place_of(self, source: str) -> int | None:
        return self.places.get(source, 0)

    def texts(self, group: str, stream: str) -> list[bytes]:
        return [line.text for line in self.lines.get((group, stream), [])]


@dataclass
class MemoryInventory:
    """What the test says that there is."""

    found: list[WatchedEnvironment] = field(default_factory=list)
    error: Exception | None = None
    work: Workload = field(default_factory=lambda: Workload(1, 2, 3, 4))

    async def environments(self) -> Sequence[WatchedEnvironment]:
        if self.error is not None:
            raise self.error
        return list(self.found)

    async def workload(self) -> Workload:
        return self.work


@dataclass
class Ears:
    """A TickConsumer that writes down what it was told."""

    told: list[tuple[float, int]] = field(default_factory=list)

    def on_tick(self, at: float, resolution_s: int) -> None:
        self.told.append((at, resolution_s))


@dataclass
class Scripted:
    """A source that does as it is told."""

    name: str = "scripted"
    samples: list[Sample] = field(default_factory=list)
    error: Exception | None = None
    ticks: list[Tick] = field(default_factory=list)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answers.set()

    async def collect(self, tick: Tick) -> Sequence[Sample]:
        self.ticks.append(tick)
        await self.answers.wait()
        if self.error is not None:
            raise self.error
        return self.samples


def instance(project: str = "shop", environment: str = "prod", number: int = 1) -> WatchedInstance:
    name = f"i-{project}-{number}"
    return WatchedInstance(
        project, environment, name, f"{name}.1", STANDARD_TYPES["small"], "127.0.0.1", 1000 + number, True, 0
    )


def environment(
    project: str = "shop",
    *instances: WatchedInstance,
    is_detailed: bool = False,
    domains: tuple[str, ...] = (),
) -> WatchedEnvironment:
    return WatchedEnvironment(
        project, "prod", 2, instances, (), is_detailed, None, domains, is_deploying=False
    )


def restarted(one: WatchedInstance, times: int) -> WatchedInstance:
    return replace(one, restarts=times, unit_id=f"{one.id}.{times + 1}")
