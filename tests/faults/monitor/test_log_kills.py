"""The control plane is killed while lines come in: what sites print and visitors ask is kept, once."""

import random
import re
import threading
import time
from collections import Counter

import pytest

from tests.product import Product, WorkingCopy, eventually
from tests.product_fixtures import log_of_a_failing_test, server
from tests.sites import site

__all__ = ["log_of_a_failing_test", "server"]
KILLS = 20
ANSWER = "(print('visit', path, flush=True), (200, b'hello'))[1] if path != '/' else (200, b'well')"


class Visitors:
    """Numbered visits, as fast as one visitor can."""

    def __init__(self, server: Product) -> None:
        self.answered: list[int] = []
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._visit, daemon=True)

    def __enter__(self) -> "Visitors":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _visit(self) -> None:
        number = 0
        while not self._over.wait(0.002):
            if self._server.visit("boutique.localhost", f"/number-{number:06}").status == 200:
                self.answered.append(number)
            number += 1


def _numbers(server: Product, group: str) -> list[int]:
    texts = server.client.export_logs([f"boutique.prod/{group}"], {"text": "/number-"})
    return [int(found[1]) for text in texts if (found := re.search(r"/number-(\d+)", text))]


@pytest.mark.timeout(600)
def test_kills_lose_no_line_and_double_none(server: Product) -> None:
    shop = WorkingCopy(server, "boutique")
    shop.deploy(site("", answer=ANSWER))
    chance = random.Random(7)
    with Visitors(server) as visitors:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.0, 2.5))
            server.kill()
            server.start()
    answered = visitors.answered
    assert len(answered) > 10 * KILLS
    print(f"{len(answered)} visits")
    for group in ("instances", "access"):
        eventually(lambda: set(answered) <= set(_numbers(server, group)), f"every line of {group}")  # noqa: B023
        again = {number: count for number, count in Counter(_numbers(server, group)).items() if count > 1}
        assert not again, (group, len(again))
    assert _numbers(server, "instances") == answered
    requests = 'sum(environment_requests{project="boutique",environment="prod"})'
    eventually(lambda: _sum(server, requests) >= len(answered), "every visit to be counted")
    server.client.delete_project("boutique")


def _sum(server: Product, expression: str) -> float:
    answer = server.client.query_metrics(f"total({expression})", period=60)
    return float(sum(value for line in answer["lines"] for value in line["values"] if value is not None))
