"""People who may sign in: for administrators."""

from fastapi import APIRouter, Request, Response

from halage.access.rules import check
from halage.base.errors import Conflict, Invalid
from halage.web.console.console import Console, Visitor, add, see, status_of


class UserPages:
    """The list of users, a new user, a one-time link to sign in."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._access = console.services.access

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        add(router, "/users", get=self.show, post=self.create)
        add(router, "/users/{user}/login-link", post=self.create_link)
        add(router, "/users/{user}/end", post=self.end)

    async def show(self, request: Request) -> Response:
        """All users."""
        await self._allowed(request)
        return await self._page(request)

    async def create(self, request: Request) -> Response:
        """Add a user and show the one-time link by which they sign in and choose a password."""
        visitor = await self._allowed(request)
        form = await self._console.form(request, visitor)
        name = form.text("name")
        try:
            await self._access.create_user(
                name, is_admin=form.text("is_admin") == "yes", actor=visitor.principal.name
            )
        except (Invalid, Conflict) as error:
            return await self._page(request, status_of(error), name, error.message)
        return await self._link_page(request, visitor, name)

    async def create_link(self, request: Request, user: str) -> Response:
        """A new one-time link, for someone who lost their password."""
        visitor = await self._allowed(request)
        await self._console.form(request, visitor)
        return await self._link_page(request, visitor, user)

    async def end(self, request: Request, user: str) -> Response:
        """Let a person in no more."""
        visitor = await self._allowed(request)
        await self._console.form(request, visitor)
        try:
            await self._access.end_user(user, actor=visitor.principal.name)
        except Conflict as error:
            return await self._page(request, status_of(error), problem=error.message)
        return see("/users")

    async def _link_page(self, request: Request, visitor: Visitor, user: str) -> Response:
        secret = await self._access.create_login_link(user, actor=visitor.principal.name)
        public_url = self._console.services.public_url
        return self._console.page(
            request,
            "secret_once.html",
            kind="link",
            secret=f"{public_url}/login/{secret}",
            name=user,
            public_url=public_url,
        )

    async def _allowed(self, request: Request) -> Visitor:
        visitor = await self._console.visitor(request)
        check(visitor.principal, "access:ManageUsers", "server")
        return visitor

    async def _page(
        self, request: Request, status: int = 200, name: str = "", problem: str | None = None
    ) -> Response:
        users = await self._access.list_users()
        return self._console.page(request, "users.html", status, users=users, name=name, problem=problem)
