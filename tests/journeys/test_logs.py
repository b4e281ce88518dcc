"""Logs of a real site: tailed over two instances, searched, counted, made a metric of, kept so long."""

import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.ports import unused_port
from tests.product import HALAGE, PATIENCE_S, Product, WorkingCopy, eventually, product
from tests.sites import site, toml_of

SHOP = "shop"
HOST = f"{SHOP}.localhost"
INSTANCES, ACCESS = f"{SHOP}.prod/instances", f"{SHOP}.prod/access"
BEFORE = """\
import base64, json


def page_of(path):
    if path == "/":
        return b""
    if path.startswith("/flood/"):
        for _ in range(int(path.rpartition("/")[2])):
            print(base64.b64encode(os.urandom(48 * 1024)).decode())
        print("the flood is over", flush=True)
        return b"over"
    level = "error" if "fail" in path else "info"
    print(json.dumps({"level": level, "path": path, "instance": os.environ["PORT"], "user": {"id": 7}}))
    print("plain words about", path, flush=True)
    return os.environ["PORT"].encode()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Product]:
    """A server with a site whose two instances print what they are asked for."""
    with product(unused_port(), unused_port()) as one:
        shop = WorkingCopy(one, SHOP)
        toml = toml_of(instances=2, test=("echo testing the shop",))
        shop.deploy(site("", toml=toml, before=BEFORE, answer="(200, page_of(path))"))
        yield one


def visit_both(server: Product, path: str) -> set[str]:
    """Visit until both instances have answered; which did."""
    answered: set[str] = set()

    def visit() -> bool:
        answered.add(server.visit(HOST, path).body)
        return len(answered) == 2

    eventually(visit, "answers of both instances")
    return answered


def found(server: Product, group: str, **conditions: Any) -> list[dict[str, Any]]:
    """The lines that are found, newest first."""
    return list(server.client.search_logs([group], conditions, limit=1000)["lines"])


def printed(server: Product, *words: str) -> str:
    done = server.halage(*words)
    assert done.code == 0, done.text
    return done.text


@pytest.mark.timeout(300)
def test_lines_of_both_instances_are_tailed_searched_and_counted(server: Product) -> None:
    environment = {**server.environment(), "HALAGE_URL": server.url, "HALAGE_TOKEN": server.token}
    command = [HALAGE, "logs", "-f", SHOP, "prod", "--lines", "1", "--not", "GET", "-o", "json"]
    tail = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert tail.stdout is not None
        server.visit(HOST, "/begin")
        streams: set[str] = set()
        assert tail.stdout.readline(), "it follows from here on"
        ports = visit_both(server, "/basket")
        while len(streams) < 2:
            heard = json.loads(tail.stdout.readline())
            assert heard["group"] in (INSTANCES, ACCESS)
            if heard["text"] == "plain words about /basket":
                streams.add(heard["stream"])
    finally:
        tail.send_signal(signal.SIGINT)
        tail.communicate(timeout=PATIENCE_S)
    assert tail.returncode == 130

    visit_both(server, "/fail")
    eventually(lambda: len(found(server, INSTANCES, text="about /fail")) >= 2, "the lines to be kept")
    by_field = found(server, INSTANCES, field=["level=error", "user.id=7", "path~fai"])
    assert {json.loads(line["text"])["instance"] for line in by_field} == ports
    assert found(server, INSTANCES, field=["user.id=8"]) == []
    assert {line["stream"] for line in by_field} == streams
    total = len(found(server, INSTANCES, text="plain words"))
    counts = json.loads(
        printed(server, "logs", SHOP, "prod", "-s", "plain words", "--count", "1m", "-o", "json")
    )
    assert sum(counts["counts"]) == total
    shown = printed(server, "logs", SHOP, "--field", "level=error", "-n", "1")
    assert " prod i-" in shown and '"path": "/fail"' in shown

    file = server.directory / "basket.jsonl"
    printed(server, "log", "export", str(file), SHOP, "prod", "-s", "about /basket", "-g", "instances")
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert {line["stream"] for line in kept} == streams


def test_builds_the_balancer_and_halage_itself_have_groups(server: Product) -> None:
    printed(server, "logs", SHOP, "--group", "builds")
    assert found(server, f"{SHOP}/builds")[0]["text"] == "testing the shop"
    server.visit(HOST, "/access-please")
    visits = eventually(lambda: found(server, ACCESS, text="/access-please"), "the access log")
    assert visits[0]["stream"].startswith("i-")
    assert found(server, ACCESS, field=["status=200", "path=/access-please"]) == visits
    own = json.loads(
        printed(server, "logs", "--group", "halage", "--field", "status=200", "-n", "1", "-o", "json")
    )
    assert json.loads(own[0]["text"])["action"]
    listed = printed(server, "log", "groups")
    assert {line.split()[0] for line in listed.splitlines()} == {
        "group",
        "halage",
        INSTANCES,
        ACCESS,
        f"{SHOP}/builds",
    }


@pytest.mark.timeout(300)
def test_a_filter_makes_a_metric_of_lines(server: Product) -> None:
    server.visit(HOST, "/fail")  # before the filter: not counted
    eventually(lambda: found(server, INSTANCES, field=["path=/fail"]), "the line")
    printed(server, "log", "filter", "create", INSTANCES, "failures", "--field", "level=error")
    for _ in range(5):
        server.visit(HOST, "/fail")

    def counted() -> bool:
        since = ["metric", "query", f'sum(failures{{project="{SHOP}"}})', "--since", "10m", "-o", "json"]
        lines = json.loads(printed(server, *since))["lines"]
        return bool(lines) and sum(value or 0 for value in lines[0]["values"]) >= 5

    eventually(counted, "the metric", within_s=60)
    listed = json.loads(printed(server, "log", "filter", "list", SHOP, "-o", "json"))
    printed(server, "log", "filter", "delete", str(listed[0]["id"]))


@pytest.mark.timeout(300)
def test_lines_are_kept_so_large_and_so_long(server: Product) -> None:
    """16 MiB is the least that can be set; what is random cannot be made smaller than 3 of 4 bytes."""
    server.visit(HOST, "/first")
    eventually(lambda: found(server, INSTANCES, field=["path=/first"]), "the first line")
    for flood in (1, 2):  # more than 32 MiB at once would cost the site its own lines
        assert server.visit(HOST, "/flood/350").body == "over"
        eventually(lambda: len(_ends(server)) == flood, "the end of the flood", within_s=120)  # noqa: B023
    written = sum(group["size_bytes"] for group in server.client.list_log_groups())
    assert written > 38 * 1024**2
    eventually(lambda: file_size(server) > 26 * 1024**2, "the lines to be in the file")

    restart(server, HALAGE_LOGS_KEEP_MIB="16")
    eventually(lambda: not found(server, INSTANCES, field=["path=/first"]), "the oldest lines to be gone")
    assert _ends(server), "the newest stay"
    # Beside the lines 8 MiB are kept for what comes next; the write-ahead log is a file of its own.
    eventually(lambda: file_size(server) < 26 * 1024**2, "the disk to be given back")

    restart(server, HALAGE_LOGS_KEEP_DAYS="0.00001")
    eventually(lambda: not _ends(server), "old lines to be gone")


def _ends(server: Product) -> list[dict[str, Any]]:
    return found(server, INSTANCES, text="the flood is over")


def restart(server: Product, **settings: str) -> None:
    server.stop()
    server.settings = settings
    server.start()


def file_size(server: Product) -> int:
    return (server.data / "logs" / "logs.db").stat().st_size
