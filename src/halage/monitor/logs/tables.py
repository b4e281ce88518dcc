"""What people set about logs: filters that become metrics, and places that logs are sent on to."""

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text

from halage.base.schema import Document, Instant, metadata

log_filters_table = Table(
    "log_filters",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(63), nullable=False),
    Column("environment", String(63)),
    Column("metric", String(100), nullable=False),
    Column("log_group", String(200), nullable=False),
    Column("search", Document, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String(100), nullable=False),
    Index("uq_log_filters_metric", "project", "environment", "metric", unique=True),
    sqlite_autoincrement=True,
)

log_outlets_table = Table(
    "log_outlets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("kind", String(20), nullable=False),
    Column("address", Text, nullable=False),
    Column("sealed_headers", Text),
    Column("groups", Document, nullable=False),
    Column("cursor", Integer, nullable=False),
    Column("is_paused", Boolean, nullable=False),
    Column("state", String(20), nullable=False),
    Column("error", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String(100), nullable=False),
    sqlite_autoincrement=True,
)
