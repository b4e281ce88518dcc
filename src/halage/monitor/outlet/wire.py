"""What Prometheus' remote write 1.0 sends: a protobuf message in a block of snappy. Pure.

Sources: https://prometheus.io/docs/specs/prw/remote_write_spec/ (the message),
https://protobuf.dev/programming-guides/encoding/ and
https://github.com/google/snappy/blob/main/format_description.txt. The block is made of literals
alone, which every reader takes: compressing in Python would cost more than the bytes are worth.
"""

import struct
from collections.abc import Iterable

from halage.monitor.outlet.families import Point

_LONGEST_LITERAL = 2**16


def write_request(points: Iterable[Point], at_ms: int) -> bytes:
    """The message `prometheus.WriteRequest` with each point as a series of one sample."""
    time = b"\x10" + varint(at_ms)
    out = bytearray()
    for name, labels, value in points:
        series = bytearray()
        for label, text in sorted((("__name__", name), *labels)):
            series += field(1, field(1, label.encode()) + field(2, text.encode("utf-8", "replace")))
        series += field(2, b"\x09" + struct.pack("<d", value) + time)
        out += field(1, bytes(series))
    return bytes(out)


def snappy_block(plain: bytes) -> bytes:
    """The bytes as a block of snappy, not made any smaller."""
    out = bytearray(varint(len(plain)))
    for start in range(0, len(plain), _LONGEST_LITERAL):
        literal = plain[start : start + _LONGEST_LITERAL]
        # 61 << 2: a literal whose length less one follows in two bytes.
        out += b"\xf4" + struct.pack("<H", len(literal) - 1) + literal
    return bytes(out)


def field(number: int, content: bytes) -> bytes:
    """A field of bytes (wire type 2)."""
    return bytes((number << 3 | 2,)) + varint(len(content)) + content


def varint(number: int) -> bytes:
    """A whole number from 0, seven bits a byte."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
