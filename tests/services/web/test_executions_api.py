"""Commands over the API: the stream of a request, and the talk over a WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from halage.access.model import Role
from halage.base.tasks import Tasks
from halage.compute.model import TerminalSize
from halage.environment.model import ExecutionWish
from halage.web.api.conversation import WINDOW_BYTES, Conversation
from tests.executions import ScriptedExecutions
from tests.services.web.world import BASE, World

PATH = "/projects/shop/environments/prod"


class Socket:
    """A client of one WebSocket, in the form of an ASGI server's two functions."""

    def __init__(self, world: World, path: str = f"{PATH}/shell", **headers: str) -> None:
        self._scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": f"/api/v1{path}",
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("halage.test", 80),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        self._app = world.app
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.connect"})
        self.outbox: asyncio.Queue[Any] = asyncio.Queue()
        self.is_over = asyncio.Event()

    async def live(self) -> None:
        await self._app(self._scope, self._inbox.get, self._send)
        self.is_over.set()

    async def _send(self, message: Any) -> None:
        self.outbox.put_nowait(message)

    def say(self, **facts: Any) -> None:
        self._inbox.put_nowait({"type": "websocket.receive", "text": json.dumps(facts)})

    def give(self, data: bytes) -> None:
        self._inbox.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self) -> None:
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def next(self) -> Any:
        """The next message: bytes, a dictionary, or the number that it was closed with."""
        async with asyncio.timeout(30):
            message = await self.outbox.get()
        if message["type"] == "websocket.close":
            return message["code"]
        if message["type"] == "websocket.send":
            return message["bytes"] if message.get("bytes") is not None else json.loads(message["text"])
        return message

    async def refusal(self) -> tuple[int, dict[str, Any]]:
        """Status and problem of a handshake that was refused."""
        start, body = await self.next(), await self.next()
        assert start["type"] == "websocket.http.response.start"
        return start["status"], json.loads(body["body"])


@asynccontextmanager
async def opened(world: World, user: str = "dev", **wish: Any) -> AsyncIterator[Socket]:
    """A WebSocket that was let in, its wish said."""
    socket = Socket(world, authorization=f"Bearer {world.tokens[user]}")
    async with Tasks() as tasks:
        tasks.start(socket.live(), "socket")
        assert (await socket.next())["type"] == "websocket.accept"
        socket.say(**wish)
        yield socket
        socket.leave()
        async with asyncio.timeout(30):
            await socket.is_over.wait()


async def refused(world: World, path: str = f"{PATH}/shell", **headers: str) -> tuple[int, dict[str, Any]]:
    socket = Socket(world, path, **headers)
    await socket.live()
    return await socket.refusal()


def scripted(world: World) -> ScriptedExecutions:
    executions = world.services.executions
    assert isinstance(executions, ScriptedExecutions)
    return executions


async def test_what_it_writes_and_how_it_ends(world: World) -> None:
    async with opened(world, command=["ls", "-l"], limit_s=30) as socket:
        assert await socket.next() == {"event": "begun", "execution": "x-1", "release": 2}
        assert await socket.next() == b"\x01hello\n"
        assert await socket.next() == {"event": "exit", "exit_code": 3, "reason": ""}
        assert await socket.next() == 1000
    assert scripted(world).wishes == [ExecutionWish(("ls", "-l"), limit_s=30.0)]


async def test_input_goes_in_and_is_told_to_be_taken(world: World) -> None:
    async with opened(world, command=["wait"]) as socket:
        await socket.next()
        socket.give(b"some ")
        socket.give(b"input")
        assert await socket.next() == {"event": "taken", "bytes": 5}
        assert await socket.next() == {"event": "taken", "bytes": 5}
        socket.say(event="end_input")
        scripted(world).finish("x-1", 137, "its time of 60 s was over")
        assert await socket.next() == {
            "event": "exit",
            "exit_code": 137,
            "reason": "its time of 60 s was over",
        }
        assert scripted(world).ends().input == b"some input"


async def test_a_terminal_and_its_size(world: World) -> None:
    terminal = {"columns": 100, "rows": 30, "kind": "vt100"}
    async with opened(world, command=["wait"], instance="i-abc", terminal=terminal) as socket:
        await socket.next()
        (wish,) = scripted(world).wishes
        assert wish == ExecutionWish(("wait",), "i-abc", TerminalSize(100, 30), "vt100")
        socket.say(event="resize", columns=77, rows=20)
        socket.give(b"x")
        await socket.next()
        assert scripted(world).ends().terminal == TerminalSize(77, 20)


async def test_a_client_that_leaves_ends_it(world: World) -> None:
    async with opened(world, command=["wait"]) as socket:
        await socket.next()
        assert list(scripted(world).running) == ["x-1"]
    assert scripted(world).left == [("x-1", "its client went away")]


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({"command": ["a\0b"]}, "command.0"),
        ({"command": "ls"}, "command"),
        ({"terminal": {"columns": 0}}, "terminal.columns"),
        ({"terminal": {"kind": "x y"}}, "terminal.kind"),
        ({"instance": "../x"}, "instance"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_a_wish_that_cannot_be_read(world: World, said: dict[str, Any], where: str) -> None:
    async with opened(world, **said) as socket:
        problem = await socket.next()
        assert (problem["event"], problem["status"]) == ("problem", 422)
        assert f"{where}: " in problem["detail"]
        assert await socket.next() == 1008
    assert scripted(world).wishes == []


async def test_who_sends_too_far_ahead_is_told_so(world: World) -> None:
    async with opened(world, command=["wait"]) as socket:
        await socket.next()
        ends = scripted(world).ends()
        held = asyncio.Event()

        async def hold(data: bytes) -> None:
            await held.wait()

        ends.write = hold  # type: ignore[method-assign]
        for _ in range(5):
            socket.give(bytes(WINDOW_BYTES // 2))
        problem = await socket.next()
        assert "wait for `taken`" in problem["detail"]
        assert await socket.next() == 1008
    assert scripted(world).left


async def test_the_server_that_stops_says_so(world: World) -> None:
    async with opened(world, command=["wait"]) as socket:
        await socket.next()
        (execution,) = scripted(world).running.values()
        world.services.stopping.set()
        async with asyncio.timeout(30):
            await execution._left.wait()
        scripted(world).finish("x-1", 143, execution._reason)
        assert (await socket.next())["reason"] == "the server stopped"
        assert await socket.next() == 1001


async def test_a_right_that_ends_ends_the_command(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conversation, "beat_s", 0.01)
    async with opened(world, command=["wait"]) as socket:
        await socket.next()
        await world.services.access.set_member("shop", "dev", Role.VIEWER, "admin")
        problem = await socket.next()
        assert (problem["status"], await socket.next()) == (403, 1008)
    assert scripted(world).left


async def test_a_right_that_ends_before_anything_was_asked_for_begins_nothing(world: World) -> None:
    async with opened(world, command=["wait"]) as socket:
        await socket.next()
    socket = Socket(world, authorization=f"Bearer {world.tokens['dev']}")
    async with Tasks() as tasks:
        tasks.start(socket.live(), "socket")
        assert (await socket.next())["type"] == "websocket.accept"
        await world.services.access.set_member("shop", "dev", Role.VIEWER, "admin")
        socket.say(command=["wait"])
        problem = await socket.next()
        assert (problem["status"], await socket.next()) == (403, 1008)
    assert len(scripted(world).wishes) == 1


async def test_who_asks_for_nothing_is_sent_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conversation, "patience_s", 0.01)
    socket = Socket(world, authorization=f"Bearer {world.tokens['dev']}")
    async with Tasks() as tasks:
        tasks.start(socket.live(), "socket")
        assert (await socket.next())["type"] == "websocket.accept"
        assert "Nothing was asked for" in (await socket.next())["detail"]
        assert await socket.next() == 1008


async def test_what_runs_is_listed_and_can_be_ended(world: World) -> None:
    async with opened(world, command=["wait"]) as socket:
        await socket.next()
        for user in ("viewer", "dev"):
            async with world.client(user) as client:
                (shown,) = (await client.get(f"/api/v1{PATH}/executions")).json()
                assert (shown["id"], shown["command"], shown["started_by"]) == ("x-1", "a command", "dev")
                assert (shown["instance"], shown["release_number"]) == (None, 2)
                assert shown["started_at"] == "1970-01-01T00:01:00Z"
        ends = f"/api/v1{PATH}/executions/x-1/end"
        async with world.client("viewer") as client:
            assert (await client.post(ends)).status_code == 403
        async with world.client("dev") as client:
            assert (await client.post(f"/api/v1{PATH}/executions/x-2/end")).status_code == 404
            assert (await client.post(f"/api/v1{PATH}/executions/..%2Fx/end")).status_code in (404, 422)
            assert (
                await client.post("/api/v1/projects/hidden/environments/prod/executions/x-1/end")
            ).status_code == 404
            assert (await client.post(ends)).status_code == 202
        assert (await socket.next())["reason"] == "dev ended it"


async def test_who_may_not_is_refused_before_anything_begins(world: World) -> None:
    def token(user: str) -> str:
        return f"Bearer {world.tokens[user]}"

    status, problem = await refused(world, authorization=token("viewer"))
    assert (status, "needs the role developer" in problem["detail"]) == (403, True)
    assert (await refused(world))[0] == 401
    assert (await refused(world, authorization="Bearer halage_wrong"))[0] == 401
    hidden = "/projects/hidden/environments/prod/shell"
    assert (await refused(world, hidden, authorization=token("dev")))[0] == 404
    assert scripted(world).wishes == []


async def test_a_session_opens_it_from_our_own_pages_only(world: World) -> None:
    access = world.services.access
    principal = await access.authenticate_token(world.tokens["dev"])
    _, secret = await access.open_session(principal)
    cookie = f"halage_session={secret}"
    for origin in ("http://evil.test", "null", ""):
        status, problem = await refused(world, cookie=cookie, origin=origin, host="halage.test")
        assert (status, "may not open this" in problem["detail"]) == (403, True)
    for origin, host in ((BASE, "10.0.0.1:7070"), ("http://10.0.0.1:7070", "10.0.0.1:7070")):
        socket = Socket(world, cookie=cookie, origin=origin, host=host)
        socket.leave()
        await socket.live()
        assert (await socket.next())["type"] == "websocket.accept"


async def test_a_request_runs_a_command_and_streams_it(world: World) -> None:
    body = {"command": ["ls"], "input": "hé", "instance": "i-abc"}
    async with world.client("dev") as client:
        answer = await client.post(f"/api/v1{PATH}/exec", json=body)
    assert answer.status_code == 200
    assert 'event: output\ndata: {"stream": "stdout", "data": "aGVsbG8K"}' in answer.text
    assert 'event: exit\ndata: {"exit_code": 3, "reason": ""}' in answer.text
    assert scripted(world).wishes == [ExecutionWish(("ls",), "i-abc")]
    assert scripted(world).ends().input == "hé".encode()


async def test_a_request_that_cannot_be_is_a_problem_and_no_stream(world: World) -> None:
    async def status(user: str, path: str, body: dict[str, Any]) -> int:
        async with world.client(user) as client:
            return (await client.post(f"/api/v1{path}", json=body)).status_code

    assert await status("dev", "/projects/shop/environments/dev/exec", {"command": ["ls"]}) == 404
    assert await status("viewer", f"{PATH}/exec", {"command": ["ls"]}) == 403
    assert await status("dev", f"{PATH}/exec", {"command": []}) == 422
    assert await status("dev", f"{PATH}/exec", {"command": ["ls"], "limit_s": 0}) == 422
