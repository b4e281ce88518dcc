"""Stopping ends the whole tree, politely first."""

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from halage.compute.drivers.process import ProcessDriver, ProcessSettings
from halage.compute.drivers.process.tree import listeners_of
from halage.compute.model import Sandbox
from tests.components.compute.units import processes_with, unit_of


@pytest.fixture(params=["cgroup", "no cgroup", "sandbox", "sandbox without cgroup"])
async def case(request: pytest.FixtureRequest, units: Path):  # type: ignore[no-untyped-def]
    settings = ProcessSettings(use_cgroups="no cgroup" != request.param != "sandbox without cgroup")
    async with ProcessDriver(units, settings) as driver:
        if "sandbox" in request.param and not driver.abilities.sandbox:
            pytest.skip(driver.abilities.sandbox.reason)
        yield driver, Sandbox({}) if "sandbox" in request.param else None
        for unit in await driver.list():
            await driver.stop(unit.id, 0.0)
            await driver.remove(unit.id)


async def _printed(driver: ProcessDriver, unit_id: str, text: bytes) -> None:
    async with asyncio.timeout(30):
        at = 0
        while text not in (output := await driver.read(unit_id)).data:
            await driver.grown(unit_id, at)
            at = output.next_offset


async def test_daemons_that_left_the_session_are_killed_too(
    case: tuple[ProcessDriver, Sandbox | None],
) -> None:
    driver, sandbox = case
    mark = f"98{time.monotonic_ns() % 10**7}"
    unit = unit_of(
        f'setsid sh -c \'trap "" TERM; sleep {mark} & (trap "" TERM; exec sleep {mark}) & wait\' & '
        f"trap '' TERM; echo ready; while :; do sleep {mark}; done",
        sandbox=sandbox,
    )
    await driver.start(unit)
    await _printed(driver, unit.id, b"ready")
    while len(processes_with(f"sleep\0{mark}")) < 3:  # noqa: ASYNC110 - they tell nobody
        await asyncio.sleep(0.01)
    async with asyncio.timeout(20):  # they sleep for weeks
        exit_ = await driver.stop(unit.id, 0.2)
    assert exit_ is not None
    assert exit_.code == 137
    assert processes_with(f"sleep\0{mark}") == []


async def test_what_the_command_leaves_behind_ends_with_it(
    case: tuple[ProcessDriver, Sandbox | None],
) -> None:
    driver, sandbox = case
    mark = f"97{time.monotonic_ns() % 10**7}"
    unit = unit_of(f"setsid sleep {mark} & echo ready; exit 4", sandbox=sandbox)
    await driver.start(unit)
    assert (await driver.wait(unit.id)).code == 4
    assert processes_with(f"sleep\0{mark}") == []


async def test_there_is_time_for_a_graceful_end(case: tuple[ProcessDriver, Sandbox | None]) -> None:
    driver, sandbox = case
    unit = unit_of(
        "trap 'sleep 0.1; echo done; exit 5' TERM; echo ready; while :; do sleep 0.02; done",
        sandbox=sandbox,
    )
    await driver.start(unit)
    await _printed(driver, unit.id, b"ready")
    exit_ = await driver.stop(unit.id, 5.0)
    assert exit_ is not None
    assert exit_.code == 5
    assert b"done" in (await driver.read(unit.id)).data


async def test_a_stop_right_after_the_start_is_heard(case: tuple[ProcessDriver, Sandbox | None]) -> None:
    driver, sandbox = case
    for _ in range(5):
        unit = unit_of("exec sleep 60", sandbox=sandbox)
        await driver.start(unit)
        exit_ = await driver.stop(unit.id, 30.0)
        assert exit_ is not None
        assert exit_.code == 128 + signal.SIGTERM, "it was killed after the grace"


async def test_the_death_of_the_leader_ends_the_unit(case: tuple[ProcessDriver, Sandbox | None]) -> None:
    driver, sandbox = case
    mark = f"96{time.monotonic_ns() % 10**7}"
    unit = unit_of(f"echo ready; while :; do sleep {mark}; done", sandbox=sandbox)
    await driver.start(unit)
    await _printed(driver, unit.id, b"ready")
    os.kill(driver.process_id(unit.id), 9)
    async with asyncio.timeout(20):
        assert (await driver.wait(unit.id)).code == 137
    assert processes_with(f"sleep\0{mark}") == []


async def test_a_signal_to_the_leader_does_not_cost_the_exit_code(driver: ProcessDriver) -> None:
    """As a service manager may send it to every process that it finds."""
    unit = unit_of("echo ready; sleep 1; exit 6")
    await driver.start(unit)
    await _printed(driver, unit.id, b"ready")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(driver.process_id(unit.id), number)
    assert (await driver.wait(unit.id)).code == 6


def test_nobody_listens_before_the_command_has_begun() -> None:
    """The leader's copy would take the signal with it when it becomes the command."""
    leader = subprocess.Popen(("/bin/sh", "-s", "unit"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert leader.stdin is not None
    assert leader.stdout is not None
    leader.stdin.write(b"( echo begun; while :; do read -r line || exit 0; done ); exit\n")
    leader.stdin.flush()
    leader.stdout.readline()
    children = Path(f"/proc/{leader.pid}/task/{leader.pid}/children").read_text().split()
    members = {leader.pid, *map(int, children)}
    assert len(members) == 2
    assert listeners_of(leader.pid, members, is_sandboxed=False) == set()
    leader.communicate()


async def test_a_fork_storm_is_ended(driver: ProcessDriver) -> None:
    if not driver.abilities.processes:
        pytest.skip(driver.abilities.processes.reason)
    unit = unit_of("trap '' TERM; storm() { storm | storm & }; echo ready; storm; while :; do sleep 1; done")
    await driver.start(unit)
    await _printed(driver, unit.id, b"ready")
    async with asyncio.timeout(20):
        await driver.stop(unit.id, 0.1)
    assert (await driver.measure(unit.id)).processes == 0
