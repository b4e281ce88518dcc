"""An instance that fails: out, named, recorded; and one that a person takes out and puts back, under load."""

import hashlib
import http.client
import re
from collections.abc import Iterator
from typing import Any

import pytest

from halage.cli.prober import Prober
from tests.product import Product, WorkingCopy, eventually
from tests.sites import site, toml_of

RATE = 100
ANSWER = (
    "(SICK.append(path) if path == '/sick' else 0, (500 if SICK else 200, os.environ['PORT'].encode()))[1]"
)
"""Whoever is asked for /sick answers 500 from then on."""


@pytest.fixture
def shop(server: Product, request: pytest.FixtureRequest) -> Iterator[WorkingCopy]:
    name = "shop-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:6]
    yield WorkingCopy(server, name)
    server.client.delete_project(name)


def _health(shop: WorkingCopy) -> dict[str, Any]:
    return shop.server.client.show_environment_health(shop.project, "prod")


def _ask(instance: dict[str, Any], path: str = "/") -> int:
    """The status that an instance answers at its own address, past the balancer."""
    connection = http.client.HTTPConnection(instance["address"], instance["port"], timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.timeout(300)
def test_one_that_answers_500_is_out_and_named_with_what_its_check_said(
    server: Product, shop: WorkingCopy
) -> None:
    shop.deploy(site("", toml=toml_of(instances=2), answer=ANSWER, before="SICK = []"))
    host = f"{shop.project}.localhost"
    bad = server.client.show_environment(shop.project, "prod")["instances"][0]
    eventually(lambda: server.client.list_health_history(shop.project, "prod"), "the first look")
    assert _ask(bad, "/sick") == 500
    health = eventually(lambda: found if (found := _health(shop))["serving"] == 1 else None, "one out")
    assert (health["status"], health["colour"]) == ("warning", "yellow")
    (cause,) = [cause for cause in health["causes"] if cause["kind"] == "failing"]
    assert cause["instance"] == bad["id"] and "L7STS/500" in cause["text"]
    assert {server.visit(host).status for _ in range(10)} == {200}

    def recorded() -> dict[str, Any] | None:
        newest = server.client.list_health_history(shop.project, "prod")[-1]
        return newest if newest["status"] == "warning" else None

    span = eventually(recorded, "the change in the history")
    assert span["ended_at"] is None and bad["id"] in span["summary"]
    history = server.halage("env", "health", shop.project, "prod", "--history").text
    assert "warning" in history and "ok" in history


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("policy", "status", "words"),
    [
        ("fail_open", 500, "requests go to all of them all the same"),
        ("error_page", 503, "visitors get the error page"),
    ],
)
def test_when_all_fail_it_is_red_and_says_what_visitors_get(
    server: Product, shop: WorkingCopy, policy: str, status: int, words: str
) -> None:
    toml = toml_of() + f'[environments.prod.balancer]\nall_unhealthy = "{policy}"\n'
    shop.deploy(site("", toml=toml, answer=ANSWER, before="SICK = []"))
    (bad,) = server.client.show_environment(shop.project, "prod")["instances"]
    assert _ask(bad, "/sick") == 500
    health = eventually(lambda: found if (found := _health(shop))["serving"] == 0 else None, "all to fail")
    assert (health["status"], health["colour"]) == ("severe", "red")
    assert any(words in cause["text"] for cause in health["causes"])
    visit = server.visit(f"{shop.project}.localhost")
    assert visit.status == status
    assert ("No healthy instance" in visit.body) == (policy == "error_page")
    shown = server.halage("env", "health", shop.project, "prod").text
    assert words in shown and "severe (red)" in shown, shown


@pytest.mark.timeout(300)
def test_an_instance_is_taken_out_looked_at_and_put_back_and_costs_no_request(
    server: Product, shop: WorkingCopy
) -> None:
    shop.deploy(site("", toml=toml_of(instances=2), answer="(200, os.environ['PORT'].encode())"))
    host = f"{shop.project}.localhost"
    out = server.client.show_environment(shop.project, "prod")["instances"][0]
    prober = Prober("127.0.0.1", server.visitors_port, site=host, rate=RATE)
    prober.start()
    try:
        taken = server.halage("env", "take-out", shop.project, "prod", out["id"], "--replace")
        assert taken.code == 0, taken.text
        assert "taken out, runs on" in taken.text

        def is_visited() -> bool:
            return str(out["port"]) in {server.visit(host).body for _ in range(20)}

        eventually(lambda: not is_visited(), "no visitor at the instance that was taken out")
        assert _ask(out) == 200, "it runs on"
        shown = server.halage("env", "health", shop.project, "prod").text
        assert re.search(r"status\s+info \(green\)", shown), shown
        assert f"{out['id']} was taken out by admin" in shown
        server.kill()
        server.start()
        assert _ask(out) == 200, "a restart of the server leaves it alone"
        back = server.halage("env", "put-back", shop.project, "prod", out["id"])
        assert back.code == 0, back.text
        eventually(lambda: _health(shop)["status"] == "ok", "health as before")
    finally:
        report = prober.stop()
    assert report.sent > RATE
    assert report.failed == 0, report.causes
    events = server.client.list_events(project=shop.project, action="environment:*Out")
    assert [event["details"]["instance"] for event in events] == [out["id"]]
