"""Writes lines: pieces as they come, merged into blocks, removed by age and size. One thread calls it."""

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from halage.monitor.inventory import LogLimits, place_name
from halage.monitor.logs import block as blocks
from halage.monitor.logs.block import Block, Meta
from halage.monitor.logs.errors import BrokenBlock
from halage.monitor.logs.grams import filter_of
from halage.monitor.logs.model import Group, Line
from halage.monitor.logs.rules import BLOCK_BYTES, BROKEN, FINAL, Merge, OpenBlock, pieces_of, plan_merge
from halage.monitor.logs.schema import open_writer, set_aside

_REMOVED_AT_ONCE = 256
_SPARE_PAGES = 512
"""Free pages that the file keeps for what comes next; more is given back to the disk."""
_VACUUMED_AT_ONCE = 4096
_FORGOTTEN = "forgotten "
"""Begins the names of facts that say when a project was deleted."""
_LATE_S = 3600.0
"""Lines of a deleted project that come later than that are a new project's of the same name: a clock that
was set back must not cost it any."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Source:
    """Where lines were read from, so that each is kept once, whatever dies in between.

    `first` to `end` is what they cover: bytes of an output (all of the lines or none are new), or
    with `is_numbered` the numbers of the lines (those before the known position are left out). `places`
    are the bytes of a file at which the lines end, each by itself.
    """

    name: str
    first: int
    end: int
    is_numbered: bool = False
    places: Sequence[int] = ()

    @property
    def is_told_once(self) -> bool:
        """Whether lines that there is no room for are lost: nobody tells them again."""
        return self.is_numbered or bool(self.places)


@dataclass(frozen=True, slots=True)
class Entry:
    """Lines of one stream that came together."""

    group: Group
    stream: str
    lines: Sequence[Line]
    source: Source | None = None
    size_bytes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class KeepLimits:
    """How long lines are kept, and how large the file may be: whichever is reached first."""

    keep_s: float = 30 * 86400.0
    keep_bytes: int = 4096 * 1024**2


NO_LIMITS: Mapping[str, LogLimits] = {}


@dataclass(slots=True)
class _Fresh:
    """What a write adds to one group."""

    texts: list[bytes] = field(default_factory=list)
    times_ms: "array[int]" = field(default_factory=lambda: array("q"))
    streams: "array[int]" = field(default_factory=lambda: array("q"))


class LogStore:
    """The file of all lines. Each write is one transaction: lines and the positions of their sources.

    Methods raise sqlite3.OperationalError while the disk is full; nothing is half done then.
    """

    def __init__(self, directory: Path, limits: KeepLimits) -> None:
        """Take the directory; the file is opened at the first use, so a full disk stops no start."""
        self._directory = directory
        self._limits = limits
        self._connection: sqlite3.Connection | None = None
        self._groups: dict[str, int] = {}
        self._streams: dict[tuple[int, str], int] = {}

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_writer(self._directory)
        return self._connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            self._groups.clear()  # what the transaction made is gone
            self._streams.clear()
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._groups.clear()
        self._streams.clear()

    def open(self) -> int:
        """Open the file; the id of the last line."""
        row = self._db.execute("SELECT value FROM facts WHERE name='next_id'").fetchone()
        return int(row[0]) - 1

    # -- taking in

    def write(self, entries: Sequence[Entry], now: float) -> list[Entry]:
        """Keep lines and the positions of their sources; returns what of it was new.

        A file that is damaged where it must be written is set aside at the next use.
        """
        try:
            return self._write(entries, now)
        except sqlite3.DatabaseError as error:
            if type(error) is sqlite3.DatabaseError:  # "malformed"; its subclasses mean other things
                self.close()
                set_aside(self._directory, str(error))
            raise

    def _write(self, entries: Sequence[Entry], now: float) -> list[Entry]:
        with self._transaction() as db:
            next_id = int(db.execute("SELECT value FROM facts WHERE name='next_id'").fetchone()[0])
            fresh: dict[int, _Fresh] = {}
            written: list[Entry] = []
            forgotten = self._forgotten(now)
            for entry in entries:
                lines = self._advance(entry, now)
                gone_at = max(
                    (forgotten[name] for name in entry.group.places if name in forgotten), default=None
                )
                if gone_at is not None:
                    lines = [line for line in lines if line.at > gone_at]
                if lines:
                    written.append(entry if lines is entry.lines else replace(entry, lines=lines))
                    group_id = self._group_id(entry.group)
                    stream_id = self._stream_id(group_id, entry.stream, next_id)
                    _add(fresh.setdefault(group_id, _Fresh()), stream_id, lines)
            for group_id, added in fresh.items():
                next_id = self._insert_pieces(group_id, added, next_id)
            db.execute("UPDATE facts SET value=? WHERE name='next_id'", (next_id,))
        return written

    def _advance(self, entry: Entry, now: float) -> Sequence[Line]:
        """The lines of an entry that are new; its source's position is moved past them."""
        source = entry.source
        if source is None:
            return entry.lines
        known = self.position(source.name)
        if source.end <= known:
            return ()
        self._db.execute(
            "INSERT INTO sources VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
            " SET position=excluded.position, touched_at=excluded.touched_at",
            (source.name, source.end, now),
        )
        if source.places:
            return [line for line, end in zip(entry.lines, source.places, strict=True) if end > known]
        return entry.lines[max(0, known - source.first) :] if source.is_numbered else entry.lines

    def position(self, source: str) -> int:
        """Up to where a source is kept; 0 for one that was never read."""
        row = self._db.execute("SELECT position FROM sources WHERE name=?", (source,)).fetchone()
        return int(row[0]) if row else 0

    def forget_sources(self, known: Iterable[str], before: float) -> None:
        """Drop the positions of sources that are not known any more and were not read since `before`."""
        old = self._db.execute("SELECT name FROM sources WHERE touched_at < ?", (before,)).fetchall()
        gone = {name for (name,) in old} - set(known)
        with self._transaction() as db:
            db.executemany("DELETE FROM sources WHERE name=?", [(name,) for name in gone])

    def _group_id(self, group: Group) -> int:
        if (known := self._groups.get(group.name)) is None:
            self._db.execute("INSERT INTO groups (name) VALUES (?) ON CONFLICT DO NOTHING", (group.name,))
            known = self._db.execute("SELECT id FROM groups WHERE name=?", (group.name,)).fetchone()[0]
            self._groups[group.name] = known
        return known

    def _stream_id(self, group_id: int, name: str, line_id: int) -> int:
        if (known := self._streams.get((group_id, name))) is None:
            self._db.execute(
                "INSERT INTO streams (group_id, name, last_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (group_id, name, line_id),
            )
            query = "SELECT id FROM streams WHERE group_id=? AND name=?"
            known = self._db.execute(query, (group_id, name)).fetchone()[0]
            self._streams[(group_id, name)] = known
        return known

    def _insert_pieces(self, group_id: int, fresh: _Fresh, next_id: int) -> int:
        start, size = 0, 0
        for end, text in enumerate(fresh.texts, 1):
            size += len(text) + 1
            if size < BLOCK_BYTES and end < len(fresh.texts):
                continue
            meta = Meta([(next_id, end - start)], fresh.times_ms[start:end], fresh.streams[start:end])
            self._insert(group_id, 0, Block(meta, blocks.join_texts(fresh.texts[start:end])))
            next_id += end - start
            start, size = end, 0
        self._db.executemany(
            "UPDATE streams SET last_id=? WHERE id=?", [(next_id - 1, each) for each in set(fresh.streams)]
        )
        return next_id

    def _insert(self, group_id: int, level: int, block: Block) -> None:
        meta, times = block.meta, block.meta.times_ms
        strength = blocks.SMALL if level else blocks.FAST
        spans = meta.spans
        row = (
            group_id,
            level,
            spans[0][0],
            sum(spans[-1]) - 1,
            meta.count,
            min(times) / 1000,
            max(times) / 1000,
            len(block.text),
        )
        cursor = self._db.execute("INSERT INTO blocks VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        filter_ = filter_of(block.text) if level == FINAL else None
        body = (
            cursor.lastrowid,
            filter_,
            blocks.pack_meta(meta, strength),
            blocks.pack_text(block.text, strength),
        )
        self._db.execute("INSERT INTO bodies VALUES (?, ?, ?, ?)", body)

    # -- merging

    def merge_once(self) -> bool:
        """Merge some blocks of one group, if there is something to merge; says whether there was."""
        query = "SELECT DISTINCT group_id FROM blocks INDEXED BY open_blocks WHERE level < 9"
        for (group_id,) in self._db.execute(query).fetchall():
            rows = self._db.execute(
                "SELECT id, level, raw_bytes FROM blocks WHERE group_id=? AND level < 9 ORDER BY first_id",
                (group_id,),
            )
            plan = plan_merge([OpenBlock(*row) for row in rows])
            if plan is not None:
                self._merge(group_id, plan)
                return True
        return False

    def _merge(self, group_id: int, plan: Merge) -> None:
        whole: list[Block] = []
        for block_id in plan.ids:
            try:
                whole.append(self._read(block_id))
            except (BrokenBlock, sqlite3.DatabaseError) as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                log.error(
                    "log block is damaged",
                    action="monitor:KeepLogs",
                    subject=f"block {block_id}",
                    reason=str(error),
                )
                with self._transaction() as db:
                    db.execute("UPDATE blocks SET level=? WHERE id=?", (BROKEN, block_id))
                return
        with self._transaction():
            self._remove(plan.ids)
            self._insert(group_id, plan.level, blocks.merge(whole))

    def _read(self, block_id: int) -> Block:
        row = self._db.execute("SELECT meta, text FROM bodies WHERE id=?", (block_id,)).fetchone()
        if row is None:
            raise BrokenBlock("its lines are missing")
        return Block(blocks.unpack_meta(row[0]), blocks.unpack_text(row[1]))

    def _remove(self, ids: Sequence[int]) -> None:
        for table in ("blocks", "bodies"):
            self._db.executemany(f"DELETE FROM {table} WHERE id=?", [(each,) for each in ids])  # noqa: S608

    # -- removing

    def drop_old(self, now: float, limits: Mapping[str, LogLimits] = NO_LIMITS) -> int:
        """Remove what is too old, then while the file is too large the oldest of its largest group.

        `limits`: those of environments by name, which hold besides. Returns how many blocks went.
        """
        query = "SELECT id, group_id, last_id FROM blocks WHERE last_at < ? ORDER BY last_id LIMIT ?"
        gone = self._drop(self._db.execute(query, (now - self._limits.keep_s, _REMOVED_AT_ONCE)).fetchall())
        for place, own in limits.items():
            if own.keep_s is not None or own.keep_bytes is not None:
                gone += self._drop(list(self._past(place, own, now)))
        while (surplus := self.used_bytes - self._limits.keep_bytes) > 0:
            oldest = self._oldest(surplus)
            if not oldest:
                break
            gone += self._drop(oldest)
        if gone:
            self._give_back()
        return gone

    def _past(self, place: str, limits: LogLimits, now: float) -> Iterator[tuple[int, int, int]]:
        """The blocks of an environment that its own limits do not keep, at most so many at once."""
        query = (
            "SELECT blocks.id, group_id, last_id, last_at, length(meta) + length(text) FROM blocks"
            " JOIN bodies ON bodies.id = blocks.id JOIN groups ON groups.id = group_id"
            " WHERE groups.name IN (?, ?) ORDER BY last_id DESC"
        )
        names = (f"{place}/instances", f"{place}/access")
        size, found = 0, 0
        for block_id, group_id, last_id, last_at, bytes_ in self._db.execute(query, names).fetchall():
            size += bytes_
            is_old = limits.keep_s is not None and last_at < now - limits.keep_s
            is_much = limits.keep_bytes is not None and size > limits.keep_bytes
            if (is_old or is_much) and found < _REMOVED_AT_ONCE:
                found += 1
                yield block_id, group_id, last_id

    def _oldest(self, surplus_bytes: int) -> list[tuple[int, int, int]]:
        """The oldest blocks of whichever group is the largest, so that one that floods costs no other any."""
        query = (
            "SELECT group_id, sum(length(meta) + length(text)) FROM blocks"
            " JOIN bodies ON bodies.id = blocks.id GROUP BY group_id"
        )
        sizes = dict(self._db.execute(query).fetchall())
        blocks_of = {group_id: self._from_oldest(group_id) for group_id in sizes}
        chosen: list[tuple[int, int, int]] = []
        while surplus_bytes > 0 and len(chosen) < _REMOVED_AT_ONCE and any(sizes.values()):
            group_id = max(sizes, key=sizes.__getitem__)
            block_id, last_id, size = next(blocks_of[group_id], (0, 0, sizes[group_id]))
            sizes[group_id] -= size
            if block_id:
                chosen.append((block_id, group_id, last_id))
                surplus_bytes -= size
        return chosen

    def _from_oldest(self, group_id: int) -> Iterator[tuple[int, int, int]]:
        """Id, last line and size of the blocks of a group."""
        yield from self._db.execute(
            "SELECT blocks.id, last_id, length(meta) + length(text) FROM blocks"
            " JOIN bodies ON bodies.id = blocks.id WHERE group_id=? ORDER BY last_id LIMIT ?",
            (group_id, _REMOVED_AT_ONCE),
        )

    def _drop(self, rows: Sequence[tuple[int, int, int]]) -> int:
        if not rows:
            return 0
        with self._transaction() as db:
            self._remove([block_id for block_id, _, _ in rows])
            for _, group_id, last_id in rows:
                db.execute(
                    "UPDATE groups SET lost_through=max(lost_through, ?) WHERE id=?", (last_id, group_id)
                )
            for group_id in {group_id for _, group_id, _ in rows}:
                db.execute(
                    "DELETE FROM streams WHERE group_id=?1 AND last_id < coalesce("
                    "(SELECT min(first_id) FROM blocks WHERE group_id=?1), 0)",
                    (group_id,),
                )
            self._streams.clear()
        return len(rows)

    def forget_place(self, project: str, environment: str | None, now: float) -> None:
        """Remove the groups of a project, or of one environment of it, with all their lines, and what still
        comes in of its time.
        """
        place = place_name(project, environment)
        starts = (f"{place}.", f"{place}/") if environment is None else (f"{place}/",)
        with self._transaction() as db:
            for group_id, name in db.execute("SELECT id, name FROM groups").fetchall():
                if not name.startswith(starts):
                    continue
                ids = db.execute("SELECT id FROM blocks WHERE group_id=?", (group_id,)).fetchall()
                self._remove([block_id for (block_id,) in ids])
                db.execute("DELETE FROM streams WHERE group_id=?", (group_id,))
                db.execute("DELETE FROM groups WHERE id=?", (group_id,))
            old = int((now - _LATE_S) * 1000)
            db.execute("DELETE FROM facts WHERE name GLOB ? AND value < ?", (f"{_FORGOTTEN}*", old))
            name, now_ms = f"{_FORGOTTEN}{place}", int(now * 1000)
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, now_ms))
            self._groups.clear()
            self._streams.clear()
        self._give_back()

    def _forgotten(self, now: float) -> dict[str, float]:
        """Projects and environments that were removed lately, by their names, and when."""
        rows = self._db.execute(
            "SELECT name, value FROM facts WHERE name GLOB ? AND value BETWEEN ? AND ?",
            (f"{_FORGOTTEN}*", int((now - _LATE_S) * 1000), int(now * 1000)),
        )
        return {name.removeprefix(_FORGOTTEN): at_ms / 1000 for name, at_ms in rows}

    @property
    def used_bytes(self) -> int:
        """What lines take on the disk."""
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        size = self._db.execute("PRAGMA page_size").fetchone()[0]
        return int((pages - free) * size)

    def _give_back(self) -> None:
        """Shorten the file by what is free, but for a little that the next lines take."""
        free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        if free > _SPARE_PAGES:
            wanted = min(free - _SPARE_PAGES, _VACUUMED_AT_ONCE)
            # Not `execute`: that takes one step, and each step frees one page.
            self._db.executescript(f"PRAGMA incremental_vacuum({wanted})")
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _add(fresh: _Fresh, stream_id: int, lines: Sequence[Line]) -> None:
    texts = fresh.texts
    before = len(texts)
    for line in lines:
        count = len(texts)
        texts.extend(pieces_of(line.text))
        at_ms = int(line.at * 1000)
        for _ in range(len(texts) - count):
            fresh.times_ms.append(at_ms)
    fresh.streams.extend([stream_id] * (len(texts) - before))
