"""`halage env create|clone|rebuild|terminate|template`: environments after others."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from halage.cli import terminal
from halage.cli.environments import Environment, Project, Wait, follow_deployment
from halage.cli.exits import FAILED
from halage.cli.session import Session, session_of
from halage.cli.words import local

if TYPE_CHECKING:
    from halage.client import Client

NewName = Annotated[str, typer.Argument(metavar="NAME", help="The new environment's name.")]
TemplateName = Annotated[str, typer.Argument(metavar="TEMPLATE", help="The template's name.")]


def create(
    context: typer.Context,
    project: Project,
    name: NewName,
    template: Annotated[
        str | None, typer.Option("--template", help="A template whose settings it gets.")
    ] = None,
) -> None:
    """Make an empty environment; a branch comes to it by halage.toml."""
    session = session_of(context)
    with session.connect() as client:
        made = client.create_environment(project, name, template=template)
    session.tell(f"Made {name} of {project}.", made)


def clone(
    context: typer.Context, project: Project, environment: Environment, name: NewName, wait: Wait = True
) -> None:
    """Make an environment with the settings, variables and release of this one."""
    session = session_of(context)
    with session.connect() as client:
        made = client.create_environment(project, name, clone_of=environment)
        if made["deployment"] is not None and wait:
            made["deployment"] = follow_deployment(client, made["deployment"])
    session.tell(f"Made {name} of {project}, a clone of {environment}.", made)
    if made["deployment"] is None:
        terminal.print_note("Nothing is deployed to it yet.")
    elif wait and made["deployment"]["state"] != "succeeded":
        terminal.print_note(made["deployment"]["reason"], "red")
        raise typer.Exit(FAILED)


def rebuild(context: typer.Context, project: Project, environment: Environment, wait: Wait = True) -> None:
    """End every instance at once and start the release anew; visitors are not served meanwhile."""
    session = session_of(context)
    with session.connect() as client:
        _finish(session, client, client.rebuild_environment(project, environment), wait)


def terminate(
    context: typer.Context,
    project: Project,
    environment: Environment,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove an environment with all that belongs to it, for good: instances, releases, variables, settings,
    files, alarms, dashboards, logs and metrics. The journal stays.
    """
    session = session_of(context)
    if not yes:
        terminal.print_note(
            f"This removes {environment} of {project} for good, with its releases, variables, settings, "
            "files, alarms, dashboards, logs and metrics. The journal stays."
        )
        typed = typer.prompt("The environment's name, to go on", err=True)
        if typed != environment:
            terminal.print_note("Nothing was removed.")
            raise typer.Exit(FAILED)
    with session.connect() as client:
        client.terminate_environment(project, environment)
    session.tell(f"Removed {environment} of {project}.", {"terminated": environment})


def save_template(
    context: typer.Context, project: Project, environment: Environment, template: TemplateName
) -> None:
    """Keep an environment's settings as a template; one of that name is replaced."""
    session = session_of(context)
    with session.connect() as client:
        saved = client.save_template(project, environment, template)
    session.tell(f"Saved the settings of {environment} as {template}.", saved)


def list_templates(context: typer.Context, project: Project) -> None:
    """List a project's templates."""
    session = session_of(context)
    with session.connect() as client:
        found = client.list_templates(project)
    rows = [
        [each["name"], "\n".join(sorted(each["settings"])), local(each["created_at"]), each["created_by"]]
        for each in found
    ]
    columns = ("template", "settings", "saved", "by")
    session.show(columns, rows, found, empty=f"{project} has no templates.")


def delete_template(context: typer.Context, project: Project, template: TemplateName) -> None:
    """Delete a template; environments made of it stay."""
    session = session_of(context)
    with session.connect() as client:
        client.delete_template(project, template)
    session.tell(f"Deleted the template {template}.", {"deleted": template})


def _finish(session: Session, client: "Client", deployment: dict[str, Any], wait: bool) -> None:
    if wait:
        deployment = follow_deployment(client, deployment)
    words = deployment["state"].replace("_", " ")
    session.tell(f"Release v{deployment['release']['number']}, deployment {words}.", deployment)
    if wait and deployment["state"] != "succeeded":
        raise typer.Exit(FAILED)
