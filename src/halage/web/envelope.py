"""What every answer is wrapped in: a request id, security headers, a line in the log, a last resort."""

import re
import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from halage.base.ids import new_id
from halage.web.downloads import BrokenOff
from halage.web.problems import INTERNAL, RequestTooLarge, answer_error, problem_response

MAX_BODY_BYTES = 1024 * 1024
UNLIMITED_PREFIX = "/git/"

_API_POLICY = "default-src 'none'; frame-ancestors 'none'"
_PAGE_POLICY = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'"
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger()


class Envelope:
    """ASGI middleware, the outermost: what breaks inside it becomes a 500 that reveals nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer back with what every answer carries."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = _request_id(scope)
        started, status = time.perf_counter(), 0

        async def wrapped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, scope)
            await send(message)

        try:
            await self._app(scope, receive, wrapped)
        except BrokenOff as error:
            log.info(
                "answer broken off", action="web:Request", subject=state["request_id"], reason=str(error)
            )
            raise  # half of it is out: the server must cut the connection
        except Exception:
            log.exception("request failed", action="web:Request", reference=state["request_id"])
            if status:
                raise  # half an answer is out: the server must cut the connection
            await _internal(scope)(scope, receive, wrapped)
        finally:
            _log_access(scope, state, status, time.perf_counter() - started)


class BodyLimit:
    """ASGI middleware: refuses a body of more than 1 MiB, but for git pushes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse by the announced length, or once what came is too much (chunked bodies)."""
        if scope["type"] != "http" or scope["path"].startswith(UNLIMITED_PREFIX):
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced) > MAX_BODY_BYTES:
            await answer_error(RequestTooLarge(), scope["path"])(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise _BodyTooLarge
            return message

        try:
            await self._app(scope, counted, send)
        except _BodyTooLarge:
            await answer_error(RequestTooLarge(), scope["path"])(scope, receive, send)


class _BodyTooLarge(BaseException):
    """Raised through the framework, which turns every Exception while it reads a body into a 400."""


def _request_id(scope: Scope) -> str:
    """The client's own id where it is a harmless word (the balancer sets one), else a new one."""
    sent = Headers(scope=scope).get("x-request-id", "")
    return sent if _REQUEST_ID.fullmatch(sent) else new_id("req")


def _add_headers(message: MutableMapping[str, Any], scope: Scope) -> None:
    headers = MutableHeaders(scope=message)
    is_program = scope["path"].startswith(("/api/", "/git/"))
    headers.setdefault("X-Request-ID", scope["state"]["request_id"])
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Content-Security-Policy", _API_POLICY if is_program else _PAGE_POLICY)
    if scope["path"].startswith("/api/"):
        headers.setdefault("Cache-Control", "no-store")


def _internal(scope: Scope) -> ASGIApp:
    reference = scope["state"]["request_id"]
    detail = f"Something unexpected happened. The server's log has it under {reference}."
    return problem_response(INTERNAL, detail, scope["path"], {"reference": reference})


def _log_access(scope: Scope, state: dict[str, Any], status: int, duration_s: float) -> None:
    # The route's pattern, not the address: a login link's address is a secret.
    path = getattr(scope.get("route"), "path", scope["path"])
    principal = state.get("principal")
    log.info(
        "request",
        action=state.get("action", "web:Request"),
        subject=state.get("resource", path),
        actor=getattr(principal, "name", None),
        method=scope["method"],
        path=path,
        status=status,
        duration_ms=round(duration_s * 1000, 1),
        request_id=state["request_id"],
    )
