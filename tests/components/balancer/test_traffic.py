"""Each setting of a route through the real HAProxy, seen by what visitors get."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from halage.balancer.drivers.haproxy import HAProxyDriver
from halage.balancer.model import HealthCheck, Route, TargetState, TargetStatus, Timeouts
from tests.components.balancer.sites import Answer, Load, Site, visit

QUICK = HealthCheck(path="/up", interval_s=0.1, rise=1, fall=2)
SHOP = Route("shop.prod", ("shop.localhost",), QUICK)


async def serve(driver: HAProxyDriver, route: Route, *sites: Site) -> None:
    await driver.apply([route])
    for site in sites:
        await driver.add(route.name, site.target)


def name_of(answer: Answer) -> str:
    return answer.body.partition("\n")[0]


async def states(driver: HAProxyDriver, wanted: TargetState) -> list[TargetStatus]:
    """The statuses once all targets are in that state."""
    async with asyncio.timeout(20):
        while any(status.state is not wanted for status in await driver.status()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return await driver.status()


# -- which target


async def test_round_robin_takes_turns(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    await serve(driver, replace(SHOP, algorithm="roundrobin"), *sites)
    counts = Counter([name_of(await visit(free_port)) for _ in range(20)])
    assert counts == {"one": 10, "two": 10}


async def test_least_connections_spares_the_busy_one(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    await serve(driver, SHOP, one)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(visit(free_port, path="/slow"))
        await one.asked.wait()
        await driver.add("shop.prod", two.target)
        counts = Counter([name_of(await visit(free_port)) for _ in range(10)])
        assert counts == {"two": 10}
        one.slow.set()
    assert name_of(waiting.result()) == "one"


async def test_source_leads_the_same_address_to_the_same_target(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    await serve(driver, replace(SHOP, algorithm="source"), *sites)
    led = {}
    for number in range(1, 31):
        source = f"127.0.1.{number}"
        names = {name_of(await visit(free_port, source=source)) for _ in range(3)}
        assert len(names) == 1
        led[source] = names.pop()
    assert set(led.values()) == {"one", "two"}


async def test_weights_share_the_requests(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    await serve(driver, replace(SHOP, algorithm="roundrobin"), one)
    await driver.add("shop.prod", replace(two.target, weight=25))
    counts = Counter([name_of(await visit(free_port)) for _ in range(100)])
    assert 15 <= counts["two"] <= 25


@pytest.mark.parametrize("algorithm", ["leastconn", "roundrobin", "source"])
async def test_a_share_by_lot_is_kept_by_every_algorithm(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int, algorithm: str
) -> None:
    one, two = sites
    await serve(driver, replace(SHOP, algorithm=algorithm), one)
    await driver.add("shop.prod", replace(two.target, share=10))
    async with Load(free_port, "shop.localhost").coming() as load:
        await load.more(2500)
        counts = Counter({site.name: len(site.requests) for site in sites})
        (_, status) = await driver.status()
        assert status.state is TargetState.UP
        # What is drawn by chance: 10% of 2,500 is within 4 standard deviations (15 each) of 250.
        assert 190 / 2500 <= counts["two"] / counts.total() <= 310 / 2500
        await driver.add("shop.prod", two.target)
        await driver.drain("shop.prod", "one")
        await load.more(200)
        before = len(one.requests)
        await load.more(200)
    assert load.failures == []
    assert len(one.requests) == before


async def test_several_draw_their_shares_and_one_that_fails_draws_none(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_ports: Callable[[int], list[int]], free_port: int
) -> None:
    async with Site("three", free_ports(1)[0]) as three:
        await serve(driver, SHOP, sites[0])
        for canary in (sites[1], three):
            await driver.add("shop.prod", replace(canary.target, share=20))
        async with Load(free_port, "shop.localhost").coming() as load:
            await load.more(1500)
            drawn = [len(site.requests) for site in (sites[1], three)]
            assert all(220 <= number <= 380 for number in drawn), "300, and 5 standard deviations of 16"
            sites[1].health = 500
            async with asyncio.timeout(20):
                while (await driver.status())[1].state is not TargetState.DOWN:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            failing = len(sites[1].requests)
            await load.more(300)
        assert load.failures == []
        assert len(sites[1].requests) <= failing + 8, "but for what was under way"


# -- stickiness


async def test_visitor_comes_back_to_the_same_target_while_it_serves(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    await serve(driver, replace(SHOP, is_sticky=True), one, two)
    first = await visit(free_port)
    name = name_of(first)
    cookie, _, attributes = first.headers["set-cookie"].partition("; ")
    assert attributes == "Path=/; HttpOnly; SameSite=Lax"
    back = f"Cookie: a=b; {cookie}\r\n"
    for _ in range(10):
        again = await visit(free_port, headers=back)
        assert name_of(again) == name
        assert "set-cookie" not in again.headers
    assert {name_of(await visit(free_port)) for _ in range(10)} == {"one", "two"}
    for lie in ("nobody", "s0001", "", "x y"):
        answer = await visit(free_port, headers=f"Cookie: {cookie.partition('=')[0]}={lie}\r\n")
        assert answer.status == 200
        assert "set-cookie" in answer.headers
    await driver.drain("shop.prod", name)
    elsewhere = await visit(free_port, headers=back)
    assert name_of(elsewhere) == ({"one", "two"} - {name}).pop()
    assert "set-cookie" in elsewhere.headers


async def test_visitor_of_a_failing_target_is_led_to_another(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    await serve(driver, replace(SHOP, is_sticky=True), one)
    cookie = (await visit(free_port)).headers["set-cookie"].partition(";")[0]
    await driver.add("shop.prod", two.target)
    one.health = 500
    async with asyncio.timeout(20):
        while (await driver.status())[0].state is not TargetState.DOWN:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert name_of(await visit(free_port, headers=f"Cookie: {cookie}\r\n")) == "two"


async def test_stickiness_comes_and_goes_without_a_reload(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    await serve(driver, SHOP, *sites)
    assert "set-cookie" not in (await visit(free_port)).headers
    assert not (await driver.apply([replace(SHOP, is_sticky=True)])).reloaded
    assert "set-cookie" in (await visit(free_port)).headers
    assert not (await driver.apply([SHOP])).reloaded
    assert "set-cookie" not in (await visit(free_port)).headers


async def test_each_visitor_draws_a_lot_once_and_stays_where_it_fell(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    """Those too who came before, and were led to the others."""
    one, two = sites
    await serve(driver, replace(SHOP, is_sticky=True), one)
    known = (await visit(free_port)).headers["set-cookie"].partition(";")[0]
    await driver.add("shop.prod", replace(two.target, share=40))
    for begin in ("", f"Cookie: {known}\r\n"):
        drawn = []
        for _ in range(150):
            first = await visit(free_port, headers=begin)
            cookie = first.headers["set-cookie"].partition(";")[0]
            again = await visit(free_port, headers=f"Cookie: {cookie}\r\n")
            assert name_of(again) == name_of(first)
            assert "set-cookie" not in again.headers
            drawn.append(name_of(first))
        assert 30 <= drawn.count("two") <= 90, "60, and 5 standard deviations of 6"
    # It is over: the new one serves everybody, and no old cookie leads anywhere else.
    await driver.add("shop.prod", two.target)
    await driver.drain("shop.prod", "one")
    last = await visit(free_port, headers=f"Cookie: {known}\r\n")
    assert (name_of(last), last.headers["set-cookie"].partition(";")[0]) == ("two", "halage_instance=two")


# -- times and limits


async def test_slow_answer_is_cut_off_after_its_time(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, _ = sites
    await serve(driver, replace(SHOP, timeouts=Timeouts(request_s=0.2)), one)
    answer = await visit(free_port, path="/slow", method="POST", body="x")
    assert answer.status == 504
    assert "did not answer in time" in answer.body
    one.slow.set()
    assert (await visit(free_port, path="/slow")).status == 200


async def test_silent_connection_is_closed_after_its_time(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    await serve(driver, replace(SHOP, timeouts=Timeouts(idle_s=0.2)), sites[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", free_port)
    writer.write(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    async with asyncio.timeout(20):
        assert await reader.read() == b""
    writer.close()


async def test_requests_over_the_limit_wait_and_are_sent_away_after_their_time(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, _ = sites
    limited = replace(SHOP, most_connections=1, timeouts=Timeouts(queue_s=20))
    await serve(driver, limited, one)
    async with asyncio.TaskGroup() as group:
        held = group.create_task(visit(free_port, path="/slow"))
        await one.asked.wait()
        queued = group.create_task(visit(free_port))
        async with asyncio.timeout(20):
            while (await driver.figures()).routes[0].queue != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        one.slow.set()
    assert held.result().status == queued.result().status == 200
    one.slow.clear()
    one.asked.clear()
    await driver.apply([replace(limited, timeouts=Timeouts(queue_s=0.2))])
    async with asyncio.TaskGroup() as group:
        held = group.create_task(visit(free_port, path="/slow"))
        await one.asked.wait()
        assert (await visit(free_port)).status == 503
        one.slow.set()
    assert held.result().status == 200


async def test_target_that_starts_slowly_gets_fewer_requests_at_first(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    route = replace(SHOP, algorithm="roundrobin", slow_start_s=600.0)
    await driver.apply([replace(route, slow_start_s=0.0)])
    await driver.add("shop.prod", one.target)
    assert (await driver.apply([route])).reloaded  # what is there keeps its whole share
    await driver.add("shop.prod", two.target)
    counts = Counter([name_of(await visit(free_port)) for _ in range(100)])
    assert counts["one"] > 80
    assert counts["two"] >= 1


# -- when all fail


async def test_route_that_fails_open_asks_the_failing_ones_and_says_down(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    route = replace(SHOP, algorithm="roundrobin", fails_open=True)
    await serve(driver, route, one, two)
    assert {name_of(await visit(free_port)) for _ in range(10)} == {"one", "two"}
    async with Load(free_port, "shop.localhost").coming() as load:
        await load.more(20)
        one.health = two.health = 500
        await states(driver, TargetState.DOWN)
        await load.more(200)
        assert {name_of(await visit(free_port)) for _ in range(20)} == {"one", "two"}
        # One that passes again gets them all.
        one.health = 200
        async with asyncio.timeout(20):
            while (await driver.status())[0].state is not TargetState.UP:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert {name_of(await visit(free_port)) for _ in range(10)} == {"one"}
    assert load.failures == []
    statuses = await driver.status()
    assert sum(status.requests for status in statuses) == load.done + 40
    await driver.drain("shop.prod", "one")
    assert {name_of(await visit(free_port)) for _ in range(5)} == {"two"}
    await driver.remove("shop.prod", "one")
    await driver.remove("shop.prod", "two")
    assert await driver.status() == []
    assert (await visit(free_port)).status == 503


async def test_requests_that_went_to_a_failing_target_are_logged_as_its_own(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, _ = sites
    await serve(driver, replace(SHOP, fails_open=True), one)
    one.health = 500
    await states(driver, TargetState.DOWN)
    assert (await visit(free_port)).status == 200
    async with asyncio.timeout(20):
        while not (part := driver.read_access_log(None, 65536)).visits:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert [(seen.route, seen.target) for seen in part.visits] == [("shop.prod", "one")]


# -- who gets in


async def test_only_allowed_addresses_get_in(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    blog = Route("blog.prod", ("blog.localhost",), QUICK, allowed=("127.0.1.5", "127.0.2.0/24", "::1"))
    wide = replace(SHOP, allowed=("127.0.0.0/16",))
    await serve(driver, SHOP, one)
    assert not (await driver.apply([wide, blog])).reloaded
    await driver.add("blog.prod", two.target)

    async def seen(source: str) -> tuple[int, int]:
        shop, other = [
            await visit(free_port, host, source=source) for host in ("shop.localhost", "blog.localhost")
        ]
        return shop.status, other.status

    assert await seen("127.0.1.5") == (200, 200)  # in both, the narrower range among them
    assert await seen("127.0.1.6") == (200, 403)
    assert await seen("127.0.2.9") == (200, 200)
    assert await seen("127.3.0.1") == (403, 403)
    refused = await visit(free_port, source="127.3.0.1", headers="X-Forwarded-For: 127.0.1.5\r\n")
    assert "shop.localhost answers visitors from certain addresses only" in refused.body
    assert (await driver.status("shop.prod"))[0].state is TargetState.UP  # checks are no visitors
    await driver.apply([SHOP, blog])
    assert await seen("127.3.0.1") == (200, 403)


async def test_settings_of_one_route_are_not_those_of_another(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    other = Route("blog.prod", ("blog.localhost",), QUICK)
    odd = replace(SHOP, is_sticky=True, allowed=("127.9.0.0/16",), timeouts=Timeouts(request_s=0.2))
    await driver.apply([odd, other])
    await driver.add("shop.prod", one.target)
    await driver.add("blog.prod", two.target)
    async with asyncio.TaskGroup() as group:
        answer = group.create_task(visit(free_port, "blog.localhost", "/slow"))
        await two.asked.wait()
        late = await visit(free_port, path="/slow", source="127.9.0.1", method="POST", body="x")
        assert late.status == 504
        two.slow.set()
    assert "set-cookie" not in answer.result().headers
