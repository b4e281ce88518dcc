from datetime import datetime

import pytest

from locks import STATES, state_of


@pytest.mark.parametrize(("minute", "state"), [(0, 0), (4, 0), (5, 1), (10, 2), (15, 3), (19, 3), (20, 0)])
def test_a_lock_goes_through_its_states(minute: int, state: int) -> None:
    assert state_of("Saint-Martin", datetime(2026, 1, 5, 0, minute)) == STATES[state]


def test_each_lock_is_a_step_after_the_one_before() -> None:
    assert state_of("La Villette", datetime(2026, 1, 5)) == STATES[1]


def test_an_unknown_lock_is_an_error() -> None:
    with pytest.raises(ValueError, match="Atlantis"):
        state_of("Atlantis", datetime(2026, 1, 5))
