"""SIGKILL of the control plane, again and again, while people push and visitors come."""

import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from halage.cli.prober import Prober
from tests.product import FINAL, FINAL_DEPLOYMENT, Document, Product, WorkingCopy, eventually
from tests.sites import site, toml_of

KILLS = 30
RATE = 200
SEED = 20_26
TOML = toml_of(
    build=['echo "$HALAGE_RUN" >> /cache/built', "sleep 0.3"],
    instances=2,
    run={"persistent": ["kept"], "release": 'echo "$HALAGE_RELEASE" >> kept/released'},
)


@pytest.fixture
def shop(server: Product) -> Iterator[WorkingCopy]:
    shop = WorkingCopy(server, "boutique")
    shop.deploy(site("version 0", toml=TOML))
    yield shop
    server.client.delete_project("boutique")


class Chaos:
    """Pushes, kills at moments that the seed gives, starts again; keeps what was pushed."""

    def __init__(self, server: Product, shop: WorkingCopy) -> None:
        self._server = server
        self._shop = shop
        self._random = random.Random(SEED)
        self.commits: list[str] = []

    def run(self) -> None:
        for number in range(1, KILLS + 1):
            self.commits.append(self._shop.commit(site(f"version {number}", toml=TOML)))
            push = self._begin_push()
            if self._random.random() < 0.7:
                push.wait()
                time.sleep(self._random.uniform(0.0, 1.6))
            else:
                time.sleep(self._random.uniform(0.0, 0.3))
            self._server.kill()
            push.wait()
            if self._random.random() < 0.2:
                # Once more, while it takes everything over.
                self._server.begin()
                time.sleep(self._random.uniform(0.0, 1.5))
                self._server.kill()
            self._server.start()
            if push.returncode != 0:
                again = self._shop.try_push()
                assert again.code == 0, again.text
            if self._random.random() < 0.3:
                eventually(lambda: self._server.run(self._shop.project)["state"] in FINAL, "the run to end")

    def _begin_push(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            ["git", "push", "--quiet", self._server.remote(self._shop.project), "main"],
            cwd=self._shop.path,
            env=self._server.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@pytest.mark.timeout(1800)
def test_thirty_kills_cost_nothing(server: Product, shop: WorkingCopy) -> None:
    chaos = Chaos(server, shop)
    prober = Prober("127.0.0.1", server.visitors_port, site="boutique.localhost", rate=RATE)
    prober.start()
    try:
        chaos.run()
        runs = eventually(lambda: _ended(server), "every run to end", within_s=120)
    finally:
        report = prober.stop()
    print(f"{report.sent} requests, p99 {report.latency_ms(0.99):.0f} ms")
    assert report.sent > RATE * 30
    assert report.failed == 0, report.causes

    _check_runs(server, chaos.commits, runs)
    _check_releases(server, runs)
    _check_machine(server)
    _check_steps(server, runs)


def _ended(server: Product) -> list[Document] | None:
    runs = server.client.list_runs("boutique", limit=200)
    deployments = server.client.list_deployments("boutique", "prod", limit=200)
    is_over = all(run["state"] in FINAL for run in runs) and all(
        deployment["state"] in FINAL_DEPLOYMENT for deployment in deployments
    )
    return runs if is_over else None


def _check_runs(server: Product, commits: list[str], runs: list[Document]) -> None:
    """Each push has one run; none failed: nothing was wrong but the control plane."""
    assert Counter(run["commit"] for run in runs[:-1]) == Counter(commits)
    assert {run["state"] for run in runs} <= {"succeeded", "superseded"}, json.dumps(runs, indent=1)
    newest = max(runs, key=lambda run: int(run["id"]))
    assert (newest["commit"], newest["state"]) == (commits[-1], "succeeded")
    assert {server.visit("boutique.localhost").body for _ in range(10)} == {f"version {KILLS}"}


def _check_releases(server: Product, runs: list[Document]) -> None:
    """What is recorded is what is served, and every release that was deployed is still there."""
    deployments = {each["id"]: each for each in server.client.list_deployments("boutique", "prod", limit=200)}
    assert {each["state"] for each in deployments.values()} <= {"succeeded", "superseded"}
    for run in runs:
        deployed = [stage["deployment_id"] for stage in run["stages"] if stage["name"] == "prod"]
        if run["state"] == "succeeded":
            deployment = deployments[deployed[0]]
            assert deployment["state"] == "succeeded"
            assert deployment["release"]["commit"] == run["commit"]
            assert deployment["release"]["state"] in ("current", "good", "retired")
    releases = server.client.list_releases("boutique", "prod")
    assert [each["state"] for each in releases].count("current") == 1
    kept = [each for each in releases if each["state"] in ("current", "good")]
    assert len(kept) >= min(5, sum(run["state"] == "succeeded" for run in runs))
    for each in kept:
        digest = each["bundle_digest"].removeprefix("sha256:")
        assert (server.data / "objects" / "sha256" / digest[:2] / digest).exists()


def _check_machine(server: Product) -> None:
    """Two instances, the ones that the API shows; no job, no release command, no workspace is left."""

    def settled() -> bool:
        shown = server.client.show_environment("boutique", "prod")
        return bool(shown["colour"] == "green" and shown["serving"] == len(shown["instances"]) == 2)

    eventually(settled, "the environment to be green")
    serving = server.serving_units("boutique")
    assert len(serving) == 2
    eventually(lambda: set(server.leaders()) == set(serving), f"only {set(serving)} to live")
    sessions = Counter(
        (environment["HALAGE_UNIT"], os.getsid(pid))
        for pid, environment in server.processes().items()
        if "HALAGE_UNIT" in environment
    )
    assert len(sessions) == 2, sessions
    assert len({os.getpgid(pid) for pid in server.balancer_pids()}) == 1
    units = {path.name for path in (server.data / "units").iterdir() if not path.name.startswith("i-")}
    assert units == set()
    assert list((server.data / "work" / "boutique").iterdir()) == []


def _check_steps(server: Product, runs: list[Document]) -> None:
    """A kill of the control plane cuts no step off: each ran once."""
    built = Counter(_lines(server.data / "cache" / "boutique" / "built"))
    assert built == Counter(str(run["id"]) for run in runs)
    released = Counter(
        _lines(server.data / "sites" / "boutique" / "prod" / "persistent" / "kept" / "released")
    )
    assert set(released.values()) == {1}, released
    numbers = {
        str(each["release"]["number"])
        for each in server.client.list_deployments("boutique", "prod", limit=200)
        if each["state"] == "succeeded"
    }
    assert set(released) >= numbers


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()
