"""The tables of alarms, of their changes and of what has to be delivered, and what is read of them."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    case,
    func,
    or_,
    select,
)
from sqlalchemy.engine import Row

from halage.base.database import Transaction
from halage.base.schema import Document, Instant, metadata
from halage.monitor.alarms.documents import action_from, from_document, in_words
from halage.monitor.alarms.model import Alarm, AlarmCounts, AlarmFilter, Change, Delivery, State

alarms_table = Table(
    "alarms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(63)),
    Column("environment", String(63)),
    Column("name", String(100), nullable=False),
    Column("definition", Document, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("state_at", Instant, nullable=False),
    Column("is_disabled", Boolean, nullable=False),
    Column("disabled_until", Instant),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", String(100), nullable=False),
    # With the state: how many alarms say what is counted for every page, without reading the alarms.
    Index("ix_alarms_place", "project", "environment", "state"),
    sqlite_autoincrement=True,
)

alarm_changes_table = Table(
    "alarm_changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("alarm_id", Integer, ForeignKey("alarms.id", ondelete="CASCADE"), nullable=False),
    Column("period_end", Instant, nullable=False),
    Column("at", Instant, nullable=False),
    Column("state_before", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("facts", Document, nullable=False),
    Index("uq_alarm_changes_period", "alarm_id", "period_end", unique=True),
    sqlite_autoincrement=True,
)

alarm_deliveries_table = Table(
    "alarm_deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("change_id", Integer, ForeignKey("alarm_changes.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("action", Document, nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant),
    Column("error", Text, nullable=False),
    Column("ended_at", Instant),
    Index("uq_alarm_deliveries_action", "change_id", "position", unique=True),
    sqlite_autoincrement=True,
)

alarm_clock_table = Table(
    "alarm_clock",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("evaluated_until", Instant, nullable=False),
)

alarm_defaults_table = Table(
    "alarm_defaults",
    metadata,
    Column("project", String(63), primary_key=True),
    Column("environment", String(63), primary_key=True),
    Column("word", String(63), primary_key=True),
)
"""The default alarms that were made, so that one that people delete does not come back. "" for the server."""

WAITING, HELD, DELIVERED, FAILED, DROPPED = "waiting", "held", "delivered", "failed", "dropped"
"""States of a delivery."""


def alarm_of(row: Row[Any]) -> Alarm:
    """The alarm that a row tells of."""
    return Alarm(
        id=row.id,
        definition=from_document(row.definition),
        is_default=row.is_default,
        state=State(row.state),
        reason=row.reason,
        state_at=row.state_at,
        is_disabled=row.is_disabled,
        disabled_until=row.disabled_until,
        created_at=row.created_at,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
    )


def alarm_row(tx: Transaction, alarm_id: int) -> Row[Any] | None:
    """One alarm."""
    return tx.execute(select(alarms_table).where(alarms_table.c.id == alarm_id)).one_or_none()


def alarm_rows(
    tx: Transaction, project: str | None = None, *, after: int = 0, limit: int | None = None
) -> Sequence[Row[Any]]:
    """Alarms in the order of their ids, those of one project where it is named."""
    query = select(alarms_table).where(alarms_table.c.id > after).order_by(alarms_table.c.id)
    if project is not None:
        query = query.where(alarms_table.c.project == project)
    return tx.execute(query.limit(limit)).all()


def found_rows(
    tx: Transaction,
    wanted: AlarmFilter,
    *,
    is_urgent_first: bool = False,
    limit: int | None = None,
    skip: int = 0,
) -> Sequence[Row[Any]]:
    """Alarms by project and name, those of the server first; `is_urgent_first`: by state before that."""
    table = alarms_table
    urgency = case({State.ALARM.value: 0, State.INSUFFICIENT_DATA.value: 1}, value=table.c.state, else_=2)
    order = (func.coalesce(table.c.project, ""), table.c.name, table.c.id)
    query = select(table).where(*_wanted(wanted)).order_by(*((urgency, *order) if is_urgent_first else order))
    return tx.execute(query.limit(limit).offset(skip)).all()


def count_rows(tx: Transaction, wanted: AlarmFilter) -> AlarmCounts:
    """How many there are of them, by place and state."""
    c = alarms_table.c
    query = select(c.project, c.environment, c.state, func.count().label("number")).where(*_wanted(wanted))
    rows: Sequence[Row[Any]] = tx.execute(query.group_by(c.project, c.environment, c.state)).all()
    return AlarmCounts({(row.project, row.environment, State(row.state)): row.number for row in rows})


def _wanted(wanted: AlarmFilter) -> list[ColumnElement[bool]]:
    table = alarms_table
    conditions: list[ColumnElement[bool]] = []
    for name in ("project", "environment", "state"):
        if (value := getattr(wanted, name)) is not None:
            conditions.append(table.c[name] == value)
    if wanted.visible is not None:
        conditions.append(or_(table.c.project.is_(None), table.c.project.in_(sorted(wanted.visible))))
    if not wanted.with_server:
        conditions.append(table.c.project.is_not(None))
    return conditions


def alarm_named(tx: Transaction, project: str | None, name: str) -> int | None:
    """The id of the alarm of that name in a project, or of the server's."""
    query = select(alarms_table.c.id).where(_is_in(project), alarms_table.c.name == name)
    return tx.execute(query).scalar_one_or_none()


def neighbour_rows(tx: Transaction, project: str | None) -> Sequence[Row[Any]]:
    """The alarms of one project, or of the server: those that share their names."""
    return tx.execute(select(alarms_table).where(_is_in(project)).order_by(alarms_table.c.id)).all()


def _is_in(project: str | None) -> ColumnElement[bool]:
    column = alarms_table.c.project
    return column.is_(None) if project is None else column == project


def change_rows(
    tx: Transaction, alarm_id: int, *, before: int | None = None, limit: int = 50
) -> Sequence[Row[Any]]:
    """Changes of an alarm, newest first."""
    table = alarm_changes_table
    query = select(table).where(table.c.alarm_id == alarm_id).order_by(table.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.id < before)
    return tx.execute(query).all()


def delivery_rows(tx: Transaction, change_ids: Iterable[int]) -> Sequence[Row[Any]]:
    """What is done because of these changes."""
    table = alarm_deliveries_table
    query = select(table).where(table.c.change_id.in_(list(change_ids)))
    return tx.execute(query.order_by(table.c.change_id, table.c.position)).all()


def change_of(row: Row[Any], deliveries: Iterable[Row[Any]] = ()) -> Change:
    """The change that a row tells of."""
    return Change(
        id=row.id,
        alarm_id=row.alarm_id,
        period_end=row.period_end,
        at=row.at,
        state_before=State(row.state_before),
        state=State(row.state),
        reason=row.reason,
        facts=row.facts,
        deliveries=tuple(delivery_of(each) for each in deliveries if each.change_id == row.id),
    )


def delivery_of(row: Row[Any]) -> Delivery:
    """The delivery that a row tells of, without what is secret of it."""
    return Delivery(
        id=row.id,
        what=in_words(action_from(row.action)),
        state=row.state,
        attempts=row.attempts,
        next_at=row.next_at,
        error=row.error,
        ended_at=row.ended_at,
    )
