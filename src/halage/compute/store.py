"""The table of compute: which project owns which number."""

from sqlalchemy import Column, Integer, String, Table, insert, select, update

from halage.base.database import Transaction
from halage.base.schema import Instant, metadata

compute_accounts = Table(
    "compute_accounts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(63), unique=True),
    Column("released_at", Instant),
    sqlite_autoincrement=True,
)
"""A row is never deleted, so that a number is never handed out twice; `project` is NULL once it is gone."""


def number_of(tx: Transaction, project: str) -> int | None:
    """The number that a project holds, counted from 1; None when it holds none."""
    found: int | None = tx.execute(
        select(compute_accounts.c.id).where(compute_accounts.c.project == project)
    ).scalar()
    return found


def hand_out_number(tx: Transaction, project: str) -> int:
    """Give the project a number that no project ever held."""
    return tx.insert(insert(compute_accounts).values(project=project))


def release_number(tx: Transaction, project: str) -> None:
    """Take the project's number away; nobody gets it again."""
    tx.change(
        update(compute_accounts)
        .where(compute_accounts.c.project == project)
        .values(project=None, released_at=tx.now)
    )
