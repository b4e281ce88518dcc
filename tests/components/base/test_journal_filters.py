"""What the journal is asked for in depth: the same for database and follower, in windows or in one piece."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from halage.base.database import Database, Transaction
from halage.base.journal import Entry, EventFilter, Journal, read_journal
from halage.base.journal_search import find_entries
from halage.base.origin import coming_from
from tests.clock import ManualClock
from tests.postgresql import PostgreSQL

WRITTEN: list[dict[str, Any]] = [
    {"actor": "ada", "action": "project:Create", "subject": "project/shop", "project": "shop"},
    {
        "actor": "ada",
        "action": "environment:Scale",
        "subject": "project/shop/environment/prod",
        "project": "shop",
        "before": {"instances": 2},
        "after": {"instances": 3},
        "reason": "the sale of Été begins: 100%_sure",
    },
    {
        "actor": "bob",
        "action": "environment:SetVariable",
        "subject": "project/blog/environment/prod",
        "project": "blog",
        "before": {"value": 'a "quoted" \\ one', "is_secret": False},
        "after": {"value": "É", "is_secret": False},
        "variable": "TITLE",
    },
    {
        "actor": "bob",
        "action": "alarm:Fire",
        "subject": "project/shop/environment/prod/alarm/3",
        "project": "shop",
    },
    {"actor": "root", "action": "access:CreateUser", "subject": "user/zoe", "project": None},
    {"actor": "zoe", "action": "access:SignIn", "subject": "user/zoe", "project": None, "how": "password"},
]
ORIGINS = [
    "api 203.0.113.5 token ci",
    "console 127.0.0.1",
    "halage",
    "halage",
    "api 127.0.0.1 session",
    "CONSOLE ::1",
]

WANTED = [
    (EventFilter(environment="prod"), [2, 3, 4]),
    (EventFilter(environment="prod", projects=("shop",)), [2, 4]),
    (EventFilter(environment="pro"), []),
    (EventFilter(environment="p_od"), []),
    (EventFilter(subject="project/shop*"), [1, 2, 4]),
    (EventFilter(subject="*/ALARM/*"), [4]),
    (EventFilter(subject="project/shop"), [1]),
    (EventFilter(origin="console"), [2, 6]),
    (EventFilter(origin="api * token ci"), [1]),
    (EventFilter(origin="127.0.0.1"), []),
    (EventFilter(text="sale of"), [2]),
    (EventFilter(text="SALE OF"), [2]),
    (EventFilter(text="Été"), [2]),
    (EventFilter(text="É"), [2, 3]),
    (EventFilter(text="é"), [2]),
    (EventFilter(text="100%_sure"), [2]),
    (EventFilter(text="100%sure"), []),
    (EventFilter(text='"quoted" \\'), [3]),
    (EventFilter(text="*"), []),
    (EventFilter(text="null"), []),
    (EventFilter(text="token ci"), [1]),
    (EventFilter(text='"instances": 3'), []),
    (EventFilter(text="instances"), [2]),
    (EventFilter(text="zoe"), [5, 6]),
    (EventFilter(projects=("blog",), own="zoe"), [3, 6]),
    (EventFilter(projects=(), own="zoe"), [6]),
    (EventFilter(projects=(), own="ada"), []),
]


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path, journal: Journal) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path}/halage.db"
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.new_database()
    database = Database(url, clock=ManualClock(), journal=journal)
    database.migrate()
    yield database
    database.close()


async def _write(database: Database) -> None:
    for values, origin in zip(WRITTEN, ORIGINS, strict=True):

        def record(tx: Transaction, values: dict[str, Any] = values) -> None:
            tx.record(**values)

        with coming_from(origin):
            await database.run(record)


async def test_the_database_and_a_follower_choose_the_same(database: Database, journal: Journal) -> None:
    with journal.follow() as live:
        await _write(database)
        heard = [await anext(live) for _ in WRITTEN]
    stored = await database.run(lambda tx: read_journal(tx.connection))
    assert heard == stored, "a follower is handed what a reader finds"
    assert [entry.origin for entry in stored] == ORIGINS
    for wanted, expected in WANTED:
        assert [entry.id for entry in await find_entries(database, wanted)] == expected, wanted
        assert [entry.id for entry in heard if wanted.accepts(entry)] == expected, wanted


@pytest.mark.parametrize("window", [1, 3, 7, 1000])
async def test_windows_change_nothing_about_what_is_found(database: Database, window: int) -> None:
    chance = random.Random(window)

    def write(tx: Transaction) -> None:
        for number in range(60):
            tx.record("x:Y", actor=chance.choice(["ada", "bob"]), subject=f"thing/{number}")

    def thin_out(tx: Transaction) -> None:
        for number in (1, 2, 3, 20, 21, 40):
            tx.connection.exec_driver_sql(f"DELETE FROM journal WHERE id = {number}")

    await database.run(write)
    await database.run(thin_out)
    for actor in ("ada", "bob", None):
        wanted = EventFilter(actor=actor)
        for where in (
            {},
            {"before": 30},
            {"after": 0},
            {"after": 21},
            {"after": 60},
            {"before": 4},
            {"after": 900},
        ):
            for limit in (1, 5, 100):

                def read(
                    tx: Transaction, where: Any = where, limit: int = limit, wanted: Any = wanted
                ) -> list[Entry]:
                    return read_journal(tx.connection, wanted, limit=limit, **where)

                found = await find_entries(database, wanted, limit=limit, window=window, **where)
                assert found == await database.run(read), (actor, where, limit)


async def test_an_empty_journal_has_no_entries(database: Database) -> None:
    assert await find_entries(database) == []
    assert await find_entries(database, after=0) == []


async def test_long_texts_are_cut_so_that_an_entry_stays_small(database: Database) -> None:
    def record(tx: Transaction) -> None:
        tx.record("x:Y", actor="ada", subject="thing", before=None, after={"value": "a" * 9000, "number": 3})

    await database.run(record)
    (entry,) = await find_entries(database)
    assert entry.after == {"value": f"{'a' * 500}... (9000 characters)", "number": 3}
    assert entry.before is None
