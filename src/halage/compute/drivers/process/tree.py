"""All processes of a unit, however they were forked, and signals to them."""

import contextlib
import os
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

from halage.compute.drivers.process.cgroups import Cgroup
from halage.compute.drivers.process.identity import Identity, Stat, boot_id, read_stat
from halage.compute.drivers.process.shim import UNIT_VARIABLE


def processes_of(unit_id: str, leader: Identity, group: Cgroup | None) -> set[int]:
    """The unit's living processes, the leader among them.

    By its cgroup; where there is none, by all of /proc: descendants of the leader, its session,
    and whoever has the unit's id in its environment (a daemon keeps it through fork and setsid).
    """
    if group is not None and group.directories:
        return {pid for pid in group.processes() if _is_alive(pid)}
    return scan_processes({unit_id: leader})[unit_id]


def scan_processes(leaders: Mapping[str, Identity]) -> dict[str, set[int]]:
    """The living processes of units without a cgroup, by unit id, in one look at all of /proc."""
    stats = {
        int(entry.name): stat
        for entry in Path("/proc").glob("[0-9]*")
        if (stat := read_stat(int(entry.name))) is not None and stat.state not in "ZX"
    }
    marked: dict[bytes, set[int]] = {}
    for pid in stats:
        for variable in _environment(pid):
            if variable.startswith(_MARK):
                marked.setdefault(variable.removeprefix(_MARK), set()).add(pid)
    boot = boot_id()
    return {
        unit_id: _family(leader, stats, marked.get(unit_id.encode(), set()))
        if leader.boot_id == boot
        else set()
        for unit_id, leader in leaders.items()
    }


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


_MARK = f"{UNIT_VARIABLE}=".encode()


def _family(leader: Identity, stats: Mapping[int, Stat], marked: set[int]) -> set[int]:
    stat = read_stat(leader.pid)
    # A dead leader's number stays taken as long as its session has members. Once somebody else
    # has the number there are none, and that stranger must not be touched.
    is_reused = stat is not None and stat.start_ticks != leader.start_ticks
    number = None if is_reused else leader.pid
    found = marked | {
        pid for pid, stat in stats.items() if number is not None and number in (pid, stat.session)
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
