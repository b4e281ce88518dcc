"""The tables of alarms, of their changes and of what has to be delivered."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from halage.base.schema import Document, Instant, metadata

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
    Index("ix_alarms_place", "project", "environment"),
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
