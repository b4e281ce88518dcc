"""Git over HTTP: authenticates, authorises, and lets the real `git http-backend` do the rest."""

import base64
import binascii
import shutil
from collections.abc import Awaitable, Callable, Mapping

import structlog

from halage.access.model import Principal
from halage.base.errors import HalageError, NotAllowed
from halage.source.exchange import Exchange, Receive, Scope, Send
from halage.source.rules import GitRequest, parse_request
from halage.source.service import Source

log = structlog.get_logger()

Authenticate = Callable[[str, str], Awaitable[Principal]]
Check = Callable[[Principal, str, str], None]

RESERVE_BYTES = 64 * 1024 * 1024
"""No push is taken with less free space than this: the database needs some to the end."""


class Refusal(Exception):
    """An answer that is given instead of git's."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or {}


class GitDoor:
    """An ASGI application for `/PROJECT.git/...`, to be mounted at `/git`.

    Refusals are plain text, which git shows to the pusher behind `remote:`. Who is not
    authenticated learns nothing but that; who may not see a project gets the same answer as for
    one that does not exist.
    """

    def __init__(
        self,
        source: Source,
        *,
        authenticate: Authenticate,
        check: Check,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        """`authenticate(user, secret)` and `check(principal, action, resource)` raise NotAllowed."""
        self._source = source
        self._authenticate = authenticate
        self._check = check
        self._reserve_bytes = reserve_bytes
        self._exchanges: set[Exchange] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http"
        try:
            request, principal = await self._admit(scope)
        except Refusal as refusal:
            await _answer(send, refusal)
            return
        exchange = Exchange(self._source, request, principal.name)
        self._exchanges.add(exchange)
        try:
            await exchange.run(scope, receive, send)
        finally:
            self._exchanges.discard(exchange)

    def stop(self) -> None:
        """End what is under way, within seconds: who waits for a run is told that it goes on.

        Call it when the server is asked to stop, before it waits for its connections.
        """
        for exchange in tuple(self._exchanges):
            exchange.stop("Halage is stopping; the run goes on when it is back.")

    async def _admit(self, scope: Scope) -> tuple[GitRequest, Principal]:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        principal = await self._identify(headers)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        request = parse_request(scope["method"], path, scope["query_string"].decode("latin-1"))
        if request is None:
            raise Refusal(404, "There is nothing here but git repositories: .../git/PROJECT.git")
        self._authorise(request, principal)
        if request.is_push:
            self._require_space()
        return request, principal

    async def _identify(self, headers: Mapping[str, str]) -> Principal:
        credential = parse_basic(headers.get("authorization", ""))
        if credential is None:
            raise _unauthenticated("Sign in with a git credential: `halage git-credential` makes one.")
        try:
            return await self._authenticate(*credential)
        except HalageError as error:
            retry_after_s = getattr(error, "retry_after_s", None)
            if retry_after_s is not None:
                wait = {"retry-after": str(int(retry_after_s) + 1)}
                raise Refusal(429, str(error), wait) from error
            if isinstance(error, NotAllowed):
                raise _unauthenticated(str(error)) from error
            raise Refusal(503, str(error)) from error

    def _authorise(self, request: GitRequest, principal: Principal) -> None:
        resource = f"project/{request.project}"
        unknown = Refusal(404, f"There is no project {request.project}, or you may not see it.")
        try:
            self._check(principal, "source:Pull", resource)
        except NotAllowed as error:
            raise unknown from error
        if not self._source.repositories.exists(request.project):
            raise unknown
        if request.is_push:
            try:
                self._check(principal, "source:Push", resource)
            except NotAllowed as error:
                raise Refusal(403, str(error)) from error

    def _require_space(self) -> None:
        free_bytes = shutil.disk_usage(self._source.git.directory).free
        if free_bytes < self._reserve_bytes:
            raise Refusal(
                507,
                f"The disk of the server is full ({free_bytes // 1024**2} MiB free): nothing was changed. "
                "Free some space on it, then push again.",
            )


def parse_basic(authorization: str) -> tuple[str, str] | None:
    """User and secret of an HTTP Basic header (RFC 7617, UTF-8); None when it is no such header."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, secret) if colon and "\0" not in user + secret else None


def _unauthenticated(text: str) -> Refusal:
    return Refusal(401, text, {"www-authenticate": 'Basic realm="Halage", charset="UTF-8"'})


async def _answer(send: Send, refusal: Refusal) -> None:
    body = f"{refusal.text}\n".encode()
    headers = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        **refusal.headers,
    }
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
