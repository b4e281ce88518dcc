"""Routes about the settings of an environment, and about making environments after others."""

from fastapi import Response

from halage.environment.making import Made
from halage.environment.settings.model import Wish
from halage.web.api import schemas_settings as schemas
from halage.web.api.answers import closed_router, problems
from halage.web.api.requests import EnvironmentName, Limit, ProjectName
from halage.web.api.requests_settings import (
    EnvironmentWanted,
    ReleaseNumber,
    SettingsWanted,
    TemplateName,
    TemplateWanted,
)
from halage.web.api.schemas import Deployment
from halage.web.caller import Door, Signed
from halage.web.services import Services

router = closed_router("environments", prefix="/projects/{project}", also=(404,))
_HERE = "/environments/{environment}"


@router.get(f"{_HERE}/settings", operation_id="show_settings")
async def show_settings(
    project: ProjectName,
    environment: EnvironmentName,
    caller: Signed,
    door: Door,
    release: ReleaseNumber = None,
) -> schemas.Settings:
    """Every setting with the value that holds and where it comes from."""
    caller.must_in(project, "environment:Show", environment)
    return schemas.Settings.of(await door.settings.show(project, environment, release=release))


@router.patch(f"{_HERE}/settings", operation_id="change_settings", responses=problems(409))
async def change_settings(
    project: ProjectName, environment: EnvironmentName, body: SettingsWanted, caller: Signed, door: Door
) -> schemas.SettingsChange:
    """Set and unset settings on the server; what serves gets them by a deployment of its own."""
    caller.must_in(project, "environment:Configure", environment)
    wish = Wish(
        set=body.set,
        unset=tuple(body.unset),
        is_whole=body.is_whole,
        reason=body.reason,
        is_preview=body.is_preview,
    )
    change = await door.settings.change(project, environment, wish, actor=caller.name)
    deployment = None
    if change.deployment_id is not None:
        deployment = Deployment.of(await door.environments.deployment(change.deployment_id))
    differences = [schemas.Difference.of(each) for each in change.differences]
    return schemas.SettingsChange(differences=differences, deployment=deployment)


@router.get(f"{_HERE}/settings/history", operation_id="list_settings_changes")
async def list_settings_changes(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door, limit: Limit = 50
) -> list[schemas.PastChange]:
    """The changes that were made on the server, newest first."""
    caller.must_in(project, "environment:Show", environment)
    found = await door.settings.history(project, environment, limit=limit)
    return [schemas.PastChange.of(each) for each in found]


@router.post("/environments", operation_id="create_environment", status_code=201, responses=problems(409))
async def create_environment(
    project: ProjectName, body: EnvironmentWanted, caller: Signed, door: Door
) -> schemas.MadeEnvironment:
    """Make an environment: empty, with the settings of a template, or as a clone of another one."""
    caller.must_in(project, "environment:Create")
    if body.clone_of is not None:
        made = await door.making.clone(project, body.clone_of, body.name, actor=caller.name)
    else:
        made = await door.making.create(project, body.name, template=body.template, actor=caller.name)
    return await _made(made, door)


@router.delete(_HERE, operation_id="terminate_environment", status_code=204)
async def terminate_environment(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door
) -> Response:
    """End every instance and remove it with its releases, variables, settings, files, alarms, dashboards,
    logs and metrics. Cannot be undone; the journal stays.
    """
    caller.must_in(project, "environment:Terminate", environment)
    await door.making.terminate(project, environment, actor=caller.name)
    return Response(status_code=204)


@router.post(f"{_HERE}/rebuild", operation_id="rebuild_environment", status_code=202, responses=problems(409))
async def rebuild_environment(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door
) -> Deployment:
    """End every instance at once and start the release anew; visitors are not served meanwhile."""
    caller.must_in(project, "environment:Restart", environment)
    number = await door.making.rebuild(project, environment, actor=caller.name)
    return Deployment.of(await door.environments.deployment(number))


@router.post(f"{_HERE}/settings/template", operation_id="save_template", status_code=201)
async def save_template(
    project: ProjectName, environment: EnvironmentName, body: TemplateWanted, caller: Signed, door: Door
) -> schemas.EnvironmentTemplate:
    """Keep its settings under a name, to make other environments of."""
    caller.must_in(project, "environment:Configure", environment)
    template = await door.making.save_template(project, environment, body.name, actor=caller.name)
    return schemas.EnvironmentTemplate.of(template)


@router.get("/templates", operation_id="list_templates")
async def list_templates(
    project: ProjectName, caller: Signed, door: Door
) -> list[schemas.EnvironmentTemplate]:
    """The templates of environments."""
    caller.must_in(project, "environment:Show")
    return [schemas.EnvironmentTemplate.of(each) for each in await door.making.templates(project)]


@router.delete("/templates/{template}", operation_id="delete_template", status_code=204)
async def delete_template(
    project: ProjectName, template: TemplateName, caller: Signed, door: Door
) -> Response:
    """Forget a template; environments made of it stay."""
    caller.must_in(project, "environment:Configure")
    await door.making.delete_template(project, template, actor=caller.name)
    return Response(status_code=204)


async def _made(made: Made, door: Services) -> schemas.MadeEnvironment:
    deployment = None
    if made.deployment_id is not None:
        deployment = Deployment.of(await door.environments.deployment(made.deployment_id))
    return schemas.MadeEnvironment(project=made.project, environment=made.environment, deployment=deployment)
