"""A target that fails its check: the next checks come sooner, so that it is out within seconds."""

import asyncio
from collections.abc import Awaitable, Callable

from halage.balancer.drivers.haproxy import HAProxyDriver
from halage.balancer.model import HealthCheck, Route, TargetState
from tests.components.balancer.sites import Site, visit

CHECK = HealthCheck(interval_s=0.8)
SHOP = Route("shop.prod", ("shop.localhost",), CHECK)
PATIENT = Route("shop.prod", ("shop.localhost",), HealthCheck(interval_s=30.0))
TRUSTED_AFTER = CHECK.rise + CHECK.fall
"""A target that passed so many checks has to fail `fall` of them; a new one is out at the first."""


async def _until(look: Callable[[], Awaitable[bool]]) -> None:
    deadline = asyncio.get_running_loop().time() + 30
    while not await look():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


async def test_once_a_check_failed_the_next_ones_come_sooner(
    driver: HAProxyDriver, free_port: int, sites: tuple[Site, Site]
) -> None:
    bad, good = sites
    await driver.apply([SHOP])
    for site in sites:
        await driver.add("shop.prod", site.target)

    async def is_trusted() -> bool:
        return len(bad.checks) >= TRUSTED_AFTER

    await _until(is_trusted)
    bad.health, before = 500, len(bad.checks)

    async def has_failed_one() -> bool:
        return len(bad.checks) > before

    await _until(has_failed_one)
    of_the_good = len(good.checks)

    async def is_down() -> bool:
        return any(s.target.id == "one" and s.state is TargetState.DOWN for s in await driver.status())

    await _until(is_down)
    assert len(bad.checks) - before == CHECK.fall
    # Both are checked at the same interval, but for those of one that failed.
    assert len(good.checks) - of_the_good <= 1
    answers = [(await visit(free_port)).body.splitlines()[0] for _ in range(4)]
    assert answers == ["two"] * 4


async def test_one_that_accepts_and_never_answers_is_out_after_as_many_checks_as_any_other(
    driver: HAProxyDriver, free_port: int, sites: tuple[Site, Site]
) -> None:
    hung, _ = sites
    await driver.apply([SHOP])
    for site in sites:
        await driver.add("shop.prod", site.target)

    async def is_trusted() -> bool:
        return len(hung.checks) >= TRUSTED_AFTER

    await _until(is_trusted)
    hung.is_hung, before = True, len(hung.checks)

    async def is_down() -> bool:
        return any(s.target.id == "one" and s.state is TargetState.DOWN for s in await driver.status())

    await _until(is_down)
    assert len(hung.checks) - before == CHECK.fall
    assert [s.last_check.split()[0] for s in await driver.status() if s.target.id == "one"] == ["L7TOUT"]


async def test_broken_pages_bring_the_next_check_forward_and_take_nobody_out(
    driver: HAProxyDriver, free_port: int, sites: tuple[Site, Site]
) -> None:
    site, _ = sites
    await driver.apply([PATIENT])
    await driver.add("shop.prod", site.target)

    async def is_checked() -> bool:
        assert (await visit(free_port, path="/broken")).body.startswith("one")
        return bool(site.checks)  # the first one is due within 30 s

    await _until(is_checked)
    assert [status.state for status in await driver.status()] == [TargetState.UP]
