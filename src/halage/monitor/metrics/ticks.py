"""One row of the head: what was written of one tick at once, as three blobs."""

import math
from array import array
from collections.abc import Iterator, Sequence

from halage.monitor.metrics.points import get_sketch, put_sketch
from halage.monitor.metrics.sketch import Sketch


def encode_tick(ids: Sequence[int], values: Sequence[float | Sketch]) -> tuple[bytes, bytes, bytes]:
    """Series ids, numbers (NaN stands for a sketch), and the sketches in their order."""
    numbers = array("d", [math.nan if isinstance(value, Sketch) else value for value in values])
    sketches = bytearray()
    for value in values:
        if isinstance(value, Sketch):
            put_sketch(sketches, value)
    return array("I", ids).tobytes(), numbers.tobytes(), bytes(sketches)


def decode_tick(ids: bytes, numbers: bytes, sketches: bytes) -> Iterator[tuple[int, float | Sketch]]:
    """Series id and value, in the order in which they were given."""
    numbers_of, ids_of = array("d"), array("I")
    ids_of.frombytes(ids)
    numbers_of.frombytes(numbers)
    offset = 0
    for series, number in zip(ids_of, numbers_of, strict=True):
        if number == number:
            yield series, number
        else:
            sketch, offset = get_sketch(sketches, offset)
            yield series, sketch
