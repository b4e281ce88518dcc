"""The table of rollouts: by which policy each deployment goes, and how far it is."""

from typing import Any

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Row

from halage.base.database import Transaction
from halage.base.schema import Document, metadata

rollouts_table = Table(
    "rollouts",
    metadata,
    Column("deployment_id", Integer, ForeignKey("deployments.id"), primary_key=True),
    Column("policy", String(20), nullable=False),
    Column("batch", Integer, nullable=False),
    Column("halted", Text),
    Column("verdict", Text),
    Column("timeline", Document, nullable=False),
)


def insert_rollout(tx: Transaction, deployment_id: int, policy: str) -> None:
    """Add the rollout of a deployment that begins."""
    values = {"deployment_id": deployment_id, "policy": policy, "batch": 0, "timeline": []}
    tx.execute(insert(rollouts_table).values(values))


_ROLLOUT = select(rollouts_table).where(rollouts_table.c.deployment_id == bindparam("deployment"))


def rollout_row(tx: Transaction, deployment_id: int) -> Row[Any] | None:
    """The rollout of a deployment; None before it begins, and of one from before there were policies."""
    return tx.execute(_ROLLOUT, {"deployment": deployment_id}).one_or_none()


def rollouts_by_id(tx: Transaction, deployments: list[int]) -> dict[int, Row[Any]]:
    """The rollouts of these deployments, by their ids."""
    query = select(rollouts_table).where(rollouts_table.c.deployment_id.in_(deployments))
    return {row.deployment_id: row for row in tx.execute(query)}


def update_rollout(tx: Transaction, deployment_id: int, /, **values: Any) -> None:
    """Change columns of one rollout."""
    table = rollouts_table
    tx.execute(update(table).where(table.c.deployment_id == deployment_id).values(**values))


def note_phase(tx: Transaction, deployment_id: int, phase: str, batch: int) -> None:
    """Note that a phase begins now. The same again is not noted."""
    row = rollout_row(tx, deployment_id)
    if row is None or (row.timeline and row.timeline[-1][:2] == [phase, batch]):
        return
    update_rollout(tx, deployment_id, timeline=[*row.timeline, [phase, batch, tx.now]])


def delete_rollouts(tx: Transaction, deployments: list[int]) -> None:
    """Remove the rollouts of deployments that go."""
    tx.execute(delete(rollouts_table).where(rollouts_table.c.deployment_id.in_(deployments)))
