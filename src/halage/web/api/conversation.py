"""A client's talk with a command over a WebSocket: input and outputs as they come, a terminal's size.

The client's first message is a text, a `ShellWanted`. Then a binary message is input, a text a `Said`.
Ours: a binary message is output, its first byte 1 (stdout, and all of a terminal) or 2 (stderr); a
text has an `event`: `begun`; `taken`, so many `bytes` of input were; `exit`; `problem`. A client may
be WINDOW_BYTES ahead of what was taken. So we can always listen, and notice that it went away,
however long a command leaves its input alone.
"""

import asyncio
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from halage.base.errors import HalageError, Invalid
from halage.base.tasks import Tasks
from halage.compute.driver import Attached
from halage.compute.model import Stream, TerminalSize
from halage.environment.execution.service import Execution, Executions
from halage.environment.model import ExecutionWish, Outcome
from halage.web.api.requests import RequestBody
from halage.web.api.requests_executions import Said, ShellWanted
from halage.web.api.schemas_executions import CommandExit
from halage.web.caller import Caller
from halage.web.problems import problem_body, problem_type
from halage.web.streams import BEAT_S

Body = TypeVar("Body", bound=RequestBody)

WINDOW_BYTES = 1024 * 1024
_MARKS = {Stream.OUTPUT: b"\x01", Stream.ERRORS: b"\x02"}
_DONE, _REFUSED, _GOING_AWAY = 1000, 1008, 1001


class Conversation:
    """One such talk, over an accepted socket."""

    beat_s = BEAT_S
    patience_s = 10.0
    """So long a client may take to say what it wants."""

    def __init__(self, socket: WebSocket, caller: Caller, stopping: asyncio.Event) -> None:
        self._socket = socket
        self._caller = caller
        self._stopping = stopping
        self._input: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._ahead_bytes = 0
        self._problem: HalageError | None = None

    async def hold(self, executions: Executions, project: str, environment: str) -> None:
        """Talk until the command has ended or the client is gone; then the command has ended, too."""
        outcome: Outcome | None = None
        try:
            wish = await self._wanted()
            async with executions.run(project, environment, wish, actor=self._caller.name) as execution:
                record = execution.record
                await self._say("begun", execution=execution.id, release=record.release_number)
                outcome = await self._until_over(execution)
        except HalageError as error:
            self._problem = error
        except (WebSocketDisconnect, KeyError):  # KeyError: its first message was no text
            return
        try:
            await self._part(outcome)
        except (WebSocketDisconnect, RuntimeError):
            return  # it has gone meanwhile

    async def _wanted(self) -> ExecutionWish:
        try:
            async with asyncio.timeout(self.patience_s):
                text = await self._socket.receive_text()
        except TimeoutError as error:
            raise Invalid(f"Nothing was asked for within {self.patience_s:g} s.") from error
        wish = _read(ShellWanted, text).wish()
        await self._caller.still_allowed()()  # the right may have ended since the handshake
        return wish

    async def _part(self, outcome: Outcome | None) -> None:
        if self._problem is not None:
            error = self._problem
            body = problem_body(problem_type(error), error.message, self._socket.url.path, error.facts)
            await self._say("problem", **body)
            await self._socket.close(_REFUSED)
        elif outcome is not None:
            await self._say("exit", **CommandExit.of(outcome).model_dump(mode="json"))
            await self._socket.close(_GOING_AWAY if self._stopping.is_set() else _DONE)

    async def _until_over(self, execution: Execution) -> Outcome | None:
        """How it ended; None when the client is gone or may stay no longer."""
        outcome = None
        try:
            async with Tasks() as tasks:
                name = f"conversation {execution.id}"
                tasks.start(self._listen(execution.ends), f"{name}: client")
                tasks.start(self._feed(execution.ends), f"{name}: input")
                tasks.start(self._recheck(), f"{name}: rights")
                tasks.start(self._end_with_server(execution), f"{name}: server stop")
                outputs = [
                    tasks.start(self._forward(execution.ends, each), f"{name}: {each}") for each in Stream
                ]
                for output in outputs:
                    await output
                outcome = await execution.over()
        except* WebSocketDisconnect:
            pass
        except* HalageError as group:
            self._problem = next(each for each in group.exceptions if isinstance(each, HalageError))
        return outcome

    async def _forward(self, ends: Attached, stream: Stream) -> None:
        while data := await ends.read(stream):
            await self._socket.send_bytes(_MARKS[stream] + data)

    async def _listen(self, ends: Attached) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", _DONE))
            if (data := message.get("bytes")) is not None:
                self._ahead_bytes += len(data)
                if self._ahead_bytes > 2 * WINDOW_BYTES:
                    raise Invalid(
                        f"More than {WINDOW_BYTES} bytes of input were sent ahead of what the command took: "
                        "wait for `taken`."
                    )
                self._input.put_nowait(data)
                continue
            said = _read(Said, message["text"])
            if said.event == "resize":
                ends.resize(TerminalSize(said.columns, said.rows))
            else:
                self._input.put_nowait(None)

    async def _feed(self, ends: Attached) -> None:
        while (data := await self._input.get()) is not None:
            await ends.write(data)
            self._ahead_bytes -= len(data)
            await self._say("taken", bytes=len(data))
        ends.end_input()

    async def _recheck(self) -> None:
        still_allowed = self._caller.still_allowed()
        while True:
            await asyncio.sleep(self.beat_s)
            await still_allowed()

    async def _end_with_server(self, execution: Execution) -> None:
        await self._stopping.wait()
        execution.leave("the server stopped")

    async def _say(self, event: str, **facts: Any) -> None:
        await self._socket.send_json({"event": event, **facts})


def _read(kind: type[Body], text: str) -> Body:
    """What a message says. Raises Invalid."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors(include_input=False, include_context=False)
        )
        raise Invalid(f"The message is not what is expected here: {found}.") from error
