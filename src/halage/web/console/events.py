"""The journal: what happened, who did it, live."""

from fastapi import APIRouter, Request, Response

from halage.base.database import Transaction
from halage.base.journal import Entry, read_journal
from halage.web.console.console import Console, Visitor, add
from halage.web.console.live import Page, live

_AT_ONCE = 100


class EventPages:
    """The journal of all that the visitor may see, or of one project."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        add(router, "/events", get=self.show)
        add(router, "/events/live", get=self.follow)

    async def show(self, request: Request, project: str | None = None, before: int | None = None) -> Response:
        """The latest entries, newest first."""
        visitor = await self._allowed(request, project)
        entries = await self._services.database.run(_read, project, None, before)
        seen = [entry for entry in entries if _may_see(visitor, entry)]
        return self._console.page(
            request,
            "events.html",
            project=project,
            entries=list(reversed(seen)),
            newest=max((entry.id for entry in entries), default=0),
            older=entries[0].id if len(entries) == _AT_ONCE else None,
            is_first=before is None,
        )

    async def follow(self, request: Request, project: str | None = None, after: int = 0) -> Response:
        """Entries as they are written; none is lost or doubled over a cut connection."""
        await self._allowed(request, project)
        last_seen = request.headers.get("last-event-id", "")
        start = int(last_seen) if last_seen.isdecimal() else after

        async def source(page: Page) -> None:
            last = start
            while True:
                # First listen, then read what came before: nothing falls between the two.
                with self._services.journal.follow() as entries:
                    for entry in await self._services.database.run(_read, project, last, None):
                        last = await self._show(request, page, entry, project, last)
                    async for entry in entries:
                        last = await self._show(request, page, entry, project, last)

        return live(self._services, source, still_allowed=lambda: self._allowed(request, project))

    async def _show(self, request: Request, page: Page, entry: Entry, project: str | None, last: int) -> int:
        if entry.id <= last:
            return last
        visitor = await self._console.visitor(request)
        if (project is None or entry.project == project) and _may_see(visitor, entry):
            html = self._console.render(request, "event_rows.html", entries=[entry])
            await page.append("entries", html, entry.id)
        return entry.id

    async def _allowed(self, request: Request, project: str | None) -> Visitor:
        if project is None:
            return await self._console.visitor(request)
        return await self._console.visitor_of(request, project, "journal:Show")


def _read(tx: Transaction, project: str | None, after: int | None, before: int | None) -> list[Entry]:
    return read_journal(tx.connection, project=project, after=after, before=before, limit=_AT_ONCE)


def _may_see(visitor: Visitor, entry: Entry) -> bool:
    if entry.project is None:
        return visitor.may("server:Show", "server") or entry.actor == visitor.principal.name
    return visitor.may("journal:Show", f"project/{entry.project}")
