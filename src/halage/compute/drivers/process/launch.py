"""Starting a unit: directory, cgroup, leader, record, and only then the command."""

import errno
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from halage.compute.drivers.process.attachment import Ends
from halage.compute.drivers.process.cgroups import Cgroup, Cgroups
from halage.compute.drivers.process.identity import identify
from halage.compute.drivers.process.output import Log, LogLimits
from halage.compute.drivers.process.record import Record, UnitDirectory, is_unit_id
from halage.compute.drivers.process.sandbox import Bubblewrap, Walled, sandboxing_refused, unwalled
from halage.compute.drivers.process.shim import (
    Spawned,
    on_terminal,
    script_for,
    send_script,
    spawn,
    spawn_attached,
)
from halage.compute.drivers.process.unit import Unit
from halage.compute.errors import StartFailed
from halage.compute.model import UnitSpec


@dataclass(frozen=True, slots=True)
class Launcher:
    """Starts units; `launch` blocks for some milliseconds and runs in a thread."""

    directory: Path
    cgroups: Cgroups
    bubblewrap: Bubblewrap | None
    must_sandbox: bool
    log_limits: LogLimits
    now: Callable[[], float]

    def attach(self, spec: UnitSpec, ends: Ends, group: Cgroup | None) -> Unit:
        """Start it with these ends, in that group or one of its own; lets go of the unit's ends.

        Raises StartFailed, and then nothing of it is left.
        """
        try:
            return self.launch(spec, ends, group)
        finally:
            ends.close_inner()

    def launch(self, spec: UnitSpec, ends: Ends | None = None, group: Cgroup | None = None) -> Unit:
        """Start it. Raises StartFailed, and then nothing of it is left."""
        if not is_unit_id(spec.id):
            raise StartFailed(f"{spec.id!r} cannot be the id of a unit.", unit=spec.id)
        files = UnitDirectory(self.directory / spec.id)
        with ExitStack() as undo:
            try:
                record = self._launch(spec, files, undo, ends, group)
            except OSError as error:
                raise _start_failed(spec, error) from error
            undo.pop_all()
        return Unit(spec.id, files, record, self.log_limits)

    def _launch(
        self,
        spec: UnitSpec,
        files: UnitDirectory,
        undo: ExitStack,
        ends: Ends | None,
        shared: Cgroup | None,
    ) -> Record:
        files.create()
        undo.callback(files.remove)
        walled = self._wall(spec, files)
        environment = {**walled.environment, "HALAGE_UNIT": spec.id}
        has_terminal = ends is not None and ends.has_terminal
        command = on_terminal(walled.command) if has_terminal else walled.command
        script = script_for(walled.directory, environment, command, is_attached=ends is not None)
        # Of a group that is another unit's, it is a guest: it must neither limit, count nor end it.
        own = self.cgroups.create(spec.id, spec.limits) if shared is None else Cgroup(())
        undo.callback(own.remove)
        leader = self._spawn(spec, files, undo, ends)
        (shared or own).join(leader.pid)
        record = Record(
            started_at=self.now(),
            is_sandboxed=spec.sandbox is not None and self.bubblewrap is not None,
            cgroups=tuple(str(path) for path in own.directories),
            leader=identify(leader.pid),
        )
        files.save(record)
        send_script(leader, script)
        return record

    def _wall(self, spec: UnitSpec, files: UnitDirectory) -> Walled:
        if spec.sandbox is None:
            return Walled(spec.command, spec.directory, spec.environment)
        if self.bubblewrap is not None:
            return self.bubblewrap.wrap(spec, spec.sandbox, files)
        if self.must_sandbox:
            raise sandboxing_refused(spec.id, "bubblewrap does not work on this machine")
        return unwalled(spec, spec.sandbox, files)

    def _spawn(self, spec: UnitSpec, files: UnitDirectory, undo: ExitStack, ends: Ends | None) -> Spawned:
        log = Log(files.output, self.log_limits)
        output = log.create(spec.account)
        undo.callback(log.release)
        exit_file = files.open_exit()
        try:
            if ends is None:
                leader = spawn(spec.id, spec.account, output=output, exit_file=exit_file)
            else:
                leader = spawn_attached(spec.id, spec.account, exit_file=exit_file, ends=ends.inner)
        finally:
            os.close(output)
            os.close(exit_file)
        undo.callback(_give_up, leader)
        return leader


def _give_up(leader: Spawned) -> None:
    """End a leader that has not run anything: it reads the end of its script and goes."""
    try:
        os.close(leader.script)
    except OSError as error:
        if error.errno != errno.EBADF:  # closed already where sending failed
            raise
    os.waitpid(leader.pid, 0)


def remove_group(group: Cgroup | None) -> bool:
    """Delete a unit's cgroup; False when the kernel still holds it."""
    return group is None or group.remove()


def _start_failed(spec: UnitSpec, error: OSError) -> StartFailed:
    if error.errno == errno.ENOSPC:
        return StartFailed(
            f"Unit {spec.id} was not started: the disk is full. Free some space, then try again.",
            unit=spec.id,
        )
    return StartFailed(f"Unit {spec.id} could not be started: {error}.", unit=spec.id)
