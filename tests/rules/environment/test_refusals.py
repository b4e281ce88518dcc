"""What is refused before it begins, and with which numbers."""

from dataclasses import replace

import pytest

from halage.environment.rollout.refusals import Proposal, find_refusals
from halage.site.settings import Batch, CanaryPlan, DeploymentPlan, Policy

PROPOSAL = Proposal(Policy.ROLLING_ADDITIONAL, DeploymentPlan(), 4, 900.0, "/")


@pytest.mark.parametrize("policy", list(Policy))
def test_what_can_be_kept_is_not_refused(policy: Policy) -> None:
    assert find_refusals(replace(PROPOSAL, policy=policy)) == ()


@pytest.mark.parametrize(
    ("proposal", "words"),
    [
        (replace(PROPOSAL, health_path=""), "no health check"),
        (replace(PROPOSAL, policy=Policy.ROLLING, wanted=1), "stops 1 of 1 instance"),
        (
            replace(PROPOSAL, policy=Policy.ROLLING, plan=DeploymentPlan(batch=Batch(percent=100))),
            "stops 4 of 4 instances",
        ),
        (
            replace(PROPOSAL, policy=Policy.IMMUTABLE, plan=DeploymentPlan(maximum=7)),
            "immutable has 8 instances at once (4 and 4 beside them), and at most 7",
        ),
        (replace(PROPOSAL, policy=Policy.BLUE_GREEN, wanted=60), "has 120 instances at once"),
        (
            replace(PROPOSAL, plan=DeploymentPlan(maximum=3), is_first=True),
            "4 instances are wanted, and at most 3",
        ),
        (replace(PROPOSAL, plan=DeploymentPlan(batch=Batch(count=0))), "a batch of 0 instances"),
        (replace(PROPOSAL, plan=DeploymentPlan(batch=Batch(percent=101))), "a batch of 101%"),
        (
            replace(PROPOSAL, policy=Policy.CANARY, plan=DeploymentPlan(canary=CanaryPlan(percent=60))),
            "at most 50% of the requests, not 60%",
        ),
        (
            replace(PROPOSAL, policy=Policy.CANARY, plan=DeploymentPlan(canary=CanaryPlan(duration_s=900))),
            "the canary is judged for 900 s, and the whole has to end within 900 s",
        ),
        (
            replace(PROPOSAL, plan=DeploymentPlan(pause_s=300)),
            "the 3 pauses between 4 batches take 900 s",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_numbers(proposal: Proposal, words: str) -> None:
    (reason,) = find_refusals(proposal)
    assert words in reason
