"""What is read is what was written: from memory, chunks and the ladder, at every period, counted once."""

import random

import pytest

from halage.monitor.metrics.model import Kind, Sample, Selector, SeriesKey
from halage.monitor.metrics.store import MetricStore
from tests.components.monitor.metrics.conftest import BEGIN, DAY_S, HOUR_S, HandClock, OpenStore
from tests.components.monitor.metrics.naive import Naive, assert_same, samples_of

SERIES = {
    SeriesKey.of("cpu", instance="a"): Kind.GAUGE,
    SeriesKey.of("cpu", instance="b"): Kind.GAUGE,
    SeriesKey.of("hits", instance="a"): Kind.COUNT,
    SeriesKey.of("time", instance="a"): Kind.DISTRIBUTION,
}
DETAILED = {
    SeriesKey.of("cpu", instance="detailed"): Kind.GAUGE,
    SeriesKey.of("time", instance="detailed"): Kind.DISTRIBUTION,
}


def write(
    store: MetricStore, naive: Naive, rng: random.Random, at: float, resolution_s: int, detailed: bool = False
) -> None:
    pairs = list(samples_of(rng, DETAILED if detailed else SERIES))
    samples = [sample for sample, _ in pairs]
    store.write(at, resolution_s, samples)
    naive.write(at, resolution_s, samples, [made_of for _, made_of in pairs])


def check(store: MetricStore, naive: Naive, start: float, end: float, period_s: int, sketches: bool) -> int:
    found = [one for name in ("cpu", "hits", "time") for one in store.find(Selector(name))]
    read = store.read(found, start, end, period_s, with_sketches=sketches)
    return assert_same(naive, {one.id: one.key for one in found}, read, quantiles=sketches)


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_writes_compactions_and_restarts_reads_the_same(
    open_store: OpenStore, clock: HandClock, seed: int
) -> None:
    rng = random.Random(seed)
    naive = Naive()
    store = open_store()
    clock.move(rng.randrange(20) * HOUR_S)
    begin = clock.now()
    for step in range(300):
        clock.move(rng.choice([1, 10, 10, 60, 60, 600]))
        now = clock.now()
        write(store, naive, rng, now - rng.choice([10, 10, 10, 70, 1800, 3580]), 10)
        write(store, naive, rng, now - rng.choice([1, 1, 30, 3000]), 1, detailed=True)
        if rng.random() < 0.05:
            store.compact(now, rng.choice([None, 1, 3]))
        if rng.random() < 0.01:
            store = open_store()
        if step % 50 == 49:
            period_s = rng.choice([10, 30, 60, 90, 300, 3600, 7200])
            start = now - rng.choice([300, 5000, 3 * HOUR_S, 40 * HOUR_S])
            assert check(store, naive, start, now, period_s, sketches=rng.random() < 0.5) > 0
    for compacted in (False, True):
        if compacted:
            clock.move(3 * HOUR_S)
            store.compact(clock.now())
        for period_s in (60, 300, 900, HOUR_S, DAY_S):
            assert check(store, naive, begin - DAY_S, clock.now() + HOUR_S, period_s, sketches=period_s > 60)


@pytest.mark.parametrize(
    ("age_s", "period_s", "with_sketches", "answered_s"),
    [
        (2 * HOUR_S, 10, True, 10),
        (2 * HOUR_S, 1, False, 10),
        (4 * HOUR_S, 10, False, 60),
        (4 * HOUR_S, 10, True, 300),
        (4 * HOUR_S, 90, False, 120),
        (14 * DAY_S, 60, False, 60),
        (16 * DAY_S, 60, False, 300),
        (64 * DAY_S, 60, False, HOUR_S),
        (64 * DAY_S, 5400, False, 2 * HOUR_S),
        (500 * DAY_S, 60, False, HOUR_S),
    ],
)
def test_where_only_coarser_data_is_kept_the_answer_has_a_longer_period(
    store: MetricStore,
    clock: HandClock,
    age_s: float,
    period_s: int,
    with_sketches: bool,
    answered_s: int,
) -> None:
    store.write(clock.now() - 10, 10, [Sample(SeriesKey.of("cpu"), Kind.GAUGE, 1.0)])
    start = clock.now() - age_s
    read = store.read(store.find(Selector("cpu")), start, start + 1, period_s, with_sketches=with_sketches)
    assert read.period_s == answered_s


def test_both_ends_are_widened_to_whole_periods(store: MetricStore, clock: HandClock) -> None:
    clock.move(600)
    key = SeriesKey.of("cpu")
    for age in range(600, 0, -10):
        store.write(clock.now() - age, 10, [Sample(key, Kind.GAUGE, float(age))])
    (found,) = store.find(Selector("cpu"))
    buckets = store.read([found], BEGIN + 61, BEGIN + 181, 60).buckets[found.id]
    assert (buckets.start, buckets.period_s, list(buckets.count)) == (BEGIN + 60, 60, [6, 6, 6])
    assert list(buckets.maximum) == [540, 480, 420]
    buckets = store.read([found], BEGIN + 60, BEGIN + 180, 60).buckets[found.id]
    assert list(buckets.count) == [6, 6]


def test_a_series_that_turns_to_samples_of_one_second_keeps_both(
    open_store: OpenStore, clock: HandClock
) -> None:
    store, key = open_store(), SeriesKey.of("cpu")
    for _ in range(60):
        store.write(clock.now(), 10, [Sample(key, Kind.GAUGE, 1.0)])
        clock.move(10)
    for _ in range(600):
        store.write(clock.now(), 1, [Sample(key, Kind.GAUGE, 2.0)])
        clock.move(1)
    for _ in range(3):
        (found,) = store.find(Selector("cpu"))
        assert found.resolution_s == 1
        by_minute = store.read([found], BEGIN, BEGIN + 1200, 60)
        assert list(by_minute.buckets[found.id].count) == [6] * 10 + [60] * 10
        assert list(by_minute.buckets[found.id].total) == [6] * 10 + [120] * 10
        finest = store.read([found], BEGIN, BEGIN + 1200, 1)
        assert (finest.period_s, sum(finest.buckets[found.id].count)) == (1, 660)
        store = open_store()
        clock.move(3000)
        store.compact(clock.now())


def test_a_second_sample_of_a_tick(open_store: OpenStore, clock: HandClock) -> None:
    """A gauge is replaced, a count added to, a distribution merged; also after a restart."""
    store = open_store()
    naive = Naive()
    rng = random.Random(1)
    for _ in range(20):
        write(store, naive, rng, clock.now(), 10)
    clock.move(10)
    assert check(store, naive, BEGIN, clock.now(), 10, sketches=True) == len(SERIES)
    store = open_store()
    write(store, naive, rng, BEGIN, 10)
    assert check(store, naive, BEGIN, clock.now(), 10, sketches=True) == len(SERIES)


def test_a_chunk_of_samples_is_read_for_three_hours(store: MetricStore, clock: HandClock) -> None:
    naive, rng = Naive(), random.Random(2)
    for _ in range(360):
        write(store, naive, rng, clock.now(), 10)
        clock.move(10)
    clock.move(HOUR_S)
    store.compact(clock.now())
    assert check(store, naive, BEGIN, BEGIN + HOUR_S, 10, sketches=True) > 1000
