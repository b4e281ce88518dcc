"""What is one's own: password, API tokens, git credentials."""

from fastapi import APIRouter, Request, Response

from halage.access.model import TokenKind
from halage.access.rules import check
from halage.base.errors import HalageError, Invalid
from halage.web.console.console import Console, Visitor, add, see, status_of

_DAY_S = 24 * 3600
_LIFETIMES_DAYS = (7, 30, 90, 365)


class AccountPages:
    """The visitor's own account."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services
        self._access = console.services.access

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        add(router, "/account", get=self.show)
        add(router, "/account/password", post=self.set_password)
        add(router, "/account/tokens", post=self.create_token)
        add(router, "/account/tokens/{token_id}/revoke", post=self.revoke_token)
        add(router, "/account/git-credential", post=self.create_git_credential)

    async def show(self, request: Request, welcome: bool = False) -> Response:
        """Password, tokens and git credentials."""
        visitor = await self._allowed(request)
        return await self._page(request, visitor, is_welcome=welcome)

    async def set_password(self, request: Request) -> Response:
        """Set a new password, typed twice."""
        visitor = await self._allowed(request)
        form = await self._console.form(request, visitor)
        password = form.get("password", "")
        try:
            if password != form.get("again", ""):
                raise Invalid(self._console.language(request).say("account.passwords_differ"))
            name = visitor.principal.name
            await self._access.set_password(name, password, actor=name, keep_session=visitor.session)
        except Invalid as error:
            return await self._page(request, visitor, status_of(error), problem=error.message)
        return see("/account?saved=1")

    async def create_token(self, request: Request) -> Response:
        """Make an API token and show it this once."""
        visitor = await self._allowed(request)
        form = await self._console.form(request, visitor)
        days = form.text("days")
        expires_at = None
        if days.isdecimal() and int(days) in _LIFETIMES_DAYS:
            expires_at = self._services.clock.now() + int(days) * _DAY_S
        return await self._made(request, visitor, form.text("name"), "api", expires_at)

    async def create_git_credential(self, request: Request) -> Response:
        """Make a credential for git and show it this once."""
        visitor = await self._allowed(request)
        form = await self._console.form(request, visitor)
        return await self._made(request, visitor, form.text("name") or "git", "git", None)

    async def revoke_token(self, request: Request, token_id: str) -> Response:
        """End a token at once."""
        visitor = await self._allowed(request)
        await self._console.form(request, visitor)
        await self._access.revoke_token(token_id, visitor.principal)
        return see("/account")

    async def _made(
        self, request: Request, visitor: Visitor, name: str, kind: TokenKind, expires_at: float | None
    ) -> Response:
        try:
            token, secret = await self._access.create_token(
                visitor.principal.name, name, expires_at=expires_at, kind=kind, actor=visitor.principal.name
            )
        except HalageError as error:
            return await self._page(request, visitor, status_of(error), problem=error.message)
        # Not by way of a redirect: the secret is in this one answer and nowhere else.
        return self._console.page(
            request,
            "secret_once.html",
            kind=kind,
            secret=secret,
            name=token.name,
            public_url=self._services.public_url,
        )

    async def _allowed(self, request: Request) -> Visitor:
        visitor = await self._console.visitor(request)
        check(visitor.principal, "access:ManageOwn", f"user/{visitor.principal.name}")
        return visitor

    async def _page(
        self,
        request: Request,
        visitor: Visitor,
        status: int = 200,
        *,
        is_welcome: bool = False,
        problem: str | None = None,
    ) -> Response:
        now = self._services.clock.now()
        tokens = await self._access.list_tokens(visitor.principal.name)
        return self._console.page(
            request,
            "account.html",
            status,
            tokens=[token for token in tokens if token.is_active(now)],
            lifetimes=_LIFETIMES_DAYS,
            is_welcome=is_welcome,
            is_saved="saved" in request.query_params,
            problem=problem,
        )
