"""Keeps lines: one round after the other reads what is new, writes it, merges, counts and removes."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from halage.base.bell import Bell
from halage.base.clock import Clock
from halage.compute.driver import ComputeDriver
from halage.monitor.inventory import Inventory, LogLimits, place_name
from halage.monitor.logs.filters import LogFilters
from halage.monitor.logs.gatherer import Gatherer
from halage.monitor.logs.intake import Figures, Intake
from halage.monitor.logs.model import Group, Line
from halage.monitor.logs.store import KeepLimits, LogStore, Source
from halage.monitor.metrics.model import Kind, Sample, SeriesKey

P = ParamSpec("P")
T = TypeVar("T")
ROUND_S = 1.0
FOLLOWED_ROUND_S = 0.25
"""While somebody follows."""
MERGES_A_ROUND = 32
CLEANING_S = 60.0
_SOURCE_KEPT_S = 86400.0
"""The position of a source that is gone is kept that long: it may be told again after a restart."""
_NOWHERE = Group("", None)
"""Of places, which have no lines."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the keeper stands among."""

    directory: Path
    clock: Clock
    compute: ComputeDriver
    inventory: Inventory
    limits: KeepLimits


class LogKeeper:
    """Takes lines in (LogSink, NumberedSink) and keeps them. Writing has a thread of its own."""

    def __init__(self, around: Surroundings, filters: LogFilters) -> None:
        self._clock = around.clock
        self._inventory = around.inventory
        self._filters = filters
        self._store = LogStore(around.directory, around.limits)
        self._intake = Intake(around.clock.now)
        self._gatherer = Gatherer(around.compute, self._intake)
        self._thread = ThreadPoolExecutor(1, "log writer")
        self._followers = 0
        self._limits: Mapping[str, LogLimits] = {}
        """Of environments, by name."""
        self._cleaned_at = around.clock.monotonic() - CLEANING_S  # a server that often starts cleans too
        self._told = Figures()
        self._trouble = ""
        self._is_closed = False
        self.news: Bell[None] = Bell()
        """Rings when lines were kept."""

    # -- lines that are handed in

    def append(self, group: Group, stream: str, lines: Sequence[Line]) -> None:
        """Keep lines (LogSink)."""
        self._intake.append(group, stream, lines)

    def append_numbered(
        self, group: Group, stream: str, source: str, first: int, lines: Sequence[Line]
    ) -> None:
        """Keep lines of a source that may tell them again (NumberedSink)."""
        span = Source(source, first, first + len(lines), is_numbered=True)
        self._intake.append(group, stream, lines, span)

    def append_placed(
        self, group: Group, stream: str, source: str, places: Sequence[int], lines: Sequence[Line]
    ) -> None:
        """Keep lines of a file that may be read again (PlacedSink)."""
        span = Source(f"{source} {group.name} {stream}", 0, places[-1], places=places)
        self._intake.append(group, stream, lines, span)

    def note_place(self, source: str, place: int) -> None:
        """Hear how far a file was handed over (PlacedSink): it waits behind its lines."""
        self._intake.append(_NOWHERE, "", (), Source(source, 0, place))

    async def place_of(self, source: str) -> int | None:
        """How far all lines of a file are kept, as far as that can be found out (PlacedSink)."""
        try:
            return await self._in_thread(self._store.position, source)
        except (sqlite3.Error, OSError):
            return None

    @property
    def figures(self) -> Figures:
        """What was taken in since the start."""
        return self._intake.figures

    @contextmanager
    def followed(self) -> Iterator[None]:
        """While somebody follows, rounds come faster."""
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1

    # -- rounds

    async def run(self) -> None:
        """Round after round, for ever; what goes wrong in one is told once and tried again."""
        while True:
            await self.round()
            await self._clock.sleep(FOLLOWED_ROUND_S if self._followers else ROUND_S)

    async def round(self) -> None:
        """Read what is new, write it, and look after what is kept. Never raises."""
        troubles = []
        for step in (self._gather, self._write, self._look_after):
            try:
                await step()
            except Exception as error:  # a full disk, a broken file: lines wait, everything else goes on
                troubles.append(repr(error))
        self._tell("; ".join(dict.fromkeys(troubles)))

    async def close(self) -> None:
        """Write what waits, as far as that is possible, and let go of the file. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            await self._write()
        except (sqlite3.Error, OSError) as error:
            self._tell(repr(error))
        await self._in_thread(self._store.close)
        self._thread.shutdown()
        self.news.ring_all()

    async def forget_place(self, project: str, environment: str | None = None) -> None:
        """Remove the lines of a project, or of one environment of it. Raises sqlite3.Error."""
        await self._write()
        await self._in_thread(self._store.forget_place, project, environment, self._clock.now())

    async def last_id(self) -> int:
        """The id of the newest line that is kept."""
        return await self._in_thread(self._store.open)

    async def _gather(self) -> None:
        environments = await self._inventory.environments()
        self._limits = {place_name(each.project, each.name): each.log_limits for each in environments}
        for unit_id in self._gatherer.unknown(environments):
            self._gatherer.learn(unit_id, await self._in_thread(self._store.position, unit_id))
        await self._gatherer.gather(environments, self._clock.now())

    async def _write(self) -> None:
        if await self._in_thread(self._write_now):
            self.news.ring(None)

    def _write_now(self) -> bool:
        """In the writer's thread, whole: whoever waits for it may be cancelled meanwhile."""
        entries = self._intake.take()
        if not entries:
            return False
        try:
            written = self._store.write(entries, self._clock.now())
        except BaseException:
            self._intake.put_back(entries)
            raise
        self._intake.settle(entries, written)
        self._filters.count(written)
        return True

    async def _look_after(self) -> None:
        await self._in_thread(self._look_after_now, self._clock.now())

    def _look_after_now(self, now: float) -> None:
        """The writer thread's share of a round: counts, merges, and now and then what is too old."""
        self._count(now)
        for _ in range(MERGES_A_ROUND):
            if not self._store.merge_once():
                break
        if self._clock.monotonic() - self._cleaned_at >= CLEANING_S:
            self._cleaned_at = self._clock.monotonic()
            self._store.drop_old(now, self._limits)
            if known := self._gatherer.known:  # without: the inventory may not have been told yet
                self._store.forget_sources(known, now - _SOURCE_KEPT_S)

    def _count(self, now: float) -> None:
        figures, told = self._intake.figures, self._told
        counts = {
            "halage_log_lines": figures.lines - told.lines,
            "halage_log_bytes": figures.size_bytes - told.size_bytes,
            "halage_log_lines_dropped": figures.dropped - told.dropped,
            "halage_log_bytes_skipped": figures.skipped_bytes - told.skipped_bytes,
        }
        own = [Sample(SeriesKey(name), Kind.COUNT, float(number)) for name, number in counts.items()]
        if self._filters.tell(now, own):
            self._told = figures

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))

    def _tell(self, trouble: str) -> None:
        """Say once that lines wait, and once that they are kept again."""
        if trouble and trouble != self._trouble:
            log.warning("logs wait", action="monitor:KeepLogs", subject="server", reason=trouble)
        elif self._trouble and not trouble:
            log.info("logs are kept again", action="monitor:KeepLogs", subject="server")
        self._trouble = trouble
