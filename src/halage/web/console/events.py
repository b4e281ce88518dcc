"""The journal: what happened, who did it, live."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response

from halage.base.database import Transaction
from halage.base.journal import Entry, EventFilter, read_journal
from halage.web.console.console import Console, Visitor, add
from halage.web.console.live import Page, live

_AT_ONCE = 100


class Choice:
    """What the visitor chose in the form over the events; what cannot be read chooses nothing."""

    def __init__(
        self, project: str | None = None, actor: str = "", action: str = "", since: str = "", until: str = ""
    ) -> None:
        """Take the fields as they are in the address; the days are UTC, both included."""
        self.project = project
        self.actor, self.action = actor.strip()[:100], action.strip()[:100]
        self.since, self.until = _day(since), _day(until)

    @property
    def events(self) -> EventFilter:
        """The same for the journal."""
        return EventFilter(
            projects=None if self.project is None else (self.project,),
            actor=self.actor or None,
            action=self.action or None,
            since=None if self.since is None else _seconds(self.since),
            until=None if self.until is None else _seconds(self.until + timedelta(days=1)),
        )

    @property
    def is_narrow(self) -> bool:
        """Whether anything but a project was chosen."""
        return bool(self.actor or self.action or self.since or self.until)

    @property
    def query(self) -> str:
        """The choice as it stands in an address, without the question mark."""
        fields = {
            "project": self.project,
            "actor": self.actor,
            "action": self.action,
            "since": self.since,
            "until": self.until,
        }
        return urlencode({name: str(value) for name, value in fields.items() if value})


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


Chosen = Annotated[Choice, Depends(Choice)]


class EventPages:
    """The journal of all that the visitor may see, or of one project."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        add(router, "/events", get=self.show)
        add(router, "/events/live", get=self.follow)

    async def show(self, request: Request, choice: Chosen, before: int | None = None) -> Response:
        """The latest entries, newest first."""
        visitor = await self._allowed(request, choice.project)
        entries = await self._services.database.run(_read, choice.events, None, before)
        seen = [entry for entry in entries if _may_see(visitor, entry)]
        return self._console.page(
            request,
            "events.html",
            project=choice.project,
            choice=choice,
            entries=list(reversed(seen)),
            newest=max((entry.id for entry in entries), default=0),
            older=entries[0].id if len(entries) == _AT_ONCE else None,
            is_first=before is None,
        )

    async def follow(self, request: Request, choice: Chosen, after: int = 0) -> Response:
        """Entries as they are written; none is lost or doubled over a cut connection."""
        await self._allowed(request, choice.project)
        events = choice.events
        last_seen = request.headers.get("last-event-id", "")
        start = int(last_seen) if last_seen.isdecimal() else after

        async def source(page: Page) -> None:
            last = start
            while True:
                # First listen, then read what came before: nothing falls between the two.
                with self._services.journal.follow() as entries:
                    for entry in await self._services.database.run(_read, events, last, None):
                        last = await self._show(request, page, entry, events, last)
                    async for entry in entries:
                        last = await self._show(request, page, entry, events, last)

        return live(self._services, source, still_allowed=lambda: self._allowed(request, choice.project))

    async def _show(self, request: Request, page: Page, entry: Entry, events: EventFilter, last: int) -> int:
        if entry.id <= last:
            return last
        visitor = await self._console.visitor(request)
        if events.accepts(entry) and _may_see(visitor, entry):
            html = self._console.render(request, "event_rows.html", entries=[entry])
            await page.append("entries", html, entry.id)
        return entry.id

    async def _allowed(self, request: Request, project: str | None) -> Visitor:
        if project is None:
            return await self._console.visitor(request)
        return await self._console.visitor_of(request, project, "journal:Show")


def _read(tx: Transaction, events: EventFilter, after: int | None, before: int | None) -> list[Entry]:
    return read_journal(tx.connection, events, after=after, before=before, limit=_AT_ONCE)


def _may_see(visitor: Visitor, entry: Entry) -> bool:
    if entry.project is None:
        return visitor.may("server:Show", "server") or entry.actor == visitor.principal.name
    return visitor.may("journal:Show", f"project/{entry.project}")
