"""What the store should answer, worked out the slow way: every sample kept, every bucket summed afresh."""

import math
import random
from collections.abc import Iterator, Sequence

from halage.monitor.metrics.model import Buckets, Kind, Read, Sample, SeriesKey
from halage.monitor.metrics.sketch import Sketch


class Naive:
    """Samples by series and tick."""

    def __init__(self) -> None:
        self.values: dict[SeriesKey, dict[tuple[int, int], list[float]]] = {}

    def write(self, at: float, resolution_s: int, samples: Sequence[Sample], raw: Sequence[object]) -> None:
        tick = int(at // resolution_s) * resolution_s
        for sample, values in zip(samples, raw, strict=True):
            slots = self.values.setdefault(sample.key, {})
            before = slots.get((tick, resolution_s), [])
            if sample.kind == Kind.GAUGE:
                assert isinstance(values, float)
                slots[tick, resolution_s] = [values]
            elif sample.kind == Kind.COUNT:
                assert isinstance(values, float)
                slots[tick, resolution_s] = [sum(before) + values]
            else:
                assert isinstance(values, list)
                slots[tick, resolution_s] = before + values

    def by_period(self, key: SeriesKey, period_s: int) -> dict[int, list[float]]:
        """The values of each period that has some, by its beginning."""
        found: dict[int, list[float]] = {}
        for (at, _), values in self.values.get(key, {}).items():
            found.setdefault(at - at % period_s, []).extend(values)
        return found


def assert_same(naive: Naive, keys: dict[int, SeriesKey], read: Read, quantiles: bool = False) -> int:
    """Every bucket is what it should be; returns how many have data."""
    assert read.problems == ()
    seen = 0
    for number, key in keys.items():
        buckets = read.buckets[number]
        expected = naive.by_period(key, buckets.period_s)
        for index in range(len(buckets.count)):
            seen += bool(buckets.count[index])
            start = buckets.start + index * buckets.period_s
            _assert_bucket(expected.get(start, []), buckets, index, quantiles)
    return seen


def _assert_bucket(values: list[float], buckets: Buckets, index: int, quantiles: bool) -> None:
    assert buckets.count[index] == len(values), (buckets.start, buckets.period_s, index)
    sketch = buckets.sketches[index] if buckets.sketches is not None else None
    if not values:
        assert sketch is None
        return
    assert math.isclose(buckets.total[index], math.fsum(values), rel_tol=1e-9, abs_tol=1e-9)
    assert buckets.minimum[index] == min(values)
    assert buckets.maximum[index] == max(values)
    if quantiles:
        assert sketch is not None and sketch.count == len(values)
        ordered = sorted(values)
        for q in (0.5, 0.95, 0.99):
            exact = ordered[max(1, math.ceil(q * len(values))) - 1]
            found = sketch.quantile(q)
            assert found is not None and abs(found - exact) <= 0.011 * abs(exact) + 1e-9


def samples_of(rng: random.Random, series: dict[SeriesKey, Kind]) -> Iterator[tuple[Sample, object]]:
    """A value for some of the series, and what it is made of."""
    for key, kind in series.items():
        if rng.random() < 0.1:
            continue
        if kind == Kind.GAUGE:
            value = rng.choice(
                [round(rng.uniform(-50, 100), 2), rng.uniform(0, 1), 4096.0 * rng.randrange(999)]
            )
            yield Sample(key, kind, value), value
        elif kind == Kind.COUNT:
            count = float(rng.choice([0, 0, rng.randrange(1000)]))
            yield Sample(key, kind, count), count
        else:
            values = [rng.lognormvariate(3, 1) for _ in range(rng.randrange(1, 20))]
            yield Sample(key, kind, Sketch.of(values)), values
