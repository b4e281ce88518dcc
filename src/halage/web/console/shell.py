"""The page of a shell: a terminal that talks with the API's WebSocket, and below it what runs."""

from fastapi import APIRouter, Request, Response

from halage.base.errors import NotFound
from halage.web.console.console import Console, add, see
from halage.web.console.following import follow_environment


class ShellPages:
    """One page for each environment."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services

    def serve(self, router: APIRouter) -> None:
        """Add the page to a router."""
        base = "/projects/{project}/environments/{environment}"
        add(router, f"{base}/shell", get=self.show)
        add(router, f"{base}/shell/live", get=self.follow)
        add(router, f"{base}/executions/{{execution}}/end", post=self.end)

    async def show(self, request: Request, project: str, environment: str) -> Response:
        """Choose where, and open it; below, what runs."""
        await self._console.visitor_at(request, project, environment, "environment:Execute")
        return self._console.page(
            request, "environment_shell.html", **await self._facts(project, environment)
        )

    async def follow(self, request: Request, project: str, environment: str) -> Response:
        """What runs, as it changes."""
        return await follow_environment(
            self._console,
            request,
            (project, environment),
            {"executions": "environment_executions.html"},
            lambda: self._facts(project, environment),
            action="environment:Execute",
        )

    async def end(self, request: Request, project: str, environment: str, execution: str) -> Response:
        """End one; one that has ended meanwhile is what was wanted."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:Execute")
        await self._console.form(request, visitor)
        try:
            await self._services.executions.end(project, environment, execution, actor=visitor.principal.name)
        except NotFound:
            await self._services.environments.show(project, environment)
        return see(f"/projects/{project}/environments/{environment}/shell")

    async def _facts(self, project: str, environment: str) -> dict[str, object]:
        return {
            "project": project,
            "environment": await self._services.environments.show(project, environment),
            "executions": await self._services.executions.list(project, environment),
        }
