"""The journal: who did what to which thing, when; written with the change, followed live."""

import asyncio
import contextlib
import json
import string
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    Select,
    String,
    Table,
    Text,
    and_,
    cast,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from halage.base.schema import Document, Instant, metadata

_QUEUE_LIMIT = 1000
LONGEST_TEXT = 500

journal_table = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Instant, nullable=False, index=True),
    Column("actor", String(100), nullable=False, index=True),
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
    before: dict[str, Any] | None = None
    """What was changed, as it was; None where there was nothing."""
    after: dict[str, Any] | None = None
    """What was changed, as it is since then; None where there is nothing."""
    origin: str | None = None
    """Where it came from: `api 203.0.113.5 token ci`, `console 127.0.0.1`, `halage`. None: an older
    Halage wrote it and did not know."""


def shortened(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The values with long texts cut, so that an entry stays small whatever people set."""
    if values is None:
        return None
    return {name: _cut(value) for name, value in values.items()}


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:LONGEST_TEXT]}... ({len(value)} characters)"
    return value


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which entries are meant: those that fit everything that is given.

    In a pattern `*` stands for any part. Capital letters of ASCII do not count.
    """

    projects: Collection[str] | None = None
    """Entries of these projects only, and none of those that belong to no project. None: every entry."""
    own: str | None = None
    """With `projects`: besides, what this person did that belongs to no project."""
    environment: str | None = None
    """Entries about an environment of that name, and about what is in it."""
    actor: str | None = None
    action: str | None = None
    """A pattern: `environment:*`."""
    subject: str | None = None
    """A pattern: `project/shop/*`."""
    origin: str | None = None
    """A pattern that the origin begins with: `console`, `api * token ci`."""
    text: str | None = None
    """Stands anywhere in the entry, in what was before and after as well."""
    since: float | None = None
    """Not earlier than that (seconds, epoch)."""
    until: float | None = None
    """Earlier than that (seconds, epoch)."""

    def accepts(self, entry: Entry) -> bool:
        """Whether an entry is one of those."""
        return (
            self._shows(entry)
            and (self.actor is None or entry.actor == self.actor)
            and (self.action is None or _fits(entry.action, self.action))
            and (self.subject is None or _fits(entry.subject, self.subject))
            and (self.environment is None or _fits_one(entry.subject, _places(self.environment)))
            and (self.origin is None or _fits(entry.origin or "", f"{self.origin}*"))
            and (self.text is None or _holds(entry, self.text))
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
        )

    def _shows(self, entry: Entry) -> bool:
        if self.projects is None or entry.project in self.projects:
            return True
        return entry.project is None and self.own is not None and entry.actor == self.own

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """The same, for the database."""
        return query.where(*self._conditions())

    def _conditions(self) -> Iterator[ColumnElement[bool]]:
        columns = journal_table.c
        if self.projects is not None:
            shown: ColumnElement[bool] = columns.project.in_(self.projects)
            if self.own is not None:
                shown = or_(shown, and_(columns.project.is_(None), columns.actor == self.own))
            yield shown
        if self.actor is not None:
            yield columns.actor == self.actor
        if self.action is not None:
            yield _like(columns.action, self.action)
        if self.subject is not None:
            yield _like(columns.subject, self.subject)
        if self.environment is not None:
            yield or_(*(_like(columns.subject, each) for each in _places(self.environment)))
        if self.origin is not None:
            yield _like(func.coalesce(columns.origin, ""), f"{self.origin}*")
        if self.text is not None:
            yield or_(*_containing(self.text))
        if self.since is not None:
            yield columns.at >= self.since
        if self.until is not None:
            yield columns.at < self.until


EVERYTHING = EventFilter()


class _Folded(FunctionElement[str]):
    """Text with the capital letters of ASCII made small: the same on every database, and in `_fold`."""

    inherit_cache = True
    type = Text()


@compiles(_Folded)
def _fold_anywhere(element: _Folded, compiler: Any, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(_Folded, "postgresql")
def _fold_on_postgresql(element: _Folded, compiler: Any, **options: Any) -> str:
    return f'lower(({compiler.process(element.clauses, **options)}) COLLATE "C")'


_SMALL = str.maketrans({capital: capital.lower() for capital in string.ascii_uppercase})


def _fold(text: str) -> str:
    return text.translate(_SMALL)


def _fits(text: str, pattern: str) -> bool:
    """Whether the text is what the pattern means; from left to right, so that no pattern is slow."""
    text = _fold(text)
    first, *parts = _fold(pattern).split("*")
    if not parts:
        return text == first
    if not text.startswith(first):
        return False
    position = len(first)
    for part in parts[:-1]:
        position = text.find(part, position)
        if position < 0:
            return False
        position += len(part)
    return len(text) - position >= len(parts[-1]) and text.endswith(parts[-1])


def _fits_one(text: str, patterns: Collection[str]) -> bool:
    return any(_fits(text, pattern) for pattern in patterns)


def _like(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    return _Folded(column).like("%".join(map(_escaped, _fold(pattern).split("*"))), escape="\\")


def _escaped(text: str) -> str:
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return text


def _places(environment: str) -> tuple[str, str]:
    """The subjects of an environment: itself, and what is in it."""
    return f"project/*/environment/{environment}", f"project/*/environment/{environment}/*"


_WORDS = ("actor", "action", "subject", "origin")
_DOCUMENTS = ("details", "before", "after")


def _holds(entry: Entry, text: str) -> bool:
    words = (_fold(getattr(entry, name) or "") for name in _WORDS)
    held = (getattr(entry, name) for name in _DOCUMENTS)
    documents = (_fold(json.dumps(document)) for document in held if document is not None)
    in_words, in_documents = _fold(text), _fold(_in_json(text))
    return any(in_words in each for each in words) or any(in_documents in each for each in documents)


def _containing(text: str) -> Iterator[ColumnElement[bool]]:
    for names, sought in ((_WORDS, text), (_DOCUMENTS, _in_json(text))):
        for name in names:
            column = func.coalesce(cast(journal_table.c[name], Text), "")
            yield _Folded(column).like(f"%{_escaped(_fold(sought))}%", escape="\\")


def _in_json(text: str) -> str:
    """The text as it stands within a JSON document of the database, which is plain ASCII."""
    return json.dumps(text)[1:-1]


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
                "before": entry.before,
                "after": entry.after,
                "origin": entry.origin,
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
    within: tuple[int, int] | None = None,
) -> list[Entry]:
    """Entries, oldest first: the `limit` next ones past id `after`, else the last ones (before `before`).

    `within` (low, high): only ids past the one and up to the other are looked at.
    """
    query = wanted.narrow(select(journal_table))
    if within is not None:
        query = query.where(journal_table.c.id > within[0], journal_table.c.id <= within[1])
    if after is not None:
        query = query.where(journal_table.c.id > after).order_by(journal_table.c.id).limit(limit)
        return [Entry(**row._mapping) for row in connection.execute(query)]
    if before is not None:
        query = query.where(journal_table.c.id < before)
    rows = connection.execute(query.order_by(journal_table.c.id.desc()).limit(limit)).all()
    return [Entry(**row._mapping) for row in reversed(rows)]
