"""What becomes of runs: overtaken, cancelled, red, retried."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.product import Product, WorkingCopy, eventually
from tests.sites import site, toml_of


@pytest.fixture
def shop(server: Product, request: pytest.FixtureRequest) -> Iterator[WorkingCopy]:
    name = request.node.name.removeprefix("test_").replace("_", "-")[:40].strip("-")
    yield WorkingCopy(server, name)
    server.client.delete_project(name)


def test_a_newer_run_supersedes_one_that_waits(server: Product, shop: WorkingCopy) -> None:
    toml = toml_of(flow=("test", "approval", "prod"))
    shop.commit(site("first", toml=toml))
    older = shop.push("-o", "wait")
    assert server.until_run(older["id"], "waiting")["reason"] == "waits for an approval of prod"
    shop.commit(site("second", toml=toml))
    newer = shop.push("-o", "wait")
    older = server.until_run(older["id"])
    assert older["state"] == "superseded"
    assert f"superseded by run {newer['id']}" in older["reason"]
    refused = server.halage("approve", shop.project, str(older["id"]))
    assert refused.code == 1 and "superseded" in refused.text
    server.client.approve_run(newer["id"], comment="go")
    assert server.until_run(newer["id"])["state"] == "succeeded"
    assert server.visit(f"{shop.project}.localhost").body == "second"


def test_a_cancelled_run_leaves_no_process_and_can_be_retried(server: Product, shop: WorkingCopy) -> None:
    # A whole tree of processes, one in a session of its own and deaf to SIGTERM.
    tree = "setsid sh -c 'trap \"\" TERM; sleep 3600' & sleep 3600 & echo ready; wait"
    toml = toml_of(test=[f"test -e /cache/again || {{ touch /cache/again; {tree}; }}"])
    shop.commit(site("hello", toml=toml))
    run = shop.push()
    running = server.until_run(run["id"], "running")
    eventually(lambda: "ready" in server.console(server.client.show_run(running["id"])), "the tree to run")
    tree_pids = sleepers(server)
    assert len(tree_pids) == 2

    server.client.cancel_run(run["id"])
    run = server.until_run(run["id"])
    assert (run["state"], run["reason"]) == ("cancelled", "cancelled by admin")
    eventually(lambda: not sleepers(server), "the tree to be gone")
    job = next(stage for stage in run["stages"] if stage["name"] == "test")["job_id"]
    eventually(lambda: server.client.show_job(job)["state"] == "cancelled", "the job to be cancelled")
    assert server.visit(f"{shop.project}.localhost").status == 503

    server.client.retry_run(run["id"])
    assert server.until_run(run["id"])["state"] == "succeeded"
    assert server.visit(f"{shop.project}.localhost").body == "hello"


def sleepers(server: Product) -> list[int]:
    return [pid for pid in server.processes() if _arguments(pid) == ["sleep", "3600"]]


def _arguments(pid: int) -> list[str]:
    try:
        return [os.fsdecode(word) for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if word]
    except OSError:
        return []


def test_a_red_test_deploys_nothing(server: Product, shop: WorkingCopy) -> None:
    shop.deploy(site("good"))
    shop.commit(site("bad", toml=toml_of(test=["echo so far so good", "echo bonjour is not hello; exit 3"])))
    pushed = shop.try_push("-o", "wait")
    assert pushed.code == 0  # git's own work is done: the commit is there
    assert "test FAILED" in pushed.text
    assert "`echo bonjour is not hello; exit 3` exited with code 3" in pushed.text, pushed.text
    run = server.until_run(server.run(shop.project)["id"])
    assert run["state"] == "failed"
    assert "bonjour is not hello" in server.console(run)
    assert [each["number"] for each in server.client.list_releases(shop.project, "prod")] == [1]
    assert server.visit(f"{shop.project}.localhost").body == "good"
