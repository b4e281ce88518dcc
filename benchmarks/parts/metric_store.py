"""The metric store in a process of its own, so that its memory and processor time are its own.

It reads orders from its input, one JSON object a line, and answers each with one. What it is timed
at is what the server does: samples come through the accumulator into the store, compaction is
called at each full hour in pieces as the collector does it, and questions go through Metrics.query.
"""

import asyncio
import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import structlog
from parts.fleet import DAY_S, HOUR_S, METRICS, TICK_S, Instance, SteppedClock, measure_all

from halage.monitor.collect.collector import COMPACTED_AT_ONCE
from halage.monitor.metrics.database import FILE
from halage.monitor.metrics.ladder import FIVE_MINUTES, HOURS, RUNGS
from halage.monitor.metrics.model import Sample
from halage.monitor.metrics.service import Metrics
from halage.monitor.metrics.store import MetricStore
from halage.monitor.outlet.accumulator import Accumulator

LIMIT = 20_000


class Rig:
    """The store, the fleet that feeds it, and the clock that both go by."""

    def __init__(self, runner: asyncio.Runner, directory: Path, instances: int, start: int) -> None:
        self._runner = runner
        self._directory = directory
        self._at = start
        self._clock = SteppedClock(start)
        self._fleet = [Instance(number) for number in range(instances)]
        self._open()

    def _open(self) -> None:
        self._store = MetricStore(self._directory, self._clock)
        self._keeper = Accumulator(self._store, self._clock, limit=LIMIT)
        self._metrics = Metrics(self._store, self._clock)

    def ingest(
        self, ticks: int, instances: int, series: int | None = None, *, with_times: bool = False
    ) -> dict[str, float]:
        """So many ticks of the first instances (of the first series); the CPU seconds that it cost."""
        fleet = self._fleet[:instances]
        write_s = compact_s = 0.0
        samples: list[Sample] = []
        for _ in range(ticks):
            samples = measure_all(fleet, self._at)[:series]
            if with_times:
                samples += [each.response_times(self._at) for each in fleet]
            begun = time.process_time()
            self._keeper.write(self._at, TICK_S, samples)
            write_s += time.process_time() - begun
            self._at += TICK_S
            self._clock.move_to(self._at)
            if self._at % HOUR_S == 0:
                begun = time.process_time()
                while self._keeper.compact(self._at, COMPACTED_AT_ONCE):
                    pass
                compact_s += time.process_time() - begun
        return {"write_s": write_s, "compact_s": compact_s, "samples": len(samples)}

    def ask(self, expression: str, start: int, end: int, period_s: int, times: int) -> dict[str, Any]:
        """A question, asked several times: how long each took (ms), and the values."""

        async def ask() -> dict[str, Any]:
            took, values = [], []
            for _ in range(times):
                begun = time.perf_counter()
                answer = await self._metrics.query(expression, start, end, period_s, None)
                took.append((time.perf_counter() - begun) * 1000)
                if answer.problems or answer.period_s != period_s:
                    raise ValueError(f"{expression}: {answer.problems}")
                values = [list(line.values) for line in answer.lines]
            return {"ms": took, "values": values}

        return self._runner.run(ask())

    def sizes(self) -> dict[str, float]:
        """What lies on the disk: of the files, and of the chunks of samples with their pages and index."""
        path = self._directory / FILE
        with sqlite3.connect(path) as connection:
            one = connection.execute
            held = one("SELECT sum(pgsize) FROM dbstat WHERE name = 'chunks' OR name LIKE '%chunks%'")
            return {
                "file_bytes": sum(each.stat().st_size for each in self._directory.iterdir()),
                "chunk_pages_bytes": held.fetchone()[0],
                "chunk_bytes": one("SELECT sum(length(data)) FROM chunks").fetchone()[0],
                "chunk_hours": one("SELECT count(*) FROM chunks").fetchone()[0],
                "head_rows": one("SELECT count(*) FROM head").fetchone()[0],
                "rungs": one("SELECT count(*) FROM rungs").fetchone()[0],
            }

    def spread(self, series: int, written_days: int) -> dict[str, float]:
        """Give the ladder its whole length, and every series its copy of it.

        What was written is repeated backwards in time (the chunks hold no moments of their own, and
        the days written are a whole number of chunks), until each rung has all that it keeps; then
        all of it is copied for so many series in all.
        """
        self._store.close()
        with sqlite3.connect(self._directory / FILE) as connection:
            for rung in RUNGS:
                if rung.span_s > written_days * DAY_S:
                    raise ValueError("less was written than a chunk holds")
            for rung in (FIVE_MINUTES, HOURS):
                _lengthen(connection, rung.resolution_s, self._at - rung.keep_s - rung.span_s, written_days)
            first_at = self._at - HOURS.keep_s
            connection.execute("UPDATE series SET first_at = min(first_at, ?)", (first_at,))
            for number in range(METRICS, series):
                _copy(connection, number % METRICS, number // METRICS)
        self._open()
        return {"series": self._store.count_series()}


def _lengthen(connection: sqlite3.Connection, resolution_s: int, oldest: int, days: int) -> None:
    shift = days * DAY_S
    while connection.execute(
        "INSERT OR IGNORE INTO rungs (resolution_s, start, series, data)"
        " SELECT resolution_s, start - ?, series, data FROM rungs"
        " WHERE resolution_s = ? AND start - ? > ?",
        (shift, resolution_s, shift, oldest),
    ).rowcount:
        pass


def _copy(connection: sqlite3.Connection, metric: int, instance: int) -> None:
    (like,) = connection.execute("SELECT id FROM series ORDER BY id LIMIT 1 OFFSET ?", (metric,)).fetchone()
    copy = connection.execute(
        "INSERT INTO series (name, dimensions, kind, resolution_s, first_at, last_at)"
        " SELECT name, replace(dimensions, '\"i-0\"', ?), kind, resolution_s, first_at, last_at"
        " FROM series WHERE id = ?",
        (f'"i-{instance}"', like),
    ).lastrowid
    connection.execute(
        "INSERT INTO chunks (hour, series, through, is_partial, data)"
        " SELECT hour, ?, through, is_partial, data FROM chunks WHERE series = ?",
        (copy, like),
    )
    connection.execute(
        "INSERT INTO rungs (resolution_s, start, series, data)"
        " SELECT resolution_s, start, ?, data FROM rungs WHERE series = ?",
        (copy, like),
    )


def main(directory: str, instances: str, start: str) -> None:
    """Obey until the input ends."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with asyncio.Runner() as runner:
        rig = Rig(runner, Path(directory), int(instances), int(start))
        for line in sys.stdin:
            order = json.loads(line)
            print(json.dumps(getattr(rig, order.pop("do"))(**order)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
