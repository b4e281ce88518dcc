"""The file that lines are kept in: an SQLite database of its own, apart from the control database."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import structlog

FILE = "logs.db"
PAGE_BYTES = 16 * 1024
"""Larger than usual: most of the file is blocks of some hundred KiB."""
_VERSION = 1
_WAL_BYTES = 64 * 1024**2
log = structlog.get_logger()

# What a search looks through first (blocks) lies apart from the large values (bodies), close together.
_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE groups (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, lost_through INTEGER NOT NULL DEFAULT 0);
CREATE TABLE streams (
    id INTEGER PRIMARY KEY, group_id INTEGER NOT NULL, name TEXT NOT NULL, last_id INTEGER NOT NULL,
    UNIQUE (group_id, name));
CREATE TABLE sources (
    name TEXT PRIMARY KEY, position INTEGER NOT NULL, touched_at REAL NOT NULL);
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY, group_id INTEGER NOT NULL, level INTEGER NOT NULL, first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL, lines INTEGER NOT NULL, first_at REAL NOT NULL, last_at REAL NOT NULL,
    raw_bytes INTEGER NOT NULL);
CREATE INDEX blocks_by_id ON blocks (group_id, last_id);
CREATE INDEX blocks_by_age ON blocks (last_id);
CREATE INDEX open_blocks ON blocks (group_id, first_id) WHERE level < 9;
CREATE TABLE bodies (
    id INTEGER PRIMARY KEY, filter BLOB, meta BLOB NOT NULL, text BLOB NOT NULL);
"""


def open_writer(directory: Path) -> sqlite3.Connection:
    """The connection that writes; makes the file where there is none.

    Raises sqlite3.OperationalError, OSError. A file that is no database any more is set aside under
    another name, and a new one is begun.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / FILE
    try:
        return _open(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        set_aside(directory, str(error))
        return _open(path)


def set_aside(directory: Path, reason: str) -> None:
    """Give a damaged file another name, so that a new one can be begun."""
    path = directory / FILE
    aside = path.with_name(f"{FILE}.damaged-{int(time.time())}")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    log.error("logs are damaged", action="monitor:KeepLogs", subject=str(aside), reason=reason)


def _open(path: Path) -> sqlite3.Connection:
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        # A power cut may take the last transactions, never half of one: sources are then read again.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            # A new file's ids begin past those of a file that was lost: what others go on from stays true.
            connection.execute("BEGIN IMMEDIATE")
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)
            first = int(time.time() * 1000) * 100
            connection.execute("INSERT INTO facts VALUES ('next_id', ?)", (first,))
            connection.execute(f"PRAGMA user_version={_VERSION}")
            connection.execute("COMMIT")
        elif version != _VERSION:
            raise sqlite3.OperationalError(f"{path} was written by another version of Halage ({version})")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(directory: Path) -> sqlite3.Connection | None:
    """A connection that reads, None where nothing was ever kept. Raises sqlite3.Error."""
    path = directory / FILE
    if not path.exists():
        return None
    connection = sqlite3.connect(
        f"file:{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=5.0
    )
    # Blobs are read through: a large cache would only be copied into.
    connection.execute("PRAGMA cache_size=-4096")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:  # it is just being made
        connection.close()
        return None
    return connection
