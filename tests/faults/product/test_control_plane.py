"""SIGKILL of the control plane, a hundred times, while it deploys by every policy, scales, and builds."""

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

KILLS = 100
RATE = 30
"""Requests per second to each environment."""
POLICIES = {
    "additional": "rolling_additional",
    "together": "all_at_once",
    "rolling": "rolling",
    "immutable": "immutable",
    "canary": "canary",
    "colours": "blue_green",
}
"""By the environment that is deployed so."""
INSTANCES = 2


def _toml() -> str:
    common = toml_of(
        build=['echo "$HALAGE_RUN" >> /cache/built', "sleep 0.3"],
        flow=["test", *POLICIES],
        run={"persistent": ["kept"], "release": 'echo "$HALAGE_RELEASE" >> kept/released'},
    )
    return common.partition("[environments.prod]")[0] + "".join(
        f"""\
[environments.{name}]
approval = false
instances = {INSTANCES}
type = "small"
health = {{ interval = 0.5, timeout = 3, fall = 3, rise = 1 }}
deployments = {{ policy = "{policy}", keep_old = 1, canary = {{ percent = 20, duration = 1 }} }}
"""
        for name, policy in POLICIES.items()
    )


TOML = _toml()


@pytest.fixture
def shop(server: Product) -> Iterator[WorkingCopy]:
    shop = WorkingCopy(server, "boutique")
    shop.deploy(site("version 0", toml=TOML))
    yield shop
    server.client.delete_project("boutique")


class Chaos:
    """Deploys, scales and pushes, kills at moments that the seed gives, starts again."""

    def __init__(self, server: Product, shop: WorkingCopy, seed: int) -> None:
        self._server = server
        self._shop = shop
        self._random = random.Random(seed)
        self._push: subprocess.Popen[bytes] | None = None
        self.commits: list[str] = []
        """What was pushed, or is to be."""
        self.wanted = dict.fromkeys(POLICIES, INSTANCES)
        self.begun: Counter[str] = Counter()
        """How often what was asked for."""

    def run(self) -> None:
        for _ in range(KILLS):
            if self._random.random() < 0.75:
                self._ask()
                time.sleep(self._random.uniform(0.0, 0.9))
                self._server.kill()
                self._server.begin()
            else:  # while it takes everything over
                time.sleep(self._random.uniform(0.0, 1.5))
                self._server.kill()
                self._server.begin()
        self._ask()
        self._finish_push()

    def _ask(self) -> None:
        """As soon as it answers: something new of each environment that has nothing to do."""
        self._server.await_answer()
        self._finish_push()
        is_calm = self._server.run(self._shop.project)["state"] in FINAL
        if is_calm and self._random.random() < 0.2:
            self._begin_push()
        for name in POLICIES:
            if self._random.random() < 0.4:
                self._scale(name)
            # A restart takes the place of what a run waits to deploy.
            if is_calm and self._push is None and self._is_idle(name):
                self._server.client.restart_environment(self._shop.project, name)
                self.begun[name] += 1

    def _scale(self, name: str) -> None:
        to = self._random.choice([number for number in (2, 3, 4) if number != self.wanted[name]])
        self._server.client.scale_environment(self._shop.project, name, to)
        self.begun["out" if to > self.wanted[name] else "in"] += 1
        self.wanted[name] = to

    def _is_idle(self, name: str) -> bool:
        (newest,) = self._server.client.list_deployments(self._shop.project, name, limit=1)
        return newest["state"] in FINAL_DEPLOYMENT

    def _begin_push(self) -> None:
        self.commits.append(self._shop.commit(site(f"version {len(self.commits) + 1}", toml=TOML)))
        self.begun["push"] += 1
        self._push = subprocess.Popen(
            ["git", "push", "--quiet", self._server.remote(self._shop.project), "main"],
            cwd=self._shop.path,
            env=self._server.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _finish_push(self) -> None:
        """A push that was cut off is made again."""
        if self._push is not None and self._push.wait() != 0:
            again = self._shop.try_push()
            assert again.code == 0, again.text
        self._push = None


@pytest.mark.timeout(900)
def test_a_hundred_kills_cost_nothing(server: Product, shop: WorkingCopy) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chaos = Chaos(server, shop, seed)
    hosts = [f"{name}.boutique.localhost" for name in POLICIES]
    probers = [Prober("127.0.0.1", server.visitors_port, site=host, rate=RATE) for host in hosts]
    for prober in probers:
        prober.start()
    began = time.monotonic()
    try:
        chaos.run()
        runs = eventually(lambda: _ended(server), "everything to end", within_s=120)
    finally:
        reports = [prober.stop() for prober in probers]
    sent = sum(report.sent for report in reports)
    print(f"{KILLS} kills in {time.monotonic() - began:.0f} s, {dict(chaos.begun)}, {sent} requests")
    assert all(report.failed == 0 for report in reports), [report.causes for report in reports]
    assert all(chaos.begun[what] > 0 for what in (*POLICIES, "out", "in", "push"))

    _check_runs(server, chaos.commits, runs)
    for name in POLICIES:
        _check_environment(server, name, chaos.wanted[name], len(chaos.commits))
    _check_machine(server, sum(chaos.wanted.values()))
    _check_steps(server, runs)


def _ended(server: Product) -> list[Document] | None:
    runs = server.client.list_runs("boutique", limit=200)
    is_over = all(run["state"] in FINAL for run in runs) and all(
        deployment["state"] in FINAL_DEPLOYMENT
        for name in POLICIES
        for deployment in server.client.list_deployments("boutique", name, limit=200)
    )
    return runs if is_over else None


def _check_runs(server: Product, commits: list[str], runs: list[Document]) -> None:
    """Each push has one run; none failed: nothing was wrong but the control plane."""
    assert Counter(run["commit"] for run in runs[:-1]) == Counter(commits)
    assert {run["state"] for run in runs} <= {"succeeded", "superseded"}, json.dumps(runs, indent=1)
    newest = max(runs, key=lambda run: int(run["id"]))
    assert (newest["commit"], newest["state"]) == (commits[-1], "succeeded")


def _check_environment(server: Product, name: str, wanted: int, version: int) -> None:
    """As many instances as are wanted, all of the release that is current; every kept one is still there."""

    def settled() -> Document | None:
        shown = server.client.show_environment("boutique", name)
        is_whole = shown["serving"] == len(shown["instances"]) == wanted
        return shown if shown["colour"] == "green" and is_whole else None

    shown = eventually(settled, f"{name} to be green with {wanted} instances")
    deployments = server.client.list_deployments("boutique", name, limit=200)
    assert {each["state"] for each in deployments} <= {"succeeded", "superseded"}, deployments
    releases = server.client.list_releases("boutique", name)
    (current,) = [each for each in releases if each["state"] == "current"]
    assert {each["release_number"] for each in shown["instances"]} == {current["number"]}
    assert {server.visit(f"{name}.boutique.localhost").body for _ in range(10)} == {f"version {version}"}
    for each in releases:
        if each["state"] in ("current", "good"):
            digest = each["bundle_digest"].removeprefix("sha256:")
            assert (server.data / "objects" / "sha256" / digest[:2] / digest).exists()


def _check_machine(server: Product, wanted: int) -> None:
    """The instances that the API shows, each once; no job, no release command, no workspace is left."""
    serving = {unit for name in POLICIES for unit in server.serving_units("boutique", name)}
    assert len(serving) == wanted
    eventually(lambda: set(server.leaders()) == serving, f"only {serving} to live")
    sessions = {
        (environment["HALAGE_UNIT"], os.getsid(pid))
        for pid, environment in server.processes().items()
        if "HALAGE_UNIT" in environment
    }
    assert len(sessions) == wanted, sessions
    assert len({os.getpgid(pid) for pid in server.balancer_pids()}) == 1
    units = {path.name for path in (server.data / "units").iterdir() if not path.name.startswith("i-")}
    assert units == set()
    assert list((server.data / "work" / "boutique").iterdir()) == []


def _check_steps(server: Product, runs: list[Document]) -> None:
    """A kill of the control plane cuts no step off: each ran once."""
    built = Counter(_lines(server.data / "cache" / "boutique" / "built"))
    assert built == Counter(str(run["id"]) for run in runs)
    for name in POLICIES:
        released = Counter(
            _lines(server.data / "sites" / "boutique" / name / "persistent" / "kept" / "released")
        )
        assert set(released.values()) == {1}, released
        numbers = {
            str(each["release"]["number"])
            for each in server.client.list_deployments("boutique", name, limit=200)
            if each["state"] == "succeeded"
        }
        assert set(released) >= numbers


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()
