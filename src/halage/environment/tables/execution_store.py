"""The table of executions: commands that people run in environments, while they run."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text, insert, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.engine import Row

from halage.base.database import Transaction
from halage.base.schema import Instant, metadata

executions_table = Table(
    "executions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("project", String(63), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("release_id", Integer, ForeignKey("releases.id"), nullable=False),
    Column("instance_id", String(40)),
    Column("command", Text, nullable=False),
    Column("has_terminal", Boolean, nullable=False),
    Column("limit_s", Float, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("started_by", String(100), nullable=False),
    Index("ix_executions_place", "project", "environment"),
)
"""A row goes with the end of its execution, which the journal tells."""


def insert_execution(tx: Transaction, values: Mapping[str, Any]) -> None:
    """Add one that begins now."""
    tx.execute(insert(executions_table).values(started_at=tx.now, **values))


def execution_rows(tx: Transaction, place: tuple[str, str] | None = None) -> list[Row[Any]]:
    """Those under way (in one environment), oldest first."""
    table = executions_table
    query = select(table)
    if place is not None:
        query = query.where(table.c.project == place[0], table.c.environment == place[1])
    return list(tx.execute(query.order_by(table.c.started_at, table.c.id)))


def delete_execution(tx: Transaction, execution_id: str) -> int:
    """Remove one; returns how many there were."""
    return tx.change(delete_rows(executions_table).where(executions_table.c.id == execution_id))


def delete_executions(tx: Transaction, project: str, environment: str | None = None) -> list[str]:
    """Remove those of a project, or of one environment of it; returns their ids, those of their units."""
    table = executions_table
    here = [table.c.project == project]
    if environment is not None:
        here.append(table.c.environment == environment)
    ids = list(tx.execute(select(table.c.id).where(*here)).scalars())
    tx.execute(delete_rows(table).where(*here))
    return ids
