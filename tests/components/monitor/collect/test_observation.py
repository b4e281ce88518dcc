"""Everything that is observed, from real processes behind a real HAProxy on a real machine."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from halage.balancer.drivers.haproxy import HAProxyDriver
from halage.balancer.model import HealthCheck, Route, Target
from halage.base.clock import SystemClock
from halage.base.journal import Journal
from halage.base.tasks import Tasks
from halage.compute.drivers.process import ProcessDriver
from halage.compute.model import MIB, STANDARD_TYPES, Limits, UnitSpec
from halage.monitor.collect.access_log import AccessLog
from halage.monitor.collect.machine import MachineSource
from halage.monitor.collect.model import Tick
from halage.monitor.collect.service import Equipment, build_collector
from halage.monitor.inventory import WatchedEnvironment, WatchedInstance
from tests.components.balancer.sites import visit
from tests.services.monitor.collect.keeper import Ears, MemoryInventory, MemoryKeeper, MemorySink

SHOP = Route("shop.prod", ("shop.localhost",), HealthCheck(interval_s=0.2))
SITE = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"x" * 1000
        self.send_response(500 if self.path == "/bad" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.02)


def watched(port: int) -> WatchedEnvironment:
    one = WatchedInstance(
        "shop", "prod", "i-1", "i-1.1", STANDARD_TYPES["small"], "127.0.0.1", port, True, restarts=0
    )
    return WatchedEnvironment("shop", "prod", 1, (one,), (), True, None, (), False)


@contextlib.asynccontextmanager
async def serving(
    units: ProcessDriver, balancer: HAProxyDriver, port: int
) -> AsyncIterator[WatchedEnvironment]:
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    spec = UnitSpec("i-1.1", ("python3", "-c", SITE, str(port)), "/", environment, Limits(1.0, 256 * MIB))
    await units.start(spec)
    try:
        await balancer.apply([SHOP])
        await balancer.add("shop.prod", Target("i-1", "127.0.0.1", port))
        yield watched(port)
    finally:
        await units.remove("i-1.1")
        await balancer.stop()


async def test_an_environment_is_observed_from_its_visits_to_its_disks(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    door, port = free_ports(2)
    clock = SystemClock()
    keeper, sink, ears = MemoryKeeper(clock), MemorySink(), Ears()
    async with (
        ProcessDriver(tmp_path / "units") as units,
        HAProxyDriver(tmp_path / "balancer", ("127.0.0.1", door)) as balancer,
        serving(units, balancer, port) as shop,
        Tasks() as tasks,
    ):
        inventory = MemoryInventory([shop])
        collector, _ = build_collector(
            Equipment(clock, tmp_path, inventory, units, balancer, Journal(), keeper, sink, ears)
        )
        async with asyncio.timeout(30):
            while (await balancer.status())[0].last_check[:5] != "L7OK/":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        tasks.start(collector.run(), "collect")
        await until(lambda: keeper.level("instance_cpu_percent", 1))
        statuses = [(await visit(door, path=path)).status for path in ("/a", "/bad", "/b")]
        await until(lambda: sum(keeper.sum("environment_requests", 1).values()) >= 3)
        await until(lambda: sum(keeper.sum("instance_network_out_bytes", 1).values()) >= 3000)
        state = collector.state
    assert statuses == [200, 500, 200]
    assert sum(keeper.sum("instance_responses_2xx", 1, instance="i-1").values()) == 2
    assert sum(keeper.sum("instance_responses_5xx", 1, instance="i-1").values()) == 1
    assert sum(keeper.sum("environment_bytes_out", 1).values()) >= 3000
    times = [sketch for (_, _, key), sketch in keeper.sketches.items() if "response_time" in key.name]
    assert sum(sketch.count for sketch in times) == 6  # three of the instance, three of the environment
    assert set(keeper.level("instance_status_check_failed", 1).values()) == {0}
    assert min(keeper.level("instance_memory_bytes", 1).values()) > MIB
    assert keeper.level("instance_processes", 1)
    assert keeper.level("instance_open_files", 1)
    assert len(sink.texts("shop.prod/access", "i-1")) == 3
    assert {resolution for _, resolution in ears.told} >= {1}
    assert (state.troubles, state.is_paused, state.unreadable_lines) == ({}, False, 0)
    assert all(number == 0 for number in state.failures.values())


async def test_what_visitors_did_while_nobody_watched_is_counted_once(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    door, port = free_ports(2)
    clock = SystemClock()
    keeper, sink = MemoryKeeper(clock), MemorySink()

    async def read(balancer: HAProxyDriver, lines: int) -> None:
        """A reader as after a start: it knows what was kept, and nothing else."""
        reader = AccessLog(balancer, keeper, sink, clock)
        async with asyncio.timeout(20):
            while True:
                await reader.follow(())
                if sum(entry.tally.count for entry in reader.slices(10, 2**40)) >= lines:
                    break
                await asyncio.sleep(0.02)
        for entry in reader.slices(10, 2**40):
            cursor = reader.cursor_of(10, entry)
            keeper.write(entry.at, 10, entry.tally.samples(10), cursor=cursor)
            reader.kept(10, entry)

    async with ProcessDriver(tmp_path / "units") as units:
        async with HAProxyDriver(tmp_path / "balancer", ("127.0.0.1", door)) as balancer:
            await balancer.apply([SHOP])
            for _ in range(3):
                await visit(door)
            await read(balancer, 3)
        for _ in range(4):
            await visit(door)
        async with (
            HAProxyDriver(tmp_path / "balancer", ("127.0.0.1", door)) as balancer,
            serving(units, balancer, port),
        ):
            await visit(door, path="/before-it-listens")
            await read(balancer, 5)
    assert sum(keeper.sum("environment_requests").values()) == 8
    assert sum(keeper.sum("environment_responses_5xx").values()) >= 7


async def test_this_machine_is_told_in_likely_numbers() -> None:
    source = MachineSource(SystemClock())
    tick = Tick(int(time.time()), 10, ())
    await source.collect(tick)
    await asyncio.sleep(0.05)
    samples = {str(sample.key): sample.value for sample in await source.collect(tick)}
    cpu, memory = samples["machine_cpu_percent"], samples["machine_memory_percent"]
    assert isinstance(cpu, float) and 0 <= cpu <= 100
    assert isinstance(memory, float) and 0 < memory < 100
    assert any(name.startswith("machine_disk_read_bytes{") for name in samples)
