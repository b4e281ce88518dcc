"""The tables of scaling: what is remembered of each kind of process, and every decision."""

from sqlalchemy import Column, Index, Integer, String, Table, Text

from halage.base.schema import Document, Instant, metadata

scaling_states_table = Table(
    "scaling_states",
    metadata,
    Column("project", String(63), primary_key=True),
    Column("environment", String(63), primary_key=True),
    Column("process", String(63), primary_key=True),
    Column("instances", Integer),
    Column("out_at", Instant),
    Column("in_at", Instant),
    Column("sized_at", Instant),
    Column("suspended", Document),
)

scaling_decisions_table = Table(
    "scaling_decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(63), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("process", String(63), nullable=False),
    Column("at", Instant, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("cause", String(20), nullable=False),
    Column("by", String(100), nullable=False),
    Column("before", Integer, nullable=False),
    Column("after", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("numbers", Document, nullable=False),
    Index("ix_scaling_decisions_place", "project", "environment", "process"),
    sqlite_autoincrement=True,
)
