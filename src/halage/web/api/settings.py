"""Routes about the settings of an environment: what holds and why, changes, their history."""

from halage.environment.settings.model import Wish
from halage.web.api import schemas_settings as schemas
from halage.web.api.answers import closed_router, problems
from halage.web.api.requests import EnvironmentName, Limit, ProjectName
from halage.web.api.requests_settings import ReleaseNumber, SettingsWanted
from halage.web.api.schemas import Deployment
from halage.web.caller import Door, Signed

router = closed_router("environments", prefix="/projects/{project}/environments/{environment}", also=(404,))


@router.get("/settings", operation_id="show_settings")
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


@router.patch("/settings", operation_id="change_settings", responses=problems(409))
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


@router.get("/settings/history", operation_id="list_settings_changes")
async def list_settings_changes(
    project: ProjectName, environment: EnvironmentName, caller: Signed, door: Door, limit: Limit = 50
) -> list[schemas.PastChange]:
    """The changes that were made on the server, newest first."""
    caller.must_in(project, "environment:Show", environment)
    found = await door.settings.history(project, environment, limit=limit)
    return [schemas.PastChange.of(each) for each in found]
