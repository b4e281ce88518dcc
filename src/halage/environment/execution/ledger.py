"""The recorded side of executions: where one is to run, its begin and its end; one transaction each."""

from dataclasses import dataclass
from typing import Any

from halage.base.database import Transaction
from halage.base.errors import Conflict, NotFound
from halage.environment.errors import NothingDeployed
from halage.environment.model import ExecutionWish, InstanceState, Outcome
from halage.environment.records import orders
from halage.environment.tables import execution_store, store
from halage.environment.tables.store import Place

MOST_AT_ONCE = 10
"""In one environment: each may take as much of the machine as an instance."""


@dataclass(frozen=True, slots=True)
class Aim:
    """Where it is to run: the release's row, and the instance's row where one was chosen."""

    place: Place
    release: Any
    instance: Any | None


@dataclass(frozen=True, slots=True)
class UnderWay:
    """One that runs, as people see it."""

    id: str
    command: str
    """Its words without what is secret in them; `a shell` for one."""
    has_terminal: bool
    release_number: int
    instance: str | None
    """None: a fresh instance."""
    started_at: float
    started_by: str
    limit_s: float


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """What is kept of an execution while it runs."""

    id: str
    place: Place
    release_id: int
    release_number: int
    instance_id: str | None
    command: str
    has_terminal: bool
    limit_s: float
    actor: str


def aim_of(tx: Transaction, place: Place, wish: ExecutionWish) -> Aim:
    """What a wish is aimed at. Raises NoSuchEnvironment, NothingDeployed, NotFound."""
    rows = orders.rows_of(tx, place)
    current = rows.environment.current_release_id
    if wish.instance is not None:
        instance = next((row for row in rows.instances if row.id == wish.instance), None)
        if instance is None or instance.state == InstanceState.STOPPING:
            raise NotFound(
                f"{place[0]} {place[1]} has no instance {wish.instance} that runs; "
                f"`halage env show {place[0]} {place[1]}` lists them",
                instance=wish.instance,
            )
        return Aim(place, rows.releases[instance.release_id], instance)
    if current is None:
        raise NothingDeployed(f"nothing has been deployed to {place[0]} {place[1]} yet: push a commit first")
    return Aim(place, rows.releases[current], None)


def begin(tx: Transaction, record: ExecutionRecord) -> None:
    """Record it before it begins. Raises NoSuchEnvironment, Conflict."""
    orders.rows_of(tx, record.place)
    if len(execution_store.execution_rows(tx, record.place)) >= MOST_AT_ONCE:
        raise Conflict(
            f"{MOST_AT_ONCE} commands run in {record.place[0]} {record.place[1]} already: end one of them, "
            "or wait until one ends"
        )
    execution_store.insert_execution(
        tx,
        {
            "id": record.id,
            "project": record.place[0],
            "environment": record.place[1],
            "release_id": record.release_id,
            "instance_id": record.instance_id,
            "command": record.command,
            "has_terminal": record.has_terminal,
            "limit_s": record.limit_s,
            "started_by": record.actor,
        },
    )
    tx.record(
        "environment:Execute",
        actor=record.actor,
        subject=_subject(*record.place),
        project=record.place[0],
        execution=record.id,
        command=record.command,
        release=record.release_number,
        instance=record.instance_id,
        has_terminal=record.has_terminal,
    )


def under_way(tx: Transaction, place: Place) -> list[UnderWay]:
    """Those of an environment that run, oldest first. Raises NoSuchEnvironment."""
    orders.rows_of(tx, place)
    rows = execution_store.execution_rows(tx, place)
    releases = store.releases_by_id(tx, (row.release_id for row in rows))
    return [
        UnderWay(
            id=row.id,
            command=row.command,
            has_terminal=row.has_terminal,
            release_number=releases[row.release_id].number,
            instance=row.instance_id,
            started_at=row.started_at,
            started_by=row.started_by,
            limit_s=row.limit_s,
        )
        for row in rows
    ]


def ask_to_end(tx: Transaction, place: Place, execution_id: str, actor: str) -> UnderWay:
    """Record that somebody wants it ended. Raises NoSuchEnvironment, NotFound."""
    found = next((each for each in under_way(tx, place) if each.id == execution_id), None)
    if found is None:
        raise NotFound(
            f"{place[0]} {place[1]} has no execution {execution_id} that runs: it may have ended already",
            execution=execution_id,
        )
    tx.record(
        "environment:EndExecution",
        actor=actor,
        subject=_subject(*place),
        project=place[0],
        execution=found.id,
        command=found.command,
        started_by=found.started_by,
    )
    return found


def end(tx: Transaction, record: ExecutionRecord, outcome: Outcome, elapsed_s: float) -> None:
    """Record that it ended, and how; nothing where its project was deleted meanwhile."""
    if not execution_store.delete_execution(tx, record.id):
        return
    tx.record(
        "environment:Executed",
        actor=record.actor,
        subject=_subject(*record.place),
        project=record.place[0],
        execution=record.id,
        command=record.command,
        exit_code=outcome.exit_code,
        reason=outcome.reason,
        duration_s=round(elapsed_s, 3),
    )


def end_cut_off(tx: Transaction) -> None:
    """The end of those that an earlier control plane could not tell of."""
    for row in execution_store.execution_rows(tx):
        execution_store.delete_execution(tx, row.id)
        tx.record(
            "environment:Executed",
            actor=row.started_by,
            subject=_subject(row.project, row.environment),
            project=row.project,
            execution=row.id,
            command=row.command,
            exit_code=None,
            reason="the server was cut off",
            duration_s=round(tx.now - row.started_at, 3),
        )


def is_under_way(tx: Transaction, execution_id: str) -> bool:
    """Whether it is still recorded."""
    return any(row.id == execution_id for row in execution_store.execution_rows(tx))


def _subject(project: str, environment: str) -> str:
    return f"project/{project}/environment/{environment}"
