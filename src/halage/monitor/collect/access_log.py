"""The access log, read on from where it was read to: its lines go to the logs, its visits are counted.

Every visit is counted exactly once, whatever becomes of us. Lines are cut into slices: those of one
tick, one behind the other in the file. A slice is kept together with the place behind it (a cursor),
both or neither; what starts again reads on from there and counts anew what was not kept. The lines
themselves are handed on as soon as they are read, each with its place: the logs know which they have,
and what starts again reads on from where either of the two stands.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeGuard

from halage.balancer.driver import WritesAccessLog
from halage.balancer.model import AccessPart, LogPlace, Visit
from halage.base.clock import Clock
from halage.monitor.collect.samples import place_of
from halage.monitor.collect.visits import VisitTally
from halage.monitor.logs.model import Group, Line, PlacedSink
from halage.monitor.metrics.model import DETAILED_TICK_S, TICK_S, Cursor, MetricKeeper

PART_BYTES = 64 * 1024
"""Read at once: about 500 lines, 2 ms."""
TURN_S = 0.25
"""So long at most is read in a turn (one a second): the rest waits for the next, and others get theirs."""
MOST_SLICES = 30
"""So many may wait to be kept; then nothing is read, and the log waits on the disk."""
JITTER_S = 1.0
"""HAProxy's threads write when they have the time: a line may stand behind one that is a little later."""
LATE_S = 3600.0 - 5 * TICK_S
"""Samples that are an hour late are not taken, and these still have to be written."""
STREAM = "balancer"
"""Where lines are that no instance answered."""
OWN_GROUP = Group("halage", None)
"""Where lines are that belong to no environment."""


@dataclass(slots=True)
class Slice:
    """The visits of one tick that stand together in the log, and the place behind them."""

    at: int
    end: LogPlace
    tally: VisitTally = field(default_factory=VisitTally)


class _Slicer:
    """Cuts lines into slices of one resolution."""

    def __init__(self, resolution_s: int) -> None:
        self.resolution_s = resolution_s
        self.slices: deque[Slice] = deque()
        self.begin: LogPlace | None = None
        """What is before it is kept already."""

    def add(self, visit: Visit, at: float, place: LogPlace, *, is_mine: bool) -> None:
        """Put a line into the slice it belongs to; one that is not counted only moves the place."""
        if self.begin is not None and place.file == self.begin.file and place.offset <= self.begin.offset:
            return
        tick = int(at // self.resolution_s) * self.resolution_s
        last = self.slices[-1] if self.slices else None
        if last is None or (tick != last.at and not last.at - JITTER_S < at < last.at):
            last = Slice(tick, place)
            self.slices.append(last)
        last.end = place
        if is_mine:
            last.tally.add(visit)


class AccessLog:
    """Reads the access log. One caller at a time but for `follow`, which may be called beside itself."""

    def __init__(
        self, balancer: WritesAccessLog, keeper: MetricKeeper, sink: PlacedSink, clock: Clock
    ) -> None:
        self._balancer = balancer
        self._keeper = keeper
        self._sink = sink
        self._clock = clock
        self._place: LogPlace | None = None
        self._is_open = False
        self._lines_kept: LogPlace | None = None
        """What is before it is in the logs; None when that cannot be found out."""
        self._usual = _Slicer(TICK_S)
        self._detailed = _Slicer(DETAILED_TICK_S)
        self.unreadable_lines = 0
        self.lost_bytes = 0
        self.late_visits = 0

    def slices(self, resolution_s: int, before: int) -> list[Slice]:
        """Slices of ticks that began before that, oldest first, to be kept in this order."""
        slicer = self._slicer(resolution_s)
        found: list[Slice] = []
        if self._lines_kept is not None and not self._lines_kept.offset:
            # Until the logs have a place of their own, what starts again would go on from the cursor.
            return found
        for entry in slicer.slices:
            # A clock that was set back leaves slices of the future: one that others stand behind is over.
            if entry.at >= before and entry is slicer.slices[-1]:
                break
            found.append(entry)
        return found

    def cursor_of(self, resolution_s: int, entry: Slice) -> Cursor:
        """What is to be kept with a slice."""
        return _cursor_name(resolution_s, entry.end.file), entry.end.offset

    def kept(self, resolution_s: int, entry: Slice) -> None:
        """The slice, which is the first one, is kept (or given up for good)."""
        slicer = self._slicer(resolution_s)
        assert slicer.slices[0] is entry, "slices are kept in the order of the log"
        slicer.slices.popleft()
        slicer.begin = entry.end
        if resolution_s == TICK_S:
            self._balancer.release_access_log(self._not_needed(entry.end))

    def _not_needed(self, counted: LogPlace) -> LogPlace:
        lines = self._lines_kept
        if lines is None or lines.file != counted.file:
            return counted
        return min(lines, counted, key=lambda place: place.offset)

    async def follow(self, detailed: Collection[str]) -> None:
        """Read what was written since; `detailed` are routes that are counted every second.

        Raises OSError.
        """
        if not self._is_open:
            await self._open()
        await self._read_on(detailed)
        if self._place is not None:
            self._lines_kept = await self._place_of_lines(self._place.file)

    async def _read_on(self, detailed: Collection[str]) -> None:
        began = self._clock.monotonic()
        while len(self._usual.slices) < MOST_SLICES and len(self._detailed.slices) < MOST_SLICES:
            part = self._balancer.read_access_log(self._place, PART_BYTES)
            self._take(part, detailed)
            if part.is_all or self._clock.monotonic() - began > TURN_S:
                return
            await asyncio.sleep(0)

    async def _open(self) -> None:
        # The first look tells which file it is, and the cursors are the file's.
        file = self._balancer.read_access_log(None, 1).place.file
        kept = self._keeper.cursor(_cursor_name(TICK_S, file)) or 0
        second = self._keeper.cursor(_cursor_name(DETAILED_TICK_S, file)) or 0
        self._place = self._usual.begin = LogPlace(file, kept)
        self._lines_kept = await self._place_of_lines(file)
        if self._lines_kept is not None and 0 < self._lines_kept.offset < kept:
            self._place = self._lines_kept
        # Of what was kept every second long ago the coarser place knows more.
        self._detailed.begin = LogPlace(file, max(kept, second))
        self._is_open = file != 0  # there is no log before the balancer's first start

    async def _place_of_lines(self, file: int) -> LogPlace | None:
        offset = await self._sink.place_of(_source_name(file))
        return None if offset is None else LogPlace(file, offset)

    def _take(self, part: AccessPart, detailed: Collection[str]) -> None:
        now = self._clock.now()
        if part.lost_bytes:
            self.lost_bytes += part.lost_bytes
            words = f"[Halage: {part.lost_bytes} bytes of the access log were lost before they were read]"
            self._sink.append(OWN_GROUP, STREAM, [Line(now, words.encode())])
        self._pass_on(part, now)
        for visit in part.visits:
            self._count(visit, now, LogPlace(part.place.file, visit.end), detailed)
        self._place = part.place

    def _count(self, visit: Visit, now: float, place: LogPlace, detailed: Collection[str]) -> None:
        # What comes from the future was written before the clock was set back.
        at = now if visit.at is None or visit.at > now + JITTER_S else visit.at
        is_late = now - at > LATE_S
        if is_late:  # to be counted nowhere: it only moves the place
            self.late_visits += 1
            at = now - LATE_S
        is_counted = _is_environment(visit.route) and not is_late
        is_detailed = visit.route in detailed
        self._usual.add(visit, at, place, is_mine=is_counted and not is_detailed)
        if detailed:
            self._detailed.add(visit, at, place, is_mine=is_counted and is_detailed)

    def _pass_on(self, part: AccessPart, now: float) -> None:
        lines: dict[tuple[str | None, str], list[Line]] = {}
        places: dict[tuple[str | None, str], list[int]] = {}
        for visit in part.visits:
            if visit.at is None:
                self.unreadable_lines += 1
            key = (visit.route, visit.target or STREAM)
            lines.setdefault(key, []).append(Line(now if visit.at is None else visit.at, visit.text))
            places.setdefault(key, []).append(visit.end)
        source = _source_name(part.place.file)
        for key, entries in lines.items():
            self._sink.append_placed(_group_of(key[0]), key[1], source, places[key], entries)
        if part.visits:
            self._sink.note_place(source, part.place.offset)

    def _slicer(self, resolution_s: int) -> _Slicer:
        return self._usual if resolution_s == TICK_S else self._detailed


def _cursor_name(resolution_s: int, file: int) -> str:
    return f"access-log-{resolution_s}s:{file}"


def _source_name(file: int) -> str:
    return f"access-log:{file}"


def _is_environment(route: str | None) -> TypeGuard[str]:
    """Whether it is a site's: the console has a route, too, and no metrics of an environment."""
    return route is not None and "." in route


def _group_of(route: str | None) -> Group:
    if not _is_environment(route):
        return OWN_GROUP
    project, environment = place_of(route)
    return Group(f"{route}/access", project, environment)
