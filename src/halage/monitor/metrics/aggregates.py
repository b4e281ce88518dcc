"""Statistics of buckets, and buckets of several series merged: counts, sums and sketches are added."""

from array import array
from collections.abc import Callable, Sequence
from operator import add

from halage.monitor.metrics.model import Buckets
from halage.monitor.metrics.sketch import Sketch
from halage.monitor.metrics.syntax import Aggregate

Values = list[float | None]


def aggregate(kind: Aggregate, percent: float, buckets: Buckets) -> Values:
    """The statistic of each bucket; None where there is no data."""
    count = buckets.count
    if kind is Aggregate.AVERAGE:
        return [total / n if n else None for total, n in zip(buckets.total, count, strict=True)]
    if kind is Aggregate.SUM:
        return [total if n else None for total, n in zip(buckets.total, count, strict=True)]
    if kind is Aggregate.MINIMUM:
        return [value if n else None for value, n in zip(buckets.minimum, count, strict=True)]
    if kind is Aggregate.MAXIMUM:
        return [value if n else None for value, n in zip(buckets.maximum, count, strict=True)]
    if kind is Aggregate.SAMPLES:
        return [n or None for n in count]
    q = percent / 100
    assert buckets.sketches is not None, "percentiles are read with sketches"
    return [sketch.quantile(q) if sketch is not None else None for sketch in buckets.sketches]


def merge(several: Sequence[Buckets], kind: Aggregate) -> Buckets | None:
    """One for all, in what the statistic needs; none of them is changed. None for no buckets."""
    if len(several) < 2:
        return several[0] if several else None
    first = several[0]
    merged = Buckets(
        first.start, first.period_s, first.count, first.total, first.minimum, first.maximum, first.sketches
    )
    if kind is Aggregate.PERCENTILE:
        merged.sketches = _merged_sketches(several)
        return merged
    for other in several[1:]:
        if kind in (Aggregate.AVERAGE, Aggregate.SUM):
            merged.total = array("d", map(add, _known(merged, merged.total), _known(other, other.total)))
        elif kind is Aggregate.MINIMUM:
            merged.minimum = _extremes(min, merged, merged.minimum, other, other.minimum)
        elif kind is Aggregate.MAXIMUM:
            merged.maximum = _extremes(max, merged, merged.maximum, other, other.maximum)
        merged.count = array("d", map(add, merged.count, other.count))
    return merged


def _known(buckets: Buckets, values: "array[float]") -> "array[float]":
    """The values, 0 for buckets without data: theirs mean nothing."""
    if all(buckets.count):
        return values
    return array("d", (value if n else 0.0 for value, n in zip(values, buckets.count, strict=True)))


def _extremes(
    choose: Callable[[float, float], float],
    one: Buckets,
    ones: "array[float]",
    other: Buckets,
    others: "array[float]",
) -> "array[float]":
    return array(
        "d",
        (
            choose(a, b) if n and m else a if n else b
            for a, n, b, m in zip(ones, one.count, others, other.count, strict=True)
        ),
    )


def _merged_sketches(several: Sequence[Buckets]) -> list[Sketch | None]:
    merged: list[Sketch | None] = []
    for column in zip(*(buckets.sketches or () for buckets in several), strict=True):
        present = [sketch for sketch in column if sketch is not None]
        if len(present) < 2:
            merged.append(present[0] if present else None)
            continue
        total = Sketch()
        for sketch in present:
            total.merge(sketch)
        merged.append(total)
    return merged
