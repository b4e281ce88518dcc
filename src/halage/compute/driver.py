"""The contract of everything that can run units."""

from collections.abc import Collection, Mapping
from typing import Protocol

from halage.compute.abilities import Abilities
from halage.compute.model import Exit, Output, Stream, TerminalSize, UnitSpec, UnitStatus, Usage


class ComputeDriver(Protocol):
    """Runs units that outlive the control plane.

    Order of calls for one unit: `start`, then any of `wait`, `read`, `measure`, then `stop`,
    then `remove`. Calls for different units may run at the same time; for one unit `wait`,
    `read` and `measure` may run beside anything. A driver made anew (after a restart of the
    control plane, clean or by SIGKILL) knows every unit that an earlier one started: `list`
    names them and all methods work on them.
    """

    async def start(self, spec: UnitSpec) -> UnitStatus:
        """Start the unit; a second call with the id of a known unit returns its status unchanged.

        Raises StartFailed, and then leaves nothing behind but what `remove` takes away.
        """
        ...

    async def list(self) -> list[UnitStatus]:
        """Every unit that was started and not removed, running or ended."""
        ...

    async def wait(self, unit_id: str) -> Exit:
        """Return as soon as the unit has ended (no polling). Raises NoSuchUnit. Cancellable."""
        ...

    async def read(self, unit_id: str, offset: int = 0, limit: int = 65536) -> Output:
        """Its output (stdout and stderr together) from a byte offset; a negative one counts from the end.

        Offsets stay valid when the log is rotated: what is no longer kept is skipped. Never
        waits for more: at the end `data` is empty. Raises NoSuchUnit.
        """
        ...

    async def measure(self, unit_id: str) -> Usage:
        """What it uses now; after its end the last known figures. Raises NoSuchUnit."""
        ...

    async def stop(self, unit_id: str, grace_s: float = 10.0) -> Exit | None:
        """SIGTERM to all of it, SIGKILL to what is left after the grace; None for an unknown unit.

        Idempotent, and safe after a failed `start`. When it returns no process of the unit lives.
        """
        ...

    async def remove(self, unit_id: str) -> None:
        """Forget an ended unit with its output and all it left. Idempotent; stops it if it runs."""
        ...


class FollowsOutput(Protocol):
    """The optional ability to be told of new output, for consoles that are watched live."""

    async def grown(self, unit_id: str, offset: int) -> None:
        """Return once there is output past `offset` or the unit has ended. Raises NoSuchUnit.

        Cancellable. A chatty unit wakes its follower at each call: pause between calls.
        """
        ...


class MeasuresMany(Protocol):
    """The optional ability to measure many units in one look, which costs less than one by one."""

    async def measure_all(self, unit_ids: Collection[str]) -> Mapping[str, Usage]:
        """What each of them uses now, by its id. Those that are unknown or have ended are left out."""
        ...


class HasAbilities(Protocol):
    """The optional ability to say what holds for units on this machine."""

    @property
    def abilities(self) -> Abilities:
        """Which limits and walls are kept, and why the others are not."""
        ...


class Attached(Protocol):
    """A unit's input and output in the hands of who started it. All but `write` and `read` return at once.

    Nothing is buffered: a unit whose output is not read waits, as one does whose input is awaited.
    """

    async def read(self, stream: Stream) -> bytes:
        """The next bytes, as soon as there are some; none at the end, and after `close`. Cancellable.

        One reader a stream. The end comes with that of the unit, after all that it wrote.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Give it input; returns once it is taken, or nobody is left who could take it. Cancellable."""
        ...

    def end_input(self) -> None:
        """There is no more input. Idempotent; a terminal has no such end but the one that people type."""
        ...

    def resize(self, size: TerminalSize) -> None:
        """Its terminal has another size now; nothing happens where it has none."""
        ...

    def close(self) -> None:
        """Let go of all ends: a terminal is hung up (SIGHUP). Idempotent. Ends nothing by itself."""
        ...


class RunsAttached(Protocol):
    """The optional ability to run a unit that its caller talks to."""

    async def attach(
        self, spec: UnitSpec, terminal: TerminalSize | None = None, host: str | None = None
    ) -> Attached:
        """Start the unit with its ends in the caller's hands; a known id cannot be attached to.

        `terminal`: it gets one of that size, of which it is the session's leader; else input and both
        outputs are apart. `host`: a running unit whose limits it shares in place of its own; it ends
        with that one at the latest. It is a unit like any other for `wait`, `stop`, `remove` and
        `list`, but for `read`: its output is kept nowhere. After the death of the control plane it
        lives on without anyone to talk to, until it is stopped.

        Raises StartFailed, NoSuchUnit for a host that does not run; then nothing is left, and after a
        cancellation only what `remove` takes away.
        """
        ...


class SiteDriver(ComputeDriver, MeasuresMany, HasAbilities, RunsAttached, Protocol):
    """What sites are run with: it measures many in one look, says what holds here, and lets be talked to."""
