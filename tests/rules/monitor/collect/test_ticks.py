"""Which tick has ended, and how much a counter grew."""

import pytest

from halage.monitor.collect.rules import LONGEST_GAP_S, Growth, ended_tick, until_next


@pytest.mark.parametrize(
    ("now", "resolution_s", "at"),
    [
        (1000.0, 10, 990),
        (1009.999, 10, 990),
        (1010.0, 10, 1000),
        (1010.5, 1, 1009),
        (1011.0, 1, 1010),
    ],
)
def test_a_tick_has_ended_when_the_next_one_has_begun(now: float, resolution_s: int, at: int) -> None:
    assert ended_tick(now, resolution_s) == at


@pytest.mark.parametrize(("now", "wait"), [(5.0, 1.0), (5.25, 0.75), (5.999, 0.001)])
def test_turns_are_at_full_seconds(now: float, wait: float) -> None:
    assert until_next(now) == pytest.approx(wait)


def test_growth_is_told_from_the_second_sight_on() -> None:
    growth = Growth()
    assert growth.since("a", 5, 0.0) is None
    assert growth.since("a", 8, 10.0) == (3, 10.0)
    assert growth.since("a", 8, 20.0) == (0, 10.0)
    assert growth.since("b", 8, 20.0) is None
    assert growth.knows("b") and not growth.knows("c")


def test_a_counter_that_fell_begins_anew() -> None:
    growth = Growth()
    growth.since("a", 100, 0.0)
    assert growth.since("a", 3, 10.0) is None
    assert growth.since("a", 7, 20.0) == (4, 10.0)


def test_growth_over_a_gap_is_nobodys() -> None:
    growth = Growth()
    growth.since("a", 0, 0.0)
    assert growth.since("a", 9000, LONGEST_GAP_S + 1) is None
    assert growth.since("a", 9001, LONGEST_GAP_S + 2) == (1, 1.0)


def test_what_nobody_counts_has_no_growth() -> None:
    growth = Growth()
    assert growth.since("a", None, 0.0) is None
    assert growth.since("a", None, 10.0) is None


def test_what_is_not_told_any_more_is_forgotten() -> None:
    growth = Growth()
    growth.since("gone", 1, 0.0)
    growth.since("there", 1, 100.0)
    growth.forget_unseen(3 * LONGEST_GAP_S)
    assert growth.knows("there") and not growth.knows("gone")
