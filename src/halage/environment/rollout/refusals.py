"""What a policy cannot keep, found before anything is begun: why, and by which numbers."""

from dataclasses import dataclass

from halage.environment.rollout.strategy import Strategy, strategy_of
from halage.site.settings import Batch, DeploymentPlan, Policy

MOST_INSTANCES = 100
"""Of an environment, old and new ones together."""
MOST_CANARY_PERCENT = 50.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """A deployment that has not begun: what decides whether its policy can be kept."""

    policy: Policy
    plan: DeploymentPlan
    wanted: int
    deadline_s: float
    health_path: str
    is_first: bool = False
    """Nothing runs that it would replace."""


def find_refusals(proposal: Proposal) -> tuple[str, ...]:
    """Every reason why it is not begun, in words and numbers; empty when it may be."""
    strategy = strategy_of(proposal.policy, proposal.plan, proposal.wanted)
    reasons = [
        _without_check(proposal),
        _bad_batch(proposal.plan.batch),
        _stops_all(proposal),
        _too_many(proposal, strategy),
        _bad_canary(proposal),
        _too_long(proposal, strategy),
    ]
    return tuple(reason for reason in reasons if reason is not None)


def _without_check(proposal: Proposal) -> str | None:
    if proposal.health_path:
        return None
    return (
        "it has no health check (health.path is empty), so nobody could tell when a new instance is ready:"
        ' set a path such as "/"'
    )


def _bad_batch(batch: Batch) -> str | None:
    if batch.count is not None and batch.count < 1:
        return f"a batch of {batch.count} instances replaces none: deployments.batch is 1 or more"
    if batch.count is None and batch.percent is not None and not 0 < batch.percent <= 100:
        return f"a batch of {batch.percent:g}% cannot be: deployments.batch is over 0% and at most 100%"
    return None


def _stops_all(proposal: Proposal) -> str | None:
    if proposal.policy is not Policy.ROLLING:
        return None
    size = strategy_of(Policy.ROLLING_ADDITIONAL, proposal.plan, proposal.wanted).batch
    if size < proposal.wanted:
        return None
    return (
        f"rolling stops {size} of {_count(proposal.wanted)} before what replaces them serves, and leaves"
        " none: have more instances, a smaller batch, or the policy rolling_additional"
    )


def _too_many(proposal: Proposal, strategy: Strategy) -> str | None:
    most = proposal.plan.maximum if proposal.plan.maximum is not None else MOST_INSTANCES
    needed = proposal.wanted + (0 if proposal.is_first else strategy.surge)
    if needed <= most:
        return None
    if proposal.is_first:
        return f"{proposal.wanted} instances are wanted, and at most {most} may run (deployments.maximum)"
    return (
        f"{proposal.policy} has {needed} instances at once ({proposal.wanted} and {strategy.surge} beside"
        f" them), and at most {most} may run (deployments.maximum):"
        " raise it, or choose a policy that needs fewer"
    )


def _bad_canary(proposal: Proposal) -> str | None:
    percent = proposal.plan.canary.percent
    if proposal.policy is not Policy.CANARY or 0 < percent <= MOST_CANARY_PERCENT:
        return None
    return f"a canary gets over 0% and at most {MOST_CANARY_PERCENT:g}% of the requests, not {percent:g}%"


def _too_long(proposal: Proposal, strategy: Strategy) -> str | None:
    pauses = 0.0 if strategy.is_switched else proposal.plan.pause_s * (strategy.batches - 1)
    judging = proposal.plan.canary.duration_s if strategy.is_judged else 0.0
    if pauses + judging < proposal.deadline_s:
        return None
    what = (
        f"the canary is judged for {judging:g} s"
        if judging
        else f"the {strategy.batches - 1} pauses between {strategy.batches} batches take {pauses:g} s"
    )
    return f"{what}, and the whole has to end within {proposal.deadline_s:g} s (deployments.deadline)"


def _count(number: int) -> str:
    return "1 instance" if number == 1 else f"{number} instances"
