"""Rules over other alarms."""

import pytest

from halage.monitor.alarms.composite import (
    Circumstances,
    check_names,
    cycle_from,
    explain,
    holds,
    in_order,
    names_in,
    parse_rule,
)
from halage.monitor.alarms.errors import BadAlarm
from halage.monitor.alarms.model import State

STATES = {"errors": State.ALARM, "latency": State.OK, "new one": State.INSUFFICIENT_DATA}
QUIET, DEPLOYING = Circumstances(), Circumstances(is_deploying=True)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('ALARM("errors")', True),
        ("alarm('errors')", True),
        ('OK("errors")', False),
        ('OK("latency") AND ALARM("errors")', True),
        ('ALARM("latency") OR ALARM("errors")', True),
        ('NOT ALARM("errors")', False),
        ('NOT NOT ALARM("errors")', True),
        ('INSUFFICIENT_DATA("new one")', True),
        # AND binds tighter than OR, NOT tighter than both.
        ('ALARM("errors") OR ALARM("errors") AND ALARM("latency")', True),
        ('(ALARM("errors") OR ALARM("errors")) AND ALARM("latency")', False),
        ('NOT ALARM("latency") AND ALARM("errors")', True),
        ('ALARM("gone")', False),
        ('NOT ALARM("gone")', True),
        ("DEPLOYING", False),
        ('ALARM("errors") AND NOT DEPLOYING', True),
        ("METRICS_PAUSED", False),
    ],
)
def test_a_rule_holds_as_it_reads(text: str, wanted: bool) -> None:
    assert holds(parse_rule(text), STATES, QUIET) is wanted


def test_a_deployment_mutes_what_says_so() -> None:
    assert not holds(parse_rule('ALARM("errors") AND NOT DEPLOYING'), STATES, DEPLOYING)
    assert holds(parse_rule("METRICS_PAUSED"), {}, Circumstances(is_paused=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'rule: at character 1 there is the end, allowed is ALARM("...")'),
        ("ALARM", 'rule: at character 6 there is the end, allowed is a name, as in ALARM("errors")'),
        (
            "ALARM(errors)",
            "rule: at character 7 there is 'errors)', allowed is the name of an alarm in quotes",
        ),
        ('ALARM("")', "rule: at character 7 there is '\"\")', allowed is the name of an alarm in quotes"),
        ('ALARM("a"', "rule: at character 10 there is the end, allowed is a closing parenthesis"),
        (
            'ALARM("a") ALARM("b")',
            "rule: at character 12 there is 'ALARM(\"b\")', allowed is AND, OR or the end",
        ),
        ('ALARM("a") AND', "rule: at character 15 there is the end"),
        ('BROKEN("a")', "rule: at character 1 there is 'BROKEN(\"a\")'"),
        ('ALARM("a") & OK("b")', "rule: at character 11 there is ' & OK(\"b\")', allowed is a word"),
        ("(" * 60 + 'ALARM("a")' + ")" * 60, "at most 40 levels"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(BadAlarm) as refused:
        parse_rule(text)
    assert message in refused.value.message
    assert refused.value.facts["errors"][0]["location"] == "rule"


def test_the_names_and_the_reason() -> None:
    text = 'ALARM("errors") AND NOT (OK("latency") OR DEPLOYING)'
    rule = parse_rule(text)
    assert list(names_in(rule)) == ["errors", "latency"]
    assert explain(rule, text, STATES, QUIET) == (
        f"{text} does not hold: errors is ALARM, latency is OK, no deployment runs"
    )


def test_a_cycle_is_refused_with_its_path() -> None:
    rules = {"b": ["c"], "c": ["x", "a"]}
    assert cycle_from("a", {**rules, "a": ["b"]}) == ["a", "b", "c", "a"]
    with pytest.raises(
        BadAlarm, match="it names a -> b -> c -> a, allowed is a rule that does not lead back"
    ):
        check_names("a", 'ALARM("b")', rules, {"b", "c", "x"})
    with pytest.raises(BadAlarm, match="it names a -> a"):
        check_names("a", 'NOT ALARM("a")', {}, set())


def test_a_rule_names_alarms_that_are_there() -> None:
    with pytest.raises(
        BadAlarm, match="it names 'gone', allowed is the name of an alarm of the same project: b"
    ):
        check_names("a", 'ALARM("b") OR ALARM("gone")', {}, {"b"})
    check_names("a", 'ALARM("b")', {"b": ["c"]}, {"b", "c"})


def test_rules_come_after_what_they_name() -> None:
    named = {"a": ["b", "plain"], "b": ["c"], "c": ["plain"], "d": []}
    order = in_order(named)
    assert sorted(order) == ["a", "b", "c", "d"]
    assert order.index("c") < order.index("b") < order.index("a")


def test_a_long_chain_of_rules_is_no_problem() -> None:
    named = {f"n{place:04}": [f"n{place + 1:04}"] for place in range(3000)}
    assert in_order(named)[0] == "n2999"
    assert cycle_from("n0000", named) is None
