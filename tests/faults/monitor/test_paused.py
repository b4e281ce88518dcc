"""A disk that fills up: metrics pause before it is full, an alarm says so, and nothing else stops."""

import shutil
from collections.abc import Iterator

import pytest

from tests.ports import unused_port
from tests.product import Document, Product, WorkingCopy, eventually, product
from tests.receiver import Receiver
from tests.sites import site

DISK_MIB = 256
MIB = 1024**2
LEFT_MIB = 58
"""Less than metrics leave to the others (64), enough for everything else."""
PAUSED = "server-metrics-paused"
SAYING = """\
import contextlib


def say(path):
    with contextlib.suppress(OSError):  # its output is a file on that disk
        print("visited", path, flush=True)
    return 200, b"hello"
"""
RED, WELL = f"ALARM: {PAUSED} (the server)", f"OK again: {PAUSED} (the server)"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one


@pytest.fixture(scope="module")
def server(receiver: Receiver) -> Iterator[Product]:
    settings = {"HALAGE_MESSAGES_TO": receiver.address("everyone")}
    with product(unused_port(), unused_port(), disk_mib=DISK_MIB, settings=settings) as one:
        yield one


@pytest.fixture(scope="module")
def shop(server: Product) -> Iterator[WorkingCopy]:
    shop = WorkingCopy(server, "boutique")
    shop.deploy(site("", before=SAYING, answer="say(path)"))
    yield shop
    server.client.delete_project("boutique")


def fill(server: Product, left_bytes: int) -> None:
    """Leave that much of the disk; nothing of it for 0."""
    with (server.data / "filler").open("wb", buffering=0) as filler:
        try:
            while (free := shutil.disk_usage(server.data).free) > left_bytes:
                filler.write(bytes(min(MIB, free - left_bytes)))
        except OSError as error:
            assert left_bytes == 0, error


def alarm_once(server: Product, state: str) -> Document:
    def look() -> Document | None:
        found = {each["name"]: each for each in server.client.list_alarms()}
        alarm = found.get(PAUSED)
        return alarm if alarm is not None and alarm["state"] == state else None

    return eventually(look, f"{PAUSED} to be {state}", within_s=60)


def until_told(receiver: Receiver, titles: list[str]) -> None:
    eventually(lambda: of_paused(receiver) == titles, f"messages {titles}")


def of_paused(receiver: Receiver) -> list[str]:
    return [title for title in receiver.titles("everyone") if PAUSED in title]


@pytest.mark.timeout(400)
def test_metrics_pause_with_a_red_alarm_and_nothing_else_stops(
    server: Product, shop: WorkingCopy, receiver: Receiver
) -> None:
    alarm = alarm_once(server, "OK")
    receiver.received.clear()
    fill(server, LEFT_MIB * MIB)
    try:
        alarm_once(server, "ALARM")
        until_told(receiver, [RED])
        assert server.visit("boutique.localhost", "/meanwhile").status == 200
        eventually(lambda: _lines(server, "visited /meanwhile"), "the line of the visit")
        restarted = server.halage("env", "restart", "boutique", "prod")
        assert restarted.code == 0, restarted.text
        server.client.scale_environment("boutique", "prod", 2)
        eventually(
            lambda: server.client.show_environment("boutique", "prod")["serving"] == 2, "two instances"
        )
    finally:
        (server.data / "filler").unlink()
    alarm_once(server, "OK")
    until_told(receiver, [RED, WELL])
    changes = server.client.list_alarm_changes(alarm["id"], limit=2)
    assert [each["state"] for each in changes] == ["OK", "ALARM"]


@pytest.mark.timeout(400)
def test_on_a_disk_that_is_full_to_the_last_byte_people_can_look_and_are_told_once_there_is_room(
    server: Product, shop: WorkingCopy, receiver: Receiver
) -> None:
    alarm_once(server, "OK")
    receiver.received.clear()
    fill(server, 0)
    try:
        # The database may have a little room in its own files; without any, the change waits.
        eventually(
            lambda: of_paused(receiver) == [RED] or '"record_changes"' in server.log.read_text(),
            "the alarm to be red, or to wait for room",
        )
        assert server.visit("boutique.localhost", "/while-it-is-full").status == 200
        assert server.client.show_environment("boutique", "prod")["colour"] == "green"
        assert server.client.list_alarms()
    finally:
        (server.data / "filler").unlink()
    until_told(receiver, [RED, WELL])
    assert server.visit("boutique.localhost", "/again").status == 200
    eventually(lambda: _lines(server, "visited /again"), "lines to be kept again")


def _lines(server: Product, text: str) -> list[Document]:
    page = server.client.search_logs(["boutique.prod/instances"], {"text": text})
    return list(page["lines"])
