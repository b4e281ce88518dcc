"""What a unit uses, where no cgroup counts it."""

import contextlib
import dataclasses
import os
import resource
from collections.abc import Container, Iterable
from dataclasses import replace

from halage.compute.drivers.process.identity import read_kernel_file, read_stat
from halage.compute.model import Usage

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
NO_USAGE = Usage(0.0, 0, 0, 0)


def measure_processes(pids: Iterable[int], leader: int) -> Usage:
    """Sums over living processes and their reaped children. Shared memory counts for each of them."""
    pids = tuple(pids)
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
    return with_processes(Usage(ticks / _TICKS_PER_S, held, max(held, peak), count), pids, leader)


def with_processes(usage: Usage, pids: Iterable[int], leader: int) -> Usage:
    """The same with what only /proc tells: open files, and bytes of disks where no cgroup counts them.

    The leader is ours, so its own descriptors are not counted; its reaped children's bytes are.
    """
    files: int | None = None
    read: int | None = None
    written = 0
    needs_bytes = usage.disk_read_bytes is None
    for pid in pids:
        if pid != leader and (opened := _open_files(pid)) is not None:
            files = (files or 0) + opened
        if needs_bytes and (moved := _fields(pid, "io", ("read_bytes", "write_bytes"))):
            read = (read or 0) + moved["read_bytes"]
            written += moved["write_bytes"]
    if read is not None:
        usage = replace(usage, disk_read_bytes=read, disk_write_bytes=written)
    return replace(usage, open_files=files)


def usage_of_reaped(reaped: resource.struct_rusage) -> Usage:
    """What the kernel says of a reaped leader and all that it waited for; peak of the largest process."""
    return Usage(reaped.ru_utime + reaped.ru_stime, 0, reaped.ru_maxrss * 1024, 0)


def last_usage(before: Usage | None, final: Usage | None) -> Usage:
    """The figures to keep after the end: the larger of the last two, and no process."""
    one, other = before or NO_USAGE, final or NO_USAGE
    later, earlier = (one, other) if one.cpu_s > other.cpu_s else (other, one)
    counts = {
        name: getattr(later, name) if getattr(later, name) is not None else getattr(earlier, name)
        for name in _COUNTS
    }
    peak = max(one.peak_memory_bytes, other.peak_memory_bytes)
    return Usage(later.cpu_s, 0, peak, 0, **counts)


_COUNTS = [field.name for field in dataclasses.fields(Usage) if field.name.startswith("disk_")]


def _memory(pid: int) -> dict[str, int]:
    return {name: size * 1024 for name, size in _fields(pid, "status", ("VmRSS", "VmHWM")).items()}


def _fields(pid: int, file: str, names: Container[str]) -> dict[str, int]:
    """`name: number` lines of a file in /proc/PID; nothing when it is gone or not ours to read."""
    found = {}
    with contextlib.suppress(OSError):
        for line in read_kernel_file(f"/proc/{pid}/{file}").splitlines():
            name, _, value = line.partition(":")
            if name in names:
                found[name] = int(value.split()[0])
    return found


def _open_files(pid: int) -> int | None:
    path = f"/proc/{pid}/fd"
    try:
        # Linux 6.2 and later tell the number as the directory's size; before, it is 0.
        return os.stat(path).st_size or len(os.listdir(path))  # noqa: PTH116, PTH208 - a third of the time
    except OSError:
        return None
