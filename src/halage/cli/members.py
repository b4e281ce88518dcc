"""`halage project member`: who may do what in a project."""

from enum import StrEnum
from typing import Annotated

import typer

from halage.cli.session import session_of


class Role(StrEnum):
    """What a member may do."""

    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"


Project = Annotated[str, typer.Argument(help="The project's name.")]
User = Annotated[str, typer.Argument(help="The person's name.")]


def list_(context: typer.Context, project: Project) -> None:
    """List the members of a project."""
    session = session_of(context)
    with session.connect() as client:
        members = client.list_members(project)
    rows = [[each["user"], each["role"]] for each in members]
    session.show(("name", "role"), rows, members, empty=f"{project} has no members.")


def set_(
    context: typer.Context,
    project: Project,
    user: User,
    role: Annotated[Role, typer.Argument(help="A viewer looks, a developer ships, an admin rules.")],
) -> None:
    """Give a person a role in a project, or another one."""
    session = session_of(context)
    with session.connect() as client:
        member = client.set_member(project, user, role.value)
    session.tell(f"{user} is {role.value} of {project}.", member)


def remove(context: typer.Context, project: Project, user: User) -> None:
    """Take a person's role in a project away."""
    session = session_of(context)
    with session.connect() as client:
        client.remove_member(project, user)
    session.tell(f"{user} is no member of {project} any more.", {"user": user, "role": None})
