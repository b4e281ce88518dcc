"""Sites that answer a scrape, and sites that hang, lie or talk without end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Endpoint:
    """An HTTP server on a port of its own, with an answer that may change."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[str] = []
        self.port = 0
        self._serving: set[asyncio.Task[None]] = set()

    async def end(self) -> None:
        """Cut every connection."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.decode())
            await self.answer(writer)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def endpoint(answer: Answer) -> AsyncIterator[Endpoint]:
    """Serve until the block is left; then cut every connection."""
    served = Endpoint(answer)
    server = await asyncio.start_server(served._serve, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        await served.end()


def says(text: str | bytes, *, status: str = "200 OK", headers: str = "") -> Answer:
    """An answer with this body."""
    body = text.encode() if isinstance(text, str) else text

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body)

    return answer


async def hangs(_writer: asyncio.StreamWriter) -> None:
    """Take the request and say nothing."""
    await asyncio.Event().wait()


async def drips(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, so that no single read takes long."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while True:
        writer.write(b"#")
        await writer.drain()
        await asyncio.sleep(0.01)


async def talks_without_end(writer: asyncio.StreamWriter) -> None:
    """A body that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"#" * 65536 + b"\r\n")
        await writer.drain()


async def breaks_off(writer: asyncio.StreamWriter) -> None:
    """Less than it announced."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\norders_total 1")


async def speaks_no_http(writer: asyncio.StreamWriter) -> None:
    """Another protocol."""
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
