"""Instances that fail their check are started again; those that people took out are left alone."""

from dataclasses import replace

import pytest

from halage.environment.health.tending import decide_with_health
from halage.environment.model import DeploymentState, InstanceState, TakenOut
from halage.environment.rules import (
    Action,
    CreateInstance,
    DeploymentFacts,
    Drain,
    InstanceFacts,
    LookAgain,
    Move,
    Restart,
    Situation,
    Withdraw,
)

GOOD = InstanceFacts("i-1", 1, InstanceState.SERVING, is_known=True, has_answered=True, in_balancer="serving")
BAD = replace(GOOD, id="i-2", failing_for_s=61.0, is_up=False)
KEPT = TakenOut("ada", 900.0, False)
REPLACED = TakenOut("ada", 900.0, True)
NOW = Situation(1000.0, 2, 1, instances=(GOOD, BAD), replace_after_s=60.0)


def _at(*instances: InstanceFacts, wanted: int = 2) -> Situation:
    return replace(NOW, instances=instances, wanted=wanted)


def _done(situation: Situation) -> list[Action]:
    return [action for action in decide_with_health(situation) if not isinstance(action, LookAgain)]


def test_one_that_fails_too_long_is_started_again() -> None:
    assert _done(NOW) == [Restart("i-2", 1000.0, 0, "failed its check for 61 s")]


def test_before_that_it_is_looked_at_again_in_time() -> None:
    assert decide_with_health(_at(GOOD, replace(BAD, failing_for_s=45.0))) == [LookAgain(15.0)]


@pytest.mark.parametrize(
    "situation", [replace(NOW, replace_after_s=None), _at(GOOD, replace(GOOD, id="i-2"))]
)
def test_none_is_without_a_reason(situation: Situation) -> None:
    assert decide_with_health(situation) == []


def test_they_are_started_again_one_at_a_time_the_longest_first() -> None:
    worse = replace(BAD, id="i-3", failing_for_s=90.0)
    assert [a.instance_id for a in _done(_at(BAD, worse)) if isinstance(a, Restart)] == ["i-3"]
    starting = replace(GOOD, state=InstanceState.STARTING, has_answered=False, in_balancer=None)
    assert _done(_at(starting, BAD)) == []


def test_one_that_fails_again_and_again_waits_longer_each_time() -> None:
    soon = replace(BAD, since=930.0, strikes=3)
    (restart,) = _done(_at(GOOD, soon))
    assert isinstance(restart, Restart)
    assert (restart.strikes, restart.at) == (4, 1005.0)
    (restart,) = _done(_at(GOOD, replace(soon, since=800.0)))
    assert isinstance(restart, Restart)
    assert (restart.strikes, restart.at) == (0, 1000.0), "it served well for a while"


def test_a_new_release_that_fails_is_its_deployments_affair() -> None:
    deployment = DeploymentFacts(7, DeploymentState.RUNNING, 2, 1, 9000.0, is_prepared=True, is_released=True)
    new = replace(BAD, release_id=2)
    assert not [a for a in _done(replace(_at(GOOD, new), deployment=deployment)) if isinstance(a, Restart)]
    old = [a for a in _done(replace(NOW, deployment=deployment)) if isinstance(a, Restart)]
    assert [a.instance_id for a in old] == ["i-2"]


def test_one_that_is_taken_out_drains_and_leaves_and_is_not_replaced() -> None:
    out = replace(BAD, failing_for_s=None, taken_out=KEPT)
    assert _done(_at(GOOD, out)) == [Move("i-2", InstanceState.TAKEN_OUT)]
    out = replace(out, state=InstanceState.TAKEN_OUT, since=999.0)
    assert _done(_at(GOOD, out)) == [Drain("i-2")]
    out = replace(out, in_balancer="draining", sessions=1)
    assert decide_with_health(_at(GOOD, out)) == [LookAgain(0.05)]
    assert _done(_at(GOOD, replace(out, since=900.0))) == [Withdraw("i-2")], "the drain time is over"
    assert _done(_at(GOOD, replace(out, sessions=0))) == [Withdraw("i-2")]
    assert decide_with_health(_at(GOOD, replace(out, in_balancer="out"))) == []


def test_one_that_is_replaced_leaves_once_another_serves() -> None:
    out = replace(GOOD, id="i-2", taken_out=REPLACED)
    assert _done(_at(GOOD, out)) == [CreateInstance(1)]
    third = replace(GOOD, id="i-3")
    assert _done(_at(GOOD, third, out)) == [Move("i-2", InstanceState.TAKEN_OUT)]


def test_one_that_dies_while_it_is_out_is_ended_and_nothing_else_happens() -> None:
    out = replace(GOOD, id="i-2", state=InstanceState.TAKEN_OUT, taken_out=KEPT, died="exited with code 1")
    assert _done(_at(GOOD, out)) == [Move("i-2", InstanceState.STOPPING, "exited with code 1")]


def test_one_of_an_older_release_leaves_no_gap() -> None:
    out = replace(
        GOOD, id="i-2", release_id=0, state=InstanceState.TAKEN_OUT, taken_out=KEPT, in_balancer="out"
    )
    assert _done(_at(GOOD, out)) == [CreateInstance(1)]
