"""A metric with a million values of a dimension, by each way in: refused with a reason, and forgotten."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from halage.client import ProblemError
from tests.ports import unused_port
from tests.product import Document, Product, WorkingCopy, eventually, product
from tests.sites import site, toml_of

VALUES = 1_000_000
AT_ONCE = 1000
SERIES = 500
"""The limit of an environment (`metrics.series_per_environment`)."""
MEMORY_MIB = 400

# It sends a million metrics when it is asked to, and shows as many where metrics are taken from.
BEFORE = f"""\
import socket, threading
SENT = [0]
STATE = {{"shows": False}}


def send():
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    key = os.environ["HALAGE_STATSD_KEY"]
    at = os.environ["HALAGE_STATSD_HOST"], int(os.environ["HALAGE_STATSD_PORT"])
    for first in range(0, {VALUES}, 20):
        lines = [f"{{key}}.sent:1|c|#visitor:{{number}}" for number in range(first, first + 20)]
        door.sendto("\\n".join(lines).encode(), at)
    SENT[0] += 1


def act(path):
    if path == "/send":
        threading.Thread(target=send, daemon=True).start()
    if path == "/shows":
        STATE["shows"] = True
    if path == "/metrics" and STATE["shows"]:
        return 200, b"".join(b'shown{{visitor="%d"}} 1\\n' % number for number in range({VALUES}))
    return 200, str(SENT[0]).encode()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Product]:
    settings = {"HALAGE_METRICS_STATSD": f"127.0.0.1:{unused_port()}"}
    with product(unused_port(), unused_port(), settings=settings) as one:
        yield one


@pytest.fixture(scope="module")
def shop(server: Product) -> Iterator[WorkingCopy]:
    shop = WorkingCopy(server, "boutique")
    toml = toml_of(run={"metrics": "/metrics"})
    shop.deploy(site("", toml=toml, before=BEFORE, answer="act(path)"))
    yield shop
    server.client.delete_project("boutique")


def _intake(server: Product) -> Document:
    found = server.client.show_metric_intake()["environments"]
    return next((each for each in found if each["environment"] == "prod"), {"series": 0, "refused": []})


def _refused(server: Product, reason: str) -> Document | None:
    return next((each for each in _intake(server)["refused"] if each["reason"] == reason), None)


def _peak_memory_mib(server: Product) -> float:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def _check(server: Product) -> None:
    assert _intake(server)["series"] <= SERIES
    assert server.visit("boutique.localhost").status == 200
    found = server.client.search_metrics("*", project="boutique", environment="prod", limit=200)
    assert found["found"] < SERIES + 100, "its own, and those that Halage measures"
    memory_mib = _peak_memory_mib(server)
    print(f"{memory_mib:.0f} MiB of memory at most")
    assert memory_mib < MEMORY_MIB


@pytest.mark.timeout(300)
def test_put_by_the_api(server: Product, shop: WorkingCopy) -> None:
    refused = kept = 0
    for first in range(0, VALUES // 10, AT_ONCE):  # a tenth of them: each batch is refused whole
        metrics = [
            {"name": "put", "kind": "count", "value": 1, "dimensions": {"visitor": str(number)}}
            for number in range(first, first + (SERIES // 2 if first == 0 else AT_ONCE))
        ]
        try:
            server.client.put_metrics("boutique", "prod", metrics)
            kept += 1
        except ProblemError as error:
            assert "metrics.series_per_environment" in str(error), error
            refused += 1
    assert (kept, refused) == (1, VALUES // 10 // AT_ONCE - 1)
    _check(server)


@pytest.mark.timeout(300)
def test_sent_over_statsd(server: Product, shop: WorkingCopy) -> None:
    assert server.visit("boutique.localhost", "/send").status == 200
    eventually(lambda: server.visit("boutique.localhost").body == "1", "a million to be sent", within_s=120)
    found = eventually(lambda: _refused(server, "series_limit"), "what was refused to be told")
    assert "metrics.series_per_environment" in found["message"]
    _check(server)


@pytest.mark.timeout(300)
def test_scraped_from_an_instance(server: Product, shop: WorkingCopy) -> None:
    assert server.visit("boutique.localhost", "/shows").status == 200
    found = eventually(lambda: _refused(server, "scrape"), "what was refused to be told")
    assert "Scraping" in found["message"]
    _check(server)
