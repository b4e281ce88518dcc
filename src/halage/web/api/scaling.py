"""Routes about scaling: how it stands, what was decided, what is held, what would have been."""

from halage.environment.autoscaling.drawing import draw
from halage.environment.autoscaling.simulation import SimulatedSite
from halage.environment.scaling_service import WhatIf
from halage.web.api import schemas_scaling as schemas
from halage.web.api.answers import closed_router, problems
from halage.web.api.requests import Before, EnvironmentName, Limit, ProjectName
from halage.web.api.requests_scaling import (
    InstanceId,
    ProtectionWanted,
    SimulationWanted,
    SuspensionWanted,
)
from halage.web.caller import Door, Signed

OWN_TRAFFIC_S = 7 * 86400
router = closed_router("scaling", prefix="/projects/{project}/environments/{environment}", also=(404,))


@router.get("/scaling", operation_id="show_scaling")
async def show_scaling(
    project: ProjectName,
    environment: EnvironmentName,
    caller: Signed,
    door: Door,
    limit: Limit = 50,
    before: Before = None,
) -> schemas.Scaling:
    """How many instances of each kind of process there shall be, what changes that, and what was decided."""
    caller.must_in(project, "environment:Show", environment)
    return schemas.Scaling.of(await door.scaling.show(project, environment, limit=limit, before=before))


@router.put("/scaling/suspended", operation_id="suspend_scaling")
async def suspend_scaling(
    project: ProjectName, environment: EnvironmentName, body: SuspensionWanted, caller: Signed, door: Door
) -> schemas.Scaling:
    """Suspend just these, without a deployment, until they are taken out again."""
    caller.must_in(project, "environment:Scale", environment)
    shown = await door.scaling.suspend(project, environment, body.suspended, actor=caller.name)
    return schemas.Scaling.of(shown)


@router.put("/instances/{instance}/protection", operation_id="protect_instance")
async def protect_instance(
    project: ProjectName,
    environment: EnvironmentName,
    instance: InstanceId,
    body: ProtectionWanted,
    caller: Signed,
    door: Door,
) -> schemas.Scaling:
    """Keep scaling from taking an instance away, or no longer. A deployment replaces it all the same."""
    caller.must_in(project, "environment:Scale", environment)
    shown = await door.scaling.protect(project, environment, instance, body.is_protected, actor=caller.name)
    return schemas.Scaling.of(shown)


@router.post("/scaling/simulate", operation_id="simulate_scaling", responses=problems(409))
async def simulate_scaling(
    project: ProjectName, environment: EnvironmentName, body: SimulationWanted, caller: Signed, door: Door
) -> schemas.Simulation:
    """Replay a traffic through the very rules that scale the environment, beside a static fleet."""
    caller.must_in(project, "environment:Show", environment)
    what_if = WhatIf(
        site=SimulatedSite(body.capacity, body.boot_s, body.response_ms),
        minimum=body.minimum,
        maximum=body.maximum,
        targets={str(metric): target for metric, target in body.targets.items()} if body.targets else None,
        static=body.static,
    )
    if body.trace is not None:
        found = await door.scaling.simulate(project, environment, body.trace, what_if)
    else:
        end = body.to.timestamp() if body.to is not None else door.clock.now()
        start = body.from_.timestamp() if body.from_ is not None else end - OWN_TRAFFIC_S
        found = await door.scaling.simulate_own(project, environment, start, end, what_if)
    return schemas.Simulation.drawn(found, draw(found) if body.is_drawn else None)
