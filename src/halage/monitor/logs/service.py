"""Logs: what people and the parts above ask of them."""

import asyncio
import functools
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from halage.base.database import Database
from halage.base.errors import Unavailable
from halage.monitor.inventory import place_name
from halage.monitor.logs.filters import LogFilters
from halage.monitor.logs.intake import Figures
from halage.monitor.logs.keeper import LogKeeper, Surroundings
from halage.monitor.logs.matching import Matcher, make_matcher
from halage.monitor.logs.model import Counts, Group, GroupSummary, KeptLine, Line, Page, Search
from halage.monitor.logs.outlets import LogOutlets, Sealer
from halage.monitor.logs.reader import LogReader
from halage.monitor.logs.search import BUDGET_S, Searcher
from halage.monitor.metrics.model import MetricWriter

READ_AT_ONCE = 1000
EXPORTED_AT_ONCE = 5000
MOST_BUCKETS = 1000
SEARCHES_AT_ONCE = 4
"""Others wait for their turn."""
P = ParamSpec("P")
T = TypeVar("T")


class Logs:
    """Takes lines in, keeps them, finds them, follows them, sends them on. `async with`, then `run`."""

    def __init__(
        self, around: Surroundings, database: Database, writer: MetricWriter, sealer: Sealer
    ) -> None:
        self._clock = around.clock
        self._reader = LogReader(around.directory)
        self._searcher = Searcher(self._reader)
        # A search takes seconds at worst: many at once must not hold up what else needs a thread.
        self._searches = ThreadPoolExecutor(SEARCHES_AT_ONCE, "log searches")
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
        self._searches.shutdown(wait=False, cancel_futures=True)
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

    async def forget_place(self, project: str, environment: str | None = None) -> None:
        """Remove the lines and filters of a project, or of one environment of it.

        Raises Unavailable; then it can be asked again.
        """
        await self.filters.forget_place(project, environment)
        try:
            await self._keeper.forget_place(project, environment)
        except (sqlite3.Error, OSError) as error:
            place = place_name(project, environment)
            raise Unavailable(
                f"The logs of {place} cannot be removed at the moment: {error}. Try again."
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
        return await self._look(
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
        return await self._look(
            self._searcher.count, groups, search, start=first, end=last, period_s=period_s
        )

    async def _look(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._searches, functools.partial(work, *args, **kwargs))

    # -- following

    async def last_id(self) -> int:
        """The id of the newest line that is kept, 0 for none."""
        return await asyncio.to_thread(self._reader.last_id)

    async def follow(self, groups: Sequence[str], search: Search, after: int) -> AsyncIterator[KeptLine]:
        """Lines past an id that are wanted, in order, then new ones as they come.

        A line stands for those that cannot be read. Raises BadSearch, Unavailable.
        """
        with self._keeper.followed(), self._keeper.news.listen(None) as news:
            while True:
                news.clear()
                found, after_now = await self._read(groups, search, after, READ_AT_ONCE)
                for line in found:
                    yield line
                if after_now == after:
                    await news.wait()
                after = after_now

    async def export(self, groups: Sequence[str], search: Search) -> AsyncIterator[list[KeptLine]]:
        """Every line that is kept now and wanted, oldest first, piece by piece; a piece may be empty.

        A line stands for those that cannot be read. Raises BadSearch, Unavailable.
        """
        after, last = 0, await self.last_id()
        while after < last:
            found, after = await self._read(groups, search, after, EXPORTED_AT_ONCE)
            yield [line for line in found if line.id <= last]

    async def _read(
        self, groups: Sequence[str], search: Search, after: int, limit: int
    ) -> tuple[list[KeptLine], int]:
        """The wanted among the next lines, and the id to go on after."""
        return await asyncio.to_thread(self._read_now, groups, search, after, limit)

    def _read_now(
        self, groups: Sequence[str], search: Search, after: int, limit: int
    ) -> tuple[list[KeptLine], int]:
        matcher = make_matcher(search)
        reading = self._reader.read_after(groups, after, limit, grams=matcher.grams)
        found = [line for line in reading.lines if line.is_gap or _is_wanted(line, search, matcher)]
        return found, reading.next_after


def _is_wanted(line: KeptLine, search: Search, matcher: Matcher) -> bool:
    return (
        (search.start is None or line.at >= search.start)
        and (search.end is None or line.at < search.end)
        and search.stream in (None, line.stream)
        and matcher.matches(line.text)
    )
