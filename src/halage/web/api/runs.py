"""Routes about runs and their approvals."""

from typing import Annotated

from fastapi import Body

from halage.base.errors import Conflict, NotFound
from halage.pipeline.model import Run
from halage.web.api import schemas
from halage.web.api.answers import closed_router, problems, stream
from halage.web.api.requests import Before, Decision, Limit, Position, ProjectName, RetryWanted, RunId
from halage.web.api.run_stream import RunStream
from halage.web.caller import Caller, Door, Signed, no_such
from halage.web.services import Services
from halage.web.streams import Emit, EventStream

router = closed_router("runs", also=(404,))

Comment = Annotated[Decision | None, Body()]
Stage = Annotated[RetryWanted | None, Body()]


@router.get("/projects/{project}/runs", operation_id="list_runs")
async def list_runs(
    project: ProjectName, caller: Signed, door: Door, limit: Limit = 20, before: Before = None
) -> list[schemas.Run]:
    """The project's runs, newest first."""
    caller.must_in(project, "pipeline:Show")
    runs = await door.pipeline.runs(project, limit=limit, before=before)
    return [schemas.Run.of(run) for run in runs]


@router.get("/runs/{run}", operation_id="show_run")
async def show_run(run: RunId, caller: Signed, door: Door) -> schemas.Run:
    """A run with its stages."""
    return schemas.Run.of(await _seen_run(run, "pipeline:Show", caller, door))


@router.post("/runs/{run}/cancel", operation_id="cancel_run", responses=problems(409))
async def cancel_run(run: RunId, caller: Signed, door: Door) -> schemas.Run:
    """End the run: its commands are stopped, a deployment under way is rolled back."""
    await _seen_run(run, "pipeline:Cancel", caller, door)
    await door.pipeline.cancel(run, actor=caller.name)
    return schemas.Run.of(await door.pipeline.run(run))


@router.post("/runs/{run}/retry", operation_id="retry_run", responses=problems(409))
async def retry_run(run: RunId, caller: Signed, door: Door, body: Stage = None) -> schemas.Run:
    """Start a run again from a stage on, for the same commit."""
    await _seen_run(run, "pipeline:Retry", caller, door)
    await door.pipeline.retry(run, stage=body.stage if body else None, actor=caller.name)
    return schemas.Run.of(await door.pipeline.run(run))


@router.post("/runs/{run}/approve", operation_id="approve_run", responses=problems(409))
async def approve_run(run: RunId, caller: Signed, door: Door, body: Comment = None) -> schemas.Run:
    """Approve the run that waits: it goes on to its next stage."""
    await _seen_run(run, "pipeline:Approve", caller, door)
    return await _approve(run, body, caller, door)


@router.post("/runs/{run}/reject", operation_id="reject_run", responses=problems(409))
async def reject_run(run: RunId, caller: Signed, door: Door, body: Comment = None) -> schemas.Run:
    """Reject the run that waits: it ends."""
    await _seen_run(run, "pipeline:Reject", caller, door)
    return await _reject(run, body, caller, door)


@router.post("/projects/{project}/approve", operation_id="approve_project", responses=problems(409))
async def approve_project(
    project: ProjectName, caller: Signed, door: Door, body: Comment = None
) -> schemas.Run:
    """Approve the run of the project that waits for an approval."""
    caller.must_in(project, "pipeline:Approve")
    return await _approve(await _waiting_run(project, door), body, caller, door)


@router.post("/projects/{project}/reject", operation_id="reject_project", responses=problems(409))
async def reject_project(
    project: ProjectName, caller: Signed, door: Door, body: Comment = None
) -> schemas.Run:
    """Reject the run of the project that waits for an approval."""
    caller.must_in(project, "pipeline:Reject")
    return await _reject(await _waiting_run(project, door), body, caller, door)


@router.get(
    "/runs/{run}/stream",
    operation_id="stream_run",
    responses=stream(run="Run", console="JobLine"),
    response_class=EventStream,
    status_code=200,
)
async def stream_run(run: RunId, caller: Signed, door: Door, last_event_id: Position = "") -> EventStream:
    """The run, at once and at each change (`run`), and the lines of its jobs' consoles (`console`).

    The id of a `console` event is `JOB.LINE`. Ends with the run.
    """
    await _seen_run(run, "pipeline:Show", caller, door)

    async def produce(emit: Emit) -> None:
        await RunStream(door, emit, last_event_id).follow(run)

    return caller.stream(produce)


async def _seen_run(number: int, action: str, caller: Caller, door: Services) -> Run:
    """The run, once it is known that the caller may do this to it."""
    thing = f"run {number}"
    try:
        run = await door.pipeline.run(number)
    except NotFound as error:
        raise no_such(thing) from error
    caller.must_in_project_of(run.project, action, thing)
    return run


async def _waiting_run(project: str, door: Services) -> int:
    run = await door.pipeline.waiting_approval(project)
    if run is None:
        raise Conflict(
            f"No run of {project} waits for an approval: `halage run list {project}` shows its runs.",
            project=project,
        )
    return run.id


async def _approve(run: int, body: Decision | None, caller: Caller, door: Services) -> schemas.Run:
    await door.pipeline.approve(run, comment=body.comment if body else "", actor=caller.name)
    return schemas.Run.of(await door.pipeline.run(run))


async def _reject(run: int, body: Decision | None, caller: Caller, door: Services) -> schemas.Run:
    await door.pipeline.reject(run, comment=body.comment if body else "", actor=caller.name)
    return schemas.Run.of(await door.pipeline.run(run))
