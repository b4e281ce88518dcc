"""Who is calling: a bearer token or a session's cookie, checked before any route of the API is entered.

Everything under /api, and /metrics, is closed unless it is named in OPEN_PATHS: a route that forgets
to ask is closed, not open.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from halage.access.errors import Forbidden
from halage.access.model import Principal
from halage.base.errors import HalageError
from halage.base.origin import coming_from
from halage.web.problems import REFERENCE_PATH, NotSignedIn, answer_error
from halage.web.services import Services

SESSION_COOKIE = "halage_session"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
OPEN_PATHS = frozenset({"/api/v1/health", "/api/v1/login", "/api/v1/openapi.json", REFERENCE_PATH})
"""Health and login, and two documents that are the same on every server."""

bearer_scheme = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="An API token, made by `halage token create` or by `POST /api/v1/login`.",
)
cookie_scheme = APIKeyCookie(
    name=SESSION_COOKIE,
    auto_error=False,
    scheme_name="session",
    description=f"The console's session. Unsafe methods need its CSRF token in `{CSRF_HEADER}` as well.",
)


class Authentication:
    """ASGI middleware: puts `principal` into the request's state, or answers 401 or 403.

    What the request changes is noted in the journal as coming from its door and address.
    """

    def __init__(self, app: ASGIApp, *, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through once it is known who calls."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if not _is_closed(scope["path"]):
            with coming_from(_origin(scope)):
                await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        try:
            principal = await authenticate(self._services, request, method=scope.get("method", "GET"))
            if scope["type"] == "websocket" and principal.via == "session":
                _check_page(self._services, request)
        except HalageError as error:
            await answer_error(error, scope["path"])(scope, receive, send)
            return
        request.state.principal = principal
        with coming_from(_origin(scope, principal)):
            await self._app(scope, receive, send)


async def authenticate(services: Services, connection: HTTPConnection, *, method: str) -> Principal:
    """Who calls. Raises NotSignedIn, the access domain's BadCredential, or Forbidden.

    A token wins over a cookie: a program that sends one has no use for CSRF protection.
    """
    authorization = connection.headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotSignedIn
        return await services.access.authenticate_token(token.strip())
    if (secret := connection.cookies.get(SESSION_COOKIE)) is None:
        raise NotSignedIn
    principal, _csrf_token = await services.access.authenticate_session(secret)
    if method not in SAFE_METHODS:
        services.access.check_csrf(secret, connection.headers.get(CSRF_HEADER))
    return principal


def recheck(services: Services, request: HTTPConnection) -> Callable[[], Awaitable[None]]:
    """A check that the request's credential is still good, for answers that take long."""

    async def check() -> None:
        request.state.principal = await authenticate(services, request, method="GET")

    return check


def _check_page(services: Services, connection: HTTPConnection) -> None:
    """Raise Forbidden unless a page of ours opens the WebSocket: a browser sends cookies to any that asks."""
    origin = urlsplit(connection.headers.get("origin", ""))
    if origin.netloc not in (connection.headers.get("host", ""), urlsplit(services.public_url).netloc):
        raise Forbidden(
            f"A page of {origin.netloc or 'no known address'} may not open this with your session: "
            "use the console, or an API token."
        )


def _is_closed(path: str) -> bool:
    return (path in ("/api", "/metrics") or path.startswith("/api/")) and path not in OPEN_PATHS


def _origin(scope: Scope, principal: Principal | None = None) -> str:
    """The door, the address of who came, and the credential: `api 203.0.113.5 token ci`."""
    path, client = scope["path"], scope.get("client")
    door = "git" if path.startswith("/git/") else "api" if path.startswith("/api/") else "console"
    words = [door, client[0] if client else "unknown"]
    if principal is not None:
        words += ["token", principal.token_name or ""] if principal.via == "token" else [principal.via]
    return " ".join(words)
