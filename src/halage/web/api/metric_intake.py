"""Routes about metrics on their way: sites' own in, everything out to Prometheus."""

import asyncio
from typing import Annotated

from fastapi import Depends
from starlette.responses import Response

from halage.access.rules import visible_projects
from halage.monitor.outlet.exposition import MEDIA_TYPE
from halage.web.api.answers import closed_router, problems
from halage.web.api.requests import EnvironmentName, ProjectName
from halage.web.api.requests_metric_intake import MetricsWanted
from halage.web.api.schemas_metric_intake import KeptMetrics, MetricIntake
from halage.web.caller import Caller, Door, Signed

router = closed_router("metrics", prefix="/projects/{project}/environments", also=(404,))
state_router = closed_router("metrics", prefix="/metrics")
root_router = closed_router("metrics")


async def _may_put(project: ProjectName, environment: EnvironmentName, caller: Signed) -> Caller:
    """The caller, once it is known that they may: asked before the body is looked at."""
    caller.must_in(project, "monitor:PutMetric", environment)
    return caller


@router.put("/{environment}/metrics", operation_id="put_metrics", responses=problems(409))
async def put_metrics(
    project: ProjectName,
    environment: EnvironmentName,
    _caller: Annotated[Caller, Depends(_may_put)],
    body: MetricsWanted,
    door: Door,
) -> KeptMetrics:
    """Keep metrics of an environment's own: all of the batch, or none. They are on the disk after it."""
    kept = await door.intake.put(project, environment, [metric.point for metric in body.metrics])
    return KeptMetrics.of(kept)


@state_router.get("/intake", operation_id="show_metric_intake")
async def show_metric_intake(caller: Signed, door: Door) -> MetricIntake:
    """What comes in of sites' own metrics, what was refused and why."""
    caller.must("project:List", "server")
    visible = visible_projects(caller.principal)
    state = door.intake.state(lambda project: visible is None or project in visible)
    return MetricIntake.of(state)


class Exposed(Response):
    """Text for Prometheus."""

    media_type = MEDIA_TYPE


@root_router.get(
    "/metrics",
    operation_id="export_metrics",
    response_class=Exposed,
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}},
)
async def export_metrics(caller: Signed, door: Door) -> Response:
    """Everything that stands now and that the caller may see, in Prometheus' text format 0.0.4."""
    caller.must("monitor:ShowMachine", "server")
    text = await asyncio.to_thread(door.exposition.text, visible_projects(caller.principal))
    return Exposed(text.encode("utf-8", "replace"), headers={"Cache-Control": "no-store"})
