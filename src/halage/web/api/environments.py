"""Routes about the environments of a project: what runs, its logs, its variables."""

from typing import Annotated

from fastapi import Body, Response

from halage.base.errors import NotFound
from halage.environment.model import Deployment
from halage.web.api import schemas
from halage.web.api.answers import closed_router, problems, stream
from halage.web.api.requests import (
    DeploymentId,
    EnvironmentName,
    Limit,
    Lines,
    ProjectName,
    RollbackWanted,
    ScaleWanted,
    VariableName,
    VariableWanted,
)
from halage.web.caller import Caller, Door, Signed, no_such
from halage.web.services import Services
from halage.web.streams import Emit, Event, EventStream

router = closed_router("environments", prefix="/projects/{project}/environments", also=(404,))
deployments_router = closed_router("deployments", prefix="/deployments", also=(404,))

ReleaseWanted = Annotated[RollbackWanted | None, Body()]


@router.get("", operation_id="list_environments")
async def list_environments(project: ProjectName, caller: Signed, door: Door) -> list[schemas.Environment]:
    """The project's environments as they are now."""
    caller.must_in(project, "environment:Show")
    return [schemas.Environment.of(item) for item in await door.environments.list(project)]


@router.get("/{environment}", operation_id="show_environment")
async def show_environment(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door
) -> schemas.Environment:
    """The environment as it is now, with its instances."""
    caller.must_in(project, "environment:Show", environment)
    return schemas.Environment.of(await door.environments.show(project, environment))


@router.post(
    "/{environment}/restart",
    operation_id="restart_environment",
    status_code=202,
    responses=problems(409),
)
async def restart_environment(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door
) -> schemas.Deployment:
    """Replace the instances one by one, with the same release and the variables of now."""
    caller.must_in(project, "environment:Restart", environment)
    return schemas.Deployment.of(await door.environments.restart(project, environment, actor=caller.name))


@router.post(
    "/{environment}/rollback",
    operation_id="roll_back_environment",
    status_code=202,
    responses=problems(409),
)
async def roll_back_environment(
    project: ProjectName,
    environment: EnvironmentName,
    caller: Signed,
    door: Door,
    body: ReleaseWanted = None,
) -> schemas.Deployment:
    """Return to the last good release, or to the one that is named."""
    caller.must_in(project, "environment:Rollback", environment)
    number = body.release if body else None
    deployment = await door.environments.rollback(project, environment, number=number, actor=caller.name)
    return schemas.Deployment.of(deployment)


@router.post(
    "/{environment}/scale", operation_id="scale_environment", status_code=202, responses=problems(409)
)
async def scale_environment(
    project: ProjectName, environment: EnvironmentName, body: ScaleWanted, caller: Signed, door: Door
) -> schemas.Environment:
    """Have so many instances from now on, without a deployment; null: as many as halage.toml says."""
    caller.must_in(project, "environment:Scale", environment)
    shown = await door.environments.scale(
        project, environment, body.instances, process=body.process, actor=caller.name
    )
    return schemas.Environment.of(shown)


@router.get("/{environment}/releases", operation_id="list_releases")
async def list_releases(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door
) -> list[schemas.Release]:
    """The releases that are kept, newest first."""
    caller.must_in(project, "environment:Show", environment)
    return [schemas.Release.of(item) for item in await door.environments.releases(project, environment)]


@router.get("/{environment}/deployments", operation_id="list_deployments")
async def list_deployments(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door, limit: Limit = 20
) -> list[schemas.Deployment]:
    """The environment's deployments, newest first, with their time by phase."""
    caller.must_in(project, "environment:Show", environment)
    deployments = await door.environments.deployments(project, environment, limit=limit)
    return [schemas.Deployment.of(item) for item in deployments]


@router.get("/{environment}/logs", operation_id="read_logs")
async def read_logs(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door, lines: Lines = 200
) -> list[schemas.LogLine]:
    """The last lines that the instances wrote."""
    caller.must_in(project, "environment:Show", environment)
    found = await door.environments.logs(project, environment, lines=lines)
    return [schemas.LogLine.of(line) for line in found]


@router.get(
    "/{environment}/logs/stream",
    operation_id="stream_logs",
    responses=stream(log="LogLine"),
    response_class=EventStream,
    status_code=200,
)
async def stream_logs(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door
) -> EventStream:
    """What the instances write, as it comes (`log`), from now on. Has no end."""
    caller.must_in(project, "environment:Show", environment)
    await door.environments.show(project, environment)

    async def produce(emit: Emit) -> None:
        async for line in door.environments.follow_logs(project, environment):
            await emit(Event("log", schemas.LogLine.of(line).model_dump(mode="json")))

    return caller.stream(produce)


@router.get("/{environment}/variables", operation_id="list_variables")
async def list_variables(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door
) -> list[schemas.Variable]:
    """The variables that people set; those of halage.toml are not among them."""
    caller.must_in(project, "environment:Show", environment)
    variables = await door.environments.variables(project, environment)
    return [schemas.Variable.of(variable) for variable in variables]


@router.put("/{environment}/variables/{variable}", operation_id="set_variable", status_code=204)
async def set_variable(
    project: ProjectName,
    environment: EnvironmentName,
    variable: VariableName,
    body: VariableWanted,
    caller: Signed,
    door: Door,
) -> Response:
    """Set a variable; instances have it from their next start on."""
    caller.must_in(project, "environment:SetVariable", environment)
    await door.environments.set_variable(
        project, environment, variable, body.value, is_secret=body.is_secret, actor=caller.name
    )
    return Response(status_code=204)


@router.delete("/{environment}/variables/{variable}", operation_id="unset_variable", status_code=204)
async def unset_variable(
    project: ProjectName, environment: EnvironmentName, variable: VariableName, caller: Signed, door: Door
) -> Response:
    """Remove a variable; instances lose it at their next start."""
    caller.must_in(project, "environment:SetVariable", environment)
    await door.environments.unset_variable(project, environment, variable, actor=caller.name)
    return Response(status_code=204)


@deployments_router.get("/{deployment}", operation_id="show_deployment")
async def show_deployment(deployment: DeploymentId, caller: Signed, door: Door) -> schemas.Deployment:
    """A deployment with its time by phase."""
    return schemas.Deployment.of(await _seen_deployment(deployment, "environment:Show", caller, door))


@deployments_router.post(
    "/{deployment}/abort", operation_id="abort_deployment", status_code=202, responses=problems(409)
)
async def abort_deployment(deployment: DeploymentId, caller: Signed, door: Door) -> schemas.Deployment:
    """End the deployment: its instances go, those of the release before stay or come back."""
    await _seen_deployment(deployment, "environment:Deploy", caller, door)
    await door.environments.abort(deployment, actor=caller.name)
    return schemas.Deployment.of(await door.environments.deployment(deployment))


async def _seen_deployment(number: int, action: str, caller: Caller, door: Services) -> Deployment:
    """The deployment, once it is known that the caller may do this to it."""
    thing = f"deployment {number}"
    try:
        deployment = await door.environments.deployment(number)
    except NotFound as error:
        raise no_such(thing) from error
    caller.must_in_project_of(deployment.project, action, thing)
    return deployment
