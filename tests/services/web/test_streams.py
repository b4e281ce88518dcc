"""Server-sent events: resumed without a gap, ended with the server and with the right to them."""

import asyncio
import json
from typing import Any

import pytest

from halage.access.model import Role
from halage.base.database import Transaction
from halage.base.journal import read_journal
from halage.base.tasks import Tasks
from halage.web import streams
from halage.web.streams import Event
from tests.services.web.world import World


class Listener:
    """An HTTP client of one stream, in the form of an ASGI server's two functions."""

    def __init__(self, world: World, path: str, user: str = "viewer", last_id: str | None = None) -> None:
        headers = [(b"authorization", f"Bearer {world.tokens[user]}".encode())]
        if last_id is not None:
            headers.append((b"last-event-id", last_id.encode()))
        where, _, query = path.partition("?")
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": f"/api/v1{where}",
            "raw_path": where.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("halage.test", 80),
        }
        self._world = world
        self._user = user
        self._interruption: str | None = None
        self._gone = asyncio.Event()
        self._news = asyncio.Event()
        self.status = 0
        self.is_over = False
        self._text = ""

    async def listen(self) -> None:
        await self._world.app(self._scope, self._receive, self._send)
        self.is_over = True

    def interrupt(self, how: str) -> None:
        """Stop the server (`stop`) or revoke the token (`token`) as soon as something has come."""
        self._interruption = how

    @property
    def text(self) -> str:
        """All that came."""
        return self._text

    def leave(self) -> None:
        self._gone.set()

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        self._text += message.get("body", b"").decode(errors="replace")
        self._news.set()
        if message.get("body") and self._interruption == "stop":
            self._world.services.stopping.set()
        elif message.get("body") and self._interruption == "token":
            access = self._world.services.access
            principal = await access.authenticate_token(self._world.tokens[self._user])
            await access.revoke_token(principal.token_id or "", principal)
            self._interruption = None

    @property
    def events(self) -> list[tuple[str, Any, str | None]]:
        """Name, body and id of each event so far."""
        found = []
        for block in self._text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if fields:
                found.append((fields["event"], json.loads(fields["data"]), fields.get("id")))
        return found

    async def until(self, count: int) -> list[tuple[str, Any, str | None]]:
        async with asyncio.timeout(30):
            while len(self.events) < count:
                self._news.clear()
                await self._news.wait()
        return self.events


async def test_a_run_is_streamed_with_its_console_to_its_end(world: World) -> None:
    listener = Listener(world, "/runs/1/stream")
    await listener.listen()
    names = [name for name, _, _ in listener.events]
    assert names.count("run") == 2
    assert names[0] == "run"
    assert names[-1] == "end"
    lines = [(body["text"], id_) for name, body, id_ in listener.events if name == "console"]
    assert lines == [("one", "1.0"), ("two", "1.1"), ("three", "1.2")]


async def test_a_resumed_stream_repeats_no_line_and_misses_none(world: World) -> None:
    run = Listener(world, "/runs/1/stream", last_id="1.0")
    console = Listener(world, "/jobs/1/console/stream", last_id="1")
    await run.listen()
    await console.listen()
    assert [body["text"] for name, body, _ in run.events if name == "console"] == ["two", "three"]
    assert [body["text"] for name, body, _ in console.events if name == "console"] == ["three"]


@pytest.mark.parametrize("last_id", ["x", "1.0.0", "-1", "9" * 40])
async def test_a_strange_last_event_id_is_refused(world: World, last_id: str) -> None:
    listener = Listener(world, "/runs/1/stream", last_id=last_id)
    await listener.listen()
    assert listener.status == 422


async def _record(world: World, project: str | None) -> None:
    def record(tx: Transaction) -> None:
        tx.record("project:Test", actor="admin", subject="x", project=project)

    await world.services.database.run(record)


async def test_events_are_followed_and_resumed_without_a_gap(world: World) -> None:
    latest = await world.services.database.run(lambda tx: read_journal(tx.connection)[-1].id)
    async with asyncio.timeout(10), Tasks() as tasks:
        first = Listener(world, "/events/stream", last_id=str(latest))
        await _record(world, "shop")
        tasks.start(first.listen(), "first")
        await first.until(1)  # from here on it is live
        for project in ("hidden", None, "shop"):
            await _record(world, project)
        events = await first.until(2)
        first.leave()
        await _record(world, "shop")
        second = Listener(world, "/events/stream?project=shop", last_id=events[0][2])
        tasks.start(second.listen(), "second")
        await second.until(2)
        await _record(world, "shop")
        resumed = await second.until(3)
        second.leave()
    assert [body["project"] for _, body, _ in events] == ["shop", "shop"]
    numbers = [int(id_ or 0) for _, _, id_ in resumed]
    assert numbers[0] == int(events[1][2] or 0)
    assert numbers == sorted(set(numbers))


async def test_an_event_that_is_both_read_and_followed_comes_once(world: World) -> None:
    await _record(world, "shop")
    entry = await world.services.database.run(lambda tx: read_journal(tx.connection)[-1])
    async with asyncio.timeout(10), Tasks() as tasks:
        listener = Listener(world, "/events/stream", last_id=str(entry.id - 1))
        tasks.start(listener.listen(), "listener")
        await listener.until(1)
        world.services.journal.publish([entry])
        await _record(world, "shop")
        events = await listener.until(2)
        listener.leave()
    assert [id_ for _, _, id_ in events] == [str(entry.id), str(entry.id + 1)]


async def test_a_stream_ends_when_the_client_leaves_or_the_server_stops(world: World) -> None:
    async with asyncio.timeout(30), Tasks() as tasks:
        left = Listener(world, "/projects/shop/environments/prod/logs/stream")
        stopped = Listener(world, "/projects/shop/environments/prod/logs/stream")
        running = [tasks.start(each.listen(), "stream") for each in (left, stopped)]
        await left.until(1)
        await stopped.until(1)
        left.leave()
        await running[0]
        assert not stopped.is_over
        world.services.stopping.set()
        await running[1]
    assert [name for name, _, _ in stopped.events] == ["log"]  # no `end`: it is to be resumed


@pytest.mark.parametrize("how", ["token", "role"])
async def test_a_stream_ends_when_the_right_to_it_ends(
    world: World, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams.EventStream, "beat_s", 0.05)
    access = world.services.access
    async with asyncio.timeout(30), Tasks() as tasks:
        listener = Listener(world, "/projects/shop/environments/prod/logs/stream", user="dev")
        running = tasks.start(listener.listen(), "stream")
        await listener.until(1)
        await asyncio.sleep(0.12)
        assert not listener.is_over
        if how == "token":
            principal = await access.authenticate_token(world.tokens["dev"])
            await access.revoke_token(principal.token_id or "", principal)
        else:
            await access.set_member("shop", "dev", None, "admin")
        await running
    assert [name for name, _, _ in listener.events] == ["log", "problem"]
    assert listener.events[1][1]["status"] == (401 if how == "token" else 403)
    await access.set_member("shop", "dev", Role.DEVELOPER, "admin")


def test_an_event_on_the_wire_is_one_line_of_data() -> None:
    encoded = Event("console", {"text": "a\nb\r\n\u2028"}, "3").encode().decode()
    assert encoded == 'id: 3\nevent: console\ndata: {"text": "a\\nb\\r\\n\\u2028"}\n\n'
