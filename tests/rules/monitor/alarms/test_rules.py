"""What an alarm says of its data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halage.monitor.alarms.model import (
    Band,
    Definition,
    LowSamples,
    Missing,
    Operator,
    Point,
    Side,
    State,
)
from halage.monitor.alarms.rules import does_breach, evaluate, is_due, needed_samples

PLAIN = Definition("a", expression="x", threshold=5.0)


def of(**values: object) -> Definition:
    return Definition(**{"name": "a", "expression": "x", "threshold": 5.0, **values})  # type: ignore[arg-type]


def points(*values: float | None) -> list[Point]:
    return [Point(60.0 * place, value) for place, value in enumerate(values)]


@pytest.mark.parametrize(
    ("operator", "breaching"),
    [
        (Operator.ABOVE, {6.0}),
        (Operator.AT_LEAST, {5.0, 6.0}),
        (Operator.BELOW, {4.0}),
        (Operator.AT_MOST, {4.0, 5.0}),
    ],
)
def test_a_value_is_compared_as_the_operator_says(operator: Operator, breaching: set[float]) -> None:
    definition = of(operator=operator)
    assert {value for value in (4.0, 5.0, 6.0) if does_breach(definition, Point(0, value))} == breaching
    assert does_breach(definition, Point(0, None)) is None


@pytest.mark.parametrize(
    ("side", "breaching"), [(Side.OUTSIDE, {1.0, 9.0}), (Side.ABOVE, {9.0}), (Side.BELOW, {1.0})]
)
def test_a_value_is_compared_with_its_band(side: Side, breaching: set[float]) -> None:
    definition = of(threshold=None, band=Band(2, side))
    values = (1.0, 2.0, 5.0, 8.0, 9.0)
    assert {v for v in values if does_breach(definition, Point(0, v, (2.0, 8.0)))} == breaching
    assert does_breach(definition, Point(0, 1.0)) is None


def test_as_many_of_the_last_periods_have_to_breach_as_are_named() -> None:
    definition = of(periods=5, breaching=3)
    assert evaluate(definition, points(1, 1, 9, 1, 9, 1, 9), State.OK).state is State.ALARM
    assert evaluate(definition, points(9, 9, 9, 1, 9, 1, 1), State.OK).state is State.OK


def test_the_reason_names_the_numbers_and_the_facts_keep_them() -> None:
    verdict = evaluate(of(periods=3, breaching=2), points(1, 1, 7.25, 1, 9), State.OK)
    assert verdict.reason == "2 of the last 3 values are > 5: 7.25, 9"
    assert verdict.facts["points"] == [[0.0, 1], [60.0, 1], [120.0, 7.25], [180.0, 1], [240.0, 9]]
    assert (verdict.facts["threshold"], verdict.facts["operator"]) == (5.0, ">")
    assert (verdict.facts["breaching"], verdict.facts["evaluated"]) == (2, 3)


def test_a_band_that_is_not_learned_yet_gives_no_alarm() -> None:
    definition = of(threshold=None, band=Band(2), missing=Missing.BREACHING)
    verdict = evaluate(definition, points(1, 1000, 1000), State.OK)
    assert (verdict.state, verdict.reason) == (State.INSUFFICIENT_DATA, "the band is not learned yet")


# -- percentiles of few samples


@pytest.mark.parametrize(
    ("percentile", "needed"),
    [(99, 1000), (95, 200), (90, 100), (50, 20), (49.9, 21), (10, 100), (1, 1000), (99.9, 10000), (100, 1)],
)
def test_a_percentile_needs_ten_samples_past_it(percentile: float, needed: int) -> None:
    assert needed_samples(percentile) == needed


def counted(count: float, value: float = 9.0) -> list[Point]:
    return [Point(60.0 * place, value, None, (count,)) for place in range(5)]


@pytest.mark.parametrize("state", list(State))
def test_too_few_samples_keep_the_state_where_they_shall_be_ignored(state: State) -> None:
    definition = of(periods=2, breaching=2, low_samples=LowSamples.IGNORE)
    verdict = evaluate(definition, counted(99), state, (95.0,))
    assert (verdict.state, verdict.is_kept) == (state, True)
    assert verdict.reason == "198 samples are too few for p95, which needs 200"
    assert evaluate(definition, counted(100), state, (95.0,)).state is State.ALARM


def test_too_few_samples_count_where_they_shall_be_evaluated() -> None:
    definition = of(periods=2, breaching=2, low_samples=LowSamples.EVALUATE)
    assert evaluate(definition, counted(1), State.OK, (95.0,)).state is State.ALARM


def test_no_data_at_all_is_missing_data_not_thin_data() -> None:
    definition = of(periods=2, breaching=2, low_samples=LowSamples.IGNORE, missing=Missing.NOT_BREACHING)
    nothing = [Point(60.0 * place, None, None, (0.0,)) for place in range(4)]
    assert evaluate(definition, nothing, State.ALARM, (95.0,)).state is State.OK


# -- periods that nobody looked at are not among the points


@pytest.mark.parametrize("missing", list(Missing))
@pytest.mark.parametrize("state", list(State))
def test_it_keeps_its_state_until_enough_periods_were_collected(state: State, missing: Missing) -> None:
    definition = of(periods=5, breaching=5, missing=missing)
    verdict = evaluate(definition, points(1, 9), state)
    assert (verdict.state, verdict.is_kept) == (state, True)
    assert verdict.reason == "only 2 of 5 periods were collected: it says what it said"


@pytest.mark.parametrize(
    ("values", "missing", "expected"),
    [
        ((1, 2), Missing.MISSING, State.OK),
        ((None, 1), Missing.BREACHING, State.OK),
        ((None, None), Missing.NOT_BREACHING, State.OK),
        ((None, None), Missing.MISSING, State.INSUFFICIENT_DATA),
        ((1, 9), Missing.NOT_BREACHING, State.INSUFFICIENT_DATA),
    ],
)
def test_a_young_alarm_says_ok_as_soon_as_it_is_well(
    values: tuple[float | None, ...], missing: Missing, expected: State
) -> None:
    definition = of(periods=5, breaching=3, missing=missing)
    assert evaluate(definition, points(*values), State.INSUFFICIENT_DATA).state is expected


def test_enough_breaches_alarm_however_short_the_time_was() -> None:
    definition = of(periods=5, breaching=2)
    assert evaluate(definition, points(9, 9), State.INSUFFICIENT_DATA).state is State.ALARM


@given(
    st.lists(st.sampled_from([None, 1.0, 9.0]), max_size=8),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from(list(Missing)),
    st.sampled_from(list(State)),
)
def test_what_is_always_so(
    values: list[float | None], periods: int, breaching: int, missing: Missing, state: State
) -> None:
    definition = of(periods=periods, breaching=min(periods, breaching), missing=missing)
    window = points(*values)
    verdict = evaluate(definition, window, state)
    assert verdict.reason
    if verdict.is_kept:
        assert verdict.state is state
    others = {evaluate(definition, window, other).state for other in State}
    if len(values) >= periods:  # what it says does not depend on what it said, unless it keeps that
        assert verdict.is_kept or len(others) == 1
    elif not verdict.is_kept:
        is_first = state is State.INSUFFICIENT_DATA and verdict.state is State.OK
        assert is_first or others == {State.ALARM}
    # Enough breaches among the newest periods with data are an alarm, whatever else is missing.
    known = [value for value in values[-definition.range_periods :] if value is not None]
    if sum(value == 9.0 for value in known[-periods:]) >= definition.breaching:
        assert verdict.state is State.ALARM


def test_periods_end_at_whole_multiples() -> None:
    assert [end for end in range(0, 130, 10) if is_due(60, end)] == [0, 60, 120]
    assert is_due(86400, 1_700_006_400.0)
