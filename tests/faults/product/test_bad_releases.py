"""Releases that do not come up: rolled back with a cause that names itself, while the old one serves."""

import re
from collections.abc import Iterator

import pytest

from halage.cli.prober import Prober
from tests.product import Document, Product, WorkingCopy
from tests.sites import site, toml_of

URL = r"http://127\.\d+\.\d+\.\d+:\d+/"
TOML = toml_of(run={"boot_timeout": 4}, instances=2)


@pytest.fixture(scope="module")
def shop(server: Product) -> Iterator[WorkingCopy]:
    shop = WorkingCopy(server, "boutique")
    shop.deploy(site("good", toml=TOML))
    yield shop
    server.client.delete_project("boutique")


def push_bad(shop: WorkingCopy, files: dict[str, str]) -> tuple[str, Document, str]:
    """Push a release that must not come up: what git said, the deployment, and the cause."""
    server = shop.server
    before = server.client.list_releases("boutique", "prod")
    units = server.serving_units("boutique")
    prober = Prober("127.0.0.1", server.visitors_port, site="boutique.localhost", rate=100)
    prober.await_text("bad")
    prober.start()
    try:
        shop.commit(files)
        pushed = shop.try_push("-o", "wait").text
        run = server.until_run(server.run("boutique")["id"])
    finally:
        report = prober.stop()
    assert report.sent > 10 and report.failed == 0, report.causes
    assert report.first_new_at is None, "a visitor saw the bad release"
    assert run["state"] == "failed", run
    stage = next(stage for stage in run["stages"] if stage["name"] == "prod")
    deployment = server.client.show_deployment(stage["deployment_id"])
    assert deployment["state"] == "rolled_back"
    assert deployment["reason"] == stage["reason"] == run["reason"]
    assert server.serving_units("boutique") == units
    assert set(server.leaders()) == set(units)
    assert server.visit("boutique.localhost").body == "good"
    releases = server.client.list_releases("boutique", "prod")
    assert [each["state"] for each in releases if each["number"] > before[0]["number"]] == ["failed"]
    assert server.client.show_environment("boutique", "prod")["colour"] == "green"
    return pushed, deployment, deployment["reason"]


def test_one_that_exits_at_its_start(shop: WorkingCopy) -> None:
    before = "print('no database at db.example', flush=True)\nprint('giving up', flush=True)\nsys.exit(3)"
    pushed, deployment, reason = push_bad(shop, site("bad", toml=TOML, before=before))
    assert re.search(r"exited with code 3 \d+\.\d s after its start", reason), reason
    assert deployment["log_tail"].splitlines()[-2:] == ["no database at db.example", "giving up"]
    assert reason in pushed
    assert "giving up" in pushed, pushed
    assert "giving up" in shop.server.halage("run", "show", str(deployment["run_id"])).text


def test_one_that_never_answers(shop: WorkingCopy) -> None:
    before = "print('waiting for a lock', flush=True)\ntime.sleep(3600)"
    pushed, deployment, reason = push_bad(shop, site("bad", toml=TOML, before=before))
    assert re.search(rf"gave no good answer to GET {URL} within \d+\.\d s: connection refused", reason), (
        reason
    )
    assert deployment["log_tail"].splitlines()[-1] == "waiting for a lock"
    assert "waiting for a lock" in pushed, pushed


def test_one_that_takes_connections_and_never_answers(shop: WorkingCopy) -> None:
    pushed, _, reason = push_bad(shop, site("bad", toml=TOML, answer="time.sleep(3600)"))
    assert re.search(rf"gave no good answer to GET {URL} within \d+\.\d s: no answer within 4 s", reason), (
        reason
    )
    assert reason in pushed


def test_one_that_answers_500(shop: WorkingCopy) -> None:
    answer = "(print('KeyError: boats', flush=True), (500, b'bad'))[1]"
    pushed, deployment, reason = push_bad(shop, site("bad", toml=TOML, answer=answer))
    assert re.search(rf"GET {URL} within \d+\.\d s: it answered 500 Internal Server Error", reason), reason
    assert deployment["log_tail"].splitlines()[-1] == "KeyError: boats"
    assert "KeyError: boats" in pushed, pushed


def test_one_whose_release_command_fails(shop: WorkingCopy) -> None:
    toml = toml_of(instances=2, run={"release": "echo the schema is locked; exit 7"})
    pushed, deployment, reason = push_bad(shop, site("bad", toml=toml))
    assert reason == "the release command `echo the schema is locked; exit 7` exited with code 7"
    assert "the schema is locked" in deployment["log_tail"]
    assert "the schema is locked" in pushed, pushed


def test_one_that_is_slow_but_in_time(shop: WorkingCopy) -> None:
    server = shop.server
    prober = Prober("127.0.0.1", server.visitors_port, site="boutique.localhost", rate=100)
    prober.start()
    try:
        slow = toml_of(run={"boot_timeout": 60}, instances=2)
        run = shop.deploy(site("slow", toml=slow, before="time.sleep(5)"))
    finally:
        report = prober.stop()
    assert run["state"] == "succeeded"
    assert report.failed == 0, report.causes
    assert server.visit("boutique.localhost").body == "slow"
