"""The metric store: takes samples in so that they outlive a kill -9, and reads them back by period."""

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog

from halage.base.clock import Clock
from halage.monitor.inventory import place_name
from halage.monitor.metrics.admission import Admission
from halage.monitor.metrics.aggregate import add_points, empty_buckets
from halage.monitor.metrics.blocks import Known
from halage.monitor.metrics.chunks import CorruptChunk, decode_hour, decode_rung
from halage.monitor.metrics.compaction import Compactor
from halage.monitor.metrics.errors import BadMetric, MetricsFull, TooOld
from halage.monitor.metrics.head import delete_series, open_head
from halage.monitor.metrics.ladder import (
    HOUR_S,
    LATENESS_S,
    RESOLUTIONS_S,
    Plan,
    plan_read,
    starts_of_chunks,
)
from halage.monitor.metrics.model import Buckets, Cursor, Kind, Limits, Read, Sample, Selector, Series

log = structlog.get_logger()


class MetricStore:
    """Series of samples in SQLite files of their own. Synchronous; safe from any thread."""

    def __init__(self, directory: Path, clock: Clock, limits: Limits | None = None) -> None:
        """Open the store in a directory, which is made where it is missing.

        A file that SQLite cannot read is renamed and a new one begun: the log says so. Raises
        MetricsFull when nothing can be opened or made there at all.
        """
        self._clock = clock
        self._limits = limits or Limits()
        self._head = open_head(directory, self._limits.series, clock.now())
        self._database = self._head.database
        self._compactor = Compactor(self._database, self._head, clock)
        self._pausing = threading.Lock()
        self._reason: str | None = None

    @property
    def is_paused(self) -> bool:
        """Whether the last samples could not be taken in. The next that can be end it."""
        return self._reason is not None

    @property
    def pause_reason(self) -> str | None:
        """Why nothing is taken in; None while all is well."""
        return self._reason

    @property
    def version(self) -> int:
        """Another number once `find` may answer with other series than before."""
        return self._head.registry.version

    def count_series(self) -> int:
        """How many series are kept."""
        return len(self._head.registry)

    def find(self, selector: Selector) -> list[Series]:
        """Series that match, by name and dimensions, in the order in which they came."""
        with self._head.memory:
            return [
                Series(known.id, known.key, known.kind, known.resolution_s, known.first_at, known.last_at)
                for known in self._head.registry.find(selector)
            ]

    def write(
        self, at: float, resolution_s: int, samples: Sequence[Sample], *, cursor: Cursor | None = None
    ) -> None:
        """Keep the samples of the tick that begins at `at` (rounded down to the resolution).

        A cursor is kept in the same transaction: how far something was read.

        Once it returns they outlive a kill -9. A tick may be written in several parts, late and out
        of order by an hour at most. Raises TooOld and MetricsFull, and then nothing is kept;
        BadMetric and TooManySeries, and then all others are.
        """
        if resolution_s not in RESOLUTIONS_S:
            raise BadMetric(f"Samples are {RESOLUTIONS_S} seconds apart, not {resolution_s}.")
        tick = int(at // resolution_s) * resolution_s
        now = self._clock.now()
        if tick < now - LATENESS_S:
            raise TooOld(late_s=now - tick)
        if tick > now + LATENESS_S:
            raise BadMetric(f"These samples are {tick - now:.0f} seconds in the future.")
        with self._database.writing:
            samples = self._head.forgotten.without(samples, tick, now)
            admission = Admission(self._head.registry, tick, resolution_s, now)
            admission.sort_out(samples)
            if admission.taken or cursor is not None:
                self._take(tick, resolution_s, admission, cursor)
        admission.tell()

    def cursor(self, name: str) -> int | None:
        """The cursor of that name as it was last kept."""
        rows = self._database.fetch("SELECT value FROM facts WHERE name = ?", (f"cursor {name}",))
        return int(rows[0][0]) if rows else None

    def read(
        self,
        series: Iterable[Series],
        start: float,
        end: float,
        period_s: int,
        *,
        with_sketches: bool = False,
    ) -> Read:
        """Aggregates of [start, end), both widened to whole periods.

        The period of the answer is longer where only coarser data is kept (`Read.period_s`). A chunk
        that is damaged is named in `Read.problems`; the rest is there.
        """
        asked = list(series)
        sample_s = max((one.resolution_s for one in asked), default=1)
        needs_sketches = with_sketches and any(one.kind != Kind.DISTRIBUTION for one in asked)
        start = start // period_s * period_s
        plan = plan_read(self._clock.now(), start, period_s, sample_s, needs_sketches=needs_sketches)
        period = plan.period_s
        first = int(start // period) * period
        size = max(0, int(-((first - end) // period)))
        problems: list[str] = []
        found: dict[int, Buckets] = {}
        for one in asked:
            buckets = found[one.id] = empty_buckets(first, period, size, with_sketches=with_sketches)
            self._read_one(one.id, buckets, plan, problems)
        return Read(found, period, tuple(problems))

    def forget(self, series: Iterable[Series]) -> None:
        """Remove series and all that is kept of them; raises MetricsFull."""
        head = self._head
        hours = [hour for (hour,) in self._database.fetch("SELECT DISTINCT hour FROM chunks")]
        for one in series:
            with self._database.writing:
                known = head.registry.of(one.id)
                if known is None:
                    continue
                with self._database.change() as connection:
                    delete_series(connection, known, hours)
                with head.memory:
                    head.registry.remove(known)

    def forget_place(self, project: str, environment: str | None = None) -> None:
        """Remove every series of a project that is deleted, or of an environment of it that is terminated,
        and what still comes in of its time.

        Raises MetricsFull; what was removed by then stays so, and it can be asked again.
        """
        self._head.forget_place(place_name(project, environment), self._clock.now())
        of_environment = {"environment": environment} if environment is not None else {}
        self.forget(self.find(Selector("*", {"project": project, **of_environment})))

    def compact(self, now: float, most: int | None = None) -> bool:
        """Make chunks of the hours that are over, and delete what is too old; call it each minute or so.

        `most` bounds the work of one call, in hours of series (2 ms each); True means that some is
        left. Nothing is lost when it is killed. Raises MetricsFull.
        """
        try:
            return self._compactor.compact(now, most)
        except MetricsFull as error:
            self._pause(error.message)
            raise

    def close(self) -> None:
        """Close the files. What was taken in is kept."""
        self._database.close()

    def _take(self, tick: int, resolution_s: int, admission: Admission, cursor: Cursor | None) -> None:
        try:
            if (free := self._database.free_bytes()) < self._limits.reserve_bytes:
                raise MetricsFull(
                    f"The disk that holds the metrics has {free >> 20} MiB left: nothing is collected "
                    f"until {self._limits.reserve_bytes >> 20} MiB are free."
                )
            self._head.append(tick, resolution_s, admission.taken, list(admission.new.values()), cursor)
        except MetricsFull as error:
            self._pause(error.message)
            raise
        self._head.registry.note_active(admission.newly_active)
        self._resume()

    def _pause(self, reason: str) -> None:
        with self._pausing:
            was_paused, self._reason = self.is_paused, reason
        if not was_paused:
            log.error("metrics are paused", action="metrics:Write", subject="metrics", reason=reason)

    def _resume(self) -> None:
        if self._reason is not None:
            with self._pausing:
                self._reason = None
            log.info("metrics are taken in again", action="metrics:Write", subject="metrics")

    def _read_one(self, number: int, buckets: Buckets, plan: Plan, problems: list[str]) -> None:
        # Memory first: what is compacted meanwhile is then counted from memory, and not again.
        start, end = buckets.start, buckets.start + len(buckets.count) * buckets.period_s
        covered: list[int] = []
        head = self._head
        with head.memory:
            known = head.registry.of(number)
            if known is None:
                return
            for hour_at, hour in known.hours.items():
                if hour_at < end and hour_at + HOUR_S > start:
                    hour.add_to(buckets)
                    if not hour.is_partial:
                        covered.append(hour_at)
        if start >= head.compacted_end and not head.ahead:
            return
        try:
            if plan.rung is None:
                self._read_samples(known, buckets, covered, problems)
            else:
                self._read_rung(known, buckets, plan, covered, problems)
        except sqlite3.Error as error:
            problems.append(f"{known.key}: the metrics cannot be read: {error}")

    def _read_samples(self, known: Known, buckets: Buckets, covered: list[int], problems: list[str]) -> None:
        end = buckets.start + len(buckets.count) * buckets.period_s
        first = int(max(buckets.start, known.first_at) // HOUR_S) * HOUR_S
        hours = range(first, int(min(end, known.last_at + HOUR_S)), HOUR_S)
        # Hour by hour: the index of a range of hours would be read for every series that there is.
        rows = self._database.fetch(
            f"SELECT hour, data FROM chunks WHERE series = ? AND hour IN ({','.join('?' * len(hours))})",  # noqa: S608
            (known.id, *hours),
        )
        for hour_at, data in rows:
            if hour_at not in covered:
                try:
                    decode_hour(known, hour_at, data).add_to(buckets)
                except CorruptChunk as error:
                    problems.append(_damage(known, known.resolution_s, hour_at, error))

    def _read_rung(
        self, known: Known, buckets: Buckets, plan: Plan, covered: list[int], problems: list[str]
    ) -> None:
        rung = plan.rung
        assert rung is not None
        end = buckets.start + len(buckets.count) * buckets.period_s
        starts = starts_of_chunks(rung, max(buckets.start, known.first_at), min(end, known.last_at + HOUR_S))
        marks = ",".join("?" * len(starts))
        rows = self._database.fetch(
            f"SELECT start, data FROM rungs WHERE resolution_s = ? AND series = ? AND start IN ({marks})",  # noqa: S608
            (rung.resolution_s, known.id, *starts),
        )
        for start, data in rows:
            try:
                points = decode_rung(rung, start, data, with_sketches=buckets.sketches is not None)
                add_points(buckets, points, covered)
            except CorruptChunk as error:
                problems.append(_damage(known, rung.resolution_s, start, error))


def _damage(known: Known, resolution_s: int, start: int, error: Exception) -> str:
    return f"{known.key}: the chunk of {resolution_s} s at {start} is damaged ({error}) and was left out"
