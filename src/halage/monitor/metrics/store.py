"""The metric store: takes samples in so that they outlive a kill -9, and reads them back by period."""

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog

from halage.base.clock import Clock
from halage.monitor.metrics.aggregate import add_points, empty_buckets
from halage.monitor.metrics.blocks import Known
from halage.monitor.metrics.catalogue import Catalogue, check_key, check_value
from halage.monitor.metrics.chunks import CorruptChunk, decode_hour, decode_rung
from halage.monitor.metrics.database import MetricDatabase
from halage.monitor.metrics.errors import BadMetric, MetricsFull, TooManySeries, TooOld
from halage.monitor.metrics.head import Head
from halage.monitor.metrics.ladder import (
    HOUR_S,
    LATENESS_S,
    RESOLUTIONS_S,
    Plan,
    plan_read,
    starts_of_chunks,
)
from halage.monitor.metrics.model import Buckets, Kind, Limits, Read, Sample, Selector, Series
from halage.monitor.metrics.sketch import Sketch

_NAMED_AT_MOST = 3
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
        self._database = MetricDatabase(directory)
        self._head = Head(self._database, Catalogue(self._limits.series))
        self._head.load(clock.now())
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

    def count_series(self) -> int:
        """How many series are kept."""
        return len(self._head.catalogue)

    def find(self, selector: Selector) -> list[Series]:
        """Series that match, by name and dimensions, in the order in which they came."""
        with self._head.memory:
            return [
                Series(known.id, known.key, known.kind, known.resolution_s, known.first_at, known.last_at)
                for known in self._head.catalogue.find(selector)
            ]

    def write(self, at: float, resolution_s: int, samples: Sequence[Sample]) -> None:
        """Keep the samples of the tick that begins at `at` (rounded down to the resolution).

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
        refused = _Refused()
        with self._database.writing:
            taken = self._sort_out(tick, resolution_s, samples, now, refused)
            if taken:
                self._take(tick, resolution_s, taken)
        refused.tell()

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
        for one in series:
            with self._database.change() as connection:
                for table, column in (("series", "id"), ("chunks", "series"), ("rungs", "series")):
                    connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (one.id,))  # noqa: S608
                with self._head.memory:
                    known = self._head.catalogue.of(one.id)
                    if known is not None:
                        self._head.catalogue.remove(known)

    def close(self) -> None:
        """Close the files. What was taken in is kept."""
        self._database.close()

    def _sort_out(
        self, tick: int, resolution_s: int, samples: Sequence[Sample], now: float, refused: "_Refused"
    ) -> list[tuple[Known, float | Sketch]]:
        """The samples that can be kept, each with its series; new series have no id yet."""
        catalogue = self._head.catalogue
        taken: list[tuple[Known, float | Sketch]] = []
        pending: dict[object, Known] = {}
        woken: set[int] = set()
        for sample in samples:
            key = sample.key
            known = catalogue.get(key) or pending.get(key)
            try:
                if known is None or (known.id and known.id not in woken and catalogue.is_resting(known, now)):
                    if not catalogue.has_room(len(pending) + len(woken)):
                        refused.too_many(sample)
                        continue
                    if known is not None:
                        woken.add(known.id)
                if known is None:
                    check_key(key)
                    check_value(sample)
                    known = pending[key] = Known(0, key, sample.kind, resolution_s, tick, tick)
                elif known.kind != sample.kind:
                    raise BadMetric(f"{key} is a {known.kind}, and cannot be a {sample.kind} as well.")
                else:
                    check_value(sample)
            except BadMetric as error:
                refused.bad(error)
                continue
            taken.append((known, sample.value))
        return taken

    def _take(self, tick: int, resolution_s: int, taken: list[tuple[Known, float | Sketch]]) -> None:
        now = self._clock.now()
        catalogue = self._head.catalogue
        woken = len({known.key for known, _ in taken if not known.id or catalogue.is_resting(known, now)})
        try:
            if (free := self._database.free_bytes()) < self._limits.reserve_bytes:
                raise MetricsFull(
                    f"The disk that holds the metrics has {free >> 20} MiB left: nothing is collected "
                    f"until {self._limits.reserve_bytes >> 20} MiB are free."
                )
            self._head.append(tick, resolution_s, taken)
        except MetricsFull as error:
            self._pause(error.message)
            raise
        catalogue.note_active(woken)
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
            known = head.catalogue.of(number)
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
        rows = self._database.fetch(
            "SELECT hour, data FROM chunks WHERE series = ? AND hour > ? AND hour < ?",
            (known.id, buckets.start - HOUR_S, end),
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
                add_points(buckets, decode_rung(rung, start, data), covered)
            except CorruptChunk as error:
                problems.append(_damage(known, rung.resolution_s, start, error))


class _Refused:
    """Samples of one write that were not kept, and why."""

    def __init__(self) -> None:
        self._bad: list[BadMetric] = []
        self._too_many = 0
        self._names: list[str] = []

    def bad(self, error: BadMetric) -> None:
        """The sample itself is of no use."""
        self._bad.append(error)

    def too_many(self, sample: Sample) -> None:
        """There is no room for its series."""
        self._too_many += 1
        if len(self._names) < _NAMED_AT_MOST:
            self._names.append(str(sample.key)[:200])

    def tell(self) -> None:
        """Raise what is to be said, if anything; all other samples are kept."""
        if self._bad:
            more = f" ({len(self._bad)} samples were not kept.)" if len(self._bad) > 1 else ""
            raise BadMetric(self._bad[0].message + more, refused=len(self._bad) + self._too_many)
        if self._too_many:
            names = ", ".join(self._names) + (", …" if self._too_many > len(self._names) else "")
            raise TooManySeries(
                f"The limit on the number of series is reached: {self._too_many} samples of new series "
                f"were not kept ({names}).",
                refused=self._too_many,
            )


def _damage(known: Known, resolution_s: int, start: int, error: Exception) -> str:
    return f"{known.key}: the chunk of {resolution_s} s at {start} is damaged ({error}) and was left out"
