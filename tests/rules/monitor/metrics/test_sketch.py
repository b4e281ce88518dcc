"""Sketches: within their error of the exact percentile, added up without loss, kept and read back."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halage.monitor.metrics.points import Points, get_points, get_sketch, put_points, put_sketch
from halage.monitor.metrics.sketch import ALPHA, SMALLEST, Sketch

_values = st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=200)
QUANTILES = (0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)


def exact(values: list[float], q: float) -> float:
    return sorted(values)[max(1, math.ceil(q * len(values))) - 1]


def assert_close(sketch: Sketch, values: list[float]) -> None:
    for q in QUANTILES:
        found = sketch.quantile(q)
        assert found is not None
        assert abs(found - exact(values, q)) <= ALPHA * 1.0001 * abs(exact(values, q)) + SMALLEST, q


def parts(sketch: Sketch) -> tuple[object, ...]:
    return (
        sketch.bins,
        sketch.negative,
        sketch.zeros,
        sketch.count,
        sketch.minimum,
        sketch.maximum,
    )


@given(_values)
def test_every_quantile_is_within_one_per_cent_of_a_value_at_that_rank(values: list[float]) -> None:
    assert_close(Sketch.of(values), values)


@pytest.mark.parametrize("seed", range(5))
def test_response_times(seed: int) -> None:
    rng = random.Random(seed)
    values = [rng.lognormvariate(3, 1.5) for _ in range(20000)]
    assert_close(Sketch.of(values), values)


@given(_values, _values)
def test_merging_gives_the_sketch_of_both(left: list[float], right: list[float]) -> None:
    merged = Sketch.of(left)
    merged.merge(Sketch.of(right))
    assert parts(merged) == parts(Sketch.of(left + right))
    assert math.isclose(merged.total, math.fsum(left + right), rel_tol=1e-9, abs_tol=1e-3)


@given(_values)
def test_one_by_one_and_all_at_once_are_the_same(values: list[float]) -> None:
    one_by_one = Sketch()
    for value in values:
        one_by_one.add(value)
    assert parts(one_by_one) == parts(Sketch.of(values))


def test_adding_a_value_many_times() -> None:
    sketch = Sketch()
    sketch.add(5.0, 3)
    assert (sketch.count, sketch.total, sketch.quantile(0.5)) == (3, 15.0, 5.0)


def test_an_empty_sketch_has_no_quantile() -> None:
    assert Sketch().quantile(0.5) is None


@given(_values)
def test_a_sketch_comes_back_from_its_bytes(values: list[float]) -> None:
    out = bytearray(b"x")
    put_sketch(out, Sketch.of(values))
    found, end = get_sketch(bytes(out) + b"behind", 1)
    assert parts(found) == parts(Sketch.of(values))
    assert end == len(out)


@given(st.lists(st.one_of(st.none(), _values), min_size=1, max_size=12))
def test_points_come_back_from_their_bytes(slots: list[list[float] | None]) -> None:
    points = Points(0, 60, len(slots), has_sketches=True)
    for slot, values in enumerate(slots):
        if values is not None:
            points.add(slot, Sketch.of(values))
    out = bytearray()
    put_points(out, points)
    found = get_points(bytes(out) + b"behind", 0, 0, 60)
    bare = get_points(bytes(out), 0, 0, 60, with_sketches=False)
    assert [bare.count, bare.total, bare.minimum, bare.maximum] == [
        found.count,
        found.total,
        found.minimum,
        found.maximum,
    ]
    all_at_once = found.sketches(0, len(slots))
    for slot, values in enumerate(slots):
        assert found.count[slot] == (0 if values is None else len(values))
        one = all_at_once[slot]
        if values is None:
            assert one is None
        else:
            assert one is not None
            whole = Sketch.of(values)
            shares = (0.0, 0.05, 0.5, 0.95, 1.0)
            assert [one.quantile(q) for q in shares] == [whole.quantile(q) for q in shares]
            both = Sketch.of(values)
            both.merge(one)
            whole.merge(Sketch.of(values))
            assert parts(both) == parts(whole)
            assert parts(one) == parts(found.sketch(slot)) == parts(Sketch.of(values))


def test_a_sketch_that_was_read_can_be_added_to() -> None:
    points = Points(0, 60, 1, has_sketches=True)
    values = [1.0] * 50 + [2.0] * 50
    points.add(0, Sketch.of(values))
    out = bytearray()
    put_points(out, points)
    (one,) = get_points(bytes(out), 0, 0, 60).sketches(0, 1)
    assert one is not None
    one.add_all([50.0] * 97)
    assert one.quantile(0.95) == pytest.approx(50.0, rel=ALPHA)
    assert parts(one) == parts(Sketch.of(values + [50.0] * 97))


def test_many_large_counts_come_back() -> None:
    points = Points(0, 60, 3, has_sketches=True)
    big = Sketch()
    for value in (1e-6, 1.0, 1e9):
        big.add(value, 100_000)
    points.add(1, big)
    points.add(1, big)
    out = bytearray()
    put_points(out, points)
    assert get_points(bytes(out), 0, 0, 60).sketch(1).count == 600_000
