"""Small sites and visitors on loopback for the tests of the balancer."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Self

from halage.balancer.model import Target


@dataclass
class Answer:
    """What a visitor got."""

    status: int
    headers: dict[str, str]
    body: str


async def visit(
    port: int,
    host: str = "shop.localhost",
    path: str = "/",
    *,
    method: str = "GET",
    headers: str = "",
    body: str = "",
    tls: ssl.SSLContext | None = None,
    source: str = "127.0.0.1",
) -> Answer:
    """One request on a connection of its own. Raises OSError when the connection breaks."""
    name = host.partition(":")[0] if tls else None
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname=name, local_addr=(source, 0)
        )
        try:
            length = f"Content-Length: {len(body)}\r\n" if body else ""
            head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{length}{headers}\r\n"
            writer.write((head + body).encode())
            return read_answer(await reader.read())
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def read_answer(raw: bytes) -> Answer:
    head, _, body = raw.decode().partition("\r\n\r\n")
    lines = head.splitlines()
    if not lines:
        raise ConnectionResetError("no answer")
    pairs = (line.partition(": ") for line in lines[1:])
    return Answer(int(lines[0].split()[1]), {name.lower(): value for name, _, value in pairs}, body)


@dataclass
class Site:
    """A server that answers with its name and what it was asked."""

    name: str
    port: int
    health: int = 200
    is_hung: bool = False
    """Checks are accepted and never answered."""
    requests: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    connections: int = 0
    """Those that visitors' requests came on."""
    slow: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def target(self) -> Target:
        return Target(self.name, "127.0.0.1", self.port)

    async def __aenter__(self) -> Self:
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[object]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.die()

    async def die(self) -> None:
        """End as after SIGKILL: the port is closed and connections are reset."""
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        is_new = True
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.connections += is_new and "halage-check" not in head.lower()
                is_new = False
                if not await self._answer(head, reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        path = head.split()[1]
        if "user-agent: Halage-check" in head:
            self.checks.append(head)
            if self.is_hung:
                await asyncio.sleep(3600)
            writer.write(
                f"HTTP/1.1 {self.health} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            return False
        self.requests.append(head)
        if "upgrade: echo" in head.lower():
            writer.write(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            while data := await reader.read(1024):
                writer.write(data)
            return False
        if path == "/break":
            writer.transport.abort()
            return False
        if path == "/slow":
            self.asked.set()
            await self.slow.wait()
        body = f"{self.name}\n{head}"
        status = "500 Broken" if path == "/broken" else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        return True


@dataclass
class Load:
    """Visitors who come again and again, over connections that they keep; what went wrong."""

    port: int
    host: str
    tls: ssl.SSLContext | None = None
    done: int = 0
    failures: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def coming(self, visitors: int = 8) -> AsyncIterator[Self]:
        """Visit for as long as the block lasts."""
        self._over = False
        async with asyncio.TaskGroup() as group:
            for _ in range(visitors):
                group.create_task(self._visit())
            try:
                yield self
            finally:
                self._over = True

    async def more(self, requests: int) -> None:
        """Return after that many more answers (or failures)."""
        wanted = self.done + len(self.failures) + requests
        async with asyncio.timeout(30):
            while self.done + len(self.failures) < wanted:  # noqa: ASYNC110 - one waits for eight
                await asyncio.sleep(0.02)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = self.host if self.tls else None
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls, server_hostname=name)

    async def _visit(self) -> None:
        reader, writer = await self._open()
        while not self._over:
            try:
                writer.write(f"GET / HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
                async with asyncio.timeout(20):
                    head = (await reader.readuntil(b"\r\n\r\n")).decode()
                    length = next(
                        line for line in head.splitlines() if line.lower().startswith("content-length")
                    )
                    await reader.readexactly(int(length.split()[1]))
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.failures.append(repr(error))
                break
            if head.split()[1] != "200":
                self.failures.append(head)
            self.done += 1
            if "connection: close" in head.lower():
                writer.close()
                reader, writer = await self._open()
            await asyncio.sleep(0.002)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
