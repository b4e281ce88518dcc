"""What a policy means for a number of instances, as data: the mechanism reads nothing else of it."""

import math
from dataclasses import dataclass

from halage.site.settings import Batch, DeploymentPlan, Policy

GOING_BACK = frozenset({"rollback", "swap"})
"""Kinds of deployments that return to a release that served before."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way from one release to the next."""

    policy: Policy
    wanted: int
    """Instances that shall serve."""
    first: int
    """New ones that are proved before the others are started; 0: none."""
    batch: int
    """New ones that are started together, after those."""
    surge: int
    """How many more than wanted may run at once, those that are being ended counted."""
    fewest: int
    """How many, old and new, serve at any moment on the way."""
    is_switched: bool = False
    """The new ones wait until all are ready; then all old ones leave at once."""
    is_judged: bool = False
    """The first ones get a share of the requests and are judged by the answers."""
    keeps_old: bool = False
    """The old ones stay for a while to be returned to."""

    def reach(self, number: int) -> int:
        """How many new instances there are at the end of batch `number` (1 is the first)."""
        if number < 1:
            return 0
        if self.first:
            return min(self.first + (number - 1) * self.batch, self.wanted)
        return min(number * self.batch, self.wanted)

    def size(self, number: int) -> int:
        """How many new instances batch `number` brings."""
        return self.reach(number) - self.reach(number - 1)

    @property
    def batches(self) -> int:
        """How many batches it takes. Where the first ones are proved, what follows is one even if nobody is

        left to be started: it is the switch.
        """
        rest = math.ceil(max(self.wanted - self.first, 0) / self.batch)
        return 1 + max(rest, 1) if self.first else rest

    @property
    def is_stop_first(self) -> bool:
        """Old ones make room before new ones are started."""
        return self.surge == 0


def size_of(batch: Batch, wanted: int) -> int:
    """How many instances a batch is: one at least, all at the most."""
    count = batch.count
    if count is None:
        count = math.ceil(wanted * (batch.percent if batch.percent is not None else 100.0) / 100 - 1e-9)
    return min(max(count, 1), max(wanted, 1))


def choose_policy(plan: DeploymentPlan, kind: str, *, has_previous: bool, kept: int, wanted: int) -> Policy:
    """The policy that a deployment goes by: the one that is set, where there is something to be careful of.

    A first release has nothing beside it. Who goes back has no canary; where enough of its instances
    are kept, they take over at once.
    """
    if not has_previous:
        return Policy.ALL_AT_ONCE
    if kind in GOING_BACK and (kept >= wanted or plan.policy is Policy.CANARY):
        return Policy.BLUE_GREEN
    return plan.policy


def strategy_of(policy: Policy, plan: DeploymentPlan, wanted: int) -> Strategy:
    """What a policy means for so many instances."""
    everything = max(wanted, 1)
    size = size_of(plan.batch, wanted)
    keeps = plan.keep_old_s > 0
    match policy:
        case Policy.ALL_AT_ONCE:
            return Strategy(policy, wanted, 0, everything, everything, wanted)
        case Policy.ROLLING if wanted > 1:
            # The last one is never stopped first, also when fewer are wanted than when it began.
            size = min(size, wanted - 1)
            return Strategy(policy, wanted, 0, size, 0, wanted - size)
        case Policy.ROLLING_ADDITIONAL | Policy.ROLLING:
            return Strategy(policy, wanted, 0, size, size, wanted)
        case Policy.IMMUTABLE:
            return Strategy(policy, wanted, 1, everything, everything, wanted, True, keeps_old=keeps)
        case Policy.CANARY:
            first = canaries_of(plan.canary.percent, wanted)
            return Strategy(policy, wanted, first, everything, everything, wanted, True, True)
        case Policy.BLUE_GREEN:
            return Strategy(policy, wanted, 0, everything, everything, wanted, True, keeps_old=keeps)


def canaries_of(percent: float, wanted: int) -> int:
    """How many canaries it takes, so that none gets much more than an instance is used to."""
    return min(max(math.ceil(wanted * percent / 100 - 1e-9), 1), max(wanted, 1))
