"""The collector: at the end of each tick it asks every source and has the answers kept.

A turn a second: the access log is read on, then the ticks that have ended are collected. Ticks are
those of the wall clock, so nothing drifts; one that was missed (the machine slept, the clock jumped)
is not made up for: nobody knows any more how things stood then.
"""

import asyncio
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

import structlog

from halage.base.clock import Clock
from halage.base.tasks import Tasks
from halage.monitor.collect.access_log import AccessLog, Slice
from halage.monitor.collect.model import CollectorState, Source, Tick, TickConsumer, Watcher
from halage.monitor.collect.rules import ended_tick, until_next
from halage.monitor.collect.samples import count, gauge, route_of
from halage.monitor.collect.visits import VisitTally
from halage.monitor.inventory import Inventory, WatchedEnvironment
from halage.monitor.metrics.errors import MetricsFull, TooManySeries, TooOld
from halage.monitor.metrics.model import DETAILED_TICK_S, TICK_S, Cursor, MetricKeeper, Sample

log = structlog.get_logger()

PATIENCE_S = {DETAILED_TICK_S: 0.4, TICK_S: 3.0}
"""How long a tick waits for its sources, by resolution. One that was late once is given the least from
then on, until it answers in time."""
GIVE_UP_AFTER = 30
"""Ticks after which a call that does not come back is cut off, to be begun anew."""
COMPACTED_AT_ONCE = 16
"""Hours of series in one piece of compaction."""
COMPACT_PAUSE_S = 0.05
"""Between two pieces of compaction, so that ticks get their turn."""
_HOUR_S = 3600


class _Kept(Enum):
    YES = "yes"
    TOO_LATE = "too late"
    NO = "no"


@dataclass(slots=True)
class _Asked:
    """A source and how it has answered so far."""

    source: Source
    call: asyncio.Task[Sequence[Sample] | Exception] | None = None
    ticks_waited: int = 0
    misses: int = 0
    new_misses: int = 0

    @property
    def is_busy(self) -> bool:
        """Whether its last call has not come back."""
        return self.call is not None and not self.call.done()


@dataclass(frozen=True, slots=True)
class Sources:
    """Who is asked."""

    of_environments: Sequence[Source]
    """At each resolution, for the environments that are sampled at it."""
    of_machine: Sequence[Source] = ()
    """Every ten seconds."""
    watchers: Sequence[Watcher] = ()
    access_log: AccessLog | None = None


@dataclass(slots=True)
class _Troubles:
    """What is wrong now, each said once in the log when it begins and once when it is over."""

    words: dict[str, str] = field(default_factory=dict)

    def begin(self, subject: str, error: object) -> None:
        if subject not in self.words:
            log.warning("not collected", action="metrics:Collect", subject=subject, reason=str(error))
        self.words[subject] = str(error) or type(error).__name__

    def end(self, subject: str) -> None:
        if self.words.pop(subject, None) is not None:
            log.info("collected again", action="metrics:Collect", subject=subject)


class Collector:
    """Collects for as long as `run` runs."""

    def __init__(
        self,
        sources: Sources,
        inventory: Inventory,
        keeper: MetricKeeper,
        consumer: TickConsumer,
        clock: Clock,
        *,
        patience_s: dict[int, float] = PATIENCE_S,
    ) -> None:
        self._sources = sources
        self._inventory = inventory
        self._keeper = keeper
        self._consumer = consumer
        self._clock = clock
        self._patience_s = patience_s
        self._environment_sources = [_Asked(source) for source in sources.of_environments]
        self._machine_sources = [_Asked(source) for source in sources.of_machine]
        self._environments: Sequence[WatchedEnvironment] = ()
        self._troubles = _Troubles()
        self._ended: dict[int, int] = {}
        self._last_tick_at: float | None = None
        self._is_paused = False
        self._has_paused = False
        self._hour: int | None = None
        self._compaction: asyncio.Task[None] | None = None
        self._writing = ThreadPoolExecutor(1, "metrics")
        self._tasks = Tasks()

    @property
    def state(self) -> CollectorState:
        """How it stands now."""
        access_log = self._sources.access_log
        asked = [*self._environment_sources, *self._machine_sources]
        return CollectorState(
            is_paused=self._is_paused,
            pause_reason=self._troubles.words.get("metrics", "") if self._is_paused else "",
            last_tick_at=self._last_tick_at,
            failures=MappingProxyType({entry.source.name: entry.misses for entry in asked}),
            troubles=MappingProxyType(dict(self._troubles.words)),
            unreadable_lines=access_log.unreadable_lines if access_log else 0,
            lost_bytes=access_log.lost_bytes if access_log else 0,
            late_visits=access_log.late_visits if access_log else 0,
        )

    async def run(self) -> None:
        """Collect until cancelled."""
        try:
            async with self._tasks:
                for watcher in self._sources.watchers:
                    self._tasks.start(watcher.watch(), f"watch for {type(watcher).__name__}")
                await self._begin()
                while True:
                    await self._clock.sleep(until_next(self._clock.now()))
                    await self._turn()
        finally:
            self._writing.shutdown()

    async def _begin(self) -> None:
        """Look once without keeping anything: what is counted from now on has a beginning."""
        now = self._clock.now()
        self._ended = {resolution_s: ended_tick(now, resolution_s) for resolution_s in self._patience_s}
        await self._look_around()
        tick = Tick(self._ended[TICK_S], TICK_S, tuple(self._environments))
        await self._ask_all([*self._environment_sources, *self._machine_sources], tick)

    async def _turn(self) -> None:
        now = self._clock.now()
        await self._look_around()
        await self._read_on()
        # The finer one first: where a restart reads on is what was kept last of the coarser one.
        for resolution_s in (DETAILED_TICK_S, TICK_S):
            at = ended_tick(now, resolution_s)
            is_due = at != self._ended[resolution_s]
            self._ended[resolution_s] = at
            if await self._keep_slices(resolution_s, at) and is_due:
                await self._collect(resolution_s, at)
            if is_due and self._is_paused and resolution_s == TICK_S:
                self._tell(at, resolution_s)  # that nothing is kept is what an alarm waits for
        self._compact_when_due(now)

    async def _look_around(self) -> None:
        try:
            async with asyncio.timeout(self._patience_s[DETAILED_TICK_S]):
                found = await self._inventory.environments()
                self._environments = tuple(environment for environment in found if environment.has_release)
            self._troubles.end("inventory")
        except Exception as error:  # those that were there are asked on
            self._troubles.begin("inventory", error)

    async def _read_on(self) -> None:
        if self._sources.access_log is None:
            return
        detailed = {route_of(environment) for environment in self._environments if environment.is_detailed}
        try:
            await self._sources.access_log.follow(detailed)
            self._troubles.end("access log")
        except Exception as error:
            self._troubles.begin("access log", error)

    async def _collect(self, resolution_s: int, at: int) -> None:
        is_detailed = resolution_s == DETAILED_TICK_S
        environments = tuple(
            environment for environment in self._environments if environment.is_detailed == is_detailed
        )
        if is_detailed and not environments:
            return
        sources = [*self._environment_sources, *([] if is_detailed else self._machine_sources)]
        samples = await self._ask_all(sources, Tick(at, resolution_s, environments))
        if not is_detailed:
            samples += self._own_samples()
        group = self._newest_slices(resolution_s, at)
        cursor: Cursor | None = None
        if self._sources.access_log is not None:
            samples += _tally_of(group).samples(resolution_s, environments)
            cursor = self._sources.access_log.cursor_of(resolution_s, group[-1]) if group else None
        if await self._keep(at, resolution_s, samples, cursor) is _Kept.YES:
            self._mark_kept(resolution_s, group)
            self._has_paused = self._has_paused and is_detailed
            self._last_tick_at = at
            self._tell(at, resolution_s)

    def _own_samples(self) -> list[Sample]:
        # A pause cannot be written while it lasts: the tick after it tells of it.
        samples = [gauge("halage_metrics_paused", (), self._has_paused)]
        for entry in (*self._environment_sources, *self._machine_sources):
            missed, entry.new_misses = entry.new_misses, 0
            samples.append(count("halage_source_misses", (("source", entry.source.name),), missed))
        return samples

    async def _keep_slices(self, resolution_s: int, before: int) -> bool:
        """Keep visits of earlier ticks; False when that is not possible now."""
        access_log = self._sources.access_log
        if access_log is None:
            return True
        slices = access_log.slices(resolution_s, before)
        for at, entries in itertools.groupby(slices, key=lambda entry: entry.at):
            group = list(entries)
            tally = _tally_of(group)
            cursor = access_log.cursor_of(resolution_s, group[-1])
            kept = await self._keep(at, resolution_s, tally.samples(resolution_s), cursor)
            if kept is _Kept.NO:
                return False
            if kept is _Kept.TOO_LATE:
                access_log.late_visits += tally.count
            self._mark_kept(resolution_s, group)
        return True

    def _newest_slices(self, resolution_s: int, at: int) -> list[Slice]:
        access_log = self._sources.access_log
        found = access_log.slices(resolution_s, at + resolution_s) if access_log is not None else []
        return list(itertools.takewhile(lambda entry: entry.at == at, found))

    def _mark_kept(self, resolution_s: int, group: Sequence[Slice]) -> None:
        if self._sources.access_log is not None:
            for entry in group:
                self._sources.access_log.kept(resolution_s, entry)

    async def _keep(
        self, at: int, resolution_s: int, samples: Sequence[Sample], cursor: Cursor | None
    ) -> _Kept:
        def write() -> None:
            self._keeper.write(at, resolution_s, samples, cursor=cursor)

        try:
            await asyncio.get_running_loop().run_in_executor(self._writing, write)
        except TooOld:
            return _Kept.TOO_LATE
        except TooManySeries as error:  # the others are kept
            self._troubles.begin("series", error)
        except MetricsFull as error:
            self._is_paused = self._has_paused = True
            self._troubles.begin("metrics", error)
            return _Kept.NO
        except Exception as error:
            self._troubles.begin("metrics", error)
            return _Kept.NO
        else:
            self._troubles.end("series")
        self._is_paused = False
        self._troubles.end("metrics")
        return _Kept.YES

    def _tell(self, at: int, resolution_s: int) -> None:
        try:
            self._consumer.on_tick(at, resolution_s)
        except Exception:
            log.exception("tick not taken", action="metrics:Collect", subject=str(at))

    async def _ask_all(self, asked: Sequence[_Asked], tick: Tick) -> list[Sample]:
        """What the sources answer in time."""
        calls: dict[asyncio.Task[Sequence[Sample] | Exception], _Asked] = {}
        is_trusted = True
        for entry in asked:
            if entry.is_busy:
                self._miss(entry, "it has not answered yet")
                continue
            is_trusted = is_trusted and entry.source.name not in self._troubles.words
            entry.call = self._tasks.start(_ask(entry.source, tick), f"ask {entry.source.name}")
            entry.ticks_waited = 0
            calls[entry.call] = entry
        if not calls:
            return []
        patience_s = self._patience_s[tick.resolution_s if is_trusted else DETAILED_TICK_S]
        await asyncio.wait(calls, timeout=patience_s)
        samples: list[Sample] = []
        for call, entry in calls.items():
            if not call.done():
                self._miss(entry, f"it did not answer within {patience_s:g} s")
                continue
            answer = call.result()
            if isinstance(answer, Exception):
                self._miss(entry, answer)
            else:
                self._troubles.end(entry.source.name)
                samples += answer
        return samples

    def _miss(self, entry: _Asked, reason: object) -> None:
        entry.misses += 1
        entry.new_misses += 1
        entry.ticks_waited += 1
        self._troubles.begin(entry.source.name, reason)
        if entry.ticks_waited > GIVE_UP_AFTER and entry.call is not None:
            entry.call.cancel()

    def _compact_when_due(self, now: float) -> None:
        hour = int(now) // _HOUR_S
        is_busy = self._compaction is not None and not self._compaction.done()
        if hour != self._hour and not is_busy:
            self._hour = hour
            self._compaction = self._tasks.start(self._compact(now), "compact metrics")

    async def _compact(self, now: float) -> None:
        try:
            while await asyncio.to_thread(self._keeper.compact, now, COMPACTED_AT_ONCE):
                await self._clock.sleep(COMPACT_PAUSE_S)
            self._troubles.end("compaction")
        except Exception as error:  # what is not compacted is still there, and is done in the next hour
            self._troubles.begin("compaction", error)


async def _ask(source: Source, tick: Tick) -> Sequence[Sample] | Exception:
    try:
        return await source.collect(tick)
    except Exception as error:
        return error


def _tally_of(slices: Sequence[Slice]) -> VisitTally:
    tally = VisitTally()
    for entry in slices:
        tally.merge(entry.tally)
    return tally
