"""The head: what was written since the last compaction, on the disk by tick and in memory by series.

A write is one row: the ids and values of a tick, or of a part of it. What the rows say is in memory as
well, by series and hour, and there it is read and compacted. A chunk says through which row it holds
its hour, so a start after a kill -9 takes each row in exactly once, whatever compaction had done.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence

import structlog

from halage.monitor.metrics.blocks import Hour, Known
from halage.monitor.metrics.catalogue import Catalogue
from halage.monitor.metrics.chunks import CorruptChunk, decode_hour
from halage.monitor.metrics.database import MetricDatabase
from halage.monitor.metrics.ladder import HOUR_S
from halage.monitor.metrics.model import Kind, SeriesKey
from halage.monitor.metrics.sketch import Sketch
from halage.monitor.metrics.ticks import decode_tick, encode_tick

_ROWS_AT_ONCE = 64
log = structlog.get_logger()


class Head:
    """The series and their newest hours. Writers hold the database's lock; readers take `memory` only."""

    def __init__(self, database: MetricDatabase, catalogue: Catalogue) -> None:
        self._database = database
        self.catalogue = catalogue
        self.memory = threading.Lock()
        """Held for the moment in which series or hours are looked at or changed."""
        self.last_row = 0
        """The newest row of the head."""
        self.compacted_end = 0
        """Where the compacted hours end: nothing later is on the disk, but what `ahead` says."""
        self.ahead: set[int] = set()
        """Hours that were compacted although they lie in the future: the clock was wrong."""

    def load(self, now: float) -> None:
        """Read the series and take in the rows; raises sqlite3.Error."""
        fetch = self._database.fetch
        for row in fetch("SELECT id, name, dimensions, kind, resolution_s, first_at, last_at FROM series"):
            key = SeriesKey(row[1], tuple((name, value) for name, value in json.loads(row[2])))
            self.catalogue.add(Known(row[0], key, Kind(row[3]), row[4], row[5], row[6]))
        facts = dict(fetch("SELECT name, value FROM facts"))
        self.compacted_end = int(facts.get("compacted_end", 0))
        ahead = fetch("SELECT DISTINCT hour FROM chunks WHERE hour >= ?", (self.compacted_end,))
        self.ahead = {hour for (hour,) in ahead}
        self._replay()
        self.catalogue.count_active(now)

    def append(self, at: int, resolution_s: int, taken: Sequence[tuple[Known, float | Sketch]]) -> None:
        """Commit samples as one row, new series (id 0) with it, then take them into memory.

        The caller holds the database's lock. Raises MetricsFull, and then nothing is kept.
        """
        hour_at = at - at % HOUR_S
        new = list({id(known): known for known, _ in taken if not known.id}.values())
        self._prepare(hour_at, (known for known, _ in taken if known.id))
        ids: list[int] = []
        try:
            with self._database.change() as connection:
                for known in new:
                    known.id = _insert(connection, known)
                ids.extend(known.id for known, _ in taken)
                row = connection.execute(
                    "INSERT INTO head (at, resolution_s, series, numbers, sketches) VALUES (?, ?, ?, ?, ?)",
                    (at, resolution_s, *encode_tick(ids, [value for _, value in taken])),
                ).lastrowid
        except BaseException:
            for known in new:
                known.id = 0
            raise
        with self.memory:
            for known in new:
                self.catalogue.add(known)
                known.hours[hour_at] = Hour()
            for known, value in taken:
                known.put(at, resolution_s, value)
            self.last_row = row or 0

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
        rows = self._database.fetch(
            "SELECT data, is_partial FROM chunks WHERE hour = ? AND series = ?", (hour_at, known.id)
        )
        if rows and not rows[0][1]:
            try:
                return decode_hour(known, hour_at, rows[0][0])
            except CorruptChunk as error:
                log.warning(
                    "a chunk is damaged", action="metrics:Write", subject=str(known.key), reason=str(error)
                )
        hour = Hour()
        hour.is_partial = True
        return hour

    def _replay(self) -> None:
        fetch = self._database.fetch
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
                hour_at = at - at % HOUR_S
                for series, value in decode_tick(*blobs):
                    known = self.catalogue.of(series)
                    if known is None or row <= through.get((series, hour_at), 0):
                        continue
                    if hour_at not in known.hours:
                        self._prepare(hour_at, (known,))
                    known.put(at, resolution_s, value)


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
