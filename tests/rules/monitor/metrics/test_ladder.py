"""Which rung answers: always one that still holds the start, and gives the period exactly if any can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halage.monitor.metrics.ladder import (
    DAY_S,
    FIVE_MINUTES,
    HOUR_S,
    HOURS,
    MINUTES,
    RAW_KEEP_S,
    RESOLUTIONS_S,
    RUNGS,
    Rung,
    plan_read,
    size_of_block,
    span_of_block,
    starts_of_chunks,
)

NOW = 1_700_000_000.0


def test_the_ladder_is_the_one_that_is_promised() -> None:
    assert RAW_KEEP_S == 3 * HOUR_S
    assert [(rung.resolution_s, rung.keep_s // DAY_S) for rung in RUNGS] == [(60, 15), (300, 63), (3600, 455)]
    assert [rung.has_sketches for rung in RUNGS] == [False, True, True]


@pytest.mark.parametrize(
    ("age_s", "period_s", "needs_sketches", "rung"),
    [
        (HOUR_S, 10, False, None),
        (HOUR_S, 30, True, None),
        (HOUR_S, 60, False, MINUTES),
        (HOUR_S, 60, True, None),
        (HOUR_S, 90, False, None),
        (HOUR_S, 300, True, FIVE_MINUTES),
        (HOUR_S, HOUR_S, True, HOURS),
        (DAY_S, 300, True, FIVE_MINUTES),
        (DAY_S, 120, False, MINUTES),
        (30 * DAY_S, HOUR_S, True, HOURS),
        (30 * DAY_S, 900, False, FIVE_MINUTES),
        (100 * DAY_S, DAY_S, True, HOURS),
    ],
)
def test_the_coarsest_that_gives_the_period(
    age_s: int, period_s: int, needs_sketches: bool, rung: object
) -> None:
    plan = plan_read(NOW, NOW - age_s, period_s, 10, needs_sketches=needs_sketches)
    assert (plan.rung, plan.period_s) == (rung, period_s)


@given(
    st.integers(0, 455 * DAY_S),
    st.integers(1, 3 * DAY_S),
    st.sampled_from(RESOLUTIONS_S),
    st.booleans(),
)
def test_every_plan_holds_the_start_and_never_has_a_shorter_period(
    age_s: int, period_s: int, sample_s: int, needs_sketches: bool
) -> None:
    plan = plan_read(NOW, NOW - age_s, period_s, sample_s, needs_sketches=needs_sketches)
    assert plan.period_s >= period_s
    if plan.rung is None:
        assert age_s <= RAW_KEEP_S
        assert plan.period_s % sample_s == 0
    else:
        assert age_s <= plan.rung.keep_s
        assert plan.period_s % plan.rung.resolution_s == 0
        assert plan.rung.has_sketches or not needs_sketches


@pytest.mark.parametrize("resolution_s", RESOLUTIONS_S)
def test_blocks_fill_hours(resolution_s: int) -> None:
    assert HOUR_S % span_of_block(resolution_s) == 0
    assert size_of_block(resolution_s) * resolution_s == span_of_block(resolution_s)
    assert 60 % resolution_s == 0


@pytest.mark.parametrize("rung", RUNGS)
def test_chunks_hold_whole_hours_and_lie_side_by_side(rung: Rung) -> None:
    assert rung.span_s % HOUR_S == 0
    end = NOW + 3 * rung.span_s
    starts = starts_of_chunks(rung, NOW, end)
    assert starts[0] <= NOW < starts[0] + rung.span_s
    assert starts[-1] < end <= starts[-1] + rung.span_s
