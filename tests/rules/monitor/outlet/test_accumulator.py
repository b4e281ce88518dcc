"""What stands: counters that only grow, the latest levels, histograms; bounded, and forgotten when old."""

import math
import random

import pytest

from halage.monitor.metrics.errors import MetricsFull, TooOld
from halage.monitor.metrics.model import Kind, Sample, SeriesKey
from halage.monitor.metrics.sketch import Sketch
from halage.monitor.outlet.accumulator import Accumulator, Histogram
from tests.clock import ManualClock
from tests.services.monitor.intake.stage import MemoryStore

START = 1_000_000_000
REQUESTS = SeriesKey.of("environment_requests", project="shop")
TIME = SeriesKey.of("environment_response_time_ms", project="shop")
CPU = SeriesKey.of("machine_cpu_percent")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def accumulator(store: MemoryStore, clock: ManualClock) -> Accumulator:
    return Accumulator(store, clock, limit=10)


def _value(accumulator: Accumulator, key: SeriesKey) -> float | Histogram | None:
    found = accumulator.standing(lambda each: each == key)
    return found[0].value if found else None


def _count(times: float, key: SeriesKey = REQUESTS) -> Sample:
    return Sample(key, Kind.COUNT, times)


def test_what_is_written_reaches_the_store(accumulator: Accumulator, store: MemoryStore) -> None:
    accumulator.write(START, 10, [_count(1)])
    assert store.writes == [(START, 10, [_count(1)])]


def test_a_counter_only_grows_whatever_comes_late_or_in_parts(accumulator: Accumulator) -> None:
    standing = []
    for at, times in ((START, 3), (START + 10, 4), (START + 10, 1), (START - 20, 2), (START + 20, 0)):
        accumulator.write(at, 10, [_count(times)])
        standing.append(_value(accumulator, REQUESTS))
    assert standing == [3, 7, 8, 10, 10]


async def test_a_level_is_the_latest_and_goes_when_it_is_stale(
    accumulator: Accumulator, clock: ManualClock
) -> None:
    accumulator.write(START, 10, [Sample(CPU, Kind.GAUGE, 50.0)])
    accumulator.write(START - 10, 10, [Sample(CPU, Kind.GAUGE, 99.0)])
    await clock.advance(39)
    assert _value(accumulator, CPU) == 50
    await clock.advance(1)
    assert _value(accumulator, CPU) is None
    accumulator.write(START + 40, 10, [Sample(CPU, Kind.GAUGE, 60.0)])
    assert _value(accumulator, CPU) == 60


def test_a_full_store_stops_no_counter_and_is_still_told(
    accumulator: Accumulator, store: MemoryStore
) -> None:
    store.error = MetricsFull()
    with pytest.raises(MetricsFull):
        accumulator.write(START, 10, [_count(1)])
    assert _value(accumulator, REQUESTS) == 1
    store.error = TooOld()
    with pytest.raises(TooOld):
        accumulator.write(START, 10, [_count(1)])
    assert _value(accumulator, REQUESTS) == 1


async def test_there_is_a_bound_and_what_is_gone_makes_room(
    accumulator: Accumulator, clock: ManualClock
) -> None:
    keys = [SeriesKey.of("instance_requests", instance=str(number)) for number in range(20)]
    accumulator.write(START, 10, [_count(1, key) for key in keys])
    assert len(accumulator.standing(lambda key: True)) == 10
    await clock.advance(3700)
    accumulator.write(START + 3700, 10, [_count(1, keys[0])])
    assert [each.key for each in accumulator.standing(lambda key: True)] == [keys[0]]
    accumulator.write(START + 3710, 10, [_count(1, keys[15])])
    assert len(accumulator.standing(lambda key: True)) == 2


def test_the_counts_of_a_histogram_are_exact_at_its_bounds(accumulator: Accumulator) -> None:
    random.seed(7)
    values = [random.lognormvariate(3, 1.5) for _ in range(2000)]
    for start in (0, 1000):
        sketch = Sketch.of(values[start : start + 1000])
        accumulator.write(START + start, 10, [Sample(TIME, Kind.DISTRIBUTION, sketch)])
    histogram = _value(accumulator, TIME)
    assert isinstance(histogram, Histogram)
    assert histogram.cumulative == tuple(
        sum(value <= bound for value in values) for bound in histogram.bounds
    )
    assert (histogram.count, histogram.cumulative[-1]) == (2000, 2000)
    assert histogram.total == pytest.approx(sum(values))
    assert histogram.bounds[0] <= min(values) < max(values) <= histogram.bounds[-1]
    factors = {
        round(upper / lower, 9) for lower, upper in zip(histogram.bounds, histogram.bounds[1:], strict=False)
    }
    assert factors == {round((1.01 / 0.99) ** 17, 9)}


def test_zero_and_what_is_below_is_below_every_bound(accumulator: Accumulator) -> None:
    sketch = Sketch.of([-5.0, 0.0, 10.0])
    accumulator.write(START, 10, [Sample(TIME, Kind.DISTRIBUTION, sketch)])
    histogram = _value(accumulator, TIME)
    assert isinstance(histogram, Histogram)
    assert histogram.cumulative[0] == 2 and histogram.cumulative[-1] == 3


def test_a_hostile_distribution_stays_small(accumulator: Accumulator) -> None:
    sketch = Sketch.of(math.exp(number / 100) for number in range(-2000, 23_000))
    accumulator.write(START, 10, [Sample(TIME, Kind.DISTRIBUTION, sketch)])
    histogram = _value(accumulator, TIME)
    assert isinstance(histogram, Histogram)
    assert len(histogram.bounds) < 1000


async def test_a_terminated_environment_is_not_shown_again_by_what_still_comes(
    accumulator: Accumulator, clock: ManualClock
) -> None:
    at = clock.now() // 10 * 10
    prod, dev = (SeriesKey.of("orders", project="shop", environment=name) for name in ("prod", "dev"))
    samples = [Sample(key, Kind.COUNT, 3.0) for key in (prod, dev)]
    accumulator.write(at, 10, samples)
    accumulator.forget_place("shop", "prod")
    accumulator.write(at, 10, samples)
    assert (_value(accumulator, prod), _value(accumulator, dev)) == (None, 6)


async def test_a_deleted_project_is_not_shown_again_by_what_still_comes(
    accumulator: Accumulator, clock: ManualClock
) -> None:
    at = clock.now() // 10 * 10
    accumulator.write(at, 10, [_count(3), Sample(CPU, Kind.GAUGE, 1.0)])
    accumulator.forget_place("shop")
    accumulator.write(at, 10, [_count(4)])
    assert _value(accumulator, REQUESTS) is None
    assert _value(accumulator, CPU) == 1.0
    await clock.advance(10)
    accumulator.write(at + 10, 10, [_count(5)])
    assert _value(accumulator, REQUESTS) == 5, "a new project of the same name counts from nothing"
