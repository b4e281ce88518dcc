"""Units as processes of this machine, which outlive the control plane and are found again."""

import asyncio
import builtins
import contextlib
import functools
import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

import structlog

from halage.base.clock import Clock, SystemClock
from halage.base.tasks import Tasks
from halage.compute.abilities import Abilities, Ability
from halage.compute.accounts import FIRST_UID
from halage.compute.drivers.process.attachment import Attachment, open_ends
from halage.compute.drivers.process.cgroups import Cgroups, find_cgroups, no_cgroups
from halage.compute.drivers.process.ending import Ending
from halage.compute.drivers.process.inotify import Growth
from halage.compute.drivers.process.launch import Launcher
from halage.compute.drivers.process.output import Log, LogLimits, can_punch_holes
from halage.compute.drivers.process.record import UnitDirectory, is_unit_id
from halage.compute.drivers.process.sandbox import Bubblewrap, find_bubblewrap
from halage.compute.drivers.process.unit import Unit
from halage.compute.errors import NoSuchUnit, StartFailed
from halage.compute.model import Account, Exit, Output, TerminalSize, UnitSpec, UnitStatus, Usage

T = TypeVar("T")
log = structlog.get_logger()

SandboxChoice = Literal["auto", "bubblewrap", "plain"]
_THREADS = 4
_STRAY_LOOKS, _STRAY_LOOK_EVERY_S = 50, 0.02


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """How the process driver behaves.

    `sandbox`: bubblewrap where it works ("auto"), or else no sandboxed unit starts ("bubblewrap"),
    or never ("plain"). `hidden` directories are not seen from a sandbox even where a system
    directory holds them. `use_cgroups=False` is for machines where they must be left alone.
    """

    sandbox: SandboxChoice = "auto"
    hidden: tuple[Path, ...] = ()
    log_limits: LogLimits = field(default_factory=LogLimits)
    rotation_interval_s: float = 2.0
    use_cgroups: bool = True
    cgroup_name: str | None = None
    """The parent of all units' cgroups; by default made from the path of the data directory."""


class ProcessDriver:
    """A ComputeDriver; use it as `async with`. Leaving it ends nothing but the watching."""

    def __init__(
        self, directory: Path, settings: ProcessSettings | None = None, *, clock: Clock | None = None
    ) -> None:
        """Keep units in `directory` (DATA/units, made if missing)."""
        self._directory = directory.absolute()
        self._settings = settings or ProcessSettings()
        self._clock = clock or SystemClock()
        self._tasks = Tasks()
        self._threads = ThreadPoolExecutor(_THREADS, "compute")
        self._ending = Ending(self._tasks, self._threads, self._clock.now)
        self._growth = Growth()
        self._units: dict[str, Unit] = {}
        self._starting: dict[str, asyncio.Task[Unit | StartFailed]] = {}
        self._abilities: Abilities | None = None
        self._launcher: Launcher | None = None

    @property
    def abilities(self) -> Abilities:
        """What holds for units on this machine; known once the driver was entered."""
        assert self._abilities is not None, "the driver is used before it was entered"
        return self._abilities

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        found = await self._in_thread(self._look_around)
        await self._adopt(found)
        if self.abilities.log_rotation:
            self._tasks.start(self._rotate_for_ever(), "rotate logs")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._tasks.__aexit__(kind, error, trace)
        finally:
            # First those that are being started: each is on the disk, or is nothing.
            self._threads.shutdown()
            for unit in self._units.values():
                self._ending.unwatch(unit)
            self._growth.close()
            if self._launcher is not None:
                self._launcher.cgroups.retire()

    async def start(self, spec: UnitSpec) -> UnitStatus:
        """Start the unit; a known id returns its status unchanged. Raises StartFailed."""
        if spec.id not in self._units and spec.id not in self._starting:
            assert self._launcher is not None, "the driver is used before it was entered"
            launch = functools.partial(self._launcher.launch, spec)
            self._starting[spec.id] = self._tasks.start(self._start(spec, launch), f"start {spec.id}")
        if (starting := self._starting.get(spec.id)) is not None:
            # A caller that is cancelled must not leave a unit behind that nobody watches.
            result = await asyncio.shield(starting)
            if isinstance(result, StartFailed):
                raise result
            return result.status
        return self._units[spec.id].status

    async def attach(
        self, spec: UnitSpec, terminal: TerminalSize | None = None, host: str | None = None
    ) -> Attachment:
        """Start it with its ends in the caller's hands. Raises StartFailed, NoSuchUnit."""
        assert self._launcher is not None, "the driver is used before it was entered"
        hosting = None if host is None else await self._find_running(host)
        group = None if hosting is None else hosting.group
        if spec.id in self._units or spec.id in self._starting:
            raise StartFailed(f"There is a unit {spec.id} already.", unit=spec.id)
        try:
            ends = open_ends(terminal, spec.account)
        except OSError as error:
            raise StartFailed(f"Unit {spec.id} could not be started: {error}.", unit=spec.id) from error
        attachment = Attachment(ends)
        launch = functools.partial(self._launcher.attach, spec, ends, group)
        starting = self._tasks.start(self._start(spec, launch), f"start {spec.id}")
        self._starting[spec.id] = starting
        try:
            result = await asyncio.shield(starting)
            if isinstance(result, StartFailed):
                raise result
        except BaseException:
            attachment.close()
            raise
        if hosting is not None:
            self._tasks.start(self._end_with(hosting, result), f"end {spec.id} with {hosting.id}")
        return attachment

    async def _find_running(self, unit_id: str) -> Unit:
        unit = await self._find(unit_id)
        if unit.ended.is_set():
            raise NoSuchUnit(f"Unit {unit_id} has ended.", unit=unit_id)
        return unit

    async def _end_with(self, host: Unit, guest: Unit) -> None:
        """End a guest with its host: without control groups nothing else would."""
        over = asyncio.get_running_loop().create_future()
        for unit in (host, guest):
            unit.wake_at_end(over)
        if not host.ended.is_set() and not guest.ended.is_set():
            await over
        if not guest.ended.is_set():
            await self._ending.terminate(guest, 0.0)

    async def list(self) -> builtins.list[UnitStatus]:
        """Every unit that was started and not removed."""
        return [unit.status for unit in self._units.values()]

    async def wait(self, unit_id: str) -> Exit:
        """Return as soon as it has ended. Raises NoSuchUnit."""
        unit = await self._find(unit_id)
        await unit.ended.wait()
        assert unit.exit is not None
        return unit.exit

    async def read(self, unit_id: str, offset: int = 0, limit: int = 65536) -> Output:
        """A piece of its output. Raises NoSuchUnit."""
        return (await self._find(unit_id)).log.read(offset, limit)

    async def grown(self, unit_id: str, offset: int) -> None:
        """Return once there is output past `offset` or the unit has ended. Raises NoSuchUnit."""
        unit = await self._find(unit_id)
        while unit.log.end <= offset and not unit.ended.is_set():
            written = self._growth.watch(unit.files.output)
            unit.wake_at_end(written)
            try:
                # Looked at again: it may have been written just before the watch was set.
                if unit.log.end <= offset:
                    await written
            finally:
                written.cancel()

    async def measure(self, unit_id: str) -> Usage:
        """What it uses now; after its end the last figures. Raises NoSuchUnit."""
        unit = await self._find(unit_id)
        return await self._ending.measure(unit) if unit.end is None else unit.end.usage

    async def measure_all(self, unit_ids: Collection[str]) -> Mapping[str, Usage]:
        """What each of them uses now, without those that have ended."""
        units = [unit for unit_id in unit_ids if (unit := self._units.get(unit_id)) is not None]
        return await self._ending.measure_all([unit for unit in units if unit.end is None])

    async def stop(self, unit_id: str, grace_s: float = 10.0) -> Exit | None:
        """SIGTERM to all of it, SIGKILL to what is left after the grace. Idempotent."""
        try:
            unit = await self._find(unit_id)
        except NoSuchUnit:
            return None
        if not unit.ended.is_set():
            await self._ending.terminate(unit, grace_s)
        return unit.exit

    async def remove(self, unit_id: str) -> None:
        """Forget it with its output. Idempotent; stops it if it runs."""
        await self.stop(unit_id)
        if (unit := self._units.pop(unit_id, None)) is not None:
            await self._in_thread(unit.erase)

    def process_id(self, unit_id: str) -> int:
        """The process id of the unit's leader, for those who look from outside. Raises NoSuchUnit."""
        if (unit := self._units.get(unit_id)) is None:
            raise NoSuchUnit(f"There is no unit {unit_id}.", unit=unit_id)
        return unit.leader_pid

    async def _find(self, unit_id: str) -> Unit:
        if (starting := self._starting.get(unit_id)) is not None:
            await asyncio.shield(starting)
        if (unit := self._units.get(unit_id)) is None:
            raise NoSuchUnit(f"There is no unit {unit_id}.", unit=unit_id)
        return unit

    async def _start(self, spec: UnitSpec, launch: Callable[[], Unit]) -> Unit | StartFailed:
        try:
            unit = await self._in_thread(launch)
        except StartFailed as error:
            return error
        finally:
            self._starting.pop(spec.id, None)
        self._units[spec.id] = unit
        await self._ending.watch(unit)
        log.info("unit started", action="compute:Start", subject=unit.id, pid=unit.leader_pid)
        return unit

    def _look_around(self) -> builtins.list[Unit]:
        """Find out what the machine can do, and which units are there. Runs in a thread."""
        self._directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._directory.chmod(0o711)
        settings = self._settings
        bubblewrap, sandbox = _find_sandbox(settings)
        cgroups = _find_cgroups(settings, self._directory)
        self._abilities = _abilities(sandbox, cgroups, can_punch_holes(self._directory))
        self._launcher = Launcher(
            self._directory,
            cgroups,
            bubblewrap,
            settings.sandbox == "bubblewrap",
            settings.log_limits,
            self._clock.now,
        )
        units = list(filter(None, map(self._load, sorted(self._directory.iterdir()))))
        _remove_strays(cgroups, units)
        return units

    def _load(self, path: Path) -> Unit | None:
        files = UnitDirectory(path)
        record = files.load()
        if record is None or record.leader is None:
            # Cut off before its script was sent, so nothing of it has run or will, or in `remove`.
            if path.is_dir() and is_unit_id(path.name):
                Log(files.output, self._settings.log_limits).release()
                files.remove()
            return None
        return Unit(path.name, files, record, self._settings.log_limits)

    async def _adopt(self, found: builtins.list[Unit]) -> None:
        self._units = {unit.id: unit for unit in found}
        unfinished = [unit for unit in found if unit.end is None]
        await asyncio.gather(*(self._ending.watch(unit) for unit in unfinished))
        log.info("units adopted", action="compute:Adopt", subject=str(self._directory), units=len(found))

    async def _rotate_for_ever(self) -> None:
        # One timer and one stat() a unit, whatever the number of instances: 0.2 ms for 120.
        while True:
            await asyncio.sleep(self._settings.rotation_interval_s)
            for unit in tuple(self._units.values()):
                if unit.end is None and unit.log.is_full:
                    await self._rotate(unit)

    async def _rotate(self, unit: Unit) -> None:
        try:
            await self._in_thread(unit.log.rotate)
        except OSError as error:
            log.warning("log not rotated", action="compute:Rotate", subject=unit.id, error=str(error))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _remove_strays(cgroups: Cgroups, units: Iterable[Unit]) -> None:
    """Delete the groups of starts that were cut off; a process that is just ending holds its own a moment."""
    strays = cgroups.strays(unit.id for unit in units)
    for _ in range(_STRAY_LOOKS):
        strays = [stray for stray in strays if not stray.remove()]
        if not strays:
            return
        time.sleep(_STRAY_LOOK_EVERY_S)


def _find_sandbox(settings: ProcessSettings) -> tuple[Bubblewrap | None, Ability]:
    if settings.sandbox == "plain":
        return None, Ability(False, "the settings say plain")
    # Any account will do to see whether bubblewrap works for those that are not root.
    account = Account(FIRST_UID, FIRST_UID) if os.geteuid() == 0 else None
    return find_bubblewrap(account, settings.hidden)


def _find_cgroups(settings: ProcessSettings, directory: Path) -> Cgroups:
    if not settings.use_cgroups:
        return no_cgroups("the settings say so")
    mark = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    with contextlib.suppress(FileNotFoundError):
        return find_cgroups(settings.cgroup_name or f"halage-{mark}")
    return no_cgroups("this system has no /proc")


def _abilities(sandbox: Ability, cgroups: Cgroups, rotates: bool) -> Abilities:
    limits = {
        name: Ability(name not in cgroups.missing, cgroups.missing.get(name, ""))
        for name in ("cpu", "memory", "pids")
    }
    return Abilities(
        accounts=Ability(os.geteuid() == 0, "the server does not run as root"),
        cpu=limits["cpu"],
        memory=limits["memory"],
        processes=limits["pids"],
        sandbox=sandbox,
        log_rotation=Ability(rotates, "the file system of the data directory cannot punch holes in files"),
    )
