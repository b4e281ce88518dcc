"""How releases take each other's place: the plan before it, the report after it, the swap."""

from fastapi import APIRouter, Request, Response

from halage.base.errors import Conflict
from halage.site.settings import Policy
from halage.web.console.console import Console, add, see, status_of


class RolloutPages:
    """The plan of a deployment, its report, and the exchange of what serves and what is kept."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._environments = console.services.environments

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        base = "/projects/{project}/environments/{environment}"
        add(router, f"{base}/plan", get=self.plan)
        add(router, f"{base}/swap", post=self.swap)
        add(router, f"{base}/deployments/{{deployment_id}}/report", get=self.report)

    async def plan(self, request: Request, project: str, environment: str) -> Response:
        """What a deployment would do, by the policy that is set or the one that is chosen."""
        await self._console.visitor_at(request, project, environment)
        chosen = request.query_params.get("policy", "")
        policy = Policy(chosen) if chosen in {each.value for each in Policy} else None
        facts = {
            "project": project,
            "environment": await self._environments.show(project, environment),
            "policies": [each.value for each in Policy],
        }
        try:
            found = await self._environments.plan(project, environment, policy=policy)
        except Conflict as error:
            return self._console.page(
                request, "rollout_plan.html", status_of(error), plan=None, problem=error.message, **facts
            )
        return self._console.page(request, "rollout_plan.html", plan=found, problem=None, **facts)

    async def report(self, request: Request, project: str, environment: str, deployment_id: int) -> Response:
        """What a deployment did, and what visitors got around it."""
        await self._console.visitor_at(request, project, environment)
        found = await self._environments.report(deployment_id)
        if (found.deployment.project, found.deployment.environment) != (project, environment):
            return see(f"/projects/{project}/environments/{environment}")
        return self._console.page(
            request,
            "rollout_report.html",
            project=project,
            environment=await self._environments.show(project, environment),
            report=found,
        )

    async def swap(self, request: Request, project: str, environment: str) -> Response:
        """Exchange what serves and what is kept."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:Rollback")
        await self._console.form(request, visitor)
        await self._environments.swap(project, environment, actor=visitor.principal.name)
        return see(f"/projects/{project}/environments/{environment}")
