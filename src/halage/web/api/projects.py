"""Routes about projects and their members."""

from fastapi import Response

from halage.access.rules import visible_projects
from halage.web.api import schemas
from halage.web.api.answers import closed_router, problems
from halage.web.api.requests import ProjectName, ProjectWanted, RoleWanted, UserName
from halage.web.caller import Door, Signed

router = closed_router("projects", prefix="/projects", also=(404,))


@router.get("", operation_id="list_projects")
async def list_projects(caller: Signed, door: Door) -> list[schemas.Project]:
    """The projects that the caller may see, by name."""
    caller.must("project:List", "server")
    visible = visible_projects(caller.principal)
    return [schemas.Project.of(project) for project in await door.projects.list(visible)]


@router.post("", operation_id="create_project", status_code=201, responses=problems(409))
async def create_project(
    body: ProjectWanted, caller: Signed, door: Door, response: Response
) -> schemas.Project:
    """A new project with an empty repository; the caller becomes its administrator."""
    caller.must("project:Create", f"project/{body.name}")
    project = await door.projects.create(body.name, actor=caller.name)
    response.headers["Location"] = f"/api/v1/projects/{project.name}"
    return schemas.Project.of(project)


@router.get("/{project}", operation_id="show_project")
async def show_project(project: ProjectName, caller: Signed, door: Door) -> schemas.Overview:
    """Everything of one project on one page."""
    caller.must_in(project, "project:Show")
    return schemas.Overview.of(await door.projects.show(project))


@router.delete("/{project}", operation_id="delete_project", status_code=204, responses=problems(409))
async def delete_project(project: ProjectName, caller: Signed, door: Door) -> Response:
    """Delete the project with its repository, environments and instances. There is no way back."""
    caller.must_in(project, "project:Delete")
    await door.projects.delete(project, actor=caller.name)
    return Response(status_code=204)


@router.get("/{project}/members", operation_id="list_members")
async def list_members(project: ProjectName, caller: Signed, door: Door) -> list[schemas.Member]:
    """Who may do what in the project."""
    caller.must_in(project, "project:Show")
    members = await door.access.members(project)
    return [schemas.Member(user=user, role=role) for user, role in sorted(members.items())]


@router.put("/{project}/members/{user}", operation_id="set_member", responses=problems(409))
async def set_member(
    project: ProjectName, user: UserName, body: RoleWanted, caller: Signed, door: Door
) -> schemas.Member:
    """Give a person a role in the project, or another one."""
    caller.must_in(project, "project:SetMember")
    await door.projects.show(project)
    await door.access.set_member(project, user, body.role, actor=caller.name)
    return schemas.Member(user=user, role=body.role)


@router.delete(
    "/{project}/members/{user}", operation_id="remove_member", status_code=204, responses=problems(409)
)
async def remove_member(project: ProjectName, user: UserName, caller: Signed, door: Door) -> Response:
    """Take a person's role in the project away."""
    caller.must_in(project, "project:SetMember")
    await door.access.set_member(project, user, None, actor=caller.name)
    return Response(status_code=204)
