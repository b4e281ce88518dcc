"""HTTPS through the real HAProxy: what visitors are shown, and what is taken up while they come."""

import asyncio
import json
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from halage.balancer.certificates import make_authority, make_certificate
from halage.balancer.drivers.haproxy import HAProxyDriver
from halage.balancer.drivers.haproxy.process import find_process
from halage.balancer.model import Certificate, HealthCheck, Https, Route
from tests.components.balancer.sites import Load, Site, visit

QUICK = HealthCheck(path="/up", interval_s=0.1, rise=1, fall=2)
SHOP = Route("shop.prod", ("shop.localhost", "www.shop.localhost"), QUICK)
BLOG = Route("blog.prod", ("blog.localhost",), QUICK)
AUTHORITY = make_authority("Tests", time.time())


def certified(route: Route, *hosts: str, https: Https = Https.ON) -> Route:
    made = make_certificate(hosts or route.hosts, time.time(), AUTHORITY)
    return replace(route, https=https, certificate=made)


def trusting(authority: Certificate = AUTHORITY) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.chain)


@pytest.fixture
def door(free_ports: Callable[[int], list[int]]) -> int:
    """The port for HTTPS."""
    return free_ports(1)[0]


@pytest.fixture
async def secured(tmp_path: Path, free_port: int, door: int) -> AsyncIterator[HAProxyDriver]:
    """A driver with a door for HTTPS, whose HAProxy ends with the test."""
    listen, https = ("127.0.0.1", free_port), ("127.0.0.1", door)
    async with HAProxyDriver(tmp_path / "balancer", listen, https=https) as made:
        yield made
        await made.stop()


async def shown(port: int, host: str) -> bytes:
    """The certificate that is shown for a host name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
    try:
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert isinstance(found, bytes)
        return found
    finally:
        writer.close()


def leaf(route: Route) -> bytes:
    assert route.certificate is not None
    return ssl.PEM_cert_to_DER_cert(route.certificate.chain.split("\n-----BEGIN", 1)[0])


async def test_site_is_served_by_https_and_learns_of_it(
    secured: HAProxyDriver, sites: tuple[Site, Site], free_port: int, door: int
) -> None:
    await secured.apply([certified(SHOP)])
    await secured.add("shop.prod", sites[0].target)
    answer = await visit(
        door, f"shop.localhost:{door}", tls=trusting(), headers="X-Forwarded-Proto: http\r\n"
    )
    assert answer.status == 200
    assert "x-forwarded-proto: https\r" in answer.body.lower()
    assert (await visit(free_port)).status == 200  # not redirected: it was not asked for


async def test_http_2_is_spoken(
    secured: HAProxyDriver, sites: tuple[Site, Site], door: int, tmp_path: Path
) -> None:
    await secured.apply([certified(SHOP)])
    await secured.add("shop.prod", sites[0].target)
    (tmp_path / "ca.pem").write_text(AUTHORITY.chain)
    curl = await asyncio.create_subprocess_exec(
        *("curl", "-s", "--http2", "--cacert", str(tmp_path / "ca.pem"), "-w", "%{http_version}", "-o"),
        *("/dev/null", "--resolve", f"shop.localhost:{door}:127.0.0.1", f"https://shop.localhost:{door}/"),
        stdout=subprocess.PIPE,
    )
    output, _ = await curl.communicate()
    assert output == b"2"


async def test_http_is_sent_on_where_the_certificate_is_good(
    secured: HAProxyDriver, sites: tuple[Site, Site], free_port: int, door: int
) -> None:
    await secured.apply([certified(SHOP, "shop.localhost", https=Https.REDIRECT)])
    await secured.add("shop.prod", sites[0].target)
    answer = await visit(free_port, f"shop.localhost:{free_port}", "/a?b=c", method="POST", body="x")
    assert (answer.status, answer.headers["location"]) == (308, f"https://shop.localhost:{door}/a?b=c")
    assert (await visit(free_port, "www.shop.localhost")).status == 200  # it would meet no certificate there
    assert (await visit(door, tls=trusting())).status == 200


async def test_nobody_is_shown_the_certificate_of_another_site(
    secured: HAProxyDriver, sites: tuple[Site, Site], door: int
) -> None:
    greedy = certified(SHOP, "shop.localhost", "www.shop.localhost", "blog.localhost", "*.localhost")
    own = certified(BLOG)
    await secured.apply([greedy, own, Route("plain.prod", ("plain.localhost",), QUICK)])
    assert await shown(door, "blog.localhost") == leaf(own)
    assert await shown(door, "shop.localhost") == leaf(greedy)
    for host in ("plain.localhost", "nobody.localhost"):
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            await shown(door, host)
    await secured.add("plain.prod", sites[0].target)
    # One connection, another host: what is not served by HTTPS is not reached by it either.
    open_to_all = trusting()
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", door, ssl=open_to_all, server_hostname="shop.localhost"
    )
    writer.write(b"GET / HTTP/1.1\r\nHost: plain.localhost\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"421"
    writer.close()


async def test_certificate_is_taken_up_live_under_load(
    secured: HAProxyDriver, sites: tuple[Site, Site], door: int, tmp_path: Path
) -> None:
    first = certified(SHOP)
    assert not (await secured.apply([first])).reloaded  # the first start
    for site in sites:
        await secured.add("shop.prod", site.target)
    async with Load(door, "shop.localhost", trusting()).coming() as load:
        await load.more(100)
        for _ in range(5):
            renewed = certified(SHOP)
            applied = await secured.apply([renewed, certified(BLOG)], allow_reload=False)
            assert applied == type(applied)(reloaded=False, refused={})
            assert await shown(door, "shop.localhost") == leaf(renewed)
            await load.more(50)
        await secured.apply([renewed], allow_reload=False)
        with pytest.raises(ssl.SSLError):
            await shown(door, "blog.localhost")
        await load.more(50)
    assert load.failures == []
    files = list((tmp_path / "balancer").glob("certificate-*.pem"))
    assert len(files) == 1
    assert files[0].stat().st_mode & 0o077 == 0


async def test_first_https_and_a_changed_setting_reload_and_lose_nothing(
    secured: HAProxyDriver, sites: tuple[Site, Site], free_port: int, door: int
) -> None:
    await secured.apply([SHOP])
    for site in sites:
        await secured.add("shop.prod", site.target)
    async with Load(free_port, "shop.localhost").coming() as load:
        await load.more(200)
        applied = await secured.apply([certified(SHOP)], allow_reload=False)
        assert applied.waiting == ("shop.prod",)
        secure = certified(SHOP)
        assert (await secured.apply([secure])).reloaded
        async with Load(door, "shop.localhost", trusting()).coming() as secured_load:
            await secured_load.more(100)
            for algorithm in ("roundrobin", "source", "leastconn"):
                assert (await secured.apply([replace(secure, algorithm=algorithm)])).reloaded
                await secured_load.more(100)
    assert load.failures == secured_load.failures == []


async def test_certificate_is_there_after_a_death_and_for_the_next_driver(
    secured: HAProxyDriver, sites: tuple[Site, Site], free_port: int, door: int, tmp_path: Path
) -> None:
    route = certified(SHOP)
    await secured.apply([route])
    await secured.add("shop.prod", sites[0].target)
    directory = tmp_path / "balancer"
    assert "PRIVATE KEY" not in json.dumps((directory / "layout.json").read_text())
    await secured.stop()
    await secured.close()
    async with HAProxyDriver(directory, ("127.0.0.1", free_port), https=("127.0.0.1", door)) as second:
        # It started HAProxy from what it remembers; the same routes change nothing.
        assert (await visit(door, tls=trusting())).status == 200
        running = find_process(directory)
        assert not (await second.apply([route])).reloaded
        assert running is not None
        assert not running.has_ended()
        running.close()
        await second.stop()


async def test_route_that_cannot_be_secured_is_refused_alone(
    secured: HAProxyDriver, sites: tuple[Site, Site], free_port: int, door: int
) -> None:
    await secured.apply([SHOP, certified(BLOG)])
    await secured.add("shop.prod", sites[0].target)
    broken = Certificate(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", SHOP.hosts, 0.0
    )
    for route, words in (
        (replace(SHOP, https=Https.ON), "there is no certificate"),
        (certified(SHOP, "other.localhost"), "good for other.localhost, and for none of its hosts"),
        (replace(SHOP, https=Https.ON, certificate=broken), "HAProxy refuses its certificate"),
    ):
        applied = await secured.apply([route, certified(BLOG)])
        assert list(applied.refused) == ["shop.prod"]
        assert words in applied.refused["shop.prod"]
        assert (await visit(free_port)).status == 200
    assert await shown(door, "blog.localhost")


async def test_door_that_is_taken_refuses_https_and_nothing_else(
    tmp_path: Path, sites: tuple[Site, Site], free_port: int
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = ("127.0.0.1", free_port)
        async with HAProxyDriver(tmp_path / "balancer", listen, https=taken.getsockname()) as driver:
            applied = await driver.apply([certified(SHOP), BLOG])
            assert "Address already in use" in applied.refused["shop.prod"]
            await driver.add("blog.prod", sites[0].target)
            assert (await visit(free_port, "blog.localhost")).status == 200
            await driver.stop()


async def test_server_without_a_door_says_what_to_set(driver: HAProxyDriver) -> None:
    applied = await driver.apply([certified(SHOP)])
    assert "set `https` in its settings" in applied.refused["shop.prod"]
