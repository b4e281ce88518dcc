"""Makes chunks of hours that nothing can be added to any more, and lets go of what is too old.

Everything is done in small transactions that can be repeated: an hour of a series is made from memory,
where it is whole, put in the place of whatever its chunks say of that hour, and leaves memory once that
is committed. Rows of the head go when all their hours have. A kill -9 between any two of these costs
nothing but that some of it is done again.
"""

import sqlite3
import threading
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import structlog

from halage.base.clock import Clock
from halage.monitor.metrics.aggregate import add_points, empty_buckets
from halage.monitor.metrics.blocks import Hour, Known
from halage.monitor.metrics.chunks import CorruptChunk, decode_rung, encode_hour, encode_rung
from halage.monitor.metrics.database import MetricDatabase, keep_fact
from halage.monitor.metrics.head import Head
from halage.monitor.metrics.ladder import (
    COMPACTED_AFTER_S,
    DAY_S,
    FIVE_MINUTES,
    HOUR_S,
    HOURS,
    MINUTES,
    RAW_KEEP_S,
    RUNGS,
    Rung,
)
from halage.monitor.metrics.model import Buckets, Kind
from halage.monitor.metrics.points import Points, sum_sketches

_HOURS_AT_ONCE = 8
"""Hours of series in one transaction: some 20 ms of work, of which a writer waits for 1."""
_ROWS_AT_ONCE = 500
_PAGES_AT_ONCE = 2000
_PACKED_AFTER_S = 600
_PACE = 2
"""How much faster than real time the age of data may grow: a clock that jumps by years deletes nothing."""
log = structlog.get_logger()


class _Made(NamedTuple):
    """The chunks of an hour of a series, and the state of the hour that they were made from."""

    known: Known
    hour_at: int
    hour: Hour
    version: int
    samples: bytes
    rungs: list[tuple[Rung, int, bytes]]


class Compactor:
    """Compacts one store. Calls take turns."""

    def __init__(self, database: MetricDatabase, head: Head, clock: Clock) -> None:
        self._database = database
        self._head = head
        self._clock = clock
        self._turn = threading.Lock()
        self._looked_at = clock.monotonic()

    def compact(self, now: float, most: int | None) -> bool:
        """Do what is due, `most` hours of series at most; True when some of that is left.

        Raises MetricsFull.
        """
        with self._turn:
            self._expire(self._horizon(now))
            due = self._due(now)
            mine = due if most is None else due[:most]
            for batch in _batches(mine):
                made = [self._make(*one) for one in batch]
                self._commit([one for one in made if one is not None], now)
            is_left = len(mine) < len(due)
            if mine and not is_left:
                self._drop_rows()
                log.info("metrics compacted", action="metrics:Compact", subject="metrics", hours=len(mine))
            self._database.give_back(_PAGES_AT_ONCE)
            self._rest(now)
            return is_left

    def _due(self, now: float) -> list[tuple[Known, int]]:
        """Hours that are too old for more samples, or so far ahead that the clock must have been wrong."""
        with self._head.memory:
            return sorted(
                (
                    (known, hour_at)
                    for known in self._head.registry
                    for hour_at in known.hours
                    if hour_at + COMPACTED_AFTER_S <= now or hour_at > now + DAY_S
                ),
                key=lambda one: (one[1], one[0].id),
            )

    def _make(self, known: Known, hour_at: int) -> _Made | None:
        with self._head.memory:
            hour = known.hours.get(hour_at)
            if hour is None:
                return None
            version = hour.version
            samples = encode_hour(hour, hour_at)
            minutes = _of_hour(hour, hour_at, MINUTES, known.kind)
            fives = _of_hour(hour, hour_at, FIVE_MINUTES, known.kind)
        rungs = []
        for rung, buckets in (
            (MINUTES, minutes),
            (FIVE_MINUTES, fives),
            (HOURS, _sum_of(fives)),
        ):
            start = hour_at - hour_at % rung.span_s
            points = self._chunk(known, rung, start)
            points.replace(buckets, keep=hour.is_partial)
            rungs.append((rung, start, encode_rung(points)))
        return _Made(known, hour_at, hour, version, samples, rungs)

    def _chunk(self, known: Known, rung: Rung, start: int) -> Points:
        """The chunk that is to be added to, or an empty one."""
        try:
            rows = self._database.fetch(
                "SELECT data FROM rungs WHERE resolution_s = ? AND start = ? AND series = ?",
                (rung.resolution_s, start, known.id),
            )
            if rows:
                return decode_rung(rung, start, rows[0][0])
        except (CorruptChunk, sqlite3.Error) as error:
            log.error(
                "a damaged chunk of metrics is replaced",
                action="metrics:Compact",
                subject=str(known.key),
                resolution_s=rung.resolution_s,
                start=start,
                reason=str(error),
            )
        has_sketches = rung.has_sketches or known.kind == Kind.DISTRIBUTION
        return Points(start, rung.resolution_s, rung.span_s // rung.resolution_s, has_sketches=has_sketches)

    def _commit(self, made: list[_Made], now: float) -> None:
        """Put the chunks in their place, and let go of the hours that nobody wrote to meanwhile."""
        head = self._head
        with self._database.writing:
            # Writers are out, so what is unchanged now is unchanged when it is committed.
            same = [
                one
                for one in made
                if one.hour.version == one.version and head.registry.of(one.known.id) is one.known
            ]
            if not same:
                return
            past = [one.hour_at + HOUR_S for one in same if one.hour_at <= now]
            end = max([head.compacted_end, *past])
            with self._database.change() as connection:
                for one in same:
                    _put(connection, one, head.last_row)
                keep_fact(connection, "compacted_end", end)
            with head.memory:
                head.compacted_end = end
                head.ahead = {hour for hour in head.ahead if hour >= end}
                for one in same:
                    if one.hour_at >= end:
                        head.ahead.add(one.hour_at)
                    del one.known.hours[one.hour_at]

    def _drop_rows(self) -> None:
        """Delete rows of the head whose hours have left memory: their chunks are committed."""
        head = self._head
        with self._database.writing:
            with head.memory:
                live = {hour_at for known in head.registry for hour_at in known.hours}
            marks = ",".join("?" * len(live))
            query = f"DELETE FROM head WHERE id <= ? AND at - at % {HOUR_S} NOT IN ({marks})"  # noqa: S608
            with self._database.change() as connection:
                connection.execute(query, (head.last_row, *sorted(live)))

    def _horizon(self, now: float) -> float:
        """The moment that ages are counted from: now, unless the clock seems to have jumped."""
        elapsed = self._clock.monotonic()
        elapsed, self._looked_at = elapsed - self._looked_at, elapsed
        with self._database.change() as connection:
            row = connection.execute("SELECT value FROM facts WHERE name = 'horizon'").fetchone()
            horizon = min(now, row[0] + _PACE * elapsed) if row else now
            keep_fact(connection, "horizon", horizon)
        return float(horizon)

    def _expire(self, horizon: float) -> None:
        """Delete what each rung keeps no longer, and series of which nothing is left."""
        # A chunk says which rows of the head it holds: it stays for as long as there are any of its hour.
        first_of_head = "(SELECT coalesce(min(at), ?) FROM head)"
        last_hour = horizon - RAW_KEEP_S - HOUR_S
        self._delete("chunks", f"hour <= ? AND hour + {HOUR_S} <= {first_of_head}", (last_hour, horizon))
        for rung in RUNGS:
            last_start = horizon - rung.keep_s - rung.span_s
            self._delete("rungs", "resolution_s = ? AND start <= ?", (rung.resolution_s, last_start))
        last_at = horizon - HOURS.keep_s - HOURS.span_s
        registry = self._head.registry
        with self._head.memory:
            gone = [known for known in registry if known.last_at <= last_at and not known.hours]
        for known in gone:
            with self._database.change() as connection:
                if not known.hours:
                    connection.execute("DELETE FROM series WHERE id = ?", (known.id,))
                    with self._head.memory:
                        registry.remove(known)

    def _delete(self, table: str, condition: str, parameters: tuple[float, ...]) -> None:
        query = (
            f"DELETE FROM {table} WHERE id IN"  # noqa: S608
            f" (SELECT id FROM {table} WHERE {condition} LIMIT {_ROWS_AT_ONCE})"
        )
        while True:
            with self._database.change() as connection:
                if connection.execute(query, parameters).rowcount < _ROWS_AT_ONCE:
                    return

    def _rest(self, now: float) -> None:
        """Pack what is seldom written to, and count the series that are in use."""
        registry = self._head.registry
        for known in registry:
            with self._head.memory:
                known.pack_before(now - _PACKED_AFTER_S)
        with self._database.writing, self._head.memory:
            registry.count_active(now)


def _batches(due: list[tuple[Known, int]]) -> Iterator[list[tuple[Known, int]]]:
    """Hours to commit at once, never two of one series: both would start from the same chunks."""
    for _, group in groupby(due, key=lambda one: one[1]):
        same_hour = list(group)
        for first in range(0, len(same_hour), _HOURS_AT_ONCE):
            yield same_hour[first : first + _HOURS_AT_ONCE]


def _of_hour(hour: Hour, hour_at: int, rung: Rung, kind: Kind) -> Buckets:
    has_sketches = rung.has_sketches or kind == Kind.DISTRIBUTION
    step = rung.resolution_s
    buckets = empty_buckets(hour_at, step, HOUR_S // step, with_sketches=has_sketches)
    hour.add_to(buckets)
    return buckets


def _sum_of(fives: Buckets) -> Buckets:
    """The hour as one bucket."""
    points = Points(fives.start, fives.period_s, 0, has_sketches=False)
    points.count, points.total, points.minimum, points.maximum = (
        fives.count,
        fives.total,
        fives.minimum,
        fives.maximum,
    )
    hour = empty_buckets(fives.start, HOUR_S, 1, with_sketches=False)
    add_points(hour, points, ())
    hour.sketches = [sum_sketches(fives.sketches or ())]
    return hour


def _put(connection: sqlite3.Connection, made: _Made, through: int) -> None:
    known = made.known
    connection.execute(
        "INSERT INTO chunks (hour, series, through, is_partial, data) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (hour, series) DO UPDATE SET"
        " through = excluded.through, is_partial = excluded.is_partial, data = excluded.data",
        (made.hour_at, known.id, through, made.hour.is_partial, made.samples),
    )
    for rung, start, data in made.rungs:
        connection.execute(
            "INSERT INTO rungs (resolution_s, start, series, data) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (resolution_s, start, series) DO UPDATE SET data = excluded.data",
            (rung.resolution_s, start, known.id, data),
        )
    connection.execute(
        "UPDATE series SET resolution_s = ?, first_at = ?, last_at = ? WHERE id = ?",
        (known.resolution_s, known.first_at, known.last_at, known.id),
    )
