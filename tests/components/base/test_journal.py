"""What the journal is asked for: the database and a follower choose the same entries."""

from typing import Any

import pytest

from halage.base.database import Database, Transaction
from halage.base.journal import EVERYTHING, Entry, EventFilter, read_journal

WRITTEN = [
    ("ada", "project:Create", "shop"),
    ("ada", "environment:Deploy", "shop"),
    ("bob", "environment:Rollback", "shop"),
    ("bob", "environment:Deploy", "blog"),
    ("halage", "environment_x:Deploy", None),
    ("root", "access:AddUser", None),
]

WANTED = [
    (EventFilter(), [1, 2, 3, 4, 5, 6]),
    (EventFilter(projects=("shop",)), [1, 2, 3]),
    (EventFilter(projects=()), []),
    (EventFilter(actor="bob"), [3, 4]),
    (EventFilter(action="environment:*"), [2, 3, 4]),
    (EventFilter(action="*:deploy"), [2, 4, 5]),
    (EventFilter(action="environment_*"), [5]),
    (EventFilter(action="environment"), []),
    (EventFilter(action="%"), []),
    (EventFilter(since=1002.0), [3, 4, 5, 6]),
    (EventFilter(since=1001.0, until=1003.0), [2, 3]),
    (EventFilter(projects=("shop", "blog"), actor="bob", action="*deploy*"), [4]),
]


@pytest.fixture
def written(database: Database) -> Database:
    """A database with WRITTEN in its journal, an entry each second from 1000 on."""
    database.migrate()

    def write(tx: Transaction) -> None:
        for number, (actor, action, project) in enumerate(WRITTEN):
            tx.now = 1000.0 + number
            tx.record(action, actor=actor, subject=f"thing/{number}", project=project)

    database.run_now(write)
    return database


def read(tx: Transaction, /, wanted: EventFilter = EVERYTHING, **where: Any) -> list[Entry]:
    return read_journal(tx.connection, wanted, **where)


async def test_the_database_and_a_follower_choose_the_same(written: Database) -> None:
    everything = await written.run(read)
    for wanted, expected in WANTED:
        found = await written.run(read, wanted)
        assert [entry.id for entry in found] == expected, wanted
        assert [entry.id for entry in everything if wanted.accepts(entry)] == expected, wanted


async def test_pages_go_both_ways_among_those_that_are_meant(written: Database) -> None:
    wanted = EventFilter(action="environment:*")

    async def page(**where: int) -> list[int]:
        entries = await written.run(read, wanted, **where)
        return [entry.id for entry in entries]

    assert await page(limit=2) == [3, 4]
    assert await page(limit=2, before=3) == [2]
    assert await page(limit=2, after=0) == [2, 3]
    assert await page(limit=2, after=3) == [4]
