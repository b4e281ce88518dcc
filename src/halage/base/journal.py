"""The journal: who did what to which thing, when; written with the change, followed live."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Column, Integer, String, Table, insert, select
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
    Column("before", Document),
    Column("after", Document),
    Column("origin", String(200)),
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
    *,
    project: str | None = None,
    projects: Collection[str] | None = None,
    after: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Entries, oldest first: the `limit` next ones past id `after`, else the last ones (before `before`).

    With `projects`, those of these projects only, and none of those that belong to no project.
    """
    query = select(*(journal_table.c[name] for name in Entry.__dataclass_fields__))
    if projects is not None:
        query = query.where(journal_table.c.project.in_(projects))
    if project is not None:
        query = query.where(journal_table.c.project == project)
    if after is not None:
        query = query.where(journal_table.c.id > after).order_by(journal_table.c.id).limit(limit)
        return [Entry(**row._mapping) for row in connection.execute(query)]
    if before is not None:
        query = query.where(journal_table.c.id < before)
    rows = connection.execute(query.order_by(journal_table.c.id.desc()).limit(limit)).all()
    return [Entry(**row._mapping) for row in reversed(rows)]
