"""The SQLite file of the metrics: its tables, its two connections, and what is done with a damaged one."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog

from halage.monitor.metrics.errors import MetricsFull

FILE = "metrics.db"
_VERSION = 1
_WORTH_GIVING_BACK = 256
"""Fewer free pages (1 MiB) than that are kept: the next hour fills them again."""
log = structlog.get_logger()

# Blobs live in ordinary rowid tables with a UNIQUE index: without rowids, pages would be half empty.
# Ids of series and of rows of the head are never used twice (AUTOINCREMENT): rows name series by them,
# and chunks say through which row they hold their hour.
_SCHEMA = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    dimensions TEXT NOT NULL,
    kind TEXT NOT NULL,
    resolution_s INTEGER NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    UNIQUE (name, dimensions)
);
CREATE TABLE head (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    resolution_s INTEGER NOT NULL,
    series BLOB NOT NULL,
    numbers BLOB NOT NULL,
    sketches BLOB NOT NULL
);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    hour INTEGER NOT NULL,
    series INTEGER NOT NULL,
    through INTEGER NOT NULL,
    is_partial INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (hour, series)
);
CREATE TABLE rungs (
    id INTEGER PRIMARY KEY,
    resolution_s INTEGER NOT NULL,
    start INTEGER NOT NULL,
    series INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (resolution_s, start, series)
);
CREATE TABLE facts (name TEXT PRIMARY KEY, value REAL NOT NULL);
"""


class MetricDatabase:
    """One connection that writes and one that reads, each behind a lock of its own."""

    def __init__(self, directory: Path) -> None:
        """Open the file or make it. One that SQLite cannot read is renamed, and a new one begun."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = directory / FILE
        self._suspect = directory / f"{FILE}.suspect"
        if self._suspect.exists():
            set_aside(self.path, self._suspect.read_text())
            self._suspect.unlink()
        try:
            self._writer = _open(self.path)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise MetricsFull(f"The metrics cannot be opened: {error} ({self.path}).") from error
            set_aside(self.path, error)
            self._writer = _open(self.path)
        self._reader = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        self._reader.executescript("PRAGMA query_only=ON; PRAGMA cache_size=-1024")
        self._reading = threading.Lock()
        self.writing = threading.RLock()
        """Held by whoever changes something."""

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it or nothing. Raises MetricsFull with SQLite's reason when it cannot."""
        with self.writing:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                    self._writer.execute("COMMIT")
                except BaseException:
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._refusal(error) from error

    def _refusal(self, error: sqlite3.Error) -> MetricsFull:
        if not (isinstance(error, sqlite3.DatabaseError) and is_damage(error)):
            return MetricsFull(
                f"Nothing can be written to the metrics: {error} ({self.path}). "
                "It goes on by itself once that is over."
            )
        # The file stays open, and readable as far as it goes; the next start begins a new one.
        with contextlib.suppress(OSError):
            self._suspect.write_text(str(error))
        return MetricsFull(
            f"The metrics are damaged: {error} ({self.path}). Restart the server: it will keep the damaged "
            "file under another name and begin a new one."
        )

    def fetch(self, query: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query of what is committed; raises sqlite3.Error where the file is damaged."""
        with self._reading:
            return self._reader.execute(query, parameters).fetchall()

    def free_bytes(self) -> int:
        """Space that the disk has left for us."""
        disk = os.statvfs(self.path.parent)
        return disk.f_bavail * disk.f_frsize

    def give_back(self, most_pages: int) -> None:
        """Give pages that nothing uses back to the disk, if there are more than a few."""
        with self.writing:
            try:
                free = self._writer.execute("PRAGMA freelist_count").fetchone()[0]
                pages = self._writer.execute("PRAGMA page_count").fetchone()[0]
                spare = max(_WORTH_GIVING_BACK, pages // 20)
                if free > spare:
                    # The pragma frees a page with each step, and `execute` takes but one: it has no rows.
                    self._writer.executescript(f"PRAGMA incremental_vacuum({min(most_pages, free - spare)})")
            except sqlite3.Error as error:
                raise self._refusal(error) from error

    def close(self) -> None:
        """Close both connections."""
        with self.writing, self._reading:
            self._reader.close()
            self._writer.close()


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
    try:
        # Before the first table: it decides the layout of the file.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        # A commit is in the log file when it returns: a kill -9 loses nothing. A loss of power may
        # cost the seconds that the kernel had not written yet, and never tears the file.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA cache_size=-2048")
        connection.execute("PRAGMA journal_size_limit=8388608")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={_VERSION};COMMIT;")
        elif version != _VERSION:
            raise sqlite3.OperationalError(f"it was written by another version of Halage ({version})")
        connection.execute("SELECT count(*) FROM series").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def keep_fact(connection: sqlite3.Connection, name: str, value: float) -> None:
    """Keep a number under a name, in place of the one before."""
    connection.execute(
        "INSERT INTO facts (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is broken, rather than the disk full, locked, or not ours."""
    # Errors of the module itself have no code.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def set_aside(path: Path, error: object) -> None:
    """Rename a damaged file, and say so in the log."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(aside.with_name(aside.name + ending))
    log.error(
        "metrics are damaged: begun anew",
        action="metrics:Open",
        subject=str(path),
        reason=str(error),
        kept_as=str(aside),
    )
