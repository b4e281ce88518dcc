"""Server-sent events that notice at once when a client goes away, and end when the server stops.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html. Each event has an `id` where
it can be resumed from: a client that reconnects with `Last-Event-ID` misses nothing.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from halage.base.errors import HalageError
from halage.base.tasks import Tasks
from halage.web.problems import problem_body, problem_type

BEAT_S = 15.0
MEDIA_TYPE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name, its JSON body, and the id that a stream can be resumed from."""

    name: str
    body: Any
    id: str | None = None

    def encode(self) -> bytes:
        """The event on the wire. JSON has no raw line break, so one `data:` line holds it."""
        lines = [] if self.id is None else [f"id: {self.id}"]
        lines += [f"event: {self.name}", f"data: {json.dumps(self.body)}"]
        return ("\n".join(lines) + "\n\n").encode()


END = Event("end", {})
"""The last event of a stream that is complete; one that just breaks off is to be resumed."""

Emit = Callable[[Event], Awaitable[None]]
Produce = Callable[[Emit], Awaitable[None]]


class EventStream(Response):
    """An answer that goes on until its producer ends, the client leaves or the server stops."""

    media_type = MEDIA_TYPE
    beat_s = BEAT_S

    def __init__(
        self,
        produce: Produce,
        *,
        stopping: asyncio.Event,
        still_allowed: Callable[[], Awaitable[None]],
    ) -> None:
        """Take the producer, and a check that raises once the client's credential has ended.

        The check runs at each beat, so that a revoked token does not keep an open stream.
        """
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._produce = produce
        self._stopping = stopping
        self._still_allowed = still_allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then events and beats until one of the tasks is over."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send(_chunk(b": halage\n\n"))
        over = asyncio.Event()
        async with Tasks() as tasks:
            tasks.start(self._pump(send, over), "stream: events")
            tasks.start(self._beat(send, over), "stream: beat")
            tasks.start(_until_gone(receive, over), "stream: client")
            tasks.start(_until_set(self._stopping, over), "stream: server stop")
            await over.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send, over: asyncio.Event) -> None:
        async def emit(event: Event) -> None:
            await send(_chunk(event.encode()))

        try:
            await self._produce(emit)
            await emit(END)
        except HalageError as error:
            await emit(_problem_event(error))
        except OSError:
            pass  # the client is gone
        finally:
            over.set()

    async def _beat(self, send: Send, over: asyncio.Event) -> None:
        try:
            while True:
                await asyncio.sleep(self.beat_s)
                await self._still_allowed()
                await send(_chunk(b": beat\n\n"))
        except HalageError as error:
            await send(_chunk(_problem_event(error).encode()))
        except OSError:
            pass  # the client is gone
        finally:
            over.set()


def _chunk(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _problem_event(error: HalageError) -> Event:
    return Event("problem", problem_body(problem_type(error), error.message, "", error.facts))


async def _until_gone(receive: Receive, over: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    over.set()


async def _until_set(stopping: asyncio.Event, over: asyncio.Event) -> None:
    await stopping.wait()
    over.set()
