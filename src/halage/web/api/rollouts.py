"""Routes about how releases take each other's place: the plan, the swap, the report."""

from typing import Annotated

from fastapi import Body

from halage.base.errors import NotFound
from halage.web.api import schemas
from halage.web.api.answers import closed_router, problems
from halage.web.api.requests import DeploymentId, EnvironmentName, PlanWanted, ProjectName
from halage.web.api.schemas_rollouts import Report, RolloutPlan
from halage.web.caller import Door, Signed, no_such

router = closed_router("deployments", prefix="", also=(404,))


@router.post(
    "/projects/{project}/environments/{environment}/deployments/plan",
    operation_id="plan_deployment",
    responses=problems(409),
)
async def plan_deployment(
    project: ProjectName,
    environment: EnvironmentName,
    caller: Signed,
    door: Door,
    body: Annotated[PlanWanted | None, Body()] = None,
) -> RolloutPlan:
    """What a deployment would do, or why it would be refused: phases, lowest capacity, time, extra cost.

    Without a release: of the current one anew, with the settings and variables of now.
    """
    caller.must_in(project, "environment:Show", environment)
    wish = body or PlanWanted()
    plan = await door.environments.plan(project, environment, number=wish.release, policy=wish.policy)
    return RolloutPlan.of(plan)


@router.post(
    "/projects/{project}/environments/{environment}/swap",
    operation_id="swap_environment",
    status_code=202,
    responses=problems(409),
)
async def swap_environment(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door
) -> schemas.Deployment:
    """Exchange the instances that serve and those of the release before, which are kept: at once."""
    caller.must_in(project, "environment:Rollback", environment)
    return schemas.Deployment.of(await door.environments.swap(project, environment, actor=caller.name))


@router.get("/deployments/{deployment}/report", operation_id="report_deployment")
async def report_deployment(deployment: DeploymentId, caller: Signed, door: Door) -> Report:
    """What a deployment did: time by phase and batch, requests served and failed, latency around it."""
    thing = f"deployment {deployment}"
    try:
        found = await door.environments.deployment(deployment)
    except NotFound as error:
        raise no_such(thing) from error
    caller.must_in_project_of(found.project, "environment:Show", thing)
    return Report.of(await door.environments.report(deployment))
