"""A unit's own directory: all that a later control plane needs in order to know the unit.

DATA/units/UNIT_ID/ (0711: the unit's account may pass through, not list it)
    unit.json   the record, written before the command can run
    exit        the exit code, written by the shim into room that was laid out beforehand
    end.json    how the unit ended and what it used, written once nothing of it lives
    output, output.*.zst   see output.py
    private/    the unit's /tmp and home, where it asked for a sandbox
Nothing here is fsynced but log segments: the files must survive the death of the control plane,
for which the page cache is enough; after a power cut the boot id differs and every unit has ended.
"""

import contextlib
import dataclasses
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halage.compute.drivers.process.identity import Identity
from halage.compute.model import Exit, Usage

_UNIT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_BLANK_EXIT = b"%-15s\n" % b""


def is_unit_id(unit_id: str) -> bool:
    """Whether the id can be the name of a directory and of a cgroup."""
    return _UNIT_ID.fullmatch(unit_id) is not None


@dataclass(frozen=True, slots=True)
class Record:
    """What was started. `leader` is None until the shim was spawned (it runs nothing before)."""

    started_at: float
    is_sandboxed: bool
    cgroups: tuple[str, ...]
    leader: Identity | None = None


@dataclass(frozen=True, slots=True)
class End:
    """How a unit ended, and its last figures."""

    exit: Exit
    usage: Usage


class UnitDirectory:
    """The files of one unit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.output = path / "output"
        self.private = path / "private"
        self._record = path / "unit.json"
        self._exit = path / "exit"
        self._end = path / "end.json"

    def create(self) -> None:
        """Make the directory and lay out the exit file. Raises OSError, and then leaves neither."""
        self.path.mkdir(mode=0o711)
        try:
            self.path.chmod(0o711)
            self._exit.touch(mode=0o600)
            self._exit.write_bytes(_BLANK_EXIT)
        except OSError:
            self.remove()
            raise

    def open_exit(self) -> int:
        """A descriptor for the shim. What it writes replaces blanks: a full disk cannot stop it."""
        return os.open(self._exit, os.O_WRONLY)

    def read_exit(self) -> tuple[int, float] | None:
        """The code that the shim wrote and when; None when it did not get to it."""
        try:
            text = self._exit.read_bytes()
            return int(text), self._exit.stat().st_mtime
        except (FileNotFoundError, ValueError):
            return None

    def save(self, record: Record) -> None:
        """Write the record, wholly or not at all."""
        self._replace(self._record, dataclasses.asdict(record))

    def load(self) -> Record | None:
        """The record; None when the unit never got one."""
        found = _read(self._record)
        if found is None:
            return None
        leader = found["leader"]
        return Record(
            started_at=found["started_at"],
            is_sandboxed=found["is_sandboxed"],
            cgroups=tuple(found["cgroups"]),
            leader=Identity(**leader) if leader else None,
        )

    def save_end(self, end: End) -> None:
        """Write how it ended, wholly or not at all. A full disk leaves it to be found out again."""
        with contextlib.suppress(OSError):
            self._replace(self._end, dataclasses.asdict(end))

    def load_end(self) -> End | None:
        """How it ended; None while it runs or when nobody has looked yet."""
        found = _read(self._end)
        return None if found is None else End(Exit(**found["exit"]), Usage(**found["usage"]))

    def remove(self) -> None:
        """Delete it with everything in it. Idempotent."""
        shutil.rmtree(self.path, ignore_errors=True)
        if not self.path.exists():
            return
        for path, _, _ in os.walk(self.path):  # a build may have taken its own write permission away
            Path(path).chmod(0o700)
        shutil.rmtree(self.path)

    def _replace(self, path: Path, document: dict[str, Any]) -> None:
        temporary = path.with_name(path.name + ".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(document, file)
        temporary.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found
