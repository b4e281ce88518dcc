"""All processes of a unit, however they were forked, and signals to them."""

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from halage.compute.drivers.process.cgroups import Cgroup
from halage.compute.drivers.process.identity import Identity, boot_id, read_stat
from halage.compute.drivers.process.shim import UNIT_VARIABLE


def processes_of(unit_id: str, leader: Identity, group: Cgroup | None) -> set[int]:
    """The unit's living processes, the leader among them.

    By its cgroup; where there is none, by all of /proc: descendants of the leader, its session,
    and whoever has the unit's id in its environment (a daemon keeps it through fork and setsid).
    """
    if group is not None and group.directories:
        return {pid for pid in group.processes() if _is_alive(pid)}
    if leader.boot_id != boot_id():
        return set()
    stat = read_stat(leader.pid)
    # A dead leader's number stays taken as long as its session has members. Once somebody else
    # has the number there are none, and that stranger must not be touched.
    is_reused = stat is not None and stat.start_ticks != leader.start_ticks
    return _scan(unit_id, None if is_reused else leader.pid)


def listeners_of(leader: int, members: set[int], *, is_sandboxed: bool) -> set[int]:
    """Those who can take a polite SIGTERM; nobody while the command has not begun.

    Not the leader, which must outlive the command; not its copy that is about to become the
    command, which would lose the signal; not bubblewrap and its process 1 inside, which would die
    of it at once and take the command with them, grace or not.
    """
    parents = {pid: stat.parent for pid in members if (stat := read_stat(pid)) is not None}
    outer = {pid for pid, parent in parents.items() if parent == leader}
    shim = _arguments(leader)
    deaf = {leader} | {pid for pid in outer if _arguments(pid) == shim}
    if is_sandboxed:
        deaf |= outer | {pid for pid, parent in parents.items() if parent in outer}
    return members - deaf


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal each of them; those that are gone are skipped."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _is_alive(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and stat.state not in "ZX"


def _scan(unit_id: str, leader: int | None) -> set[int]:
    mark = f"{UNIT_VARIABLE}={unit_id}".encode()
    stats = {
        int(entry.name): stat
        for entry in Path("/proc").glob("[0-9]*")
        if (stat := read_stat(int(entry.name))) is not None and stat.state not in "ZX"
    }
    found = {
        pid
        for pid, stat in stats.items()
        if (leader is not None and leader in (pid, stat.session)) or mark in _environment(pid)
    }
    while True:
        children = {pid for pid, stat in stats.items() if stat.parent in found} - found
        if not children:
            return found
        found |= children


def _environment(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []


def _arguments(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
