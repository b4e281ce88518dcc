"""More or fewer instances, played through: how they come and go, and that visitors never miss one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halage.environment.model import DeploymentState, InstanceState
from halage.environment.rollout.decide import decide
from halage.environment.rules import Drain, End, Move, Restart
from tests.rules.environment.world import NEW, OLD, World


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 5), (5, 2), (1, 20), (4, 3)])
def test_scaling_goes_to_the_number_and_never_below_what_is_wanted(before: int, after: int) -> None:
    world = _running(before)
    stayed = set(world.instances)
    world.history.clear()
    world.wanted = after
    world.fewest_serving = 999
    world.settle(2000)
    assert len(world.serving()) == len(world.instances) == after
    assert world.fewest_serving >= min(before, after)
    if after > before:
        assert stayed <= set(world.instances), "what serves is left alone"
        assert not any(isinstance(action, Drain | End) for action in world.history)


def test_scaling_down_is_one_instance_at_a_time_drained_before_it_is_ended() -> None:
    world = _running(3)
    world.history.clear()
    world.wanted = 1
    world.settle()
    words = [f"{type(a).__name__} {getattr(a, 'state', '')}".strip() for a in world.history]
    assert words == ["Move draining", "Drain", "Move stopping", "End"] * 2


def test_scaling_up_probes_and_routes_each_new_instance() -> None:
    world = _running(1)
    world.history.clear()
    world.wanted = 2
    world.settle()
    words = [f"{type(a).__name__} {getattr(a, 'state', '')}".strip() for a in world.history]
    assert words == ["CreateInstance", "Launch", "Move ready", "Move serving", "Route"]


def test_what_does_not_serve_yet_goes_first_when_fewer_are_wanted() -> None:
    world = _running(2)
    world.wanted = 4
    while len(world.instances) < 4:
        world.step()
    world.wanted = 2
    before = {instance.id for instance in world.serving()}
    world.settle()
    assert set(world.instances) == before


def test_one_that_keeps_dying_is_not_waited_for_when_fewer_are_wanted() -> None:
    world = _running(3)
    dying = next(iter(world.instances))
    world.change(
        dying,
        state=InstanceState.STARTING,
        died="exited with code 1",
        is_known=True,
        strikes=4,
        in_balancer=None,
    )
    world.wanted = 2
    assert decide(world.situation) == [Move(dying, InstanceState.STOPPING)]


def test_a_serving_instance_that_just_died_is_the_one_that_goes() -> None:
    world = _running(2)
    dead, alive = world.instances
    world.change(dead, died="was ended by signal 9")
    world.wanted = 1
    assert [type(action) for action in decide(world.situation)] == [Restart], "who lives is not drained now"
    world.settle()
    assert set(world.instances) == {alive}


def test_who_gets_no_requests_goes_before_who_does() -> None:
    world = _running(3)
    down = list(world.instances)[1]
    world.change(down, is_up=False)
    world.wanted = 2
    assert decide(world.situation) == [Move(down, InstanceState.DRAINING)]


@settings(max_examples=60, deadline=None)
@given(
    wishes=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6)), min_size=1, max_size=6),
    begins_at=st.integers(0, 30),
)
def test_a_number_that_changes_all_the_time_is_reached_also_through_a_deployment(
    wishes: list[tuple[int, int]], begins_at: int
) -> None:
    world = _running(2)
    before = world.wanted
    for turn in range(40):
        if turn == begins_at:
            world.deploy(NEW)
        for when, number in wishes:
            if when == turn:
                world.wanted = number
        serving = len(world.serving())
        world.step()
        # What was decided before the wish changed may still be carried out.
        needed = min(serving, before, world.wanted)
        assert len(world.serving()) >= needed, "nobody was taken who was needed"
        before = world.wanted
        world.happen()
        world.now += 1.0
    world.settle()
    assert world.finished is DeploymentState.SUCCEEDED
    assert len(world.serving(NEW)) == len(world.instances) == world.wanted


def _running(wanted: int) -> World:
    world = World(wanted)
    world.deploy(OLD)
    world.settle(2000)
    assert world.finished is DeploymentState.SUCCEEDED
    return world
