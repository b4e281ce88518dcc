"""CloudWatch's published tables of examples, row by row.

"Configuring how CloudWatch alarms treat missing data": 0 does not breach, X breaches, - is missing; the
newest period is on the right. An earlier edition of the page has two rows that the present one replaced
(`- - - - X` and `X - - - -`); they hold as well.
"""

import pytest

from halage.monitor.alarms.model import Definition, Missing, Point, State
from halage.monitor.alarms.rules import evaluate

ALARM, OK, NONE = State.ALARM, State.OK, State.INSUFFICIENT_DATA
KEPT = None
"""Retain current state."""

THREE_OF_THREE = [
    ("0 - X - X", OK, OK, OK, OK),
    ("0 - - - -", OK, OK, OK, OK),
    ("- - - - -", NONE, KEPT, ALARM, OK),
    ("0 X X - X", ALARM, ALARM, ALARM, ALARM),
    ("- - X - -", ALARM, KEPT, ALARM, OK),
    ("- - - - X", NONE, KEPT, ALARM, OK),
    ("X - - - -", ALARM, KEPT, ALARM, OK),
]
TWO_OF_THREE = [
    ("0 - X - X", ALARM, ALARM, ALARM, ALARM),
    ("0 0 X 0 X", ALARM, ALARM, ALARM, ALARM),
    ("0 - X - -", OK, OK, ALARM, OK),
    ("- - - - 0", OK, OK, ALARM, OK),
    ("- - - X -", ALARM, KEPT, ALARM, OK),
    ("- - - - X", NONE, KEPT, ALARM, OK),
]
PREMATURE = [
    # In words, below the tables: no alarm while the next period may still be a good one.
    ("- - - X -", NONE, KEPT, ALARM, OK),
    ("- - - X 0", OK, OK, OK, OK),
    ("- - X - 0", OK, OK, OK, OK),
]
MODES = (Missing.MISSING, Missing.IGNORE, Missing.BREACHING, Missing.NOT_BREACHING)
CASES = [
    pytest.param(breaching, row[0], mode, wanted, id=f"{breaching} of 3, {row[0]}, {mode}")
    for breaching, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE), (3, PREMATURE))
    for row in table
    for mode, wanted in zip(MODES, row[1:], strict=True)
]


def points(pattern: str) -> list[Point]:
    values = {"0": 1.0, "X": 9.0, "-": None}
    return [Point(60.0 * place, values[sign]) for place, sign in enumerate(pattern.split())]


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize(("breaching", "pattern", "missing", "wanted"), CASES)
def test_it_says_what_the_published_table_says(
    breaching: int, pattern: str, missing: Missing, wanted: State | None, state: State
) -> None:
    definition = Definition(
        "a", expression="x", threshold=5.0, periods=3, breaching=breaching, missing=missing
    )
    assert definition.range_periods == 5
    verdict = evaluate(definition, points(pattern), state)
    assert verdict.state is (state if wanted is KEPT else wanted), verdict.reason
    assert verdict.is_kept == (wanted is KEPT)


def test_the_number_of_periods_that_are_filled_is_that_of_the_table() -> None:
    definition = Definition("a", expression="x", threshold=5.0, periods=3, breaching=3)
    filled = {
        pattern: evaluate(definition, points(pattern), OK).facts.get("filled", 0)
        for pattern, *_ in THREE_OF_THREE[:5]
    }
    assert list(filled.values()) == [0, 2, 3, 0, 2]
