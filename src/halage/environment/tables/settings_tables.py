"""The tables of settings that people set, and of their changes."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Index, Integer, String, Table, Text, delete, insert, select, update
from sqlalchemy.engine import Row

from halage.base.database import Transaction
from halage.base.schema import Document, Instant, metadata
from halage.environment.tables.store import Place

settings_table = Table(
    "settings",
    metadata,
    Column("project", String(63), primary_key=True),
    Column("environment", String(63), primary_key=True),
    Column("path", String(200), primary_key=True),
    Column("value", Document, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", String(100), nullable=False),
)

changes_table = Table(
    "settings_changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(63), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String(100), nullable=False),
    Column("reason", Text, nullable=False),
    Column("differences", Document, nullable=False),
    Column("release_id", Integer),
    Index("ix_settings_changes_place", "project", "environment"),
    sqlite_autoincrement=True,
)


templates_table = Table(
    "environment_templates",
    metadata,
    Column("project", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("settings", Document, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String(100), nullable=False),
)

cursor_table = Table("notice_cursor", metadata, Column("told_until", Integer, primary_key=True))
"""The last entry of the journal that people were told of."""


def settings_now(tx: Transaction, place: Place) -> dict[str, Any]:
    """What is set on the server in an environment, by path."""
    table = settings_table
    query = select(table.c.path, table.c.value).where(
        table.c.project == place[0], table.c.environment == place[1]
    )
    return {row.path: row.value for row in tx.execute(query.order_by(table.c.path))}


def put_settings(tx: Transaction, place: Place, settings: Mapping[str, Any], by: str) -> None:
    """Let these be what is set; what stays as it was keeps who set it."""
    held = settings_now(tx, place)
    table = settings_table
    here = (table.c.project == place[0], table.c.environment == place[1])
    gone = [path for path, value in held.items() if path not in settings or settings[path] != value]
    tx.execute(delete(table).where(*here, table.c.path.in_(gone)))
    for path, value in settings.items():
        if path not in held or held[path] != value:
            row = {"path": path, "value": value, "updated_at": tx.now, "updated_by": by}
            tx.execute(insert(table).values(project=place[0], environment=place[1], **row))


def add_change(
    tx: Transaction, place: Place, by: str, reason: str, differences: Sequence[Mapping[str, Any]]
) -> int:
    """Keep a change; returns its id."""
    row = {"at": tx.now, "by": by, "reason": reason, "differences": list(differences)}
    return tx.insert(insert(changes_table).values(project=place[0], environment=place[1], **row))


def name_release(tx: Transaction, place: Place, release_id: int) -> None:
    """Note the release that the changes before it are first in."""
    table = changes_table
    here = (table.c.project == place[0], table.c.environment == place[1], table.c.release_id.is_(None))
    tx.execute(update(table).where(*here).values(release_id=release_id))


def change_rows(tx: Transaction, place: Place, limit: int) -> list[Row[Any]]:
    """Changes, newest first."""
    table = changes_table
    query = select(table).where(table.c.project == place[0], table.c.environment == place[1])
    return list(tx.execute(query.order_by(table.c.id.desc()).limit(limit)))


def forget_settings(tx: Transaction, project: str, environment: str | None = None) -> None:
    """Remove what is set, and its history."""
    for table in (settings_table, changes_table):
        query = delete(table).where(table.c.project == project)
        if environment is not None:
            query = query.where(table.c.environment == environment)
        tx.execute(query)


def forget_templates(tx: Transaction, project: str) -> None:
    """Remove the templates of a project."""
    tx.execute(delete(templates_table).where(templates_table.c.project == project))
