"""Routes about the journal: who did what to which thing, when."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import AwareDatetime, BeforeValidator
from starlette.responses import StreamingResponse

from halage.access.rules import visible_projects
from halage.base.journal import Entry, EventFilter
from halage.base.journal_search import find_entries
from halage.web.api import schemas
from halage.web.api.answers import closed_router, stream
from halage.web.api.event_export import EXPORT_CONTENT, ExportFormat, export
from halage.web.api.requests import (
    After,
    Before,
    EnvironmentFilter,
    LastNumber,
    OriginFilter,
    ProjectFilter,
    SubjectFilter,
    TextFilter,
)
from halage.web.caller import Caller, Door, Signed
from halage.web.downloads import may_go_on
from halage.web.services import Services
from halage.web.streams import Emit, Event, EventStream

PAGE = 500

router = closed_router("events", prefix="/events", also=(404,))

Count = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
Actor = Annotated[str | None, Query(min_length=1, max_length=100, description="Only what they did.")]
Action = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z*]+(:[A-Za-z*]*)?$",
        description="Only this action; `*` stands for any part: `environment:*`.",
    ),
]


Format = Annotated[
    ExportFormat,
    Query(alias="format", description="`jsonl`: a JSON document a line; `csv`: for a spreadsheet."),
]


def _is_written_out(value: Any) -> Any:
    if isinstance(value, str) and not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:", value):
        raise ValueError("a moment is written 2026-11-23T08:00:00Z, with its time zone")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_is_written_out)]
Since = Annotated[Moment | None, Query(description="Not earlier than that.")]
Until = Annotated[Moment | None, Query(description="Earlier than that.")]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller asks for, before it is narrowed to what they may see."""

    project: str | None
    events: EventFilter

    def seen_by(self, caller: Caller) -> EventFilter:
        """The same among the projects whose events are shown. Asked anew as roles change."""
        if self.project is not None:
            caller.must_in(self.project, "journal:Show")
            return replace(self.events, projects=(self.project,))
        caller.must("project:List", "server")
        return replace(self.events, projects=visible_projects(caller.principal), own=caller.name)


def wanted(
    project: ProjectFilter = None,
    environment: EnvironmentFilter = None,
    actor: Actor = None,
    action: Action = None,
    subject: SubjectFilter = None,
    origin: OriginFilter = None,
    text: TextFilter = None,
    since: Since = None,
    until: Until = None,
) -> Wanted:
    """The filter of a request."""
    return Wanted(
        project,
        EventFilter(
            environment=environment,
            actor=actor,
            action=action,
            subject=subject,
            origin=origin,
            text=text,
            since=_seconds(since),
            until=_seconds(until),
        ),
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


EventsWanted = Annotated[Wanted, Depends(wanted)]


@router.get("", operation_id="list_events")
async def list_events(
    caller: Signed,
    door: Door,
    wanted: EventsWanted,
    after: After = None,
    before: Before = None,
    limit: Count = 100,
) -> list[schemas.Entry]:
    """Events of the projects that the caller may see, oldest first: the latest, or those after one."""
    events = wanted.seen_by(caller)
    entries = await find_entries(door.database, events, after=after, before=before, limit=limit)
    return [schemas.Entry.of(entry) for entry in entries]


@router.get(
    "/export",
    operation_id="export_events",
    responses={200: {"description": "All of them, oldest first, as they come.", "content": EXPORT_CONTENT}},
    response_class=StreamingResponse,
)
async def export_events(
    caller: Signed, door: Door, wanted: EventsWanted, format_: Format = ExportFormat.JSONL
) -> StreamingResponse:
    """All events that the caller may see, oldest first, as a file. Breaks off rather than leave one out."""
    wanted.seen_by(caller)
    return export(format_, _all(door, caller, wanted))


async def _all(door: Services, caller: Caller, wanted: Wanted) -> AsyncIterator[list[Entry]]:
    """The entries in pages; the right to them is asked for again before each."""
    check = may_go_on(caller, door.stopping, lambda: wanted.seen_by(caller))
    last = 0
    while True:
        entries = await find_entries(door.database, wanted.seen_by(caller), after=last, limit=PAGE)
        yield entries
        if len(entries) < PAGE:
            return
        last = entries[-1].id
        await check()


@router.get(
    "/stream",
    operation_id="stream_events",
    responses=stream(event="Entry"),
    response_class=EventStream,
    status_code=200,
)
async def stream_events(
    caller: Signed, door: Door, wanted: EventsWanted, last_event_id: LastNumber = ""
) -> EventStream:
    """Events as they happen (`event`, the id is the event's number). Has no end."""
    wanted.seen_by(caller)
    after = int(last_event_id) if last_event_id else None

    async def produce(emit: Emit) -> None:
        await _follow(door, caller, wanted, after, emit)

    return caller.stream(produce)


async def _follow(door: Services, caller: Caller, wanted: Wanted, after: int | None, emit: Emit) -> None:
    last = after
    while True:
        # Following begins before reading, so nothing falls between the two; what comes twice
        # is known by its id. A follower that was too slow is cut off and reads on from here.
        with door.journal.follow() as live:
            if last is not None:
                last = await _send_backlog(door, caller, wanted, last, emit)
            async for entry in live:
                last = await _send(entry, caller, wanted, last or 0, emit)


async def _send_backlog(door: Services, caller: Caller, wanted: Wanted, last: int, emit: Emit) -> int:
    while True:
        entries = await find_entries(door.database, wanted.seen_by(caller), after=last, limit=PAGE)
        for entry in entries:
            last = await _send(entry, caller, wanted, last, emit)
        if len(entries) < PAGE:
            return last


async def _send(entry: Entry, caller: Caller, wanted: Wanted, last: int, emit: Emit) -> int:
    if entry.id > last and wanted.seen_by(caller).accepts(entry):
        body = schemas.Entry.of(entry).model_dump(mode="json")
        await emit(Event("event", body, str(entry.id)))
    return max(entry.id, last)
