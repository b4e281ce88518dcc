"""The page of a shell: a terminal in the browser, which talks with the API's WebSocket."""

from fastapi import APIRouter, Request, Response

from halage.web.console.console import Console, add


class ShellPages:
    """One page for each environment."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def serve(self, router: APIRouter) -> None:
        """Add the page to a router."""
        add(router, "/projects/{project}/environments/{environment}/shell", get=self.show)

    async def show(self, request: Request, project: str, environment: str) -> Response:
        """Choose where, and open it."""
        resource = f"project/{project}/environment/{environment}"
        await self._console.visitor_of(request, project, "environment:Execute", resource)
        return self._console.page(
            request,
            "environment_shell.html",
            project=project,
            environment=await self._console.services.environments.show(project, environment),
        )
