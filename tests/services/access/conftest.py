"""A database in memory, a clock moved by hand, cheap password hashes that are counted."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from halage.access import store
from halage.access.model import Principal
from halage.access.passwords import Passwords
from halage.access.service import Access
from halage.base.database import Database, Transaction
from halage.base.journal import Entry, Journal, read_journal
from halage.base.schema import metadata
from tests.clock import ManualClock


class CountedPasswords(Passwords):
    """Real argon2id at its least cost; notes at which cost each password was compared."""

    def __init__(self, time_cost: int = 1) -> None:
        super().__init__(time_cost=time_cost, memory_kib=8)
        self.costs: list[str] = []
        self.begun = asyncio.Event()

    async def verify(self, kept: str | None, password: str) -> bool:
        self.begun.set()
        return await super().verify(kept, password)

    def _verify(self, kept: str, password: bytes) -> bool:
        self.costs.append(kept.rpartition("$")[0].rpartition("$")[0])
        return super()._verify(kept, password)


@pytest.fixture
def database(clock: ManualClock) -> Iterator[Database]:
    database = Database("sqlite://", clock=clock, journal=Journal())
    metadata.create_all(database.engine, tables=[t for t in metadata.sorted_tables if _is_ours(t.name)])
    yield database
    database.close()


def _is_ours(table: str) -> bool:
    return table == "journal" or table.startswith(store.users.name.partition("_")[0])


@pytest.fixture
def passwords() -> CountedPasswords:
    return CountedPasswords()


@pytest.fixture
def key_file(data_directory: Path) -> Path:
    return data_directory / "key"


@pytest.fixture
def access(database: Database, clock: ManualClock, key_file: Path, passwords: CountedPasswords) -> Access:
    return Access(database, clock, key_file, passwords=passwords)


@pytest.fixture
async def ada(access: Access) -> Principal:
    """A person with a password, no administrator."""
    await access.create_user("ada", password="correct horse", actor="admin")
    return Principal("ada", False, {}, "session")


class Told:
    """What the journal holds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Entry]:
        def read(tx: Transaction) -> list[Entry]:
            return read_journal(tx.connection, limit=10_000)

        return await self._database.run(read)

    async def last(self) -> Entry:
        return (await self.all())[-1]

    async def actions(self) -> list[str]:
        return [entry.action for entry in await self.all()]


@pytest.fixture
def told(database: Database) -> Told:
    return Told(database)
