"""Signing in and out, and choosing a language."""

from fastapi import APIRouter, Request, Response

from halage.access.model import Principal
from halage.base.errors import HalageError
from halage.web.console.console import (
    LANGUAGE_COOKIE,
    SESSION_COOKIE,
    Console,
    add,
    local_address,
    see,
    status_of,
)

_YEAR_S = 365 * 24 * 3600


class SessionPages:
    """The sign-in page, one-time links, sign-out, language."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        add(router, "/login", get=self.ask, post=self.sign_in)
        add(router, "/login/{secret}", get=self.confirm_link, post=self.redeem_link)
        add(router, "/logout", post=self.sign_out)
        add(router, "/language", post=self.choose_language)

    async def ask(self, request: Request) -> Response:
        """The sign-in form."""
        target = local_address(request.query_params.get("next"), "/projects")
        return self._console.page(request, "login.html", target=target, user="")

    async def sign_in(self, request: Request) -> Response:
        """Check a password and open a session."""
        form = await self._console.form(request, None)
        target = local_address(form.text("next"), "/projects")
        user = form.text("user")
        address = request.client.host if request.client else ""
        try:
            principal = await self._services.access.authenticate_password(user, form["password"], address)
        except (HalageError, KeyError) as error:
            # The same page with what was wrong: the name stays, the password never comes back.
            problem = error.message if isinstance(error, HalageError) else ""
            status = status_of(error)
            return self._console.page(
                request, "login.html", status, target=target, user=user, problem=problem
            )
        return await self._open(principal, target)

    async def confirm_link(self, request: Request, secret: str) -> Response:
        """A page with a button: a chat program or browser that looks ahead does not use the link up."""
        return self._console.page(request, "login_link.html", secret=secret)

    async def redeem_link(self, request: Request, secret: str) -> Response:
        """Use a one-time link up and open a session."""
        await self._console.form(request, None)
        try:
            _, session_secret = await self._services.access.redeem_login_link(secret)
        except HalageError as error:
            return self._console.page(
                request, "login_link.html", status_of(error), secret="", problem=error.message
            )
        # The account page: whoever came by a link has no password yet.
        return self._with_session(see("/account?welcome=1"), session_secret)

    async def sign_out(self, request: Request) -> Response:
        """Close the session."""
        visitor = await self._console.visitor(request)
        await self._console.form(request, visitor)
        await self._services.access.close_session(visitor.session)
        response = see("/login")
        response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")
        return response

    async def choose_language(self, request: Request) -> Response:
        """Keep the chosen language in a cookie."""
        form = await self._console.form(request, None)
        response = see(local_address(form.text("back"), "/projects"))
        if (code := form.text("language")) in self._console.languages:
            response.set_cookie(
                LANGUAGE_COOKIE,
                code,
                max_age=_YEAR_S,
                samesite="lax",
                httponly=True,
                secure=self._services.cookies_are_secure,
            )
        return response

    async def _open(self, principal: Principal, target: str) -> Response:
        _, secret = await self._services.access.open_session(principal)
        return self._with_session(see(target), secret)

    def _with_session(self, response: Response, secret: str) -> Response:
        # Lax, not Strict: a link to a run in a chat or a mail opens the run, not the sign-in page.
        # Forms are guarded by the CSRF token and the origin in any case.
        response.set_cookie(
            SESSION_COOKIE,
            secret,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self._services.cookies_are_secure,
        )
        return response
