"""What the real HAProxy tells of what went through it."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

from halage.balancer.drivers.haproxy import HAProxyDriver
from halage.balancer.drivers.haproxy.layout import FORM
from halage.balancer.drivers.haproxy.process import ACCESS_LOG
from halage.balancer.drivers.haproxy.record import FILE
from halage.balancer.model import AccessPart, BalancerFigures, HealthCheck, Route, RouteStatus, Visit
from tests.components.balancer.sites import Load, Site, visit
from tests.components.balancer.test_haproxy import QUICK, SHOP, open_shop

BLOG = Route("blog.prod", ("blog.localhost",), QUICK)


async def read_until(driver: HAProxyDriver, condition: Callable[[AccessPart], bool]) -> list[Visit]:
    async with asyncio.timeout(20):
        while not condition(part := driver.read_access_log(None, 1 << 20)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return list(part.visits)


async def settled_figures(
    driver: HAProxyDriver, condition: Callable[[BalancerFigures], bool]
) -> BalancerFigures:
    async with asyncio.timeout(20):
        while not condition(figures := await driver.figures()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return figures


def route_of(figures: BalancerFigures, name: str) -> RouteStatus:
    return next(route for route in figures.routes if route.route == name)


async def test_visits_are_told_with_route_target_status_and_time(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, _ = sites
    await driver.apply([SHOP, BLOG])
    await driver.add("shop.prod", one.target)
    before = time.time()
    await visit(free_port, path="/a%20b?secret=1")
    await visit(free_port, "blog.localhost")
    await visit(free_port, "nobody.localhost")
    await visit(free_port, path="/break", method="POST", body="x")
    visits = await read_until(driver, lambda part: len(part.visits) == 4)
    # Its threads write by themselves: what came shortly after another may be told before it.
    told = {(v.route, v.target, v.status): v for v in visits}
    assert set(told) == {
        ("shop.prod", "one", 200),
        ("blog.prod", None, 503),
        (None, None, 404),
        ("shop.prod", "one", 502),
    }
    assert all(v.at is not None and before - 0.01 <= v.at <= time.time() + 0.01 for v in visits)
    answered, refused = told["shop.prod", "one", 200], told["blog.prod", None, 503]
    assert answered.target_ms is not None and answered.response_ms is not None
    assert refused.target_ms is None and refused.response_ms is not None


async def test_time_of_a_slow_answer_is_measured_and_counts_when_it_ends(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, _ = sites
    await open_shop(driver, one)
    reader, writer = await asyncio.open_connection("127.0.0.1", free_port)
    await asyncio.sleep(0.3)  # an idle connection is no slow answer
    writer.write(b"GET /slow HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    await one.asked.wait()
    await asyncio.sleep(0.1)
    answered = time.time()
    one.slow.set()
    await reader.readuntil(b"\r\n\r\n")
    (told,) = await read_until(driver, lambda part: bool(part.visits))
    writer.close()
    await writer.wait_closed()
    assert told.target_ms is not None and told.response_ms is not None and told.at is not None
    assert 99 <= told.target_ms <= told.response_ms
    assert told.target_ms < 300
    assert told.at >= answered - 0.01


async def test_a_slot_that_passes_to_another_route_is_told_by_the_route(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int, tmp_path: Path
) -> None:
    await open_shop(driver, sites[0])
    await visit(free_port)
    await driver.apply([])
    assert not (await driver.apply([BLOG])).reloaded
    await driver.add("blog.prod", sites[1].target)
    await visit(free_port, "blog.localhost")
    visits = await read_until(driver, lambda part: len(part.visits) == 2)
    assert {(v.route, v.target) for v in visits} == {("shop.prod", "one"), ("blog.prod", "two")}
    lines = (tmp_path / "balancer" / ACCESS_LOG).read_bytes().splitlines()
    assert [line.split()[4] for line in lines if b" s0001 " in line] == [b"s0001", b"s0001"]
    told = [json.loads(v.text) for v in visits]
    assert [(one["method"], one["host"], one["path"], one["status"]) for one in told] == [
        ("GET", "shop.localhost", "/", 200),
        ("GET", "blog.localhost", "/", 200),
    ]


async def test_figures_of_routes_and_targets_go_on_through_reloads(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    await open_shop(driver, one, two)
    async with Load(free_port, "shop.localhost").coming() as load:
        for turn in range(2):
            other = Route("other.prod", ("other.localhost",), HealthCheck(timeout_s=1.0 + turn))
            await load.more(50)
            assert (await driver.apply([SHOP, other])).reloaded
        await load.more(50)
    await visit(free_port, "other.localhost")
    figures = await settled_figures(
        driver, lambda figures: sum(status.requests for status in figures.targets) == load.done
    )
    shop, other_route = route_of(figures, "shop.prod"), route_of(figures, "other.prod")
    assert shop.bytes_out == sum(status.bytes_out for status in figures.targets) > load.done * 100
    assert shop.bytes_in == sum(status.bytes_in for status in figures.targets)
    assert shop.connections == sum(status.connections for status in figures.targets) > 0
    # Nobody answered there but the balancer itself.
    assert other_route.bytes_out > 0
    assert other_route.connections == 0
    visits = await read_until(driver, lambda part: sum(v.route is not None for v in part.visits) > load.done)
    assert sum(v.status == 200 for v in visits) == load.done
    # What HAProxy says of itself is no visit.
    assert all(b" stopped " in v.text for v in visits if v.at is None)


async def test_what_is_under_way_and_failed_checks_are_told(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, _ = sites
    await open_shop(driver, one)
    slow = asyncio.ensure_future(visit(free_port, path="/slow"))  # noqa: TID251 - a test's own task
    await one.asked.wait()
    assert route_of(await driver.figures(), "shop.prod").in_flight == 1
    assert (await driver.apply([SHOP, Route("o.prod", (), HealthCheck(timeout_s=1))])).reloaded
    assert route_of(await driver.figures(), "shop.prod").in_flight == 1
    one.slow.set()
    await slow
    one.health = 500
    figures = await settled_figures(driver, lambda figures: figures.targets[0].failed_checks >= 2)
    assert route_of(figures, "shop.prod").in_flight == 0


async def test_retries_are_counted(driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int) -> None:
    await driver.apply([Route("shop.prod", ("shop.localhost",), HealthCheck(interval_s=60))])
    await driver.add("shop.prod", sites[0].target)
    assert (await visit(free_port, path="/break")).status == 502
    figures = await driver.figures()
    # HAProxy 2.6 counts an attempt that was answered with nothing twice.
    assert route_of(figures, "shop.prod").retries == figures.targets[0].retries
    assert 2 <= figures.targets[0].retries <= 4


async def test_a_balancer_of_an_earlier_form_is_renewed_without_losing_a_request(
    tmp_path: Path, sites: tuple[Site, Site], free_port: int
) -> None:
    directory = tmp_path / "balancer"
    async with HAProxyDriver(directory, ("127.0.0.1", free_port)) as first:
        await open_shop(first, sites[0])
    record = directory / FILE
    document = json.loads(record.read_text())
    del document["form"]
    for entry in document["past"]:  # counters as they were recorded then
        entry["counters"] = entry["counters"][:4]
    record.write_text(json.dumps(document))
    generation = document["generation"]
    async with (
        Load(free_port, "shop.localhost").coming() as load,
        HAProxyDriver(directory, ("127.0.0.1", free_port)) as second,
    ):
        await load.more(20)
        document = json.loads(record.read_text())
        assert (document["form"], document["generation"]) == (FORM, generation + 1)
        await second.apply([SHOP])
        assert json.loads(record.read_text())["generation"] == generation + 1
    assert load.failures == []
    async with HAProxyDriver(directory, ("127.0.0.1", free_port)) as third:
        assert json.loads(record.read_text())["generation"] == generation + 1
        await third.stop()
