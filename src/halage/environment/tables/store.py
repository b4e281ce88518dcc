"""The tables of environments, releases, deployments, instances and variables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Row
from sqlalchemy.sql.elements import ColumnElement

from halage.base.database import Transaction
from halage.base.schema import Document, Instant, metadata
from halage.environment.model import DeploymentState, InstanceState
from halage.environment.tables import execution_store
from halage.environment.tables.certificate_store import certificates_table
from halage.environment.tables.health_tables import health_changes_table
from halage.environment.tables.rollouts import delete_rollouts, rollout_row
from halage.environment.tables.scaling_tables import scaling_decisions_table, scaling_states_table

environments_table = Table(
    "environments",
    metadata,
    Column("project", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("plan", Document, nullable=False),
    Column("instances", Integer),
    Column("current_release_id", Integer),
    Column("newest_run_id", Integer),
    Column("created_at", Instant, nullable=False),
)

variables_table = Table(
    "variables",
    metadata,
    Column("project", String(63), primary_key=True),
    Column("environment", String(63), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("value", Text, nullable=False),
    Column("is_secret", Boolean, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", String(100), nullable=False),
)

releases_table = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("project", String(63), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("bundle_digest", String(64), nullable=False),
    Column("commit", String(40), nullable=False),
    Column("title", Text, nullable=False),
    Column("configuration", Document, nullable=False),
    Column("state", String(20), nullable=False),
    Column("run_id", Integer),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String(100), nullable=False),
    Index("uq_releases_number", "project", "environment", "number", unique=True),
    sqlite_autoincrement=True,
)

deployments_table = Table(
    "deployments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", String(100), nullable=False, unique=True),
    Column("project", String(63), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("release_id", Integer, ForeignKey("releases.id"), nullable=False),
    Column("previous_release_id", Integer),
    Column("reason", Text, nullable=False),
    Column("log_tail", Text, nullable=False),
    Column("phases", Document, nullable=False),
    Column("is_released", Boolean, nullable=False),
    Column("failure", Text),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("deadline_at", Instant),
    Column("created_by", String(100), nullable=False),
    Column("run_id", Integer),
    Column("wanted", Integer),
    Index("ix_deployments_place", "project", "environment"),
    sqlite_autoincrement=True,
)

instances_table = Table(
    "instances",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("project", String(63), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("release_id", Integer, ForeignKey("releases.id"), nullable=False),
    Column("deployment_id", Integer),
    Column("state", String(20), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("strikes", Integer, nullable=False),
    Column("address", String(45), nullable=False),
    Column("port", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("restart_at", Instant),
    Column("started_at", Instant),
    Column("ready_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("process", String(63), nullable=False, server_default="web"),
    Column("is_protected", Boolean, nullable=False, server_default=false()),
    Column("taken_out", Document),
    Column("started_release_id", Integer),
    Index("ix_instances_place", "project", "environment", "state"),
    Index("ix_instances_port", "port"),
)

OPEN_DEPLOYMENTS = (DeploymentState.RUNNING.value, DeploymentState.ROLLING_BACK.value)
ENDED_INSTANCES = (InstanceState.STOPPED.value, InstanceState.BROKEN.value)
LIVING_INSTANCES = tuple(each.value for each in InstanceState if each.value not in ENDED_INSTANCES)
"""By these the index finds them, however many have ended before."""

Place = tuple[str, str]
"""(project, environment)."""


def named(place: Place) -> dict[str, str]:
    """The parameters of a statement that was made once with `here`."""
    return {"project": place[0], "environment": place[1]}


def here(table: Table) -> ColumnElement[bool]:
    """Whether a row is of the environment that `named` names."""
    return and_(table.c.project == bindparam("project"), table.c.environment == bindparam("environment"))


# Made once: every decision about an environment reads these, and to make them costs as much as to run them.
_ENVIRONMENT = select(environments_table).where(
    environments_table.c.project == bindparam("project"),
    environments_table.c.name == bindparam("environment"),
)
_INSTANCES = (
    select(instances_table)
    .where(instances_table.c.state.in_(LIVING_INSTANCES), here(instances_table))
    .order_by(instances_table.c.created_at, instances_table.c.id)
)
_DEPLOYMENTS = (
    select(deployments_table)
    .where(deployments_table.c.state.in_(bindparam("states", expanding=True)), here(deployments_table))
    .order_by(deployments_table.c.id)
)
_DEPLOYMENT = select(deployments_table).where(deployments_table.c.id == bindparam("id"))
_RELEASES = select(releases_table).where(releases_table.c.id.in_(bindparam("ids", expanding=True)))
_PORT = (
    select(instances_table.c.id)
    .where(instances_table.c.port == bindparam("port"), instances_table.c.state.in_(LIVING_INSTANCES))
    .limit(1)
)


def insert_environment(tx: Transaction, place: Place, position: int, plan: Mapping[str, Any]) -> None:
    """Add an environment without a release."""
    values = {"position": position, "plan": plan, "created_at": tx.now}
    tx.execute(insert(environments_table).values(project=place[0], name=place[1], **values))


def environment_rows(tx: Transaction, project: str | None = None) -> list[Row[Any]]:
    """Environments (of one project), in the order of the way of a change."""
    query = select(environments_table)
    if project is not None:
        query = query.where(environments_table.c.project == project)
    order = (environments_table.c.project, environments_table.c.position, environments_table.c.name)
    return list(tx.execute(query.order_by(*order)))


def environment_row(tx: Transaction, place: Place) -> Row[Any] | None:
    """One environment, or None."""
    return tx.execute(_ENVIRONMENT, named(place)).one_or_none()


def update_environment(tx: Transaction, place: Place, /, **values: Any) -> None:
    """Change columns of one environment."""
    table = environments_table
    tx.execute(update(table).where(table.c.project == place[0], table.c.name == place[1]).values(**values))


def variable_rows(tx: Transaction, place: Place) -> list[Row[Any]]:
    """Variables of one environment by name."""
    table = variables_table
    query = select(table).where(table.c.project == place[0], table.c.environment == place[1])
    return list(tx.execute(query.order_by(table.c.name)))


def secret_rows(tx: Transaction, place: Place | None = None) -> list[Row[Any]]:
    """Secret variables (of one environment)."""
    table = variables_table
    query = select(table).where(table.c.is_secret)
    if place is not None:
        query = query.where(table.c.project == place[0], table.c.environment == place[1])
    return list(tx.execute(query))


def put_variable(tx: Transaction, place: Place, name: str, values: Mapping[str, Any]) -> None:
    """Insert or replace one variable."""
    drop_variable(tx, place, name)
    row = {"project": place[0], "environment": place[1], "name": name, "updated_at": tx.now, **values}
    tx.execute(insert(variables_table).values(row))


def drop_variable(tx: Transaction, place: Place, name: str) -> int:
    """Delete one variable; returns how many there were."""
    table = variables_table
    return tx.change(
        delete(table).where(
            table.c.project == place[0], table.c.environment == place[1], table.c.name == name
        )
    )


def insert_release(tx: Transaction, place: Place, values: Mapping[str, Any]) -> int:
    """Add a release with the next number of its environment; returns its id."""
    table = releases_table
    query = select(func.max(table.c.number)).where(
        table.c.project == place[0], table.c.environment == place[1]
    )
    number = (tx.execute(query).scalar() or 0) + 1
    row = {"number": number, "project": place[0], "environment": place[1], "created_at": tx.now}
    return tx.insert(insert(table).values(state="new", **row, **values))


def release_row(tx: Transaction, release_id: int) -> Row[Any]:
    """One release by id."""
    return tx.execute(select(releases_table).where(releases_table.c.id == release_id)).one()


def releases_by_id(tx: Transaction, ids: Iterable[int | None]) -> dict[int, Row[Any]]:
    """These releases by their ids; None is no id."""
    wanted = {key for key in ids if key is not None}
    if not wanted:
        return {}
    rows = tx.execute(_RELEASES, {"ids": sorted(wanted)})
    return {row.id: row for row in rows}


def release_rows(tx: Transaction, place: Place) -> list[Row[Any]]:
    """Releases of one environment, newest first."""
    table = releases_table
    query = select(table).where(table.c.project == place[0], table.c.environment == place[1])
    return list(tx.execute(query.order_by(table.c.number.desc())))


def set_release_state(tx: Transaction, release_id: int, state: str) -> None:
    """Mark a release `current`, `good` or `failed`."""
    tx.execute(update(releases_table).where(releases_table.c.id == release_id).values(state=state))


def update_release(tx: Transaction, release_id: int, /, **values: Any) -> None:
    """Change columns of a release that has not begun."""
    tx.execute(update(releases_table).where(releases_table.c.id == release_id).values(**values))


def insert_deployment(tx: Transaction, place: Place, values: Mapping[str, Any]) -> int:
    """Add a waiting deployment; returns its id."""
    row = {
        "project": place[0],
        "environment": place[1],
        "state": DeploymentState.WAITING.value,
        "reason": "",
        "log_tail": "",
        "phases": {},
        "is_released": False,
        "created_at": tx.now,
    }
    return tx.insert(insert(deployments_table).values(row | dict(values)))


def deployment_row(tx: Transaction, deployment_id: int) -> Row[Any] | None:
    """One deployment by id, or None."""
    return tx.execute(_DEPLOYMENT, {"id": deployment_id}).one_or_none()


def deployment_by_token(tx: Transaction, token: str) -> Row[Any] | None:
    """The deployment that a caller asked for before with this token, or None."""
    return tx.execute(select(deployments_table).where(deployments_table.c.token == token)).one_or_none()


def deployment_rows(tx: Transaction, place: Place, limit: int) -> list[Row[Any]]:
    """Deployments of one environment, newest first."""
    table = deployments_table
    query = select(table).where(table.c.project == place[0], table.c.environment == place[1])
    return list(tx.execute(query.order_by(table.c.id.desc()).limit(limit)))


def deployments_in(tx: Transaction, states: Iterable[str], place: Place | None = None) -> list[Row[Any]]:
    """Deployments in one of these states, oldest first."""
    if place is not None:
        return list(tx.execute(_DEPLOYMENTS, {"states": list(states), **named(place)}))
    table = deployments_table
    return list(tx.execute(select(table).where(table.c.state.in_(list(states))).order_by(table.c.id)))


def present_deployments(tx: Transaction, place: Place | None = None) -> list[Row[Any]]:
    """Of each environment (of one) the deployment under way and the newest one, oldest first."""
    table = deployments_table
    newest = select(func.max(table.c.id)).group_by(table.c.project, table.c.environment)
    is_open: ColumnElement[bool] = table.c.state.in_(OPEN_DEPLOYMENTS)
    if place is not None:
        own = and_(table.c.project == place[0], table.c.environment == place[1])
        newest, is_open = newest.where(own), and_(is_open, own)
    query = select(table).where(or_(table.c.id.in_(newest), is_open))
    return list(tx.execute(query.order_by(table.c.id)))


def update_deployment(tx: Transaction, deployment_id: int, /, **values: Any) -> None:
    """Change columns of one deployment."""
    tx.execute(update(deployments_table).where(deployments_table.c.id == deployment_id).values(**values))


def add_phase(tx: Transaction, deployment_id: int | None, name: str, duration_s: float) -> None:
    """Add time to a phase of a deployment; None (no deployment) is ignored."""
    if deployment_id is None or (row := deployment_row(tx, deployment_id)) is None:
        return
    total, count = row.phases.get(name, (0.0, 0))
    phases = {**row.phases, name: (total + duration_s, count + 1)}
    update_deployment(tx, deployment_id, phases=phases)


def insert_instance(tx: Transaction, values: Mapping[str, Any]) -> None:
    """Add a starting instance."""
    row = {"state": InstanceState.STARTING.value, "attempt": 1, "strikes": 0, "reason": ""}
    stamps = {"since": tx.now, "created_at": tx.now}
    tx.execute(insert(instances_table).values(row | stamps | dict(values)))


def instance_rows(tx: Transaction, place: Place | None = None) -> list[Row[Any]]:
    """Instances that have not ended (of one environment), oldest first."""
    if place is not None:
        return list(tx.execute(_INSTANCES, named(place)))
    table = instances_table
    query = select(table).where(table.c.state.in_(LIVING_INSTANCES))
    return list(tx.execute(query.order_by(table.c.created_at, table.c.id)))


def update_instance(tx: Transaction, instance_id: str, /, **values: Any) -> None:
    """Change columns of one instance."""
    tx.execute(update(instances_table).where(instances_table.c.id == instance_id).values(**values))


def is_port_used(tx: Transaction, port: int) -> bool:
    """Whether an instance that has not ended has that port."""
    return tx.execute(_PORT, {"port": port}).first() is not None


@dataclass(frozen=True, slots=True)
class Deleted:
    """The ids of what was deleted: units are named after them."""

    instances: list[str]
    deployments: list[int]
    executions: list[str]


def delete_places(tx: Transaction, project: str, environment: str | None = None) -> Deleted:
    """Remove every row of a project, or of one environment of it."""

    def rows_of(table: Table) -> list[ColumnElement[bool]]:
        name = table.c.name if table is environments_table else table.c.environment
        return [table.c.project == project, *([name == environment] if environment is not None else [])]

    instances = select(instances_table.c.id).where(*rows_of(instances_table))
    deployments = select(deployments_table.c.id).where(*rows_of(deployments_table))
    deleted = Deleted(
        list(tx.execute(instances).scalars()),
        list(tx.execute(deployments).scalars()),
        execution_store.delete_executions(tx, project, environment),
    )
    delete_rollouts(tx, deleted.deployments)
    own = (instances_table, deployments_table, releases_table, variables_table, environments_table)
    for table in (*own, health_changes_table, scaling_states_table, scaling_decisions_table):
        tx.execute(delete(table).where(*rows_of(table)))
    name = certificates_table.c.name
    of_project = name.startswith(f"{project}.", autoescape=True)
    tx.execute(
        delete(certificates_table).where(
            of_project if environment is None else name == f"{project}.{environment}"
        )
    )
    return deleted


@dataclass(frozen=True, slots=True)
class EnvironmentRows:
    """The rows that an environment is shown from."""

    environment: Any
    instances: list[Row[Any]]
    releases: dict[int, Row[Any]]
    deployment: Row[Any] | None
    variables: list[Row[Any]]
    rollout: Row[Any] | None = None
    """Of the deployment, while it is under way."""


def environment_rows_of(tx: Transaction, environment: Row[Any]) -> EnvironmentRows:
    """Everything that is recorded of one environment now."""
    place = (environment.project, environment.name)
    instances = instance_rows(tx, place)
    open_ones = deployments_in(tx, OPEN_DEPLOYMENTS, place)
    latest = open_ones or deployment_rows(tx, place, 1)
    wanted = {row.release_id for row in instances} | {environment.current_release_id}
    for row in latest:
        wanted |= {row.release_id, row.previous_release_id}
    releases = releases_by_id(tx, wanted)
    deployment = latest[0] if latest else None
    rollout = rollout_row(tx, open_ones[0].id) if open_ones else None
    return EnvironmentRows(environment, instances, releases, deployment, variable_rows(tx, place), rollout)
