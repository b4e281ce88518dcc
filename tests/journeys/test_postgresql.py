"""The main job with the state in PostgreSQL instead of SQLite, and a server that is killed on the way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import unused_port
from tests.postgresql import PostgreSQL
from tests.product import Output, Product, product, run

PROJECT = "shop"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A server whose setting `database` names a real PostgreSQL."""
    postgresql = PostgreSQL(tmp_path_factory.mktemp("postgresql"), unused_port())
    try:
        settings = {"HALAGE_DATABASE": postgresql.new_database()}
        with product(unused_port(), unused_port(), settings=settings) as one:
            yield one
    finally:
        postgresql.stop()


def done(output: Output) -> str:
    assert output.code == 0, output.text
    return output.text


def push(server: Product, *options: str) -> str:
    copy: Path = server.directory / PROJECT
    return done(run(["git", "push", *options], copy, server.environment()))


@pytest.mark.timeout(300)
def test_from_a_template_to_production_and_back(server: Product) -> None:
    done(server.halage("project", "create", PROJECT, "--template", "python"))
    assert not (server.data / "halage.db").exists(), "the state must be in PostgreSQL"
    assert "waits for an approval of prod" in push(server, "-o", "wait")

    server.kill()  # a run is parked at its approval: it must still be there
    server.start()
    done(server.halage("approve", PROJECT, directory=server.directory / PROJECT))
    assert server.until_run(server.run(PROJECT)["id"])["state"] == "succeeded"
    before = server.visit(f"{PROJECT}.localhost")
    assert before.status == 200 and "Again" not in before.body

    copy = server.directory / PROJECT
    change = next(path for path in copy.glob("templates/*.html") if "<h1" in path.read_text())
    change.write_text(change.read_text().replace("</h1>", " Again</h1>", 1))
    done(run(["git", "commit", "--quiet", "--all", "-m", "A change"], copy, server.environment()))
    push(server)
    second = server.run(PROJECT)["id"]
    server.until_run(second, "waiting")
    done(server.halage("approve", PROJECT, directory=copy))
    server.kill()  # in the middle of a deployment
    server.start()
    assert server.until_run(second)["state"] == "succeeded"
    assert " Again</h1>" in server.visit(f"{PROJECT}.localhost").body

    done(server.halage("env", "rollback", PROJECT, "prod"))
    after = server.visit(f"{PROJECT}.localhost")
    assert after.status == 200 and "Again" not in after.body
    events = [event["action"] for event in server.client.list_events(project=PROJECT, limit=200)]
    for action in ("pipeline:Start", "pipeline:Approve", "environment:Rollback"):
        assert action in events, events
