"""Numeric accounts of projects."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from halage.base.database import Database
from halage.base.journal import Journal
from halage.base.schema import metadata
from halage.compute.accounts import Accounts
from halage.compute.errors import AccountsExhausted
from halage.compute.model import Account
from tests.clock import ManualClock


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/halage.db", clock=clock, journal=Journal())
    metadata.create_all(made.engine)
    yield made
    made.close()


async def test_each_project_has_its_own_and_keeps_it(database: Database) -> None:
    accounts = Accounts(300_000, is_root=True)
    shop = await database.run(accounts.account_for, "shop")
    blog = await database.run(accounts.account_for, "blog")
    assert (shop, blog) == (Account(300_001, 300_001), Account(300_002, 300_002))
    assert await database.run(Accounts(300_000, is_root=True).account_for, "shop") == shop


async def test_a_number_is_never_used_again(database: Database) -> None:
    accounts = Accounts(300_000, is_root=True)
    first = await database.run(accounts.account_for, "shop")
    await database.run(accounts.forget, "shop")
    await database.run(accounts.forget, "shop")
    again = await database.run(accounts.account_for, "shop")
    assert first != again


async def test_without_root_there_are_none(database: Database) -> None:
    accounts = Accounts(is_root=False)
    assert not accounts.are_separate
    assert await database.run(accounts.account_for, "shop") is None


async def test_the_range_has_an_end(database: Database) -> None:
    accounts = Accounts(300_000, count=1, is_root=True)
    await database.run(accounts.account_for, "shop")
    with pytest.raises(AccountsExhausted):
        await database.run(accounts.account_for, "blog")
