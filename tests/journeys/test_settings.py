"""Settings changed on the installed product: no request fails, a rollback returns them, a clone has them."""

import hashlib
from collections.abc import Iterator

import pytest

from halage.cli.prober import Prober
from tests.product import Product, WorkingCopy
from tests.sites import site, toml_of

RATE = 100


@pytest.fixture
def shop(server: Product, request: pytest.FixtureRequest) -> Iterator[WorkingCopy]:
    name = "shop-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:6]
    yield WorkingCopy(server, name)
    server.client.delete_project(name)


def _type(server: Product, shop: WorkingCopy) -> tuple[str, str]:
    settings = server.client.show_settings(shop.project, "prod")["settings"]
    found = next(each for each in settings if each["path"] == "type")
    return found["value"], found["source"]


@pytest.mark.timeout(300)
def test_settings_are_deployed_returned_and_cloned(server: Product, shop: WorkingCopy) -> None:
    shop.deploy(site("hello", toml=toml_of(instances=2)))
    units = server.serving_units(shop.project)
    prober = Prober("127.0.0.1", server.visitors_port, site=f"{shop.project}.localhost", rate=RATE)
    prober.start()
    try:
        live = server.halage("env", "config", "set", shop.project, "prod", "health.replace_after=2m")
        assert live.code == 0, live.text
        assert server.serving_units(shop.project) == units, "no instance was replaced"
        changed = server.halage("env", "config", "set", shop.project, "prod", "type=micro")
        assert changed.code == 0, changed.text
        assert not set(units) & set(server.serving_units(shop.project))
        assert _type(server, shop) == ("micro", "server")
        back = server.halage("env", "rollback", shop.project, "prod")
        assert back.code == 0, back.text
        assert _type(server, shop)[1] != "server"
    finally:
        report = prober.stop()
    assert report.sent > RATE
    assert report.failed == 0, report.causes
    cloned = server.halage("env", "clone", shop.project, "prod", "copy")
    assert cloned.code == 0, cloned.text
    assert server.visit(f"copy.{shop.project}.localhost").body == "hello"
    assert server.halage("env", "terminate", shop.project, "copy", "--yes").code == 0
    names = [each["name"] for each in server.client.list_environments(shop.project)]
    assert "copy" not in names and "prod" in names
