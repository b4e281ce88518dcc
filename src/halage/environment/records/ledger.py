"""The recorded side of the controller: reads a situation and records each decision, one transaction each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from halage.base.database import Transaction
from halage.environment.configuration import Configuration
from halage.environment.model import DeploymentState, InstanceState
from halage.environment.rollout.refusals import Proposal, find_refusals
from halage.environment.rollout.strategy import GOING_BACK, choose_policy
from halage.environment.settings import freezing
from halage.environment.tables import execution_store, rollouts, scaling_store, store
from halage.environment.tables.store import Place
from halage.site.model import EnvironmentPlan

ACTOR = "halage"


@dataclass(frozen=True, slots=True)
class Book:
    """The rows of one environment that a decision needs."""

    environment: Any
    deployment: Any | None
    """The one under way."""
    waiting: Any | None
    """The one that comes next."""
    instances: list[Any]
    """Of every kind of process."""
    releases: dict[int, Any]
    states: Mapping[str, Any]
    """What is remembered of scaling, by kind of process."""
    rollout: Any | None = None
    """Of the deployment under way."""

    def instance(self, instance_id: str) -> Any:
        """One of the instances, by id."""
        return next(row for row in self.instances if row.id == instance_id)

    @property
    def under_way(self) -> Any:
        """The deployment under way, for steps that exist only in one."""
        assert self.deployment is not None
        return self.deployment

    def goal_release(self) -> Any | None:
        """The release that the environment is on its way to, or stays with."""
        goal = self.environment.current_release_id
        if self.deployment is not None:
            is_forward = self.deployment.state == DeploymentState.RUNNING
            goal = self.deployment.release_id if is_forward else self.deployment.previous_release_id
        return self.releases.get(goal) if goal is not None else None


def read_book(tx: Transaction, place: Place) -> Book | None:
    """What is recorded of an environment; None when there is none."""
    environment = store.environment_row(tx, place)
    if environment is None:
        return None
    found = store.deployments_in(tx, [*store.OPEN_DEPLOYMENTS, DeploymentState.WAITING.value], place)
    waiting = [row for row in found if row.state == DeploymentState.WAITING]
    running = [row for row in found if row.state != DeploymentState.WAITING]
    instances = store.instance_rows(tx, place)
    wanted = {row.release_id for row in instances} | {environment.current_release_id}
    wanted |= {row.started_release_id for row in instances}
    for row in (*running, *waiting):
        wanted |= {row.release_id, row.previous_release_id}
    releases = store.releases_by_id(tx, wanted)
    states = scaling_store.state_rows(tx, place)
    rollout = rollouts.rollout_row(tx, running[0].id) if running else None
    first = running[0] if running else None
    return Book(environment, first, waiting[0] if waiting else None, instances, releases, states, rollout)


def everything(tx: Transaction) -> tuple[list[Any], dict[str, Place], list[Any]]:
    """For a start: living instances with their releases' configuration, places of all, environments."""
    instances, releases = store.instances_table, store.releases_table
    query = (
        select(instances, releases.c.configuration)
        .join(releases, releases.c.id == instances.c.release_id)
        .where(instances.c.state.in_(store.LIVING_INSTANCES))
    )
    columns = (instances.c.id, instances.c.project, instances.c.environment)
    places = {row.id: (row.project, row.environment) for row in tx.execute(select(*columns))}
    return list(tx.execute(query)), places, store.environment_rows(tx)


def begin(tx: Transaction, deployment_id: int, server_deadline_s: float) -> str:
    """Start a waiting deployment; `started`, or `superseded` or `refused` when it ended instead.

    An environment only moves forward: a deployment of an older run than the newest that was
    deployed here is not done, unless a person asked for a rollback or a restart.
    """
    row = store.deployment_row(tx, deployment_id)
    assert row is not None
    place = (row.project, row.environment)
    environment = store.environment_row(tx, place)
    assert environment is not None
    newest = environment.newest_run_id
    if row.kind == "deploy" and row.run_id is not None and newest is not None and row.run_id < newest:
        reason = f"run {newest} is newer and was deployed here before"
        end_unstarted(tx, row, reason)
        return "superseded"
    if row.kind == freezing.KIND and (nothing := freezing.freeze(tx, row)) is not None:
        end_unstarted(tx, row, nothing)
        return "superseded"
    proposal = propose(tx, place, row.release_id, row.kind, server_deadline_s)
    is_live = row.kind == freezing.KIND and freezing.is_live_change(tx, row)
    if row.kind not in GOING_BACK and not is_live and (refusals := find_refusals(proposal)):
        refuse(tx, row, refusals)
        return "refused"
    freezing.name_in_history(tx, row)
    rollouts.insert_rollout(tx, deployment_id, proposal.policy.value)
    store.update_deployment(
        tx,
        deployment_id,
        state=DeploymentState.RUNNING.value,
        reason="",
        started_at=tx.now,
        deadline_at=tx.now + proposal.deadline_s,
        previous_release_id=environment.current_release_id,
        # Instances of a release that are kept have had its release command.
        is_released=len(_kept_of(tx, place, row.release_id)) > 0,
    )
    if row.run_id is not None:
        store.update_environment(tx, place, newest_run_id=max(newest or 0, row.run_id))
    _note(
        tx,
        "environment:Deploy",
        row,
        before={"state": row.state},
        after={"state": DeploymentState.RUNNING.value},
        release=store.release_row(tx, row.release_id).number,
        policy=proposal.policy.value,
    )
    if freezing.switch_live(tx, store.deployment_row(tx, deployment_id)):
        finish(tx, deployment_id, DeploymentState.SUCCEEDED)
    return "started"


def propose(tx: Transaction, place: Place, release_id: int, kind: str, server_deadline_s: float) -> Proposal:
    """What a deployment of a release would be, by its own settings and what runs now."""
    environment = store.environment_row(tx, place)
    assert environment is not None
    release = store.release_row(tx, release_id)
    configuration = Configuration.from_document(release.configuration)
    plan, wanted = configuration.plan(place[1]), configuration.wanted(place[1], environment.instances)
    policy = choose_policy(
        plan.deployments,
        kind,
        has_previous=environment.current_release_id is not None,
        kept=len(_kept_of(tx, place, release_id)),
        wanted=wanted,
    )
    return Proposal(
        policy=policy,
        plan=plan.deployments,
        wanted=wanted,
        deadline_s=plan.deployments.deadline_s or server_deadline_s,
        health_path=plan.health.path,
        is_first=environment.current_release_id is None,
    )


def _kept_of(tx: Transaction, place: Place, release_id: int) -> list[Any]:
    rows = store.instance_rows(tx, place)
    return [row for row in rows if row.release_id == release_id and row.state == InstanceState.KEPT]


def refuse(tx: Transaction, row: Any, refusals: tuple[str, ...]) -> None:
    """Record that a deployment is not begun, and every reason why."""
    state, reason = DeploymentState.FAILED.value, f"refused: {'; '.join(refusals)}"
    store.update_deployment(tx, row.id, state=state, reason=reason, finished_at=tx.now)
    if store.release_row(tx, row.release_id).state == "new":
        store.set_release_state(tx, row.release_id, "failed")
    freezing.take_back(tx, store.deployment_row(tx, row.id), DeploymentState.FAILED)
    action = "environment:DeploymentRefused"
    _note(tx, action, row, before={"state": row.state}, after={"state": state}, reason=reason)


def halt(tx: Transaction, deployment_id: int, reason: str, log_tail: str) -> None:
    """Record that a deployment stands still, as it is, until a person decides."""
    row = store.deployment_row(tx, deployment_id)
    assert row is not None
    rollouts.update_rollout(tx, deployment_id, halted=reason)
    store.update_deployment(tx, deployment_id, reason=f"stands still: {reason}", log_tail=log_tail)
    _note(tx, "environment:Halt", row, before={"halted": False}, after={"halted": True}, reason=reason)


def judged(tx: Transaction, deployment_id: int, verdict: str) -> None:
    """Record what the canary of a deployment was found to be."""
    row = store.deployment_row(tx, deployment_id)
    rollouts.update_rollout(tx, deployment_id, verdict=verdict)
    _note(tx, "environment:JudgeCanary", row, before=None, after={"verdict": verdict})


def supersede_waiting(tx: Transaction, place: Place, by: str) -> list[int]:
    """End every deployment that still waits in an environment; returns the runs they belong to."""
    runs = []
    for row in store.deployments_in(tx, [DeploymentState.WAITING.value], place):
        end_unstarted(tx, row, f"superseded by {by}")
        if row.run_id is not None:
            runs.append(row.run_id)
    return runs


def newer_waiting(tx: Transaction, place: Place, run_id: int) -> int | None:
    """A newer run whose deployment waits in an environment: an older one does not take its place."""
    waiting = store.deployments_in(tx, [DeploymentState.WAITING.value], place)
    return next((row.run_id for row in waiting if row.run_id is not None and row.run_id > run_id), None)


def end_unstarted(tx: Transaction, row: Any, reason: str) -> None:
    """Record that a deployment is superseded before it began."""
    state = DeploymentState.SUPERSEDED.value
    store.update_deployment(tx, row.id, state=state, reason=reason, finished_at=tx.now)
    release = store.release_row(tx, row.release_id)
    if release.state == "new":
        store.set_release_state(tx, row.release_id, "superseded")
    _note(
        tx, "environment:Superseded", row, before={"state": row.state}, after={"state": state}, reason=reason
    )


def fail(tx: Transaction, deployment_id: int, failure: str, log_tail: str = "") -> None:
    """Note why a deployment cannot go on; the next decision turns it round."""
    row = store.deployment_row(tx, deployment_id)
    if row is not None and row.state == DeploymentState.RUNNING and row.failure is None:
        store.update_deployment(tx, deployment_id, failure=failure, log_tail=log_tail)


def is_under_way(tx: Transaction, deployment_id: int) -> bool:
    """Whether a deployment still goes forward."""
    row = store.deployment_row(tx, deployment_id)
    return row is not None and bool(row.state == DeploymentState.RUNNING)


def needed_names(tx: Transaction, release_unit: str) -> dict[Place, set[str]]:
    """Who needs a directory of its own, by environment: living instances, release commands not done."""
    names: dict[Place, set[str]] = {(row.project, row.name): set() for row in store.environment_rows(tx)}
    for row in store.instance_rows(tx):
        names[row.project, row.environment].add(row.id)
    for row in store.deployments_in(tx, [DeploymentState.RUNNING.value]):
        if not row.is_released and row.failure is None:
            names[row.project, row.environment].add(f"{release_unit}{row.id}")
    return names


def release_command_succeeded(tx: Transaction, deployment_id: int, duration_s: float | None) -> None:
    """Note that the release command is done (None: there is none)."""
    store.update_deployment(tx, deployment_id, is_released=True)
    if duration_s is not None:
        store.add_phase(tx, deployment_id, "release command", duration_s)


def move(tx: Transaction, row: Any, state: InstanceState, reason: str, ready_after_s: float) -> None:
    """Record an instance's new state and the time that the phase before took."""
    values: dict[str, Any] = {"state": state.value, "reason": reason, "since": tx.now}
    if state is InstanceState.READY and row.state == InstanceState.STARTING:
        values["ready_at"] = tx.now
        store.add_phase(tx, row.deployment_id, "boot", ready_after_s)
    has_drained = state in (InstanceState.STOPPING, InstanceState.KEPT)
    if has_drained and row.state == InstanceState.DRAINING:
        running = store.deployments_in(tx, store.OPEN_DEPLOYMENTS, (row.project, row.environment))
        if running:
            store.add_phase(tx, running[0].id, "drain", tx.now - row.since)
    store.update_instance(tx, row.id, **values)


def stopped(tx: Transaction, row: Any, duration_s: float) -> None:
    """Record that an instance's process is gone."""
    state = InstanceState.STOPPED.value
    store.update_instance(tx, row.id, state=state, since=tx.now)
    running = store.deployments_in(tx, store.OPEN_DEPLOYMENTS, (row.project, row.environment))
    if running:
        store.add_phase(tx, running[0].id, "stop", duration_s)


def restart(tx: Transaction, row: Any, at: float, strikes: int, reason: str) -> None:
    """Record that an instance starts again at `at` as its next attempt."""
    store.update_instance(
        tx,
        row.id,
        state=InstanceState.STARTING.value,
        attempt=row.attempt + 1,
        strikes=strikes,
        reason=reason,
        since=tx.now,
        restart_at=at,
        started_at=None,
        ready_at=None,
        deployment_id=None,
        started_release_id=None,
    )
    before = {"state": row.state, "attempt": row.attempt}
    after = {"state": InstanceState.STARTING.value, "attempt": row.attempt + 1}
    _note(tx, "environment:RestartInstance", row, before=before, after=after, instance=row.id, reason=reason)


def roll_back(tx: Transaction, deployment_id: int, reason: str, log_tail: str, deadline_at: float) -> None:
    """Turn a deployment round: the previous release is the goal from now on."""
    row = store.deployment_row(tx, deployment_id)
    assert row is not None
    store.update_deployment(
        tx,
        deployment_id,
        state=DeploymentState.ROLLING_BACK.value,
        reason=reason,
        log_tail=log_tail or row.log_tail,
        deadline_at=deadline_at,
    )
    release = store.release_row(tx, row.release_id)
    if release.state == "new":
        store.set_release_state(tx, row.release_id, "failed")
    after = {"state": DeploymentState.ROLLING_BACK.value}
    _note(tx, "environment:RollBack", row, before={"state": row.state}, after=after, reason=reason)


def finish(tx: Transaction, deployment_id: int, state: DeploymentState) -> None:
    """Record the end of a deployment and which release is current from now on."""
    row = store.deployment_row(tx, deployment_id)
    assert row is not None
    wanted = _wanted_now(tx, row)
    store.update_deployment(tx, deployment_id, state=state.value, finished_at=tx.now, wanted=wanted)
    if state is DeploymentState.FAILED and store.release_row(tx, row.release_id).state == "new":
        store.set_release_state(tx, row.release_id, "failed")
    before: dict[str, Any] = {"state": row.state}
    after: dict[str, Any] = {"state": state.value}
    if state is DeploymentState.SUCCEEDED:
        releases = store.releases_by_id(tx, (row.release_id, row.previous_release_id))
        numbers = {key: release.number for key, release in releases.items()}
        before |= {"release": numbers.get(row.previous_release_id)}
        after |= {"release": numbers[row.release_id]}
        if row.previous_release_id is not None:
            # What people rolled back from is not where the next rollback returns to by itself.
            # What was swapped out is as good as what was swapped in.
            state_before = "left" if row.kind == "rollback" else "good"
            store.set_release_state(tx, row.previous_release_id, state_before)
        store.set_release_state(tx, row.release_id, "current")
        store.update_environment(tx, (row.project, row.environment), current_release_id=row.release_id)
    freezing.take_back(tx, row, state)
    _note(tx, _ENDS[state], row, before=before, after=after, reason=row.reason, phases=row.phases)


def _wanted_now(tx: Transaction, row: Any) -> int:
    """How many instances of its release a deployment is to have; kept with it once it has ended."""
    environment = store.environment_row(tx, (row.project, row.environment))
    configuration = Configuration.from_document(store.release_row(tx, row.release_id).configuration)
    return configuration.wanted(row.environment, environment.instances if environment is not None else None)


_ENDS = {
    DeploymentState.SUCCEEDED: "environment:Deployed",
    DeploymentState.ROLLED_BACK: "environment:RolledBack",
    DeploymentState.FAILED: "environment:DeploymentFailed",
}


def retire(tx: Transaction, place: Place, keep: int) -> None:
    """Mark releases past the newest `keep` as retired: they cannot be returned to any more."""
    kept = [row for row in store.release_rows(tx, place) if row.state in ("current", "good", "left")]
    for row in kept[keep:]:
        if row.state != "current":
            store.set_release_state(tx, row.id, "retired")


def kept_numbers(tx: Transaction, place: Place) -> list[int]:
    """Numbers of the releases whose unpacked directory is still needed."""
    book = read_book(tx, place)
    if book is None:
        return []
    # Somebody may still be at work in a release that has been replaced.
    held = store.releases_by_id(tx, (row.release_id for row in execution_store.execution_rows(tx, place)))
    return [row.number for row in {**held, **book.releases}.values()]


def _note(tx: Transaction, action: str, row: Any, **details: Any) -> None:
    """A journal entry about a deployment or an instance."""
    subject = f"project/{row.project}/environment/{row.environment}"
    tx.record(action, actor=ACTOR, subject=subject, project=row.project, id=row.id, **details)


def plans(tx: Transaction) -> dict[Place, EnvironmentPlan]:
    """The plan that each environment's route has to follow now: of its newest begun release."""
    found: dict[Place, EnvironmentPlan] = {}
    for row in store.environment_rows(tx):
        place = (row.project, row.name)
        book = read_book(tx, place)
        goal = book.goal_release() if book is not None else None
        plan = EnvironmentPlan(row.name)
        if goal is not None:
            plan = Configuration.from_document(goal.configuration).plan(row.name)
        found[place] = plan
    return found
