"""From rows and the balancer's figures to what people are shown: one source for every door."""

from collections.abc import Mapping, Sequence
from typing import Any

from halage.balancer.model import TargetState, TargetStatus
from halage.environment.autoscaling.model import WEB
from halage.environment.configuration import Configuration
from halage.environment.health.rules import InstanceSigns, derive
from halage.environment.instances.vitals import Vitals
from halage.environment.model import (
    Deployment,
    DeploymentState,
    Environment,
    Instance,
    InstanceState,
    Phase,
    Release,
    Variable,
)
from halage.environment.records.standing import Standing, signs_of, worker_signs
from halage.environment.rollout.strategy import strategy_of
from halage.environment.tables import store
from halage.site.settings import Policy

PHASE_ORDER = ("prepare", "release command", "boot", "route", "drain", "stop")


def release_view(row: Any) -> Release:
    """A release as people see it."""
    return Release(
        id=row.id,
        number=row.number,
        project=row.project,
        environment=row.environment,
        bundle_digest=row.bundle_digest,
        commit=row.commit,
        title=row.title,
        state=row.state,
        created_at=row.created_at,
        created_by=row.created_by,
    )


def variable_view(row: Any) -> Variable:
    """A variable; the value of a secret one stays where it is."""
    value = None if row.is_secret else row.value
    return Variable(row.name, value, row.is_secret, row.updated_at, row.updated_by)


def deployment_view(
    row: Any,
    releases: Mapping[int, Any],
    done: int = 0,
    scaled: int | None = None,
    rollout: Any | None = None,
) -> Deployment:
    """A deployment with its releases; `done` counts the instances that serve its release now.

    `scaled` is the number that its environment is scaled to; what has ended kept its own.
    """
    release = releases[row.release_id]
    wanted = row.wanted
    batches = 0
    if wanted is None:
        configuration = Configuration.from_document(release.configuration)
        wanted = configuration.wanted(row.environment, scaled)
        if rollout is not None:
            plan = configuration.plan(row.environment).deployments
            batches = strategy_of(Policy(rollout.policy), plan, wanted).batches
    is_done = row.state == DeploymentState.SUCCEEDED
    names = sorted(row.phases, key=lambda name: PHASE_ORDER.index(name))
    previous = releases.get(row.previous_release_id) if row.previous_release_id else None
    return Deployment(
        id=row.id,
        project=row.project,
        environment=row.environment,
        kind=row.kind,
        state=DeploymentState(row.state),
        release=release_view(release),
        previous_release=release_view(previous) if previous is not None else None,
        reason=row.reason,
        done=wanted if is_done else min(done, wanted),
        wanted=wanted,
        phases=tuple(Phase(name, *row.phases[name]) for name in names),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        deadline_at=row.deadline_at,
        created_by=row.created_by,
        run_id=row.run_id,
        log_tail=row.log_tail,
        policy=rollout.policy if rollout is not None else None,
        phase=rollout.timeline[-1][0] if rollout is not None and rollout.timeline and batches else "",
        batch=rollout.batch if rollout is not None else 0,
        batches=batches,
    )


def instance_view(row: Any, status: TargetStatus | None, signs: InstanceSigns) -> Instance:
    """An instance with what the balancer says of it, and what else is observed."""
    return Instance(
        id=row.id,
        project=row.project,
        environment=row.environment,
        release_id=row.release_id,
        release_number=signs.release,
        state=InstanceState(row.state),
        attempt=row.attempt,
        address=row.address,
        port=row.port,
        started_at=row.started_at,
        ready_at=row.ready_at,
        reason=row.reason,
        check=status.last_check if status is not None else "",
        is_up=status is not None and status.state is TargetState.UP,
        requests=status.requests if status is not None else 0,
        process=row.process,
        is_protected=bool(row.is_protected),
        taken_out=signs.taken_out,
        cpu_percent=signs.cpu_percent,
        memory_percent=signs.memory_percent,
        recent=signs.recent,
    )


def environment_view(
    rows: "store.EnvironmentRows",
    statuses: Sequence[TargetStatus] | None,
    urls: tuple[str, ...],
    vitals: Vitals | None = None,
) -> Environment:
    """An environment as it is now; `statuses` None means that the balancer does not answer."""
    environment = rows.environment
    by_id = {status.target.id: status for status in statuses or ()}
    current = rows.releases.get(environment.current_release_id)
    plan = Configuration.from_document(current.configuration).plan(environment.name) if current else None
    scaled = environment.instances
    planned = plan.scaling.within(plan.instances) if plan else environment.plan.get("instances", 1)
    wanted = (planned if scaled is None else scaled) if plan else 0
    standing = Standing(
        place=(environment.project, environment.name),
        plan=plan,
        wanted=wanted,
        release_id=environment.current_release_id,
        instances=rows.instances,
        numbers={key: row.number for key, row in rows.releases.items()},
        deployment=rows.deployment,
    )
    signs = signs_of(standing, by_id if statuses is not None else None, vitals)
    health = derive(signs)
    seen = {each.id: each for each in (*signs.instances, *worker_signs(standing, vitals))}
    instances = tuple(instance_view(row, by_id.get(row.id), seen[row.id]) for row in rows.instances)
    web = [each for each in instances if each.process == WEB]
    deployment = None
    if rows.deployment is not None:
        release_id = rows.deployment.release_id
        done = sum(i.release_id == release_id and i.state is InstanceState.SERVING for i in web)
        deployment = deployment_view(rows.deployment, rows.releases, done, scaled, rows.rollout)
    return Environment(
        project=environment.project,
        name=environment.name,
        colour=health.colour,
        cause=health.summary,
        health=health,
        recent=signs.recent,
        type=plan.type if plan else environment.plan.get("type", ""),
        wanted=wanted,
        serving=sum(instance.is_up for instance in instances),
        release=release_view(current) if current else None,
        deployment=deployment,
        instances=instances,
        urls=urls,
        variables=tuple(variable_view(row) for row in rows.variables),
        configuration=dict(environment.plan),
        planned=planned,
        scaled=scaled,
    )
