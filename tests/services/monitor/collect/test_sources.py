"""What each source makes of what it is told."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from halage.balancer.drivers.memory import MemoryBalancer
from halage.balancer.model import Route, Target
from halage.base.journal import Entry, Journal
from halage.base.tasks import Tasks
from halage.compute.drivers.memory import MemoryDriver
from halage.compute.model import MIB, Limits, UnitSpec, Usage
from halage.monitor.collect.balancing import BalancerSource
from halage.monitor.collect.certificates import LOOK_EVERY_S, CertificateSource
from halage.monitor.collect.instances import InstanceSource
from halage.monitor.collect.machine import Aside, FileSystemSource, MachineSource
from halage.monitor.collect.model import Source, Tick
from halage.monitor.collect.own import OwnSource
from halage.monitor.inventory import WatchedEnvironment
from halage.monitor.metrics.model import Sample
from halage.monitor.metrics.sketch import Sketch
from tests.clock import ManualClock
from tests.services.monitor.collect.keeper import MemoryInventory, environment, instance, restarted

DAY_S = 86400


async def ask(source: Source, *environments: WatchedEnvironment) -> dict[str, float]:
    """Numbers by name without the domain's prefix of the series."""
    samples = await source.collect(Tick(1_000_000_000, 10, environments))
    return {sample.key.name: sample.value for sample in samples if not isinstance(sample.value, Sketch)}


def sketches(samples: Sequence[Sample]) -> dict[str, Sketch]:
    return {sample.key.name: sample.value for sample in samples if isinstance(sample.value, Sketch)}


class Units:
    """A compute driver with one unit, whose use the test tells."""

    def __init__(self, clock: ManualClock) -> None:
        self.driver = MemoryDriver(clock=clock)
        self.source = InstanceSource(self.driver, clock)
        self.one = instance()

    async def start(self) -> None:
        spec = UnitSpec(self.one.unit_id, ("x",), "/", {}, Limits(1.0, MIB))
        await self.driver.start(spec)


async def test_use_of_an_instance_is_told_against_its_type(clock: ManualClock) -> None:
    units = Units(clock)  # a `small` one: 1 vCPU and 512 MiB
    await units.start()
    units.driver.use(units.one.unit_id, Usage(10.0, 128 * MIB, 0, 3, 17, 100, 10, 1000, 2000, 5, 6))
    first = await ask(units.source, environment("shop", units.one))
    assert first == {
        "environment_instances_wanted": 2,
        "environment_instances_serving": 1,
        "instance_restarts": 0,
        "instance_memory_bytes": 128 * MIB,
        "instance_memory_percent": 25,
        "instance_processes": 3,
        "instance_open_files": 17,
    }
    await clock.advance(10)
    units.driver.use(units.one.unit_id, Usage(14.0, 128 * MIB, 0, 3, 17, 120, 15, 1500, 2000, 9, 7))
    second = await ask(units.source, environment("shop", units.one))
    assert {name: value for name, value in second.items() if name not in first} == {
        "instance_cpu_percent": pytest.approx(40),
        "instance_cpu_throttled_percent": 25,
        "instance_disk_read_bytes": 500,
        "instance_disk_write_bytes": 0,
        "instance_disk_read_operations": 4,
        "instance_disk_write_operations": 1,
    }


async def test_per_cents_are_told_in_hundredths(clock: ManualClock) -> None:
    units = Units(clock)
    await units.start()
    for cpu_s in (10.0, 11.0):
        units.driver.use(units.one.unit_id, Usage(cpu_s, 512 * MIB // 3, 0, 3))
        numbers = await ask(units.source, environment("shop", units.one))
        await clock.advance(7)
    assert (numbers["instance_memory_percent"], numbers["instance_cpu_percent"]) == (33.33, 14.29)


async def test_what_is_not_counted_is_not_told(clock: ManualClock) -> None:
    units = Units(clock)
    await units.start()
    for _ in range(2):
        units.driver.use(units.one.unit_id, Usage(10.0, 1, 1, 1))
        numbers = await ask(units.source, environment("shop", units.one))
        await clock.advance(10)
    assert "instance_cpu_percent" in numbers
    assert not any("disk" in name or "open" in name or "throttled" in name for name in numbers)


async def test_an_instance_whose_unit_has_ended_uses_nothing(clock: ManualClock) -> None:
    units = Units(clock)
    numbers = await ask(units.source, environment("shop", units.one))
    assert set(numbers) == {
        "environment_instances_wanted",
        "environment_instances_serving",
        "instance_restarts",
    }


async def test_restarts_count_once_and_the_next_attempt_begins_anew(clock: ManualClock) -> None:
    units = Units(clock)
    told = []
    for times in (4, 4, 5, 7, 7):
        numbers = await ask(units.source, environment("shop", restarted(units.one, times)))
        told.append(numbers["instance_restarts"])
        await clock.advance(10)
    assert told == [0, 0, 1, 2, 0]
    late = restarted(instance(number=2), 3)
    numbers = await ask(units.source, environment("shop", late))
    assert numbers["instance_restarts"] == 3


class Balanced:
    """A balancer with one route and one target."""

    def __init__(self, clock: ManualClock) -> None:
        self.balancer = MemoryBalancer()
        self.source = BalancerSource(self.balancer, clock)
        self.one = instance()
        self.shop = environment("shop", self.one)

    async def open(self) -> None:
        await self.balancer.apply([Route("shop.prod", ("shop.localhost",))])
        await self.balancer.add("shop.prod", Target(self.one.id, "127.0.0.1", 80))


async def test_counts_of_the_balancer_are_told_as_they_grow(clock: ManualClock) -> None:
    rig = Balanced(clock)
    await rig.open()
    rig.balancer.count("shop.prod", rig.one.id, bytes_in=100, bytes_out=1000, connections=1)
    assert await ask(rig.source, rig.shop) == {
        "instance_in_flight": 0,
        "instance_queue": 0,
        "instance_status_check_failed": 0,
        "environment_in_flight": 0,
        "environment_queue": 0,
        "environment_failed_checks": 0,
    }
    await clock.advance(10)
    rig.balancer.count("shop.prod", rig.one.id, bytes_in=7, retries=1, failed_checks=2, queue=3)
    rig.balancer.count("shop.prod", bytes_in=9, bytes_out=11, connections=2, retries=1, queue=4)
    rig.balancer.set_sessions("shop.prod", rig.one.id, 5)
    rig.balancer.set_check("shop.prod", rig.one.id, is_healthy=False)
    assert await ask(rig.source, rig.shop) == {
        "instance_in_flight": 5,
        "instance_queue": 3,
        "instance_status_check_failed": 1,
        "instance_network_in_bytes": 7,
        "instance_network_out_bytes": 0,
        "instance_connections": 0,
        "instance_retries": 1,
        "instance_failed_checks": 2,
        "environment_in_flight": 5,
        "environment_queue": 4,
        "environment_bytes_in": 9,
        "environment_bytes_out": 11,
        "environment_connections": 2,
        "environment_retries": 1,
        "environment_failed_checks": 2,
    }


async def test_a_draining_instance_is_not_checked(clock: ManualClock) -> None:
    rig = Balanced(clock)
    await rig.open()
    await rig.balancer.drain("shop.prod", rig.one.id)
    assert "instance_status_check_failed" not in await ask(rig.source, rig.shop)


async def test_a_target_that_goes_takes_no_failed_checks_away(clock: ManualClock) -> None:
    rig = Balanced(clock)
    await rig.open()
    rig.balancer.count("shop.prod", rig.one.id, failed_checks=9)
    await ask(rig.source, rig.shop)
    await clock.advance(10)
    await rig.balancer.remove("shop.prod", rig.one.id)
    assert (await ask(rig.source, rig.shop))["environment_failed_checks"] == 0


def entry(action: str, subject: str, project: str = "shop", **details: object) -> Entry:
    return Entry(1, 1_000_000_000.0, "ada", action, subject, project, details)


async def test_halage_tells_what_it_does_and_uses(clock: ManualClock) -> None:
    used = iter((1.0, 1.5))
    own = OwnSource(clock, MemoryInventory(), Journal(), cpu_s=lambda: next(used))
    await own.collect(Tick(0, 10, ()))
    await clock.advance(10)
    numbers = await ask(own)
    assert numbers["halage_cpu_percent"] == pytest.approx(5)
    assert numbers["halage_memory_bytes"] > 10 * MIB
    assert numbers["halage_open_files"] >= 3
    work = ("open_runs", "queued_jobs", "running_jobs", "open_deployments")
    assert [numbers[f"halage_{name}"] for name in work] == [1, 2, 3, 4]


async def test_ends_of_runs_and_deployments_are_counted_from_the_journal(clock: ManualClock) -> None:
    journal = Journal()
    own = OwnSource(clock, MemoryInventory(), journal)
    async with Tasks() as tasks:
        tasks.start(own.watch(), "watch")
        await asyncio.sleep(0)
        journal.publish(
            [
                entry("pipeline:Succeeded", "project/shop/run/7"),
                entry("pipeline:Succeeded", "project/shop/run/8"),
                entry("pipeline:Cancel", "project/shop/run/9"),
                entry("environment:RolledBack", "project/shop/environment/prod"),
                entry("environment:Abort", "project/shop/environment/prod"),
                entry("pipeline:Approve", "project/shop/run/9"),
            ]
        )
        for _ in range(20):
            await asyncio.sleep(0)
    samples = await own.collect(Tick(0, 10, ()))
    ended = {str(sample.key): sample.value for sample in samples if "_ended" in sample.key.name}
    assert ended == {
        'halage_runs_ended{project="shop",state="succeeded"}': 2,
        'halage_runs_ended{project="shop",state="cancelled"}': 1,
        'halage_deployments_ended{environment="prod",project="shop",state="rolled_back"}': 1,
    }
    again = await own.collect(Tick(10, 10, ()))
    assert not any("_ended" in sample.key.name for sample in again)


async def test_a_push_is_timed_to_the_first_command_of_its_build_and_once(clock: ManualClock) -> None:
    own = OwnSource(clock, MemoryInventory(), Journal())
    own.note(entry("pipeline:Start", "project/shop/run/7", branch="main"))
    own.note(entry("pipeline:Start", "project/shop/run/8", is_reconciled=True))
    own.first_command(7, 1_000_000_000.045)
    own.first_command(7, 1_000_000_100.0)  # a retry of the run
    own.first_command(8, 1_000_000_100.0)
    own.first_command(9, 1_000_000_100.0)
    found = sketches(await own.collect(Tick(0, 10, ())))["halage_push_to_first_command_ms"]
    assert found.count == 1
    assert found.total == pytest.approx(45, abs=0.1)


async def test_a_loop_that_was_held_up_is_noticed(clock: ManualClock) -> None:
    own = OwnSource(clock, MemoryInventory(), Journal())
    async with Tasks() as tasks:
        tasks.start(own.watch_loop(), "watch loop")
        await clock.advance(0.35)
    found = sketches(await own.collect(Tick(0, 10, ())))["halage_loop_delay_ms"]
    assert found.count == 3
    assert found.maximum < 0.001


async def test_certificates_are_looked_at_once_an_hour_and_new_names_at_once(clock: ManualClock) -> None:
    ends: dict[str, float | None] = {"shop.example": clock.now() + 30 * DAY_S, "silent.example": None}
    looked: list[str] = []

    def read_end(domain: str) -> float | None:
        looked.append(domain)
        return ends[domain]

    shop = environment("shop", domains=("shop.example", "silent.example"))
    inventory = MemoryInventory([shop])
    source = CertificateSource(clock, inventory, read_end)

    async def pass_by(seconds: float) -> None:
        await clock.advance(seconds)
        await asyncio.sleep(0.05)  # it looks in a thread

    async with Tasks() as tasks:
        tasks.start(source.watch(), "watch")
        await pass_by(0)
        assert looked == ["shop.example", "silent.example"]
        samples = await source.collect(Tick(0, 10, (shop,)))
        assert [str(sample.key) for sample in samples] == [
            'environment_certificate_days{domain="shop.example",environment="prod",project="shop"}'
        ]
        assert [sample.value for sample in samples] == pytest.approx([30], abs=0.01)
        ends["new.example"] = clock.now()
        inventory.found = [environment("shop", domains=("shop.example", "silent.example", "new.example"))]
        await pass_by(61)
        assert looked[2:] == ["new.example"]
        ends["shop.example"] = None
        await pass_by(LOOK_EVERY_S - 60)
        assert sorted(looked[3:]) == ["shop.example", "silent.example"]
        assert await source.collect(Tick(0, 10, (shop,))) == []


async def test_certificate_that_halage_serves_is_known_without_asking(clock: ManualClock) -> None:
    now = clock.now()
    ends = (("shop.test", now + 10 * DAY_S), ("shop.example", now + 10 * DAY_S))
    shop = replace(environment("shop", domains=("shop.example", "outside.example")), certificate_ends=ends)
    looked: list[str] = []
    source = CertificateSource(clock, MemoryInventory([shop]), lambda domain: looked.append(domain))
    async with Tasks() as tasks:
        tasks.start(source.watch(), "watch")
        await clock.advance(0)
        await asyncio.sleep(0.05)  # it looks in a thread
    assert looked == ["outside.example"]
    samples = await source.collect(Tick(0, 10, (shop,)))
    assert [dict(each.key.dimensions)["domain"] for each in samples] == ["shop.test", "shop.example"]
    assert [each.value for each in samples] == pytest.approx([10, 10], abs=0.01)


def fake_machine(root: Path, busy: int = 100, sectors: int = 10, received: int = 5) -> None:
    """The files of /proc and /sys."""
    for name in ("proc/net", "proc/sys/fs", "proc/1", "proc/22", "sys/block/vda"):
        (root / name).mkdir(parents=True, exist_ok=True)
    files = {
        "stat": f"cpu  {busy} 0 0 900 0 0 0 0 0 0\n",
        "meminfo": "MemTotal: 1000 kB\nMemAvailable: 250 kB\nSwapTotal: 100 kB\nSwapFree: 60 kB\n",
        "loadavg": "0.5 0.25 0.125 1/100 5\n",
        "diskstats": f"254 0 vda {sectors} 0 {sectors} 0 1 0 2 0 0 0 0\n",
        "net/dev": f"x\ny\n eth0: {received} 1 0 0 0 0 0 0 7 8 0\n",
        "sys/fs/file-nr": "1023\t0\t2466165\n",
    }
    for name, text in files.items():
        (root / "proc" / name).write_text(text)


async def test_the_machine_is_told_from_its_files(clock: ManualClock, tmp_path: Path) -> None:
    source = MachineSource(clock, tmp_path)
    fake_machine(tmp_path)
    levels = await ask(source)
    assert levels == {
        "machine_memory_bytes": 750 * 1024,
        "machine_memory_percent": 75,
        "machine_swap_bytes": 40 * 1024,
        "machine_processes": 2,
        "machine_open_files": 1023,
        "machine_load_1m": 0.5,
        "machine_load_5m": 0.25,
        "machine_load_15m": 0.125,
    }
    await clock.advance(10)
    fake_machine(tmp_path, busy=101, sectors=12, received=9)
    numbers = await ask(source)
    assert {name: value for name, value in numbers.items() if name not in levels} == {
        "machine_cpu_percent": 100,
        "machine_disk_read_bytes": 1024,
        "machine_disk_write_bytes": 0,
        "machine_disk_read_operations": 2,
        "machine_disk_write_operations": 0,
        "machine_network_in_bytes": 4,
        "machine_network_out_bytes": 0,
        "machine_network_in_packets": 0,
        "machine_network_out_packets": 0,
    }


async def test_file_systems_are_told_by_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/x {tmp_path} ext4 rw 0 0\n/dev/y /nowhere/at/all ext4 rw 0 0\n")
    samples = await FileSystemSource(tmp_path, mounts).collect(Tick(0, 10, ()))
    told = {str(sample.key): sample.value for sample in samples}
    assert set(told) == {
        f'machine_disk_used_percent{{mount="{tmp_path}"}}',
        f'machine_disk_free_bytes{{mount="{tmp_path}"}}',
        "machine_status_check_failed",
    }
    used = told[f'machine_disk_used_percent{{mount="{tmp_path}"}}']
    assert isinstance(used, float) and 0 < used < 100
    assert told["machine_status_check_failed"] == 0


async def test_what_hangs_aside_is_not_begun_twice() -> None:
    aside, lets_go, begun = Aside("test"), threading.Event(), []

    def hang() -> str:
        begun.append(1)
        lets_go.wait(20)
        return "back"

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await aside.run(hang)
    with pytest.raises(TimeoutError, match="not come back"):
        await aside.run(hang)
    assert len(begun) == 1
    lets_go.set()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await aside.run(hang) == "back"
                break
            except TimeoutError:
                await asyncio.sleep(0.001)
    with pytest.raises(ZeroDivisionError):
        await aside.run(lambda: 1 // 0)
