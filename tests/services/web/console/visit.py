"""A visitor without JavaScript: keeps cookies, fills forms in, reads events."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from halage.access.model import Principal
from halage.web.console.console import SESSION_COOKIE
from halage.web.services import Services

BASE = "http://halage.test"


@dataclass
class Visit:
    """One person's browser."""

    client: httpx.AsyncClient
    app: FastAPI
    csrf: str = ""

    async def get(self, address: str, language: str = "en") -> httpx.Response:
        return await self.client.get(address, headers={"Accept-Language": language})

    async def send(self, address: str, /, **fields: str) -> httpx.Response:
        """Send a form with this person's CSRF token."""
        return await self.client.post(address, data={"csrf": self.csrf, **fields})

    @contextlib.asynccontextmanager
    async def live(self, address: str, last_event_id: str | None = None) -> AsyncIterator["Live"]:
        """An open stream; leaving it goes away as a closed tab does."""
        live = Live()
        path, _, query = address.partition("?")
        headers = [
            (b"host", b"halage.test"),
            (b"accept", b"text/event-stream"),
            (b"cookie", "; ".join(f"{name}={value}" for name, value in self.client.cookies.items()).encode()),
        ]
        if last_event_id is not None:
            headers.append((b"last-event-id", last_event_id.encode()))
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": headers,
            "server": ("halage.test", 80),
            "client": ("127.0.0.1", 1),
        }
        async with asyncio.TaskGroup() as group:
            group.create_task(self.app(scope, live.receive, live.send), name="stream")
            try:
                yield live
            finally:
                live.gone.set()


@dataclass(frozen=True)
class Heard:
    """One event of a stream."""

    name: str
    id: str
    data: str


class Live:
    """The browser's end of a stream, over ASGI (httpx would wait for its end)."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self._heard: asyncio.Queue[Heard | None] = asyncio.Queue()
        self._rest = ""
        self._asked = False

    async def next(self, name: str) -> Heard:
        """The next event of that name."""
        async with asyncio.timeout(10):
            while (heard := await self._heard.get()) is not None:
                if heard.name == name:
                    return heard
        raise AssertionError(f"the stream ended without {name}")

    async def rest(self) -> list[Heard]:
        """All events up to the end of the stream."""
        found = []
        async with asyncio.timeout(10):
            while (heard := await self._heard.get()) is not None:
                found.append(heard)
        return found

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200, message
            return
        self._rest += message.get("body", b"").decode()
        *blocks, self._rest = self._rest.split("\n\n")
        for block in blocks:
            self._take(block)
        if not message.get("more_body"):
            self._heard.put_nowait(None)

    def _take(self, block: str) -> None:
        fields: dict[str, list[str]] = {"event": [], "id": [], "data": []}
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            if name in fields:
                fields[name].append(value)
        if fields["event"]:
            self._heard.put_nowait(
                Heard(fields["event"][0], "".join(fields["id"]), "\n".join(fields["data"]))
            )


class Visits:
    """Makes visits."""

    def __init__(self, app: FastAPI, services: Services) -> None:
        self._app = app
        self._services = services

    def nobody(self) -> Visit:
        """Someone who is not signed in."""
        transport = httpx.ASGITransport(self._app)
        return Visit(httpx.AsyncClient(transport=transport, base_url=BASE), self._app)

    async def by(self, user: str, *, is_admin: bool = False) -> Visit:
        """Someone with a session."""
        visit = self.nobody()
        _, secret = await self._services.access.open_session(Principal(user, is_admin, {}, "password"))
        _, visit.csrf = await self._services.access.authenticate_session(secret)
        visit.client.cookies.set(SESSION_COOKIE, secret)
        return visit


def form_fields(html: str) -> dict[str, str]:
    """The hidden fields of a page's forms."""
    return dict(re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)">', html))
