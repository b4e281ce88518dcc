"""The web door: the HTTP API, git and the console as one ASGI application."""

from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount
from starlette.types import Scope

import halage
from halage.base.errors import HalageError
from halage.web.api import (
    access,
    alarms,
    certificates,
    dashboards,
    environments,
    events,
    executions,
    health,
    jobs,
    logs,
    metric_intake,
    metrics,
    projects,
    rollouts,
    runs,
    scaling,
    server,
    settings,
)
from halage.web.api.address import each_member_once
from halage.web.api.answers import problem_schema
from halage.web.api.schemas import JobLine
from halage.web.api.schemas_executions import CommandExit, OutputPiece
from halage.web.authentication import Authentication
from halage.web.console import console_router
from halage.web.envelope import BodyLimit, Envelope
from halage.web.problems import on_halage_error, on_http_error, on_invalid_request
from halage.web.services import Services
from halage.web.streams import MEDIA_TYPE as STREAM_MEDIA_TYPE

PREFIX = "/api/v1"

_ROUTERS = (
    server.router,
    access.login_router,
    access.router,
    projects.router,
    runs.router,
    jobs.router,
    certificates.router,
    certificates.server_router,
    environments.router,
    environments.deployments_router,
    scaling.router,
    health.router,
    rollouts.router,
    executions.router,
    events.router,
    metrics.router,
    metric_intake.router,
    metric_intake.state_router,
    settings.router,
    alarms.router,
    logs.router,
    dashboards.router,
)

_DESCRIPTION = """
From `git push` to a live site. Everything needs authentication but health and login: send
`Authorization: Bearer TOKEN`. Errors are problem documents (RFC 9457), moments are ISO 8601 in UTC.
"""


def create_app(services: Services) -> FastAPI:
    """The application over these services; it owns none of them and ends none of them."""
    app = create_api()
    app.state.services = services
    app.mount("/git", services.source_app)
    app.router.routes.append(_Pages("/", app=_console(services)))
    # The last one added is the outermost.
    app.add_middleware(Authentication, services=services)
    app.add_middleware(BodyLimit)
    app.add_middleware(Envelope)
    return app


def create_api() -> FastAPI:
    """The API's routes without anything behind them: enough for its OpenAPI document."""
    app = FastAPI(
        title="Halage",
        version=halage.__version__,
        description=_DESCRIPTION.strip(),
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in _ROUTERS:
        app.include_router(router, prefix=PREFIX, dependencies=[Depends(each_member_once)])
    app.include_router(metric_intake.root_router)
    app.include_router(executions.socket_router, prefix=PREFIX)
    app.add_exception_handler(HalageError, on_halage_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.openapi = _openapi_of(app)  # type: ignore[method-assign]
    return app


class _Pages(Mount):
    """Everything but the API and git, so that an unknown address there is a problem, not a page."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["path"].startswith(("/api/", "/git/")):
            return Match.NONE, {}
        return super().matches(scope)


def _console(services: Services) -> FastAPI:
    pages = FastAPI(openapi_url=None, redirect_slashes=False)
    pages.include_router(console_router(services))
    return pages


def _openapi_of(app: FastAPI) -> Any:
    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _write_openapi(app)
        return app.openapi_schema

    return openapi


def _write_openapi(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document["components"]["schemas"]
    schemas["Problem"] = problem_schema()
    schemas["OutputPiece"] = OutputPiece.model_json_schema(mode="serialization")
    schemas["CommandExit"] = CommandExit.model_json_schema(mode="serialization")
    schemas["JobLine"] = JobLine.model_json_schema(mode="serialization")
    # Our own handler answers invalid requests with a problem document, not with FastAPI's.
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    for path in document["paths"].values():
        for operation in path.values():
            invalid = operation["responses"].get("422", {"content": {}})
            invalid["content"].pop("application/json", None)
            # FastAPI takes a stream for text; ours says what its events are.
            stream = operation["responses"].get("200", {}).get("content", {}).get(STREAM_MEDIA_TYPE)
            if stream is not None:
                stream["schema"].pop("type", None)
    return document
