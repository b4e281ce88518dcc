"""Routes about logs: searched, counted, followed, sent on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import Depends, Query, Response
from starlette.responses import StreamingResponse

from halage.monitor.logs.collector import json_lines, moment_of
from halage.monitor.logs.errors import NoSuchLogFilter
from halage.monitor.logs.matching import make_matcher
from halage.monitor.logs.model import OWN_GROUP, Group, KeptLine, Search
from halage.monitor.logs.model import LogFilter as DomainFilter
from halage.web.api.answers import Responses, closed_router, problems
from halage.web.api.answers import stream as stream_of
from halage.web.api.requests import ProjectFilter
from halage.web.api.requests_logs import (
    Backlog,
    BeforeLine,
    FilterId,
    Format,
    FoundLimit,
    Groups,
    HttpOutletWanted,
    LastLine,
    LogFilterWanted,
    LogOutletWanted,
    OutletId,
    Period,
    SearchWanted,
    search_of,
)
from halage.web.api.schemas_monitor_logs import (
    KeptLogLine,
    LogCounts,
    LogFilter,
    LogGroup,
    LogOutlet,
    LogPage,
)
from halage.web.caller import Caller, Door, Signed, no_such
from halage.web.downloads import may_go_on
from halage.web.services import Services
from halage.web.streams import Emit, Event, EventStream

router = closed_router("logs", prefix="/logs", also=(404,))
COUNTED_S = 3600
"""Counted without a start: the last hour."""

Wanted = Annotated[Search, Depends(search_of)]
OfProject = Annotated[str, Query(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="The project's name.")]
_EXPORTED: Responses = {
    200: {
        "description": "The lines, oldest first.",
        "content": {"text/plain": {"schema": {"type": "string"}}, "application/x-ndjson": {}},
    }
}


def _must_read(caller: Caller, groups: Sequence[str]) -> None:
    for name in groups:
        if name == OWN_GROUP:
            caller.must("monitor:ReadLogs", "server")
        else:
            project, _, environment = name.partition("/")[0].partition(".")
            caller.must_in(project, "monitor:ReadLogs", environment if environment not in ("", "*") else None)


def _may_read(caller: Caller, group: Group) -> bool:
    return caller.may("monitor:ReadLogs", f"project/{group.project}" if group.project else "server")


@router.get("/groups", operation_id="list_log_groups")
async def list_log_groups(caller: Signed, door: Door, project: ProjectFilter = None) -> list[LogGroup]:
    """The groups that have lines and that the caller may read, by name."""
    if project is not None:
        caller.must_in(project, "monitor:ReadLogs")
    else:
        caller.must("project:List", "server")
    found = await door.logs.groups(
        lambda group: project in (None, group.project) and _may_read(caller, group)
    )
    return [LogGroup.of(each) for each in found]


@router.get("/search", operation_id="search_logs")
async def search_logs(
    groups: Groups,
    wanted: Wanted,
    caller: Signed,
    door: Door,
    before: BeforeLine = None,
    limit: FoundLimit = 100,
) -> LogPage:
    """The newest lines that meet every condition."""
    _must_read(caller, groups)
    page = await door.logs.search(groups, wanted, limit=limit, before=before)
    return LogPage(
        lines=[KeptLogLine.of(line) for line in page.lines],
        next_before=page.next_before,
        is_cut_off=page.is_cut_off,
        problems=list(page.problems),
    )


@router.get("/counts", operation_id="count_logs")
async def count_logs(
    groups: Groups, wanted: Wanted, caller: Signed, door: Door, period: Period = 60
) -> LogCounts:
    """How many lines meet every condition, by period; without `from`, of the last hour."""
    _must_read(caller, groups)
    end = door.clock.now() if wanted.end is None else wanted.end
    start = end - COUNTED_S if wanted.start is None else min(wanted.start, end)
    return LogCounts.of(await door.logs.count(groups, wanted, start=start, end=end, period_s=period))


@router.get(
    "/stream",
    operation_id="tail_logs",
    responses=stream_of(line="KeptLogLine"),
    response_class=EventStream,
    status_code=200,
)
async def tail_logs(
    groups: Groups,
    wanted: Wanted,
    caller: Signed,
    door: Door,
    lines: Backlog = 10,
    last_event_id: LastLine = "",
) -> EventStream:
    """The last lines that meet every condition, then new ones as they come (`line`). Has no end."""
    _must_read(caller, groups)
    make_matcher(wanted)  # what cannot be searched for is refused before the stream begins

    async def produce(emit: Emit) -> None:
        after = int(last_event_id) if last_event_id else await _send_last(door, groups, wanted, lines, emit)
        async for line in door.logs.follow(groups, wanted, after):
            _must_read(caller, groups)  # the stream of a group that may be read no more ends
            await emit(_event(line))

    return caller.stream(produce)


async def _send_last(door: Services, groups: Sequence[str], wanted: Search, lines: int, emit: Emit) -> int:
    """Send the last lines; the id to follow after."""
    last = await door.logs.last_id()
    if lines == 0:
        return last
    page = await door.logs.search(groups, wanted, limit=lines)
    for line in reversed(page.lines):
        await emit(_event(line))
    return max([last, *(line.id for line in page.lines[:1])])


def _event(line: KeptLine) -> Event:
    return Event("line", KeptLogLine.of(line).model_dump(mode="json"), str(line.id))


@router.get("/export", operation_id="export_logs", responses=_EXPORTED, response_class=StreamingResponse)
async def export_logs(
    groups: Groups, wanted: Wanted, caller: Signed, door: Door, form: Format = "text"
) -> StreamingResponse:
    """Every line that is kept and meets every condition, oldest first.

    Breaks off rather than leave one out; a line stands for those that cannot be read.
    """
    _must_read(caller, groups)
    make_matcher(wanted)
    media_type = "application/x-ndjson" if form == "json" else "text/plain; charset=utf-8"
    return StreamingResponse(_written(caller, door, groups, wanted, form), media_type=media_type)


async def _written(
    caller: Caller, door: Services, groups: Sequence[str], wanted: Search, form: str
) -> AsyncIterator[bytes]:
    """The lines in pieces; the right to them is asked for again after each."""
    check = may_go_on(caller, door.stopping, lambda: _must_read(caller, groups))
    async for lines in door.logs.export(groups, wanted):
        if lines:
            yield await asyncio.to_thread(_in_form, lines, form)
        await check()


def _in_form(lines: Sequence[KeptLine], form: str) -> bytes:
    if form == "json":
        return json_lines(lines)
    return b"".join(f"{moment_of(line)} {line.stream} ".encode() + line.text + b"\n" for line in lines)


# -- filters


@router.get("/filters", operation_id="list_log_filters")
async def list_log_filters(project: OfProject, caller: Signed, door: Door) -> list[LogFilter]:
    """The filters of a project: searches whose hits are counted in a metric."""
    caller.must_in(project, "monitor:ReadLogs")
    return [LogFilter.of(each) for each in await door.logs.filters.list(project)]


@router.post("/filters", operation_id="create_log_filter", status_code=201, responses=problems(409))
async def create_log_filter(body: LogFilterWanted, caller: Signed, door: Door) -> LogFilter:
    """Count what a search finds in a group, from now on, in a metric of the site's own."""
    group = Group.named(body.group)
    assert group.project is not None
    caller.must_in(group.project, "monitor:SetLogFilter", group.environment)
    made = await door.logs.filters.create(group, body.metric, body.search.search(), actor=caller.name)
    return LogFilter.of(made)


@router.put("/filters/{filter}", operation_id="change_log_filter")
async def change_log_filter(filter: FilterId, body: SearchWanted, caller: Signed, door: Door) -> LogFilter:
    """Count what another search finds, from now on, in the same metric."""
    found = await _filter(filter, caller, door)
    return LogFilter.of(await door.logs.filters.change(found.id, body.search(), actor=caller.name))


@router.delete("/filters/{filter}", operation_id="delete_log_filter", status_code=204)
async def delete_log_filter(filter: FilterId, caller: Signed, door: Door) -> Response:
    """Count no more; what was counted stays."""
    found = await _filter(filter, caller, door)
    await door.logs.filters.delete(found.id, actor=caller.name)
    return Response(status_code=204)


async def _filter(number: int, caller: Caller, door: Services) -> DomainFilter:
    """A filter that the caller may set."""
    thing = f"filter {number}"
    try:
        found = await door.logs.filters.get(number)
    except NoSuchLogFilter as error:
        raise no_such(thing) from error
    caller.must_in_project_of(found.project, "monitor:SetLogFilter", thing)
    return found


# -- outlets


@router.get("/outlets", operation_id="list_log_outlets")
async def list_log_outlets(caller: Signed, door: Door) -> list[LogOutlet]:
    """The places that lines are sent on to, and how each does. For administrators."""
    caller.must("monitor:SetOutlet", "server")
    return [LogOutlet.of(each) for each in await door.logs.outlets.list()]


@router.post("/outlets", operation_id="create_log_outlet", status_code=201, responses=problems(409))
async def create_log_outlet(body: LogOutletWanted, caller: Signed, door: Door) -> LogOutlet:
    """Send lines on from now on: to syslog, or to an HTTP collector. For administrators."""
    caller.must("monitor:SetOutlet", "server")
    wanted = body.headers if isinstance(body, HttpOutletWanted) else []
    headers = {header.name: header.value for header in wanted}
    made = await door.logs.outlets.create(body.name, body.address, body.groups, headers, actor=caller.name)
    return LogOutlet.of(made)


@router.get("/outlets/{outlet}", operation_id="show_log_outlet")
async def show_log_outlet(outlet: OutletId, caller: Signed, door: Door) -> LogOutlet:
    """An outlet: its state, why it fails, how many lines wait. For administrators."""
    caller.must("monitor:SetOutlet", "server")
    return LogOutlet.of(await door.logs.outlets.get(outlet))


@router.post("/outlets/{outlet}/pause", operation_id="pause_log_outlet")
async def pause_log_outlet(outlet: OutletId, caller: Signed, door: Door) -> LogOutlet:
    """Send nothing for now; lines wait as long as they are kept. For administrators."""
    caller.must("monitor:SetOutlet", "server")
    return LogOutlet.of(await door.logs.outlets.pause(outlet, actor=caller.name))


@router.post("/outlets/{outlet}/resume", operation_id="resume_log_outlet")
async def resume_log_outlet(outlet: OutletId, caller: Signed, door: Door) -> LogOutlet:
    """Go on where it stopped; one that fails is tried at once. For administrators."""
    caller.must("monitor:SetOutlet", "server")
    return LogOutlet.of(await door.logs.outlets.resume(outlet, actor=caller.name))


@router.delete("/outlets/{outlet}", operation_id="delete_log_outlet", status_code=204)
async def delete_log_outlet(outlet: OutletId, caller: Signed, door: Door) -> Response:
    """Send no more. For administrators."""
    caller.must("monitor:SetOutlet", "server")
    await door.logs.outlets.delete(outlet, actor=caller.name)
    return Response(status_code=204)
