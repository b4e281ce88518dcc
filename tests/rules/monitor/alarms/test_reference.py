"""docs/reference/alarms.md is true of the code, as far as it has tables of it."""

import re
from pathlib import Path

import pytest

from halage.monitor.alarms import definitions, ledger
from halage.monitor.alarms.defaults import environment_defaults, server_defaults
from halage.monitor.alarms.deliveries import DeliveryLimits
from halage.monitor.alarms.model import Definition, Missing, Point, State
from halage.monitor.alarms.rules import evaluate, needed_samples
from halage.monitor.alarms.store import DELIVERED, DROPPED, FAILED, HELD, WAITING

PAGE = (Path(__file__).parents[4] / "docs" / "reference" / "alarms.md").read_text("utf-8")
_ROW = re.compile(r"^\| `([-0X ]+)` \| (.+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
MODES = (Missing.MISSING, Missing.IGNORE, Missing.BREACHING, Missing.NOT_BREACHING)


def rows_of(table: str) -> list[tuple[str, ...]]:
    """The rows of the table of missing data under a title."""
    part = PAGE.split(f"**{table} out of 3**")[1].split("\n\n")[1]
    return [match.groups() for match in _ROW.finditer(part)]


@pytest.mark.parametrize("breaching", [3, 2])
def test_the_tables_of_missing_data_are_what_the_rules_say(breaching: int) -> None:
    rows = rows_of(str(breaching))
    assert len(rows) == 5
    for pattern, *outcomes in rows:
        values = [{"0": 1.0, "X": 9.0, "-": None}[sign] for sign in pattern.split()]
        points = [Point(60.0 * place, value) for place, value in enumerate(values)]
        for mode, outcome in zip(MODES, outcomes, strict=True):
            definition = Definition(
                "a", expression="x", threshold=5.0, periods=3, breaching=breaching, missing=mode
            )
            for state in State:
                verdict = evaluate(definition, points, state)
                wanted = state if outcome == "kept" else State(outcome)
                assert verdict.state is wanted, (pattern, mode)


def test_the_alarms_that_are_there_by_themselves_are_those_of_the_table() -> None:
    made = {**environment_defaults("shop", "ENV"), **server_defaults()}
    part = PAGE.split("## Alarms that are there by themselves")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in row.split(" | ")] for row in part.splitlines() if row.startswith("| `")]
    assert [row[0].strip("| `") for row in rows] == [each.name for each in made.values()]
    for row, each in zip(rows, made.values(), strict=True):
        if each.rule is not None:
            assert f"`{each.rule}`" in row[1]
            continue
        assert row[2] == f"`{each.operator} {each.threshold:g}`", each.name
        assert row[3] == f"{each.breaching} of {each.periods} × {each.period_s} s", each.name  # noqa: RUF001
        assert row[4].strip("| ") == f"`{each.missing}`", each.name
        assert ("muted during deployments" in row[1]) == each.mute_while_deploying
        assert ("`low_samples` `ignore`" in row[1]) == (each.low_samples == "ignore")


def test_the_numbers_are_those_of_the_code() -> None:
    limits = DeliveryLimits()
    *pauses, last = [f"{pause:g}" for pause in limits.pauses_s]
    assert f"after {', '.join(pauses)} and {last} seconds: ten attempts" in PAGE and len(limits.pauses_s) == 9
    assert f"An attempt may take {limits.attempt_s:g} seconds" in PAGE and limits.at_once == 2
    assert f"| alarms in all | {definitions.MOST_ALARMS:,} |" in PAGE
    assert f"the last {ledger.KEPT_CHANGES} changes" in PAGE
    for state in (WAITING, HELD, DELIVERED, FAILED, DROPPED):
        assert f"| `{state}` |" in PAGE
    names, numbers = (
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in PAGE.splitlines()
        if row.startswith(("| p10 |", "| 100 |"))
    )
    assert [f"{needed_samples(float(name[1:])):,}" for name in names] == numbers
