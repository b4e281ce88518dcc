"""The journal: what happened, who did it, from where, before and after; live."""

import contextlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from starlette.datastructures import QueryParams

from halage.access.rules import visible_projects
from halage.base.journal import Entry, EventFilter
from halage.base.journal_search import find_entries
from halage.web.console.console import Console, Visitor, add
from halage.web.console.live import Page, live

_AT_ONCE = 100
_LONGEST = 200
_TEXTS = ("environment", "actor", "action", "origin", "text")
_DAYS = ("since", "until")


@dataclass(frozen=True, slots=True)
class Choice:
    """What the visitor chose in the form over the events. A day that cannot be read chooses nothing, which
    the page says."""

    project: str | None
    texts: dict[str, str]
    days: dict[str, date]
    """UTC; both are included."""
    unreadable: dict[str, str]
    """What stands in the address for a day and is none."""

    @classmethod
    def of(cls, query: QueryParams) -> "Choice":
        """The fields as they are in the address."""
        texts = {name: query.get(name, "").strip()[:_LONGEST].replace("\0", "") for name in _TEXTS}
        asked = {name: text for name in _DAYS if (text := query.get(name, "").strip())}
        days = {name: day for name, text in asked.items() if (day := _day(text))}
        return cls(
            project=query.get("project") or None,
            texts={name: text for name, text in texts.items() if text},
            days=days,
            unreadable={name: text[:_LONGEST] for name, text in asked.items() if name not in days},
        )

    def field(self, name: str) -> str:
        """What stands in a field of the form."""
        return str(self.days.get(name) or self.texts.get(name, ""))

    @property
    def events(self) -> EventFilter:
        """The same for the journal."""
        since, until = self.days.get("since"), self.days.get("until")
        return EventFilter(
            projects=None if self.project is None else (self.project,),
            since=None if since is None else _seconds(since),
            until=None if until is None else _seconds(until) + timedelta(days=1).total_seconds(),
            **self.texts,
        )

    @property
    def is_narrow(self) -> bool:
        """Whether anything but a project was chosen."""
        return bool(self.texts or self.days)

    @property
    def query(self) -> str:
        """The choice as it stands in an address, without the question mark."""
        project = {"project": self.project} if self.project else {}
        return urlencode({**project, **self.texts, **self.days})

    @property
    def export_query(self) -> str:
        """The choice as the API takes it: moments in place of days."""
        events = self.events
        moments = {"since": events.since, "until": events.until}
        project = {"project": self.project} if self.project else {}
        written = {name: _moment(at) for name, at in moments.items() if at is not None}
        return urlencode({**project, **self.texts, **written})


def _day(text: str) -> date | None:
    with contextlib.suppress(ValueError):
        day = date.fromisoformat(text)
        return day if 1970 <= day.year < 9999 else None
    return None


def _seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing of an entry that is not as it was."""

    name: str
    before: str
    after: str
    """As the journal has them: text as it is, all else as JSON; empty where there was nothing."""


def changes_of(entry: Entry) -> list[Change]:
    """What an entry changed, thing by thing; what stayed as it was is left out."""
    before, after = entry.before or {}, entry.after or {}
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [Change(name, _written(before.get(name)), _written(after.get(name))) for name in names]


def _written(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class EventPages:
    """The journal of all that the visitor may see, or of one project."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        add(router, "/events", get=self.show)
        add(router, "/events/live", get=self.follow)

    async def show(self, request: Request, before: int | None = None, after: int | None = None) -> Response:
        """The latest entries, newest first; or a page of earlier ones, or of later ones."""
        choice = Choice.of(request.query_params)
        visitor = await self._allowed(request, choice.project)
        entries = await find_entries(
            self._services.database, _seen(choice, visitor), before=before, after=after, limit=_AT_ONCE
        )
        is_first = before is None and (after is None or len(entries) < _AT_ONCE)
        is_full = len(entries) == _AT_ONCE
        return self._console.page(
            request,
            "events.html",
            project=choice.project,
            choice=choice,
            entries=list(reversed(entries)),
            changes=changes_of,
            newest=max((entry.id for entry in entries), default=after or 0),
            older=entries[0].id if entries and (is_full or after is not None) else None,
            newer=entries[-1].id if entries and not is_first else None,
            is_first=is_first,
        )

    async def follow(self, request: Request, after: int = 0) -> Response:
        """Entries as they are written; none is lost or doubled over a cut connection."""
        choice = Choice.of(request.query_params)
        await self._allowed(request, choice.project)
        last_seen = request.headers.get("last-event-id", "")
        start = int(last_seen) if last_seen.isdecimal() and len(last_seen) < 16 else after

        async def source(page: Page) -> None:
            last = start
            while True:
                # First listen, then read what came before: nothing falls between the two.
                with self._services.journal.follow() as entries:
                    last = await self._catch_up(request, page, choice, last)
                    async for entry in entries:
                        last = await self._show(request, page, entry, choice, last)

        return live(self._services, source, still_allowed=lambda: self._allowed(request, choice.project))

    async def _catch_up(self, request: Request, page: Page, choice: Choice, last: int) -> int:
        while True:
            wanted = _seen(choice, await self._allowed(request, choice.project))
            missed = await find_entries(self._services.database, wanted, after=last, limit=_AT_ONCE)
            for entry in missed:
                last = await self._show(request, page, entry, choice, last)
            if len(missed) < _AT_ONCE:
                return last

    async def _show(self, request: Request, page: Page, entry: Entry, choice: Choice, last: int) -> int:
        if entry.id <= last:
            return last
        visitor = await self._allowed(request, choice.project)
        if _seen(choice, visitor).accepts(entry):
            html = self._console.render(request, "event_rows.html", entries=[entry], changes=changes_of)
            await page.append("entries", html, entry.id)
        return entry.id

    async def _allowed(self, request: Request, project: str | None) -> Visitor:
        if project is None:
            return await self._console.visitor(request)
        return await self._console.visitor_of(request, project, "journal:Show")


def _seen(choice: Choice, visitor: Visitor) -> EventFilter:
    """What was chosen, of what the visitor may see: their projects, and what they did themselves."""
    wanted = choice.events
    if choice.project is not None:
        return wanted
    return replace(wanted, projects=visible_projects(visitor.principal), own=visitor.principal.name)
