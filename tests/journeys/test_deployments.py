"""What visitors and developers see of deployments: nothing lost, the way back, variables, kept files."""

import hashlib
import json
import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from halage.cli.prober import Prober
from tests.product import Document, Product, WorkingCopy
from tests.sites import program, site, toml_of

RATE = 200


@pytest.fixture
def shop(server: Product, request: pytest.FixtureRequest) -> Iterator[WorkingCopy]:
    name = "shop-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:6]
    yield WorkingCopy(server, name)
    server.client.delete_project(name)


def prod(shop: WorkingCopy) -> str:
    return shop.server.visit(f"{shop.project}.localhost").body


@pytest.mark.timeout(300)
def test_ten_deployments_in_a_row_cost_no_request(server: Product, shop: WorkingCopy) -> None:
    toml = toml_of(instances=2)
    shop.deploy(site("version 0", toml=toml))
    prober = Prober("127.0.0.1", server.visitors_port, site=f"{shop.project}.localhost", rate=RATE)
    prober.start()
    try:
        for number in range(1, 11):
            shop.deploy(site(f"version {number}", toml=toml))
            assert prod(shop) == f"version {number}"
    finally:
        report = prober.stop()
    print(f"{report.sent} requests, p99 {report.latency_ms(0.99):.0f} ms")
    assert report.sent > RATE
    assert report.failed == 0, report.causes


def test_a_rollback_returns_to_the_last_good_release(server: Product, shop: WorkingCopy) -> None:
    shop.deploy(site("old"))
    shop.deploy(site("new"))
    assert prod(shop) == "new"
    deployment = server.until_deployment(server.client.roll_back_environment(shop.project, "prod")["id"])
    assert (deployment["state"], deployment["release"]["number"]) == ("succeeded", 1), deployment
    assert prod(shop) == "old"
    releases = server.client.list_releases(shop.project, "prod")
    assert {each["number"]: each["state"] for each in releases} == {1: "current", 2: "left"}
    # And there again, by number.
    again = server.client.roll_back_environment(shop.project, "prod", release=2)
    assert server.until_deployment(again["id"])["state"] == "succeeded"
    assert prod(shop) == "new"


def test_a_damaged_bundle_is_not_deployed(server: Product, shop: WorkingCopy) -> None:
    shop.deploy(site("old"))
    first = server.client.list_releases(shop.project, "prod")[0]
    shop.deploy(site("new"))
    # The unpacked release is gone from the disk, and its bundle is not what it was.
    releases = server.data / "sites" / shop.project / "prod" / "releases"
    assert not (releases / str(first["number"])).exists()
    digest = first["bundle_digest"].removeprefix("sha256:")
    bundle = server.data / "objects" / "sha256" / digest[:2] / digest
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 0xFF
    bundle.chmod(0o600)
    bundle.write_bytes(content)
    deployment = server.until_deployment(server.client.roll_back_environment(shop.project, "prod")["id"])
    assert deployment["state"] == "rolled_back", deployment
    assert "digest" in deployment["reason"] or "damaged" in deployment["reason"], deployment["reason"]
    assert prod(shop) == "new"


def test_a_changed_variable_comes_with_a_restart(server: Product, shop: WorkingCopy) -> None:
    answer = "(200, (os.environ.get('COLOUR', 'none') + ' ' + str(len(os.environ['KEY']))).encode())"
    files = site("", answer=answer)
    server.client.set_variable(shop.project, "prod", "KEY", "hunter2hunter2", is_secret=True)
    shop.deploy(files)
    assert prod(shop) == "none 14"
    server.client.set_variable(shop.project, "prod", "COLOUR", "blue", is_secret=False)
    assert prod(shop) == "none 14"
    before = server.serving_units(shop.project)
    restart = server.client.restart_environment(shop.project, "prod")
    assert server.until_deployment(restart["id"])["state"] == "succeeded"
    assert prod(shop) == "blue 14"
    assert not set(before) & set(server.serving_units(shop.project))
    # A release is code and configuration: the one before has no colour.
    back = server.client.roll_back_environment(shop.project, "prod")
    assert server.until_deployment(back["id"])["state"] == "succeeded"
    assert prod(shop) == "none 14"


def test_secrets_are_shown_nowhere(server: Product, shop: WorkingCopy) -> None:
    secret = "correct-horse-battery-staple"
    server.client.set_variable(shop.project, "prod", "KEY", secret, is_secret=True)
    # A test that knows it nevertheless does not print it either; the quotes keep it out of the repository.
    toml = toml_of(test=['echo the key is correct-horse-"battery-staple"'])
    run = shop.deploy(site("", toml=toml, answer="(200, os.environ['KEY'].encode())"))
    assert prod(shop) == secret
    assert "the key is [secret]" in server.console(run)

    client, project = server.client, shop.project
    answers: list[Document] = [
        client.show_project(project),
        client.show_environment(project, "prod"),
        *client.list_variables(project, "prod"),
        *client.list_deployments(project, "prod"),
        *client.list_releases(project, "prod"),
        *client.list_events(project=project),
        *client.read_logs(project, "prod"),
    ]
    assert secret not in json.dumps(answers)
    assert secret not in server.log.read_text()
    lines = [_command_line(pid) for pid in server.processes()]
    assert any("site_of_mine.py" in line for line in lines)
    assert not any(secret in line for line in lines)
    walked = os.walk(server.data)
    found = [Path(path, name) for path, _, names in walked for name in names]
    kept = [path for path in found if path.is_file() and not path.is_symlink()]
    assert [path for path in kept if secret.encode() in path.read_bytes()] == []


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


WRITES = """(lambda query: (
    open('kept/words', 'a').write(query + ';') and None if query else None,
    (200, (pathlib.Path('kept/words').read_text() + VERSION).encode()),
)[1])(path.partition('?')[2])"""


def test_what_a_site_keeps_is_there_in_each_release(server: Product, shop: WorkingCopy) -> None:
    toml = toml_of(run={"persistent": ["kept"]}, instances=2)

    def files(version: str) -> dict[str, str]:
        return {
            "halage.toml": toml,
            "site_of_mine.py": program("", before=f"VERSION = {version!r}", answer=WRITES.replace("\n", " ")),
            "kept/words": "first;",
        }

    def said(word: str = "") -> str:
        return server.visit(f"{shop.project}.localhost", "/?" + urllib.parse.quote(word)).body

    shop.deploy(files("v1"))
    assert said() == "first;v1"
    said("hello")
    assert {said() for _ in range(10)} == {"first;hello;v1"}
    shop.deploy(files("v2"))
    assert said() == "first;hello;v2"
    said("again")
    back = server.client.roll_back_environment(shop.project, "prod")
    assert server.until_deployment(back["id"])["state"] == "succeeded"
    assert said() == "first;hello;again;v1"
