"""Routes about the health of environments: how they are, how they were, instances taken out and put back."""

from typing import Annotated

from fastapi import Body, Path, Query

from halage.web.api import schemas_health as schemas
from halage.web.api.answers import closed_router, problems
from halage.web.api.metrics import From, To, read_moment
from halage.web.api.requests import EnvironmentName, ProjectName
from halage.web.caller import Door, Signed

DAY_S = 86400.0

router = closed_router("health", prefix="/projects/{project}/environments/{environment}", also=(404,))

InstanceId = Annotated[
    str, Path(pattern=r"^[a-z0-9-]{1,40}$", description="The instance's id.", examples=["i-3f9k2m"])
]
HowTakenOut = Annotated[schemas.TakeOutWanted | None, Body()]
SpanLimit = Annotated[int, Query(ge=1, le=1000, description="How many at most: the latest.")]


@router.get("/health", operation_id="show_environment_health")
async def show_environment_health(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door
) -> schemas.EnvironmentHealth:
    """The environment's status with its causes, the gravest first, and what is known of each instance."""
    caller.must_in(project, "environment:Show", environment)
    return schemas.EnvironmentHealth.of_environment(await door.environments.show(project, environment))


@router.get("/health/history", operation_id="list_health_history")
async def list_health_history(
    project: ProjectName,
    environment: EnvironmentName,
    caller: Signed,
    door: Door,
    from_: From = None,
    to: To = None,
    limit: SpanLimit = 500,
) -> list[schemas.HealthSpan]:
    """What the environment's health was, oldest first; without `from` and `to`: of the last 24 hours."""
    caller.must_in(project, "environment:Show", environment)
    end = door.clock.now() if to is None else read_moment("to", to)
    start = end - DAY_S if from_ is None else read_moment("from", from_)
    spans = await door.environments.health_spans(project, environment, start, end, limit=limit)
    return [schemas.HealthSpan.of_span(span) for span in spans]


@router.post(
    "/instances/{instance}/take-out",
    operation_id="take_out_instance",
    status_code=202,
    responses=problems(409),
)
async def take_out_instance(
    project: ProjectName,
    environment: EnvironmentName,
    instance: InstanceId,
    caller: Signed,
    door: Door,
    body: HowTakenOut = None,
) -> schemas.EnvironmentHealth:
    """Take an instance out of the balancer to look at it: it runs on, and counts nowhere."""
    caller.must_in(project, "environment:TakeOut", environment)
    replace = body is not None and body.replace
    shown = await door.environments.take_out(
        project, environment, instance, replace=replace, actor=caller.name
    )
    return schemas.EnvironmentHealth.of_environment(shown)


@router.post(
    "/instances/{instance}/put-back",
    operation_id="put_back_instance",
    status_code=202,
    responses=problems(409),
)
async def put_back_instance(
    project: ProjectName, environment: EnvironmentName, instance: InstanceId, caller: Signed, door: Door
) -> schemas.EnvironmentHealth:
    """Let an instance serve again; one of another release than the current ends instead."""
    caller.must_in(project, "environment:PutBack", environment)
    shown = await door.environments.put_back(project, environment, instance, actor=caller.name)
    return schemas.EnvironmentHealth.of_environment(shown)
