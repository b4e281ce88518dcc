"""A database that an earlier Halage made, with what was in it, is brought up and read right."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import JSON, bindparam, text

import halage.base
from halage.base.clock import SystemClock
from halage.base.database import Database, Transaction
from halage.base.journal import Journal
from halage.base.journal_search import find_entries
from halage.base.origin import OWN
from halage.environment.records import orders, scaling
from halage.environment.records.views import environment_view
from halage.site.document import site_to_document
from tests.controlplane import site_of
from tests.postgresql import PostgreSQL

PROD = ("shop", "prod")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path}/halage.db"
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.new_database()
    database = Database(url, clock=SystemClock(), journal=Journal())
    yield database
    database.close()


def _make_first_schema(database: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(halage.base.__file__).parent / "migrations"))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")


def _old_site() -> dict[str, Any]:
    """A site as the first version wrote it, without the keys that came later."""
    document = site_to_document(site_of(instances=3))
    del document["run"]["metrics"]
    for plan in document["environments"].values():
        del plan["detailed_monitoring"]
    return document


def _insert(database: Database, table: str, **values: Any) -> None:
    columns = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f":{name}" for name in values)
    documents = [bindparam(name, type_=JSON()) for name, value in values.items() if isinstance(value, dict)]
    statement = text(f"INSERT INTO {table} ({columns}) VALUES ({places})").bindparams(*documents)
    with database.engine.begin() as connection:
        connection.execute(statement, values)


def _fill(database: Database) -> None:
    place = {"project": "shop", "environment": "prod"}
    _insert(
        database,
        "environments",
        project="shop",
        name="prod",
        position=0,
        plan={"type": "micro", "instances": 3, "domains": []},
        current_release_id=1,
        newest_run_id=1,
        created_at=1000.0,
    )
    _insert(
        database,
        "releases",
        id=1,
        number=1,
        **place,
        bundle_digest="ab" * 32,
        commit="c" * 40,
        title="Sell things",
        configuration={"site": _old_site(), "variables": {}},
        state="current",
        run_id=1,
        created_at=1000.0,
        created_by="ada",
    )
    _insert(
        database,
        "deployments",
        id=1,
        token="run-1",
        **place,
        kind="deploy",
        state="succeeded",
        release_id=1,
        reason="",
        log_tail="",
        phases={"boot": [1.5, 3]},
        is_released=True,
        created_at=1000.0,
        created_by="ada",
        run_id=1,
    )
    for number, actor in ((1, "ada"), (2, "halage")):
        _insert(
            database,
            "journal",
            at=1000.0 + number,
            actor=actor,
            action="environment:Deploy",
            subject="project/shop/environment/prod",
            project="shop",
            details={"release": number},
        )


async def test_the_first_schema_with_its_rows_is_brought_up_and_read_right(database: Database) -> None:
    _make_first_schema(database)
    _fill(database)
    database.migrate()

    entries = await find_entries(database)
    assert [(e.id, e.actor, e.at, e.details) for e in entries] == [
        (1, "ada", 1001.0, {"release": 1}),
        (2, "halage", 1002.0, {"release": 2}),
    ]
    assert {(e.before, e.after, e.origin) for e in entries} == {(None, None, None)}

    shown = environment_view(await database.run(orders.rows_of, PROD), [], ())
    assert (shown.wanted, shown.planned, shown.scaled) == (3, 3, None)
    assert shown.release is not None and shown.release.title == "Sell things"
    (deployment,) = await database.run(orders.deployments_of, PROD, 9)
    assert (deployment.state, deployment.wanted, deployment.done) == ("succeeded", 3, 3)


async def test_what_was_brought_up_is_written_on(database: Database) -> None:
    _make_first_schema(database)
    _fill(database)
    database.migrate()
    await database.run(scaling.scale, PROD, 5, "ada")

    def read(tx: Transaction) -> Any:
        return orders.rows_of(tx, PROD).environment.instances

    assert await database.run(read) == 5
    entry = (await find_entries(database))[-1]
    assert (entry.id, entry.action, entry.origin) == (3, "environment:Scale", OWN)
    assert entry.before == {"instances": 3, "is_scaled": False}
    assert entry.after == {"instances": 5, "is_scaled": True}
