"""What holds for every balancer driver."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from halage.balancer.driver import BalancerDriver, HasFigures, WritesAccessLog
from halage.balancer.drivers.haproxy import HAProxyDriver
from halage.balancer.drivers.memory import MemoryBalancer
from halage.balancer.errors import BalancerDown, BalancerRefused, NoSuchRoute
from halage.balancer.model import HealthCheck, Route, Target, TargetState

SHOP = Route("shop.prod", ("shop.localhost",), HealthCheck(interval_s=60))
BLOG = Route("blog.prod", ("blog.localhost",), HealthCheck(interval_s=60))
ONE = Target("one", "127.0.0.1", 9)
TWO = Target("two", "127.0.0.2", 9, weight=50)


class FullDriver(BalancerDriver, HasFigures, WritesAccessLog, Protocol):
    """A driver with all optional abilities; both of ours have them."""


@pytest.fixture(params=["memory", "haproxy"])
async def balancer(
    request: pytest.FixtureRequest, tmp_path: Path, free_port: int
) -> AsyncIterator[FullDriver]:
    if request.param == "memory":
        yield MemoryBalancer()
        return
    async with HAProxyDriver(tmp_path / "balancer", ("127.0.0.1", free_port)) as driver:
        yield driver
        await driver.stop()


async def test_apply_comes_first(balancer: FullDriver) -> None:
    with pytest.raises(BalancerDown):
        await balancer.status()


async def test_target_is_added_drained_brought_back_and_removed(balancer: FullDriver) -> None:
    await balancer.apply([SHOP])
    await balancer.add("shop.prod", ONE)
    await balancer.add("shop.prod", TWO)
    first, second = await balancer.status("shop.prod")
    assert (first.target, first.state) == (ONE, TargetState.UP)
    assert (second.target, second.state) == (TWO, TargetState.UP)
    await balancer.drain("shop.prod", "one")
    await balancer.drain("shop.prod", "one")
    assert [status.state for status in await balancer.status()] == [TargetState.DRAINING, TargetState.UP]
    await balancer.add("shop.prod", ONE)
    assert [status.state for status in await balancer.status()] == [TargetState.UP, TargetState.UP]
    await balancer.remove("shop.prod", "one")
    await balancer.remove("shop.prod", "one")
    assert [status.target for status in await balancer.status()] == [TWO]


async def test_unknown_targets_are_ignored(balancer: FullDriver) -> None:
    await balancer.apply([SHOP])
    await balancer.drain("shop.prod", "nobody")
    await balancer.remove("shop.prod", "nobody")
    await balancer.remove("nothing", "nobody")
    assert await balancer.status("nothing") == []


async def test_unknown_route_takes_no_target(balancer: FullDriver) -> None:
    await balancer.apply([SHOP])
    with pytest.raises(NoSuchRoute, match=r"blog\.prod"):
        await balancer.add("blog.prod", ONE)


async def test_bad_target_is_refused(balancer: FullDriver) -> None:
    await balancer.apply([SHOP])
    with pytest.raises(BalancerRefused, match="not an IP address"):
        await balancer.add("shop.prod", Target("x", "127.0.0.1 backup; del server", 80))
    assert await balancer.status() == []


async def test_targets_stay_with_routes_that_stay(balancer: FullDriver) -> None:
    await balancer.apply([SHOP, BLOG])
    await balancer.add("shop.prod", ONE)
    await balancer.add("blog.prod", TWO)
    applied = await balancer.apply([SHOP])
    assert (applied.reloaded, applied.refused) == (False, {})
    assert [status.target for status in await balancer.status()] == [ONE]
    await balancer.apply([SHOP, BLOG])
    assert [status.target for status in await balancer.status()] == [ONE]


async def test_bad_route_stops_no_other(balancer: FullDriver) -> None:
    bad = Route("bad.prod", ("not a host",))
    thief = Route("thief.prod", ("SHOP.localhost.",))
    applied = await balancer.apply([bad, SHOP, thief, BLOG])
    assert "not a host name" in applied.refused["bad.prod"]
    assert "belongs to shop.prod" in applied.refused["thief.prod"]
    assert set(applied.refused) == {"bad.prod", "thief.prod"}
    await balancer.add("blog.prod", ONE)


async def test_route_that_turns_bad_is_served_as_before(balancer: FullDriver) -> None:
    await balancer.apply([SHOP])
    await balancer.add("shop.prod", ONE)
    applied = await balancer.apply([Route("shop.prod", ("shop.localhost",), HealthCheck(path="no slash"))])
    assert "path" in applied.refused["shop.prod"]
    assert [status.target for status in await balancer.status("shop.prod")] == [ONE]


async def test_same_routes_again_change_nothing(balancer: FullDriver) -> None:
    await balancer.apply([SHOP, BLOG])
    await balancer.add("shop.prod", ONE)
    applied = await balancer.apply([SHOP, BLOG])
    assert (applied.reloaded, applied.refused, applied.waiting) == (False, {}, ())
    assert len(await balancer.status()) == 1


async def test_figures_tell_of_each_route_and_target(balancer: FullDriver) -> None:
    await balancer.apply([SHOP, BLOG])
    await balancer.add("shop.prod", ONE)
    figures = await balancer.figures()
    assert [status.target for status in figures.targets] == [ONE]
    assert figures.targets[0] == (await balancer.status())[0]
    assert sorted(route.route for route in figures.routes) == ["blog.prod", "shop.prod"]
    assert {(route.in_flight, route.queue, route.retries) for route in figures.routes} == {(0, 0, 0)}


async def test_an_access_log_without_lines_is_read_to_its_end(balancer: FullDriver) -> None:
    part = balancer.read_access_log(None, 65536)
    assert (list(part.visits), part.lost_bytes, part.is_all) == ([], 0, True)
    await balancer.apply([SHOP])
    again = balancer.read_access_log(part.place, 65536)
    assert list(again.visits) == []
    balancer.release_access_log(again.place)
