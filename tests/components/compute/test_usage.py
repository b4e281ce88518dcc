"""What a unit uses, seen from its own processes."""

import asyncio
from pathlib import Path

import pytest

from halage.compute.drivers.process import ProcessDriver, ProcessSettings
from halage.compute.drivers.process.usage import last_usage
from halage.compute.model import Limits, Usage
from tests.components.compute.units import LIMITS, unit_of

MIB = 1024 * 1024


@pytest.mark.parametrize("use_cgroups", [True, False], ids=["cgroup", "without cgroup"])
async def test_open_files_and_written_bytes_are_counted(
    units: Path, workspace: Path, use_cgroups: bool
) -> None:
    script = (
        f"dd if=/dev/zero of={workspace}/big bs=1M count=4 conv=fsync; "
        "exec 7</dev/null 8</dev/null; sleep 60 & echo ready; wait"
    )
    async with ProcessDriver(units, ProcessSettings(use_cgroups=use_cgroups)) as driver:
        spec = unit_of(script)
        await driver.start(spec)
        while b"ready" not in (await driver.read(spec.id)).data:
            await driver.grown(spec.id, (await driver.read(spec.id)).next_offset)
        usage = await driver.measure(spec.id)
        await driver.remove(spec.id)
    # dd has ended: the shell that waited for it has its bytes.
    assert usage.disk_write_bytes is not None
    assert 4 * MIB <= usage.disk_write_bytes < 6 * MIB
    assert usage.disk_read_bytes is not None
    # The shell holds 0, 1, 2, 7, 8 and sleep as many.
    assert usage.open_files is not None
    assert 8 <= usage.open_files <= 16


async def test_a_unit_that_is_held_back_says_so(driver: ProcessDriver) -> None:
    if not driver.abilities.cpu:
        pytest.skip(driver.abilities.cpu.reason)
    spec = unit_of("while :; do :; done", limits=Limits(0.1, LIMITS.memory_bytes))
    await driver.start(spec)
    async with asyncio.timeout(20):
        while not (usage := await driver.measure(spec.id)).throttled_periods:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert usage.cpu_periods is not None
    assert 0 < usage.throttled_periods <= usage.cpu_periods


def test_after_the_end_counts_stay_and_levels_are_gone() -> None:
    before = Usage(2.0, 100, 500, 3, open_files=9, disk_read_bytes=7, disk_write_bytes=8)
    assert last_usage(before, Usage(2.5, 0, 400, 0)) == Usage(
        2.5, 0, 500, 0, disk_read_bytes=7, disk_write_bytes=8
    )
    assert last_usage(None, None) == Usage(0.0, 0, 0, 0)
