"""Scaling by a trigger under load, workers by a queue: no request fails, and every step says why."""

import hashlib
from collections.abc import Iterator

import pytest

from halage.cli.prober import Prober
from tests.product import Product, WorkingCopy, eventually
from tests.sites import site, toml_of

RATE = 100
SCALING = """
[environments.prod.scaling]
minimum = 1
maximum = 3
cool_down_out = "1s"
cool_down_in = "20s"
warm_up = "1s"
[[environments.prod.scaling.triggers]]
name = "load"
kind = "target"
expression = "requests"
target = 40
period = "10s"
breach = "10s"
[environments.prod.processes.worker]
command = "echo working; exec sleep 1000"
instances = 1
[environments.prod.processes.worker.scaling]
minimum = 1
maximum = 3
cool_down_out = "1s"
warm_up = "0s"
[[environments.prod.processes.worker.scaling.triggers]]
name = "jobs"
kind = "queue"
command = "echo 25"
target = 10
period = "10s"
breach = "10s"
"""


@pytest.fixture
def shop(server: Product, request: pytest.FixtureRequest) -> Iterator[WorkingCopy]:
    name = "shop-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:6]
    yield WorkingCopy(server, name)
    server.client.delete_project(name)


def _running(shop: WorkingCopy, process: str) -> int:
    instances = shop.server.client.show_environment(shop.project, "prod")["instances"]
    return sum(each["process"] == process and each["state"] == "serving" for each in instances)


@pytest.mark.timeout(300)
def test_out_under_load_and_in_when_it_is_over(server: Product, shop: WorkingCopy) -> None:
    shop.deploy(site("", toml=toml_of(instances=1) + SCALING))
    prober = Prober("127.0.0.1", server.visitors_port, site=f"{shop.project}.localhost", rate=RATE)
    prober.start()
    try:
        eventually(lambda: _running(shop, "web") == 3, "three instances for a hundred requests a second")
        eventually(lambda: _running(shop, "worker") == 3, "three workers for twenty-five jobs")
    finally:
        report = prober.stop()
    assert report.failed == 0, report.causes
    eventually(lambda: _running(shop, "web") == 1, "one instance when nobody comes")

    decisions = server.client.show_scaling(shop.project, "prod")["decisions"]
    changes = [(each["process"], each["kind"]) for each in decisions if each["kind"] in ("out", "in")]
    assert {("web", "out"), ("web", "in"), ("worker", "out")} == set(changes)
    table = server.halage("env", "scaling", shop.project, "prod").text
    assert "load" in table and "over 40" in table and "jobs 25 over 10: 3 wanted" in table
    scaled = server.client.list_events(project=shop.project, action="environment:Scale")
    assert len(scaled) == len(changes), "each change is in the journal, and so a mark on the graphs"
    simulated = server.halage("env", "simulate", shop.project, "prod", "--capacity", "50", "--since", "1h")
    assert simulated.code == 0 and "instance hours" in simulated.text, simulated.text
