"""The tables of runs and stages."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text, delete, insert, select, update
from sqlalchemy.engine import Row

from halage.base.database import Transaction
from halage.base.schema import Document, Instant, metadata
from halage.pipeline.model import Run, RunState, Stage, StageKind, StageState

runs_table = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(63), nullable=False),
    Column("branch", Text, nullable=False),
    Column("commit", String(40), nullable=False),
    Column("title", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("site", Document),
    Column("state", String(20), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("created_by", String(100), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Index("ix_runs_project", "project", "id"),
    sqlite_autoincrement=True,
)

stages_table = Table(
    "stages",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", String(63), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("deadline_at", Instant),
    Column("job_id", Integer),
    Column("deployment_id", Integer),
    Column("decided_by", String(100)),
    Column("comment", Text, nullable=False),
)

OPEN_RUNS = (RunState.RUNNING.value, RunState.WAITING.value)


def insert_run(tx: Transaction, values: Mapping[str, Any], stages: Sequence[tuple[str, StageKind]]) -> int:
    """Add a run with its stages, all pending; returns its id."""
    row = {"state": RunState.RUNNING.value, "reason": "", "created_at": tx.now}
    run_id = tx.insert(insert(runs_table).values({**row, **values}))
    for position, (name, kind) in enumerate(stages):
        stage = {"state": StageState.PENDING.value, "reason": "", "attempt": 1, "comment": ""}
        place = {"run_id": run_id, "position": position, "name": name, "kind": kind.value}
        tx.execute(insert(stages_table).values({**place, **stage}))
    return run_id


def run_row(tx: Transaction, run_id: int) -> Row[Any] | None:
    """One run by id, or None."""
    return tx.execute(select(runs_table).where(runs_table.c.id == run_id)).one_or_none()


def newest_run_of(tx: Transaction, project: str, branch: str, commit: str) -> int | None:
    """The newest run of a branch, if it is one of this commit."""
    table = runs_table
    query = select(table.c.id, table.c.commit).where(table.c.project == project, table.c.branch == branch)
    row = tx.execute(query.order_by(table.c.id.desc()).limit(1)).one_or_none()
    return int(row.id) if row is not None and row.commit == commit else None


def stage_rows(tx: Transaction, run_id: int) -> list[Row[Any]]:
    """The stages of a run, in order."""
    table = stages_table
    return list(tx.execute(select(table).where(table.c.run_id == run_id).order_by(table.c.position)))


def update_run(tx: Transaction, run_id: int, /, **values: Any) -> None:
    """Change columns of one run."""
    tx.execute(update(runs_table).where(runs_table.c.id == run_id).values(**values))


def update_stage(tx: Transaction, run_id: int, position: int, /, **values: Any) -> None:
    """Change columns of one stage."""
    table = stages_table
    tx.execute(update(table).where(table.c.run_id == run_id, table.c.position == position).values(**values))


def open_run_ids(tx: Transaction, states: Iterable[str] = OPEN_RUNS) -> list[int]:
    """Runs that have not ended, oldest first."""
    query = select(runs_table.c.id).where(runs_table.c.state.in_(list(states)))
    return list(tx.execute(query.order_by(runs_table.c.id)).scalars())


def waiting_rows(tx: Transaction, project: str) -> list[Row[Any]]:
    """(run id, position, name of the stage after it) of every approval that waits, newest run first."""
    runs, stages = runs_table, stages_table
    query = (
        select(stages)
        .join(runs, runs.c.id == stages.c.run_id)
        .where(
            runs.c.project == project,
            runs.c.state == RunState.WAITING.value,
            stages.c.kind == StageKind.APPROVAL.value,
            stages.c.state == StageState.WAITING.value,
        )
    )
    return list(tx.execute(query.order_by(runs.c.id.desc())))


def views(tx: Transaction, project: str | None, limit: int, before: int | None) -> list[Run]:
    """Runs (of a project), newest first."""
    query = select(runs_table)
    if project is not None:
        query = query.where(runs_table.c.project == project)
    if before is not None:
        query = query.where(runs_table.c.id < before)
    rows = tx.execute(query.order_by(runs_table.c.id.desc()).limit(limit)).all()
    by_run: dict[int, list[Row[Any]]] = {row.id: [] for row in rows}
    table = stages_table
    stages = select(table).where(table.c.run_id.in_(list(by_run))).order_by(table.c.position)
    for stage in tx.execute(stages):
        by_run[stage.run_id].append(stage)
    return [run_view(row, by_run[row.id]) for row in rows]


def view(tx: Transaction, run_id: int) -> Run | None:
    """One run as people see it, or None."""
    row = run_row(tx, run_id)
    return run_view(row, stage_rows(tx, run_id)) if row is not None else None


def run_view(row: Any, stages: Sequence[Any]) -> Run:
    """A run with its stages."""
    return Run(
        id=row.id,
        project=row.project,
        branch=row.branch,
        commit=row.commit,
        title=row.title,
        author=row.author,
        state=RunState(row.state),
        reason=row.reason,
        created_by=row.created_by,
        created_at=row.created_at,
        finished_at=row.finished_at,
        stages=tuple(_stage_view(stage) for stage in stages),
    )


def _stage_view(row: Any) -> Stage:
    return Stage(
        position=row.position,
        name=row.name,
        kind=StageKind(row.kind),
        state=StageState(row.state),
        reason=row.reason,
        attempt=row.attempt,
        started_at=row.started_at,
        finished_at=row.finished_at,
        job_id=row.job_id,
        deployment_id=row.deployment_id,
        decided_by=row.decided_by,
        comment=row.comment,
    )


def delete_runs(tx: Transaction, project: str) -> None:
    """Remove every run of a project."""
    mine = select(runs_table.c.id).where(runs_table.c.project == project)
    tx.execute(delete(stages_table).where(stages_table.c.run_id.in_(mine)))
    tx.execute(delete(runs_table).where(runs_table.c.project == project))
