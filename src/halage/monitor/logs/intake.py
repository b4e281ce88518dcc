"""What came in and is not on the disk yet: bounded, so that too much at once costs lines and nothing else."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from halage.monitor.logs.model import Group, Line
from halage.monitor.logs.store import Entry, Source

MOST_BYTES = 32 * 1024**2
"""Waiting at most: text, and what Python takes besides."""
LINE_COST, ENTRY_COST = 100, 400
"""Bytes for each line, and for those that come together."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was taken in since the start, and what was not."""

    lines: int = 0
    size_bytes: int = 0
    dropped: int = 0
    """Lines that there was no room for."""
    skipped_bytes: int = 0
    """Of outputs that came faster than they are kept."""


class Intake:
    """Lines between those who hand them in, from any thread, and the one who writes them."""

    def __init__(self, now: Callable[[], float], most_bytes: int = MOST_BYTES) -> None:
        self._now = now
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._waiting: list[Entry] = []
        self._waiting_bytes = 0
        self._dropped: dict[tuple[Group, str], int] = {}
        self._told: dict[tuple[Group, str], int] = {}
        """Of the dropped ones those that the marks of the last `take` tell of."""
        self.figures = Figures()

    @property
    def has_room(self) -> bool:
        """Whether more should be read: from half of the limit on, sources that can wait do."""
        return self._waiting_bytes < self._most_bytes // 2

    def append(self, group: Group, stream: str, lines: Sequence[Line], source: Source | None = None) -> bool:
        """Take lines in; says whether there was room. Never blocks, never raises.

        Without room they are counted as dropped, but for those of an output: it is read again later.
        """
        size = sum(len(line.text) for line in lines) + LINE_COST * len(lines) + ENTRY_COST
        with self._lock:
            if self._waiting_bytes + size > self._most_bytes:
                if source is None or source.is_told_once:
                    key = (group, stream)
                    self._dropped[key] = self._dropped.get(key, 0) + len(lines)
                    self.figures = replace(self.figures, dropped=self.figures.dropped + len(lines))
                return False
            self._waiting.append(Entry(group, stream, lines, source, size))
            self._waiting_bytes += size
            return True

    def note_skipped(self, size_bytes: int) -> None:
        """Count what was left out of an output, in whose place a mark was appended."""
        with self._lock:
            skipped = self.figures.skipped_bytes + size_bytes
            self.figures = replace(self.figures, skipped_bytes=skipped)

    def take(self) -> list[Entry]:
        """Everything that waits, with a mark for each stream that lost lines; to be settled or put back."""
        with self._lock:
            taken, self._waiting = self._waiting, []
            self._told, self._dropped = self._dropped, {}
            marks = [self._mark(*key, count) for key, count in self._told.items()]
            return taken + marks

    def _mark(self, group: Group, stream: str, count: int) -> Entry:
        text = f"[Halage: {count} lines were dropped here: too much came at once, or the disk was full]"
        return Entry(group, stream, [Line(self._now(), text.encode())])

    def settle(self, entries: Sequence[Entry], written: Sequence[Entry]) -> None:
        """What was taken is on the disk now; `written` is what of it was new."""
        lines = sum(len(entry.lines) for entry in written)
        size = sum(len(line.text) for entry in written for line in entry.lines)
        with self._lock:
            self._waiting_bytes -= sum(entry.size_bytes for entry in entries)
            self.figures = replace(
                self.figures,
                lines=self.figures.lines + lines,
                size_bytes=self.figures.size_bytes + size,
            )

    def put_back(self, entries: Sequence[Entry]) -> None:
        """What was taken could not be written: it waits on, before what came meanwhile.

        Its marks are counts again: a disk that is full for a week leaves no mark for each second of it.
        """
        with self._lock:
            self._waiting[:0] = entries[: len(entries) - len(self._told)]
            for key, count in self._told.items():
                self._dropped[key] = self._dropped.get(key, 0) + count
            self._told = {}
