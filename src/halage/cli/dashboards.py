"""`halage dashboard`: graphs that people laid out, as JSON documents."""

from typing import TYPE_CHECKING, Annotated

import typer

from halage.cli.documents import Document, FromFile, ToFile, export_document, read_document
from halage.cli.session import session_of
from halage.cli.words import local

if TYPE_CHECKING:
    from halage.client import Client

_LAYOUT = ("name", "environment", "range_s", "widgets")

Id = Annotated[str, typer.Argument(help="A dashboard's number, `machine`, or PROJECT.ENVIRONMENT.")]


def list_(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Only those of this project.")] = None,
) -> None:
    """List the dashboards that you may see."""
    session = session_of(context)
    with session.connect() as client:
        found = client.list_dashboards(project=project)
    rows = [
        [each["id"], each["name"], each["project"] or "-", _version(each), local(each["updated_at"])]
        for each in found
    ]
    session.show(("id", "name", "project", "version", "changed"), rows, found, empty="There are none.")


def show(context: typer.Context, dashboard: Id) -> None:
    """Show what is on a dashboard."""
    session = session_of(context)
    with session.connect() as client:
        found = client.show_dashboard(dashboard)
    rows = [
        [
            each["id"],
            each["kind"],
            f"{each['width']}x{each['height']} at {each['x']},{each['y']}",
            each["title"],
            "\n".join(line["expression"] for line in each["lines"]),
        ]
        for each in found["widgets"]
    ]
    session.show(("id", "kind", "place", "title", "expressions"), rows, found, empty="It is empty.")


def export(
    context: typer.Context,
    dashboard: Id,
    file: ToFile = None,
) -> None:
    """Write a dashboard as a JSON document, for `import` here or on another server."""
    session = session_of(context)
    with session.connect() as client:
        found = client.show_dashboard(dashboard)
    layout = {key: found[key] for key in _LAYOUT}
    export_document(session, layout, file, {"dashboard": dashboard})


def import_(
    context: typer.Context,
    file: FromFile,
    project: Annotated[
        str | None, typer.Option(help="Whose it becomes; without one it belongs to the server.")
    ] = None,
    over: Annotated[
        str | None, typer.Option(help="Replace this dashboard (its id) instead of making a new one.")
    ] = None,
) -> None:
    """Make a dashboard from a JSON document, or replace one."""
    session = session_of(context)
    if project is not None and over is not None:
        raise typer.BadParameter("--over keeps the project of the dashboard that it replaces.")
    layout = read_document(file, "dashboard", _LAYOUT)
    with session.connect() as client:
        kept = (
            client.create_dashboard(layout, project=project) if over is None else _over(client, over, layout)
        )
    session.tell(f"Dashboard {kept['id']}: {kept['name']} (version {kept['version']}).", kept)


def delete(context: typer.Context, dashboard: Id) -> None:
    """Delete a dashboard; an environment and the machine get their made-by-itself one back."""
    session = session_of(context)
    with session.connect() as client:
        client.delete_dashboard(dashboard)
    session.tell(f"Deleted dashboard {dashboard}.", {"id": dashboard, "is_deleted": True})


def _over(client: "Client", id_: str, layout: Document) -> Document:
    version = int(client.show_dashboard(id_)["version"])
    return client.change_dashboard(id_, layout, version=version)


def _version(head: Document) -> str:
    return "by itself" if head["is_made"] else str(head["version"])
