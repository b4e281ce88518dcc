"""More and fewer instances under load: no visitor's request fails, and the number stays."""

import hashlib
import json
from collections.abc import Iterator

import pytest

from halage.cli.prober import Prober
from tests.product import Product, WorkingCopy, eventually
from tests.sites import site, toml_of

RATE = 200


@pytest.fixture
def shop(server: Product, request: pytest.FixtureRequest) -> Iterator[WorkingCopy]:
    name = "shop-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:6]
    yield WorkingCopy(server, name)
    server.client.delete_project(name)


def _serving(shop: WorkingCopy) -> int:
    return int(shop.server.client.show_environment(shop.project, "prod")["serving"])


@pytest.mark.timeout(300)
def test_from_one_to_three_and_back_costs_no_request(server: Product, shop: WorkingCopy) -> None:
    # Which instance answered: its own port.
    answer = "(200, os.environ['PORT'].encode())"
    shop.deploy(site("", toml=toml_of(instances=1), answer=answer))
    host = f"{shop.project}.localhost"
    first = server.visit(host).body
    prober = Prober("127.0.0.1", server.visitors_port, site=host, rate=RATE)
    prober.start()
    try:
        up = server.halage("env", "scale", shop.project, "prod", "3")
        assert up.code == 0, up.text
        assert "3 instances, halage.toml says 1" in up.text
        answered = eventually(lambda: _three_answer(server, host), "answers of three instances")
        assert first in answered, "the first one was left alone"
        down = server.halage("env", "scale", shop.project, "prod", "--reset")
        assert down.code == 0, down.text
        assert "1 instance, as halage.toml says" in down.text
        assert len({server.visit(host).body for _ in range(20)}) == 1
    finally:
        report = prober.stop()
    print(f"{report.sent} requests, p99 {report.latency_ms(0.99):.0f} ms")
    assert report.sent > RATE
    assert report.failed == 0, report.causes
    assert len(server.serving_units(shop.project)) == 1


def _three_answer(server: Product, host: str) -> set[str] | None:
    answered = {server.visit(host).body for _ in range(30)}
    return answered if len(answered) == 3 else None


@pytest.mark.timeout(300)
def test_the_number_outlives_a_deployment_and_a_kill_and_is_in_the_journal(
    server: Product, shop: WorkingCopy
) -> None:
    toml = toml_of(instances=1)
    shop.deploy(site("old", toml=toml))
    assert server.halage("env", "scale", shop.project, "prod", "2").code == 0
    shop.deploy(site("new", toml=toml))
    assert _serving(shop) == 2
    server.client.scale_environment(shop.project, "prod", 3)
    server.kill()
    server.start()
    eventually(lambda: _serving(shop) == 3, "three instances after a kill")
    shown = server.halage("env", "show", shop.project, "prod")
    assert "3 instances, halage.toml says 1" in shown.text

    export = server.directory / f"{shop.project}.jsonl"
    done = server.halage(
        "events",
        "--project",
        shop.project,
        "-e",
        "prod",
        "--action",
        "environment:Scale",
        "--export",
        str(export),
    )
    assert done.code == 0, done.text
    events = [json.loads(line) for line in export.read_text().splitlines()]
    assert [(each["before"]["instances"], each["after"]["instances"]) for each in events] == [(1, 2), (2, 3)]
    assert {each["actor"] for each in events} == {"admin"}
    assert {each["origin"] for each in events} == {"api 127.0.0.1 token first start"}
    pushed = server.client.list_events(project=shop.project, action="pipeline:Start")
    assert {each["origin"] for each in pushed} == {"git 127.0.0.1"}
