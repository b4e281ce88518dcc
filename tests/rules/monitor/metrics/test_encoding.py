"""Columns of numbers: what goes in comes out, and what is usual takes few bytes."""

import math
import random
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

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

_floats = st.floats(allow_nan=False, allow_infinity=False)
_decimals = st.integers(-(10**9), 10**9).flatmap(
    lambda whole: st.integers(0, 6).map(lambda digits: whole / 10**digits)
)


def packed(numbers: "list[float] | array[float]", tolerance: float = 0.0) -> bytes:
    out = bytearray()
    put_numbers(out, array("d", numbers), tolerance)
    return bytes(out)


def same(left: "array[float]", right: "list[float]") -> bool:
    return len(left) == len(right) and all(
        one == other or (math.isnan(one) and math.isnan(other))
        for one, other in zip(left, right, strict=True)
    )


@given(st.lists(st.one_of(_floats, _decimals, st.just(math.nan), st.integers(-5, 5).map(float))))
def test_every_column_comes_back_as_it_was(numbers: list[float]) -> None:
    data = packed(numbers)
    found, end = get_numbers(b"before" + data + b"behind", 6)
    assert same(found, numbers)
    assert end == 6 + len(data)


@given(st.lists(_decimals, min_size=2), st.sampled_from([0, 1, 2, 3]))
def test_decimals_come_back_bit_for_bit_wherever_samples_are_missing(
    decimals: list[float], missing: int
) -> None:
    numbers = [math.nan] * missing + decimals + [math.nan] * missing
    numbers[len(numbers) // 2] = math.nan
    assert same(get_numbers(packed(numbers), 0)[0], numbers)


@pytest.mark.parametrize(
    ("kind", "numbers", "most_bytes"),
    [
        ("nothing at all", [math.nan] * 360, 10),
        ("always the same", [0.1 + 0.2] * 360, 16),
        ("always zero", [0.0] * 360, 8),
        ("a counter of requests", [float(random.Random(1).randrange(100, 120)) for _ in range(360)], 280),
        ("memory in pages", [4096.0 * (50000 + slot % 7) for slot in range(360)], 60),
        ("per cent in hundredths", [round(50 + 10 * math.sin(slot / 9), 2) for slot in range(360)], 560),
        ("noise of 53 bits", [random.Random(slot).random() for slot in range(360)], 2900),
    ],
)
def test_what_is_usual_takes_few_bytes(kind: str, numbers: list[float], most_bytes: int) -> None:
    data = packed(numbers)
    assert len(data) <= most_bytes, kind
    assert same(get_numbers(data, 0)[0], numbers)


def test_sums_of_decimals_become_decimals_again() -> None:
    totals = [sum([0.1] * count) for count in range(1, 60)]
    assert totals[2] != 0.3
    data = packed(totals, 1e-12)
    assert len(data) < len(packed(totals)) / 2
    for found, total in zip(get_numbers(data, 0)[0], totals, strict=True):
        assert math.isclose(found, total, rel_tol=1e-12)


@pytest.mark.parametrize("largest", [2.0**53 - 1, 2.0**53, 2.0**60, 1e300])
def test_numbers_that_are_too_large_to_be_scaled(largest: float) -> None:
    numbers = [largest, -largest, 0.5, largest / 3]
    assert same(get_numbers(packed(numbers), 0)[0], numbers)


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_whole_numbers_come_back(numbers: list[int]) -> None:
    out = bytearray()
    put_wholes(out, numbers)
    found, end = get_wholes(bytes(out), 0)
    assert (list(found), end) == (numbers, len(out))


@given(st.integers(0, 2**70))
def test_a_varint_comes_back(number: int) -> None:
    out = bytearray()
    put_varint(out, number)
    assert get_varint(bytes(out), 0) == (number, len(out))


@given(st.integers(-(2**64), 2**64))
def test_a_zigzag_comes_back(number: int) -> None:
    assert zigzag(number) >= 0
    assert unzigzag(zigzag(number)) == number


def test_a_column_that_is_cut_off_is_an_error() -> None:
    data = packed([random.Random(slot).random() for slot in range(60)])
    for end in range(len(data)):
        with pytest.raises((ValueError, IndexError)):
            get_numbers(data[:end], 0)
