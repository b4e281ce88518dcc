"""A disk without room: clear errors, nothing half done, and it goes on once there is room again."""

import shutil
from collections.abc import Iterator

import pytest

from tests.ports import unused_port
from tests.product import Product, WorkingCopy, eventually, product
from tests.sites import site, toml_of

DISK_MIB = 96


@pytest.fixture(scope="module")
def server() -> Iterator[Product]:
    with product(unused_port(), unused_port(), disk_mib=DISK_MIB) as one:
        yield one


@pytest.fixture(scope="module")
def shop(server: Product) -> Iterator[WorkingCopy]:
    shop = WorkingCopy(server, "boutique")
    shop.deploy(site("good"))
    yield shop
    server.client.delete_project("boutique")


def fill(server: Product) -> None:
    with (server.data / "filler").open("wb") as filler, pytest.raises(OSError, match="No space left"):
        while True:
            filler.write(b"x" * 65536)
            filler.flush()


def make_room(server: Product) -> None:
    (server.data / "filler").unlink()


def test_a_build_that_fills_the_disk(server: Product, shop: WorkingCopy) -> None:
    free = shutil.disk_usage(server.data).free
    shop.commit(site("bad", toml=toml_of(build=["dd if=/dev/zero of=big bs=1M count=4096"])))
    pushed = shop.try_push("-o", "wait").text
    run = server.until_run(server.run("boutique")["id"])
    assert run["state"] == "failed"
    assert "dd" in run["reason"] or "No space left" in run["reason"], run["reason"]
    assert run["reason"] in pushed, pushed
    eventually(
        lambda: shutil.disk_usage(server.data).free > free - 2 * 1024**2, "the workspace to be removed"
    )
    assert server.visit("boutique.localhost").body == "good"
    shop.deploy(site("good"))


def test_a_full_disk_takes_no_push_and_stops_no_site(server: Product, shop: WorkingCopy) -> None:
    runs = len(server.client.list_runs("boutique"))
    fill(server)
    try:
        shop.commit(site("later"))
        pushed = shop.try_push()
        assert pushed.code != 0
        assert "disk" in pushed.text.lower() or "space" in pushed.text.lower(), pushed.text
        assert server.visit("boutique.localhost").body == "good"
        assert len(server.client.list_runs("boutique")) == runs
        restart = server.halage("env", "restart", "boutique", "prod")
        assert server.visit("boutique.localhost").body == "good"
        print(restart.text)
    finally:
        make_room(server)
    eventually(
        lambda: server.client.show_environment("boutique", "prod")["colour"] == "green", "all to be well"
    )
    run = server.until_run(shop.push()["id"])
    assert run["state"] == "succeeded", run
    assert server.visit("boutique.localhost").body == "later"


def test_a_server_killed_on_a_full_disk_takes_over_once_there_is_room(
    server: Product, shop: WorkingCopy
) -> None:
    body = server.visit("boutique.localhost").body
    units = server.serving_units("boutique")
    fill(server)
    try:
        server.kill()
        assert server.visit("boutique.localhost").body == body
    finally:
        make_room(server)
    server.start()
    eventually(
        lambda: server.client.show_environment("boutique", "prod")["colour"] == "green", "all to be well"
    )
    assert server.serving_units("boutique") == units
    shop.deploy(site("after all"))
    assert server.visit("boutique.localhost").body == "after all"
