"""The metric store is killed, starved of space, and flooded: what it acknowledged stays, once."""

import contextlib
import math
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from halage.monitor.metrics.database import FILE
from halage.monitor.metrics.errors import MetricsFull, TooManySeries
from halage.monitor.metrics.model import Buckets, Kind, Limits, Sample, Selector, SeriesKey
from halage.monitor.metrics.store import MetricStore
from tests.faults.monitor.metric_writer import FastClock, level_at, times_at

ROOT = Path(__file__).parents[3]
WRITER = "tests.faults.monitor.metric_writer"
KILLS = 50
BEGIN = 1_700_352_000
HOUR_S = 3600
CPU = SeriesKey.of("cpu")


def _run_and_kill(directory: Path, told: Path, begin: int, seed: int) -> None:
    """Let a writer write for a random moment, counted from its first acknowledged sample."""
    with told.open("wb") as output:
        writer = subprocess.Popen(
            [
                sys.executable,
                "-m",
                WRITER,
                str(directory),
                str(begin),
                str(seed),
            ],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.PIPE,
        )
        try:
            while told.stat().st_size < 20:
                assert writer.poll() is None, writer.communicate()[1].decode()
                time.sleep(0.005)
            time.sleep(random.Random(seed).uniform(0, 0.25))
        finally:
            writer.kill()
            _, errors = writer.communicate()
    assert not errors, errors.decode()


class _Told:
    """What the writers said: how often each tick was acknowledged, and how often it may be there besides."""

    def __init__(self) -> None:
        self.kept: Counter[int] = Counter()
        self.perhaps: Counter[int] = Counter()
        self.last = BEGIN

    def hear(self, path: Path) -> None:
        asked: Counter[int] = Counter()
        for line in path.read_text().split("\n")[:-1]:
            mark, at = line.split()
            (self.kept if mark == "+" else asked)[int(at)] += 1
            self.last = max(self.last, int(at))
            if mark == "+":
                asked[int(at)] -= 1
        self.perhaps.update({at: count for at, count in asked.items() if count})


def _by_period(ticks: Counter[int], period_s: int) -> Counter[int]:
    found: Counter[int] = Counter()
    for at, count in ticks.items():
        found[at - at % period_s] += count
    return found


def _periods(buckets: Buckets) -> Iterator[tuple[int, int]]:
    for index in range(len(buckets.count)):
        yield index, buckets.start + index * buckets.period_s


def _check_hits(store: MetricStore, told: _Told, period_s: int) -> None:
    (hits,) = store.find(Selector("hits"))
    read = store.read([hits], BEGIN - HOUR_S, told.last + 2 * HOUR_S, period_s)
    assert (read.problems, read.period_s) == ((), period_s)
    buckets = read.buckets[hits.id]
    kept, perhaps = _by_period(told.kept, period_s), _by_period(told.perhaps, period_s)
    for index, at in _periods(buckets):
        assert kept[at] <= buckets.total[index] <= kept[at] + perhaps[at], (period_s, at)
    assert sum(buckets.total) >= sum(kept.values())


def _check_values(store: MetricStore, told: _Told, period_s: int) -> None:
    """Gauges and distributions have the values of the ticks that there are, on every rung."""
    series = [*store.find(Selector("level")), *store.find(Selector("time"))]
    read = store.read(series, BEGIN - HOUR_S, told.last + 2 * HOUR_S, period_s, with_sketches=period_s > 60)
    assert read.problems == ()
    ticks: dict[int, list[int]] = {}
    for at in told.kept:
        ticks.setdefault(at - at % period_s, []).append(at)
    unsure = {at - at % period_s for at in told.perhaps}
    for one in series:
        for index, start in _periods(read.buckets[one.id]):
            values = [value for at in ticks.get(start, []) for value in _values(one.key, at, told)]
            if start not in unsure:
                _check_bucket(values, read.buckets[one.id], index)
            else:
                assert read.buckets[one.id].count[index] >= len(values)


def _values(key: SeriesKey, at: int, told: _Told) -> list[float]:
    if key.name == "level":
        return [level_at(at, int(key.get("instance") or 0))]
    return times_at(at) * told.kept[at]


def _check_bucket(values: list[float], buckets: Buckets, index: int) -> None:
    assert buckets.count[index] == len(values)
    if not values:
        return
    assert math.isclose(buckets.total[index], math.fsum(values), rel_tol=1e-9)
    assert (buckets.minimum[index], buckets.maximum[index]) == (min(values), max(values))
    if buckets.sketches is not None:
        sketch = buckets.sketches[index]
        assert sketch is not None and sketch.count == len(values)


def test_50_kills_lose_no_acknowledged_sample_and_count_none_twice(tmp_path: Path) -> None:
    directory, told = tmp_path / "metrics", _Told()
    for kill in range(KILLS):
        _run_and_kill(directory, tmp_path / "told", told.last + 3600, seed=kill)
        told.hear(tmp_path / "told")
    assert len(told.kept) > 10 * KILLS
    clock = FastClock(told.last + 60)
    for _ in range(2):
        with contextlib.closing(MetricStore(directory, clock)) as store:
            for period_s in (60, 300, HOUR_S):
                _check_hits(store, told, period_s)
                _check_values(store, told, period_s)
            clock.moment += 3 * HOUR_S
            store.compact(clock.now())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mounting = ("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(directory))
    if subprocess.run(mounting, capture_output=True).returncode != 0:
        pytest.skip("a file system cannot be mounted here")
    yield directory
    subprocess.run(("umount", str(directory)), check=True)


@pytest.mark.parametrize("reserve_bytes", [0, 512 * 1024], ids=["to the last byte", "with a reserve"])
def test_a_full_disk_pauses_the_metrics_until_there_is_room(small_disk: Path, reserve_bytes: int) -> None:
    clock = FastClock(BEGIN)
    limits = Limits(reserve_bytes=reserve_bytes)
    keys = [SeriesKey.of("cpu", instance=str(number)) for number in range(100)]
    with contextlib.closing(MetricStore(small_disk / "metrics", clock, limits)) as store:
        store.write(clock.now(), 10, [Sample(CPU, Kind.GAUGE, 1.0)])
        filler = small_disk / "filler"
        filler.write_bytes(bytes(14 * 1024 * 1024))
        kept = _write_until_it_is_full(store, clock, keys)
        assert store.is_paused and store.pause_reason
        assert kept > 50
        _assert_kept(store, clock, kept)
        for _ in range(3):
            with pytest.raises(MetricsFull):
                store.write(clock.now(), 10, [Sample(key, Kind.GAUGE, 1.0) for key in keys])
        filler.unlink()
        clock.moment += 10
        store.write(clock.now(), 10, [Sample(key, Kind.GAUGE, 1.0) for key in keys])
        _assert_taken_in(store)
        _assert_kept(store, clock, kept + 1)
        clock.moment += 3 * HOUR_S
        store.compact(clock.now())
    with contextlib.closing(MetricStore(small_disk / "metrics", clock, limits)) as store:
        _assert_kept(store, clock, kept + 1)


def _assert_taken_in(store: MetricStore) -> None:
    assert not store.is_paused and store.pause_reason is None


def test_a_disk_that_is_full_while_hours_are_compacted(small_disk: Path) -> None:
    clock = FastClock(BEGIN)
    limits = Limits(reserve_bytes=0)
    keys = [SeriesKey.of("cpu", instance=str(number)) for number in range(100)]
    rng = random.Random(0)
    with contextlib.closing(MetricStore(small_disk / "metrics", clock, limits)) as store:
        for _ in range(360):
            store.write(clock.now(), 10, [Sample(key, Kind.GAUGE, rng.random()) for key in keys])
            clock.moment += 10
        # Room that the log file has from before would hold the hour.
        with contextlib.closing(sqlite3.connect(small_disk / "metrics" / FILE)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        clock.moment += 2 * HOUR_S
        with pytest.raises(MetricsFull):
            store.compact(clock.now())
        assert store.is_paused
        _assert_kept(store, clock, 360)
        filler.unlink()
        assert store.compact(clock.now()) is False
        _assert_kept(store, clock, 360)


def _write_until_it_is_full(store: MetricStore, clock: FastClock, keys: list[SeriesKey]) -> int:
    for kept in range(100_000):
        clock.moment += 10
        try:
            store.write(clock.now(), 10, [Sample(key, Kind.GAUGE, 1.0) for key in keys])
        except MetricsFull:
            return kept
    raise AssertionError("the disk was never full")


def _assert_kept(store: MetricStore, clock: FastClock, ticks: int) -> None:
    found = store.find(Selector("cpu", {"instance": "*"}))
    read = store.read(found, BEGIN, clock.now() + 60, 60)
    assert read.problems == ()
    assert [sum(buckets.count) for buckets in read.buckets.values()] == [ticks] * len(found)


def test_a_million_values_of_a_dimension_leave_nothing_behind(tmp_path: Path) -> None:
    clock = FastClock(BEGIN)
    with contextlib.closing(MetricStore(tmp_path / "metrics", clock, Limits(series=100))) as store:
        for first in range(0, 1_000_000, 50_000):
            samples = [
                Sample(SeriesKey("visits", (("visitor", str(number)),)), Kind.COUNT, 1.0)
                for number in range(first, first + 50_000)
            ]
            with pytest.raises(TooManySeries):
                store.write(clock.now(), 10, samples)
            clock.moment += 10
        assert store.count_series() == 100
        store.write(clock.now(), 10, [Sample(SeriesKey("visits", (("visitor", "7"),)), Kind.COUNT, 1.0)])
    assert sum(path.stat().st_size for path in (tmp_path / "metrics").iterdir()) < 500_000
