"""Records what was asked for: deployments, rollbacks, restarts, variables. One transaction each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from halage.base.database import Transaction
from halage.base.errors import Conflict
from halage.base.ids import new_id
from halage.environment.autoscaling.model import WEB
from halage.environment.configuration import Configuration, StoredVariable
from halage.environment.errors import (
    DeploymentEnded,
    NoSuchDeployment,
    NoSuchEnvironment,
    NoSuchRelease,
    NoSuchVariable,
    NothingDeployed,
    NothingToReturnTo,
)
from halage.environment.model import Deployment, DeploymentState, InstanceState
from halage.environment.records import ledger
from halage.environment.records.views import deployment_view
from halage.environment.rollout.refusals import find_refusals
from halage.environment.settings import freezing
from halage.environment.tables import store
from halage.environment.tables.rollouts import rollout_row
from halage.environment.tables.store import Place
from halage.site.model import EnvironmentPlan, Site
from halage.site.values import looks_secret


@dataclass(frozen=True, slots=True)
class DeploymentOrder:
    """What a pipeline asks for. `token` makes asking twice the same as asking once."""

    token: str
    bundle_digest: str
    commit: str
    title: str
    site: Site
    run_id: int


def rows_of(tx: Transaction, place: Place) -> store.EnvironmentRows:
    """The rows of an environment. Raises NoSuchEnvironment."""
    environment = store.environment_row(tx, place)
    if environment is None:
        raise NoSuchEnvironment(
            f"project {place[0]} has no environment {place[1]}", project=place[0], environment=place[1]
        )
    return store.environment_rows_of(tx, environment)


def all_rows_of(tx: Transaction, project: str) -> list[store.EnvironmentRows]:
    """The rows of every environment of a project."""
    return [store.environment_rows_of(tx, row) for row in store.environment_rows(tx, project)]


def create(tx: Transaction, project: str, plans: Sequence[EnvironmentPlan]) -> list[EnvironmentPlan]:
    """Add the environments that do not exist yet; returns them."""
    existing = {row.name: row.position for row in store.environment_rows(tx, project)}
    position = max(existing.values(), default=-1)
    new = [plan for plan in plans if plan.name not in existing]
    for offset, plan in enumerate(new, start=1):
        store.insert_environment(tx, (project, plan.name), position + offset, plan_document(plan))
    return new


def plan_document(plan: EnvironmentPlan) -> dict[str, Any]:
    """What an environment's row keeps of its plan."""
    return {"type": plan.type, "instances": plan.instances, "domains": list(plan.domains)}


def order(tx: Transaction, place: Place, wish: DeploymentOrder, actor: str) -> tuple[int, list[int]]:
    """Record a deployment of a bundle; returns its id and the runs whose waiting ones it supersedes."""
    rows_of(tx, place)
    if (before := store.deployment_by_token(tx, wish.token)) is not None:
        return before.id, []
    newer = ledger.newer_waiting(tx, place, wish.run_id)
    superseded = [] if newer else ledger.supersede_waiting(tx, place, f"run {wish.run_id}")
    release_id = store.insert_release(
        tx,
        place,
        {
            "bundle_digest": wish.bundle_digest,
            "commit": wish.commit,
            "title": wish.title,
            "configuration": freezing.configured(tx, place, wish.site).to_document(),
            "run_id": wish.run_id,
            "created_by": actor,
        },
    )
    values = {"token": wish.token, "kind": "deploy", "release_id": release_id, "run_id": wish.run_id}
    deployment_id = store.insert_deployment(tx, place, {**values, "created_by": actor})
    if newer is not None:
        reason = f"run {newer} is newer and waits to be deployed here"
        ledger.end_unstarted(tx, store.deployment_row(tx, deployment_id), reason)
        superseded = [wish.run_id]
    return deployment_id, superseded


def order_rollback(
    tx: Transaction, place: Place, number: int | None, actor: str, reason: str = ""
) -> tuple[int, list[int]]:
    """Record a rollback to the last good release, or to release `number`; returns what `order` does."""
    rows = rows_of(tx, place)
    current = rows.environment.current_release_id
    target = returnable(tx, place, number)
    before, after = _release_number(rows, current), {"release": target.number}
    freezing.return_to(tx, place, target, actor, f"rollback to v{target.number}")
    return _insert(tx, place, "rollback", target.id, actor, before, after, reason)


def order_swap(tx: Transaction, place: Place, actor: str) -> tuple[int, list[int]]:
    """Record the exchange of what serves and what is kept; returns what `order` does.

    Raises NothingToReturnTo.
    """
    rows = rows_of(tx, place)
    kept = {row.release_id for row in rows.instances if row.state == InstanceState.KEPT}
    current = rows.environment.current_release_id
    target = next((key for key in sorted(kept, reverse=True) if key != current), None)
    if target is None or current is None:
        raise NothingToReturnTo(
            f"{place[0]} {place[1]} keeps no instances of another release: the policies immutable and"
            " blue_green keep them for deployments.keep_old; `halage env rollback` starts new ones"
        )
    before, after = _release_number(rows, current), _release_number(rows, target)
    release = rows.releases[target]
    freezing.return_to(tx, place, release, actor, f"swap to v{release.number}")
    return _insert(tx, place, "swap", target, actor, before, after)


def returnable(tx: Transaction, place: Place, number: int | None) -> Any:
    """The release that a return to `number` (None: to the last good one) leads to.

    Raises NoSuchRelease, NothingToReturnTo.
    """
    current = rows_of(tx, place).environment.current_release_id
    releases = store.release_rows(tx, place)
    target = _last_good(place, releases) if number is None else _numbered(place, releases, number)
    if target.id == current:
        raise NothingToReturnTo(
            f"{place[0]} {place[1]} runs release v{target.number} already; "
            "`halage env restart` replaces its instances"
        )
    if target.state not in ("good", "left", "failed"):
        raise NothingToReturnTo(
            f"release v{target.number} is {target.state} and cannot be returned to; "
            "`halage env releases` lists those that are good"
        )
    return target


def _release_number(rows: store.EnvironmentRows, release_id: int | None) -> dict[str, Any]:
    return {"release": rows.releases[release_id].number if release_id is not None else None}


def _last_good(place: Place, releases: list[Any]) -> Any:
    for row in releases:
        if row.state == "good":
            return row
    raise NothingToReturnTo(f"{place[0]} {place[1]} has no earlier good release")


def _numbered(place: Place, releases: list[Any], number: int) -> Any:
    for row in releases:
        if row.number == number:
            return row
    raise NoSuchRelease(f"{place[0]} {place[1]} has no release v{number}; `halage env releases` lists them")


def order_restart(
    tx: Transaction, place: Place, actor: str, server_deadline_s: float
) -> tuple[int, list[int]]:
    """Record a restart: the current bundle with today's variables; returns what `order` does.

    Raises NothingDeployed, and Conflict where the policy cannot be kept.
    """
    rows = rows_of(tx, place)
    current_id = rows.environment.current_release_id
    if current_id is None:
        raise NothingDeployed(f"nothing has been deployed to {place[0]} {place[1]} yet: push a commit first")
    refusals = find_refusals(ledger.propose(tx, place, current_id, "restart", server_deadline_s))
    if refusals:
        raise Conflict(f"{place[0]} {place[1]} is not restarted: {'; '.join(refusals)}")
    current = rows.releases[current_id]
    base = Configuration.from_document(current.configuration).base
    release_id = store.insert_release(
        tx,
        place,
        {
            "bundle_digest": current.bundle_digest,
            "commit": current.commit,
            "title": current.title,
            "configuration": freezing.configured(tx, place, base).to_document(),
            "run_id": current.run_id,
            "created_by": actor,
        },
    )
    before, after = {"release": current.number}, {"release": store.release_row(tx, release_id).number}
    return _insert(tx, place, "restart", release_id, actor, before, after)


_ORDERS = {
    "rollback": "environment:Rollback",
    "restart": "environment:Restart",
    "swap": "environment:Swap",
}


def _insert(
    tx: Transaction,
    place: Place,
    kind: str,
    release_id: int,
    actor: str,
    before: dict[str, Any],
    after: dict[str, Any],
    reason: str = "",
) -> tuple[int, list[int]]:
    superseded = ledger.supersede_waiting(tx, place, f"a {kind} by {actor}")
    values = {"token": new_id(kind), "kind": kind, "release_id": release_id, "created_by": actor}
    deployment_id = store.insert_deployment(tx, place, values)
    details = {"deployment": deployment_id} | ({"reason": reason} if reason else {})
    tx.record(
        _ORDERS[kind],
        actor=actor,
        subject=f"project/{place[0]}/environment/{place[1]}",
        project=place[0],
        before=before,
        after=after,
        **details,
    )
    return deployment_id, superseded


def abort(tx: Transaction, deployment_id: int, actor: str) -> tuple[Place, list[int]]:
    """Note that a person stops a deployment; returns its place and the run of one that had not begun.

    Raises NoSuchDeployment, DeploymentEnded.
    """
    row = store.deployment_row(tx, deployment_id)
    if row is None:
        raise NoSuchDeployment(f"there is no deployment {deployment_id}")
    place = (row.project, row.environment)
    subject = f"project/{row.project}/environment/{row.environment}"
    superseded = []
    if row.state == DeploymentState.WAITING:
        superseded = ledger.supersede_waiting(tx, place, actor)
    elif row.state == DeploymentState.RUNNING:
        ledger.fail(tx, deployment_id, f"stopped by {actor}")
    else:
        raise DeploymentEnded(
            f"deployment {deployment_id} is {row.state.replace('_', ' ')}: there is nothing to stop"
        )
    tx.record(
        "environment:Abort",
        actor=actor,
        subject=subject,
        project=row.project,
        before={"state": row.state},
        after={"state": "superseded" if row.state == DeploymentState.WAITING else "rolling_back"},
        deployment=deployment_id,
    )
    return place, superseded


def deployment_of(tx: Transaction, deployment_id: int) -> Deployment:
    """One deployment as people see it. Raises NoSuchDeployment."""
    row = store.deployment_row(tx, deployment_id)
    if row is None:
        raise NoSuchDeployment(f"there is no deployment {deployment_id}")
    return _shown(tx, row)


def deployments_of(tx: Transaction, place: Place, limit: int) -> list[Deployment]:
    """The latest deployments of an environment, newest first."""
    rows_of(tx, place)
    return [_shown(tx, row) for row in store.deployment_rows(tx, place, limit)]


def _shown(tx: Transaction, row: Any) -> Deployment:
    releases = store.releases_by_id(tx, (row.release_id, row.previous_release_id))
    instances = store.instance_rows(tx, (row.project, row.environment))
    done = sum(
        i.release_id == row.release_id and i.state == "serving" and i.process == WEB for i in instances
    )
    environment = store.environment_row(tx, (row.project, row.environment))
    scaled = environment.instances if environment is not None else None
    return deployment_view(row, releases, done, scaled, rollout_row(tx, row.id))


def set_variable(tx: Transaction, place: Place, name: str, stored: StoredVariable, actor: str) -> None:
    """Set a variable of an environment."""
    rows_of(tx, place)
    held = _held(tx, place, name)
    values = {"value": stored.value, "is_secret": stored.is_secret, "updated_by": actor}
    store.put_variable(tx, place, name, values)
    _note_variable(tx, "environment:SetVariable", place, name, actor, held, stored)


def unset_variable(tx: Transaction, place: Place, name: str, actor: str) -> None:
    """Remove a variable of an environment. Raises NoSuchVariable."""
    rows_of(tx, place)
    held = _held(tx, place, name)
    if not store.drop_variable(tx, place, name):
        raise NoSuchVariable(f"{place[0]} {place[1]} has no variable {name}")
    _note_variable(tx, "environment:UnsetVariable", place, name, actor, held, None)


def _held(tx: Transaction, place: Place, name: str) -> StoredVariable | None:
    rows = {row.name: row for row in store.variable_rows(tx, place)}
    return StoredVariable(rows[name].value, rows[name].is_secret) if name in rows else None


def _note_variable(
    tx: Transaction,
    action: str,
    place: Place,
    name: str,
    actor: str,
    before: StoredVariable | None,
    after: StoredVariable | None,
) -> None:
    # The journal forgets nothing: what is a secret on one side, or is called like one, is on neither.
    is_open = not looks_secret(name) and not any(side and side.is_secret for side in (before, after))
    tx.record(
        action,
        actor=actor,
        subject=f"project/{place[0]}/environment/{place[1]}",
        project=place[0],
        before=_shown_variable(before, is_open),
        after=_shown_variable(after, is_open),
        variable=name,
    )


def _shown_variable(stored: StoredVariable | None, is_open: bool) -> dict[str, Any] | None:
    if stored is None:
        return None
    shown: dict[str, Any] = {"is_secret": stored.is_secret}
    return {"value": stored.value, **shown} if is_open else shown


def secrets_of(tx: Transaction, project: str) -> list[str]:
    """Every sealed value of a project."""
    table = store.variables_table
    query = select(table.c.value).where(table.c.project == project, table.c.is_secret)
    return list(tx.execute(query).scalars())
