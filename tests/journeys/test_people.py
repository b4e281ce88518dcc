"""Who may push, and what git's terminal says to those who may not."""

from collections.abc import Iterator

import pytest

from halage.client import Client
from tests.product import Output, Product, WorkingCopy
from tests.sites import site

PASSWORD = "a long enough password"


@pytest.fixture
def shop(server: Product) -> Iterator[WorkingCopy]:
    shop = WorkingCopy(server, "boutique")
    shop.deploy(site("hello"))
    yield shop
    server.client.delete_project("boutique")


def credential(server: Product, user: str) -> str:
    """A git credential that the person made for themself."""
    with Client(server.url, None) as client:
        token = client.login(user, PASSWORD)["token"]
    with Client(server.url, token) as client:
        return str(client.create_git_credential()["password"])


def test_who_may_not_push(server: Product, shop: WorkingCopy) -> None:
    for user in ("victor", "eve"):
        server.client.add_user(user, password=PASSWORD)
    server.client.set_member(shop.project, "victor", "viewer")
    shop.commit(site("changed"))
    everything = refs(server, shop), len(server.client.list_runs(shop.project))

    viewer = push_as(server, shop, "victor", credential(server, "victor"))
    assert viewer.code != 0
    assert "victor" in viewer.text and "developer" in viewer.text, viewer.text
    stranger = push_as(server, shop, "eve", credential(server, "eve"))
    assert stranger.code != 0 and "boutique" in stranger.text, stranger.text
    wrong = push_as(server, shop, "victor", "halage_git_wrong")
    assert wrong.code != 0
    assert "Authentication failed" in wrong.text, wrong.text
    nobody = shop.try_push(remote=f"http://127.0.0.1:{server.port}/git/boutique.git")
    assert nobody.code != 0
    assert "could not read Username" in nobody.text, nobody.text

    assert (refs(server, shop), len(server.client.list_runs(shop.project))) == everything
    assert server.visit("boutique.localhost").body == "hello"
    server.client.set_member(shop.project, "victor", "developer")
    assert push_as(server, shop, "victor", credential(server, "victor")).code == 0
    run = server.until_run(server.run(shop.project)["id"])
    assert (run["state"], run["created_by"]) == ("succeeded", "victor")


def push_as(server: Product, shop: WorkingCopy, user: str, secret: str) -> Output:
    return shop.try_push(remote=server.remote(shop.project, user, secret))


def refs(server: Product, shop: WorkingCopy) -> str:
    return shop.git("ls-remote", server.remote(shop.project))
