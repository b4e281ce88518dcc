"""What every page shares: who visits, in which language, how a page is made and how errors are shown."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException

from halage.access.model import Principal
from halage.access.rules import check, is_allowed, visible_projects
from halage.base.errors import HalageError, Invalid, NotAllowed, NotFound
from halage.monitor.alarms.model import AlarmCounts, AlarmFilter
from halage.web.console import ansi
from halage.web.console.assets import Assets
from halage.web.console.language import Language, choose_language, read_languages
from halage.web.console.wording import vocabulary
from halage.web.problems import problem_type
from halage.web.services import Services

SESSION_COOKIE = "halage_session"
LANGUAGE_COOKIE = "halage_language"
FORM_LIMIT_BYTES = 256 * 1024
FORM_LIMIT_FIELDS = 500
"""The form of an alarm has six for each of thirty actions."""
TEMPLATES = Path(__file__).parent.parent / "templates"

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

log = structlog.get_logger()


class SignInNeeded(NotAllowed):
    """Sign in first."""


class FormStale(NotAllowed):
    """This form is too old or did not come from this page: load the page again, then send it again."""


class FormTooLarge(Invalid):
    """The form is too large."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks for a page: a signed-in person, with the secret of their session and its CSRF token."""

    principal: Principal
    session: str
    csrf: str

    def may(self, action: str, resource: str) -> bool:
        """Whether a control for this is worth showing."""
        return is_allowed(self.principal, action, resource)

    @property
    def alarms(self) -> AlarmFilter:
        """The alarms that they may see; those of the server are for administrators alone."""
        visible = visible_projects(self.principal)
        return AlarmFilter(visible=visible, with_server=self.may("monitor:Show", "server"))


class Form(dict[str, str]):
    """The fields of a sent form, stripped of surrounding blanks; a missing one reads as empty."""

    def text(self, name: str) -> str:
        """The field's text without surrounding blanks."""
        return self.get(name, "").strip()

    def optional(self, name: str) -> str | None:
        """The field's text, None when it is empty."""
        return self.text(name) or None


class Console:
    """Makes pages: authenticates visitors, chooses their language, renders templates."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.assets = Assets()
        self.languages = read_languages()
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["terminal"] = ansi.terminal_to_html
        self._templates.globals["asset"] = self.assets.url

    async def visitor(self, request: Request) -> Visitor:
        """The signed-in visitor; raises SignInNeeded."""
        secret = request.cookies.get(SESSION_COOKIE)
        if not secret:
            raise SignInNeeded
        try:
            principal, csrf = await self.services.access.authenticate_session(secret)
        except HalageError as error:
            raise SignInNeeded from error
        visitor = Visitor(principal, secret, csrf)
        request.state.visitor = visitor
        request.state.alarm_counts = await self.services.alarms.counts(visitor.alarms)
        return visitor

    async def visitor_of(self, request: Request, project: str, action: str, resource: str = "") -> Visitor:
        """The visitor, when they may do `action`; a project that they may not see is not found.

        Raises SignInNeeded, NotFound, NotAllowed. `resource` defaults to the project.
        """
        visitor = await self.visitor(request)
        whole = f"project/{project}"
        if not visitor.may("project:Show", whole):
            raise NotFound(f"There is no project {project}, or you may not see it.", project=project)
        check(visitor.principal, action, resource or whole)
        return visitor

    async def visitor_at(
        self, request: Request, project: str, environment: str, action: str = "environment:Show"
    ) -> Visitor:
        """The visitor, when they may do `action` to an environment; raises as `visitor_of` does."""
        return await self.visitor_of(request, project, action, f"project/{project}/environment/{environment}")

    async def form(self, request: Request, visitor: Visitor | None) -> Form:
        """The sent form, once it is known to come from a page of this visitor.

        Raises FormStale. Before signing in there is no token: the browser's word on where the
        form comes from is taken then.
        """
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise FormStale
        origin = request.headers.get("origin")
        if origin not in (None, "null") and urlsplit(origin).netloc != request.headers.get("host"):
            raise FormStale
        form = await _read_form(request)
        if visitor is not None:
            try:
                self.services.access.check_csrf(visitor.session, form.text("csrf"))
            except NotAllowed as error:
                raise FormStale from error
        return form

    def language(self, request: Request) -> Language:
        """The visitor's language."""
        wished = request.cookies.get(LANGUAGE_COOKIE)
        return choose_language(self.languages, wished, request.headers.get("accept-language", ""))

    def render(self, request: Request, template: str, **facts: Any) -> str:
        """A template in the visitor's language."""
        language = self.language(request)
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        return self._templates.get_template(template).render(
            **vocabulary(language),
            has_sentence=language.has,
            language=language.code,
            languages=self.languages,
            visitor=visitor,
            may=visitor.may if visitor else _may_nothing,
            csrf_field=_csrf_field(visitor),
            alarm_counts=getattr(request.state, "alarm_counts", AlarmCounts({})),
            here=_here(request),
            **facts,
        )

    def alarm_count(self, request: Request, project: str, environment: str | None = None) -> str:
        """How many alarms of a place are in alarm, as it stands at a tab."""
        return self.render(request, "alarm_count.html", project=project, environment_name=environment)

    def page(self, request: Request, template: str, code: int = 200, /, **facts: Any) -> Response:
        """A whole page, answered with the status `code`."""
        facts.setdefault("problem", None)
        return HTMLResponse(self.render(request, template, **facts), status_code=code)

    def error_page(self, request: Request, error: Exception) -> Response:
        """The page that tells of an error, or the way to the sign-in page."""
        if isinstance(error, SignInNeeded):
            if request.method == "GET" and "text/event-stream" not in request.headers.get("accept", ""):
                return RedirectResponse(f"/login?next={quote(_here(request))}", 303)
            return Response(error.message, status_code=401, media_type="text/plain")
        status = status_of(error)
        if status == 500:
            log.exception("page failed", action="console:Show", subject=request.url.path, exc_info=error)
        # What goes wrong inside is for the log: a visitor learns nothing from it.
        message = error.message if isinstance(error, HalageError) else ""
        return self.page(request, "error.html", status, status=status, message=message)


def status_of(error: Exception) -> int:
    """The HTTP status that answers an error."""
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, RequestValidationError):
        return 404  # of a console page only its path is validated: a run that is not a number
    return problem_type(error).status if isinstance(error, HalageError) else 500


def page_router(console: Console) -> APIRouter:
    """A router whose errors are pages and whose answers carry the security headers."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            answer = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                try:
                    response = await answer(request)
                except Exception as error:
                    response = console.error_page(request, error)
                for name, value in SECURITY_HEADERS.items():
                    response.headers.setdefault(name, value)
                return response

            return guarded

    return APIRouter(route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse)


def add(router: APIRouter, path: str, get: "Page | None" = None, post: "Page | None" = None) -> None:
    """Serve `path` by these functions."""
    for method, page in (("GET", get), ("POST", post)):
        if page is not None:
            router.add_api_route(path, page, methods=[method], response_model=None)


Page = Callable[..., Awaitable[Response]]


def see(address: str) -> Response:
    """Send the browser on after a form was taken (303), so that a reload does not send it again."""
    return RedirectResponse(address, 303)


def local_address(address: str | None, otherwise: str) -> str:
    """An address of this console, never of another site."""
    if (
        address
        and address.startswith("/")
        and not address.startswith(("//", "/\\"))
        and address.isprintable()
    ):
        return address
    return otherwise


def _here(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{quote(request.url.path)}{query}"


def _csrf_field(visitor: Visitor | None) -> Markup:
    if visitor is None:
        return Markup("")
    return Markup('<input type="hidden" name="csrf" value="{}">').format(visitor.csrf)


def _may_nothing(_action: str, _resource: str) -> bool:
    return False


async def _read_form(request: Request) -> Form:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_LIMIT_BYTES:
            raise FormTooLarge
    text = body.decode("utf-8", "replace")
    try:
        return Form(parse_qsl(text, keep_blank_values=True, max_num_fields=FORM_LIMIT_FIELDS))
    except ValueError as error:
        raise FormTooLarge from error
