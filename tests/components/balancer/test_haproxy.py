"""The real HAProxy with real servers behind it."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from halage.balancer.drivers.haproxy import HAProxyDriver
from halage.balancer.drivers.haproxy.process import find_process
from halage.balancer.errors import BalancerRefused
from halage.balancer.model import HealthCheck, Route, TargetState, TargetStatus
from tests.components.balancer.sites import Load, Site, read_answer, visit

QUICK = HealthCheck(path="/up", interval_s=0.1, rise=1, fall=2)
SHOP = Route("shop.prod", ("shop.localhost", "www.shop.localhost"), QUICK)


async def open_shop(driver: HAProxyDriver, *sites: Site) -> None:
    await driver.apply([SHOP])
    for site in sites:
        await driver.add("shop.prod", site.target)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.02)


async def until_first(driver: HAProxyDriver, condition: Callable[[TargetStatus], bool]) -> TargetStatus:
    async with asyncio.timeout(20):
        while not condition(status := (await driver.status())[0]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return status


async def test_host_leads_to_its_site(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    await driver.apply([SHOP, Route("blog.prod", ("blog.localhost",), QUICK)])
    await driver.add("shop.prod", one.target)
    await driver.add("blog.prod", two.target)
    for host in ("shop.localhost", "SHOP.Localhost", f"www.shop.localhost:{free_port}", "shop.localhost."):
        assert (await visit(free_port, host)).body.startswith("one\n")
    assert (await visit(free_port, "blog.localhost")).body.startswith("two\n")


async def test_unknown_host_gets_a_page(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    await open_shop(driver, sites[0])
    for host in ("nobody.localhost", "<script>", "[::1]:80", "shop.localhost.evil"):
        answer = await visit(free_port, host)
        assert answer.status in (400, 404)
        assert "script>" not in answer.body
    answer = await visit(free_port, "nobody.localhost")
    assert answer.status == 404
    assert "No such site" in answer.body
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "server" not in answer.headers


async def test_site_without_healthy_target_says_so(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, _ = sites
    await driver.apply([replace(SHOP, fails_open=False)])
    answer = await visit(free_port)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "No healthy instance of shop.localhost" in answer.body
    await driver.add("shop.prod", one.target)
    assert (await visit(free_port)).status == 200
    one.health = 500
    status = await until_first(driver, lambda status: status.state is TargetState.DOWN)
    assert (await visit(free_port)).status == 503
    assert status.last_check.startswith("L7STS/500")
    one.health = 200
    await until_first(driver, lambda status: status.state is TargetState.UP)
    assert (await visit(free_port)).status == 200


async def test_site_learns_who_asked(driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int) -> None:
    await open_shop(driver, sites[0])
    lies = "X-Forwarded-For: 6.6.6.6\r\nX-Request-ID: mine\r\n"
    lies += "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
    body = (await visit(free_port, f"shop.localhost:{free_port}", headers=lies)).body.lower()
    assert "x-forwarded-for: 127.0.0.1\n" in body.replace("\r", "")
    assert "x-forwarded-proto: http\n" in body.replace("\r", "")
    assert f"x-forwarded-host: shop.localhost:{free_port}\n" in body.replace("\r", "")
    assert f"host: shop.localhost:{free_port}\n" in body.replace("\r", "")
    for lie in ("6.6.6.6", "mine", "https", "evil"):
        assert lie not in body


async def test_request_is_logged_with_its_id(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int, tmp_path: Path
) -> None:
    await open_shop(driver, sites[0])
    body = (await visit(free_port, path="/some/page?token=secret")).body
    request_id = next(line for line in body.splitlines() if line.startswith("x-request-id")).split()[1]
    log = tmp_path / "balancer" / "access.log"
    await until(lambda: request_id in log.read_text())
    line = next(line for line in log.read_text().splitlines() if request_id in line)
    assert '"shop.localhost" "/some/page"' in line
    assert " shop.prod s0001 one GET 200 " in line
    assert "secret" not in line
    assert log.stat().st_mode & 0o077 == 0


async def test_check_asks_for_the_path_as_the_site(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, _ = sites
    await open_shop(driver, one)
    await until(lambda: one.checks)
    assert one.checks[-1].startswith("GET /up HTTP/1.1")
    assert "host: shop.localhost\r\n" in one.checks[-1]
    applied = await driver.apply([Route(SHOP.name, SHOP.hosts, replace(QUICK, path="/other"))])
    assert not applied.reloaded
    await until(lambda: one.checks[-1].startswith("GET /other HTTP/1.1"))


async def test_targets_of_one_route_are_checked_by_their_own_paths(
    driver: HAProxyDriver, sites: tuple[Site, Site]
) -> None:
    one, two = sites
    await open_shop(driver, one)
    await driver.add(SHOP.name, replace(two.target, check_path="/new"))
    await until(lambda: two.checks and one.checks)
    assert one.checks[-1].startswith("GET /up HTTP/1.1")
    assert two.checks[-1].startswith("GET /new HTTP/1.1")


async def test_web_socket_passes(driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int) -> None:
    await open_shop(driver, sites[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", free_port)
    writer.write(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()
    await writer.wait_closed()


async def test_connections_to_targets_are_used_again(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    await open_shop(driver, one, two)
    async with Load(free_port, "shop.localhost").coming(visitors=4) as load:
        await load.more(100)
    assert one.connections + two.connections <= 16


async def test_death_of_a_target_loses_no_get(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    await open_shop(driver, one, two)
    async with Load(free_port, "shop.localhost").coming() as load:
        await load.more(50)
        await one.die()
        await load.more(100)
    assert load.failures == []
    assert one.requests and two.requests


async def test_get_is_tried_again_and_post_is_not(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    await open_shop(driver, one, two)
    assert (await visit(free_port, path="/break", method="POST", body="x")).status == 502
    assert len(one.requests) + len(two.requests) == 1
    assert (await visit(free_port, path="/break")).status == 502
    assert len(one.requests) + len(two.requests) == 4


async def test_drain_lets_a_slow_request_finish(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    await open_shop(driver, one)
    slow = asyncio.ensure_future(visit(free_port, path="/slow"))  # noqa: TID251 - a test's own task
    await one.asked.wait()
    await driver.add("shop.prod", two.target)
    await driver.drain("shop.prod", "one")
    for _ in range(6):
        assert (await visit(free_port)).body.startswith("two\n")
    assert [(s.target.id, s.sessions) for s in await driver.status()] == [("one", 1), ("two", 0)]
    one.slow.set()
    assert (await slow).body.startswith("one\n")
    await until_first(driver, lambda status: status.sessions == 0)


async def test_remove_cuts_what_is_under_way(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int, tmp_path: Path
) -> None:
    one, two = sites
    await open_shop(driver, one, two)
    slow = asyncio.ensure_future(visit(free_port, path="/slow", method="POST"))  # noqa: TID251
    await until(lambda: one.asked.is_set() or two.asked.is_set())
    busy, free = (one, two) if one.asked.is_set() else (two, one)
    await driver.remove("shop.prod", busy.name)
    assert (await slow).status in (502, 503)
    assert (await visit(free_port)).body.startswith(free.name)
    assert [s.target.id for s in await driver.status()] == [free.name]


async def test_reload_under_load_loses_nothing(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    await open_shop(driver, one, two)
    async with Load(free_port, "shop.localhost").coming() as load:
        for turn in range(3):
            other = Route("other.prod", ("other.localhost",), HealthCheck(timeout_s=1.0 + turn))
            assert (await driver.apply([SHOP, other])).reloaded
            await load.more(50)
        await driver.drain("shop.prod", "one")
    assert load.failures == []
    await driver.status()
    figures = await driver.status("shop.prod")
    assert [(s.target.id, s.state) for s in figures] == [
        ("one", TargetState.DRAINING),
        ("two", TargetState.UP),
    ]
    assert sum(s.requests for s in figures) == load.done


async def test_no_visit_is_counted_twice_by_who_looks_during_a_reload(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    await open_shop(driver, sites[0])
    for turn in range(5):
        await visit(free_port)
        other = Route("other.prod", ("other.localhost",), HealthCheck(timeout_s=1.0 + turn))
        reload = asyncio.ensure_future(driver.apply([SHOP, other]))  # noqa: TID251
        while not reload.done():
            (status,) = await driver.status("shop.prod")
            assert status.requests == turn + 1
            await asyncio.sleep(0)
        assert reload.result().reloaded


async def test_unhealthy_target_stays_out_through_a_reload(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    one.health = 500
    patient = Route("shop.prod", ("shop.localhost",), HealthCheck("/up", 0.1, 5.0, rise=100, fall=1))
    await driver.apply([patient])
    await driver.add("shop.prod", one.target)
    await driver.add("shop.prod", two.target)
    await until_first(driver, lambda status: status.state is TargetState.DOWN)
    one.health = 200
    assert (await driver.apply([patient, Route("o.prod", (), HealthCheck(timeout_s=1))])).reloaded
    assert [s.state for s in await driver.status()] == [TargetState.DOWN, TargetState.UP]
    assert {(await visit(free_port)).body[:3] for _ in range(6)} == {"two"}


async def test_slow_request_is_seen_and_finishes_through_a_reload(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    one, _ = sites
    await open_shop(driver, one)
    slow = asyncio.ensure_future(visit(free_port, path="/slow"))  # noqa: TID251
    await one.asked.wait()
    assert (await driver.apply([SHOP, Route("o.prod", ("o.localhost",), HealthCheck(timeout_s=1))])).reloaded
    await driver.drain("shop.prod", "one")
    assert (await driver.status("shop.prod"))[0].sessions == 1
    one.slow.set()
    assert (await slow).status == 200


async def test_new_route_takes_a_spare_slot_and_waits_when_it_cannot(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int
) -> None:
    await open_shop(driver, sites[0])
    odd = Route("odd.prod", ("odd.localhost",), HealthCheck(timeout_s=1.5))
    plain = Route("plain.prod", ("plain.localhost",), QUICK)
    applied = await driver.apply([SHOP, odd, plain], allow_reload=False)
    assert (applied.reloaded, applied.waiting) == (False, ("odd.prod",))
    await driver.add("plain.prod", sites[1].target)
    assert (await visit(free_port, "plain.localhost")).body.startswith("two\n")
    assert (await visit(free_port, "odd.localhost")).status == 404
    applied = await driver.apply([SHOP, odd, plain])
    assert (applied.reloaded, applied.waiting) == (True, ())
    assert (await visit(free_port, "odd.localhost")).status == 503
    assert (await visit(free_port, "plain.localhost")).body.startswith("two\n")
    assert not (await driver.apply([SHOP, odd, plain])).reloaded


@pytest.mark.parametrize("victim", ["master", "worker"])
async def test_haproxy_comes_back_with_its_targets(
    driver: HAProxyDriver, sites: tuple[Site, Site], free_port: int, tmp_path: Path, victim: str
) -> None:
    one, two = sites
    await open_shop(driver, one, two)
    await driver.drain("shop.prod", "two")
    assert (await visit(free_port)).body.startswith("one\n")
    await driver.status()
    os.kill(find_pid(tmp_path / "balancer", victim), signal.SIGKILL)
    async with asyncio.timeout(20):
        while True:
            try:
                assert (await visit(free_port)).body.startswith("one\n")
                break
            except OSError:
                await asyncio.sleep(0.01)
    await driver.add("shop.prod", one.target)
    statuses = await driver.status()
    assert [s.state for s in statuses] == [TargetState.UP, TargetState.DRAINING]
    # One was seen before the death; a dying worker may have served the other, which nobody counted.
    assert statuses[0].requests in (1, 2)
    await driver.add("shop.prod", two.target)
    assert {(await visit(free_port)).body[:3] for _ in range(4)} == {"one", "two"}
    log = tmp_path / "balancer" / "access.log"
    await until(lambda: log.read_text().count(" 200 ") == 6)


def find_pid(directory: Path, role: str) -> int:
    process = find_process(directory.resolve())
    assert process is not None
    process.close()
    if role == "master":
        return process.pid
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(children[-1])


async def test_haproxy_outlives_the_driver_and_is_adopted(
    tmp_path: Path, sites: tuple[Site, Site], free_port: int
) -> None:
    one, two = sites
    directory = tmp_path / "balancer"
    async with HAProxyDriver(directory, ("127.0.0.1", free_port)) as first:
        await open_shop(first, one)
        pid = find_pid(directory, "master")
    assert (await visit(free_port)).status == 200
    async with HAProxyDriver(directory, ("127.0.0.1", free_port)) as second:
        assert find_pid(directory, "master") == pid
        (status,) = await second.status()
        assert (status.target, status.state, status.requests) == (one.target, TargetState.UP, 1)
        assert not (await second.apply([SHOP])).reloaded
        await second.add("shop.prod", two.target)
        await second.stop()
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        await visit(free_port)


async def test_haproxy_that_died_unseen_is_started_by_the_next_driver(
    tmp_path: Path, sites: tuple[Site, Site], free_port: int
) -> None:
    directory = tmp_path / "balancer"
    async with HAProxyDriver(directory, ("127.0.0.1", free_port)) as first:
        await open_shop(first, sites[0])
    pid = find_pid(directory, "master")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)  # noqa: ASYNC222 - it is dead already
    async with HAProxyDriver(directory, ("127.0.0.1", free_port)) as second:
        assert (await visit(free_port)).body.startswith("one\n")
        await second.stop()


async def test_taken_port_is_named(tmp_path: Path, free_port: int) -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", free_port))
        holder.listen()
        async with HAProxyDriver(tmp_path / "balancer", ("127.0.0.1", free_port)) as driver:
            with pytest.raises(BalancerRefused, match=f"did not start on 127.0.0.1:{free_port}.*in use"):
                await driver.apply([SHOP])


async def test_sockets_and_files_are_ours_alone(driver: HAProxyDriver, tmp_path: Path) -> None:
    await driver.apply([SHOP])
    directory = tmp_path / "balancer"
    assert directory.stat().st_mode & 0o077 == 0
    assert [path.name for path in directory.iterdir() if path.stat().st_mode & 0o077] == []
    if os.geteuid() == 0:
        worker = find_pid(directory, "worker")
        users = next(
            line
            for line in Path(f"/proc/{worker}/status").read_text().splitlines()
            if line.startswith("Uid:")
        )
        assert "0" not in users.split()[1:]


def test_answer_of_nothing_is_an_error() -> None:
    with pytest.raises(ConnectionResetError):
        read_answer(b"")
