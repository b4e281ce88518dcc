"""Columns of numbers in few bytes: what is written is what is read, bit for bit, unless told otherwise.

A column is an array of floats in which NaN stands for what is missing. Most of what is measured is
decimal (a percentage in hundredths, a whole number of bytes, a counter), so a column is first made
whole numbers by a power of ten, then differences (where that is shorter), divided by their greatest
common divisor (memory comes in pages), laid out byte by byte from the low end, and deflated. What is
not decimal is kept as it is, eight bytes shuffled and deflated.
"""

import math
import operator
import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TypeVar

_Array = TypeVar("_Array", "array[int]", "array[float]")
_FULL, _RUN, _BITMAP = 0, 1, 2
_SCALED, _FLOAT = 0, 4
_DELTA = 8
_WIDTHS = ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))
_CODES = dict(_WIDTHS)
_LARGEST = 2.0**53
"""Whole numbers below it are exact in a float."""
_MOST_DIGITS = 6
_ZIGZAG = tuple((code >> 1) ^ -(code & 1) for code in range(256))


def put_varint(out: bytearray, number: int) -> None:
    """Append a whole number from 0, seven bits a byte."""
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def get_varint(data: bytes, offset: int) -> tuple[int, int]:
    """The number at the offset, and the offset behind it; raises IndexError at the end of the data."""
    number = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, offset
        shift += 7


def zigzag(number: int) -> int:
    """A whole number as one from 0: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return number << 1 if number >= 0 else (-number << 1) - 1


def unzigzag(code: int) -> int:
    """What `zigzag` was given."""
    return (code >> 1) ^ -(code & 1)


def put_numbers(out: bytearray, column: "array[float]", tolerance: float = 0.0) -> None:
    """Append a column.

    `tolerance` is how far a number may be moved, as a share of itself, to become decimal: sums of
    decimals are decimals but for the error of adding them.
    """
    present = [number for number in column if number == number]
    shape, presence = _presence_of(column, len(present))
    scaled = _scaled(present, tolerance)
    form, body = _float_body(present) if scaled is None else _scaled_body(*scaled)
    out.append(shape | form)
    put_varint(out, len(column))
    out += presence
    out += body


def get_numbers(data: bytes, offset: int) -> "tuple[array[float], int]":
    """The column at the offset, and the offset behind it."""
    shape = data[offset]
    size, offset = get_varint(data, offset + 1)
    first, length, bitmap = 0, size, b""
    if shape & 3 == _RUN:
        first, offset = get_varint(data, offset)
        length, offset = get_varint(data, offset)
    elif shape & 3 == _BITMAP:
        bitmap = data[offset : offset + (size + 7) // 8]
        offset += len(bitmap)
        length = int.from_bytes(bitmap, "little").bit_count()
    if shape & _FLOAT:
        present, offset = _get_floats(data, offset, length)
    else:
        present, offset = _get_scaled(data, offset, length, bool(shape & _DELTA))
    if shape & 3 == _FULL:
        return present, offset
    column = missing_numbers(size)
    if bitmap:
        bits = int.from_bytes(bitmap, "little")
        numbers = iter(present)
        for slot in range(size):
            if bits >> slot & 1:
                column[slot] = next(numbers)
    else:
        column[first : first + length] = present
    return column, offset


def put_wholes(out: bytearray, numbers: Sequence[int]) -> None:
    """Append whole numbers from 0, in their order."""
    put_varint(out, len(numbers))
    _put_units(out, numbers)


def get_wholes(data: bytes, offset: int) -> tuple[Sequence[int], int]:
    """The whole numbers at the offset, and the offset behind them."""
    length, offset = get_varint(data, offset)
    return _get_units(data, offset, length)


def missing_numbers(size: int) -> "array[float]":
    """A column in which everything is missing."""
    return array("d", [math.nan]) * size


def _presence_of(column: "array[float]", length: int) -> tuple[int, bytes]:
    if length == len(column):
        return _FULL, b""
    out = bytearray()
    slots = [slot for slot, number in enumerate(column) if number == number]
    if not slots or slots[-1] - slots[0] + 1 == length:
        put_varint(out, slots[0] if slots else 0)
        put_varint(out, length)
        return _RUN, bytes(out)
    bits = sum(1 << slot for slot in slots)
    return _BITMAP, bits.to_bytes((len(column) + 7) // 8, "little")


def _scaled(numbers: list[float], tolerance: float) -> tuple[int, list[int]] | None:
    """The number of decimals and the numbers without their point; None when they are not decimal."""
    if not numbers:
        return 0, []
    largest = max(max(numbers), -min(numbers))
    if largest >= _LARGEST:
        return None
    if all(map(float.is_integer, numbers)):
        # A negative zero would lose its sign: nothing that is measured has one.
        return 0, list(map(int, numbers))
    for digits in range(1, _MOST_DIGITS + 1):
        factor = 10**digits
        if largest * factor >= _LARGEST:
            return None
        wholes: list[int] = []
        for number in numbers:
            whole = round(number * factor)
            if whole / factor != number and abs(whole / factor - number) > tolerance * abs(number):
                break
            wholes.append(whole)
        else:
            return digits, wholes
    return None


def _scaled_body(digits: int, wholes: list[int]) -> tuple[int, bytes]:
    lowest = min(wholes, default=0)
    offsets = [whole - lowest for whole in wholes]
    plain = _units_body(digits, lowest, offsets)
    if len(wholes) < 3 or not any(offsets):
        return _SCALED, plain
    steps = list(map(operator.sub, wholes[1:], wholes))
    step = math.gcd(*steps)
    out = bytearray([digits])
    put_varint(out, zigzag(wholes[0]))
    put_varint(out, step)
    _put_units(out, [zigzag(one // step) for one in steps])
    return (_SCALED | _DELTA, bytes(out)) if len(out) < len(plain) else (_SCALED, plain)


def _units_body(digits: int, lowest: int, offsets: list[int]) -> bytes:
    step = math.gcd(*offsets) or 1
    out = bytearray([digits])
    put_varint(out, zigzag(lowest))
    put_varint(out, step)
    _put_units(out, offsets if step == 1 else [offset // step for offset in offsets])
    return bytes(out)


def _get_scaled(data: bytes, offset: int, length: int, is_delta: bool) -> "tuple[array[float], int]":
    factor = 10 ** data[offset]
    code, offset = get_varint(data, offset + 1)
    step, offset = get_varint(data, offset)
    base = unzigzag(code)
    units, offset = _get_units(data, offset, max(0, length - 1) if is_delta else length)
    if not any(units):
        return array("d", [base / factor]) * length, offset
    places: Iterable[int] = _moves(units) if is_delta else units
    if step != 1:
        places = map(step.__mul__, places)
    wholes = accumulate(places, initial=base) if is_delta else map(base.__add__, places)
    return array("d", [whole / factor for whole in wholes] if factor > 1 else wholes), offset


def _moves(codes: Sequence[int]) -> Iterable[int]:
    if isinstance(codes, bytes):
        return map(_ZIGZAG.__getitem__, codes)
    return [-(code >> 1) - 1 if code & 1 else code >> 1 for code in codes]


def _put_units(out: bytearray, units: Sequence[int]) -> None:
    """Append as many bytes as the greatest of them needs, for each; none at all when all are 0."""
    highest = max(units, default=0)
    if highest == 0:
        out.append(0)
        return
    width, code = next((width, code) for width, code in _WIDTHS if highest < 1 << 8 * width)
    out.append(width)
    _put_bytes(out, _shuffled(array(code, units), width))


def _get_units(data: bytes, offset: int, length: int) -> tuple[Sequence[int], int]:
    width = data[offset]
    if width == 0:
        return bytes(length), offset + 1
    raw, offset = _get_bytes(data, offset + 1)
    if len(raw) != width * length:
        raise ValueError("a column has another length than it says")
    if width == 1:
        return raw, offset
    return _unshuffled(raw, width, array(_CODES[width])), offset


def _float_body(numbers: list[float]) -> tuple[int, bytes]:
    out = bytearray()
    is_same = numbers.count(numbers[0]) == len(numbers)
    out.append(is_same)
    if is_same:
        out += array("d", numbers[:1]).tobytes()
    else:
        _put_bytes(out, _shuffled(array("d", numbers), 8))
    return _FLOAT, bytes(out)


def _get_floats(data: bytes, offset: int, length: int) -> "tuple[array[float], int]":
    numbers = array("d")
    if data[offset]:
        numbers.frombytes(data[offset + 1 : offset + 9])
        return numbers * length, offset + 9
    raw, offset = _get_bytes(data, offset + 1)
    return _unshuffled(raw, 8, numbers), offset


def _shuffled(numbers: "array[int] | array[float]", width: int) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    raw = numbers.tobytes()
    return b"".join(raw[place::width] for place in range(width))


def _unshuffled(raw: bytes, width: int, numbers: "_Array") -> "_Array":
    length = len(raw) // width
    mixed = bytearray(len(raw))
    for place in range(width):
        mixed[place::width] = raw[place * length : (place + 1) * length]
    numbers.frombytes(bytes(mixed))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _put_bytes(out: bytearray, raw: bytes) -> None:
    # A small window and little memory: a column is seldom longer than 2 KiB, and setting up the
    # usual 32 KiB of state costs more than the work itself.
    press = zlib.compressobj(9, zlib.DEFLATED, -12, 6)
    pressed = press.compress(raw) + press.flush()
    if len(pressed) < len(raw):
        put_varint(out, len(pressed) << 1 | 1)
        out += pressed
    else:
        put_varint(out, len(raw) << 1)
        out += raw


def _get_bytes(data: bytes, offset: int) -> tuple[bytes, int]:
    head, offset = get_varint(data, offset)
    length = head >> 1
    raw = data[offset : offset + length]
    if len(raw) != length:
        raise ValueError("a column ends before its end")
    return (zlib.decompress(raw, -15) if head & 1 else raw), offset + length
