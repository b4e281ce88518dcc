"""`halage events`: the journal, on the terminal or into a file."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halage.base.errors import Invalid
from halage.cli import terminal
from halage.cli.session import Session, session_of
from halage.cli.words import local, moment_before

if TYPE_CHECKING:
    from halage.client import Client
    from halage.client.client import EventsWanted

PAGE = 1000
_COLUMNS = ("id", "at", "actor", "action", "subject", "project", "details")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def events(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Only those of this project.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only what this user did.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this action, such as pipeline:Approve or 'environment:*'.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Not earlier: 90m, 12h, 7d ago, or a date such as 2026-11-23.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Earlier than that, written like --since.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the last ones.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they happen.")] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="Write all of them to this new file: FILE.csv, or FILE.jsonl (JSON lines)."),
    ] = None,
) -> None:
    """Show who did what to which thing, oldest first."""
    session = session_of(context)
    now = datetime.now(UTC)
    wanted: EventsWanted = {
        "project": project,
        "actor": actor,
        "action": action,
        "since": None if since is None else moment_before(since, now).isoformat(),
        "until": None if until is None else moment_before(until, now).isoformat(),
    }
    if export is not None and follow:
        raise Invalid("--export writes what there is and ends: leave out --follow.")
    with session.connect() as client:
        if export is not None:
            _export(session, client, wanted, export)
            return
        found = client.list_events(limit=limit, **wanted)
        if not follow:
            rows = [[local(each["at"]), each["actor"], each["action"], each["subject"]] for each in found]
            session.show(("at", "who", "action", "what"), rows, found, empty="Nothing of that kind happened.")
            return
        for each in found:
            _print(session, each)
        after = found[-1]["id"] if found else 0
        for each in client.follow_events(after=after, **wanted):
            _print(session, each)


def _print(session: Session, event: dict[str, Any]) -> None:
    if session.wants_json:
        terminal.print_json_line(event)
    else:
        terminal.print_line(
            f"{local(event['at'])}  {event['actor']:<12} {event['action']:<24} {event['subject']}"
        )


def _export(session: Session, client: "Client", wanted: "EventsWanted", path: Path) -> None:
    if path.suffix not in (".csv", ".jsonl"):
        raise Invalid(f"{path}: end the file's name in .csv or .jsonl, which says what is written.")
    temporary = path.with_name(path.name + ".part")
    count = 0
    try:
        # "x": what is there already is never written over.
        with path.open("x"), temporary.open("w", encoding="utf-8", newline="") as file:
            write = csv.writer(file).writerow if path.suffix == ".csv" else None
            if write is not None:
                write(_COLUMNS)
            with terminal.progress(f"write {path.name}") as tell:
                for event in _all(client, wanted):
                    if write is not None:
                        write([_cell(event[name]) for name in _COLUMNS])
                    else:
                        file.write(json.dumps(event) + "\n")
                    count += 1
                    if count % PAGE == 0:
                        tell(f"{count} events")
        temporary.replace(path)
    except FileExistsError:
        raise Invalid(f"{path} is there already: name a new file.") from None
    except OSError as error:
        _forget(path, temporary)
        raise Invalid(f"{path} cannot be written: {error.strerror}.") from error
    except BaseException:
        _forget(path, temporary)
        raise
    session.tell(f"Wrote {count} events to {path}.", {"file": str(path), "events": count})


def _forget(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _all(client: "Client", wanted: "EventsWanted") -> Iterator[dict[str, Any]]:
    last = 0
    while page := client.list_events(after=last, limit=PAGE, **wanted):
        yield from page
        last = page[-1]["id"]


def _cell(value: Any) -> str:
    """A value for a spreadsheet, which must not take it for a formula."""
    text = json.dumps(value) if isinstance(value, dict) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
