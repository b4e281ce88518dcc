"""The members of a project and their roles."""

from fastapi import APIRouter, Request, Response

from halage.access.model import Role
from halage.base.errors import Conflict, Invalid, NotFound
from halage.web.console.console import Console, add, see, status_of


class MemberPages:
    """Who may do what in a project."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._access = console.services.access

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        add(router, "/projects/{project}/members", get=self.show, post=self.set)
        add(router, "/projects/{project}/members/{user}/remove", post=self.remove)

    async def show(self, request: Request, project: str) -> Response:
        """The members, and a form for those who may change them."""
        await self._console.visitor_of(request, project, "project:Show")
        return await self._page(request, project)

    async def set(self, request: Request, project: str) -> Response:
        """Add a member or change their role."""
        visitor = await self._console.visitor_of(request, project, "project:SetMember")
        form = await self._console.form(request, visitor)
        user, role = form.text("user"), form.text("role")
        try:
            if role not in set(Role):
                raise Invalid(f"There is no role {role}: a role is {', '.join(Role)}.", role=role)
            await self._access.set_member(project, user, Role(role), actor=visitor.principal.name)
        except (Invalid, Conflict, NotFound) as error:
            return await self._page(request, project, status_of(error), user, error.message)
        return see(f"/projects/{project}/members")

    async def remove(self, request: Request, project: str, user: str) -> Response:
        """Take a member's role away."""
        visitor = await self._console.visitor_of(request, project, "project:SetMember")
        await self._console.form(request, visitor)
        await self._access.set_member(project, user, None, actor=visitor.principal.name)
        return see(f"/projects/{project}/members")

    async def _page(
        self,
        request: Request,
        project: str,
        status: int = 200,
        user: str = "",
        problem: str | None = None,
    ) -> Response:
        members = await self._access.members(project)
        return self._console.page(
            request,
            "members.html",
            status,
            project=project,
            members=sorted(members.items()),
            roles=list(Role),
            user=user,
            problem=problem,
        )
