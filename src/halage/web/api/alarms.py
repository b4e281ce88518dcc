"""Routes about alarms."""

from fastapi import Response

from halage.base.errors import NotFound
from halage.monitor.alarms.model import Alarm
from halage.web.api import schemas_monitor_alarms as schemas
from halage.web.api.answers import closed_router, problems
from halage.web.api.requests import Before, ProjectFilter
from halage.web.api.requests_alarms import (
    AlarmDefinition,
    AlarmId,
    AlarmWanted,
    DisableWanted,
    EnvironmentFilter,
    HistoryLimit,
    StateFilter,
    TestWanted,
)
from halage.web.caller import Caller, Door, Signed, no_such
from halage.web.services import Services

SHOW, SET = "monitor:Show", "monitor:SetAlarm"
SERVER = "server"

router = closed_router("alarms", prefix="/alarms", also=(404,))


@router.get("", operation_id="list_alarms")
async def list_alarms(
    caller: Signed,
    door: Door,
    project: ProjectFilter = None,
    environment: EnvironmentFilter = None,
    state: StateFilter = None,
) -> list[schemas.Alarm]:
    """Alarms of the projects that the caller may see; administrators see those of the server as well."""
    if project is not None:
        caller.must_in(project, SHOW)
    else:
        caller.must("project:List", SERVER)
    found = await door.alarms.list(
        project=project,
        environment=environment,
        state=state,
        visible=caller.projects_where(SHOW),
        with_server=caller.may(SHOW, SERVER),
    )
    return [schemas.Alarm.of_alarm(each) for each in found]


@router.post("", operation_id="create_alarm", status_code=201, responses=problems(409))
async def create_alarm(body: AlarmWanted, caller: Signed, door: Door) -> schemas.Alarm:
    """Define an alarm. It is evaluated from the end of its next period on."""
    if body.project is None:
        caller.must(SET, SERVER)
    else:
        caller.must_in(body.project, SET, body.environment)
        await _must_exist(body.project, body.environment, door)
    return schemas.Alarm.of_alarm(await door.alarms.create(body.model_dump(), actor=caller.name))


@router.get("/{alarm}", operation_id="show_alarm")
async def show_alarm(alarm: AlarmId, caller: Signed, door: Door) -> schemas.Alarm:
    """An alarm, and what it says now."""
    return schemas.Alarm.of_alarm(await _seen(alarm, SHOW, caller, door))


@router.put("/{alarm}", operation_id="set_alarm", responses=problems(409))
async def set_alarm(alarm: AlarmId, body: AlarmDefinition, caller: Signed, door: Door) -> schemas.Alarm:
    """Give an alarm another definition, whole: what is left out has its default. Its project stays."""
    before = await _seen(alarm, SET, caller, door)
    if before.definition.project is not None:
        await _must_exist(before.definition.project, body.environment, door)
    return schemas.Alarm.of_alarm(await door.alarms.set(alarm, body.model_dump(), actor=caller.name))


@router.delete("/{alarm}", operation_id="delete_alarm", status_code=204, responses=problems(409))
async def delete_alarm(alarm: AlarmId, caller: Signed, door: Door) -> Response:
    """Delete an alarm with its history. One that came with its environment does not come back."""
    await _seen(alarm, SET, caller, door)
    await door.alarms.delete(alarm, actor=caller.name)
    return Response(status_code=204)


@router.get("/{alarm}/history", operation_id="list_alarm_changes")
async def list_alarm_changes(
    alarm: AlarmId, caller: Signed, door: Door, before: Before = None, limit: HistoryLimit = 50
) -> list[schemas.Change]:
    """Its changes, newest first, with the numbers that they were taken from and what was done."""
    await _seen(alarm, SHOW, caller, door)
    found = await door.alarms.history(alarm, before=before, limit=limit)
    return [schemas.Change.of(each) for each in found]


@router.post("/{alarm}/test", operation_id="test_alarm")
async def test_alarm(
    alarm: AlarmId, caller: Signed, door: Door, body: TestWanted | None = None
) -> schemas.Trial:
    """Evaluate it now, and say what it would say and do. Nothing changes; with `send`, messages are sent."""
    await _seen(alarm, SET, caller, door)
    send = body is not None and body.send
    return schemas.Trial.of(await door.alarms.test(alarm, send=send, actor=caller.name))


@router.post("/{alarm}/disable", operation_id="disable_alarm")
async def disable_alarm(
    alarm: AlarmId, caller: Signed, door: Door, body: DisableWanted | None = None
) -> schemas.Alarm:
    """Hold back what it does, until a moment or until it is enabled. It is evaluated all the same."""
    await _seen(alarm, SET, caller, door)
    until = body.until.timestamp() if body is not None and body.until is not None else None
    return schemas.Alarm.of_alarm(await door.alarms.disable(alarm, until=until, actor=caller.name))


@router.post("/{alarm}/enable", operation_id="enable_alarm")
async def enable_alarm(alarm: AlarmId, caller: Signed, door: Door) -> schemas.Alarm:
    """Let it do again what it does when it changes."""
    await _seen(alarm, SET, caller, door)
    return schemas.Alarm.of_alarm(await door.alarms.enable(alarm, actor=caller.name))


async def _seen(number: int, action: str, caller: Caller, door: Services) -> Alarm:
    """The alarm, once it is known that the caller may do this to it."""
    thing = f"alarm {number}"
    try:
        alarm = await door.alarms.show(number)
    except NotFound as error:
        raise no_such(thing) from error
    if alarm.definition.project is None:
        caller.must(action, SERVER)
    else:
        caller.must_in_project_of(alarm.definition.project, action, thing)
    return alarm


async def _must_exist(project: str, environment: str | None, door: Services) -> None:
    """Raise NotFound for a project or an environment that is not there."""
    if environment is None:
        await door.projects.show(project)
    else:
        await door.environments.show(project, environment)
