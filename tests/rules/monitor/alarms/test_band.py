"""A band learned from the same hour of the past weeks."""

import math

import pytest

from halage.monitor.alarms.band import (
    HOUR_S,
    LEAST_VALUES,
    PERIODS_S,
    WEEK_S,
    WEEKS,
    bounds_of,
    hours_before,
    mean_and_deviation,
)


def test_it_looks_at_the_same_hour_of_each_past_week() -> None:
    monday_nine = 1_699_866_000  # 2023-11-13 09:00 UTC
    hours = hours_before(monday_nine + 1799.5)
    assert hours[0] == (monday_nine - WEEK_S, monday_nine - WEEK_S + HOUR_S)
    assert hours[-1] == (monday_nine - 4 * WEEK_S, monday_nine - 4 * WEEK_S + HOUR_S)
    assert len(hours) == WEEKS


def test_mean_and_deviation_are_those_of_the_formula() -> None:
    usual = mean_and_deviation([[2.0, 4.0, 4.0, 4.0], [5.0, 5.0, 7.0, 9.0]])
    assert usual is not None
    assert usual[0] == 5.0
    assert math.isclose(usual[1], math.sqrt(32 / 7))
    assert bounds_of((5.0, 2.0), 3) == (-1.0, 11.0)


def test_a_value_that_never_changed_still_has_a_band_with_a_width() -> None:
    assert mean_and_deviation([[200.0] * 4, [200.0] * 4]) == (200.0, 2.0)


@pytest.mark.parametrize(
    "past",
    [
        [],
        [[1.0] * 12],
        [[1.0] * 12, [None] * 12],
        [[1.0] * 4, [1.0] * 3],
        [[1.0, None] * 3, [1.0] * 4],
    ],
)
def test_too_little_past_gives_no_band(past: list[list[float | None]]) -> None:
    assert mean_and_deviation(past) is None


def test_missing_values_do_not_count() -> None:
    assert mean_and_deviation([[1.0, None, 3.0, 1.0, 3.0], [1.0, 3.0, None, 1.0, 3.0]]) is not None


@pytest.mark.parametrize("period_s", PERIODS_S)
def test_every_allowed_period_can_learn_a_band_in_four_weeks(period_s: int) -> None:
    assert WEEKS * HOUR_S // period_s >= LEAST_VALUES
