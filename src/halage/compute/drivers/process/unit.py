"""One unit that the driver knows, running or ended."""

import asyncio
import contextlib
import os
import resource
from pathlib import Path

from halage.compute.drivers.process.cgroups import Cgroup
from halage.compute.drivers.process.output import Log, LogLimits
from halage.compute.drivers.process.record import End, Record, UnitDirectory
from halage.compute.model import Exit, UnitStatus, Usage


class Unit:
    """What is known of a unit; on the disk there is enough to make this again."""

    def __init__(self, unit_id: str, files: UnitDirectory, record: Record, limits: LogLimits) -> None:
        self.id = unit_id
        self.files = files
        self.record = record
        self.log = Log(files.output, limits)
        self.group = Cgroup(tuple(Path(path) for path in record.cgroups)) if record.cgroups else None
        self.ended = asyncio.Event()
        self.end: End | None = files.load_end()
        self.last_usage: Usage | None = None
        self.handle: int | None = None
        """The pidfd of the leader while it is watched."""
        self.reaped: resource.struct_rusage | None = None
        self.wait_code: int | None = None
        """What the leader's own end says, for when it could not write the code."""
        self._sleepers: set[asyncio.Future[None]] = set()
        if self.end is not None:
            self.ended.set()

    @property
    def leader_pid(self) -> int:
        """The process id of the shim."""
        assert self.record.leader is not None
        return self.record.leader.pid

    @property
    def exit(self) -> Exit | None:
        """How it ended; None while it runs."""
        return None if self.end is None else self.end.exit

    @property
    def status(self) -> UnitStatus:
        """As the driver's callers see it."""
        return UnitStatus(self.id, self.record.started_at, self.exit)

    def reap(self) -> None:
        """Take the ended leader out of the process table, where it is our child."""
        with contextlib.suppress(ChildProcessError):
            pid, status, usage = os.wait4(self.leader_pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self.wait_code = 128 - code if code < 0 else None
                self.reaped = usage

    def mark_ended(self, end: End) -> None:
        """Keep how it ended and wake who waits."""
        self.end = end
        self.files.save_end(end)
        self.ended.set()
        for sleeper in tuple(self._sleepers):
            if not sleeper.done():
                sleeper.set_result(None)

    def wake_at_end(self, sleeper: asyncio.Future[None]) -> None:
        """Complete that future when the unit ends, unless it is done before."""
        self._sleepers.add(sleeper)
        sleeper.add_done_callback(self._sleepers.discard)

    def erase(self) -> None:
        """Delete all that is left of it on the disk. Raises OSError."""
        if self.group is not None:
            self.group.remove()
        self.log.release()
        self.files.remove()
