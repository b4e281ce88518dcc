"""Routes about jobs and their consoles."""

from halage.base.errors import NotFound
from halage.build.model import Job
from halage.web.api import schemas
from halage.web.api.answers import closed_router, stream
from halage.web.api.requests import FromLine, JobId, LastNumber, Lines
from halage.web.caller import Caller, Door, Signed, no_such
from halage.web.services import Services
from halage.web.streams import Emit, Event, EventStream

router = closed_router("jobs", prefix="/jobs", also=(404,))


@router.get("/{job}", operation_id="show_job")
async def show_job(job: JobId, caller: Signed, door: Door) -> schemas.Job:
    """A job with its test report."""
    return schemas.Job.of(await _seen_job(job, caller, door))


@router.get("/{job}/console", operation_id="read_console")
async def read_console(
    job: JobId, caller: Signed, door: Door, from_line: FromLine = 0, limit: Lines = 1000
) -> list[schemas.ConsoleLine]:
    """Lines of the job's console, from one on; secrets are masked."""
    await _seen_job(job, caller, door)
    lines = await door.builds.console(job, from_line=from_line, limit=limit)
    return [schemas.ConsoleLine.of(line) for line in lines]


@router.get(
    "/{job}/console/stream",
    operation_id="stream_console",
    responses=stream(console="ConsoleLine"),
    response_class=EventStream,
    status_code=200,
)
async def stream_console(
    job: JobId, caller: Signed, door: Door, last_event_id: LastNumber = ""
) -> EventStream:
    """The console's lines as they come (`console`, the id is the line's number). Ends with the job."""
    await _seen_job(job, caller, door)
    from_line = int(last_event_id) + 1 if last_event_id else 0

    async def produce(emit: Emit) -> None:
        async for line in door.builds.follow_console(job, from_line):
            body = schemas.ConsoleLine.of(line).model_dump(mode="json")
            await emit(Event("console", body, str(line.number)))

    return caller.stream(produce)


async def _seen_job(number: int, caller: Caller, door: Services) -> Job:
    """The job, once it is known that the caller may see it."""
    thing = f"job {number}"
    try:
        job = await door.builds.job(number)
    except NotFound as error:
        raise no_such(thing) from error
    caller.must_in_project_of(job.project, "build:Show", thing)
    return job
