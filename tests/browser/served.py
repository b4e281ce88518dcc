"""The console over its sample services, served for real in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from halage.web.app import create_app
from tests.services.web.console.sample import Sample, make_sample

T = TypeVar("T")


class Away:
    """A proxy whose server is away."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("The server is away.", 503)(scope, receive, send)
        self.asked += 1


class Served:
    """A server on a loopback port; tests move its services by `do`."""

    def __init__(self, directory: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="served")
        self._thread.start()
        self.sample: Sample = self.do(make_sample(directory, public_url=self.url))
        self.start()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine that ran on the server's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def start(self, app: ASGIApp | None = None) -> None:
        """Listen, with the console or something else in its place."""
        self.sample.services.stopping.clear()
        served = app or create_app(self.sample.services)
        config = uvicorn.Config(served, port=self._port, log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._serving = asyncio.run_coroutine_threadsafe(self._serve(), self._loop)
        self.do(self._started())

    def stop(self) -> None:
        """Stop listening and end every connection."""
        self._loop.call_soon_threadsafe(self.sample.services.stopping.set)
        self._server.should_exit = True
        self._serving.result(10)

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self.do(self.sample.services.logs.close())
        self.sample.services.database.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self) -> None:
        # Not `serve`, which takes over the signals: this is not the main thread.
        await self._server._serve()

    async def _started(self) -> None:
        while not self._server.started:  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.01)
