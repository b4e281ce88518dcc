"""The plan of a deployment: played by the very decisions, so that it says what would happen."""

import pytest

from halage.environment.model import DeploymentState, InstanceState
from halage.environment.rollout.rehearsal import Rehearsal, Times, rehearse
from halage.environment.rules import DeploymentFacts, InstanceFacts, RolloutFacts, Situation
from halage.site.settings import Batch, CanaryPlan, DeploymentPlan, Policy
from tests.rules.environment.world import NEW, OLD

TIMES = Times(prepare_s=1, boot_s=4, drain_s=2, stop_s=1)
PLAN = DeploymentPlan(batch=Batch(count=2), canary=CanaryPlan(duration_s=60), keep_old_s=0)


def rehearsed(policy: Policy, *, keep_old_s: float = 0.0, pause_s: float = 0.0) -> Rehearsal:
    old = tuple(
        InstanceFacts(
            f"old-{n}", OLD, InstanceState.SERVING, is_known=True, has_answered=True, in_balancer="serving"
        )
        for n in range(4)
    )
    plan = DeploymentPlan(policy, PLAN.batch, pause_s, keep_old_s=keep_old_s, canary=PLAN.canary)
    deployment = DeploymentFacts(
        1, DeploymentState.RUNNING, NEW, OLD, 0.0, is_released=True, rollout=RolloutFacts(policy, plan)
    )
    situation = Situation(100.0, 4, OLD, instances=old, keep_old_s=keep_old_s)
    return rehearse(situation, deployment, TIMES)


@pytest.mark.parametrize(
    ("policy", "fewest", "most", "seconds"),
    [
        (Policy.ALL_AT_ONCE, 4, 8, 1 + 4 + 2 + 1),
        (Policy.ROLLING, 2, 4, 1 + 2 * (2 + 1 + 4)),
        (Policy.ROLLING_ADDITIONAL, 4, 6, 1 + 2 * (4 + 2 + 1)),
        (Policy.IMMUTABLE, 4, 8, 1 + 4 + 4 + 2 + 1),
        (Policy.CANARY, 4, 8, 1 + 4 + 60 + 4 + 2 + 1),
        (Policy.BLUE_GREEN, 4, 8, 1 + 4 + 2 + 1),
    ],
)
def test_what_each_policy_is_expected_to_do(policy: Policy, fewest: int, most: int, seconds: float) -> None:
    found = rehearsed(policy)
    assert (found.fewest_serving, found.most_running) == (fewest, most)
    assert found.duration_s == pytest.approx(seconds)
    assert sum(each.started for each in found.phases) == 4
    assert sum(each.stopped for each in found.phases) == 4
    assert sum(each.duration_s for each in found.phases) == pytest.approx(seconds)


def test_what_is_kept_costs() -> None:
    without, kept = rehearsed(Policy.BLUE_GREEN), rehearsed(Policy.BLUE_GREEN, keep_old_s=3600)
    assert kept.kept == 4
    # What is kept drains as before, and is not stopped for a second each.
    assert kept.extra_instance_hours == pytest.approx(without.extra_instance_hours + 4 - 4 / 3600)


def test_rolling_costs_nothing_extra_and_pauses_count() -> None:
    assert rehearsed(Policy.ROLLING).extra_instance_hours == 0
    paused = rehearsed(Policy.ROLLING, pause_s=30)
    assert paused.duration_s == pytest.approx(rehearsed(Policy.ROLLING).duration_s + 30)
    assert [each.phase for each in paused.phases].count("pause") == 1
