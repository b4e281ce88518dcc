"""A driver without processes, for tests of services: scripted, and strict about the order of calls."""

import asyncio
import builtins
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from halage.base.clock import Clock, SystemClock
from halage.compute.abilities import Abilities, Ability
from halage.compute.errors import NoSuchUnit, StartFailed
from halage.compute.model import Exit, Output, Stream, TerminalSize, UnitSpec, UnitStatus, Usage

_TERMINATED, _KILLED = 143, 137
_USED = Usage(cpu_s=0.1, memory_bytes=8_000_000, peak_memory_bytes=9_000_000, processes=1)
_YES = Ability(True)


class IllegalOrder(AssertionError):
    """A call that no driver allows: the service under test is wrong."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a unit does by itself: fail to start, print, exit at once; by default it runs on in silence."""

    start_error: str | None = None
    output: bytes = b""
    exit_code: int | None = None
    code_when_stopped: int = _TERMINATED


@dataclass(slots=True)
class _Unit:
    spec: UnitSpec
    script: Script
    started_at: float
    output: bytes
    exit: Exit | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    used: Usage = _USED

    @property
    def status(self) -> UnitStatus:
        return UnitStatus(self.spec.id, self.started_at, self.exit)

    def change(self) -> None:
        """Wake everyone who waits for output or the end."""
        self.changed.set()
        self.changed = asyncio.Event()


class MemoryAttached:
    """The ends of a unit that runs nothing: what it was told, and what the test lets it print."""

    def __init__(self, unit: _Unit, terminal: TerminalSize | None, host: str | None) -> None:
        self._unit = unit
        self._offset = 0
        self.terminal = terminal
        self.host = host
        self.input = b""
        self.has_input_ended = False
        self.is_closed = False

    async def read(self, stream: Stream) -> bytes:
        """What it printed since the last call."""
        unit = self._unit
        while not self.is_closed and unit.exit is None and not self._new(stream):
            await unit.changed.wait()
        new = b"" if self.is_closed else self._new(stream)
        self._offset += len(new)
        return new

    def _new(self, stream: Stream) -> bytes:
        return self._unit.output[self._offset :] if stream is Stream.OUTPUT else b""

    async def write(self, data: bytes) -> None:
        """Note what it is told."""
        await asyncio.sleep(0)
        self.input += data
        self._unit.change()

    def end_input(self) -> None:
        """Note that it is told no more."""
        self.has_input_ended = True
        self._unit.change()

    def resize(self, size: TerminalSize) -> None:
        """Note the size of its terminal."""
        if self.terminal is not None:
            self.terminal = size

    def close(self) -> None:
        """Read no more."""
        self.is_closed = True
        self._unit.change()


class MemoryDriver:
    """A ComputeDriver that runs nothing. Make services anew around the same one to test restarts."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._units: dict[str, _Unit] = {}
        self._ids: set[str] = set()
        self._scripts: dict[str, Script] = {}
        self.script_for: Callable[[UnitSpec], Script] = lambda spec: Script()
        """Decides what a unit does; `script` overrides it for one unit."""
        self.calls: list[tuple[str, str]] = []
        """Every call that changes something, in order: ("start", unit id), ("stop", ...), ("remove", ...)."""
        self.abilities = Abilities(_YES, _YES, _YES, _YES, _YES, _YES)
        self.attached: dict[str, MemoryAttached] = {}
        """The ends of units that were attached, by their ids."""

    def script(self, unit_id: str, script: Script) -> None:
        """Say beforehand what that unit will do."""
        self._scripts[unit_id] = script

    def spec(self, unit_id: str) -> UnitSpec:
        """What the unit was started with. Raises NoSuchUnit."""
        return self._find(unit_id).spec

    def running(self) -> builtins.list[str]:
        """The ids of the units that run."""
        return [unit_id for unit_id, unit in self._units.items() if unit.exit is None]

    def is_running(self, unit_id: str) -> bool:
        """Whether that unit runs; False for one that is not known."""
        unit = self._units.get(unit_id)
        return unit is not None and unit.exit is None

    def print(self, unit_id: str, data: bytes) -> None:
        """Let a running unit write."""
        unit = self._find(unit_id)
        unit.output += data
        unit.change()

    def use(self, unit_id: str, usage: Usage) -> None:
        """Let a unit use that much; small figures until this is said."""
        self._find(unit_id).used = usage

    def end(self, unit_id: str, code: int | None, *, out_of_memory: bool = False) -> None:
        """Let a running unit end by itself."""
        unit = self._find(unit_id)
        if unit.exit is None:
            limit = unit.spec.limits.memory_bytes if out_of_memory else None
            unit.exit = Exit(code, self._clock.now(), out_of_memory, limit)
            unit.change()
            for guest_id, ends in tuple(self.attached.items()):
                if ends.host == unit_id and guest_id in self._units:
                    self.end(guest_id, _KILLED)

    async def start(self, spec: UnitSpec) -> UnitStatus:
        """Start the unit. Raises StartFailed if its script says so, IllegalOrder for an id used before."""
        if (known := self._units.get(spec.id)) is not None:
            return known.status
        self.calls.append(("start", spec.id))
        if spec.id in self._ids:
            raise IllegalOrder(f"{spec.id} was removed: an id is never used twice")
        script = self._scripts.get(spec.id) or self.script_for(spec)
        if script.start_error is not None:
            raise StartFailed(script.start_error, unit=spec.id)
        if not spec.command:
            raise StartFailed("There is no command to run.", unit=spec.id)
        self._ids.add(spec.id)
        self._units[spec.id] = _Unit(spec, script, self._clock.now(), script.output)
        if script.exit_code is not None:
            self.end(spec.id, script.exit_code)
        await asyncio.sleep(0)
        return self._units[spec.id].status

    async def attach(
        self, spec: UnitSpec, terminal: TerminalSize | None = None, host: str | None = None
    ) -> MemoryAttached:
        """Start it with its ends in the caller's hands. Raises StartFailed, NoSuchUnit, IllegalOrder."""
        if spec.id in self._units:
            raise IllegalOrder(f"{spec.id} is known: nobody attaches to it")
        if host is not None and self._find(host).exit is not None:
            raise NoSuchUnit(f"There is no unit {host} that runs.", unit=host)
        await self.start(spec)
        self.attached[spec.id] = MemoryAttached(self._units[spec.id], terminal, host)
        return self.attached[spec.id]

    async def list(self) -> builtins.list[UnitStatus]:
        """Every unit that was started and not removed."""
        return [unit.status for unit in self._units.values()]

    async def wait(self, unit_id: str) -> Exit:
        """Return as soon as it has ended. Raises NoSuchUnit."""
        unit = self._find(unit_id)
        while unit.exit is None:
            await unit.changed.wait()
        return unit.exit

    async def read(self, unit_id: str, offset: int = 0, limit: int = 65536) -> Output:
        """A piece of its output. Raises NoSuchUnit."""
        output = self._find(unit_id).output if unit_id not in self.attached else b""
        start = max(0, len(output) + offset) if offset < 0 else offset
        data = output[start : start + limit]
        return Output(data, start, start + len(data))

    async def grown(self, unit_id: str, offset: int) -> None:
        """Return once there is output past `offset` or it has ended. Raises NoSuchUnit."""
        unit = self._find(unit_id)
        while len(unit.output) <= offset and unit.exit is None:
            await unit.changed.wait()

    async def measure(self, unit_id: str) -> Usage:
        """What the test says that it uses. Raises NoSuchUnit."""
        unit = self._find(unit_id)
        used = unit.used
        return used if unit.exit is None else Usage(used.cpu_s, 0, used.peak_memory_bytes, 0)

    async def measure_all(self, unit_ids: Collection[str]) -> Mapping[str, Usage]:
        """What each of them uses; without those that have ended."""
        await asyncio.sleep(0)
        units = self._units
        return {key: units[key].used for key in unit_ids if key in units and units[key].exit is None}

    async def stop(self, unit_id: str, grace_s: float = 10.0) -> Exit | None:
        """End it with its script's code. Idempotent."""
        self.calls.append(("stop", unit_id))
        await asyncio.sleep(0)
        unit = self._units.get(unit_id)
        if unit is None:
            return None
        self.end(unit_id, unit.script.code_when_stopped)
        return unit.exit

    async def remove(self, unit_id: str) -> None:
        """Forget it. Idempotent; stops it if it runs."""
        self.calls.append(("remove", unit_id))
        await asyncio.sleep(0)
        if (unit := self._units.get(unit_id)) is not None:
            self.end(unit_id, unit.script.code_when_stopped)
            del self._units[unit_id]

    def _find(self, unit_id: str) -> _Unit:
        if (unit := self._units.get(unit_id)) is None:
            raise NoSuchUnit(f"There is no unit {unit_id}.", unit=unit_id)
        return unit
