"""The page of a shell: a terminal that talks with the API's WebSocket, and below it what runs."""

from fastapi import APIRouter, Request, Response

from halage.base.errors import NotFound
from halage.web.console.console import Console, Visitor, add, see
from halage.web.console.live import Page, at_each_change, live


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
        await self._seen(request, project, environment)
        return self._console.page(
            request, "environment_shell.html", **await self._facts(project, environment)
        )

    async def follow(self, request: Request, project: str, environment: str) -> Response:
        """What runs, as it changes."""
        await self._seen(request, project, environment)

        async def source(page: Page) -> None:
            async def look() -> None:
                facts = await self._facts(project, environment)
                await self._console.visitor(request)  # counts the alarms anew
                await page.show(
                    **{"alarm-count": self._console.alarm_count(request, project, environment)},
                    executions=self._console.render(request, "environment_executions.html", **facts),
                )

            await at_each_change(self._services.journal, project, look)

        return live(self._services, source, still_allowed=lambda: self._seen(request, project, environment))

    async def end(self, request: Request, project: str, environment: str, execution: str) -> Response:
        """End one; one that has ended meanwhile is what was wanted."""
        visitor = await self._seen(request, project, environment)
        await self._console.form(request, visitor)
        try:
            await self._services.executions.end(project, environment, execution, actor=visitor.principal.name)
        except NotFound:
            await self._services.environments.show(project, environment)
        return see(f"/projects/{project}/environments/{environment}/shell")

    async def _seen(self, request: Request, project: str, environment: str) -> Visitor:
        resource = f"project/{project}/environment/{environment}"
        return await self._console.visitor_of(request, project, "environment:Execute", resource)

    async def _facts(self, project: str, environment: str) -> dict[str, object]:
        return {
            "project": project,
            "environment": await self._services.environments.show(project, environment),
            "executions": await self._services.executions.list(project, environment),
        }
