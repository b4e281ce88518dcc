"""A project is deleted and one of the same name is made at once: monitoring knows nothing of the first."""

import threading
from collections.abc import Iterator

import pytest

from tests.ports import unused_port
from tests.product import Document, Product, WorkingCopy, eventually, product
from tests.sites import site

SAYING = "(print('said by the first', flush=True), (200, b'first'))[1]"
GROUPS = ["boutique.prod/instances", "boutique.prod/access", "boutique/builds"]
OF_PROD = '{project="boutique",environment="prod"}'


@pytest.fixture(scope="module")
def server() -> Iterator[Product]:
    with product(unused_port(), unused_port()) as one:
        yield one


def _fill(server: Product) -> None:
    """One of everything that monitoring keeps of a project."""
    client = server.client
    client.create_alarm(
        {"name": "mine", "project": "boutique", "expression": f"sum(orders{OF_PROD} by ())", "threshold": 5.0}
    )
    client.create_dashboard({"name": "Sales", "widgets": []}, project="boutique")
    client.create_log_filter("boutique.prod/instances", "sayings", {"text": "said"})
    client.put_metrics("boutique", "prod", [{"name": "orders", "kind": "count", "value": 7}])


def _groups(server: Product) -> set[str]:
    return {each["name"] for each in server.client.list_log_groups(project="boutique")}


def _series(server: Product) -> list[Document]:
    return list(server.client.search_metrics("*", project="boutique", limit=500)["series"])


@pytest.mark.timeout(300)
def test_nothing_of_a_deleted_project_comes_back(server: Product) -> None:
    first = WorkingCopy(server, "boutique", name="first")
    first.deploy(site("", answer=SAYING))
    _fill(server)
    over = threading.Event()
    visitors = threading.Thread(target=_visit_until, args=(server, over))
    visitors.start()
    try:
        eventually(lambda: _groups(server) == set(GROUPS), "every group to have lines")
        names = {"orders", "sayings", "environment_requests", "instance_cpu_percent"}
        eventually(lambda: names <= {each["name"] for each in _series(server)}, "every metric")
        eventually(lambda: len(server.client.list_alarms(project="boutique")) == 5, "every alarm")
        # While visitors come: what is under way is the hard part.
        server.client.delete_project("boutique")
    finally:
        over.set()
        visitors.join()
    server.client.create_project("boutique")
    assert server.client.list_log_filters("boutique") == []
    dashboards = [each["name"] for each in server.client.list_dashboards(project="boutique")]
    assert dashboards == ["boutique dev", "boutique preprod", "boutique prod"], "made by themselves"
    assert server.client.list_alarms(project="boutique") == []
    second = WorkingCopy(server, "boutique", name="second")
    second.deploy(site("second"))
    eventually(lambda: len(server.client.list_alarms(project="boutique")) == 4, "the alarms of the new one")
    names = {each["name"] for each in server.client.list_alarms(project="boutique")}
    assert "mine" not in names
    assert server.visit("boutique.localhost", "/new").body == "second"
    eventually(lambda: _lines(server, "/new"), "the first line of the new one")
    eventually(
        lambda: (
            {"environment_requests", "instance_cpu_percent"} <= {each["name"] for each in _series(server)}
        ),
        "the metrics of the new one",
    )
    assert _lines(server, "said by the first") == _lines(server, "/old") == []
    assert not {"orders", "sayings"} & {each["name"] for each in _series(server)}
    answer = server.client.query_metrics(f"total(sum(environment_requests{OF_PROD}))", period=60)
    counted = sum(value for line in answer["lines"] for value in line["values"] if value is not None)
    assert counted < 10, "the visits of the first are not among them"
    server.client.delete_project("boutique")


@pytest.mark.timeout(300)
def test_a_terminated_environment_leaves_nothing_and_its_clone_everything(server: Product) -> None:
    work = WorkingCopy(server, "market", name="market")
    work.deploy(site("", answer=SAYING))
    client = server.client
    assert server.halage("env", "clone", "market", "prod", "copy").code == 0
    for name in ("prod", "copy"):
        client.create_log_filter(f"market.{name}/instances", "sayings", {"text": "said"})
        client.put_metrics("market", name, [{"name": "orders", "kind": "count", "value": 7}])
    eventually(lambda: server.visit("market.localhost").status == 200, "an answer")
    server.visit("copy.market.localhost")
    eventually(lambda: {"instances", "access"} <= set(_kept(server, "prod")["logs"]), "the lines of prod")
    eventually(lambda: len(_kept(server, "prod")["alarms"]) == 4, "its alarms")
    eventually(lambda: {"orders", "sayings"} <= set(_kept(server, "prod")["metrics"]), "its metrics")
    eventually(lambda: len(_kept(server, "copy")["alarms"]) == 4, "the alarms of its clone")
    kept = _kept(server, "copy")
    ended = server.halage("env", "terminate", "market", "prod", "--yes")
    assert ended.code == 0, ended.text
    assert not any(_kept(server, "prod").values()), _kept(server, "prod")
    now = _kept(server, "copy")
    assert all(set(kept[name]) <= set(now[name]) for name in kept), (kept, now)
    actions = [each["action"] for each in client.list_events(project="market", action="environment:T*")]
    assert sorted(actions) == ["environment:Terminate", "environment:Terminated"]
    client.delete_project("market")


def _kept(server: Product, environment: str) -> dict[str, list[str]]:
    """The names of what monitoring has of an environment."""
    client, place = server.client, f"market.{environment}"
    series = client.search_metrics("*", project="market", limit=500)["series"]
    return {
        "alarms": [
            each["name"]
            for each in client.list_alarms(project="market")
            if each["environment"] == environment
        ],
        "filters": [each["metric"] for each in client.list_log_filters("market") if place in each["group"]],
        "logs": [
            each["name"].partition("/")[2]
            for each in client.list_log_groups(project="market")
            if each["name"].startswith(f"{place}/") and each["lines"]
        ],
        "metrics": [each["name"] for each in series if each["dimensions"].get("environment") == environment],
    }


def _visit_until(server: Product, over: threading.Event) -> None:
    while not over.wait(0.01):
        server.visit("boutique.localhost", "/old")


def _lines(server: Product, text: str) -> list[Document]:
    return list(server.client.search_logs(GROUPS, {"text": text})["lines"])
