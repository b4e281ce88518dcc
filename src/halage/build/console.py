"""A job's console: lines with time stamps, secrets masked, limited in size, readable while it grows."""

import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from halage.build.model import ConsoleLine

MASK = "[secret]"
SHORTEST_SECRET = 4
"""A secret shorter than that is not masked: it would make every line unreadable."""
LONGEST_LINE = 16 * 1024


class Masker:
    """Replaces every secret value in a text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        parts = {part for secret in secrets for part in (secret, *secret.splitlines())}
        words = sorted((p for p in parts if len(p) >= SHORTEST_SECRET), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, words))) if words else None

    def mask(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text


class Console:
    """Writes one job's console to a file: `SECONDS<TAB>TEXT` a line."""

    def __init__(
        self,
        path: Path,
        masker: Masker,
        limit_bytes: int,
        copy: Callable[[int, float, str], None] | None = None,
    ) -> None:
        """Start the file anew: what was there belongs to an attempt that this one replaces or repeats.

        `copy(number, at_s, text)` is told of each line that is written.
        """
        self._file = open(path, "wb", opener=_private)  # noqa: SIM115 - lives as long as the job
        self._masker = masker
        self._left = limit_bytes
        self._is_full = False
        self._copy = copy
        self._count = 0

    def write(self, at_s: float, text: str) -> None:
        """Add one line."""
        if self._is_full:
            return
        kept = self._masker.mask(text)[:LONGEST_LINE]
        line = f"{at_s:.3f}\t{kept}\n".encode(errors="replace")
        self._left -= len(line)
        if self._left < 0:
            self._is_full = True
            kept = "[Halage: the console is full; what follows is not kept]"
            line = f"{at_s:.3f}\t{kept}\n".encode()
        self._file.write(line)
        if self._copy is not None:
            self._copy(self._count, at_s, kept)
        self._count += 1

    def flush(self) -> None:
        """Make what was written visible to readers."""
        self._file.flush()

    def close(self) -> None:
        """Let go of the file, its content on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def read_console(path: Path, first: int = 0, limit: int = 1000) -> list[ConsoleLine]:
    """Lines `first` and on of a console, at most `limit`; none when there is no such file."""
    try:
        with path.open("rb") as file:
            return list(_parse(file, first, limit))
    except FileNotFoundError:
        return []


def read_tail(path: Path, lines: int) -> list[ConsoleLine]:
    """The last lines of a console; none when there is no such file."""
    try:
        with path.open("rb") as file:
            return list(deque(_parse(file, 0, sys.maxsize), maxlen=lines))
    except FileNotFoundError:
        return []


def _parse(file: Iterable[bytes], first: int, limit: int) -> Iterator[ConsoleLine]:
    for number, line in enumerate(file):
        if number >= first + limit:
            return
        if number >= first and line.endswith(b"\n"):
            at, _, text = line.rstrip(b"\n").decode(errors="replace").partition("\t")
            yield ConsoleLine(number, float(at), text)
