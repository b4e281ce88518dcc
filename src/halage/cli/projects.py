"""`halage project`: sites."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halage.base.errors import Conflict
from halage.cli import terminal
from halage.cli.rows import environment_row, run_row
from halage.cli.session import Session, session_of
from halage.cli.words import local

if TYPE_CHECKING:
    from halage.client import Client


class Template(StrEnum):
    """What a new site can start from."""

    LARAVEL = "laravel"
    PYTHON = "python"
    NODE = "node"
    STATIC = "static"


Name = Annotated[str, typer.Argument(help="The project's name: lower-case letters, digits, hyphens.")]


def create(
    context: typer.Context,
    name: Name,
    template: Annotated[Template | None, typer.Option(help="Make a working copy from a template.")] = None,
    directory: Annotated[Path | None, typer.Option(help="Where to; by default ./NAME.")] = None,
    here: Annotated[
        bool, typer.Option("--here", help="Add the remote `halage` to the working copy you are in.")
    ] = False,
) -> None:
    """Create a project; with a template also a working copy that is ready for `git push`."""
    from halage.cli.git import CredentialStore, add_remote, make_working_copy
    from halage.cli.profile import configuration_directory

    session = session_of(context)
    target = directory or Path(name)
    _check_places(template, target, here)
    with session.connect() as client:
        made = client.create_project(name)
        repository = str(client.show_project(name)["repository_url"])
    result = {**made, "repository_url": repository}
    store = CredentialStore(configuration_directory())
    if template is not None:
        _ensure(session, store)
        make_working_copy(target, _files_of(template), repository, store)
        result["directory"] = str(target.resolve())
        next_step = f"Next: cd {target} && git push"
    elif here:
        _ensure(session, store)
        add_remote(Path(), "halage", repository, store)
        next_step = "Next: git push halage HEAD:main"
    else:
        next_step = (
            f"Next, in your working copy: git remote add halage {repository}\n"
            "and once: halage git-credential --install"
        )
    session.tell(f"Created {name}: {repository}", result)
    terminal.print_note(next_step)


def list_(context: typer.Context) -> None:
    """List the projects that you may see."""
    session = session_of(context)
    with session.connect() as client:
        projects = client.list_projects()
    rows = [
        [each["name"], each["kind"] or "-", local(each["created_at"]), each["created_by"]]
        for each in projects
    ]
    empty = "There are no projects yet: `halage project create NAME --template laravel` makes one."
    session.show(("name", "kind", "since", "made by"), rows, projects, empty=empty)


def show(context: typer.Context, name: Name) -> None:
    """Show a project: its environments, latest runs and members."""
    session = session_of(context)
    with session.connect() as client:
        overview = client.show_project(name)
    if session.wants_json:
        terminal.print_json(overview)
        return
    _print_overview(overview)


def delete(
    context: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a project with its repository, environments and everything they keep."""
    session = session_of(context)
    if not yes:
        terminal.print_note(f"This deletes {name}: repository, releases, kept files. There is no way back.")
        if typer.prompt("Its name, to go on", err=True) != name:
            raise Conflict(f"That is not its name: {name} was not deleted.")
    with session.connect() as client:
        _delete(client, name)
    session.tell(f"Deleted {name}.", {"name": name, "is_deleted": True})


def _delete(client: "Client", name: str) -> None:
    with terminal.waiting(f"Deleting {name}"):
        client.delete_project(name)


def _check_places(template: Template | None, target: Path, here: bool) -> None:
    """Before anything is made on the server: what would stop us afterwards. Raises Conflict, GitMissing."""
    from halage.cli.git import is_working_copy, run_git

    if template is not None and here:
        raise typer.BadParameter("--here is for a site that exists; a template makes a new directory.")
    if template is not None:
        run_git("--version")
        if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
            raise Conflict(f"{target} exists and is not empty: choose another one by --directory.")
    if here and not is_working_copy(Path()):
        raise Conflict("This is no git working copy: run it inside of one, or `git init` first.")


def _files_of(template: Template) -> dict[str, bytes]:
    from halage.site.templates import template_files

    return template_files(template.value)


def _ensure(session: Session, store: Any) -> None:
    from halage.cli.credentials import ensure_credential

    ensure_credential(session, store)


def _print_overview(overview: dict[str, Any]) -> None:
    import time

    project = overview["project"]
    members = ", ".join(f"{name} ({role})" for name, role in overview["members"].items())
    terminal.print_facts(
        [
            ("project", project["name"]),
            ("kind", project["kind"] or "known after the first push"),
            ("repository", overview["repository_url"]),
            ("members", members or "-"),
        ]
    )
    if overview["environments"]:
        terminal.print_line("")
        terminal.print_table(
            ("environment", "health", "release", "serving", "address"),
            [environment_row(each) for each in overview["environments"]],
            empty="",
        )
    if overview["runs"]:
        terminal.print_line("")
        now = time.time()
        terminal.print_table(
            ("run", "branch", "state", "commit", "took"),
            [run_row(each, now) for each in overview["runs"]],
            empty="",
        )
