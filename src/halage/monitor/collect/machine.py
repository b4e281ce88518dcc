"""The machine: CPU, memory, load, disks, networks, file systems."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from halage.base.clock import Clock
from halage.monitor.collect import proc
from halage.monitor.collect.model import Tick
from halage.monitor.collect.rules import Growth
from halage.monitor.collect.samples import count, gauge, percent
from halage.monitor.metrics.model import Sample

T = TypeVar("T")


class MachineSource:
    """What the kernel tells in memory: reading it takes no disk and a fraction of a millisecond."""

    name = "machine"

    def __init__(self, clock: Clock, root: Path = Path("/")) -> None:
        """`root` is where `proc` and `sys` are: another one for tests."""
        self._clock = clock
        self._proc = root / "proc"
        self._sys = root / "sys"
        self._growth = Growth()

    async def collect(self, tick: Tick) -> Sequence[Sample]:
        """What was used during the tick, and what is in use now."""
        now = self._clock.monotonic()
        samples = [*self._cpu(now), *self._levels()]
        disks = proc.parse_disks(self._read("diskstats"), self._block_devices())
        for device, moved in disks.items():
            names = ("read_bytes", "write_bytes", "read_operations", "write_operations")
            samples += self._growths(
                "disk", ("device", device), zip(names, _numbers(moved), strict=True), now
            )
        for interface, moved in proc.parse_networks(self._read("net/dev")).items():
            names = ("in_bytes", "out_bytes", "in_packets", "out_packets")
            counters = zip(names, _numbers(moved), strict=True)
            samples += self._growths("network", ("interface", interface), counters, now)
        self._growth.forget_unseen(now)
        return samples

    def _cpu(self, now: float) -> list[Sample]:
        cpu = proc.parse_cpu(self._read("stat"))
        busy = self._growth.since("busy", cpu.busy, now)
        total = self._growth.since("total", cpu.total, now)
        if busy is None or total is None or not total[0]:
            return []
        return [percent("machine_cpu_percent", (), min(busy[0] / total[0], 1.0) * 100)]

    def _levels(self) -> list[Sample]:
        memory = proc.parse_memory(self._read("meminfo"))
        used = memory["MemTotal"] - memory["MemAvailable"]
        levels: dict[str, float] = {
            "memory_bytes": used,
            "swap_bytes": memory.get("SwapTotal", 0) - memory.get("SwapFree", 0),
            "processes": sum(name.isdigit() for name in os.listdir(self._proc)),  # noqa: PTH208 - a name is enough
            "open_files": int(self._read("sys/fs/file-nr").split()[0]),
        }
        loads = proc.parse_load(self._read("loadavg"))
        levels |= dict(zip(("load_1m", "load_5m", "load_15m"), loads, strict=True))
        samples = [gauge(f"machine_{name}", (), value) for name, value in levels.items()]
        return [*samples, percent("machine_memory_percent", (), used / memory["MemTotal"] * 100)]

    def _growths(
        self, kind: str, dimension: tuple[str, str], counters: Iterable[tuple[str, int]], now: float
    ) -> list[Sample]:
        samples = []
        for name, value in counters:
            if (grown := self._growth.since((kind, dimension, name), value, now)) is not None:
                samples.append(count(f"machine_{kind}_{name}", (dimension,), grown[0]))
        return samples

    def _read(self, name: str) -> str:
        return (self._proc / name).read_text()

    def _block_devices(self) -> list[str]:
        path = self._sys / "block"
        return os.listdir(path) if path.is_dir() else []  # noqa: PTH208 - a name is enough


def _numbers(moved: proc.Moved) -> tuple[int, int, int, int]:
    return moved.in_bytes, moved.out_bytes, moved.in_operations, moved.out_operations


class Aside:
    """A thread for something that may hang: while it does, nothing more is begun.

    No pool: Python waits for the threads of one before it ends, and what hangs in the kernel ends
    with nothing but the machine.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_busy = False

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. Raises TimeoutError while an earlier one still hangs."""
        if self._is_busy:
            raise TimeoutError("the look before has not come back yet")
        future: Future[T] = Future()

        def carry_out() -> None:
            result: T | None = None
            failure: BaseException | None = None
            try:
                result = work()
            except BaseException as error:
                failure = error
            self._is_busy = False  # first: who is given the answer may begin the next look at once
            _settle(future, result, failure)

        self._is_busy = True
        threading.Thread(target=carry_out, name=self._name, daemon=True).start()
        return await asyncio.wrap_future(future)


def _settle(future: Future[T], result: T | None = None, error: BaseException | None = None) -> None:
    """Give the caller its answer, if it has not gone away in the meantime."""
    if not future.set_running_or_notify_cancel():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]  # None is what `work` returned


class FileSystemSource:
    """How full the file systems are, and whether the one with Halage's data can be written to."""

    name = "file systems"

    def __init__(self, data: Path, mounts: Path = Path("/proc/self/mounts")) -> None:
        """`data` is the data directory."""
        self._data = data
        self._mounts = mounts
        self._aside = Aside("file-systems")

    async def collect(self, tick: Tick) -> Sequence[Sample]:
        """How full they are now."""
        return await self._aside.run(self._look)

    def _look(self) -> list[Sample]:
        samples: list[Sample] = []
        for path in proc.parse_mounts(self._mounts.read_text()):
            try:
                found = os.statvfs(path)
            except OSError:  # unmounted just now, or not ours to see
                continue
            if not found.f_blocks:
                continue
            # As df tells it: what only root may still use counts as neither free nor used.
            used = found.f_blocks - found.f_bfree
            dimensions = (("mount", path),)
            samples += [
                percent("machine_disk_used_percent", dimensions, used / (used + found.f_bavail or 1) * 100),
                gauge("machine_disk_free_bytes", dimensions, found.f_bavail * found.f_frsize),
            ]
        data = os.statvfs(self._data)
        has_failed = bool(data.f_flag & os.ST_RDONLY) or data.f_bavail == 0
        return [*samples, gauge("machine_status_check_failed", (), has_failed)]
