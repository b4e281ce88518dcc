"""Chunks as they lie in the database: a check sum, then an hour of samples or a span of points."""

import zlib

from halage.monitor.metrics.blocks import Hour, Known
from halage.monitor.metrics.encoding import get_varint, put_varint
from halage.monitor.metrics.ladder import Rung
from halage.monitor.metrics.points import Points, get_points, put_points

_CHECK_BYTES = 4


class CorruptChunk(Exception):
    """The bytes of a chunk are not those that were written."""


def encode_hour(hour: Hour, hour_at: int) -> bytes:
    """The samples of an hour: each block with its resolution and where in the hour it begins."""
    out = bytearray(_CHECK_BYTES)
    for (resolution_s, start), block in hour.blocks.items():
        packed = block.pack()
        put_varint(out, resolution_s)
        put_varint(out, start - hour_at)
        put_varint(out, len(packed))
        out += packed
    return _sealed(out)


def decode_hour(known: Known, hour_at: int, data: bytes) -> Hour:
    """The samples of an hour; raises CorruptChunk."""
    _check(data)
    hour = Hour()
    offset = _CHECK_BYTES
    try:
        while offset < len(data):
            resolution_s, offset = get_varint(data, offset)
            start, offset = get_varint(data, offset)
            size, offset = get_varint(data, offset)
            packed = data[offset : offset + size]
            hour.blocks[resolution_s, hour_at + start] = known.new_block(
                resolution_s, hour_at + start, packed
            )
            offset += size
    except (IndexError, ValueError, zlib.error) as error:
        raise CorruptChunk(str(error)) from error
    return hour


def encode_rung(points: Points) -> bytes:
    """A chunk of the ladder."""
    out = bytearray(_CHECK_BYTES)
    put_points(out, points)
    return _sealed(out)


def decode_rung(rung: Rung, start: int, data: bytes, *, with_sketches: bool = True) -> Points:
    """A chunk of the ladder (see get_points); raises CorruptChunk."""
    _check(data)
    try:
        return get_points(data, _CHECK_BYTES, start, rung.resolution_s, with_sketches=with_sketches)
    except (IndexError, ValueError, zlib.error) as error:
        raise CorruptChunk(str(error)) from error


def _sealed(out: bytearray) -> bytes:
    out[:_CHECK_BYTES] = zlib.crc32(memoryview(out)[_CHECK_BYTES:]).to_bytes(_CHECK_BYTES, "little")
    return bytes(out)


def _check(data: bytes) -> None:
    if len(data) <= _CHECK_BYTES:
        raise CorruptChunk("it is too short")
    if zlib.crc32(data[_CHECK_BYTES:]).to_bytes(_CHECK_BYTES, "little") != data[:_CHECK_BYTES]:
        raise CorruptChunk("its check sum is wrong")
