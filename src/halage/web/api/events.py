"""Routes about the journal: who did what to which thing, when."""

from collections.abc import Collection
from typing import Annotated

from fastapi import Query

from halage.access.rules import visible_projects
from halage.base.database import Transaction
from halage.base.journal import Entry, read_journal
from halage.web.api import schemas
from halage.web.api.answers import closed_router, stream
from halage.web.api.requests import After, Before, LastNumber, ProjectFilter
from halage.web.caller import Caller, Door, Signed
from halage.web.services import Services
from halage.web.streams import Emit, Event, EventStream

PAGE = 200

router = closed_router("events", prefix="/events", also=(404,))

Count = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
Projects = Collection[str] | None


@router.get("", operation_id="list_events")
async def list_events(
    caller: Signed,
    door: Door,
    project: ProjectFilter = None,
    after: After = None,
    before: Before = None,
    limit: Count = 100,
) -> list[schemas.Entry]:
    """Events of the projects that the caller may see, oldest first: the latest, or those after one."""
    projects = _seen_projects(caller, project)
    entries = await door.database.run(_read, projects, after, before, limit)
    return [schemas.Entry.of(entry) for entry in entries]


@router.get(
    "/stream",
    operation_id="stream_events",
    responses=stream(event="Entry"),
    response_class=EventStream,
    status_code=200,
)
async def stream_events(
    caller: Signed, door: Door, project: ProjectFilter = None, last_event_id: LastNumber = ""
) -> EventStream:
    """Events as they happen (`event`, the id is the event's number). Has no end."""
    _seen_projects(caller, project)
    after = int(last_event_id) if last_event_id else None

    async def produce(emit: Emit) -> None:
        await _follow(door, caller, project, after, emit)

    return caller.stream(produce)


def _seen_projects(caller: Caller, project: str | None) -> Projects:
    """The projects whose events are shown, None for everything. Asked anew as roles change."""
    if project is not None:
        caller.must_in(project, "journal:Show")
        return (project,)
    caller.must("project:List", "server")
    return visible_projects(caller.principal)


async def _follow(door: Services, caller: Caller, project: str | None, after: int | None, emit: Emit) -> None:
    last = after
    while True:
        # Following begins before reading, so nothing falls between the two; what comes twice
        # is known by its id. A follower that was too slow is cut off and reads on from here.
        with door.journal.follow() as live:
            if last is not None:
                last = await _send_backlog(door, caller, project, last, emit)
            async for entry in live:
                last = await _send(entry, caller, project, last or 0, emit)


async def _send_backlog(door: Services, caller: Caller, project: str | None, last: int, emit: Emit) -> int:
    while True:
        projects = _seen_projects(caller, project)
        entries = await door.database.run(_read, projects, last, None, PAGE)
        for entry in entries:
            last = await _send(entry, caller, project, last, emit)
        if len(entries) < PAGE:
            return last


async def _send(entry: Entry, caller: Caller, project: str | None, last: int, emit: Emit) -> int:
    projects = _seen_projects(caller, project)
    if entry.id > last and (projects is None or entry.project in projects):
        body = schemas.Entry.of(entry).model_dump(mode="json")
        await emit(Event("event", body, str(entry.id)))
    return max(entry.id, last)


def _read(
    tx: Transaction, projects: Projects, after: int | None, before: int | None, limit: int
) -> list[Entry]:
    return read_journal(tx.connection, projects=projects, after=after, before=before, limit=limit)
