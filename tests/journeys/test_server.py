"""The server's own life: one for a directory, stopped, started, away while somebody pushes."""

import time
from collections.abc import Iterator

import pytest

from halage.cli.prober import Prober
from tests.ports import unused_port
from tests.product import Product, WorkingCopy, eventually, run
from tests.sites import site, toml_of


@pytest.fixture(scope="module")
def shop(server: Product) -> Iterator[WorkingCopy]:
    shop = WorkingCopy(server, "boutique")
    shop.deploy(site("hello", toml=toml_of(instances=2)))
    yield shop
    server.client.delete_project("boutique")


def test_a_second_server_is_refused(server: Product, shop: WorkingCopy) -> None:
    assert server.process is not None
    second = run(server.serve_command(port=unused_port()), server.directory, server.environment())
    assert second.code == 1
    said = " ".join(second.text.split())
    assert f"a Halage server (process {server.process.pid}) already uses {server.data}" in said, second.text
    assert "Traceback" not in second.text
    assert server.visit("boutique.localhost").body == "hello"


def test_a_stopped_server_stops_no_site(server: Product, shop: WorkingCopy) -> None:
    before = server.serving_units(shop.project), server.balancer_pids()
    assert len(before[0]) == 2
    prober = Prober("127.0.0.1", server.visitors_port, site="boutique.localhost", rate=50)
    prober.start()
    begin = time.monotonic()
    assert server.stop() == 0
    took_s = time.monotonic() - begin
    print(f"the server stopped in {took_s:.2f} s")
    assert server.visit("boutique.localhost").body == "hello"
    server.start()
    report = prober.stop()
    assert report.sent > 0 and report.failed == 0, report.causes

    def adopted() -> bool:
        shown = server.client.show_environment(shop.project, "prod")
        return bool(shown["colour"] == "green" and shown["serving"] == 2)

    eventually(adopted, "the environment to be green again")
    assert (server.serving_units(shop.project), server.balancer_pids()) == before
    shop.deploy(site("hello again", toml=toml_of(instances=2)))
    assert server.visit("boutique.localhost").body == "hello again"


def test_a_push_to_a_stopped_server_is_found(server: Product, shop: WorkingCopy) -> None:
    runs = len(server.client.list_runs(shop.project))
    server.stop()
    commit = shop.commit(site("pushed by path"))
    repository = server.data / "repositories" / f"{shop.project}.git"
    # Twice: what is there already is not told again.
    for _ in range(2):
        pushed = shop.try_push(remote=str(repository))
        assert pushed.code == 0, pushed.text
    server.start()
    found = eventually(
        lambda: [each for each in server.client.list_runs(shop.project) if each["commit"] == commit],
        "the push to be found",
    )
    assert server.until_run(found[0]["id"])["state"] == "succeeded"
    assert server.visit("boutique.localhost").body == "pushed by path"
    server.stop()
    server.start()
    assert len(server.client.list_runs(shop.project)) == runs + 1
