"""The six policies, played through: what each promises, whatever happens on the way."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halage.environment.model import DeploymentState, InstanceState
from halage.environment.rollout.decide import decide, strategy_for
from halage.environment.rollout.strategy import canaries_of, choose_policy, size_of, strategy_of
from halage.environment.rules import Answers, CreateInstance, Halt, LookAgain, Route
from halage.site.settings import Batch, CanaryPlan, DeploymentPlan, Policy
from tests.rules.environment.world import NEW, OLD, World

ALL = list(Policy)
PLAN = DeploymentPlan(batch=Batch(count=2), canary=CanaryPlan(percent=10, duration_s=60))


@pytest.mark.parametrize("policy", ALL)
@pytest.mark.parametrize("wanted", [1, 2, 3, 4, 7])
def test_each_policy_ends_whole_and_never_serves_with_fewer_than_it_promises(
    policy: Policy, wanted: int
) -> None:
    world = _running(wanted)
    world.fewest_serving = 99
    world.deploy(NEW, policy=policy, plan=PLAN)
    world.settle(2000)
    assert world.finished is DeploymentState.SUCCEEDED
    assert len(world.serving(NEW)) == wanted
    assert not world.serving(OLD)
    assert world.fewest_serving >= strategy_of(policy, PLAN, wanted).fewest


@pytest.mark.parametrize(
    ("policy", "most", "fewest"),
    [
        (Policy.ALL_AT_ONCE, 8, 4),
        (Policy.ROLLING, 4, 2),
        (Policy.ROLLING_ADDITIONAL, 6, 4),
        (Policy.IMMUTABLE, 8, 4),
        (Policy.CANARY, 8, 4),
        (Policy.BLUE_GREEN, 8, 4),
    ],
)
def test_how_many_run_at_most_and_serve_at_least(policy: Policy, most: int, fewest: int) -> None:
    world = _running(4)
    world.deploy(NEW, policy=policy, plan=PLAN)
    world.fewest_serving = 99
    seen = 0
    for _ in range(400):
        world.step()
        seen = max(seen, len(world.instances))
        if not world.happen():
            world.now += 1.0
    assert world.finished is DeploymentState.SUCCEEDED
    assert (seen, world.fewest_serving) == (most, fewest)


def test_immutable_proves_one_alone_then_starts_the_rest_together_and_switches_once() -> None:
    world = _running(4)
    world.deploy(NEW, policy=Policy.IMMUTABLE, plan=PLAN)
    created = _creations_by_step(world)
    assert created == [1, 3]


def test_new_ones_of_a_switch_serve_nobody_until_all_are_ready() -> None:
    world = _running(3)
    world.deploy(NEW, policy=Policy.BLUE_GREEN, plan=PLAN)
    while not world.serving(NEW):
        world.step()
        if not any(
            i.state is InstanceState.SERVING and i.release_id == NEW for i in world.instances.values()
        ):
            assert len(world.serving(OLD)) == 3
        world.happen()
    assert len(world.serving(NEW)) == 3
    assert len(world.serving(OLD)) in (0, 3), "all at once"


def test_old_ones_are_kept_for_their_time_and_then_ended() -> None:
    world = _running(2)
    world.deploy(NEW, policy=Policy.BLUE_GREEN, plan=PLAN)
    _to_end(world)
    kept = [i for i in world.instances.values() if i.state is InstanceState.KEPT]
    assert [i.release_id for i in kept] == [OLD, OLD]
    assert all(i.in_balancer == "draining" for i in kept), "it is still checked there"
    world.now += PLAN.keep_old_s - 1
    world.step()
    assert len(world.instances) == 4
    world.now += 1
    world.settle()
    assert len(world.instances) == 2


def test_a_swap_takes_the_kept_ones_back_and_starts_none() -> None:
    world = _running(2)
    world.deploy(NEW, policy=Policy.BLUE_GREEN, plan=PLAN)
    _to_end(world)
    for release in (OLD, NEW, OLD):
        world.history.clear()
        world.deploy(release, policy=Policy.BLUE_GREEN, plan=PLAN)
        _to_end(world)
        assert not any(isinstance(action, CreateInstance) for action in world.history)
        assert len(world.serving(release)) == 2
        assert sum(i.state is InstanceState.KEPT for i in world.instances.values()) == 2


def test_a_clock_that_is_set_back_keeps_nothing_for_ever() -> None:
    world = _running(2)
    world.deploy(NEW, policy=Policy.BLUE_GREEN, plan=PLAN)
    _to_end(world)
    world.now -= 3600
    world.settle()
    assert len(world.instances) == 2


def test_a_pause_lies_between_two_batches() -> None:
    world = _running(4)
    plan = replace(PLAN, pause_s=30)
    begin = world.now
    world.deploy(NEW, policy=Policy.ROLLING, plan=plan)
    world.settle()
    assert world.finished is DeploymentState.SUCCEEDED
    assert 30 <= world.now - begin < 32


def test_a_canary_gets_its_share_for_its_time_and_is_judged() -> None:
    world = _running(4)
    world.new_answers, world.old_answers = Answers(500, 2, 40.0), Answers(4500, 18, 35.0)
    world.history.clear()
    world.deploy(NEW, policy=Policy.CANARY, plan=PLAN)
    begin = world.now
    shares = []
    while world.finished is None:
        world.step()
        shares += [a.share for a in world.history if isinstance(a, Route)]
        world.history.clear()
        if not world.happen():
            world.now += 1
    assert shares[0] == 10, "one canary of four gets all of the 10%"
    assert set(shares[1:]) == {None}
    assert world.now - begin >= 60


def test_a_canary_of_one_instance_is_judged_beside_the_old_one() -> None:
    world = _running(1)
    _until_canaries_serve(world, CanaryPlan(10, duration_s=60))
    begin = world.now
    while world.now - begin < 59:
        world.step()
        world.happen()
        world.now += 1
        assert [each.share for each in world.serving()] == [None, 10]
    world.settle()
    assert world.finished is DeploymentState.SUCCEEDED


@pytest.mark.parametrize(
    ("answers", "cause"),
    [(Answers(500, 30, 40.0), "6.00% of its 500 requests failed"), (Answers(500, 0, 90.0), "p95 is 90 ms")],
)
def test_a_canary_that_answers_worse_goes_at_once_and_says_why(answers: Answers, cause: str) -> None:
    world = _running(4)
    world.new_answers, world.old_answers = answers, Answers(4500, 0, 35.0)
    world.deploy(NEW, policy=Policy.CANARY, plan=PLAN)
    world.settle()
    assert world.finished is DeploymentState.ROLLED_BACK
    assert cause in next(
        action.reason for action in world.history if hasattr(action, "reason") and action.reason
    )
    assert len(world.serving(OLD)) == len(world.instances) == 4


def test_a_canary_that_has_just_begun_may_be_slow() -> None:
    world = _running(4)
    world.new_answers, world.old_answers = Answers(60, 0, 90.0), Answers(500, 0, 35.0)
    world.deploy(NEW, policy=Policy.CANARY, plan=PLAN)
    for _ in range(30):
        world.step()
        world.happen()
        world.now += 1
    assert world.finished is None
    assert len(world.serving(NEW)) == 1
    world.settle()
    assert world.finished is DeploymentState.ROLLED_BACK, "at the end of its time it counts"


def test_a_canary_that_fails_its_check_after_30_s_goes_back() -> None:
    world = _running(4)
    world.deploy(NEW, policy=Policy.CANARY, plan=PLAN)
    while not world.serving(NEW):
        world.step()
        world.happen()
    world.now += 30
    (canary,) = world.serving(NEW)
    world.change(canary.id, is_up=False, check="L7STS/500")
    world.settle()
    assert world.finished is DeploymentState.ROLLED_BACK
    assert len(world.serving(OLD)) == len(world.instances) == 4


def test_more_instances_wanted_during_a_canary_come_from_the_old_release() -> None:
    world = _running(2)
    world.deploy(NEW, policy=Policy.CANARY, plan=replace(PLAN, canary=CanaryPlan(duration_s=600)))
    while not world.serving(NEW):
        world.step()
        world.happen()
    world.wanted = 4
    for _ in range(30):
        world.step()
        world.happen()
    assert (len(world.serving(OLD)), len(world.serving(NEW))) == (4, 1)


def test_a_batch_bears_as_many_failures_as_its_threshold_says() -> None:
    world = _running(4)
    plan = replace(PLAN, batch=Batch(count=4), healthy_percent=75)
    world.deploy(NEW, policy=Policy.ROLLING_ADDITIONAL, plan=plan)
    while not world.serving(NEW):
        world.step()
        world.happen()
    world.change(world.serving(NEW)[0].id, died="was ended by signal 9", in_balancer=None)
    world.settle()
    assert world.finished is DeploymentState.SUCCEEDED
    assert len(world.serving(NEW)) == len(world.instances) == 4


def test_without_rollback_a_failure_halts_until_somebody_decides() -> None:
    world = _halted()
    before = set(world.instances)
    for _ in range(20):
        world.step()
        world.happen()
        world.now += 1
    assert set(world.instances) == before, "it stands still"
    assert world.deployment is not None
    world.deployment = replace(world.deployment, failure="stopped by ada")
    world.settle()
    assert world.finished is DeploymentState.ROLLED_BACK
    assert len(world.serving(OLD)) == len(world.instances) == 4


def test_what_stands_still_gives_way_to_the_next_deployment() -> None:
    world = _halted()
    world.note(has_successor=True)
    while world.finished is None:
        world.step()
    assert world.finished is DeploymentState.FAILED
    world.broken.clear()
    world.deploy(3)
    world.settle()
    assert len(world.serving(3)) == len(world.instances) == 4


def test_what_stands_still_returns_at_its_deadline() -> None:
    world = _halted()
    world.now += 700
    world.settle()
    assert world.finished is DeploymentState.ROLLED_BACK
    assert len(world.serving(OLD)) == len(world.instances) == 4


# Rolling with a single instance is refused before it begins.
@pytest.mark.parametrize(
    ("policy", "wanted"), [(p, w) for p in ALL for w in (1, 4) if (p, w) != (Policy.ROLLING, 1)]
)
def test_an_abort_at_any_moment_leads_to_the_old_release_whole(policy: Policy, wanted: int) -> None:
    outcomes = []
    for moment in itertools.count():
        world = _running(wanted)
        world.deploy(NEW, policy=policy, plan=SHORT)
        _play(world, moment)
        if world.deployment is None:
            break
        world.deployment = replace(world.deployment, failure="stopped by ada")
        world.fewest_serving = 99
        world.settle()
        outcomes.append(world.finished)
        assert len(world.serving(OLD)) == len(world.instances) == wanted
        promise = strategy_of(policy, SHORT, wanted).fewest
        assert world.fewest_serving >= promise, f"at moment {moment}"
    assert len(outcomes) > 5
    assert set(outcomes) == {DeploymentState.ROLLED_BACK}


@pytest.mark.parametrize("policy", ALL)
def test_an_instance_that_dies_in_the_middle_of_a_batch(policy: Policy) -> None:
    """A new one takes the deployment back whole; an old one is replaced or was leaving, and it goes on."""
    for release, outcome in ((NEW, DeploymentState.ROLLED_BACK), (OLD, DeploymentState.SUCCEEDED)):
        deaths = 0
        for moment in itertools.count():
            world = _running(4)
            world.deploy(NEW, policy=policy, plan=SHORT)
            _play(world, moment)
            if world.deployment is None:
                break
            alive = [
                each
                for each in world.instances.values()
                if each.release_id == release and each.is_known and each.state in STAYING
            ]
            if not alive:
                continue
            deaths += 1
            world.change(alive[-1].id, died="was ended by signal 9", in_balancer=None)
            world.settle(2000)
            assert world.finished is outcome, f"{release} at moment {moment}"
            staying = [each for each in world.instances.values() if each.state is not InstanceState.KEPT]
            assert len(world.serving(world.current)) == len(staying) == 4
        assert deaths > 3


SHORT = replace(PLAN, canary=CanaryPlan(percent=10, duration_s=4))
STAYING = (InstanceState.STARTING, InstanceState.READY, InstanceState.SERVING)


def _play(world: World, moments: int) -> None:
    """So many decisions of a deployment, or all."""
    for _ in range(moments):
        world.step()
        if not world.happen():
            world.now += 1.0
        if world.deployment is None:
            return


def test_an_abort_after_the_switch_takes_back_what_still_drains() -> None:
    world = _running(4)
    world.deploy(NEW, policy=Policy.BLUE_GREEN, plan=PLAN)
    while len(world.serving(NEW)) < 4:
        world.step()
        world.happen()
    world.step()
    assert world.deployment is not None
    world.deployment = replace(world.deployment, failure="stopped by ada")
    world.history.clear()
    world.settle()
    assert world.finished is DeploymentState.ROLLED_BACK
    assert not any(isinstance(action, CreateInstance) for action in world.history)


@settings(max_examples=400, deadline=None)
@given(
    policy=st.sampled_from(ALL),
    wanted=st.integers(1, 6),
    batch=st.integers(1, 4),
    healthy=st.sampled_from([100.0, 75.0, 50.0]),
    faults=st.lists(
        st.tuples(
            st.integers(0, 60),
            st.sampled_from(["forget", "kill", "turn", "unwell", "silent", "back"]),
            st.integers(0, 11),
        ),
        max_size=6,
    ),
    sizes=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 6)), max_size=2),
    is_broken=st.booleans(),
    rolls_back=st.booleans(),
)
def test_whatever_happens_it_keeps_its_promise_and_ends_whole(
    policy: Policy,
    wanted: int,
    batch: int,
    healthy: float,
    faults: list[tuple[int, str, int]],
    sizes: list[tuple[int, int]],
    is_broken: bool,
    rolls_back: bool,
) -> None:
    """Deaths, failing checks, late answers, aborts, restarts of the control plane, other numbers, a clock

    set back: no decision takes what the promise needs, it ends, and one release serves alone.
    """
    world = _running(wanted)
    if is_broken:
        world.broken.add(NEW)
    plan = DeploymentPlan(policy, Batch(count=batch), healthy_percent=healthy, rollback=rolls_back)
    world.deploy(NEW, policy=policy, plan=replace(plan, canary=CanaryPlan(duration_s=10)))
    for turn in range(90):
        for when, kind, which in faults:
            if when == turn and world.instances:
                _strike(world, kind, which)
        before, promise = _capacity(world), _promise(world)
        world.step()
        assert _capacity(world) >= min(before, promise), "nobody was taken who was needed"
        world.happen()
        world.now += 1.0
        for when, number in sizes:
            if when == turn:
                world.wanted = number
    for instance in tuple(world.instances):
        world.change(instance, is_up=True, unanswered=None)
    world.silent.clear()
    world.settle(3000)
    alive = [i for i in world.instances.values() if i.state is not InstanceState.KEPT]
    assert world.deployment is None
    assert len(world.serving(world.current)) == len(alive) == world.wanted


def _capacity(world: World) -> int:
    return sum(instance.serves for instance in world.instances.values())


def _promise(world: World) -> int:
    if world.deployment is None:
        return world.wanted
    return min(strategy_for(world.deployment, world.wanted).fewest, world.wanted)


def _strike(world: World, kind: str, which: int) -> None:
    name = list(world.instances)[which % len(world.instances)]
    instance = world.instances[name]
    if kind == "kill" and instance.is_known:
        world.change(name, died="was ended by signal 9", in_balancer=None)
    elif kind == "forget":  # kill -9 of the control plane: what lives is found again
        for other in tuple(world.instances):
            world.change(other, in_balancer=None, is_ending=False, unanswered=None)
    elif kind == "turn" and world.deployment is not None:
        world.deployment = replace(world.deployment, failure="stopped by ada")
    elif kind == "unwell" and instance.in_balancer == "serving":
        world.change(name, is_up=False, check="L4TOUT")
    elif kind == "silent":
        world.silent ^= {NEW}
    elif kind == "back":
        world.now -= 3600.0


@pytest.mark.parametrize(
    ("batch", "wanted", "size"),
    [
        (Batch(count=1), 4, 1),
        (Batch(percent=25), 4, 1),
        (Batch(percent=26), 4, 2),
        (Batch(percent=1), 3, 1),
        (Batch(count=9), 4, 4),
        (Batch(percent=100), 3, 3),
    ],
)
def test_a_batch_is_a_number_or_a_share_rounded_up(batch: Batch, wanted: int, size: int) -> None:
    assert size_of(batch, wanted) == size


@pytest.mark.parametrize(("percent", "wanted", "each"), [(10, 4, 10), (50, 4, 25), (25, 8, 12.5), (5, 1, 5)])
def test_several_canaries_have_the_share_together(percent: float, wanted: int, each: float) -> None:
    world = _running(wanted)
    _until_canaries_serve(world, CanaryPlan(percent, duration_s=60))
    assert {canary.share for canary in world.serving(NEW)} == {each}
    assert {old.share for old in world.serving(OLD)} == {None}


def test_a_canary_that_goes_back_never_gets_more_than_its_share() -> None:
    world = _running(4)
    _until_canaries_serve(world, CanaryPlan(10, duration_s=60))
    assert world.deployment is not None
    world.deployment = replace(world.deployment, failure="stopped by ada")
    world.history.clear()
    world.settle()
    assert world.finished is DeploymentState.ROLLED_BACK
    assert not any(isinstance(action, Route) for action in world.history)


def test_a_canary_alone_answers_everybody() -> None:
    world = _running(1)
    _until_canaries_serve(world, CanaryPlan(10, duration_s=60))
    (old,) = world.serving(OLD)
    world.change(old.id, is_up=False, check="L4CON")
    world.step()
    assert [canary.share for canary in world.serving(NEW)] == [None]
    world.change(old.id, is_up=True)
    world.step()
    world.step()
    assert [canary.share for canary in world.serving(NEW)] == [10]


def test_who_goes_back_has_no_canary_and_a_first_release_nothing_to_be_careful_of() -> None:
    plan = DeploymentPlan(Policy.CANARY)
    assert choose_policy(plan, "deploy", has_previous=True, kept=0, wanted=2) is Policy.CANARY
    assert choose_policy(plan, "rollback", has_previous=True, kept=0, wanted=2) is Policy.BLUE_GREEN
    assert choose_policy(plan, "deploy", has_previous=False, kept=0, wanted=2) is Policy.ALL_AT_ONCE
    rolling = DeploymentPlan(Policy.ROLLING)
    assert choose_policy(rolling, "rollback", has_previous=True, kept=2, wanted=2) is Policy.BLUE_GREEN
    assert choose_policy(rolling, "rollback", has_previous=True, kept=1, wanted=2) is Policy.ROLLING


def _creations_by_step(world: World) -> list[int]:
    created = []
    while world.finished is None:
        world.history.clear()
        world.step()
        if number := sum(isinstance(action, CreateInstance) for action in world.history):
            created.append(number)
        world.happen()
    return created


def _to_end(world: World) -> None:
    while world.finished is None:
        world.step()
        world.happen()


def _until_canaries_serve(world: World, canary: CanaryPlan) -> None:
    """Begin a canary; each of its instances serves, and gets what it shall of the requests."""
    world.deploy(NEW, policy=Policy.CANARY, plan=replace(PLAN, canary=canary))
    while len(world.serving(NEW)) < canaries_of(canary.percent, world.wanted):
        world.step()
        world.happen()


def _halted() -> World:
    world = _running(4)
    world.deploy(NEW, policy=Policy.ROLLING_ADDITIONAL, plan=replace(PLAN, rollback=False))
    while len(world.serving(NEW)) < 2:
        world.step()
        world.happen()
    world.broken.add(NEW)
    while not any(isinstance(action, Halt) for action in world.history):
        world.step()
        world.happen()
    return world


def _running(wanted: int) -> World:
    world = World(wanted)
    world.deploy(OLD)
    world.settle(2000)
    assert world.finished is DeploymentState.SUCCEEDED
    assert all(isinstance(action, LookAgain) for action in decide(world.situation))
    return world
