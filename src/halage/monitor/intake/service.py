"""The intake: what people's scripts put, what sites send over StatsD, what is scraped from instances."""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog

from halage.base.clock import Clock
from halage.base.errors import HalageError, Invalid, NotFound
from halage.base.tasks import Tasks
from halage.monitor.intake.collection import Collection
from halage.monitor.intake.errors import Refusal
from halage.monitor.intake.keys import SiteKeys
from halage.monitor.intake.model import (
    IntakeLimits,
    IntakeState,
    Kept,
    Place,
    Point,
    Reason,
    StatsdState,
)
from halage.monitor.intake.quota import Quota
from halage.monitor.intake.rules import EARLY_S, LATE_S, check_value, series_key, tick_of
from halage.monitor.intake.scraper import Scraper
from halage.monitor.intake.statsd import StatsdListener
from halage.monitor.intake.tally import Tally
from halage.monitor.inventory import Inventory, WatchedEnvironment
from halage.monitor.metrics.errors import BadMetric, TooManySeries
from halage.monitor.metrics.model import TICK_S, Kind, MetricReader, MetricWriter, Sample, Selector, SeriesKey

LOOK_S = 1.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ports:
    """What the intake works with."""

    inventory: Inventory
    writer: MetricWriter
    reader: MetricReader
    clock: Clock


class Intake:
    """Takes the metrics of sites in, within limits. Use it in `async with`: it then listens and scrapes."""

    def __init__(
        self,
        ports: Ports,
        limits: IntakeLimits,
        keys: SiteKeys,
        *,
        statsd: tuple[str, int] | None = None,
        scrape_timeout_s: float = 5.0,
    ) -> None:
        self._ports = ports
        self._limits = limits
        self._keys = keys
        self._place_of_key: dict[str, Place] = {}
        self._collection = Collection(ports.clock, limits)
        self._statsd = statsd
        self._listener: StatsdListener | None = None
        self._scrape_timeout_s = scrape_timeout_s
        self._scraper: Scraper | None = None
        self._stack = AsyncExitStack()
        self._scraped_tick: int | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.flush, is_end=True)
            await self._look()
            if self._statsd is not None:
                self._listener = StatsdListener(*self._statsd, self._collection.take_datagram)
                await stack.enter_async_context(self._listener)
            clients = await stack.enter_async_context(AsyncExitStack())
            tasks = await stack.enter_async_context(Tasks())
            self._scraper = Scraper(
                self._ports.clock, self._collection.take_scrape, tasks=tasks, timeout_s=self._scrape_timeout_s
            )
            clients.push_async_callback(self._scraper.close)
            tasks.start(self._work(), name="metrics intake")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @property
    def statsd_address(self) -> tuple[str, int] | None:
        """Where StatsD is listened to, None where it is off."""
        return self._listener.address if self._listener is not None else None

    def site_variables(self, project: str, environment: str) -> dict[str, str]:
        """What an instance is told, so that it can send: nothing where StatsD is off."""
        if self._statsd is None:
            return {}
        host, port = self.statsd_address or self._statsd
        key = self._keys.key_of((project, environment))
        return {"HALAGE_STATSD_HOST": host, "HALAGE_STATSD_PORT": str(port), "HALAGE_STATSD_KEY": key}

    async def put(self, project: str, environment: str, points: Sequence[Point]) -> Kept:
        """Keep all points, or none. Once it returns they are on the disk.

        Raises NotFound, BadMetric, TooManySeries, TooOld, MetricsFull.
        """
        place = (project, environment)
        quota = await self._quota_of(place)
        now = self._ports.clock.now()
        try:
            keyed = [(point, series_key(place, point.name, point.dimensions)) for point in points]
            _check_kinds(keyed)
            # A megabyte of values takes a quarter of a second.
            ticks = await asyncio.to_thread(_tally, keyed, now, self._limits)
            # Nothing is awaited from here until all are admitted: others send to this environment, too.
            quota = await self._quota_of(place)
            _check_room(keyed, quota)
        except Refusal as refusal:
            quota.refuse(refusal, now, len(points))
            raise _answer_to(refusal, quota) from refusal
        for point, key in keyed:
            quota.admit(key, point.kind, now)
        for tick, tally in sorted(ticks.items()):
            await asyncio.to_thread(self._ports.writer.write, tick, TICK_S, list(tally))
        return Kept(len(points), quota.series, quota.limit)

    def forget_place(self, project: str, environment: str | None = None) -> None:
        """Forget what came in of a project or environment that is removed: what it may send counts from
        nothing again.
        """
        self._collection.forget_place(project, environment)

    async def flush(self, *, is_end: bool = False) -> None:
        """Write what has been collected of the ticks that are over; at the end, of all."""
        now = self._ports.clock.now()
        for tick, samples in self._collection.finished(None if is_end else now):
            await self._write(tick, samples)

    def state(self, visible: Callable[[str], bool]) -> IntakeState:
        """What came in and what was refused, of the environments of these projects."""
        collection = self._collection
        address = self.statsd_address
        return IntakeState(
            statsd=StatsdState(
                address=f"{address[0]}:{address[1]}" if address is not None else None,
                lines=collection.lines,
                malformed=collection.malformed,
                strangers=collection.strangers,
                dropped=self._listener.dropped if self._listener is not None else 0,
            ),
            environments=tuple(
                quota.state for place, quota in sorted(collection.quotas.items()) if visible(place[0])
            ),
        )

    async def _work(self) -> None:
        while True:
            now = self._ports.clock.now()
            await self._ports.clock.sleep(math.floor(now / LOOK_S + 1) * LOOK_S - now)
            try:
                await self._step()
            except Exception:
                # What one environment or one bad disk does must not stop the others, nor the server.
                log.exception("metrics intake failed", action="monitor:Intake", subject="server")

    async def _step(self) -> None:
        environments = await self._look()
        now = self._ports.clock.now()
        tick = tick_of(now)
        if tick != self._scraped_tick and self._scraper is not None:
            # At the first look there is no whole tick behind us.
            if self._scraped_tick is not None:
                self._scraper.scrape(tick - TICK_S, environments)
                dropped = self._listener.dropped if self._listener is not None else 0
                self._collection.count_own(tick - TICK_S, dropped)
                self._collection.say_refusals()
            self._scraped_tick = tick
        await self.flush()

    async def _look(self) -> Sequence[WatchedEnvironment]:
        """What there is now; an environment that is new is given a quota."""
        environments = await self._ports.inventory.environments()
        by_place = {(each.project, each.name): each for each in environments}
        for place in by_place.keys() - self._collection.quotas.keys():
            await self._begin(place)
        if by_place.keys() != set(self._place_of_key.values()):
            self._place_of_key = {self._keys.key_of(place): place for place in by_place}
        self._collection.watch(by_place, self._place_of_key)
        return environments

    async def _begin(self, place: Place) -> None:
        selector = Selector("*", {"project": place[0], "environment": place[1]})
        known = await asyncio.to_thread(self._ports.reader.find, selector)
        quota = Quota(place, self._limits.series)
        quota.remember(known)
        self._collection.quotas.setdefault(place, quota)

    async def _quota_of(self, place: Place) -> Quota:
        if place not in self._collection.quotas:
            await self._look()
        quota = self._collection.quotas.get(place)
        if quota is None:
            raise NotFound(f"{place[0]} has no environment {place[1]}.", project=place[0])
        return quota

    async def _write(self, tick: int, samples: list[Sample]) -> None:
        """What was begun is ended, also when the service stops meanwhile: the samples are nowhere else."""
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(None, self._ports.writer.write, tick, TICK_S, samples)
        try:
            await asyncio.shield(writing)
        except HalageError as error:
            self._collection.note_lost(samples, error)
        except asyncio.CancelledError:
            await asyncio.wait({writing})
            if isinstance(failure := writing.exception(), HalageError):
                self._collection.note_lost(samples, failure)
            raise


def _check_room(keyed: Sequence[tuple[Point, SeriesKey]], quota: Quota) -> None:
    """Raise Refusal unless all of a batch may come in."""
    fresh: set[SeriesKey] = set()
    for point, key in keyed:
        quota.check(key, point.kind, more=len(fresh) - (key in fresh))
        if quota.is_new(key):
            fresh.add(key)


def _check_kinds(keyed: Sequence[tuple[Point, SeriesKey]]) -> None:
    """Raise Refusal when a batch gives one metric two kinds."""
    kinds: dict[str, Kind] = {}
    for point, _ in keyed:
        if kinds.setdefault(point.name, point.kind) is not point.kind:
            raise Refusal(
                Reason.KIND,
                point.name,
                f"{point.name} cannot be a {kinds[point.name]} and a {point.kind} at once.",
            )


def _tally(keyed: Sequence[tuple[Point, SeriesKey]], now: float, limits: IntakeLimits) -> dict[int, Tally]:
    """The points by tick. Pure: for a thread. Raises Refusal."""
    ticks: dict[int, Tally] = {}
    for point, key in keyed:
        at = now if point.at is None else point.at
        if not now - LATE_S <= at <= now + EARLY_S:
            raise Refusal(
                Reason.VALUE,
                point.name,
                f"{point.name}: `at` is from an hour ago to now; the server's clock differs by "
                f"{at - now:+.0f} s.",
            )
        tally = ticks.setdefault(tick_of(at), Tally(limits.values))
        for value in point.values:
            check_value(point.name, point.kind, value)
            match point.kind:
                case Kind.GAUGE:
                    tally.set_level(key, value)
                case Kind.COUNT:
                    tally.count(key, value)
                case Kind.DISTRIBUTION:
                    tally.add_value(key, value)
    return ticks


def _answer_to(refusal: Refusal, quota: Quota) -> Invalid | TooManySeries:
    """A refusal as callers of the API know it. Nothing of their batch was kept, and it says so."""
    message = f"{refusal.message} Nothing of this batch was kept."
    facts = {"metric": refusal.metric, "reason": refusal.reason.value}
    if refusal.reason is Reason.SERIES_LIMIT:
        return TooManySeries(message, **facts, limit=quota.limit, series=quota.series)
    return BadMetric(message, **facts)
