"""Aggregates of one series at one resolution, as they are kept: columns, and sketches as runs of bins."""

import math
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, islice, pairwise
from operator import not_
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
from halage.monitor.metrics.sketch import SMALLEST, Sketch, bin_of, middle_of

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


class _PackedRuns:
    """Runs one behind the other, as they lie in a chunk: run i has sizes[i] bins."""

    __slots__ = ("_begins", "_counts", "_empty", "_firsts", "_gaps", "_sizes")

    def __init__(
        self, sizes: Sequence[int], firsts: Sequence[int], gaps: Sequence[int], counts: Sequence[int]
    ) -> None:
        if len(firsts) != len(sizes) or len(counts) != sum(sizes):
            raise ValueError("the bins of a chunk have different lengths")
        self._sizes, self._firsts, self._gaps, self._counts = sizes, firsts, gaps, counts
        self._begins = list(accumulate(sizes, initial=0))
        self._empty = list(accumulate(map(not_, sizes), initial=0))
        """How many of the runs before have no bins, and so no gaps either; the others have one gap less."""

    def bins(self, place: int) -> dict[int, int]:
        """The bins of one run."""
        bins: dict[int, int] = {}
        self.run(place).add_to(bins)
        return bins

    def run(self, place: int) -> Run:
        """One run."""
        size = self._sizes[place]
        if not size:
            return NO_RUN
        begin, gap = self._begins[place], self._gap(place)
        return Run(
            unzigzag(self._firsts[place]),
            self._gaps[gap : gap + size - 1],
            self._counts[begin : begin + size],
        )

    def from_above(self, place: int, above: int) -> int | None:
        """The bin that has more than `above` values in it and over it; None when all have no more."""
        begin = self._begins[place]
        for index in range(begin + self._sizes[place] - 1, begin - 1, -1):
            above -= self._counts[index]
            if above < 0:
                gap = self._gap(place)
                return unzigzag(self._firsts[place]) + sum(self._gaps[gap : gap + index - begin])
        return None

    def _gap(self, place: int) -> int:
        """Where the gaps of a run begin."""
        return self._begins[place] - place + self._empty[place]


class _PackedBins(NamedTuple):
    """The bins of a chunk, as they lie in it."""

    order: list[int]
    """For each slot which of the bins are its own, -1 where it needs none."""
    zeros: Sequence[int]
    positive: _PackedRuns
    negative: _PackedRuns

    def open(self, size: int) -> list[Bins | None]:
        """The bins of each slot."""
        assert len(self.order) == size
        return [
            None if place < 0 else Bins(self.zeros[place], self.positive.run(place), self.negative.run(place))
            for place in self.order
        ]


class _KeptSketch(Sketch):
    """A sketch whose bins are opened when somebody asks for them: most are asked for a percentile only."""

    __slots__ = ("_packed", "_place")

    def __init__(self, packed: _PackedBins, place: int) -> None:
        self.zeros = packed.zeros[place]
        self._packed: _PackedBins | None = packed
        self._place = place

    def __getattr__(self, name: str) -> dict[int, int]:
        packed = self._packed
        if packed is None or name not in ("bins", "negative"):
            raise AttributeError(name)
        # Opened, they may be changed: from now on they alone count.
        self._packed = None
        self.bins = packed.positive.bins(self._place)
        self.negative = packed.negative.bins(self._place)
        return self.bins if name == "bins" else self.negative

    def _at(self, rank: int) -> float:
        above = self.count - rank
        if self._packed is not None and above < rank:
            index = self._packed.positive.from_above(self._place, above)
            if index is not None:
                return middle_of(index)
        return super()._at(rank)


class Points:
    """Slot i covers [start + i * resolution_s, + resolution_s); one with a count of 0 has no data."""

    __slots__ = ("_bins", "_packed", "count", "maximum", "minimum", "resolution_s", "start", "total")

    def __init__(self, start: int, resolution_s: int, size: int, *, has_sketches: bool) -> None:
        self.start = start
        self.resolution_s = resolution_s
        self.count, self.total, self.minimum, self.maximum = empty_columns(size)
        self._bins: list[Bins | None] | None = [None] * size if has_sketches else None
        self._packed: _PackedBins | None = None

    @property
    def bins(self) -> "list[Bins | None] | None":
        """The bins of each slot; None for points without sketches."""
        if self._packed is not None:
            self._bins, self._packed = self._packed.open(len(self.count)), None
        return self._bins

    def add(self, slot: int, sketch: Sketch) -> None:
        """Merge a sketch into a slot."""
        if self.count[slot]:
            merged = self.sketch(slot)
            merged.merge(sketch)
            sketch = merged
        self.put(slot, sketch.count, sketch.total, sketch.minimum, sketch.maximum)
        if self.bins is not None:
            self.bins[slot] = Bins.of(sketch)

    def hold(self, packed: "_PackedBins") -> None:
        """Have these bins, which are opened when something is to be changed."""
        self._packed = packed

    def put(self, slot: int, count: float, total: float, minimum: float, maximum: float) -> None:
        """Set the numbers of a slot."""
        self.count[slot], self.total[slot] = count, total
        self.minimum[slot], self.maximum[slot] = minimum, maximum

    def sketch(self, slot: int) -> Sketch:
        """A new sketch of a slot that has data."""
        sketch = Sketch()
        self.merge_into(sketch, slot)
        return sketch

    def sketches(self, begin: int, end: int) -> list[Sketch | None]:
        """New sketches of the slots [begin, end), None where there is no data."""
        packed, found = self._packed, list[Sketch | None]()
        if packed is None:
            return [self.sketch(slot) if self.count[slot] else None for slot in range(begin, end)]
        columns = zip(self.count, self.total, self.minimum, self.maximum, packed.order, strict=True)
        for count, total, minimum, maximum, place in islice(columns, begin, end):
            if not count:
                found.append(None)
                continue
            sketch = Sketch() if place < 0 else _KeptSketch(packed, place)
            sketch.count, sketch.total = int(count), total
            sketch.minimum, sketch.maximum = minimum, maximum
            if place < 0:
                _merge_same(sketch, minimum, sketch.count)
            found.append(sketch)
        return found

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


def get_points(
    data: bytes, offset: int, start: int, resolution_s: int, *, with_sketches: bool = True
) -> Points:
    """The points at the offset. Without sketches they are read sooner, and are for reading only."""
    count, offset = get_numbers(data, offset)
    points = Points(start, resolution_s, 0, has_sketches=False)
    is_full = not math.isnan(sum(count))
    slots = range(len(count)) if is_full else [slot for slot, number in enumerate(count) if number == number]
    columns = []
    for nothing in (0.0, math.inf, -math.inf):
        column, offset = get_numbers(data, offset)
        columns.append(_spread(column, slots, len(count), nothing))
    points.total, points.minimum, points.maximum = columns
    if not is_full:
        count = _spread(array("d", [count[slot] for slot in slots]), slots, len(count), 0.0)
    points.count = count
    if with_sketches and data[offset]:
        with_bins, offset = get_wholes(data, offset + 1)
        zeros, offset = get_wholes(data, offset)
        positive, offset = _get_runs(data, offset)
        negative, offset = _get_runs(data, offset)
        places, order = iter(range(len(zeros))), [-1] * len(count)
        for slot, has_bins in zip(slots, with_bins, strict=True):
            if has_bins:
                order[slot] = next(places)
        points.hold(_PackedBins(order, zeros, positive, negative))
    return points


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


def _get_runs(data: bytes, offset: int) -> tuple[_PackedRuns, int]:
    sizes, offset = get_wholes(data, offset)
    firsts, offset = get_wholes(data, offset)
    gaps, offset = get_wholes(data, offset)
    counts, offset = get_wholes(data, offset)
    return _PackedRuns(sizes, firsts, gaps, counts), offset


def _spread(present: "array[float]", slots: Sequence[int], size: int, nothing: float) -> "array[float]":
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
