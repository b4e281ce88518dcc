"""Limits of units: they are the kernel's, and nobody else pays for a hog."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from halage.compute.drivers.process import ProcessDriver, ProcessSettings
from halage.compute.model import MIB, Limits
from tests.components.compute.units import unit_of

HOG = "exec python3 -c 'import time; hog = bytearray(200 * 1024 * 1024); time.sleep(60)'"


def _need(driver: ProcessDriver, name: str) -> None:
    ability = getattr(driver.abilities, name)
    if not ability:
        pytest.skip(f"{name} limits cannot be enforced here: {ability.reason}")


async def test_a_hog_is_killed_alone(driver: ProcessDriver) -> None:
    _need(driver, "memory")
    limits = Limits(cpu=1.0, memory_bytes=64 * MIB)
    neighbour, hog = unit_of("exec sleep 60", limits=limits), unit_of(HOG, limits=limits)
    await driver.start(neighbour)
    await driver.start(hog)
    async with asyncio.timeout(10):
        exit_ = await driver.wait(hog.id)
    assert exit_.out_of_memory
    assert exit_.code == 137
    assert str(exit_) == "was killed: it used more than its 64 MiB of memory"
    assert (await driver.measure(hog.id)).peak_memory_bytes >= 60 * MIB
    statuses = {unit.id: unit for unit in await driver.list()}
    assert statuses[neighbour.id].is_running


async def test_a_kill_by_hand_is_not_called_lack_of_memory(driver: ProcessDriver) -> None:
    unit = unit_of("kill -9 $$")
    await driver.start(unit)
    exit_ = await driver.wait(unit.id)
    assert (exit_.code, exit_.out_of_memory) == (137, False)


async def test_cpu_is_rationed(driver: ProcessDriver) -> None:
    _need(driver, "cpu")
    unit = unit_of("while :; do :; done", limits=Limits(cpu=0.2, memory_bytes=64 * MIB))
    await driver.start(unit)
    await asyncio.sleep(0.1)
    before, at = await driver.measure(unit.id), time.monotonic()
    await asyncio.sleep(0.6)
    share = ((await driver.measure(unit.id)).cpu_s - before.cpu_s) / (time.monotonic() - at)
    assert 0.05 < share < 0.26


async def test_processes_are_counted(driver: ProcessDriver) -> None:
    _need(driver, "processes")
    unit = unit_of(
        "for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; echo all; wait", limits=Limits(1.0, 64 * MIB, 5)
    )
    await driver.start(unit)
    await driver.wait(unit.id)
    output = (await driver.read(unit.id)).data
    assert b"fork" in output
    assert b"all" not in output


async def test_without_cgroups_it_says_that_limits_are_not_kept(units: Path) -> None:
    async with ProcessDriver(units, ProcessSettings(use_cgroups=False)) as driver:
        abilities = driver.abilities
        assert not abilities.cpu
        assert not abilities.memory
        assert any("Memory limits are not enforced" in text for text in abilities.sentences())


async def test_groups_are_gone_after_the_units(units: Path) -> None:
    name = f"halage-test-{units.parent.name}"
    async with ProcessDriver(units, ProcessSettings(cgroup_name=name)) as driver:
        unit = unit_of("exit 0")
        await driver.start(unit)
        await driver.wait(unit.id)
        await driver.remove(unit.id)
        assert [inside for _, children in _groups(name) for inside in children] == []
    for path, _ in _groups(name):
        path.rmdir()


def _groups(name: str) -> list[tuple[Path, list[str]]]:
    """Every cgroup of that name with its children; other tests' groups come and go meanwhile."""
    found = os.walk("/sys/fs/cgroup")
    return [(Path(path), children) for path, children, _ in found if Path(path).name == name]
