"""The table of dashboards."""

from sqlalchemy import Column, Index, Integer, String, Table

from halage.base.schema import Document, Instant, metadata

dashboards_table = Table(
    "dashboards",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(63)),
    Column("name", String(100), nullable=False),
    Column("document", Document, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", String(100), nullable=False),
    Index("ix_dashboards_project", "project"),
    sqlite_autoincrement=True,
)
