"""`halage events`: the journal, on the terminal or into a file."""

import json
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

_TELL_EVERY = 5000
_LONGEST_WORD = 48
"""Of what was before or after: a line is to be read at a glance."""


Word = str | None
Project = Annotated[Word, typer.Option(help="Only those of this project.")]
Environment = Annotated[
    Word, typer.Option("--environment", "-e", help="Only those about an environment of this name.")
]
Actor = Annotated[Word, typer.Option(help="Only what this user did.")]
Action = Annotated[Word, typer.Option(help="Only this action, such as pipeline:Approve or 'environment:*'.")]
Subject = Annotated[Word, typer.Option(help="Only those about this thing, such as 'project/shop/run/*'.")]
Origin = Annotated[
    Word, typer.Option(help="Only those that came from there: console, 'api * token ci', halage.")
]
Text = Annotated[
    Word, typer.Option(help="Only those that hold this text, also in what was before and after.")
]
Since = Annotated[Word, typer.Option(help="Not earlier: 90m, 12h, 7d ago, or a date such as 2026-11-23.")]
Until = Annotated[Word, typer.Option(help="Earlier than that, written like --since.")]
After = Annotated[int | None, typer.Option(min=0, help="The next ones after this number.")]
Before = Annotated[int | None, typer.Option(min=1, help="The last ones before this number.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many of the last ones.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on as they happen.")]
Export = Annotated[
    Path | None,
    typer.Option(help="Write all of them to this new file: FILE.csv, or FILE.jsonl (JSON lines)."),
]


def events(
    context: typer.Context,
    project: Project = None,
    environment: Environment = None,
    actor: Actor = None,
    action: Action = None,
    subject: Subject = None,
    origin: Origin = None,
    text: Text = None,
    since: Since = None,
    until: Until = None,
    after: After = None,
    before: Before = None,
    limit: Limit = 20,
    follow: Follow = False,
    export: Export = None,
) -> None:
    """Show who did what to which thing, what it was before and after, and from where; oldest first."""
    session = session_of(context)
    now = datetime.now(UTC)
    wanted: EventsWanted = {
        "project": project,
        "environment": environment,
        "actor": actor,
        "action": action,
        "subject": subject,
        "origin": origin,
        "text": text,
        "since": None if since is None else moment_before(since, now).isoformat(),
        "until": None if until is None else moment_before(until, now).isoformat(),
    }
    if export is not None and (follow or after is not None or before is not None):
        raise Invalid("--export writes all that was chosen and ends: leave out --follow, --after, --before.")
    if follow and (until is not None or before is not None):
        raise Invalid("--follow goes on for ever: leave out --until and --before.")
    with session.connect() as client:
        if export is not None:
            _export(session, client, wanted, export)
            return
        found = client.list_events(limit=limit, after=after, before=before, **wanted)
        if follow:
            _follow(session, client, found, wanted)
        else:
            columns = ("number", "at", "who", "action", "what", "change", "from")
            session.show(
                columns, [_row(each) for each in found], found, empty="Nothing of that kind happened."
            )


def _follow(session: Session, client: "Client", found: list[dict[str, Any]], wanted: "EventsWanted") -> None:
    for each in found:
        _print(session, each)
    after = found[-1]["id"] if found else 0
    for each in client.follow_events(after=after, **wanted):
        _print(session, each)


def _row(event: dict[str, Any]) -> list[str]:
    return [
        str(event["id"]),
        local(event["at"]),
        event["actor"],
        event["action"],
        event["subject"],
        change_of(event),
        event["origin"] or "",
    ]


def _print(session: Session, event: dict[str, Any]) -> None:
    if session.wants_json:
        terminal.print_json_line(event)
    else:
        words = [
            f"{local(event['at'])}  {event['actor']:<12} {event['action']:<24} {event['subject']}",
            change_of(event),
        ]
        terminal.print_line("  ".join(word for word in words if word))


def change_of(event: dict[str, Any]) -> str:
    """What was changed, in a line: `instances 2 → 3, is_scaled no → yes`. `-o json` has it whole."""
    before, after = event.get("before") or {}, event.get("after") or {}
    pairs = [(name, _word(before.get(name)), _word(after.get(name))) for name in {**before, **after}]
    return ", ".join(f"{name} {old} → {new}" for name, old, new in pairs if old != new)


def _word(value: Any) -> str:
    if value in (None, "", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_WORD else f"{text[: _LONGEST_WORD - 1]}…"


def _export(session: Session, client: "Client", wanted: "EventsWanted", path: Path) -> None:
    if path.suffix not in (".csv", ".jsonl"):
        raise Invalid(f"{path}: end the file's name in .csv or .jsonl, which says what is written.")
    temporary = path.with_name(path.name + ".part")
    count = -1 if path.suffix == ".csv" else 0  # the line with the names of the columns is no event
    try:
        # "x": what is there already is never written over.
        with (
            path.open("x"),
            temporary.open("wb") as file,
            terminal.progress(f"write {path.name}") as tell,
        ):
            told = 0
            for piece in client.export_events(path.suffix.removeprefix("."), **wanted):
                file.write(piece)
                count += piece.count(b"\n")
                if count - told >= _TELL_EVERY:
                    tell(f"{count} events")
                    told = count
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
