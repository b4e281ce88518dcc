"""Aggregates of one series at one resolution, as they are kept: columns, and sketches as runs of bins."""

import math
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from halage.monitor.metrics.encoding import (
    get_numbers,
    get_varint,
    get_wholes,
    put_numbers,
    put_varint,
    put_wholes,
    unzigzag,
    zigzag,
)
from halage.monitor.metrics.model import Buckets
from halage.monitor.metrics.sketch import SMALLEST, Sketch, bin_of

_SUM_ERROR = 1e-12
"""What adding up some hundred decimals moves a sum by at most, as a share of it."""


class Run(NamedTuple):
    """Bins in their order: the first, how far each next one is from the one before, and their counts."""

    first: int
    gaps: Sequence[int]
    counts: Sequence[int]

    @classmethod
    def of(cls, bins: dict[int, int]) -> "Run":
        """The bins of one half of a sketch."""
        order = sorted(bins)
        gaps = [higher - lower for lower, higher in pairwise(order)]
        return cls(order[0] if order else 0, _packed(gaps), _packed([bins[index] for index in order]))

    def add_to(self, bins: dict[int, int]) -> None:
        """Count these, too."""
        mine = zip(accumulate(self.gaps, initial=self.first), self.counts, strict=False)
        if not bins:
            bins.update(mine)
            return
        for index, count in mine:
            bins[index] = bins.get(index, 0) + count


NO_RUN = Run(0, b"", b"")


class Bins(NamedTuple):
    """A sketch without its count, sum, minimum and maximum, which stand in columns of their own."""

    zeros: int
    positive: Run
    negative: Run

    @classmethod
    def of(cls, sketch: Sketch) -> "Bins | None":
        """The bins of a sketch; None where all values are the same, so that the columns say it all."""
        if sketch.minimum == sketch.maximum:
            return None
        negative = Run.of(sketch.negative) if sketch.negative else NO_RUN
        return cls(sketch.zeros, Run.of(sketch.bins), negative)


class Points:
    """Slot i covers [start + i * resolution_s, + resolution_s); one with a count of 0 has no data."""

    __slots__ = ("bins", "count", "maximum", "minimum", "resolution_s", "start", "total")

    def __init__(self, start: int, resolution_s: int, size: int, *, has_sketches: bool) -> None:
        self.start = start
        self.resolution_s = resolution_s
        self.count, self.total, self.minimum, self.maximum = empty_columns(size)
        self.bins: list[Bins | None] | None = [None] * size if has_sketches else None

    def add(self, slot: int, sketch: Sketch) -> None:
        """Merge a sketch into a slot."""
        if self.count[slot]:
            merged = self.sketch(slot)
            merged.merge(sketch)
            sketch = merged
        self.put(slot, sketch.count, sketch.total, sketch.minimum, sketch.maximum)
        if self.bins is not None:
            self.bins[slot] = Bins.of(sketch)

    def put(self, slot: int, count: float, total: float, minimum: float, maximum: float) -> None:
        """Set the numbers of a slot."""
        self.count[slot], self.total[slot] = count, total
        self.minimum[slot], self.maximum[slot] = minimum, maximum

    def sketch(self, slot: int) -> Sketch:
        """A new sketch of a slot that has data."""
        sketch = Sketch()
        self.merge_into(sketch, slot)
        return sketch

    def merge_into(self, sketch: Sketch, slot: int) -> None:
        """Add a slot that has data to a sketch."""
        count, minimum, maximum = int(self.count[slot]), self.minimum[slot], self.maximum[slot]
        sketch.count += count
        sketch.total += self.total[slot]
        if minimum < sketch.minimum:
            sketch.minimum = minimum
        if maximum > sketch.maximum:
            sketch.maximum = maximum
        bins = self.bins[slot] if self.bins is not None else None
        if bins is None:
            _merge_same(sketch, minimum, count)
            return
        sketch.zeros += bins.zeros
        if bins.positive.counts:
            bins.positive.add_to(sketch.bins)
        if bins.negative.counts:
            bins.negative.add_to(sketch.negative)

    def replace(self, hour: Buckets, *, keep: bool) -> None:
        """Take the buckets of an hour, of the same resolution, in the place of what is there.

        With `keep` they are added to it instead.
        """
        first = (hour.start - self.start) // self.resolution_s
        for slot, count in enumerate(hour.count, first):
            index = slot - first
            if keep and not count:
                continue
            sketch = hour.sketches[index] if hour.sketches is not None else None
            if keep and self.count[slot]:
                if sketch is not None and self.bins is not None:
                    self.add(slot, sketch)
                    continue
                self.put(
                    slot,
                    self.count[slot] + count,
                    self.total[slot] + hour.total[index],
                    min(self.minimum[slot], hour.minimum[index]),
                    max(self.maximum[slot], hour.maximum[index]),
                )
                continue
            self.put(slot, count, hour.total[index], hour.minimum[index], hour.maximum[index])
            if self.bins is not None:
                self.bins[slot] = Bins.of(sketch) if sketch is not None else None


def empty_columns(size: int) -> "tuple[array[float], array[float], array[float], array[float]]":
    """Count, total, minimum and maximum of slots without data."""
    zeros = array("d", bytes(8 * size))
    return zeros, zeros[:], array("d", [math.inf]) * size, array("d", [-math.inf]) * size


def put_points(out: bytearray, points: Points) -> None:
    """Append the points, without their start and resolution."""
    slots = [slot for slot, count in enumerate(points.count) if count]
    present = array("d", [math.nan]) * len(points.count)
    for slot in slots:
        present[slot] = points.count[slot]
    put_numbers(out, present)
    put_numbers(out, array("d", [points.total[slot] for slot in slots]), _SUM_ERROR)
    put_numbers(out, array("d", [points.minimum[slot] for slot in slots]))
    put_numbers(out, array("d", [points.maximum[slot] for slot in slots]))
    out.append(points.bins is not None)
    if points.bins is not None:
        bins = [found for slot in slots if (found := points.bins[slot]) is not None]
        put_wholes(out, [points.bins[slot] is not None for slot in slots])
        put_wholes(out, [one.zeros for one in bins])
        _put_runs(out, [one.positive for one in bins])
        _put_runs(out, [one.negative for one in bins])


def get_points(data: bytes, offset: int, start: int, resolution_s: int) -> tuple[Points, int]:
    """The points at the offset, and the offset behind them."""
    count, offset = get_numbers(data, offset)
    points = Points(start, resolution_s, 0, has_sketches=False)
    slots = [slot for slot, number in enumerate(count) if number == number]
    columns = []
    for nothing in (0.0, math.inf, -math.inf):
        column, offset = get_numbers(data, offset)
        columns.append(_spread(column, slots, len(count), nothing))
    points.total, points.minimum, points.maximum = columns
    points.count = _spread(array("d", [count[slot] for slot in slots]), slots, len(count), 0.0)
    has_sketches, offset = data[offset], offset + 1
    if has_sketches:
        points.bins = [None] * len(count)
        with_bins, offset = get_wholes(data, offset)
        zeros, offset = get_wholes(data, offset)
        positive, offset = _get_runs(data, offset)
        negative, offset = _get_runs(data, offset)
        found = map(Bins, zeros, positive, negative)
        for slot, has_bins in zip(slots, with_bins, strict=True):
            if has_bins:
                points.bins[slot] = next(found)
    return points, offset


def put_sketch(out: bytearray, sketch: Sketch) -> None:
    """Append one sketch, in a form that is quick to write."""
    put_varint(out, sketch.count)
    put_varint(out, sketch.zeros)
    out += array("d", [sketch.total, sketch.minimum, sketch.maximum]).tobytes()
    for bins in (sketch.bins, sketch.negative):
        put_varint(out, len(bins))
        before = 0
        for index in sorted(bins):
            put_varint(out, zigzag(index - before))
            put_varint(out, bins[index])
            before = index


def get_sketch(data: bytes, offset: int) -> tuple[Sketch, int]:
    """The sketch at the offset, and the offset behind it."""
    sketch = Sketch()
    sketch.count, offset = get_varint(data, offset)
    sketch.zeros, offset = get_varint(data, offset)
    numbers = array("d")
    numbers.frombytes(data[offset : offset + 24])
    sketch.total, sketch.minimum, sketch.maximum = numbers
    offset += 24
    for bins in (sketch.bins, sketch.negative):
        size, offset = get_varint(data, offset)
        index = 0
        for _ in range(size):
            step, offset = get_varint(data, offset)
            index += unzigzag(step)
            bins[index], offset = get_varint(data, offset)
    return sketch, offset


def _merge_same(sketch: Sketch, value: float, count: int) -> None:
    if value > SMALLEST:
        index = bin_of(value)
        sketch.bins[index] = sketch.bins.get(index, 0) + count
    elif value < -SMALLEST:
        index = bin_of(-value)
        sketch.negative[index] = sketch.negative.get(index, 0) + count
    else:
        sketch.zeros += count


def _put_runs(out: bytearray, runs: list[Run]) -> None:
    put_wholes(out, [len(run.counts) for run in runs])
    put_wholes(out, [zigzag(run.first) for run in runs])
    put_wholes(out, [gap for run in runs for gap in run.gaps])
    put_wholes(out, [count for run in runs for count in run.counts])


def _get_runs(data: bytes, offset: int) -> tuple[list[Run], int]:
    sizes, offset = get_wholes(data, offset)
    firsts, offset = get_wholes(data, offset)
    gaps, offset = get_wholes(data, offset)
    counts, offset = get_wholes(data, offset)
    runs = []
    gap = count = 0
    for size, first in zip(sizes, firsts, strict=True):
        if not size:
            runs.append(NO_RUN)
            continue
        runs.append(Run(unzigzag(first), gaps[gap : gap + size - 1], counts[count : count + size]))
        gap += size - 1
        count += size
    return runs, offset


def _spread(present: "array[float]", slots: list[int], size: int, nothing: float) -> "array[float]":
    if len(slots) != len(present):
        raise ValueError("the columns of a chunk have different lengths")
    if len(slots) == size:
        return present
    column = array("d", [nothing]) * size
    for slot, number in zip(slots, present, strict=True):
        column[slot] = number
    return column


def _packed(numbers: list[int]) -> Sequence[int]:
    return bytes(numbers) if max(numbers, default=0) < 256 else array("Q", numbers)


def sum_sketches(sketches: Iterable[Sketch | None]) -> Sketch | None:
    """One sketch of them all; None when there is none."""
    merged: Sketch | None = None
    for sketch in sketches:
        if sketch is not None:
            merged = merged or Sketch()
            merged.merge(sketch)
    return merged
