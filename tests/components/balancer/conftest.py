from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from halage.balancer.drivers.haproxy import HAProxyDriver
from tests.components.balancer.sites import Site

SiteMaker = Callable[[str], "Site"]


@pytest.fixture
async def driver(tmp_path: Path, free_port: int) -> AsyncIterator[HAProxyDriver]:
    """A driver whose HAProxy ends with the test."""
    async with HAProxyDriver(tmp_path / "balancer", ("127.0.0.1", free_port)) as made:
        yield made
        await made.stop()


@pytest.fixture
async def sites(free_ports: Callable[[int], list[int]]) -> AsyncIterator[tuple[Site, Site]]:
    """Two servers that run."""
    one, two = (Site(name, port) for name, port in zip(("one", "two"), free_ports(2), strict=True))
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(one), await stack.enter_async_context(two)
