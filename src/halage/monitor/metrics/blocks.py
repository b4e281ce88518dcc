"""The newest hours of each series in memory, in blocks that are packed once they are seldom written.

An hour in memory is whole: it has all samples of the series in that hour, so a reader who finds it
looks no further, and compaction makes its chunks from it alone. It stays until its chunks are
committed. The one exception is marked `is_partial`: samples for an hour whose own samples are gone
already (the clock was set back by hours); they are added to what the ladder has.
"""

from array import array
from typing import Protocol

from halage.monitor.metrics.aggregate import add_numbers, add_points
from halage.monitor.metrics.encoding import get_numbers, missing_numbers, put_numbers
from halage.monitor.metrics.ladder import HOUR_S, size_of_block, span_of_block
from halage.monitor.metrics.model import Buckets, Kind, SeriesKey
from halage.monitor.metrics.points import Points, get_points, put_points
from halage.monitor.metrics.sketch import Sketch

_ROOM = 30
"""Samples that an open block has room for beyond its last one."""


class Block(Protocol):
    """Samples of one resolution over one span, open or packed. Packed it takes a tenth of the memory."""

    def put(self, slot: int, value: float | Sketch) -> None:
        """Keep a sample. A packed block opens again."""
        ...

    def add_to(self, buckets: Buckets) -> None:
        """Count the samples into buckets."""
        ...

    def pack(self) -> bytes:
        """Close the block and return its bytes."""
        ...


class NumberBlock:
    """Gauges (a second sample of a tick replaces the first) and counts (it adds to it)."""

    __slots__ = ("_adds", "_numbers", "_packed", "_resolution_s", "_start")

    def __init__(self, start: int, resolution_s: int, *, adds: bool, packed: bytes = b"") -> None:
        self._start = start
        self._resolution_s = resolution_s
        self._adds = adds
        self._packed = packed
        self._numbers = None if packed else missing_numbers(0)
        """As far as there are samples, and some room: most blocks are in the middle of their hour."""

    def put(self, slot: int, value: float | Sketch) -> None:
        """Keep a sample."""
        assert not isinstance(value, Sketch)
        numbers = self._numbers
        if numbers is None:
            numbers, self._packed = self._open(), b""
            self._numbers = numbers
        if slot >= len(numbers):
            self._grow(numbers, slot + _ROOM)
        if self._adds and (before := numbers[slot]) == before:
            value += before
        numbers[slot] = value

    def add_to(self, buckets: Buckets) -> None:
        """Count the samples into buckets."""
        numbers = self._numbers
        add_numbers(buckets, self._start, self._resolution_s, self._open() if numbers is None else numbers)

    def pack(self) -> bytes:
        """Close the block and return its bytes."""
        if self._numbers is not None:
            out = bytearray()
            self._grow(self._numbers, size_of_block(self._resolution_s))
            put_numbers(out, self._numbers)
            self._packed, self._numbers = bytes(out), None
        return self._packed

    def _grow(self, numbers: "array[float]", size: int) -> None:
        numbers.extend(missing_numbers(min(size, size_of_block(self._resolution_s)) - len(numbers)))

    def _open(self) -> "array[float]":
        return get_numbers(self._packed, 0)[0]


class DistributionBlock:
    """Sketches: a second sample of a tick is merged with the first."""

    __slots__ = ("_packed", "_points", "_resolution_s", "_start")

    def __init__(self, start: int, resolution_s: int, *, packed: bytes = b"") -> None:
        self._start = start
        self._resolution_s = resolution_s
        self._packed = packed
        self._points = (
            None if packed else Points(start, resolution_s, size_of_block(resolution_s), has_sketches=True)
        )

    def put(self, slot: int, value: float | Sketch) -> None:
        """Keep a sample."""
        assert isinstance(value, Sketch)
        if self._points is None:
            self._points, self._packed = self._open(), b""
        self._points.add(slot, value)

    def add_to(self, buckets: Buckets) -> None:
        """Count the samples into buckets."""
        add_points(buckets, self._open() if self._points is None else self._points, ())

    def pack(self) -> bytes:
        """Close the block and return its bytes."""
        if self._points is not None:
            out = bytearray()
            put_points(out, self._points)
            self._packed, self._points = bytes(out), None
        return self._packed

    def _open(self) -> Points:
        return get_points(self._packed, 0, self._start, self._resolution_s)


class Hour:
    """All samples of one series in one hour, in blocks by resolution and beginning."""

    __slots__ = ("blocks", "is_partial", "version")

    def __init__(self) -> None:
        self.blocks: dict[tuple[int, int], Block] = {}
        self.version = 0
        """Counts the changes, so that compaction knows whether it saw the last one."""
        self.is_partial = False

    def add_to(self, buckets: Buckets) -> None:
        """Count all samples into buckets."""
        for block in self.blocks.values():
            block.add_to(buckets)


class Known:
    """A series that the store knows, with its newest hours."""

    __slots__ = ("first_at", "hours", "id", "key", "kind", "last_at", "resolution_s")

    def __init__(
        self, number: int, key: SeriesKey, kind: Kind, resolution_s: int, first_at: float, last_at: float
    ) -> None:
        self.id = number
        self.key = key
        self.kind = kind
        self.resolution_s = resolution_s
        self.first_at = first_at
        self.last_at = last_at
        self.hours: dict[int, Hour] = {}

    def put(self, at: int, resolution_s: int, value: float | Sketch) -> None:
        """Keep the sample of the tick at `at`; its hour must be there."""
        hour_at = at - at % HOUR_S
        hour = self.hours[hour_at]
        start = at - at % span_of_block(resolution_s)
        block = hour.blocks.get((resolution_s, start))
        if block is None:
            block = hour.blocks[resolution_s, start] = self.new_block(resolution_s, start)
        block.put((at - start) // resolution_s, value)
        hour.version += 1
        if at >= self.last_at:
            self.last_at = at
            self.resolution_s = resolution_s
        elif at < self.first_at:
            self.first_at = at

    def new_block(self, resolution_s: int, start: int, packed: bytes = b"") -> Block:
        """An empty block, or one from its bytes."""
        if self.kind == Kind.DISTRIBUTION:
            return DistributionBlock(start, resolution_s, packed=packed)
        return NumberBlock(start, resolution_s, adds=self.kind == Kind.COUNT, packed=packed)

    def pack_before(self, moment: float) -> None:
        """Pack the blocks that end before the moment."""
        for hour in self.hours.values():
            for (resolution_s, start), block in hour.blocks.items():
                if start + span_of_block(resolution_s) <= moment:
                    block.pack()
