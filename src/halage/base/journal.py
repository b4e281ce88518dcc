"""The journal: who did what to which thing, when; written with the change, followed live."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Column, Integer, Select, String, Table, func, insert, select
from sqlalchemy.engine import Connection

from halage.base.schema import Document, Instant, metadata

_QUEUE_LIMIT = 1000

journal_table = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("action", String(100), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("project", String(63), index=True),
    Column("details", Document, nullable=False),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `action` is `domain:Verb`; `details` hold no secrets."""

    id: int
    at: float
    actor: str
    action: str
    subject: str
    project: str | None
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which entries are meant: those that fit everything that is given."""

    projects: Collection[str] | None = None
    """Entries of these projects only, and none of those that belong to no project. None: every entry."""
    actor: str | None = None
    action: str | None = None
    """An action, with `*` for any part of it: `environment:*`."""
    since: float | None = None
    """Not earlier than that (seconds, epoch)."""
    until: float | None = None
    """Earlier than that (seconds, epoch)."""

    def accepts(self, entry: Entry) -> bool:
        """Whether an entry is one of those."""
        return (
            (self.projects is None or entry.project in self.projects)
            and (self.actor is None or entry.actor == self.actor)
            and (self.action is None or _fits(entry.action, self.action))
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
        )

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """The same, for the database."""
        columns = journal_table.c
        if self.projects is not None:
            query = query.where(columns.project.in_(self.projects))
        if self.actor is not None:
            query = query.where(columns.actor == self.actor)
        if self.action is not None:
            # LIKE alone tells capitals apart on one database and not on the other.
            query = query.where(func.lower(columns.action).like(_like(self.action.lower()), escape="\\"))
        if self.since is not None:
            query = query.where(columns.at >= self.since)
        if self.until is not None:
            query = query.where(columns.at < self.until)
        return query


EVERYTHING = EventFilter()


def _fits(action: str, pattern: str) -> bool:
    parts = (re.escape(part) for part in pattern.lower().split("*"))
    return re.fullmatch(".*".join(parts), action.lower()) is not None


def _like(pattern: str) -> str:
    for special in ("\\", "%", "_"):
        pattern = pattern.replace(special, f"\\{special}")
    return pattern.replace("*", "%")


class Journal:
    """Writes entries inside their transaction and hands them to followers once committed."""

    def __init__(self) -> None:
        self._followers: set[asyncio.Queue[Entry | None]] = set()

    def write(self, connection: Connection, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Insert entries and return them with the ids that they were given."""
        written = []
        for entry in entries:
            values = {
                "at": entry.at,
                "actor": entry.actor,
                "action": entry.action,
                "subject": entry.subject,
                "project": entry.project,
                "details": entry.details,
            }
            key = connection.execute(insert(journal_table).values(values)).inserted_primary_key
            assert key is not None
            written.append(replace(entry, id=int(key[0])))
        return written

    def publish(self, entries: Sequence[Entry]) -> None:
        """Give committed entries to every follower; one that lags by 1,000 is cut off."""
        for entry in entries:
            for queue in tuple(self._followers):
                if queue.full():
                    self._followers.discard(queue)
                    queue.get_nowait()
                    queue.put_nowait(None)
                else:
                    queue.put_nowait(entry)

    @contextlib.contextmanager
    def follow(self) -> Iterator[AsyncIterator[Entry]]:
        """Iterate over what is committed from the entry of the `with` on, until it is left.

        The iterator ends early for a follower that is too slow: it reads on from the database
        with the last id it saw.
        """
        queue: asyncio.Queue[Entry | None] = asyncio.Queue(_QUEUE_LIMIT)
        self._followers.add(queue)
        try:
            yield _drain(queue)
        finally:
            self._followers.discard(queue)


async def _drain(queue: asyncio.Queue[Entry | None]) -> AsyncIterator[Entry]:
    while (entry := await queue.get()) is not None:
        yield entry


def read_journal(
    connection: Connection,
    wanted: EventFilter = EVERYTHING,
    *,
    after: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Entries, oldest first: the `limit` next ones past id `after`, else the last ones (before `before`)."""
    query = wanted.narrow(select(journal_table))
    if after is not None:
        query = query.where(journal_table.c.id > after).order_by(journal_table.c.id).limit(limit)
        return [Entry(**row._mapping) for row in connection.execute(query)]
    if before is not None:
        query = query.where(journal_table.c.id < before)
    rows = connection.execute(query.order_by(journal_table.c.id.desc()).limit(limit)).all()
    return [Entry(**row._mapping) for row in reversed(rows)]
