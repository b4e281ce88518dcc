"""The table of projects."""

from typing import Any

from sqlalchemy import Column, String, Table, delete, insert, select
from sqlalchemy.engine import Row

from halage.base.database import Transaction
from halage.base.schema import Instant, metadata
from halage.pipeline.store import runs_table

projects_table = Table(
    "projects",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String(100), nullable=False),
)


def insert_project(tx: Transaction, name: str, actor: str) -> None:
    """Add a project."""
    values = {"name": name, "created_at": tx.now, "created_by": actor}
    tx.execute(insert(projects_table).values(values))
    tx.record("project:Create", actor=actor, subject=f"project/{name}", project=name)


def project_row(tx: Transaction, name: str) -> Row[Any] | None:
    """One project, or None."""
    return tx.execute(select(projects_table).where(projects_table.c.name == name)).one_or_none()


def project_rows_with_kind(tx: Transaction, name: str | None = None) -> list[Row[Any]]:
    """All projects by name (or one, if it is there), each with the `kind` of its last commit that has one.

    The kind alone: a site is a document of many kilobytes, and a list has one for each project.
    """
    latest = (
        select(runs_table.c.site["kind"].as_string())
        .where(runs_table.c.project == projects_table.c.name, runs_table.c.site.is_not(None))
        .order_by(runs_table.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = select(projects_table, latest.label("kind")).order_by(projects_table.c.name)
    if name is not None:
        query = query.where(projects_table.c.name == name)
    return list(tx.execute(query))


def delete_project(tx: Transaction, name: str, actor: str) -> None:
    """Remove a project; its journal stays."""
    row = project_row(tx, name)
    before = {"created_by": row.created_by, "created_at": row.created_at} if row is not None else None
    tx.execute(delete(projects_table).where(projects_table.c.name == name))
    tx.record("project:Delete", actor=actor, subject=f"project/{name}", project=name, before=before)
