"""The end of a unit: noticing it, ending what is left of it, keeping how it ended."""

import asyncio
import contextlib
import functools
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from halage.base.tasks import Tasks
from halage.compute.drivers.process.identity import open_process
from halage.compute.drivers.process.launch import remove_group
from halage.compute.drivers.process.record import End
from halage.compute.drivers.process.tree import listeners_of, processes_of, scan_processes, send
from halage.compute.drivers.process.unit import Unit
from halage.compute.drivers.process.usage import (
    last_usage,
    measure_processes,
    usage_of_reaped,
    with_processes,
)
from halage.compute.model import Exit, Usage

T = TypeVar("T")
log = structlog.get_logger()

_KILLED = 128 + signal.SIGKILL
_LEADER_PATIENCE_S = 0.4
"""How long the leader may take to write the code once all that it waits for was killed."""
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.1
_SAY_AFTER_S = 5.0


class Ending:
    """Watches leaders by their pidfds and carries units to their end."""

    def __init__(self, tasks: Tasks, threads: ThreadPoolExecutor, now: Callable[[], float]) -> None:
        self._tasks = tasks
        self._threads = threads
        self._now = now

    async def watch(self, unit: Unit) -> None:
        """Be told when it ends; returns at once, or when it is finished if it has ended already."""
        assert unit.record.leader is not None
        unit.handle = open_process(unit.record.leader)
        if unit.handle is None:
            await self.finish(unit, was_seen=False)
            return
        asyncio.get_running_loop().add_reader(unit.handle, self._leader_ended, unit)

    def unwatch(self, unit: Unit) -> None:
        """Look away; the unit goes on. Idempotent."""
        if unit.handle is not None:
            asyncio.get_running_loop().remove_reader(unit.handle)
            os.close(unit.handle)
            unit.handle = None

    def _leader_ended(self, unit: Unit) -> None:
        self.unwatch(unit)
        unit.reap()
        self._tasks.start(self.finish(unit, was_seen=True), f"finish {unit.id}")

    async def finish(self, unit: Unit, *, was_seen: bool) -> None:
        """End what the command left behind, then keep the exit and wake who waits."""
        usage = await self.measure(unit)
        await self._kill(unit, spared=set())
        unit.mark_ended(End(self._exit_of(unit, was_seen), last_usage(unit.last_usage, usage)))
        log.info("unit ended", action="compute:End", subject=unit.id, exit=str(unit.exit))
        await self._retry_remove_group(unit)
        if unit.log.is_full:
            with contextlib.suppress(OSError):
                await self._in_thread(unit.log.rotate)

    def _exit_of(self, unit: Unit, was_seen: bool) -> Exit:
        written = unit.files.read_exit()
        code, at = written or (unit.wait_code, self._now())
        if was_seen:
            at = self._now()
        group = unit.group
        if group is None or code == 0 or not group.has_run_out_of_memory():
            return Exit(code, at)
        code = _KILLED if code is None else code
        if not group.has_reached_its_memory():
            return Exit(code, at, out_of_memory=True, is_machine_out=True)
        return Exit(code, at, out_of_memory=True, memory_bytes=group.memory_limit_bytes())

    async def terminate(self, unit: Unit, grace_s: float) -> None:
        """Ask all of it to go, and after the grace make it go. Returns when nothing lives."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._ask(unit)
                await unit.ended.wait()
        if unit.ended.is_set():
            return
        await self._kill(unit, spared={unit.leader_pid})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEADER_PATIENCE_S):
                await unit.ended.wait()
        if not unit.ended.is_set() and unit.handle is not None:
            signal.pidfd_send_signal(unit.handle, signal.SIGKILL)
        await unit.ended.wait()

    async def measure(self, unit: Unit) -> Usage:
        """What it uses now, or what the kernel says of it after its end."""
        usage = unit.group.usage() if unit.group is not None else None
        if usage is not None and unit.group is not None:
            usage = with_processes(usage, unit.group.processes(), unit.leader_pid)
        elif unit.reaped is not None:
            usage = usage_of_reaped(unit.reaped)
        else:
            usage = measure_processes(await self._members(unit), unit.leader_pid)
        unit.last_usage = usage
        return usage

    async def measure_all(self, units: Iterable[Unit]) -> dict[str, Usage]:
        """The same for all of them; those without a cgroup cost one look at /proc in a thread."""
        found = {}
        others = []
        for unit in units:
            if unit.group is None:
                others.append(unit)
                continue
            found[unit.id] = await self.measure(unit)
            await asyncio.sleep(0)  # a unit takes 0.1 ms or so: others get their turn in between
        if others:
            found |= await self._in_thread(functools.partial(_measure_ungrouped, others))
        return found

    async def _ask(self, unit: Unit) -> None:
        # Just after its start there may be nobody yet but the leader, which does not listen.
        while not unit.ended.is_set():
            members = await self._members(unit)
            listening = listeners_of(unit.leader_pid, members, is_sandboxed=unit.record.is_sandboxed)
            if listening:
                send(listening, signal.SIGTERM)
                return
            await asyncio.sleep(0.01)

    async def _kill(self, unit: Unit, spared: set[int]) -> None:
        pause = _SHORTEST_PAUSE_S
        waited = 0.0
        while members := await self._members(unit) - spared:
            # Stopped first, or a parent might see its child die, go on, and end by itself in between.
            send(members, signal.SIGSTOP)
            if unit.group is not None:
                unit.group.forbid_forks()
            send(members, signal.SIGKILL)
            await asyncio.sleep(pause)
            if waited < _SAY_AFTER_S <= waited + pause:
                log.warning("processes do not die", action="compute:Stop", subject=unit.id, pids=members)
            waited += pause
            pause = min(pause * 1.5, _LONGEST_PAUSE_S)

    async def _members(self, unit: Unit) -> set[int]:
        assert unit.record.leader is not None
        look = functools.partial(processes_of, unit.id, unit.record.leader, unit.group)
        # Without a cgroup all of /proc has to be read, which would hold the loop up.
        return look() if unit.group is not None else await self._in_thread(look)

    async def _retry_remove_group(self, unit: Unit) -> None:
        pause = _SHORTEST_PAUSE_S
        while not remove_group(unit.group) and pause < 1.0:
            await asyncio.sleep(pause)
            pause *= 2

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _measure_ungrouped(units: Sequence[Unit]) -> dict[str, Usage]:
    leaders = {unit.id: unit.record.leader for unit in units if unit.record.leader is not None}
    found = {}
    for unit_id, pids in scan_processes(leaders).items():
        found[unit_id] = measure_processes(pids, leaders[unit_id].pid)
    for unit in units:
        unit.last_usage = found.get(unit.id, unit.last_usage)
    return found
