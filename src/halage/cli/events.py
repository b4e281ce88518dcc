"""`halage events`: the journal."""

from typing import Annotated, Any

import typer

from halage.cli import terminal
from halage.cli.session import Session, session_of
from halage.cli.words import local


def events(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Only those of this project.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the last ones.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they happen.")] = False,
) -> None:
    """Show who did what to which thing, oldest first."""
    session = session_of(context)
    with session.connect() as client:
        found = client.list_events(project=project, limit=limit)
        if not follow:
            rows = [[local(each["at"]), each["actor"], each["action"], each["subject"]] for each in found]
            session.show(("at", "who", "action", "what"), rows, found, empty="Nothing has happened yet.")
            return
        for each in found:
            _print(session, each)
        after = found[-1]["id"] if found else 0
        for each in client.follow_events(project=project, after=after):
            _print(session, each)


def _print(session: Session, event: dict[str, Any]) -> None:
    if session.wants_json:
        terminal.print_json_line(event)
    else:
        terminal.print_line(
            f"{local(event['at'])}  {event['actor']:<12} {event['action']:<24} {event['subject']}"
        )
