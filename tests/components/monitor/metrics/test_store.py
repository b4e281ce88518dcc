"""What the store takes in and what it refuses; what it finds; what it keeps and for how long."""

import contextlib
import math
import random
import sqlite3
import threading
from pathlib import Path

import pytest

from halage.monitor.metrics.errors import BadMetric, MetricsFull, TooManySeries, TooOld
from halage.monitor.metrics.model import Kind, Limits, Sample, Selector, SeriesKey
from halage.monitor.metrics.sketch import Sketch
from halage.monitor.metrics.store import MetricStore
from tests.components.monitor.metrics.conftest import BEGIN, DAY_S, HOUR_S, HandClock, OpenStore

CPU = SeriesKey.of("cpu", instance="a")


def gauge(key: SeriesKey, value: float) -> Sample:
    return Sample(key, Kind.GAUGE, value)


def counted(store: MetricStore, name: str, start: float, end: float, period_s: int = 60) -> list[float]:
    """The number of samples by period, of all series of that name together."""
    read = store.read(store.find(Selector(name)), start, end, period_s)
    assert read.problems == ()
    columns = [buckets.count for buckets in read.buckets.values()]
    return [sum(column) for column in zip(*columns, strict=True)]


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "metrics").iterdir())


# --- what is taken in -----------------------------------------------------------------------


@pytest.mark.parametrize("late_s", [0, 10, 1800, HOUR_S])
def test_a_sample_may_be_an_hour_late(store: MetricStore, clock: HandClock, late_s: int) -> None:
    clock.move(2 * HOUR_S)
    store.write(clock.now() - late_s, 10, [gauge(CPU, 1.0)])
    assert sum(counted(store, "cpu", BEGIN, clock.now() + 60)) == 1


def test_a_sample_that_is_later_is_refused(store: MetricStore, clock: HandClock) -> None:
    with pytest.raises(TooOld) as refusal:
        store.write(clock.now() - HOUR_S - 10, 10, [gauge(CPU, 1.0)])
    assert refusal.value.facts == {"late_s": HOUR_S + 10}
    assert store.find(Selector("*")) == []


def test_a_sample_from_the_future_is_refused(store: MetricStore, clock: HandClock) -> None:
    with pytest.raises(BadMetric, match="in the future"):
        store.write(clock.now() + HOUR_S + 10, 10, [gauge(CPU, 1.0)])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e301])
def test_a_number_that_cannot_be_added_up_is_refused_alone(
    store: MetricStore, clock: HandClock, value: float
) -> None:
    other = SeriesKey.of("other")
    with pytest.raises(BadMetric, match=r'cpu{instance="a"} is .*finite') as refusal:
        store.write(clock.now(), 10, [gauge(CPU, value), gauge(other, 1.0)])
    assert refusal.value.facts == {"refused": 1}
    assert [one.key for one in store.find(Selector("*"))] == [other]
    with pytest.raises(BadMetric, match="finite"):
        store.write(clock.now(), 10, [gauge(other, value)])
    assert sum(counted(store, "other", BEGIN, BEGIN + 60)) == 1


@pytest.mark.parametrize(
    "key",
    [
        SeriesKey(""),
        SeriesKey("9lives"),
        SeriesKey("a b"),
        SeriesKey("a" * 129),
        SeriesKey("a", (("b c", "1"),)),
        SeriesKey("a", (("b", ""),)),
        SeriesKey("a", (("b", "x" * 251),)),
        SeriesKey("a", (("b", "\0"),)),
        SeriesKey("a", (("c", "1"), ("b", "1"))),
        SeriesKey("a", (("b", "1"), ("b", "2"))),
        SeriesKey("a", tuple((f"d{number:02}", "1") for number in range(31))),
    ],
    ids=lambda key: str(key)[:30],
)
def test_names_that_cannot_be_used(store: MetricStore, clock: HandClock, key: SeriesKey) -> None:
    with pytest.raises(BadMetric):
        store.write(clock.now(), 10, [gauge(key, 1.0)])
    assert store.find(Selector("*")) == []


def test_a_series_has_one_kind(store: MetricStore, clock: HandClock) -> None:
    store.write(clock.now(), 10, [gauge(CPU, 1.0)])
    with pytest.raises(BadMetric, match="is a gauge, and cannot be a count"):
        store.write(clock.now(), 10, [Sample(CPU, Kind.COUNT, 1.0)])
    with pytest.raises(BadMetric, match="of another kind"):
        store.write(clock.now(), 10, [Sample(CPU, Kind.GAUGE, Sketch.of([1.0]))])
    with pytest.raises(BadMetric, match="of another kind"):
        store.write(clock.now(), 10, [Sample(SeriesKey.of("time"), Kind.DISTRIBUTION, 1.0)])


def test_an_empty_sketch_says_nothing(store: MetricStore, clock: HandClock) -> None:
    store.write(clock.now(), 10, [Sample(SeriesKey.of("time"), Kind.DISTRIBUTION, Sketch())])
    assert store.find(Selector("*")) == []


@pytest.mark.parametrize("resolution_s", [0, 3, 7, 120])
def test_a_minute_is_a_whole_number_of_samples(
    store: MetricStore, clock: HandClock, resolution_s: int
) -> None:
    with pytest.raises(BadMetric, match="seconds apart"):
        store.write(clock.now(), resolution_s, [gauge(CPU, 1.0)])


def test_what_the_caller_does_with_its_sketch_afterwards_changes_nothing(
    store: MetricStore, clock: HandClock
) -> None:
    sketch = Sketch.of([1.0, 2.0])
    store.write(clock.now(), 10, [Sample(SeriesKey.of("time"), Kind.DISTRIBUTION, sketch)])
    sketch.add(1000.0)
    (found,) = store.find(Selector("time"))
    buckets = store.read([found], BEGIN, BEGIN + 10, 10, with_sketches=True).buckets[found.id]
    assert buckets.sketches is not None and buckets.sketches[0] is not None
    assert (buckets.sketches[0].count, buckets.maximum[0]) == (2, 2.0)
    buckets.sketches[0].add(7.0)
    again = store.read([found], BEGIN, BEGIN + 10, 10, with_sketches=True).buckets[found.id]
    assert again.sketches is not None and again.sketches[0] is not None and again.sketches[0].count == 2


# --- how many series ------------------------------------------------------------------------


def test_past_the_limit_new_series_are_refused_and_known_ones_go_on(
    open_store: OpenStore, clock: HandClock
) -> None:
    store = open_store(Limits(series=3))
    keys = [SeriesKey.of("cpu", instance=str(number)) for number in range(5)]
    with pytest.raises(TooManySeries, match=r"2 samples .*instance=\"3\"") as refusal:
        store.write(clock.now(), 10, [gauge(key, 1.0) for key in keys])
    assert refusal.value.facts == {"refused": 2}
    clock.move(10)
    with pytest.raises(TooManySeries):
        store.write(clock.now(), 10, [gauge(key, 1.0) for key in reversed(keys)])
    assert [one.key for one in store.find(Selector("cpu"))] == keys[:3]
    assert counted(store, "cpu", BEGIN, BEGIN + 20, 10) == [3, 3]


def test_a_series_that_rests_for_a_day_makes_room_and_keeps_its_past(
    open_store: OpenStore, clock: HandClock
) -> None:
    store = open_store(Limits(series=1))
    store.write(clock.now(), 10, [gauge(SeriesKey.of("first"), 1.0)])
    clock.move(DAY_S + 20)
    store.compact(clock.now())
    store.write(clock.now(), 10, [gauge(SeriesKey.of("second"), 1.0)])
    with pytest.raises(TooManySeries):
        store.write(clock.now(), 10, [gauge(SeriesKey.of("first"), 1.0)])
    assert sum(counted(store, "first", BEGIN, clock.now() + 60)) == 1


# --- finding --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        (Selector("cpu"), ["a1", "a2", "b1"]),
        (Selector("cpu", {"project": "a"}), ["a1", "a2"]),
        (Selector("cpu", {"project": "a", "instance": "2"}), ["a2"]),
        (Selector("cpu", {"instance": "1"}), ["a1", "b1"]),
        (Selector("cpu", {"project": "?", "instance": "1"}), ["a1", "b1"]),
        (Selector("cpu", {"project": "c"}), []),
        (Selector("cpu", {"host": "*"}), []),
        (Selector("c*", {"project": "b"}), ["b1"]),
        (Selector("*", {"instance": "9"}), ["d9"]),
        (Selector("nothing"), []),
    ],
)
def test_series_are_found_by_name_and_dimensions(
    open_store: OpenStore, clock: HandClock, selector: Selector, found: list[str]
) -> None:
    store = open_store()
    names = {"a1": "cpu", "a2": "cpu", "b1": "cpu", "d9": "disk"}
    for name, metric in names.items():
        key = SeriesKey.of(metric, project=name[0], instance=name[1])
        store.write(clock.now(), 10, [gauge(key, 1.0)])
    for _ in range(2):
        keys = [one.key for one in store.find(selector)]
        assert [f"{key.get('project')}{key.get('instance')}" for key in keys] == found
        store = open_store()


def test_what_is_forgotten_is_gone_and_may_come_again(open_store: OpenStore, clock: HandClock) -> None:
    store = open_store()
    for _ in range(3 * 360):
        store.write(clock.now(), 10, [gauge(CPU, 1.0), gauge(SeriesKey.of("other"), 1.0)])
        clock.move(10)
    store.compact(clock.now())
    store.forget(store.find(Selector("cpu")))
    assert store.find(Selector("cpu", {"instance": "a"})) == []
    store = open_store()
    assert [one.key.name for one in store.find(Selector("*"))] == ["other"]
    store.write(clock.now(), 10, [gauge(CPU, 1.0)])
    store = open_store()
    assert sum(counted(store, "cpu", BEGIN, clock.now() + HOUR_S, HOUR_S)) == 1
    assert sum(counted(store, "other", BEGIN, clock.now() + HOUR_S, HOUR_S)) == 3 * 360


def test_a_deleted_project_does_not_come_back_with_what_is_still_under_way(
    open_store: OpenStore, clock: HandClock
) -> None:
    mine, other = (SeriesKey.of("requests", project=project) for project in ("shop", "shop2"))
    store = open_store()
    for _ in range(3 * 360):
        store.write(clock.now(), 10, [gauge(mine, 1.0), gauge(other, 1.0)])
        clock.move(10)
    store.compact(clock.now())
    clock.move(5)
    store.forget_place("shop")
    for _ in range(2):  # the second time after a kill -9
        store.write(clock.now(), 10, [gauge(mine, 1.0), gauge(other, 1.0)], cursor=("access", 7))
        assert [one.key for one in store.find(Selector("*"))] == [other]
        assert store.cursor("access") == 7
        store = open_store()
    clock.move(10)
    store.write(clock.now(), 10, [gauge(mine, 1.0)])
    found = store.find(Selector("requests", {"project": "shop"}))
    (buckets,) = store.read(found, BEGIN, clock.now() + HOUR_S, HOUR_S).buckets.values()
    assert sum(buckets.count) == 1
    with contextlib.closing(sqlite3.connect(f"file:{store._database.path}?mode=ro", uri=True)) as database:
        (there,) = store.find(Selector("requests", {"project": "shop2"}))
        for table in ("chunks", "rungs"):
            assert database.execute(f"SELECT DISTINCT series FROM {table}").fetchall() == [(there.id,)]


def test_a_terminated_environment_is_forgotten_and_the_others_stay(
    open_store: OpenStore, clock: HandClock
) -> None:
    prod, dev = (SeriesKey.of("requests", project="shop", environment=name) for name in ("prod", "dev"))
    store = open_store()
    store.write(clock.now(), 10, [gauge(prod, 1.0), gauge(dev, 1.0)])
    clock.move(5)
    store.forget_place("shop", "prod")
    for _ in range(2):  # the second time after a kill -9
        store.write(clock.now(), 10, [gauge(prod, 1.0), gauge(dev, 1.0)])
        assert [one.key for one in store.find(Selector("*"))] == [dev]
        store = open_store()
    clock.move(10)
    store.write(clock.now(), 10, [gauge(prod, 1.0)])
    assert {one.key for one in store.find(Selector("*"))} == {prod, dev}


@pytest.mark.parametrize("jump_s", [-1800.0, HOUR_S + 1])
def test_a_clock_that_is_set_costs_a_project_that_was_made_anew_no_sample(
    store: MetricStore, clock: HandClock, jump_s: float
) -> None:
    mine = SeriesKey.of("requests", project="shop")
    store.forget_place("shop")
    clock.move(jump_s)
    store.write(clock.now(), 10, [gauge(mine, 1.0)])
    assert [one.key for one in store.find(Selector("*"))] == [mine]


# --- how long -------------------------------------------------------------------------------


def fill(
    store: MetricStore, clock: HandClock, hours: int, *, series: int = 1, is_noise: bool = False
) -> None:
    """A sample each minute, compacted each hour."""
    keys = [SeriesKey.of("cpu", instance=str(number)) for number in range(series)]
    noise = random.Random(0)
    for _ in range(hours):
        for minute in range(60):
            store.write(clock.now(), 10, [gauge(key, noise.random() if is_noise else minute) for key in keys])
            clock.move(60)
        store.compact(clock.now())


def test_each_rung_is_kept_as_long_as_it_says(open_store: OpenStore, clock: HandClock) -> None:
    store = open_store()
    fill(store, clock, 24)
    end = clock.now()
    kept: dict[int, int] = {}
    for day in range(1, 470):
        clock.move(DAY_S)
        store.compact(clock.now())
        for period_s in (10, 60, 300, HOUR_S):
            found = store.find(Selector("cpu"))
            if not found:
                continue
            read = store.read(found, end - DAY_S, end, period_s)
            if any(any(buckets.count) for buckets in read.buckets.values()):
                kept[read.period_s] = day
    # Past a rung's time the next one answers; a chunk goes when its last point, of five days, is too old.
    assert kept == {60: 14, 300: 62, HOUR_S: 458}
    assert store.count_series() == 0


def test_room_that_was_freed_is_given_back(
    open_store: OpenStore, clock: HandClock, data_directory: Path
) -> None:
    store = open_store()
    path = data_directory / "metrics" / "metrics.db"
    fill(store, clock, 10, series=100, is_noise=True)
    store = open_store()
    full = path.stat().st_size
    assert full > 1_800_000
    clock.move(64 * DAY_S)
    store.compact(clock.now())
    store = open_store()
    # 1 MiB is kept for what comes next.
    assert path.stat().st_size < 2**20 + (full - 2**20) / 2
    assert sum(counted(store, "cpu", BEGIN, BEGIN + DAY_S, HOUR_S)) == 10 * 60 * 100


def test_a_clock_that_jumps_by_years_deletes_nothing(store: MetricStore, clock: HandClock) -> None:
    fill(store, clock, 5)
    before = counted(store, "cpu", BEGIN, clock.now())
    clock.jump(10 * 365 * DAY_S)
    store.write(clock.now(), 10, [gauge(SeriesKey.of("other"), 1.0)])
    store.compact(clock.now())
    clock.jump(-10 * 365 * DAY_S)
    store.compact(clock.now())
    fill(store, clock, 3)
    assert counted(store, "cpu", BEGIN, BEGIN + 5 * HOUR_S) == before
    assert sum(counted(store, "cpu", BEGIN, clock.now() + HOUR_S)) == 8 * 60


def test_an_hour_forward_and_back(open_store: OpenStore, clock: HandClock) -> None:
    """Hours that were compacted too early take what belongs to them, each sample once."""
    store = open_store()
    expected = 0
    key = SeriesKey.of("hits")
    for step in range(6 * 360):
        if step in (400, 1500):
            clock.jump(HOUR_S)
        if step in (700, 1550):
            clock.jump(-HOUR_S)
        store.write(clock.now(), 10, [Sample(key, Kind.COUNT, 1.0)])
        expected += 1
        clock.move(10)
        if step % 6 == 0:
            store.compact(clock.now())
        if step % 500 == 0:
            store = open_store()
    for _ in range(2):
        (found,) = store.find(Selector("hits"))
        for period_s in (60, 300, HOUR_S):
            buckets = store.read([found], BEGIN, clock.now() + 3 * HOUR_S, period_s).buckets[found.id]
            assert sum(buckets.total) == expected
        clock.move(4 * HOUR_S)
        store.compact(clock.now())


def test_a_night_between_two_kills_counts_nothing_twice(open_store: OpenStore, clock: HandClock) -> None:
    store, keys = open_store(), [SeriesKey.of("cpu", instance=name) for name in "abc"]
    for _ in range(360):
        store.write(clock.now(), 10, [gauge(key, 1.0) for key in keys])
        clock.move(10)
    for night_s in (2 * HOUR_S, 12 * HOUR_S):
        clock.move(night_s)
        # Killed when one more has its chunk: the rows that all stand in are still there.
        assert store.compact(clock.now(), 1)
        store = open_store()
    while store.compact(clock.now(), 1):
        pass
    read = open_store().read(store.find(Selector("cpu")), BEGIN, BEGIN + HOUR_S, HOUR_S)
    assert [list(buckets.count) for buckets in read.buckets.values()] == [[360.0]] * 3


def test_samples_for_an_hour_whose_own_samples_are_gone(open_store: OpenStore, clock: HandClock) -> None:
    """A clock that was ahead for half a day: what comes for the same hours is added to the ladder."""
    store = open_store()
    fill(store, clock, 12)
    clock.jump(-10 * HOUR_S)
    store = open_store()
    at = clock.now()
    for step in range(60):
        store.write(at + 10 * step, 10, [Sample(SeriesKey.of("cpu", instance="0"), Kind.GAUGE, 99.0)])
    assert sum(counted(store, "cpu", BEGIN, BEGIN + DAY_S, HOUR_S)) == 12 * 60 + 60
    for _ in range(2):
        clock.move(12 * HOUR_S)
        store.compact(clock.now())
        assert sum(counted(store, "cpu", BEGIN, BEGIN + DAY_S, HOUR_S)) == 12 * 60 + 60
        store = open_store()


# --- damage ---------------------------------------------------------------------------------


def change_chunks(directory: Path, table: str, statement: str) -> int:
    with sqlite3.connect(directory / "metrics" / "metrics.db") as connection:
        rows = connection.execute(f"UPDATE {table} SET data = {statement}").rowcount
    connection.close()
    return rows


def test_a_damaged_chunk_is_named_and_left_out(
    store: MetricStore, clock: HandClock, data_directory: Path
) -> None:
    fill(store, clock, 8, series=3)
    (first, *others) = store.find(Selector("cpu"))
    with sqlite3.connect(data_directory / "metrics" / "metrics.db") as connection:
        data = bytearray(
            connection.execute(
                "SELECT data FROM rungs WHERE resolution_s = 60 AND start = ? AND series = ?",
                (BEGIN, first.id),
            ).fetchone()[0]
        )
        data[len(data) // 2] ^= 1
        connection.execute(
            "UPDATE rungs SET data = ? WHERE resolution_s = 60 AND start = ? AND series = ?",
            (data, BEGIN, first.id),
        )
    connection.close()
    read = store.read([first, *others], BEGIN, clock.now(), 60)
    assert len(read.problems) == 1
    assert 'cpu{instance="0"}' in read.problems[0] and "60 s" in read.problems[0]
    assert sum(read.buckets[first.id].count) == 2 * 60
    assert [sum(read.buckets[one.id].count) for one in others] == [8 * 60, 8 * 60]
    assert store.read([first], BEGIN, clock.now(), 300).problems == ()
    fill(store, clock, 3, series=3)
    assert sum(store.read([first], BEGIN, clock.now(), 60).buckets[first.id].count) == 5 * 60


@pytest.mark.parametrize("statement", ["x''", "x'00'", "zeroblob(50)", "substr(data, 1, 20)"])
def test_whatever_stands_in_the_place_of_chunks_the_rest_goes_on(
    store: MetricStore, clock: HandClock, data_directory: Path, statement: str
) -> None:
    fill(store, clock, 4)
    assert change_chunks(data_directory, "rungs", statement) > 0
    assert change_chunks(data_directory, "chunks", statement) > 0
    for period_s in (10, 60, 300, HOUR_S):
        read = store.read(store.find(Selector("cpu")), clock.now() - 3 * HOUR_S, clock.now(), period_s)
        assert read.problems
        assert sum(sum(buckets.count) for buckets in read.buckets.values()) >= 60
    fill(store, clock, 2)
    read = store.read(store.find(Selector("cpu")), clock.now() - HOUR_S, clock.now(), 60)
    assert sum(sum(buckets.count) for buckets in read.buckets.values()) == 60


@pytest.mark.parametrize("offset", [0, 50, 2 * 4096])
def test_a_file_that_sqlite_cannot_read_is_kept_under_another_name(
    open_store: OpenStore, clock: HandClock, data_directory: Path, offset: int
) -> None:
    store = open_store()
    fill(store, clock, 3)
    store.close()
    path = data_directory / "metrics" / "metrics.db"
    content = bytearray(path.read_bytes())
    content[offset : offset + 4000] = b"\xff" * 4000
    path.write_bytes(content)
    store = open_store()
    assert store.find(Selector("*")) == []
    assert "metrics.db.damaged-1" in files(data_directory)
    fill(store, clock, 3)
    assert sum(counted(open_store(), "cpu", BEGIN, clock.now())) == 3 * 60


def test_a_file_that_turns_out_to_be_damaged_is_set_aside_at_the_next_start(
    open_store: OpenStore, clock: HandClock, data_directory: Path
) -> None:
    store = open_store()
    fill(store, clock, 3)
    store.close()
    path = data_directory / "metrics" / "metrics.db"
    with sqlite3.connect(path) as connection:
        page = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_rungs_1'"
        ).fetchone()[0]
    connection.close()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    store = open_store()
    assert store.find(Selector("cpu"))
    clock.move(HOUR_S)
    with pytest.raises(MetricsFull, match="Restart the server"):
        store.compact(clock.now())
    assert store.is_paused
    read = store.read(store.find(Selector("cpu")), BEGIN, clock.now(), 60)
    assert read.problems and any(sum(buckets.count) for buckets in read.buckets.values())
    store = open_store()
    assert store.find(Selector("*")) == []
    assert "metrics.db.damaged-1" in files(data_directory)
    fill(store, clock, 3)
    assert not store.is_paused


def test_a_file_of_a_later_version_is_left_alone(open_store: OpenStore, data_directory: Path) -> None:
    open_store().close()
    with sqlite3.connect(data_directory / "metrics" / "metrics.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(MetricsFull, match="another version"):
        open_store()
    assert not [name for name in files(data_directory) if "damaged" in name]


# --- a full disk ----------------------------------------------------------------------------


def test_with_too_little_room_nothing_is_taken_in_and_the_reason_is_said(
    open_store: OpenStore, clock: HandClock
) -> None:
    store = open_store(Limits(reserve_bytes=2**62))
    with pytest.raises(MetricsFull, match="MiB are free"):
        store.write(clock.now(), 10, [gauge(CPU, 1.0)])
    assert store.is_paused
    assert store.pause_reason is not None and "MiB" in store.pause_reason
    assert store.find(Selector("*")) == []
    store = open_store()
    assert not store.is_paused
    store.write(clock.now(), 10, [gauge(CPU, 1.0)])


# --- several threads ------------------------------------------------------------------------


def test_readers_writers_and_compaction_at_once(open_store: OpenStore, clock: HandClock) -> None:
    """Whatever a reader sees while hours move from memory to chunks, it sees each sample once."""
    store = open_store()
    keys = [SeriesKey.of("hits", instance=str(number)) for number in range(40)]
    for _ in range(3 * 60):
        store.write(clock.now(), 10, [Sample(key, Kind.COUNT, 1.0) for key in keys])
        clock.move(60)
    found = store.find(Selector("hits"))
    seen: list[float] = []
    is_over = threading.Event()

    def reading() -> None:
        while not is_over.is_set():
            for one in found:
                read = store.read([one], BEGIN, BEGIN + 3 * HOUR_S, 60)
                seen.append(sum(read.buckets[one.id].count))

    def writing() -> None:
        while not is_over.is_set():
            store.write(clock.now(), 10, [gauge(SeriesKey.of("other"), 1.0)])

    threads = [threading.Thread(target=one) for one in (reading, reading, writing)]
    for thread in threads:
        thread.start()
    try:
        while store.compact(clock.now(), 5):
            pass
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert set(seen) == {3 * 60}
    assert sum(counted(open_store(), "hits", BEGIN, clock.now())) == 40 * 3 * 60
