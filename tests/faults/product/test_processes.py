"""SIGKILL of what outlives the control plane: an instance, HAProxy."""

import contextlib
import http.client
import os
import re
import signal
import statistics
import time
from collections.abc import Iterator

import pytest

from halage.cli.prober import Prober
from tests.product import Document, Product, WorkingCopy, eventually
from tests.sites import site, toml_of

KILLS_OF_HAPROXY = 5


@pytest.fixture(scope="module")
def shop(server: Product) -> Iterator[WorkingCopy]:
    shop = WorkingCopy(server, "boutique")
    shop.deploy(site("hello", toml=toml_of(instances=2)))
    yield shop
    server.client.delete_project("boutique")


def is_green(server: Product) -> Document | None:
    shown = server.client.show_environment("boutique", "prod")
    is_well = shown["colour"] == "green" and shown["serving"] == 2
    return shown if is_well and {each["state"] for each in shown["instances"]} == {"serving"} else None


def test_the_death_of_an_instance_costs_no_request(server: Product, shop: WorkingCopy) -> None:
    eventually(lambda: is_green(server), "the environment to be green")
    prober = Prober("127.0.0.1", server.visitors_port, site="boutique.localhost", rate=200)
    prober.start()
    try:
        for _ in range(3):
            before = server.serving_units("boutique")
            victim, leader = sorted(before.items())[0]
            os.killpg(leader, signal.SIGKILL)
            eventually(lambda: victim not in server.serving_units("boutique"), "the death to be seen")  # noqa: B023
            eventually(lambda: is_green(server), "a replacement")
            after = server.serving_units("boutique")
            assert len(after) == 2 and victim not in after
            assert len(set(before) & set(after)) == 1, "the other one was left alone"
    finally:
        report = prober.stop()
    assert report.sent > 200
    assert report.failed == 0, report.causes
    restarts = [
        each for each in server.client.list_events(project="boutique") if "RestartInstance" in each["action"]
    ]
    assert len(restarts) == 3
    assert all("signal 9" in each["details"]["reason"] for each in restarts), restarts


GLUTTON = "(HELD.append(b'x' * 800_000_000) if path == '/eat' else 0, (200, b'hello'))[1]"
"""Whoever is asked for /eat wants more memory than its type has."""
SLOW_BOOT = "import time; time.sleep(4); HELD = []"
"""So long that its health is looked at before it serves again."""


def test_one_that_eats_its_memory_is_killed_named_with_its_limit_and_started_again(
    server: Product, shop: WorkingCopy
) -> None:
    glutton = WorkingCopy(server, "glutton")
    glutton.deploy(site("", toml=toml_of(instances=2), answer=GLUTTON, before=SLOW_BOOT))
    try:
        eater = server.client.show_environment("glutton", "prod")["instances"][0]
        with contextlib.suppress(OSError, http.client.HTTPException):  # it dies of the request
            connection = http.client.HTTPConnection(eater["address"], eater["port"], timeout=20)
            connection.request("GET", "/eat")
            if connection.getresponse().status == 200:
                pytest.skip("memory cannot be limited here")

        def restart() -> Document | None:
            events = server.client.list_events(project="glutton")
            return next((each for each in events if "RestartInstance" in each["action"]), None)

        event = eventually(restart, "the death in the journal")
        assert event["details"]["instance"] == eater["id"]
        assert re.fullmatch(
            r"was killed: it used more than its \d+ MiB of memory", event["details"]["reason"]
        ), event

        def show() -> Document:
            return server.client.show_environment("glutton", "prod")

        def told() -> Document | None:
            spans = server.client.list_health_history("glutton", "prod")
            words = [cause["text"] for span in spans for cause in span["causes"]]
            return {"spans": spans} if any("used more than its" in each for each in words) else None

        eventually(told, "the cause in the history of its health")
        shown = eventually(
            lambda: found if (found := show())["serving"] == 2 else None,
            "it to serve again",
        )
        again = next(each for each in shown["instances"] if each["id"] == eater["id"])
        assert again["attempt"] == eater["attempt"] + 1
    finally:
        server.client.delete_project("glutton")


def test_haproxy_comes_back_with_what_it_served(server: Product, shop: WorkingCopy) -> None:
    eventually(lambda: is_green(server), "the environment to be green")
    instances = server.serving_units("boutique")
    away_s = []
    for _ in range(KILLS_OF_HAPROXY):
        pids = server.balancer_pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # a worker goes with its master
                os.kill(pid, signal.SIGKILL)
        begin = time.monotonic()
        eventually(lambda: server.visit("boutique.localhost").body == "hello", "HAProxy to be back")
        away_s.append(time.monotonic() - begin)
        assert not set(pids) & set(server.balancer_pids())
        eventually(lambda: is_green(server), "the environment to be green")
    print(f"HAProxy was away for {statistics.median(away_s):.2f} s (median), {max(away_s):.2f} s at most")
    assert server.serving_units("boutique") == instances


def test_haproxy_that_died_without_a_control_plane_is_back_with_it(
    server: Product, shop: WorkingCopy
) -> None:
    eventually(lambda: is_green(server), "the environment to be green")
    instances = server.serving_units("boutique")
    server.kill()
    for pid in server.balancer_pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert server.visit("boutique.localhost").status == 0
    server.start()
    eventually(lambda: server.visit("boutique.localhost").body == "hello", "HAProxy to be back")
    assert server.serving_units("boutique") == instances
