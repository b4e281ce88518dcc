"""The plan of a deployment that has not begun: what it would do, and why it may not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from halage.base.database import Transaction
from halage.environment.autoscaling.model import WEB
from halage.environment.configuration import Configuration
from halage.environment.errors import NothingDeployed
from halage.environment.model import DeploymentState, InstanceState
from halage.environment.records import ledger, orders
from halage.environment.rollout.refusals import Proposal, find_refusals
from halage.environment.rollout.rehearsal import Rehearsal, Times, rehearse
from halage.environment.rollout.strategy import GOING_BACK, Strategy, strategy_of
from halage.environment.rules import DeploymentFacts, InstanceFacts, RolloutFacts, Situation
from halage.environment.tables import store
from halage.environment.tables.store import Place
from halage.site.settings import Policy

REMEMBERED = 10
"""Ended deployments that expected times are taken from."""
NEW = 0
"""Stands for a release that is not made yet."""


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """What a deployment would do, before anything is begun."""

    project: str
    environment: str
    kind: str
    policy: Policy
    wanted: int
    batches: int
    batch: int
    """Instances of a batch, after the first ones that are proved."""
    refusals: tuple[str, ...]
    """Why it would not be begun; empty: it may be."""
    rehearsal: Rehearsal | None
    """None where it is refused."""
    deadline_s: float
    keep_old_s: float
    measured: int
    """Ended deployments that the expected times are taken from; 0: they are guessed."""


def plan_rollout(
    tx: Transaction, place: Place, number: int | None, policy: Policy | None, server_deadline_s: float
) -> RolloutPlan:
    """The plan of a restart, or with a number of the return to that release.

    `policy`: as if it were set. Raises NoSuchEnvironment, NoSuchRelease, NothingDeployed, NothingToReturnTo.
    """
    rows = orders.rows_of(tx, place)
    current = rows.environment.current_release_id
    if current is None:
        raise NothingDeployed(f"nothing has been deployed to {place[0]} {place[1]} yet: push a commit first")
    kind = "restart" if number is None else "rollback"
    release_id = current if number is None else orders.returnable(tx, place, number).id
    proposal = _propose(tx, place, release_id, kind, policy, server_deadline_s)
    strategy = strategy_of(proposal.policy, proposal.plan, proposal.wanted)
    refusals = () if kind in GOING_BACK else find_refusals(proposal)
    times, measured = expected_times(store.deployment_rows(tx, place, REMEMBERED * 3))
    goal = NEW if number is None else release_id
    rehearsal = None
    if not refusals:
        rehearsal = rehearse(*_facts(rows, proposal, strategy, goal), times)
    return RolloutPlan(
        project=place[0],
        environment=place[1],
        kind=kind,
        policy=proposal.policy,
        wanted=proposal.wanted,
        batches=strategy.batches,
        batch=strategy.batch,
        refusals=refusals,
        rehearsal=rehearsal,
        deadline_s=proposal.deadline_s,
        keep_old_s=proposal.plan.keep_old_s if strategy.keeps_old else 0.0,
        measured=measured,
    )


def _propose(
    tx: Transaction, place: Place, release_id: int, kind: str, policy: Policy | None, server_deadline_s: float
) -> Proposal:
    proposal = ledger.propose(tx, place, release_id, kind, server_deadline_s)
    if policy is None:
        return proposal
    return replace(proposal, policy=policy, plan=replace(proposal.plan, policy=policy))


def _facts(
    rows: store.EnvironmentRows, proposal: Proposal, strategy: Strategy, goal: int
) -> tuple[Situation, DeploymentFacts]:
    """The situation as if it were calm, and the deployment at its beginning."""
    current = rows.environment.current_release_id
    instances = [
        _calm(row)
        for row in rows.instances
        if row.process == WEB
        and (row.release_id == current or (row.release_id == goal and row.state == InstanceState.KEPT))
    ]
    has_kept = any(each.state is InstanceState.KEPT for each in instances)
    plan = Configuration.from_document(rows.releases[current].configuration)
    deployment = DeploymentFacts(
        id=0,
        state=DeploymentState.RUNNING,
        release_id=goal,
        previous_release_id=current,
        deadline_at=0.0,
        is_prepared=goal != NEW,
        is_released=has_kept or plan.site.run.release_command is None,
        rollout=RolloutFacts(proposal.policy, proposal.plan),
    )
    situation = Situation(
        now=0.0,
        wanted=proposal.wanted,
        current_release_id=current,
        instances=tuple(instances),
        drain_timeout_s=plan.site.run.drain_timeout_s,
        keep_old_s=proposal.plan.keep_old_s if strategy.keeps_old else 0.0,
    )
    return situation, deployment


def _calm(row: Any) -> InstanceFacts:
    is_kept = row.state == InstanceState.KEPT
    return InstanceFacts(
        id=row.id,
        release_id=row.release_id,
        state=InstanceState.KEPT if is_kept else InstanceState.SERVING,
        is_known=True,
        has_answered=True,
        in_balancer="draining" if is_kept else "serving",
    )


def expected_times(deployments: Sequence[Any]) -> tuple[Times, int]:
    """What each phase of an instance took in the latest good deployments, and how many those are."""
    rows = [row for row in deployments if row.state == DeploymentState.SUCCEEDED][:REMEMBERED]
    totals: dict[str, tuple[float, int]] = {}
    for row in rows:
        for name, (seconds, count) in row.phases.items():
            total, times = totals.get(name, (0.0, 0))
            totals[name] = (total + seconds, times + count)
    guess = Times()

    def mean(name: str, otherwise: float) -> float:
        total, count = totals.get(name, (0.0, 0))
        return total / count if count else otherwise

    return (
        Times(
            prepare_s=mean("prepare", guess.prepare_s),
            release_command_s=mean("release command", guess.release_command_s),
            boot_s=mean("boot", guess.boot_s),
            drain_s=mean("drain", guess.drain_s),
            stop_s=mean("stop", guess.stop_s),
        ),
        len(rows),
    )
