"""Routes about dashboards: those that people made, and the made-by-itself ones."""

from fastapi import Response

from halage.access.rules import visible_projects
from halage.monitor.dashboards.made import made_dashboard
from halage.monitor.dashboards.model import Dashboard, Place
from halage.monitor.dashboards.rules import place_of
from halage.web.api import schemas_monitor_dashboards as schemas
from halage.web.api.answers import closed_router, problems
from halage.web.api.requests import ProjectFilter
from halage.web.api.requests_dashboards import DashboardChange, DashboardId, DashboardWanted
from halage.web.caller import Caller, Door, Signed
from halage.web.services import Services

router = closed_router("dashboards", prefix="/dashboards", also=(404,))


@router.get("", operation_id="list_dashboards")
async def list_dashboards(
    caller: Signed, door: Door, project: ProjectFilter = None
) -> list[schemas.DashboardHead]:
    """Dashboards that the caller may see: the machine's, each environment's, those that people made."""
    if project is None:
        caller.must("project:List", "server")
    else:
        caller.must_in(project, "monitor:Show")
    found = await seen_dashboards(door, visible_projects(caller.principal), project)
    return [schemas.DashboardHead.of(each) for each in found]


@router.post("", operation_id="create_dashboard", status_code=201)
async def create_dashboard(
    body: DashboardWanted, caller: Signed, door: Door, response: Response
) -> schemas.Dashboard:
    """A new dashboard, of a project or of the server. What was exported is taken as it is."""
    _must(caller, "monitor:SetDashboard", body.project)
    if body.project is not None:
        await door.projects.show(body.project)  # to administrators any name looks like one
    made = await door.dashboards.create(body.project, body.layout(), actor=caller.name)
    response.headers["Location"] = f"/api/v1/dashboards/{made.id}"
    return schemas.Dashboard.of_model(made)


@router.get("/{dashboard}", operation_id="show_dashboard")
async def show_dashboard(dashboard: DashboardId, caller: Signed, door: Door) -> schemas.Dashboard:
    """A dashboard with its widgets."""
    return schemas.Dashboard.of_model(await _seen(caller, door, dashboard))


@router.put("/{dashboard}", operation_id="change_dashboard", responses=problems(409))
async def change_dashboard(
    dashboard: DashboardId, body: DashboardChange, caller: Signed, door: Door
) -> schemas.Dashboard:
    """Save a dashboard. Somebody else's change meanwhile is not overwritten: the answer is 409."""
    await _seen(caller, door, dashboard, "monitor:SetDashboard")
    changed = await door.dashboards.change(dashboard, body.layout(), version=body.version, actor=caller.name)
    return schemas.Dashboard.of_model(changed)


@router.delete("/{dashboard}", operation_id="delete_dashboard", status_code=204)
async def delete_dashboard(dashboard: DashboardId, caller: Signed, door: Door) -> Response:
    """Delete a dashboard. An environment and the machine get their made-by-itself one back."""
    await _seen(caller, door, dashboard, "monitor:SetDashboard")
    await door.dashboards.delete(dashboard, actor=caller.name)
    return Response(status_code=204)


async def seen_dashboards(
    door: Services, visible: frozenset[str] | None, project: str | None = None
) -> list[Dashboard]:
    """The machine's, each visible environment's, then those that people made; or those of one project."""
    stored = {each.id: each for each in await door.dashboards.list(visible)}
    places = [] if project else [Place()]
    names = [project] if project else [each.name for each in await door.projects.list(visible)]
    for name in names:
        places += [Place(name, each.name) for each in await door.environments.list(name)]
    by_itself = [stored.get(place.id) or made_dashboard(place) for place in places]
    made = [each for each in stored.values() if place_of(each.id) is None]
    return by_itself + [each for each in made if project in (None, each.project)]


async def _seen(caller: Caller, door: Services, id_: str, action: str = "monitor:Show") -> Dashboard:
    """The dashboard, once the caller may do this to it. Raises NotFound, NotAllowed."""
    place = place_of(id_)
    if place is not None:
        _must(caller, action, place.project)
        if place.project is not None and place.environment is not None:
            await door.environments.show(place.project, place.environment)
        return await door.dashboards.show(id_)
    dashboard = await door.dashboards.show(id_)
    if dashboard.project is None:
        _must(caller, action, None)
    else:
        caller.must_in_project_of(dashboard.project, action, f"dashboard {id_}")
    return dashboard


def _must(caller: Caller, action: str, project: str | None) -> None:
    """Everybody signed in sees what belongs to the server; administrators change it."""
    if project is not None:
        caller.must_in(project, action)
    elif action == "monitor:Show":
        caller.must("monitor:ShowMachine", "server")
    else:
        caller.must(action, "server")
