"""What a unit uses, where no cgroup counts it."""

import contextlib
import os
import resource
from collections.abc import Iterable
from pathlib import Path

from halage.compute.drivers.process.identity import read_stat
from halage.compute.model import Usage

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
NO_USAGE = Usage(0.0, 0, 0, 0)


def measure_processes(pids: Iterable[int], leader: int) -> Usage:
    """Sums over living processes and their reaped children. Shared memory counts for each of them."""
    ticks = held = peak = count = 0
    for pid in pids:
        stat = read_stat(pid)
        if stat is None:
            continue
        ticks += stat.cpu_ticks
        memory = _memory(pid)
        held += memory.get("VmRSS", 0)
        peak += memory.get("VmHWM", 0)
        count += pid != leader
    return Usage(ticks / _TICKS_PER_S, held, max(held, peak), count)


def usage_of_reaped(reaped: resource.struct_rusage) -> Usage:
    """What the kernel says of a reaped leader and all that it waited for; peak of the largest process."""
    return Usage(reaped.ru_utime + reaped.ru_stime, 0, reaped.ru_maxrss * 1024, 0)


def last_usage(before: Usage | None, final: Usage | None) -> Usage:
    """The figures to keep after the end: the larger of the last two, and no process."""
    one, other = before or NO_USAGE, final or NO_USAGE
    return Usage(max(one.cpu_s, other.cpu_s), 0, max(one.peak_memory_bytes, other.peak_memory_bytes), 0)


def _memory(pid: int) -> dict[str, int]:
    found = {}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                found[name] = int(value.split()[0]) * 1024
    return found
