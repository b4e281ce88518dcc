"""Routes that run a command or a shell once in an environment, list those that run, and end one."""

from typing import Annotated

from fastapi import APIRouter, Path, WebSocket

from halage.base.errors import HalageError
from halage.base.tasks import Tasks
from halage.compute.driver import Attached
from halage.compute.model import Stream
from halage.web.api.answers import closed_router, problems, stream
from halage.web.api.conversation import Conversation
from halage.web.api.requests import EnvironmentName, ProjectName
from halage.web.api.requests_executions import ExecutionWanted
from halage.web.api.schemas_executions import CommandExit, Execution, output_piece
from halage.web.caller import Caller, Door, Signed, services_of
from halage.web.problems import answer_error
from halage.web.streams import Emit, Event, EventStream

ACTION = "environment:Execute"
_PREFIX = "/projects/{project}/environments"

router = closed_router("environments", prefix=_PREFIX, also=(404,))
socket_router = APIRouter(prefix=_PREFIX)
"""WebSockets, which an OpenAPI document knows nothing of."""

ExecutionId = Annotated[
    str, Path(pattern=r"^x-[a-z0-9]{1,38}$", description="The execution's id.", examples=["x-3f9k2m"])
]


@router.get("/{environment}/executions", operation_id="list_executions")
async def list_executions(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door
) -> list[Execution]:
    """The commands and shells that run in the environment now, oldest first; the journal has the others."""
    caller.must_in(project, "environment:Show", environment)
    return [Execution.of(each) for each in await door.executions.list(project, environment)]


@router.post("/{environment}/executions/{execution}/end", operation_id="end_execution", status_code=202)
async def end_execution(
    project: ProjectName, environment: EnvironmentName, execution: ExecutionId, caller: Signed, door: Door
) -> Execution:
    """End one, whoever began it: it is hung up, and killed after 5 s."""
    caller.must_in(project, ACTION, environment)
    ended = await door.executions.end(project, environment, execution, actor=caller.name)
    return Execution.of(ended)


@router.post(
    "/{environment}/exec",
    operation_id="execute_command",
    responses={**problems(409), **stream(output="OutputPiece", exit="CommandExit")},
    response_class=EventStream,
    status_code=200,
)
async def execute_command(
    project: ProjectName, environment: EnvironmentName, body: ExecutionWanted, caller: Signed, door: Door
) -> EventStream:
    """Run a command once and answer what it writes (`output`), at the end `exit`. It ends with its client.

    The stream cannot be resumed: a client that goes away ends the command.
    """
    caller.must_in(project, ACTION, environment)
    wish = body.wish()
    await door.executions.check(project, environment, wish)

    async def produce(emit: Emit) -> None:
        async with door.executions.run(project, environment, wish, actor=caller.name) as execution:
            if await _carry(execution.ends, body.input.encode(), emit):
                outcome = CommandExit.of(await execution.over())
                await emit(Event("exit", outcome.model_dump(mode="json")))

    return caller.stream(produce)


async def _carry(ends: Attached, input_: bytes, emit: Emit) -> bool:
    """Give it its input, tell its output; True at the end of that, False when the client is gone."""

    async def feed() -> None:
        await ends.write(input_)
        ends.end_input()

    async def forward(each: Stream) -> None:
        while data := await ends.read(each):
            await emit(Event("output", output_piece(each, data).model_dump(mode="json")))

    is_there = True
    try:
        async with Tasks() as tasks:
            tasks.start(feed(), "command: input")
            for output in [tasks.start(forward(each), f"command: {each}") for each in Stream]:
                await output
    except* OSError:
        is_there = False
    return is_there


@socket_router.websocket("/{environment}/shell")
async def open_shell(socket: WebSocket, project: ProjectName, environment: EnvironmentName) -> None:
    """Run a command or a shell and talk with it: see `Conversation`."""
    caller, door = Caller(socket), services_of(socket)
    try:
        caller.must_in(project, ACTION, environment)
    except HalageError as error:
        await socket.send_denial_response(answer_error(error, socket.url.path))
        return
    await socket.accept()
    await Conversation(socket, caller, door.stopping).hold(door.executions, project, environment)
