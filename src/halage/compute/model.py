"""Units: what a compute driver runs. An instance of a site and a job of a build are both units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Account:
    """The numeric user and group that a project's units run as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What a unit may use at most. `cpu` is in vCPU (0.25 is a quarter of a core)."""

    cpu: float
    memory_bytes: int
    processes: int = 512


@dataclass(frozen=True, slots=True)
class InstanceType:
    """A named size, as on a price list."""

    name: str
    cpu: float
    memory_mib: int

    @property
    def limits(self) -> Limits:
        """The size as limits of a unit."""
        return Limits(self.cpu, self.memory_mib * MIB)


STANDARD_TYPES = {
    type_.name: type_
    for type_ in (
        InstanceType("nano", 0.25, 128),
        InstanceType("micro", 0.5, 256),
        InstanceType("small", 1.0, 512),
        InstanceType("medium", 2.0, 1024),
    )
}


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Run behind a wall: read-only system, private /tmp and home, own process namespace.

    `writable` maps paths inside the sandbox to host directories, mounted read-write;
    `readable` the same, read-only. Nothing else of the host but its system directories is seen.
    """

    writable: Mapping[str, Path]
    readable: Mapping[str, Path] = field(default_factory=dict)
    network: bool = True


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """What to run. `id` is unique for ever: an attempt number is part of it, so a start is fenced.

    `directory` is the working directory (inside the sandbox where there is one). `environment`
    is the whole environment: nothing is inherited from the server but what the driver must add.
    Secrets belong in `environment`, never in `command`.
    """

    id: str
    command: tuple[str, ...]
    directory: str
    environment: Mapping[str, str]
    limits: Limits
    account: Account | None = None
    sandbox: Sandbox | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """How a unit ended. `code` is the exit code, 128 + N for signal N, None when it was lost."""

    code: int | None
    at: float
    out_of_memory: bool = False
    memory_bytes: int | None = None
    """What it might use, where it was killed for using more; None: that is not known."""
    is_machine_out: bool = False
    """The kernel killed it because the machine had no memory left, not because of its own limit."""

    def __str__(self) -> str:
        """In words, for a message."""
        if self.out_of_memory and self.is_machine_out:
            return "was killed: the machine had no memory left"
        if self.out_of_memory and self.memory_bytes is not None:
            return f"was killed: it used more than its {self.memory_bytes // MIB} MiB of memory"
        if self.out_of_memory:
            return "was killed: it used more memory than its type allows"
        if self.code is None:
            return "ended, its exit code is not known"
        if self.code > 128:
            return f"was ended by signal {self.code - 128}"
        return f"exited with code {self.code}"


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """A unit that the driver knows: running (`exit` is None) or ended and not yet removed."""

    id: str
    started_at: float
    exit: Exit | None

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self.exit is None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a unit uses: CPU seconds since its start, memory now and at most (bytes), processes.

    All but the first four are None where nobody counts them. Counts are since the unit's start; one
    that is summed over processes falls when a process is reaped by nobody of the unit.
    """

    cpu_s: float
    memory_bytes: int
    peak_memory_bytes: int
    processes: int
    open_files: int | None = None
    """Descriptors that its processes hold, connections among them."""
    cpu_periods: int | None = None
    """Periods of the CPU limit in which it wanted to run, and those in which it was held back."""
    throttled_periods: int | None = None
    disk_read_bytes: int | None = None
    """What went to and came from block devices; what the page cache answered is not in it."""
    disk_write_bytes: int | None = None
    disk_read_operations: int | None = None
    disk_write_operations: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of a unit's output: bytes from `offset`; the next piece starts at `next_offset`."""

    data: bytes
    offset: int
    next_offset: int


class Stream(StrEnum):
    """The two outputs of a unit that its caller holds; on a terminal all of it is the first."""

    OUTPUT = "stdout"
    ERRORS = "stderr"


@dataclass(frozen=True, slots=True)
class TerminalSize:
    """How large a terminal is, in characters."""

    columns: int = 80
    rows: int = 24
