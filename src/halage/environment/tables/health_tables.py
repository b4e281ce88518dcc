"""The table of what the health of environments was, and what is written to it and read from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Index, Integer, String, Table, Text, delete, func, insert, select

from halage.base.database import Transaction
from halage.base.schema import Document, Instant, metadata
from halage.environment.model import Cause, Health, HealthStatus

KEEP_S = 400 * 86400.0
"""Older changes are forgotten when a new one is written; the journal keeps them."""
ACTOR = "halage"

health_changes_table = Table(
    "health_changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(63), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("at", Instant, nullable=False),
    Column("status", String(20), nullable=False),
    Column("summary", Text, nullable=False),
    Column("causes", Document, nullable=False),
    Index("ix_health_changes_place", "project", "environment", "at"),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class HealthSpan:
    """From when until when (None: it still lasts) an environment had a status, and why it got it."""

    began_at: float
    ended_at: float | None
    health: Health


def write_change(
    tx: Transaction, place: tuple[str, str], before: HealthStatus | None, health: Health
) -> None:
    """Record, in the history and in the journal, that the health of an environment is another one."""
    project, environment = place
    table = health_changes_table
    causes = [_to_document(cause) for cause in health.causes]
    tx.execute(
        insert(table).values(
            project=project,
            environment=environment,
            at=tx.now,
            status=health.status.value,
            summary=health.summary,
            causes=causes,
        )
    )
    old = (table.c.project == project, table.c.environment == environment, table.c.at < tx.now - KEEP_S)
    tx.execute(delete(table).where(*old))
    tx.record(
        "environment:HealthChanged",
        actor=ACTOR,
        subject=f"project/{project}/environment/{environment}",
        project=project,
        before={"status": before.value, "colour": before.colour.value} if before is not None else None,
        after={"status": health.status.value, "colour": health.colour.value},
        summary=health.summary,
        causes=[cause.text for cause in health.causes],
    )


def latest_statuses(tx: Transaction) -> dict[tuple[str, str], HealthStatus]:
    """The status that was recorded last of each environment."""
    table = health_changes_table
    newest = select(func.max(table.c.id)).group_by(table.c.project, table.c.environment)
    rows = tx.execute(select(table).where(table.c.id.in_(newest)))
    return {(row.project, row.environment): HealthStatus(row.status) for row in rows}


def read_spans(
    tx: Transaction, place: tuple[str, str], start: float, end: float, limit: int
) -> list[HealthSpan]:
    """What the health was from `start` to `end`, oldest first: the `limit` latest spans."""
    table = health_changes_table
    mine = (table.c.project == place[0], table.c.environment == place[1])
    order = (table.c.at.desc(), table.c.id.desc())
    within = select(table).where(*mine, table.c.at >= start, table.c.at < end).order_by(*order)
    rows = list(tx.execute(within.limit(limit)))
    if len(rows) < limit:
        rows += tx.execute(select(table).where(*mine, table.c.at < start).order_by(*order).limit(1))
    later = select(func.min(table.c.at)).where(*mine, table.c.at >= end)
    return _spans_of(rows, tx.execute(later).scalar())


def _spans_of(rows: Sequence[Any], ended_at: float | None) -> list[HealthSpan]:
    """Spans, oldest first, of rows that come newest first."""
    spans = []
    for row in rows:
        causes = tuple(_of_document(each) for each in row.causes)
        spans.append(HealthSpan(row.at, ended_at, Health(HealthStatus(row.status), row.summary, causes)))
        ended_at = row.at
    return spans[::-1]


def _to_document(cause: Cause) -> dict[str, Any]:
    return {
        "kind": cause.kind,
        "status": cause.status.value,
        "text": cause.text,
        "instance": cause.instance,
        "figures": dict(cause.figures),
    }


def _of_document(document: dict[str, Any]) -> Cause:
    return Cause(
        document["kind"],
        HealthStatus(document["status"]),
        document["text"],
        document["instance"],
        document["figures"],
    )
