"""What GET /metrics answers, read by the real Prometheus."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
import uvicorn

from halage.base.clock import SystemClock
from halage.base.tasks import Tasks
from halage.monitor.outlet.accumulator import Accumulator
from halage.monitor.outlet.exposition import Exposition
from halage.web.app import create_app
from tests.components.monitor.outlet.prometheus import check_metrics, prometheus
from tests.components.monitor.outlet.samples import a_tick
from tests.services.monitor.intake.stage import MemoryStore
from tests.services.web.world import World, make_world

CONFIGURATION = """
global:
  scrape_interval: 200ms
scrape_configs:
  - job_name: halage
    honor_labels: true
    authorization:
      credentials_file: {token}
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


@pytest.fixture
def accumulator() -> Accumulator:
    return Accumulator(MemoryStore(), SystemClock(), limit=1000)


@pytest.fixture
def filled(accumulator: Accumulator) -> Accumulator:
    now = SystemClock().now() // 10 * 10
    for project in ("shop", "hidden"):
        accumulator.write(now - 10, 10, a_tick(project))
    return accumulator


@pytest.fixture
async def world(tmp_path: Path, filled: Accumulator) -> AsyncIterator[World]:
    world = await make_world(tmp_path)
    services = replace(world.services, exposition=Exposition(filled, help_of=lambda name: f"About {name}."))
    yield replace(world, services=services, app=create_app(services))
    services.database.close()


@asynccontextmanager
async def _served(world: World) -> AsyncIterator[int]:
    """The world's port."""
    server = uvicorn.Server(uvicorn.Config(world.app, log_config=None, access_log=False, lifespan="off"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        async with Tasks() as tasks:
            serving = tasks.start(server._serve([listener]), name="server")
            yield listener.getsockname()[1]
            server.should_exit = True
            await asyncio.wait({serving})


async def test_promtool_has_nothing_to_say(filled: Accumulator) -> None:
    text = Exposition(filled, help_of=lambda name: f"About {name}.").text()
    assert await check_metrics(text) == ""


async def test_promtool_would_see_a_mistake() -> None:
    assert "counter metrics should have" in await check_metrics("# TYPE x counter\nx 1\n")


async def test_prometheus_scrapes_with_a_token_and_answers_with_the_right_values(
    world: World, filled: Accumulator, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    token = tmp_path / "token"
    token.write_text(world.tokens["viewer"])
    (own_port,) = free_ports(1)
    async with _served(world) as port:
        configuration = CONFIGURATION.format(token=token, port=port)
        async with prometheus(tmp_path, own_port, configuration) as reader:
            place = '{project="shop",environment="prod"}'
            assert await reader.value(f"environment_requests_total{place}") == 12
            assert await reader.value('orders_total{path="/a\\"b\\\\c\\n"}') == 12
            assert await reader.value("temperature_celsius") == -3.5
            assert await reader.value("environment_certificate_seconds") == 30 * 86400
            assert await reader.value('instance_cpu_percent{instance="i-1"}') == 12, "honor_labels"
            count = await reader.value(f"environment_response_time_seconds_count{place}")
            total = await reader.value(f"environment_response_time_seconds_sum{place}")
            assert count == 100
            assert total == pytest.approx(5.05)
            p95 = await reader.value(
                f"histogram_quantile(0.95, environment_response_time_seconds_bucket{place})"
            )
            assert 0.08 < p95 < 0.11
            assert await reader.ask('{project="hidden"}') == [], "a viewer of shop sees shop"
            now = SystemClock().now() // 10 * 10
            filled.write(now, 10, a_tick())
            async with asyncio.timeout(20):
                while await reader.value(f"environment_requests_total{place}") != 24:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert await reader.value("up") == 1


async def test_who_may_see_what(world: World) -> None:
    async with world.client() as client:
        answer = await client.get("/metrics")
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
    async with world.client("dev") as client:
        answer = await client.get("/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert 'project="shop"' in answer.text and 'project="hidden"' not in answer.text
        assert "machine_load_1m 12\n" in answer.text
        assert (await client.post("/metrics")).status_code == 405
    async with world.client("admin") as client:
        assert 'project="hidden"' in (await client.get("/metrics")).text
