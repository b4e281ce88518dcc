"""One environment: its colour and why, instances, releases, deployments by phase, variables."""

from fastapi import APIRouter, Request, Response

from halage.base.errors import Conflict, Invalid
from halage.web.console.console import Console, add, see, status_of
from halage.web.console.following import follow_environment

_PARTS = {
    name: f"environment_{name}.html"
    for name in ("head", "instances", "deployment", "releases", "deployments", "said")
}


class EnvironmentPages:
    """The page of an environment, its variables, and its actions."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services
        self._environments = console.services.environments

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        base = "/projects/{project}/environments/{environment}"
        add(router, base, get=self.show)
        add(router, f"{base}/live", get=self.follow)
        add(router, f"{base}/variables", get=self.show_variables, post=self.set_variable)
        add(router, f"{base}/variables/{{name}}/unset", post=self.unset_variable)
        add(router, f"{base}/restart", post=self.restart)
        add(router, f"{base}/rollback", post=self.rollback)
        add(router, f"{base}/scale", post=self.scale)
        add(router, f"{base}/deployments/{{deployment_id}}/abort", post=self.abort)

    async def show(self, request: Request, project: str, environment: str) -> Response:
        """The whole page."""
        await self._console.visitor_at(request, project, environment)
        return self._console.page(request, "environment.html", **await self._facts(project, environment))

    async def follow(self, request: Request, project: str, environment: str) -> Response:
        """Its parts as they change."""
        return await follow_environment(
            self._console,
            request,
            (project, environment),
            _PARTS,
            lambda: self._facts(project, environment),
        )

    async def show_variables(self, request: Request, project: str, environment: str) -> Response:
        """Its variables; the value of a secret one is never shown."""
        await self._console.visitor_at(request, project, environment)
        return await self._variables_page(request, project, environment)

    async def set_variable(self, request: Request, project: str, environment: str) -> Response:
        """Set a variable; it is there from the next deployment or restart on."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:SetVariable")
        form = await self._console.form(request, visitor)
        try:
            await self._environments.set_variable(
                project,
                environment,
                form.text("name"),
                form.get("value", ""),
                is_secret=form.text("secret") == "yes",
                actor=visitor.principal.name,
            )
        except (Invalid, Conflict) as error:
            return await self._variables_page(
                request, project, environment, status_of(error), form.text("name"), error.message
            )
        return see(f"{_address(project, environment)}/variables")

    async def unset_variable(self, request: Request, project: str, environment: str, name: str) -> Response:
        """Take a variable away."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:SetVariable")
        await self._console.form(request, visitor)
        await self._environments.unset_variable(project, environment, name, actor=visitor.principal.name)
        return see(f"{_address(project, environment)}/variables")

    async def restart(self, request: Request, project: str, environment: str) -> Response:
        """Replace its instances, one at a time, by new ones of the same release."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:Restart")
        await self._console.form(request, visitor)
        await self._environments.restart(project, environment, actor=visitor.principal.name)
        return see(_address(project, environment))

    async def rollback(self, request: Request, project: str, environment: str) -> Response:
        """Return to the release of the form, or to the last good one."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:Rollback")
        form = await self._console.form(request, visitor)
        number = form.text("release")
        await self._environments.rollback(
            project,
            environment,
            number=int(number) if number.isdecimal() else None,
            actor=visitor.principal.name,
        )
        return see(_address(project, environment))

    async def scale(self, request: Request, project: str, environment: str) -> Response:
        """Have as many instances as the form says, or as halage.toml does."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:Scale")
        form = await self._console.form(request, visitor)
        number = form.text("instances")
        try:
            if form.text("reset") != "yes" and not (number.isascii() and number.isdecimal()):
                raise Invalid("Write how many instances there shall be, from 1 to 100.")
            await self._environments.scale(
                project,
                environment,
                None if form.text("reset") == "yes" else int(number[:9]),
                actor=visitor.principal.name,
            )
        except Invalid as error:
            facts = await self._facts(project, environment)
            return self._console.page(
                request, "environment.html", status_of(error), problem=error.message, **facts
            )
        return see(_address(project, environment))

    async def abort(self, request: Request, project: str, environment: str, deployment_id: int) -> Response:
        """End a deployment that is under way; its instances are rolled back."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:Deploy")
        await self._console.form(request, visitor)
        deployment = await self._environments.deployment(deployment_id)
        if (deployment.project, deployment.environment) == (project, environment):
            await self._environments.abort(deployment_id, actor=visitor.principal.name)
        return see(_address(project, environment))

    async def _facts(self, project: str, environment: str) -> dict[str, object]:
        return {
            "project": project,
            "environment": await self._environments.show(project, environment),
            "releases": await self._environments.releases(project, environment),
            "deployments": await self._environments.deployments(project, environment, limit=10),
        }

    async def _variables_page(
        self,
        request: Request,
        project: str,
        environment: str,
        status: int = 200,
        name: str = "",
        problem: str | None = None,
    ) -> Response:
        return self._console.page(
            request,
            "environment_variables.html",
            status,
            project=project,
            environment=await self._environments.show(project, environment),
            variables=await self._environments.variables(project, environment),
            name=name,
            problem=problem,
        )


def _address(project: str, environment: str) -> str:
    return f"/projects/{project}/environments/{environment}"
