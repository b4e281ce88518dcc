"""What an environment does next, played through."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halage.environment.model import DeploymentState, InstanceState
from halage.environment.rollout.decide import decide
from halage.environment.rules import (
    CreateInstance,
    DeploymentFacts,
    InstanceFacts,
    LookAgain,
    Move,
    Restart,
    RollBack,
    RolloutFacts,
    Situation,
    back_off_s,
)
from tests.rules.environment.world import NEW, OLD, World


@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_first_deployment_starts_all_instances(wanted: int) -> None:
    world = World(wanted)
    world.deploy(NEW)
    world.settle()
    assert world.finished is DeploymentState.SUCCEEDED
    assert len(world.serving(NEW)) == wanted


@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_rolling_never_has_fewer_than_wanted_serving(wanted: int) -> None:
    world = _running(wanted)
    world.deploy(NEW)
    world.fewest_serving = 99
    world.settle()
    assert world.finished is DeploymentState.SUCCEEDED
    assert len(world.serving(NEW)) == len(world.instances) == wanted
    assert world.fewest_serving >= wanted


def test_rolling_is_one_instance_at_a_time_in_the_fixed_order() -> None:
    world = _running(2)
    world.history.clear()
    world.deploy(NEW)
    world.settle()
    words = [type(action).__name__ for action in world.history]
    once = ["BeginBatch", "CreateInstance", "Launch", "Move", "Move", "Route", "Move", "Drain", "Move", "End"]
    assert words == ["Prepare", "RunReleaseCommand", *once, *once, "Finish"]


@pytest.mark.parametrize("fault", ["broken", "silent"])
@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_a_release_that_does_not_start_is_rolled_back_while_the_old_one_serves(
    fault: str, wanted: int
) -> None:
    world = _running(wanted)
    getattr(world, fault).add(NEW)
    world.deploy(NEW)
    world.fewest_serving = 99
    world.settle()
    assert world.finished is DeploymentState.ROLLED_BACK
    assert world.fewest_serving >= wanted
    assert len(world.serving(OLD)) == len(world.instances) == wanted


def test_a_second_instance_that_fails_rolls_back_the_first() -> None:
    world = _running(2)
    world.deploy(NEW)
    while not world.serving(NEW):
        world.step()
        world.happen()
    world.broken.add(NEW)
    world.settle()
    assert world.finished is DeploymentState.ROLLED_BACK
    assert len(world.serving(OLD)) == len(world.instances) == 2


def test_a_first_release_that_fails_leaves_nothing_running() -> None:
    world = World(2)
    world.broken.add(NEW)
    world.deploy(NEW)
    world.settle()
    assert world.finished is DeploymentState.FAILED
    assert not world.instances


def test_the_last_healthy_instance_stays_when_the_old_release_does_not_come_back() -> None:
    world = _running(2)
    world.deploy(NEW)
    while len(world.serving(NEW)) < 2 or world.serving(OLD):
        world.step()
        world.happen()
    world.broken.add(OLD)
    world.deployment = replace(_under_way(world), failure="stopped by ada")
    world.fewest_serving = 99
    for _ in range(200):  # the old release is tried again for ever
        world.step()
        world.happen()
        world.now += 10.0
    assert world.finished is DeploymentState.FAILED
    assert world.fewest_serving >= 1


def test_the_deadline_turns_a_deployment_round_and_names_itself() -> None:
    world = _running(1)
    world.deploy(NEW, deadline_s=0.0)
    (turn,) = decide(world.situation)
    assert isinstance(turn, RollBack)
    assert "deadline" in turn.reason


def test_a_reached_goal_is_not_turned_round_by_the_deadline() -> None:
    world = _running(1)
    world.deploy(NEW)
    while not world.serving(NEW) or world.serving(OLD) or len(world.instances) > 1:
        world.step()
        world.happen()
    world.now += 10_000
    world.settle()
    assert world.finished is DeploymentState.SUCCEEDED


def test_a_dead_instance_is_started_again_at_once_and_then_with_back_off() -> None:
    world = _running(1)
    (name,) = world.instances
    world.now += 3600
    world.change(name, died="was ended by signal 9")
    (steady,) = decide(world.situation)
    assert steady == Restart(name, world.now, 0, "was ended by signal 9")
    world.change(name, since=world.now, strikes=3)
    (again,) = decide(world.situation)
    assert isinstance(again, Restart)
    assert again.at == world.now + back_off_s(4)


def test_a_clock_that_is_set_back_holds_no_restart_up() -> None:
    world = _running(1)
    (name,) = world.instances
    world.change(name, died="was ended by signal 9", since=world.now, strikes=3)
    world.step()
    assert world.instances[name].restart_at == world.now + back_off_s(4)
    world.now -= 3600
    world.settle(20)
    assert len(world.serving()) == 1


def test_back_off_grows_and_ends() -> None:
    waits = [back_off_s(strikes) for strikes in range(20)]
    assert waits == sorted(waits)
    assert (waits[0], waits[1], waits[-1]) == (0.0, 0.0, 60.0)


def test_an_instance_without_a_trace_starts_again() -> None:
    world = _running(1)
    (name,) = world.instances
    world.change(name, is_known=False)
    (restart,) = decide(world.situation)
    assert isinstance(restart, Restart)
    assert "gone" in restart.reason


def test_draining_waits_for_sessions_and_ends_at_its_timeout() -> None:
    draining = InstanceFacts(
        "i-1", OLD, InstanceState.DRAINING, is_known=True, in_balancer="draining", sessions=3, since=100.0
    )
    serving = InstanceFacts("i-2", NEW, InstanceState.SERVING, is_known=True, in_balancer="serving")
    deployment = DeploymentFacts(
        1,
        DeploymentState.RUNNING,
        NEW,
        OLD,
        deadline_at=999.0,
        is_prepared=True,
        is_released=True,
        rollout=RolloutFacts(batch=1),
    )
    situation = Situation(101.0, 1, OLD, deployment, (draining, serving), drain_timeout_s=30.0)
    assert all(isinstance(action, LookAgain) for action in decide(situation))
    late = replace(situation, now=131.0)
    assert Move("i-1", InstanceState.STOPPING) in decide(late)
    idle = replace(situation, instances=(replace(draining, sessions=0), serving))
    assert Move("i-1", InstanceState.STOPPING) in decide(idle)


def test_growing_and_shrinking_without_a_deployment() -> None:
    world = _running(2)
    world.wanted = 4
    world.settle()
    assert len(world.serving()) == 4
    world.wanted = 1
    world.settle()
    assert len(world.serving()) == len(world.instances) == 1


def test_a_death_of_an_old_instance_does_not_fail_the_deployment() -> None:
    world = _running(2)
    world.deploy(NEW)
    world.step()
    first = next(iter(world.instances))
    world.change(first, died="was ended by signal 9", in_balancer=None)
    world.settle()
    assert world.finished is DeploymentState.SUCCEEDED
    assert len(world.serving(NEW)) == len(world.instances) == 2


@settings(max_examples=300, deadline=None)
@given(
    wanted=st.integers(1, 4),
    faults=st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(["forget", "kill", "turn"]), st.integers(0, 7)),
        max_size=6,
    ),
    is_broken=st.booleans(),
)
def test_whatever_happens_it_ends_whole(
    wanted: int, faults: list[tuple[int, str, int]], is_broken: bool
) -> None:
    """Deaths, lost memories of the control plane and aborts at any step end in a whole environment."""
    world = _running(wanted)
    if is_broken:
        world.broken.add(NEW)
    world.deploy(NEW)
    for turn in range(60):
        for when, kind, which in faults:
            if when == turn and world.instances:
                _strike(world, kind, which)
        world.step()
        world.happen()
        world.now += 1.0
    world.settle()
    release = world.current
    assert world.deployment is None
    assert len(world.serving(release)) == len(world.instances) == wanted
    assert any(isinstance(action, CreateInstance) for action in world.history)


def _strike(world: World, kind: str, which: int) -> None:
    name = list(world.instances)[which % len(world.instances)]
    if kind == "kill" and world.instances[name].is_known:
        world.change(name, died="was ended by signal 9", in_balancer=None)
    elif (
        kind == "forget"
    ):  # kill -9 of the control plane: what was observed is gone, what lives is found again
        for other in tuple(world.instances):
            world.change(other, in_balancer=None, is_ending=False, unanswered=None)
    elif kind == "turn" and world.deployment is not None:
        world.deployment = replace(world.deployment, failure="stopped by ada")


def _running(wanted: int) -> World:
    world = World(wanted)
    world.deploy(OLD)
    world.settle()
    assert world.finished is DeploymentState.SUCCEEDED
    return world


def _under_way(world: World) -> DeploymentFacts:
    assert world.deployment is not None
    return world.deployment
