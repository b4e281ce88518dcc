"""Control groups of units, version 1 and 2: CPU quota, memory, number of processes; what they use.

A unit's group is a directory per hierarchy (one on version 2) below a parent that is named after
the data directory, so that two installs do not meet. Files are probed rather than versions asked
for: the record of a unit holds its directories, and a later control plane needs nothing else.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from halage.compute.drivers.process.identity import read_kernel_file
from halage.compute.model import Limits, Usage

CPU_PERIOD_US = 20_000
"""Short, so that a throttled instance pauses for at most these 20 ms (the default is 100)."""

_LEAST_QUOTA_US = 1_000
CONTROLLERS = ("cpu", "memory", "pids")
_NEARLY_ALL = 0.95


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The group of one unit."""

    directories: tuple[Path, ...]

    def limit(self, limits: Limits) -> None:
        """Set what the unit may use. Raises OSError."""
        quota = max(_LEAST_QUOTA_US, int(limits.cpu * CPU_PERIOD_US))
        self._write("cpu.cfs_period_us", CPU_PERIOD_US)
        self._write("cpu.cfs_quota_us", quota)
        self._write("cpu.max", f"{quota} {CPU_PERIOD_US}")
        self._write("memory.limit_in_bytes", limits.memory_bytes)
        self._write("memory.memsw.limit_in_bytes", limits.memory_bytes)
        self._write("memory.max", limits.memory_bytes)
        self._write("memory.swap.max", 0)
        self._write("memory.oom.group", 1)
        self._write("pids.max", limits.processes)

    def join(self, pid: int) -> None:
        """Move a process in; what it forks from now on is in as well. Raises OSError."""
        for directory in self.directories:
            (directory / "cgroup.procs").write_text(str(pid))

    def processes(self) -> list[int]:
        """The ids of all its processes."""
        return [int(pid) for pid in self._read("cgroup.procs").split()]

    def forbid_forks(self) -> None:
        """Keep it from growing, so that killing what is there kills everything."""
        with contextlib.suppress(OSError):
            self._write("pids.max", 0)

    def has_run_out_of_memory(self) -> bool:
        """Whether the kernel killed one of its processes for memory."""
        for name in ("memory.oom_control", "memory.events"):
            if _fields(self._read(name)).get("oom_kill", 0) > 0:
                return True
        return False

    def has_reached_its_memory(self) -> bool:
        """Whether it ever had nearly all of its limit; where it had not, a kill is the machine's lack.

        By its peak: not every kernel counts what it refused (version 1: `memory.failcnt`).
        """
        if _fields(self._read("memory.events")).get("oom", 0) > 0:
            return True
        peak, limit = self._number("memory.max_usage_in_bytes", "memory.peak"), self.memory_limit_bytes()
        return peak is None or limit is None or peak >= _NEARLY_ALL * limit

    def memory_limit_bytes(self) -> int | None:
        """How much memory it may use; None when that is not known."""
        text = self._read("memory.limit_in_bytes") or self._read("memory.max")
        return int(text) if text.strip().isdigit() else None

    def usage(self) -> Usage | None:
        """What it uses; None when CPU or memory are not counted here.

        Memory is without the page cache that can be dropped; the peak is the kernel's own and
        includes it. Disks: all of it on version 2. Version 1 charges what the page cache writes back
        to no group, so its bytes are left to /proc, and it counts operations on older kernels only.
        """
        cpu_s = self._cpu_s()
        held = self._number("memory.usage_in_bytes", "memory.current")
        if cpu_s is None or held is None:
            return None
        stat = _fields(self._read("memory.stat"))
        droppable = stat.get("total_inactive_file", stat.get("inactive_file", 0))
        peak = self._number("memory.max_usage_in_bytes", "memory.peak")
        cpu = _fields(self._read("cpu.stat"))
        disks = _disk_totals(self._read("io.stat"))
        operations = _disk_operations(self._read("blkio.throttle.io_serviced"))
        return Usage(
            cpu_s,
            max(0, held - droppable),
            peak or held,
            # One process of each unit is the leader, which is ours.
            max(0, len(self.processes()) - 1),
            cpu_periods=cpu.get("nr_periods"),
            throttled_periods=cpu.get("nr_throttled"),
            disk_read_bytes=disks.get("rbytes"),
            disk_write_bytes=disks.get("wbytes"),
            disk_read_operations=disks.get("rios", operations.get("Read")),
            disk_write_operations=disks.get("wios", operations.get("Write")),
        )

    def remove(self) -> bool:
        """Delete what there is of it; False when the kernel still holds some (EBUSY): try again soon."""
        is_gone = True
        for directory in self.directories:
            try:
                directory.rmdir()
            except FileNotFoundError:
                continue  # an earlier attempt came so far
            except OSError:
                is_gone = False
        return is_gone

    def _cpu_s(self) -> float | None:
        nanoseconds = self._number("cpuacct.usage")
        if nanoseconds is not None:
            return nanoseconds / 1e9
        microseconds = _fields(self._read("cpu.stat")).get("usage_usec")
        return None if microseconds is None else microseconds / 1e6

    def _number(self, *names: str) -> int | None:
        for name in names:
            if text := self._read(name):
                return int(text)
        return None

    def _read(self, name: str) -> str:
        for directory in self.directories:
            with contextlib.suppress(OSError):
                return read_kernel_file(f"{directory}/{name}")
        return ""

    def _write(self, name: str, value: int | str) -> None:
        for directory in self.directories:
            if (directory / name).exists():
                (directory / name).write_text(str(value))


def _fields(text: str) -> dict[str, int]:
    """`name number` lines as a dictionary."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _disk_totals(text: str) -> dict[str, int]:
    """`8:0 rbytes=1 wbytes=2 ...` lines of io.stat, added up over the disks."""
    totals: dict[str, int] = {}
    for line in text.splitlines():
        for word in line.split()[1:]:
            name, _, value = word.partition("=")
            if value.isdigit():
                totals[name] = totals.get(name, 0) + int(value)
    return totals


def _disk_operations(text: str) -> dict[str, int]:
    """`8:0 Read 1` lines, added up over the disks."""
    totals: dict[str, int] = {}
    for words in map(str.split, text.splitlines()):
        if len(words) == 3 and words[2].isdigit():
            totals[words[1]] = totals.get(words[1], 0) + int(words[2])
    return totals


@dataclass(frozen=True, slots=True)
class Cgroups:
    """Where units get their groups: a parent directory for each hierarchy that we may use."""

    parents: tuple[Path, ...]
    missing: dict[str, str]
    """Controllers that cannot be used, each with the reason."""

    def create(self, unit_id: str, limits: Limits) -> Cgroup:
        """Make and limit the group of a unit. Raises OSError, and then leaves none."""
        group = Cgroup(self.paths(unit_id))
        try:
            for directory in group.directories:
                directory.mkdir(exist_ok=True)
            group.limit(limits)
        except OSError:
            group.remove()
            raise
        return group

    def paths(self, unit_id: str) -> tuple[Path, ...]:
        """The directories that the group of that unit has or would have."""
        return tuple(parent / unit_id for parent in self.parents)

    def strays(self, known: Iterable[str]) -> list[Cgroup]:
        """Groups of units that nobody knows any more."""
        names = {child.name for parent in self.parents for child in parent.iterdir() if child.is_dir()}
        return [Cgroup(self.paths(name)) for name in sorted(names - set(known))]

    def retire(self) -> None:
        """Delete the parents, unless units are in them. They are made again when next looked for."""
        for parent in self.parents:
            with contextlib.suppress(OSError):
                parent.rmdir()


def no_cgroups(reason: str) -> Cgroups:
    """None at all, each controller missing for that reason."""
    return Cgroups((), dict.fromkeys(CONTROLLERS, reason))


def find_cgroups(name: str, *, process: str = "self") -> Cgroups:
    """Make the parent `name` in every hierarchy that we may use, and say what is missing and why."""
    mounts = _mounts(process)
    version_1 = {
        controller: mount
        for controller in (*CONTROLLERS, "cpuacct", "blkio")
        # Read backwards, so that the first mount of each is taken: others show it in containers.
        for mount in reversed(mounts)
        if mount.kind == "cgroup" and controller in mount.options
    }
    if version_1:
        return _find_version_1(name, version_1, _own_groups(process))
    unified = next((mount for mount in mounts if mount.kind == "cgroup2"), None)
    if unified is None:
        return no_cgroups("this system has no control groups")
    own = unified.below(_own_groups(process).get("", "/"))
    # Root takes the top, which a service manager does not sweep when our own service stops.
    candidates = [unified.path, own] if os.geteuid() == 0 else [own]
    return find_version_2(name, candidates)


@dataclass(frozen=True, slots=True)
class _Mount:
    path: Path
    root: str
    kind: str
    options: frozenset[str]

    def below(self, group: str) -> Path:
        """Where this mount shows a group of /proc/PID/cgroup."""
        if self.root != "/":  # a container sees its own group as the mount's root
            group = group.removeprefix(self.root)
        path = self.path / group.lstrip("/")
        return path if path.is_dir() else self.path


def _mounts(process: str) -> list[_Mount]:
    found = []
    for line in Path(f"/proc/{process}/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _source, options) = before.split(), after.split(maxsplit=2)
        if kind.startswith("cgroup"):
            found.append(_Mount(Path(fields[4]), fields[3], kind, frozenset(options.split(","))))
    return found


def _own_groups(process: str) -> dict[str, str]:
    """Controller (`""` for version 2) to our own group in its hierarchy."""
    groups = {}
    for line in Path(f"/proc/{process}/cgroup").read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), group))
    return groups


def _find_version_1(name: str, mounts: dict[str, _Mount], own: dict[str, str]) -> Cgroups:
    parents: list[Path] = []
    missing = {}
    for controller in ("pids", "memory", "cpu", "cpuacct"):
        if controller not in mounts:
            missing[controller] = "the kernel does not offer it"
            continue
        parent = mounts[controller].below(own.get(controller, "/")) / name
        try:
            parent.mkdir(exist_ok=True)
            _prove_writable(parent)
        except OSError as error:
            missing[controller] = _refusal(parent.parent, error)
            continue
        if parent not in parents:  # cpu and cpuacct are often one hierarchy
            parents.append(parent)
    missing.pop("cpuacct", None)
    if "blkio" in mounts:
        parents += _disk_counting_parent(mounts["blkio"].below(own.get("blkio", "/")), name)
    return Cgroups(tuple(parents), missing)


def _disk_counting_parent(base: Path, name: str) -> list[Path]:
    """The parent where operations of disks are counted: at most one.

    Later kernels (seen on 6.18) count them only for groups with a limit on them, and such a limit
    slows all that passes it, however high it is.
    """
    try:
        if not _disk_operations((base / "blkio.throttle.io_serviced").read_text()):
            return []
        (base / name).mkdir(exist_ok=True)
        _prove_writable(base / name)
    except OSError:
        return []
    return [base / name]


def find_version_2(name: str, candidates: Sequence[Path]) -> Cgroups:
    """Make the parent below the first candidate that has what we need."""
    best = no_cgroups("no group is delegated to us")
    for base in candidates:
        found = _prepare_version_2(name, base)
        if not found.missing:
            return found
        if len(found.missing) < len(best.missing) or not best.parents:
            best = found
    return best


def _prepare_version_2(name: str, base: Path) -> Cgroups:
    parent = base / name
    try:
        parent.mkdir(exist_ok=True)
    except OSError as error:
        return no_cgroups(_refusal(base, error))
    missing = {}
    for controller in CONTROLLERS:
        try:
            _enable(base, controller)
            _enable(parent, controller)
            _prove_writable(parent)
        except OSError as error:
            missing[controller] = _refusal(base, error)
    # To be measured only: where it is not to be had, /proc counts the bytes.
    with contextlib.suppress(OSError):
        _enable(base, "io")
        _enable(parent, "io")
    return Cgroups((parent,), missing)


def _enable(group: Path, controller: str) -> None:
    control = group / "cgroup.subtree_control"
    if controller in control.read_text().split():
        return
    try:
        control.write_text(f"+{controller}")
    except OSError:
        # A group that holds processes cannot pass controllers on: step aside into a leaf.
        leaf = group / "halage-server"
        leaf.mkdir(exist_ok=True)
        (leaf / "cgroup.procs").write_text(str(os.getpid()))
        control.write_text(f"+{controller}")


def _prove_writable(parent: Path) -> None:
    probe = parent / f"probe-{os.getpid()}"
    probe.mkdir(exist_ok=True)
    for _ in range(10):
        with contextlib.suppress(OSError):
            probe.rmdir()
            return
        time.sleep(0.001)


def _refusal(directory: Path, error: OSError) -> str:
    return f"{error.strerror or error} in {directory}"
