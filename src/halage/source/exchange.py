"""One request to git and its answer, streamed both ways between the client and a backend process."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import structlog

from halage.base.tasks import Tasks
from halage.source.backend import HOOK_DESCRIPTOR, LOCK_DESCRIPTOR, Backend
from halage.source.hooks import HookLine
from halage.source.model import PushAnswer, RefChange
from halage.source.rules import GitRequest, refusals
from halage.source.service import Source

log = structlog.get_logger()

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

IDLE_TIMEOUT_S = 300.0
"""How long a client may neither send nor take anything before its request is dropped."""

MAX_HEADER_BYTES = 16 * 1024


class Exchange:
    """Runs a backend for one request; a PushReceiver for its hooks."""

    def __init__(self, source: Source, request: GitRequest, pusher: str) -> None:
        self._source = source
        self._request = request
        self._pusher = pusher
        self._backend: Backend | None = None
        self._line: HookLine | None = None
        self._has_taken_all = asyncio.Event()
        self._is_cut_off = False
        """The client has gone, or the server is stopping: nobody waits for the rest of the answer."""

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; leaves no process behind, also when it is cancelled."""
        lock = self._source.begin_push(self._request.project) if self._request.is_push else None
        try:
            if lock is not None:
                self._line = HookLine(self)
            await self._run_backend(scope, receive, send, lock)
        finally:
            if self._line is not None:
                self._line.close()
                was_heard = self._line.has_received
                self._source.end_push(self._request.project, was_heard=was_heard)

    async def _run_backend(self, scope: Scope, receive: Receive, send: Send, lock: int | None) -> None:
        backend = self._backend = self._start(scope, lock)
        has_answered = False
        try:
            async with Tasks() as tasks:
                tasks.start(backend.listen(), "git's complaints")
                if self._line is not None:
                    tasks.start(self._line.talk(), "git's hooks")
                tasks.start(self._take(receive, backend), "request to git")
                await self._answer(send, backend)
                await self._has_taken_all.wait()
                has_answered = True
        finally:
            ending = backend.end(at_once=not has_answered)
            code = await self._source.see_through(ending, f"end of git for {self._request.project}")
            self._report(code, backend)

    def _start(self, scope: Scope, lock: int | None) -> Backend:
        inherited = {}
        try:
            if lock is not None and self._line is not None:
                inherited = {HOOK_DESCRIPTOR: self._line.theirs.fileno(), LOCK_DESCRIPTOR: lock}
            return Backend.start(self._environment(scope), inherited)
        finally:
            if lock is not None:
                os.close(lock)
            if self._line is not None:
                self._line.theirs.close()

    def _environment(self, scope: Scope) -> dict[str, str]:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        project, path = self._request.project, self._request.path
        variables = {
            "GIT_PROJECT_ROOT": str(self._source.git.directory),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{project}.git/{path}",
            "REQUEST_METHOD": self._request.method,
            "QUERY_STRING": f"service={self._request.service}" if path == "info/refs" else "",
            "REMOTE_USER": self._pusher,
            "REMOTE_ADDR": scope["client"][0] if scope.get("client") else "",
            "CONTENT_TYPE": headers.get("content-type", ""),
            "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
            # Both names: git reads the first since 2.34, the second before.
            "HTTP_GIT_PROTOCOL": headers.get("git-protocol", ""),
            "GIT_PROTOCOL": headers.get("git-protocol", ""),
        }
        if "content-length" in headers:
            variables["CONTENT_LENGTH"] = headers["content-length"]
        if self._line is not None:
            variables["HALAGE_PUSH"] = str(HOOK_DESCRIPTOR)
        return {**self._source.git.environment(), **variables}

    async def _take(self, receive: Receive, backend: Backend) -> None:
        """Give the request's body to git, then watch whether the client goes away."""
        try:
            async with asyncio.timeout(IDLE_TIMEOUT_S) as idle:
                while await self._take_chunk(await receive(), backend):
                    idle.reschedule(asyncio.get_running_loop().time() + IDLE_TIMEOUT_S)
        except TimeoutError:
            self._cut_off()
        finally:
            self._has_taken_all.set()
        backend.stdin.close()
        while not self._is_cut_off:
            if (await receive())["type"] == "http.disconnect":
                self._cut_off()

    async def _take_chunk(self, message: Message, backend: Backend) -> bool:
        if message["type"] == "http.disconnect":
            self._cut_off()
            return False
        # When git has ended early, its answer says why; the client reads it only after its body is sent.
        with contextlib.suppress(BrokenPipeError):
            await backend.stdin.write(message.get("body", b""))
        return bool(message.get("more_body", False))

    def _cut_off(self) -> None:
        self._is_cut_off = True
        self.stop()

    def stop(self, farewell: str = "") -> None:
        """End soon: a push that was heard of shows no more progress, all else is undone by git."""
        if self._line is not None and self._line.has_received:
            self._line.stop_waiting(farewell)
        elif self._backend is not None:
            self._backend.terminate()

    async def _answer(self, send: Send, backend: Backend) -> None:
        head, body = await _read_head(backend)
        status, headers = parse_head(head)
        if status is None:
            body = b"git could not answer; the log of the server says why.\n"
            status, headers = 500, [(b"content-type", b"text/plain; charset=utf-8")]
        await self._send(send, {"type": "http.response.start", "status": status, "headers": headers})
        while body:
            await self._send(send, {"type": "http.response.body", "body": body, "more_body": True})
            body = await backend.stdout.read()
        await self._send(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, message: Message) -> None:
        if self._is_cut_off:
            return
        try:
            async with asyncio.timeout(IDLE_TIMEOUT_S):
                await send(message)
        except (TimeoutError, OSError):
            self._cut_off()

    def _report(self, code: int, backend: Backend) -> None:
        if code and not self._is_cut_off:
            log.warning(
                "git failed",
                action="source:Push" if self._request.is_push else "source:Pull",
                subject=f"project/{self._request.project}",
                code=code,
                complaint=backend.complaint.decode(errors="replace"),
            )

    # PushReceiver

    def refuse(self, changes: Sequence[RefChange]) -> list[str]:
        """Why the push is refused; empty when it is accepted."""
        default_ref = self._source.repositories.default_ref(self._request.project)
        return [f"halage: {sentence}" for sentence in refusals(changes, default_ref=default_ref)]

    async def receive(self, changes: Sequence[RefChange], options: tuple[str, ...]) -> list[PushAnswer]:
        """Record the push, also when the client goes away meanwhile."""
        return await self._source.record(self._request.project, changes, self._pusher, options)


def _plain_headers(scope: Scope) -> dict[str, str]:
    # An environment cannot hold a zero byte, and nothing that git reads needs more than ASCII.
    pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
    return {name: value for name, value in pairs if value.isascii() and value.isprintable()}


async def _read_head(backend: Backend) -> tuple[bytes, bytes]:
    """The CGI headers, and what has already come of the body."""
    head = b""
    while len(head) < MAX_HEADER_BYTES:
        chunk = await backend.stdout.read()
        head += chunk
        for gap in (b"\r\n\r\n", b"\n\n"):
            if gap in head:
                lines, _, body = head.partition(gap)
                return lines, body or (await backend.stdout.read() if chunk else b"")
        if not chunk:
            break
    return b"", b""


def parse_head(head: bytes) -> tuple[int | None, list[tuple[bytes, bytes]]]:
    """Status and headers of a CGI answer (RFC 3875); no status when it is no such answer."""
    headers = []
    status = 200
    for line in head.splitlines():
        name, colon, value = line.partition(b":")
        if not colon:
            return None, []
        if name.lower() == b"status":
            status = int(value.split()[0])
        else:
            headers.append((name.strip().lower(), value.strip()))
    return (status, headers) if headers else (None, [])
