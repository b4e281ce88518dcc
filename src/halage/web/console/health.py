"""The health of one environment: causes, instances to take out and put back, how it was over time."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from halage.base.errors import Conflict
from halage.environment.model import Colour, HealthStatus
from halage.environment.tables.health_tables import HealthSpan
from halage.web.console.console import Console, add, see, status_of
from halage.web.console.following import follow_environment

RANGES = {"24h": 86400.0, "7d": 7 * 86400.0, "30d": 30 * 86400.0}
SPANS_SHOWN = 50
_PARTS = {name: f"environment_health_{name}.html" for name in ("now", "course")}


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the strip: from where on and how far (per cent), and what it was."""

    begin: float
    width: float
    colour: Colour
    status: HealthStatus


class HealthPages:
    """The page of an environment's health, and what is done with its instances there."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services
        self._environments = console.services.environments

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        base = "/projects/{project}/environments/{environment}"
        add(router, f"{base}/health", get=self.show)
        add(router, f"{base}/health/live", get=self.follow)
        add(router, f"{base}/instances/{{instance}}/take-out", post=self.take_out)
        add(router, f"{base}/instances/{{instance}}/put-back", post=self.put_back)

    async def show(self, request: Request, project: str, environment: str) -> Response:
        """The whole page."""
        await self._console.visitor_at(request, project, environment)
        return await self._page(request, project, environment)

    async def follow(self, request: Request, project: str, environment: str) -> Response:
        """Its parts as they change."""
        return await follow_environment(
            self._console,
            request,
            (project, environment),
            _PARTS,
            lambda: self._facts(request, project, environment),
        )

    async def take_out(self, request: Request, project: str, environment: str, instance: str) -> Response:
        """Take an instance out of the balancer; with the box ticked another one serves in its place."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:TakeOut")
        form = await self._console.form(request, visitor)
        try:
            await self._environments.take_out(
                project,
                environment,
                instance,
                replace=form.text("replace") == "yes",
                actor=visitor.principal.name,
            )
        except Conflict as error:
            return await self._page(request, project, environment, error)
        return see(_address(project, environment))

    async def put_back(self, request: Request, project: str, environment: str, instance: str) -> Response:
        """Let an instance serve again."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:PutBack")
        await self._console.form(request, visitor)
        try:
            await self._environments.put_back(project, environment, instance, actor=visitor.principal.name)
        except Conflict as error:
            return await self._page(request, project, environment, error)
        return see(_address(project, environment))

    async def _page(
        self, request: Request, project: str, environment: str, problem: Conflict | None = None
    ) -> Response:
        facts = await self._facts(request, project, environment)
        status = status_of(problem) if problem is not None else 200
        words = problem.message if problem is not None else None
        return self._console.page(request, "environment_health.html", status, problem=words, **facts)

    async def _facts(self, request: Request, project: str, environment: str) -> dict[str, object]:
        chosen = request.query_params.get("range", "")
        chosen = chosen if chosen in RANGES else "24h"
        end = self._services.clock.now()
        start = end - RANGES[chosen]
        spans = await self._environments.health_spans(project, environment, start, end)
        return {
            "project": project,
            "environment": await self._environments.show(project, environment),
            "chosen": chosen,
            "ranges": tuple(RANGES),
            "start": start,
            "end": end,
            "spans": list(reversed(spans))[:SPANS_SHOWN],
            "stretches": stretches_of(spans, start, end),
        }


def stretches_of(spans: Sequence[HealthSpan], start: float, end: float) -> list[Stretch]:
    """The pieces of a strip from `start` to `end`; a short one is as wide as can just be seen."""
    stretches = []
    for span in spans:
        begin = max(span.began_at, start)
        ended = min(span.ended_at if span.ended_at is not None else end, end)
        if ended > begin:
            width = max((ended - begin) / (end - start) * 100, 0.3)
            place = (begin - start) / (end - start) * 100
            health = span.health
            stretches.append(Stretch(round(place, 2), round(width, 2), health.colour, health.status))
    # Grave ones are drawn last: no short outage hides behind what came after it.
    return sorted(stretches, key=lambda stretch: list(HealthStatus).index(stretch.status), reverse=True)


def _address(project: str, environment: str) -> str:
    return f"/projects/{project}/environments/{environment}/health"
