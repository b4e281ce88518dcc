"""Reads what is kept: groups, lines in the order in which they came, blocks for searches. Thread safe.

Each reading has a connection and a snapshot of its own, so that lines which are merged or removed
meanwhile are neither missed nor seen twice.
"""

import fnmatch
import heapq
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from halage.base.errors import Unavailable
from halage.monitor.logs.block import Meta, unpack_meta, unpack_text
from halage.monitor.logs.errors import BrokenBlock
from halage.monitor.logs.grams import may_hold
from halage.monitor.logs.model import Group, GroupSummary, KeptLine
from halage.monitor.logs.schema import open_reader

_STREAMS_SHOWN = 100
GAP_STREAM = "halage"
"""Of what stands for lines that cannot be read: whose they were is not known."""
_COLUMNS = "id, group_id, first_id, last_id, lines, first_at, last_at"


@dataclass(frozen=True, slots=True)
class BlockRow:
    """What is known of a block without reading it."""

    id: int
    group_id: int
    first_id: int
    last_id: int
    lines: int
    first_at: float
    last_at: float


@dataclass(slots=True)
class Snapshot:
    """The store at one moment."""

    db: sqlite3.Connection
    groups: Mapping[int, str]
    """Names of all groups by id."""
    _streams: dict[int, str] = field(default_factory=dict)

    def ids_of(self, names: Iterable[str]) -> list[int]:
        """The ids of the groups that there are; `*` in a name stands for any characters."""
        patterns = [re.compile(fnmatch.translate(name.replace("[", "[[]"))) for name in names]
        return [id_ for id_, name in self.groups.items() if any(each.match(name) for each in patterns)]

    def stream(self, stream_id: int) -> str:
        """The name of a stream."""
        if stream_id not in self._streams:
            row = self.db.execute("SELECT name FROM streams WHERE id=?", (stream_id,)).fetchone()
            self._streams[stream_id] = row[0] if row else "?"
        return self._streams[stream_id]

    def stream_ids(self, group_ids: Sequence[int], name: str) -> frozenset[int]:
        """The ids of the streams of that name in these groups."""
        found: set[int] = set()
        for group_id in group_ids:
            query = "SELECT id FROM streams WHERE group_id=? AND name=?"
            found.update(id_ for (id_,) in self.db.execute(query, (group_id, name)))
        return frozenset(found)

    def blocks_before(self, group_ids: Sequence[int], before: int | None) -> list[BlockRow]:
        """Blocks with lines before an id, the newest first."""
        found: list[BlockRow] = []
        for group_id in group_ids:
            query = f"SELECT {_COLUMNS} FROM blocks WHERE group_id=? AND first_id < ?"  # noqa: S608
            found += [
                BlockRow(*row)
                for row in self.db.execute(query, (group_id, _LAST if before is None else before))
            ]
        found.sort(key=lambda row: row.last_id, reverse=True)
        return found

    def blocks_after(self, group_id: int, after: int) -> Iterator[BlockRow]:
        """Blocks of a group with lines past an id, the oldest first."""
        query = (
            f"SELECT {_COLUMNS} FROM blocks INDEXED BY blocks_by_id"  # noqa: S608
            " WHERE group_id=? AND last_id > ? ORDER BY last_id LIMIT 1"
        )
        while (row := self.db.execute(query, (group_id, after)).fetchone()) is not None:
            found = BlockRow(*row)
            yield found
            after = found.last_id

    def filter(self, block_id: int) -> bytes | None:
        """The filter of a block; None where it has none."""
        try:
            row = self.db.execute("SELECT filter FROM bodies WHERE id=?", (block_id,)).fetchone()
        except sqlite3.DatabaseError:
            return None  # reading the block itself tells what is wrong
        return row[0] if row else None

    def may_hold(self, row: BlockRow, grams: tuple[int, ...]) -> bool:
        """Whether a block may hold a text with these grams."""
        if not grams:
            return True
        bits = self.filter(row.id)
        return bits is None or may_hold(bits, grams)

    def packed(self, block_id: int) -> tuple[bytes, bytes]:
        """Table of lines and text of a block, compressed. Raises BrokenBlock."""
        try:
            row = self.db.execute("SELECT meta, text FROM bodies WHERE id=?", (block_id,)).fetchone()
        except sqlite3.DatabaseError as error:
            raise BrokenBlock(f"the file is damaged there ({error})") from error
        if row is None:
            raise BrokenBlock("its lines are missing")
        return row[0], row[1]

    def describe(self, row: BlockRow, error: BrokenBlock) -> str:
        """Why a block's lines are missing from an answer, in words."""
        return (
            f"block {row.id} of {self.groups[row.group_id]} ({row.lines} lines, ids {row.first_id} to "
            f"{row.last_id}) cannot be read: {error.message}"
        )


_LAST = 2**62


class LogReader:
    """Reads the file of all lines."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot | None]:
        """The store as it is now; None while nothing was ever kept. Raises Unavailable."""
        try:
            connection = open_reader(self._directory)
            if connection is None:
                yield None
                return
        except sqlite3.Error as error:
            raise Unavailable(f"The logs cannot be read at the moment: {error}. Try again.") from error
        try:
            connection.execute("BEGIN")
            groups = dict(connection.execute("SELECT id, name FROM groups").fetchall())
            yield Snapshot(connection, groups)
        except sqlite3.Error as error:
            raise Unavailable(f"The logs cannot be read at the moment: {error}. Try again.") from error
        finally:
            connection.close()

    def groups(self, is_visible: Callable[[Group], bool]) -> list[GroupSummary]:
        """The groups with lines that are visible, by name."""
        with self.snapshot() as snapshot:
            if snapshot is None:
                return []
            found = []
            for group_id, name in snapshot.groups.items():
                group = Group.named(name)
                if is_visible(group) and (summary := _summary(snapshot, group_id, group)) is not None:
                    found.append(summary)
            return sorted(found, key=lambda summary: summary.name)

    def last_id(self) -> int:
        """The id of the newest line, 0 for none."""
        with self.snapshot() as snapshot:
            if snapshot is None:
                return 0
            row = snapshot.db.execute("SELECT value FROM facts WHERE name='next_id'").fetchone()
            return int(row[0]) - 1 if row else 0

    def read_after(
        self,
        names: Sequence[str],
        after: int,
        limit: int,
        most_bytes: int = 1024**2,
        grams: tuple[int, ...] = (),
    ) -> "Reading":
        """The next lines of these groups past an id, in order; at most so many lines and bytes (about).

        Blocks whose filter lacks one of the `grams` are passed over.
        """
        with self.snapshot() as snapshot:
            if snapshot is None:
                return Reading([], after, ())
            problems: list[str] = []
            ids = snapshot.ids_of(names)
            streams = [_lines_after(snapshot, id_, after, grams, problems) for id_ in ids]
            lines: list[KeptLine] = []
            size = 0
            for line in heapq.merge(*streams, key=lambda line: line.id):
                lines.append(line)
                size += len(line.text)
                if len(lines) >= limit or size >= most_bytes:
                    return Reading(lines, line.id, tuple(problems))
            row = snapshot.db.execute("SELECT value FROM facts WHERE name='next_id'").fetchone()
            return Reading(lines, max(after, int(row[0]) - 1), tuple(problems))

    def backlog(self, names: Sequence[str], after: int) -> "Backlog":
        """How much of these groups is past an id, and whether something past it is kept no more."""
        with self.snapshot() as snapshot:
            if snapshot is None:
                return Backlog(0, False)
            count, is_incomplete = 0, False
            for group_id in snapshot.ids_of(names):
                rows = snapshot.db.execute(
                    "SELECT lines, first_id, last_id FROM blocks WHERE group_id=? AND last_id > ?",
                    (group_id, after),
                )
                # A block that is partly behind: its ids may have gaps, so this is an estimate.
                count += sum(min(lines, last - max(first - 1, after)) for lines, first, last in rows)
                query = "SELECT lost_through FROM groups WHERE id=?"
                is_incomplete |= snapshot.db.execute(query, (group_id,)).fetchone()[0] > after
            return Backlog(count, is_incomplete)


@dataclass(frozen=True, slots=True)
class Reading:
    """Lines in order, and the id to go on after (past lines of other groups as well)."""

    lines: Sequence[KeptLine]
    next_after: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is past an id."""

    lines: int
    is_incomplete: bool
    """Lines past it were removed by age or size."""


def _lines_after(
    snapshot: Snapshot, group_id: int, after: int, grams: tuple[int, ...], problems: list[str]
) -> Iterator[KeptLine]:
    for row in snapshot.blocks_after(group_id, after):
        if not snapshot.may_hold(row, grams):
            continue
        try:
            packed_meta, packed_text = snapshot.packed(row.id)
            meta, text = unpack_meta(packed_meta), unpack_text(packed_text)
        except BrokenBlock as error:
            problems.append(snapshot.describe(row, error))
            yield _gap(snapshot, row, problems[-1])
            continue
        yield from kept_lines(snapshot, row, meta, text, meta.index_of(after + 1))


def _gap(snapshot: Snapshot, row: BlockRow, problem: str) -> KeptLine:
    """What stands for lines that cannot be read, in their place."""
    text = f"[Halage: {problem}]".encode()
    return KeptLine(row.last_id, row.last_at, snapshot.groups[row.group_id], GAP_STREAM, text, is_gap=True)


def kept_lines(
    snapshot: Snapshot, row: BlockRow, meta: Meta, text: bytes, first: int = 0
) -> Iterator[KeptLine]:
    """The lines of a block from an index on."""
    group = snapshot.groups[row.group_id]
    ids = list(meta.ids())
    texts = text.split(b"\n")
    for index in range(first, meta.count):
        stream = snapshot.stream(meta.streams[index])
        yield KeptLine(ids[index], meta.times_ms[index] / 1000, group, stream, texts[index])


def _summary(snapshot: Snapshot, group_id: int, group: Group) -> GroupSummary | None:
    row = snapshot.db.execute(
        "SELECT sum(lines), sum(raw_bytes), min(first_at), max(last_at) FROM blocks WHERE group_id=?",
        (group_id,),
    ).fetchone()
    if not row[0]:
        return None
    query = "SELECT name FROM streams WHERE group_id=? ORDER BY last_id DESC LIMIT ?"
    streams = snapshot.db.execute(query, (group_id, _STREAMS_SHOWN)).fetchall()
    lines, size_bytes, first_at, last_at = row
    return GroupSummary(
        group.name,
        group.project,
        group.environment,
        lines,
        size_bytes,
        first_at,
        last_at,
        tuple(name for (name,) in streams),
    )
