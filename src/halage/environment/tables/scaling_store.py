"""Reads and writes what scaling remembers: states by kind of process, and decisions."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Row

from halage.base.database import Transaction
from halage.environment.autoscaling.model import WEB, Memory
from halage.environment.tables.scaling_tables import scaling_decisions_table, scaling_states_table
from halage.environment.tables.store import Place, here, named

KEPT_DECISIONS = 2000
"""Of each kind of process: a year of those of a site that scales five times a day."""


_STATES = select(scaling_states_table).where(here(scaling_states_table))


def state_rows(tx: Transaction, place: Place) -> dict[str, Row[Any]]:
    """What is remembered of an environment, by kind of process."""
    return {row.process: row for row in tx.execute(_STATES, named(place))}


def memory_of(row: Row[Any] | None) -> Memory:
    """What the rules remember."""
    return Memory() if row is None else Memory(row.out_at, row.in_at, row.sized_at)


def put_state(tx: Transaction, place: Place, process: str, /, **values: Any) -> None:
    """Set columns of one kind of process; the others stay."""
    table = scaling_states_table
    key = (table.c.project == place[0], table.c.environment == place[1], table.c.process == process)
    if not tx.change(update(table).where(*key).values(**values)):
        tx.execute(insert(table).values(project=place[0], environment=place[1], process=process, **values))


def put_memory(tx: Transaction, place: Place, process: str, memory: Memory) -> None:
    """Keep what the rules remember."""
    put_state(tx, place, process, out_at=memory.out_at, in_at=memory.in_at, sized_at=memory.sized_at)


def suspended(rows: Mapping[str, Row[Any]]) -> tuple[str, ...]:
    """What people suspended for now, whatever halage.toml says."""
    row = rows.get(WEB)
    return tuple(row.suspended or ()) if row is not None else ()


def insert_decision(tx: Transaction, place: Place, values: Mapping[str, Any]) -> int:
    """Keep a decision, and forget the oldest past KEPT_DECISIONS."""
    table = scaling_decisions_table
    row = {"project": place[0], "environment": place[1], "at": tx.now, **values}
    number = tx.insert(insert(table).values(row))
    same = (
        table.c.project == place[0],
        table.c.environment == place[1],
        table.c.process == values["process"],
    )
    oldest = select(table.c.id).where(*same).order_by(table.c.id.desc()).offset(KEPT_DECISIONS).limit(1)
    if (last := tx.execute(oldest).scalar()) is not None:
        tx.execute(delete(table).where(*same, table.c.id <= last))
    return number


def decision_rows(
    tx: Transaction, place: Place, limit: int, before: int | None = None, process: str | None = None
) -> Sequence[Row[Any]]:
    """The decisions about an environment (or about one kind of process), newest first."""
    table = scaling_decisions_table
    query = select(table).where(table.c.project == place[0], table.c.environment == place[1])
    if before is not None:
        query = query.where(table.c.id < before)
    if process is not None:
        query = query.where(table.c.process == process)
    return list(tx.execute(query.order_by(table.c.id.desc()).limit(limit)))
