"""The table of certificates; their keys are sealed."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, String, Table, Text, delete, insert, select, update
from sqlalchemy.engine import Row

from halage.base.database import Transaction
from halage.base.schema import Instant, metadata

certificates_table = Table(
    "certificates",
    metadata,
    Column("name", String(130), primary_key=True),
    Column("origin", String(20), nullable=False),
    Column("chain", Text, nullable=False),
    Column("sealed_key", Text, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", String(100), nullable=False),
)
"""`name`: the route's (`PROJECT.ENVIRONMENT`, `console`), or `authority`."""


def rows(tx: Transaction) -> list[Row[Any]]:
    """All of them."""
    return list(tx.execute(select(certificates_table)))


def row(tx: Transaction, name: str) -> Row[Any] | None:
    """One of them, or None."""
    return tx.execute(select(certificates_table).where(certificates_table.c.name == name)).one_or_none()


def put(tx: Transaction, name: str, **values: Any) -> None:
    """Keep it in the place of the one before."""
    table = certificates_table
    values = {**values, "updated_at": tx.now}
    if row(tx, name) is None:
        tx.execute(insert(table).values(name=name, **values))
    else:
        tx.execute(update(table).where(table.c.name == name).values(**values))


def remove(tx: Transaction, names: Iterable[str]) -> None:
    """Forget them."""
    tx.execute(delete(certificates_table).where(certificates_table.c.name.in_(list(names))))
