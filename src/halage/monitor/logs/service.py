"""Logs: what people and the parts above ask of them."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self

from halage.base.database import Database
from halage.base.errors import Unavailable
from halage.monitor.logs.filters import LogFilters
from halage.monitor.logs.intake import Figures
from halage.monitor.logs.keeper import LogKeeper, Surroundings
from halage.monitor.logs.matching import make_matcher
from halage.monitor.logs.model import Counts, Group, GroupSummary, KeptLine, Line, Page, Search
from halage.monitor.logs.outlets import LogOutlets, Sealer
from halage.monitor.logs.reader import LogReader
from halage.monitor.logs.search import BUDGET_S, Searcher
from halage.monitor.metrics.model import MetricWriter

READ_AT_ONCE = 1000
EXPORTED_AT_ONCE = 5000
MOST_BUCKETS = 1000


class Logs:
    """Takes lines in, keeps them, finds them, follows them, sends them on. `async with`, then `run`."""

    def __init__(
        self, around: Surroundings, database: Database, writer: MetricWriter, sealer: Sealer
    ) -> None:
        self._clock = around.clock
        self._reader = LogReader(around.directory)
        self._searcher = Searcher(self._reader)
        self.filters = LogFilters(database, writer)
        self._keeper = LogKeeper(around, self.filters)
        self.outlets = LogOutlets(database, around.clock, sealer, self._reader, self._keeper.news)

    async def __aenter__(self) -> Self:
        await self.filters.load()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Write what waits, and let go of the file and the threads. Idempotent."""
        await self._keeper.close()
        self._searcher.close()

    async def run(self) -> None:
        """Keep lines and send them on, for ever."""
        await asyncio.gather(self._keeper.run(), self.outlets.run())

    async def round(self) -> None:
        """Keep what is there now, without waiting for the next round."""
        await self._keeper.round()

    # -- taking in

    def append(self, group: Group, stream: str, lines: Sequence[Line]) -> None:
        """Keep lines (LogSink). Never blocks, never raises."""
        self._keeper.append(group, stream, lines)

    def append_numbered(
        self, group: Group, stream: str, source: str, first: int, lines: Sequence[Line]
    ) -> None:
        """Keep lines that may be told again (NumberedSink). Never blocks, never raises."""
        self._keeper.append_numbered(group, stream, source, first, lines)

    def append_placed(
        self, group: Group, stream: str, source: str, places: Sequence[int], lines: Sequence[Line]
    ) -> None:
        """Keep lines of a file that may be read again (PlacedSink). Never blocks, never raises."""
        self._keeper.append_placed(group, stream, source, places, lines)

    def note_place(self, source: str, place: int) -> None:
        """Hear how far a file was handed over (PlacedSink)."""
        self._keeper.note_place(source, place)

    async def place_of(self, source: str) -> int | None:
        """How far all lines of a file are kept, as far as that can be found out (PlacedSink)."""
        return await self._keeper.place_of(source)

    @property
    def figures(self) -> Figures:
        """What was taken in since the start."""
        return self._keeper.figures

    async def forget_project(self, project: str) -> None:
        """Remove a project's lines and filters. Raises Unavailable; then it can be asked again."""
        await self.filters.forget_project(project)
        try:
            await self._keeper.forget_project(project)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(
                f"The logs of {project} cannot be removed at the moment: {error}. Try again."
            ) from error

    # -- finding

    async def groups(self, is_visible: Callable[[Group], bool]) -> list[GroupSummary]:
        """The groups that have lines and are visible, by name. Raises Unavailable."""
        return await asyncio.to_thread(self._reader.groups, is_visible)

    async def search(
        self,
        groups: Sequence[str],
        search: Search,
        *,
        limit: int = 100,
        before: int | None = None,
        budget_s: float = BUDGET_S,
    ) -> Page:
        """The newest lines of these groups that are wanted, those before an id.

        Raises BadSearch, Unavailable. A search whose time is over returns what it has, with the id to
        go on before.
        """
        return await asyncio.to_thread(
            self._searcher.search, groups, search, limit=limit, before=before, budget_s=budget_s
        )

    async def count(
        self, groups: Sequence[str], search: Search, *, start: float, end: float, period_s: float
    ) -> Counts:
        """How many lines of [start, end) are wanted, by period. Raises BadSearch, Unavailable.

        Periods begin at whole multiples; a period that would give more than MOST_BUCKETS is lengthened.
        """
        while (end - start) / period_s > MOST_BUCKETS - 1:
            period_s *= 2
        first = start // period_s * period_s
        last = max(first + period_s, -(-end // period_s) * period_s)
        return await asyncio.to_thread(
            self._searcher.count, groups, search, start=first, end=last, period_s=period_s
        )

    # -- following

    async def last_id(self) -> int:
        """The id of the newest line that is kept, 0 for none."""
        return await asyncio.to_thread(self._reader.last_id)

    async def follow(self, groups: Sequence[str], search: Search, after: int) -> AsyncIterator[KeptLine]:
        """Lines past an id that are wanted, in order, then new ones as they come.

        Raises BadSearch, Unavailable.
        """
        with self._keeper.followed(), self._keeper.news.listen(None) as news:
            while True:
                news.clear()
                found, after_now = [], after
                async for line in self._read(groups, search, after, READ_AT_ONCE):
                    if isinstance(line, int):
                        after_now = line
                    else:
                        found.append(line)
                        yield line
                if after_now == after:
                    await news.wait()
                after = after_now

    async def export(
        self, groups: Sequence[str], search: Search, *, after: int = 0
    ) -> AsyncIterator[KeptLine]:
        """Every line that is kept now and wanted, oldest first. Raises BadSearch, Unavailable."""
        last = await self.last_id()
        while after < last:
            async for line in self._read(groups, search, after, EXPORTED_AT_ONCE):
                if isinstance(line, int):
                    after = line
                elif line.id <= last:
                    yield line

    async def _read(
        self, groups: Sequence[str], search: Search, after: int, limit: int
    ) -> AsyncIterator[KeptLine | int]:
        """The wanted among the next lines, then the id to go on after."""
        wanted = _is_wanted(search)
        reading = await asyncio.to_thread(self._reader.read_after, groups, after, limit)
        for line in reading.lines:
            if wanted(line):
                yield line
        yield reading.next_after


def _is_wanted(search: Search) -> Callable[[KeptLine], bool]:
    matcher = make_matcher(search)
    start = float("-inf") if search.start is None else search.start
    end = float("inf") if search.end is None else search.end

    def wanted(line: KeptLine) -> bool:
        return start <= line.at < end and search.stream in (None, line.stream) and matcher.matches(line.text)

    return wanted
