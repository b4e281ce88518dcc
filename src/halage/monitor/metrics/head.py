"""The head: what was written since the last compaction, on the disk by tick and in memory by series.

A write is one row: the ids and values of a tick, or of a part of it. What the rows say is in memory as
well, by series and hour, and there it is read and compacted. A chunk says through which row it holds
its hour, so a start after a kill -9 takes each row in exactly once, whatever compaction had done.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import structlog

from halage.monitor.metrics.blocks import Hour, Known
from halage.monitor.metrics.chunks import CorruptChunk, decode_hour, decode_rung
from halage.monitor.metrics.database import MetricDatabase, is_damage, keep_fact, set_aside
from halage.monitor.metrics.errors import MetricsFull
from halage.monitor.metrics.forgotten import Forgotten
from halage.monitor.metrics.ladder import HOUR_S, LATENESS_S, MINUTES, RUNGS, starts_of_chunks
from halage.monitor.metrics.model import SILENT_S, Cursor, Kind, SeriesKey
from halage.monitor.metrics.registry import Registry
from halage.monitor.metrics.sketch import Sketch
from halage.monitor.metrics.ticks import decode_tick, encode_tick

_ROWS_AT_ONCE = 64
_FORGOTTEN = "forgotten "
"""Begins the names of facts that say when a project was deleted."""
log = structlog.get_logger()


def open_head(directory: Path, most_series: int, now: float) -> "Head":
    """The head of the store in a directory; a damaged database is set aside and a new one begun.

    Raises MetricsFull when none can be opened or made there.
    """
    head = Head(MetricDatabase(directory), Registry(most_series))
    try:
        head.load(now)
    except sqlite3.DatabaseError as error:
        head.database.close()
        if not is_damage(error):
            raise MetricsFull(f"The metrics cannot be read: {error} ({directory}).") from error
        set_aside(head.database.path, error)
        head = Head(MetricDatabase(directory), Registry(most_series))
        head.load(now)
    return head


class Head:
    """The series and their newest hours. Writers hold the database's lock; readers take `memory` only."""

    def __init__(self, database: MetricDatabase, registry: Registry) -> None:
        self.database = database
        self.registry = registry
        self.memory = threading.Lock()
        """Held for the moment in which series or hours are looked at or changed."""
        self.last_row = 0
        """The newest row of the head."""
        self.compacted_end = 0
        """Where the compacted hours end: nothing later is on the disk, but what `ahead` says."""
        self.ahead: set[int] = set()
        """Hours that were compacted although they lie in the future: the clock was wrong."""
        self.forgotten = Forgotten()
        """Projects whose samples are taken in no more."""

    def load(self, now: float) -> None:
        """Read the series and take in the rows; raises sqlite3.Error."""
        fetch = self.database.fetch
        for row in fetch("SELECT id, name, dimensions, kind, resolution_s, first_at, last_at FROM series"):
            key = SeriesKey(row[1], tuple((name, value) for name, value in json.loads(row[2])))
            self.registry.add(Known(row[0], key, Kind(row[3]), row[4], row[5], row[6]))
        facts = dict(fetch("SELECT name, value FROM facts"))
        self.compacted_end = int(facts.get("compacted_end", 0))
        self.forgotten = Forgotten(
            {name.removeprefix(_FORGOTTEN): at for name, at in facts.items() if name.startswith(_FORGOTTEN)}
        )
        ahead = fetch("SELECT DISTINCT hour FROM chunks WHERE hour >= ?", (self.compacted_end,))
        self.ahead = {hour for (hour,) in ahead}
        self._replay()
        self.registry.count_active(now)

    def append(
        self,
        at: int,
        resolution_s: int,
        taken: Sequence[tuple[Known, float | Sketch]],
        new: Sequence[Known],
        cursor: Cursor | None = None,
    ) -> None:
        """Commit samples as one row, the new series and the cursor with it, then take them into memory.

        The caller holds the database's lock. Raises MetricsFull, and then nothing is kept.
        """
        hour_at = at - at % HOUR_S
        self._prepare(hour_at, (known for known, _ in taken if known.id))
        try:
            with self.database.change() as connection:
                for known in new:
                    known.id = _insert(connection, known)
                blobs = encode_tick([known.id for known, _ in taken], [value for _, value in taken])
                row = connection.execute(
                    "INSERT INTO head (at, resolution_s, series, numbers, sketches) VALUES (?, ?, ?, ?, ?)",
                    (at, resolution_s, *blobs),
                ).lastrowid
                if cursor is not None:
                    keep_fact(connection, f"cursor {cursor[0]}", cursor[1])
        except BaseException:
            for known in new:
                known.id = 0
            raise
        with self.memory:
            for known in new:
                self.registry.add(known)
                known.hours[hour_at] = Hour()
            for known, value in taken:
                self.registry.version += at - known.last_at >= SILENT_S
                known.put(at, resolution_s, value)
            self.last_row = row or 0

    def forget_place(self, place: str, now: float) -> None:
        """Take in no more samples of ticks that began before now of a project or environment (its name).

        Raises MetricsFull.
        """
        with self.database.writing:
            with self.database.change() as connection:
                # Nothing that is older than that is taken in of any project.
                query = "DELETE FROM facts WHERE name GLOB ? AND value < ?"
                connection.execute(query, (f"{_FORGOTTEN}*", now - 2 * LATENESS_S))
                keep_fact(connection, f"{_FORGOTTEN}{place}", now)
            self.forgotten.note(place, now)

    def is_on_disk(self, hour_at: int) -> bool:
        """Whether the hour may have chunks."""
        return hour_at < self.compacted_end or hour_at in self.ahead

    def _prepare(self, hour_at: int, series: Iterable[Known]) -> None:
        """Have the hour of these series in memory, as a whole."""
        for known in series:
            if hour_at not in known.hours:
                hour = self._load_hour(known, hour_at) if self.is_on_disk(hour_at) else Hour()
                with self.memory:
                    known.hours[hour_at] = hour

    def _load_hour(self, known: Known, hour_at: int) -> Hour:
        """An hour that was compacted already: only a clock that was set back leads here."""
        try:
            rows = self.database.fetch(
                "SELECT data, is_partial FROM chunks WHERE hour = ? AND series = ?", (hour_at, known.id)
            )
            if rows and not rows[0][1]:
                return decode_hour(known, hour_at, rows[0][0])
        except (CorruptChunk, sqlite3.Error) as error:
            log.error(
                "a chunk of metrics is damaged",
                action="metrics:Write",
                subject=str(known.key),
                start=hour_at,
                reason=str(error),
            )
        hour = Hour()
        hour.is_partial = self._is_in_ladder(known, hour_at)
        return hour

    def _is_in_ladder(self, known: Known, hour_at: int) -> bool:
        """Whether the ladder has something of the hour, whose samples are gone."""
        start = hour_at - hour_at % MINUTES.span_s
        first = (hour_at - start) // MINUTES.resolution_s
        try:
            rows = self.database.fetch(
                "SELECT data FROM rungs WHERE resolution_s = ? AND start = ? AND series = ?",
                (MINUTES.resolution_s, start, known.id),
            )
            counts = decode_rung(MINUTES, start, rows[0][0]).count if rows else []
        except (CorruptChunk, sqlite3.Error):
            return True
        return any(counts[first : first + HOUR_S // MINUTES.resolution_s])

    def _replay(self) -> None:
        fetch = self.database.fetch
        since = fetch("SELECT coalesce(min(at), 0) FROM head")[0][0]
        rows = fetch("SELECT series, hour, through FROM chunks WHERE hour >= ?", (since - since % HOUR_S,))
        through = {(series, hour): last for series, hour, last in rows}
        self.last_row = fetch("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'head'")[0][0]
        row = 0
        while batch := fetch(
            "SELECT id, at, resolution_s, series, numbers, sketches FROM head"
            " WHERE id > ? ORDER BY id LIMIT ?",
            (row, _ROWS_AT_ONCE),
        ):
            for row, at, resolution_s, *blobs in batch:
                try:
                    self._take_in(row, at, resolution_s, list(decode_tick(*blobs)), through)
                except (ValueError, IndexError) as error:
                    log.error(
                        "a tick of metrics is damaged",
                        action="metrics:Open",
                        subject="metrics",
                        at=at,
                        reason=str(error),
                    )

    def _take_in(
        self,
        row: int,
        at: int,
        resolution_s: int,
        values: Iterable[tuple[int, float | Sketch]],
        through: Mapping[tuple[int, int], int],
    ) -> None:
        """Take a row of the head into memory, but what is in chunks already."""
        hour_at = at - at % HOUR_S
        for series, value in values:
            known = self.registry.of(series)
            if known is None or row <= through.get((series, hour_at), 0):
                continue
            if hour_at not in known.hours:
                self._prepare(hour_at, (known,))
            known.put(at, resolution_s, value)


def delete_series(connection: sqlite3.Connection, known: Known, hours: Sequence[int]) -> None:
    """Delete a series and its chunks; `hours` are those that there are chunks of."""
    connection.execute("DELETE FROM series WHERE id = ?", (known.id,))
    query = "DELETE FROM chunks WHERE series = ? AND hour IN (SELECT value FROM json_each(?))"
    connection.execute(query, (known.id, json.dumps(hours)))
    for rung in RUNGS:
        # By where its chunks begin: the index knows no series without that, and would be read whole.
        starts = list(starts_of_chunks(rung, known.first_at, known.last_at + HOUR_S))
        connection.execute(
            "DELETE FROM rungs WHERE resolution_s = ? AND series = ?"
            " AND start IN (SELECT value FROM json_each(?))",
            (rung.resolution_s, known.id, json.dumps(starts)),
        )


def _insert(connection: sqlite3.Connection, known: Known) -> int:
    return (
        connection.execute(
            "INSERT INTO series (name, dimensions, kind, resolution_s, first_at, last_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                known.key.name,
                json.dumps(known.key.dimensions, ensure_ascii=False, separators=(",", ":")),
                known.kind,
                known.resolution_s,
                known.first_at,
                known.last_at,
            ),
        ).lastrowid
        or 0
    )
