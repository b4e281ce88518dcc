"""What every compute driver must do, run against each of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest

from halage.compute.driver import ComputeDriver, FollowsOutput, HasAbilities, MeasuresMany, RunsAttached
from halage.compute.drivers.memory import MemoryDriver, Script
from halage.compute.drivers.process import ProcessDriver, ProcessSettings
from halage.compute.errors import NoSuchUnit, StartFailed
from halage.compute.model import Sandbox, Stream, TerminalSize, UnitSpec
from tests.components.compute.units import unit_of


class FullDriver(ComputeDriver, FollowsOutput, HasAbilities, MeasuresMany, RunsAttached, Protocol):
    """A driver with all optional abilities; both of ours have them."""


class Stage:
    """A driver under test, and units for it that behave as they are told."""

    driver: FullDriver

    async def restart(self) -> None:
        """Make the driver anew, as after a restart of the control plane."""

    def printing(self, text: str, *, then_exit: int | None) -> UnitSpec:
        """A unit that prints a text and exits, or runs on."""
        rest = f"exit {then_exit}" if then_exit is not None else "exec sleep 60"
        return unit_of(f"printf %s '{text}'; {rest}")

    def endless(self) -> UnitSpec:
        """A unit that runs until it is stopped."""
        return unit_of("exec sleep 60")

    def unstartable(self) -> UnitSpec:
        """A unit whose start fails."""
        return UnitSpec("unstartable", (), "/", {}, unit_of("").limits)


class MemoryStage(Stage):
    def __init__(self) -> None:
        self.memory = MemoryDriver()
        self.driver = self.memory

    def printing(self, text: str, *, then_exit: int | None) -> UnitSpec:
        spec = super().printing(text, then_exit=then_exit)
        self.memory.script(spec.id, Script(output=text.encode(), exit_code=then_exit))
        return spec


class ProcessStage(Stage):
    def __init__(self, directory: Path, settings: ProcessSettings) -> None:
        self.settings = settings
        self.directory = directory
        self.stack = AsyncExitStack()

    async def restart(self) -> None:
        await self.stack.aclose()
        self.driver = await self.stack.enter_async_context(ProcessDriver(self.directory, self.settings))


@pytest.fixture(params=["memory", "process", "process without cgroups"])
async def stage(request: pytest.FixtureRequest, units: Path) -> AsyncIterator[Stage]:
    if request.param == "memory":
        yield MemoryStage()
        return
    made = ProcessStage(units, ProcessSettings(use_cgroups=request.param == "process"))
    await made.restart()
    yield made
    for unit in await made.driver.list():
        await made.driver.stop(unit.id, 0.0)
        await made.driver.remove(unit.id)
    await made.stack.aclose()
    assert list(units.iterdir()) == []


async def test_a_unit_runs_prints_and_exits(stage: Stage) -> None:
    spec = stage.printing("hello", then_exit=7)
    status = await stage.driver.start(spec)
    assert status.id == spec.id
    exit_ = await stage.driver.wait(spec.id)
    assert (exit_.code, exit_.out_of_memory) == (7, False)
    output = await stage.driver.read(spec.id)
    assert (output.data, output.offset, output.next_offset) == (b"hello", 0, 5)
    (listed,) = await stage.driver.list()
    assert listed.exit == exit_
    assert not listed.is_running


async def test_a_second_start_changes_nothing(stage: Stage) -> None:
    spec = stage.endless()
    first = await stage.driver.start(spec)
    assert await stage.driver.start(spec) == first
    assert [unit.id for unit in await stage.driver.list()] == [spec.id]


async def test_two_starts_at_once_make_one_unit(stage: Stage) -> None:
    spec = stage.endless()
    one, other = await asyncio.gather(stage.driver.start(spec), stage.driver.start(spec))
    assert one == other
    assert len(await stage.driver.list()) == 1


async def test_a_start_that_is_cancelled_still_leaves_a_known_unit(stage: Stage) -> None:
    spec = stage.endless()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await stage.driver.start(spec)
    await stage.driver.start(spec)
    assert [unit.id for unit in await stage.driver.list()] == [spec.id]


async def test_a_failed_start_leaves_nothing(stage: Stage) -> None:
    spec = stage.unstartable()
    with pytest.raises(StartFailed):
        await stage.driver.start(spec)
    assert await stage.driver.list() == []
    assert await stage.driver.stop(spec.id) is None
    await stage.driver.remove(spec.id)


async def test_stop_ends_it_and_may_be_called_again(stage: Stage) -> None:
    spec = stage.endless()
    await stage.driver.start(spec)
    exit_ = await stage.driver.stop(spec.id, 5.0)
    assert exit_ is not None
    assert exit_.code == 143
    assert await stage.driver.stop(spec.id) == exit_
    assert await stage.driver.wait(spec.id) == exit_


async def test_everyone_who_waits_is_woken(stage: Stage) -> None:
    spec = stage.endless()
    await stage.driver.start(spec)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(stage.driver.wait(spec.id)) for _ in range(3)]
        await asyncio.sleep(0.01)
        await asyncio.gather(stage.driver.stop(spec.id), stage.driver.stop(spec.id))
    assert len({task.result() for task in waiting}) == 1


async def test_waiting_can_be_cancelled(stage: Stage) -> None:
    spec = stage.endless()
    await stage.driver.start(spec)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await stage.driver.wait(spec.id)
    (unit,) = await stage.driver.list()
    assert unit.is_running


async def test_remove_stops_and_forgets(stage: Stage) -> None:
    spec = stage.endless()
    await stage.driver.start(spec)
    await stage.driver.remove(spec.id)
    assert await stage.driver.list() == []
    await stage.driver.remove(spec.id)
    for call in (stage.driver.wait, stage.driver.read, stage.driver.measure):
        with pytest.raises(NoSuchUnit):
            await call(spec.id)
    assert await stage.driver.stop(spec.id) is None


async def test_output_is_read_in_pieces_and_from_the_end(stage: Stage) -> None:
    spec = stage.printing("0123456789", then_exit=0)
    await stage.driver.start(spec)
    await stage.driver.wait(spec.id)
    piece = await stage.driver.read(spec.id, 2, 3)
    assert (piece.data, piece.offset, piece.next_offset) == (b"234", 2, 5)
    assert (await stage.driver.read(spec.id, -4)).data == b"6789"
    assert (await stage.driver.read(spec.id, -99)).data == b"0123456789"
    end = await stage.driver.read(spec.id, 10)
    assert (end.data, end.next_offset) == (b"", 10)


async def test_a_follower_is_told_of_output_and_of_the_end(stage: Stage) -> None:
    spec = stage.printing("abc", then_exit=None)
    await stage.driver.start(spec)
    async with asyncio.timeout(30):
        await stage.driver.grown(spec.id, 0)
        while (await stage.driver.read(spec.id)).next_offset < 3:
            await stage.driver.grown(spec.id, (await stage.driver.read(spec.id)).next_offset)
        async with asyncio.TaskGroup() as group:
            group.create_task(stage.driver.grown(spec.id, 3))
            await asyncio.sleep(0.01)
            await stage.driver.stop(spec.id)


async def test_what_it_used_is_known_during_and_after(stage: Stage) -> None:
    spec = stage.endless()
    await stage.driver.start(spec)
    await asyncio.sleep(0.05)
    during = await stage.driver.measure(spec.id)
    assert during.processes >= 1
    assert during.memory_bytes > 0
    await stage.driver.stop(spec.id)
    after = await stage.driver.measure(spec.id)
    assert (after.processes, after.memory_bytes) == (0, 0)
    assert after.peak_memory_bytes > 0
    assert after.cpu_s >= during.cpu_s * 0.5


async def test_many_are_measured_in_one_look(stage: Stage) -> None:
    one, other, ended = stage.endless(), stage.endless(), stage.printing("bye", then_exit=0)
    for spec in (one, other, ended):
        await stage.driver.start(spec)
    await stage.driver.wait(ended.id)
    await asyncio.sleep(0.05)
    found = await stage.driver.measure_all([one.id, other.id, ended.id, "unknown"])
    assert set(found) == {one.id, other.id}
    alone = await stage.driver.measure(one.id)
    assert found[one.id].processes == alone.processes >= 1
    assert found[one.id].memory_bytes > 0
    assert found[one.id].open_files == alone.open_files


async def test_a_new_driver_knows_every_unit(stage: Stage) -> None:
    endless, ended = stage.endless(), stage.printing("bye", then_exit=3)
    await stage.driver.start(endless)
    await stage.driver.start(ended)
    exit_ = await stage.driver.wait(ended.id)
    await stage.restart()
    listed = {unit.id: unit for unit in await stage.driver.list()}
    assert listed[endless.id].is_running
    assert listed[ended.id].exit == exit_
    assert (await stage.driver.read(ended.id)).data == b"bye"
    assert await stage.driver.start(endless) == listed[endless.id]
    stopped = await stage.driver.stop(endless.id)
    assert stopped is not None
    assert stopped.code == 143


async def test_a_sandboxed_unit_runs_as_well(stage: Stage) -> None:
    plain = stage.printing("inside", then_exit=0)
    spec = UnitSpec(plain.id, plain.command, "/", plain.environment, plain.limits, plain.account, Sandbox({}))
    await stage.driver.start(spec)
    assert (await stage.driver.wait(spec.id)).code == 0
    assert (await stage.driver.read(spec.id)).data == b"inside"


async def test_an_attached_unit_gives_its_output_to_who_started_it(stage: Stage) -> None:
    spec = stage.printing("hello", then_exit=7)
    ends = await stage.driver.attach(spec)
    assert await ends.read(Stream.OUTPUT) == b"hello"
    assert await ends.read(Stream.OUTPUT) == b""
    assert await ends.read(Stream.ERRORS) == b""
    assert (await stage.driver.wait(spec.id)).code == 7
    assert (await stage.driver.read(spec.id)).data == b""
    ends.close()
    ends.close()
    await stage.driver.remove(spec.id)
    assert await stage.driver.list() == []


async def test_an_attached_unit_is_stopped_as_any_other(stage: Stage) -> None:
    spec = stage.endless()
    ends = await stage.driver.attach(spec, TerminalSize(100, 30))
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(ends.read(Stream.OUTPUT))
        exit_ = await stage.driver.stop(spec.id, 5.0)
    assert exit_ is not None
    assert exit_.code == 143
    assert reading.result() == b""
    await ends.write(b"too late\n")
    ends.close()


async def test_who_reads_is_woken_when_the_ends_are_let_go(stage: Stage) -> None:
    spec = stage.endless()
    ends = await stage.driver.attach(spec)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(ends.read(Stream.OUTPUT))
        await asyncio.sleep(0.01)
        ends.close()
    assert reading.result() == b""
    await stage.driver.stop(spec.id, 0.0)


async def test_nobody_attaches_to_a_host_that_has_ended(stage: Stage) -> None:
    host = stage.printing("", then_exit=0)
    await stage.driver.start(host)
    await stage.driver.wait(host.id)
    with pytest.raises(NoSuchUnit):
        await stage.driver.attach(stage.endless(), host=host.id)
    with pytest.raises(NoSuchUnit):
        await stage.driver.attach(stage.endless(), host="nobody")
    assert [unit.id for unit in await stage.driver.list()] == [host.id]


async def test_a_guest_ends_with_its_host_and_not_the_other_way_round(stage: Stage) -> None:
    host, first, second = stage.endless(), stage.endless(), stage.endless()
    await stage.driver.start(host)
    for guest in (first, second):
        ends = await stage.driver.attach(guest, host=host.id)
        ends.close()
    await stage.driver.stop(first.id, 0.0)
    assert {unit.id for unit in await stage.driver.list() if unit.is_running} == {host.id, second.id}
    await stage.driver.stop(host.id, 0.0)
    assert (await stage.driver.wait(second.id)).code != 0


async def test_an_attached_start_that_fails_leaves_nothing(stage: Stage) -> None:
    with pytest.raises(StartFailed):
        await stage.driver.attach(stage.unstartable())
    assert await stage.driver.list() == []
