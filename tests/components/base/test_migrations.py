"""The migrations make exactly the tables that the code uses, on SQLite and on PostgreSQL."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import halage.access.store
import halage.build.store
import halage.compute.store
import halage.environment.notices.teller
import halage.environment.tables.settings_tables
import halage.environment.tables.store
import halage.monitor.alarms.store
import halage.monitor.dashboards.store
import halage.monitor.logs.tables
import halage.pipeline.store
import halage.project.store
import halage.source.store  # noqa: F401 - each registers its tables
from halage.base.database import Database, Transaction
from halage.base.journal import read_journal
from halage.base.schema import metadata


def test_migrations_make_the_tables_of_the_code(database: Database) -> None:
    database.migrate()
    database.migrate()
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


async def test_a_change_and_its_journal_entry_are_one_transaction(database: Database) -> None:
    database.migrate()

    def break_off(tx: Transaction) -> None:
        tx.record("project:Create", actor="ada", subject="project/shop", project="shop")
        raise RuntimeError("cut off")

    def create(tx: Transaction) -> None:
        tx.record("project:Create", actor="ada", subject="project/site", project="site")

    with pytest.raises(RuntimeError):
        await database.run(break_off)
    await database.run(create)
    entries = await database.run(lambda tx: read_journal(tx.connection))
    assert [entry.subject for entry in entries] == ["project/site"]
