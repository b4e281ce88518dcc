"""Adds samples and points up into buckets. A bucket has what lies in its period, counted once."""

from array import array
from collections.abc import Collection, Iterator

from halage.monitor.metrics.ladder import HOUR_S
from halage.monitor.metrics.model import Buckets
from halage.monitor.metrics.points import Points, empty_columns
from halage.monitor.metrics.sketch import Sketch


def empty_buckets(start: int, period_s: int, size: int, *, with_sketches: bool) -> Buckets:
    """Buckets without data."""
    return Buckets(start, period_s, *empty_columns(size), [None] * size if with_sketches else None)


def add_numbers(buckets: Buckets, start: int, resolution_s: int, numbers: "array[float]") -> None:
    """Count numbers, each the sample of a tick from `start`; NaN where there is none."""
    period_s, size = buckets.period_s, len(numbers)
    if period_s % resolution_s:
        _add_one_by_one(buckets, start, resolution_s, numbers)
        return
    slots = period_s // resolution_s
    first = max(0, (start - buckets.start) // period_s)
    last = min(len(buckets.count), -(-(start + size * resolution_s - buckets.start) // period_s))
    begin = (buckets.start + first * period_s - start) // resolution_s
    count, total, minimum, maximum = buckets.count, buckets.total, buckets.minimum, buckets.maximum
    for index in range(first, last):
        seen = numbers[begin if begin > 0 else 0 : begin + slots]
        begin += slots
        added = sum(seen)
        if added != added:
            seen = array("d", [number for number in seen if number == number])
            if not seen:
                continue
            added = sum(seen)
        count[index] += len(seen)
        total[index] += added
        if (lowest := min(seen)) < minimum[index]:
            minimum[index] = lowest
        if (highest := max(seen)) > maximum[index]:
            maximum[index] = highest
        if buckets.sketches is not None:
            _sketch_numbers(buckets.sketches, index, seen)


def add_points(buckets: Buckets, points: Points, without: Collection[int]) -> None:
    """Count points, but those of the hours (their beginnings) in `without`."""
    for begin, end in _ranges(points, buckets, without):
        if points.resolution_s == buckets.period_s:
            _add_like(buckets, points, begin, end)
        else:
            _add_within(buckets, points, begin, end)


def _ranges(points: Points, buckets: Buckets, without: Collection[int]) -> Iterator[tuple[int, int]]:
    """Slots [begin, end) that lie within the buckets and outside the hours."""
    step = points.resolution_s
    end_s = buckets.start + len(buckets.count) * buckets.period_s
    begin = max(0, -(-(buckets.start - points.start) // step))
    end = min(len(points.count), (end_s - points.start) // step)
    for hour in sorted(without):
        low, high = (hour - points.start) // step, (hour + HOUR_S - points.start) // step
        if high <= begin or low >= end:
            continue
        if begin < low:
            yield begin, low
        begin = max(begin, high)
    if begin < end:
        yield begin, end


def _add_like(buckets: Buckets, points: Points, begin: int, end: int) -> None:
    """Points with the period of the buckets: slot by slot."""
    first = (points.start - buckets.start) // buckets.period_s + begin
    last = first + end - begin
    if any(buckets.count[first:last]):
        _add_within(buckets, points, begin, end)
        return
    buckets.count[first:last] = points.count[begin:end]
    buckets.total[first:last] = points.total[begin:end]
    buckets.minimum[first:last] = points.minimum[begin:end]
    buckets.maximum[first:last] = points.maximum[begin:end]
    if buckets.sketches is not None:
        count = points.count
        buckets.sketches[first:last] = [
            points.sketch(slot) if count[slot] else None for slot in range(begin, end)
        ]


def _add_within(buckets: Buckets, points: Points, begin: int, end: int) -> None:
    """Points of a resolution that divides the period, or of any other: each to where it begins."""
    step, period_s = points.resolution_s, buckets.period_s
    while begin < end:
        index = (points.start + begin * step - buckets.start) // period_s
        next_at = buckets.start + (index + 1) * period_s
        until = min(end, max(begin + 1, -(-(next_at - points.start) // step)))
        counted = sum(points.count[begin:until])
        if counted:
            buckets.count[index] += counted
            buckets.total[index] += sum(points.total[begin:until])
            buckets.minimum[index] = min(buckets.minimum[index], *points.minimum[begin:until])
            buckets.maximum[index] = max(buckets.maximum[index], *points.maximum[begin:until])
            if buckets.sketches is not None:
                sketch = buckets.sketches[index]
                if sketch is None:
                    sketch = buckets.sketches[index] = Sketch()
                for slot in range(begin, until):
                    if points.count[slot]:
                        points.merge_into(sketch, slot)
        begin = until


def _add_one_by_one(buckets: Buckets, start: int, resolution_s: int, numbers: "array[float]") -> None:
    """Samples that are further apart than the period, or not a whole number of times in it."""
    for slot, number in enumerate(numbers):
        index = (start + slot * resolution_s - buckets.start) // buckets.period_s
        if number != number or not 0 <= index < len(buckets.count):
            continue
        buckets.count[index] += 1
        buckets.total[index] += number
        buckets.minimum[index] = min(buckets.minimum[index], number)
        buckets.maximum[index] = max(buckets.maximum[index], number)
        if buckets.sketches is not None:
            _sketch_numbers(buckets.sketches, index, array("d", [number]))


def _sketch_numbers(sketches: list[Sketch | None], index: int, numbers: "array[float]") -> None:
    sketch = sketches[index]
    if sketch is None:
        sketch = sketches[index] = Sketch()
    lowest = min(numbers)
    if lowest == max(numbers):
        sketch.add(lowest, len(numbers))
        return
    for number in numbers:
        sketch.add(number)
