"""Searches: block after block, newest first, two at a time, until enough is found or the time is over.

A block whose filter lacks a part of what is wanted is not read. One that is read is unpacked and
looked through as one text; only its lines with a hit are looked at one by one. Unpacking (zstandard)
and looking (memmem(3) of the C library, called through ctypes) let go of the interpreter's lock, so
two threads use two cores.
"""

import ctypes
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain

from halage.monitor.logs.block import Meta, unpack_meta, unpack_text
from halage.monitor.logs.errors import BrokenBlock
from halage.monitor.logs.matching import Matcher, make_matcher
from halage.monitor.logs.model import Counts, KeptLine, Page, Search
from halage.monitor.logs.reader import BlockRow, LogReader, Snapshot

THREADS = 2
_AHEAD = 2 * THREADS
"""Blocks that are under way at once: few, so that a search that has enough ends at once."""
_SAMPLE_BYTES = 32 * 1024
_NEAR_BYTES = 4096
BUDGET_S = 5.0
"""A search ends after that time, and says where to go on."""


def _load_memmem() -> Callable[[int, int, bytes, int], int | None] | None:
    try:
        function = ctypes.CDLL(None).memmem
    except (OSError, AttributeError):
        return None
    function.restype = ctypes.c_void_p
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
    found: Callable[[int, int, bytes, int], int | None] = function
    return found


_memmem = _load_memmem()


def find_far(text: bytes, needle: bytes, start: int = 0) -> int:
    """Where a long text has those bytes, from a place on; -1 for nowhere. Other threads go on meanwhile."""
    if _memmem is None or start >= len(text):
        return text.find(needle, start)
    # A c_char_p holds the address of the bytes themselves.
    address = ctypes.cast(ctypes.c_char_p(text), ctypes.c_void_p).value or 0
    at = _memmem(address + start, len(text) - start, needle, len(needle))
    return -1 if at is None else at - address


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A search over some groups, made ready."""

    matcher: Matcher
    start_ms: float
    end_ms: float
    stream_ids: frozenset[int] | None
    before: int | None
    most: int | None
    """Hits that are wanted of each block, None for all."""

    def allows(self, row: BlockRow) -> bool:
        """Whether the block's times may fit."""
        return row.last_at * 1000 >= self.start_ms and row.first_at * 1000 < self.end_ms


@dataclass(slots=True)
class _Hits:
    """What was found in a block: indexes of lines, newest first, with their texts."""

    row: BlockRow
    meta: Meta | None = None
    lines: list[tuple[int, bytes]] = field(default_factory=list)
    error: BrokenBlock | None = None


class Searcher:
    """Runs searches in threads of its own. Its methods block: call them off the event loop."""

    def __init__(self, reader: LogReader, *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._elapsed = elapsed
        self._pool = ThreadPoolExecutor(THREADS, "log search")

    def close(self) -> None:
        """End the threads; searches under way fail."""
        self._pool.shutdown(cancel_futures=True)

    def search(
        self,
        groups: Sequence[str],
        search: Search,
        *,
        limit: int,
        before: int | None = None,
        budget_s: float = BUDGET_S,
    ) -> Page:
        """The newest lines (before an id) that are wanted. Raises BadSearch, Unavailable."""
        matcher = make_matcher(search)
        with self._reader.snapshot() as snapshot:
            if snapshot is None:
                return Page((), None, False)
            ids = snapshot.ids_of(groups)
            wanted = _want(snapshot, ids, search, matcher, before, limit + 1)
            return self._find(snapshot, ids, wanted, limit, self._elapsed() + budget_s)

    def _find(
        self, snapshot: Snapshot, ids: Sequence[int], wanted: _Wanted, limit: int, deadline: float
    ) -> Page:
        found: list[KeptLine] = []
        problems: list[str] = []
        is_enough = False
        rows = [row for row in snapshot.blocks_before(ids, wanted.before) if wanted.allows(row)]
        for hits, next_row in self._look_through(snapshot, rows, wanted):
            if hits.error is not None:
                problems.append(snapshot.describe(hits.row, hits.error))
            found += _kept(snapshot, hits)
            if next_row is None:
                break
            # Blocks of several groups overlap: a line is in its place once no block left has a later one.
            sure = [line for line in found if line.id > next_row.last_id]
            if is_enough := len(sure) >= limit:
                break
            goes_on_before = next_row.last_id + 1
            # Where that is no further than this search began, the next one would do the same again.
            is_further = wanted.before is None or goes_on_before < wanted.before
            if is_further and self._elapsed() > deadline:
                sure.sort(key=lambda line: line.id, reverse=True)
                return Page(tuple(sure), goes_on_before, True, tuple(problems))
        found.sort(key=lambda line: line.id, reverse=True)
        has_more = is_enough or len(found) > limit
        lines = tuple(found[:limit])
        return Page(lines, lines[-1].id if has_more else None, False, tuple(problems))

    def _look_through(
        self, snapshot: Snapshot, rows: Sequence[BlockRow], wanted: _Wanted
    ) -> Iterator[tuple[_Hits, BlockRow | None]]:
        """What was found in each block that may have something, in order, with the block that is next."""
        under_way: deque[tuple[BlockRow, Future[_Hits]]] = deque()
        at = 0
        try:
            while at < len(rows) or under_way:
                while at < len(rows) and len(under_way) < _AHEAD:
                    row = rows[at]
                    at += 1
                    if snapshot.may_hold(row, wanted.matcher.grams):
                        under_way.append((row, self._begin(snapshot, row, wanted)))
                if not under_way:
                    return
                _, future = under_way.popleft()
                hits = future.result()
                following = under_way[0][0] if under_way else (rows[at] if at < len(rows) else None)
                yield hits, following
        finally:
            for _, future in under_way:
                future.cancel()

    def _begin(self, snapshot: Snapshot, row: BlockRow, wanted: _Wanted) -> "Future[_Hits]":
        try:
            packed_meta, packed_text = snapshot.packed(row.id)
        except BrokenBlock as error:
            broken: Future[_Hits] = Future()
            broken.set_result(_Hits(row, error=error))
            return broken
        return self._pool.submit(_look, row, packed_meta, packed_text, wanted)

    def count(
        self,
        groups: Sequence[str],
        search: Search,
        *,
        start: float,
        end: float,
        period_s: float,
        budget_s: float = BUDGET_S,
    ) -> Counts:
        """How many lines of each period are wanted. Raises BadSearch, Unavailable."""
        matcher = make_matcher(search)
        buckets = [0] * max(1, round((end - start) / period_s))
        with self._reader.snapshot() as snapshot:
            if snapshot is None:
                return Counts(start, period_s, tuple(buckets), False, None)
            ids = snapshot.ids_of(groups)
            wanted = _want(snapshot, ids, search, matcher, None, None)
            wanted = _narrow(wanted, start, start + len(buckets) * period_s)
            problems: list[str] = []
            deadline = self._elapsed() + budget_s
            counted_from: float | None = None
            rows = [row for row in snapshot.blocks_before(ids, None) if wanted.allows(row)]
            if not matcher.needles and matcher.is_plain and wanted.stream_ids is None:
                rows = _count_whole(rows, wanted, start, period_s, buckets)
            for hits, next_row in self._look_through(snapshot, rows, wanted):
                if hits.error is not None:
                    problems.append(snapshot.describe(hits.row, hits.error))
                _count_hits(hits, start, period_s, buckets)
                if next_row is not None and self._elapsed() > deadline:
                    counted_from = next_row.last_at
                    break
            return Counts(
                start, period_s, tuple(buckets), counted_from is not None, counted_from, tuple(problems)
            )


def _want(
    snapshot: Snapshot,
    ids: Sequence[int],
    search: Search,
    matcher: Matcher,
    before: int | None,
    most: int | None,
) -> _Wanted:
    stream_ids = None if search.stream is None else snapshot.stream_ids(ids, search.stream)
    start = float("-inf") if search.start is None else search.start * 1000
    end = float("inf") if search.end is None else search.end * 1000
    return _Wanted(matcher, start, end, stream_ids, before, most)


def _narrow(wanted: _Wanted, start: float, end: float) -> _Wanted:
    return _Wanted(
        wanted.matcher,
        max(wanted.start_ms, start * 1000),
        min(wanted.end_ms, end * 1000),
        wanted.stream_ids,
        wanted.before,
        None,
    )


def _look(row: BlockRow, packed_meta: bytes, packed_text: bytes, wanted: _Wanted) -> _Hits:
    """The lines of one block that are wanted."""
    hits = _Hits(row)
    try:
        text = unpack_text(packed_text)
        folded = text.lower() if wanted.matcher.ignores_case else text
        matching = _matching(text, folded, wanted.matcher, row.lines)
        # Most blocks that are looked through have no such line: what is known of theirs stays packed.
        if (newest := next(matching, None)) is not None:
            hits.meta = unpack_meta(packed_meta)
            hits.lines = _lines_wanted(chain((newest,), matching), hits.meta, wanted)
    except BrokenBlock as error:
        hits.error = error
    return hits


def _lines_wanted(
    matching: Iterable[tuple[int, bytes]], meta: Meta, wanted: _Wanted
) -> list[tuple[int, bytes]]:
    last = meta.count if wanted.before is None else meta.index_of(wanted.before)
    found: list[tuple[int, bytes]] = []
    for index, line in matching:
        if (
            index < last
            and wanted.start_ms <= meta.times_ms[index] < wanted.end_ms
            and (wanted.stream_ids is None or meta.streams[index] in wanted.stream_ids)
        ):
            found.append((index, line))
            if wanted.most is not None and len(found) >= wanted.most:
                break
    return found


def _matching(text: bytes, folded: bytes, matcher: Matcher, count: int) -> Iterator[tuple[int, bytes]]:
    """Lines that match, newest first, with their indexes; the text has `count` lines."""
    is_plain, matches, needles = matcher.is_plain, matcher.matches, matcher.needles
    if not needles:
        lines = text.split(b"\n")
        for index in range(count - 1, -1, -1):
            if is_plain or matches(lines[index]):
                yield index, lines[index]
        return
    rarest = _rarest(folded, needles)
    places = _places(folded, rarest)
    if not places or any(find_far(folded, needle) < 0 for needle in needles if needle is not rarest):
        return
    index, counted = count - 1, len(text)
    for at in reversed(places):
        start, end = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
        if not is_plain:
            has_all = all(folded.find(needle, start, end) >= 0 for needle in needles)
            if not has_all or not matches(text[start:end]):
                continue
        # Which line it is takes longer to tell than whether it matches.
        index -= text.count(b"\n", end + 1, counted)
        counted = end + 1
        yield index, text[start:end]


def _places(text: bytes, needle: bytes) -> list[int]:
    """Where a needle is, once in each line that has it."""
    places: list[int] = []
    start = 0
    while True:
        # What is near is found sooner by itself, what is far without holding up other threads.
        at = text.find(needle, start, start + _NEAR_BYTES)
        if at < 0:
            at = find_far(text, needle, max(start, start + _NEAR_BYTES - len(needle)))
            if at < 0:
                return places
        places.append(at)
        start = text.find(b"\n", at) + 1  # a text ends with a line break


def _rarest(text: bytes, needles: Sequence[bytes]) -> bytes:
    """Which of them to look at lines for: the rarest at the beginning of the text, of these the longest.

    The name of a field is in every line of JSON, and its value in few.
    """
    if len(needles) == 1:
        return needles[0]
    return min(needles, key=lambda needle: (text.count(needle, 0, _SAMPLE_BYTES), -len(needle)))


def _kept(snapshot: Snapshot, hits: _Hits) -> list[KeptLine]:
    if hits.meta is None or not hits.lines:
        return []
    group = snapshot.groups[hits.row.group_id]
    return [
        KeptLine(
            hits.meta.id_of(index),
            hits.meta.times_ms[index] / 1000,
            group,
            snapshot.stream(hits.meta.streams[index]),
            text,
        )
        for index, text in hits.lines
    ]


def _count_whole(
    rows: Sequence[BlockRow], wanted: _Wanted, start: float, period_s: float, buckets: list[int]
) -> list[BlockRow]:
    """Count blocks that lie in one period, wholly wanted, without reading them; the others are returned."""
    rest = []
    for row in rows:
        first, last = int((row.first_at - start) // period_s), int((row.last_at - start) // period_s)
        is_whole = wanted.start_ms <= row.first_at * 1000 and row.last_at * 1000 < wanted.end_ms
        if first == last and is_whole and 0 <= first < len(buckets):
            buckets[first] += row.lines
        else:
            rest.append(row)
    return rest


def _count_hits(hits: _Hits, start: float, period_s: float, buckets: list[int]) -> None:
    if hits.meta is None:
        return
    for index, _ in hits.lines:
        bucket = int((hits.meta.times_ms[index] / 1000 - start) // period_s)
        if 0 <= bucket < len(buckets):
            buckets[bucket] += 1
