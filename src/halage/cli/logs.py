"""`halage logs` and `halage log`: lines of instances, builds and the balancer; filters; outlets."""

import fnmatch
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halage.base.errors import Invalid
from halage.cli import terminal
from halage.cli.session import Session, session_of
from halage.cli.words import for_api, local, moment_before, parse_period, size

if TYPE_CHECKING:
    from halage.client import Client

PAGE = 1000
BAR = 40
TELL_S = 0.5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(StrEnum):
    """Kinds of groups."""

    INSTANCES = "instances"
    ACCESS = "access"
    BUILDS = "builds"
    HALAGE = "halage"


Project = Annotated[
    str | None, typer.Argument(help="The project's name. None, with --group halage: the server's own log.")
]
Environment = Annotated[
    str | None, typer.Argument(help="The environment's name, such as prod. Without: all of the project's.")
]
Groups = Annotated[
    list[Kind] | None,
    typer.Option("--group", "-g", help="What instances print, the access log, builds. Can be repeated."),
]
Text = Annotated[str, typer.Option("--search", "-s", help="Only lines with this text.")]
NotText = Annotated[str, typer.Option("--not", help="Only lines without this text.")]
IgnoreCase = Annotated[bool, typer.Option("--ignore-case", "-i", help="Take a and A for the same.")]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--field", help="A field of JSON lines: level=error, user.id=7, path~checkout. Can be repeated."
    ),
]
Stream = Annotated[str | None, typer.Option(help="Only lines of this instance or job.")]
Since = Annotated[str | None, typer.Option(help="Only lines since then: 30s, 15m, 1h, 2d, or a moment.")]
Until = Annotated[str | None, typer.Option(help="Only lines before then, written likewise.")]


def logs(
    context: typer.Context,
    project: Project = None,
    environment: Environment = None,
    group: Groups = None,
    search: Text = "",
    without: NotText = "",
    ignore_case: IgnoreCase = False,
    field: Fields = None,
    stream: Stream = None,
    since: Since = None,
    until: Until = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, max=100_000, help="How many of the last ones.")
    ] = 100,
    count: Annotated[
        str | None, typer.Option(help="How many lines there are in each 5m (or 30s, 1h ...) instead.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they come.")] = False,
) -> None:
    """Print what was logged: by all instances of an environment and by the balancer, or by builds."""
    if follow and (count is not None or until is not None):
        raise Invalid("--follow goes on for ever: leave out --count and --until.")
    if follow and lines > PAGE:
        raise Invalid(f"--follow begins with {PAGE} lines at the most: `halage log export` writes all.")
    session = session_of(context)
    conditions = _conditions(search, without, ignore_case, field, stream, since, until)
    groups, several = _groups(project, environment, group), environment is None
    period_s = None if count is None else parse_period(count)
    with session.connect() as client:
        if period_s is not None:
            _print_counts(session, client.count_logs(groups, conditions, period_s=period_s), period_s)
            if since is None and not session.wants_json:
                terminal.print_note("Of the last hour; --since says how far back to count.")
        elif follow:
            for line in client.tail_logs(groups, conditions, lines=lines):
                _print_line(session, line, several)
        elif not _print_lines(session, client, groups, conditions, lines, several):
            _tell_why(client, project, groups)


def groups(
    context: typer.Context,
    project: Annotated[str | None, typer.Argument(help="Only those of this project.")] = None,
) -> None:
    """List the groups of lines, with their size and the time that they span."""
    session = session_of(context)
    with session.connect() as client:
        found = client.list_log_groups(project=project)
    rows = [
        [
            each["name"],
            str(each["lines"]),
            size(each["size_bytes"]),
            local(each["first_at"]),
            local(each["last_at"]),
        ]
        for each in found
    ]
    session.show(("group", "lines", "written", "first", "last"), rows, found, empty="Nothing is logged yet.")


def export(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="The file to write; one that ends in .json or .jsonl gets JSON lines.")
    ],
    project: Project = None,
    environment: Environment = None,
    group: Groups = None,
    search: Text = "",
    without: NotText = "",
    ignore_case: IgnoreCase = False,
    field: Fields = None,
    stream: Stream = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Write lines that are kept to a file, oldest first."""
    session = session_of(context)
    conditions = _conditions(search, without, ignore_case, field, stream, since, until)
    form = "json" if file.suffix in (".json", ".jsonl", ".ndjson") else "text"
    groups = _groups(project, environment, group)
    with session.connect() as client:
        written = _write(file, client.export_logs(groups, conditions, form=form))
    session.tell(f"Wrote {written} lines to {file}.", {"file": str(file), "lines": written})


def create_filter(
    context: typer.Context,
    group: Annotated[str, typer.Argument(help="The group, such as shop.prod/instances.")],
    metric: Annotated[str, typer.Argument(help="The metric that counts what is found.")],
    search: Text = "",
    without: NotText = "",
    ignore_case: IgnoreCase = False,
    field: Fields = None,
    stream: Stream = None,
) -> None:
    """Count what a search finds, from now on, in a metric of the site's own."""
    session = session_of(context)
    wanted = _search(search, without, ignore_case, field, stream)
    if not re.fullmatch(r"[a-z0-9-]+(/builds|\.[a-z0-9-]+/(instances|access))", group):
        raise Invalid(
            f"A group is written shop.prod/instances, shop.prod/access or shop/builds, not {group!r}: "
            "`halage log groups` lists those that have lines."
        )
    with session.connect() as client:
        made = client.create_log_filter(group, metric, wanted)
    session.tell(f"Filter {made['id']} counts {_in_words(made['search'])} in {metric} from now on.", made)


def change_filter(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="FILTER", help="The filter's number.")],
    search: Text = "",
    without: NotText = "",
    ignore_case: IgnoreCase = False,
    field: Fields = None,
    stream: Stream = None,
) -> None:
    """Count another search in the same metric from now on. What is not named is looked for no more."""
    session = session_of(context)
    with session.connect() as client:
        changed = client.change_log_filter(number, _search(search, without, ignore_case, field, stream))
    session.tell(f"Filter {number} counts {_in_words(changed['search'])} in {changed['metric']}.", changed)


def list_filters(
    context: typer.Context, project: Annotated[str, typer.Argument(help="The project's name.")]
) -> None:
    """List a project's filters."""
    session = session_of(context)
    with session.connect() as client:
        found = client.list_log_filters(project)
    rows = [[str(each["id"]), each["group"], each["metric"], _in_words(each["search"])] for each in found]
    session.show(("filter", "group", "metric", "counts"), rows, found, empty=f"{project} has no filters.")


def delete_filter(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="FILTER", help="The filter's number.")],
) -> None:
    """Count no more; what was counted stays."""
    session = session_of(context)
    with session.connect() as client:
        client.delete_log_filter(number)
    session.tell(f"Filter {number} is gone.", {"id": number})


def create_outlet(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the outlet is called.")],
    address: Annotated[
        str,
        typer.Argument(help="udp://, tcp:// or tls://HOST:PORT for syslog; http(s)://... for JSON lines."),
    ],
    group: Annotated[
        list[str] | None,
        typer.Option("--group", "-g", help="Groups to send, such as shop.*; all without. Can be repeated."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE for an HTTP collector; `NAME` alone is asked for. Can be repeated."),
    ] = None,
) -> None:
    """Send lines on from now on, to syslog or to an HTTP collector."""
    session = session_of(context)
    _check_outlet(name, address, has_headers=bool(header))
    headers = dict(_header(text) for text in header or ())
    with session.connect() as client:
        made = client.create_log_outlet(name, address, groups=group or ["*"], headers=headers)
    session.tell(f"Outlet {made['id']} sends to {address} from now on.", made)


def list_outlets(context: typer.Context) -> None:
    """List the outlets: how each does, and how many lines wait."""
    session = session_of(context)
    with session.connect() as client:
        found = client.list_log_outlets()
    rows = [
        [
            str(each["id"]),
            each["name"],
            each["address"],
            ", ".join(each["groups"]),
            terminal.coloured(each["state"]),
            str(each["behind"]),
            each["error"],
        ]
        for each in found
    ]
    columns = ("outlet", "name", "address", "groups", "state", "behind", "why")
    session.show(columns, rows, found, empty="Logs are sent nowhere.")


OutletNumber = Annotated[int, typer.Argument(metavar="OUTLET", help="The outlet's number.")]


def pause_outlet(context: typer.Context, number: OutletNumber) -> None:
    """Send nothing for now; lines wait as long as they are kept."""
    session = session_of(context)
    with session.connect() as client:
        session.tell(f"Outlet {number} is paused.", client.pause_log_outlet(number))


def resume_outlet(context: typer.Context, number: OutletNumber) -> None:
    """Go on sending where it stopped; try one that fails at once."""
    session = session_of(context)
    with session.connect() as client:
        session.tell(f"Outlet {number} goes on.", client.resume_log_outlet(number))


def delete_outlet(context: typer.Context, number: OutletNumber) -> None:
    """Send no more."""
    session = session_of(context)
    with session.connect() as client:
        client.delete_log_outlet(number)
    session.tell(f"Outlet {number} is gone.", {"id": number})


def _groups(project: str | None, environment: str | None, kinds: Sequence[Kind] | None) -> list[str]:
    """The names of the groups that are meant; `*` stands for all environments of the project."""
    if project is None:
        if kinds != [Kind.HALAGE]:
            raise Invalid("Name a project, or write --group halage for the server's own log.")
        return ["halage"]
    wanted = dict.fromkeys(kinds or (Kind.INSTANCES, Kind.ACCESS))
    if Kind.HALAGE in wanted:
        raise Invalid("The server's own log belongs to no project: write --group halage alone.")
    return [
        f"{project}/builds" if kind is Kind.BUILDS else f"{project}.{environment or '*'}/{kind.value}"
        for kind in wanted
    ]


def _search(
    text: str, without: str, ignore_case: bool, fields: Sequence[str] | None, stream: str | None
) -> dict[str, Any]:
    return {
        "text": text,
        "not_text": without,
        "ignore_case": ignore_case,
        "fields": _checked(fields),
        "stream": stream,
    }


def _checked(fields: Sequence[str] | None) -> list[str]:
    for each in fields or ():
        if not re.fullmatch(r"[^=~]+[=~].*", each):
            raise Invalid(f"A field is written level=error (is) or path~checkout (contains), not {each!r}.")
    return list(fields or ())


def _conditions(
    text: str,
    without: str,
    ignore_case: bool,
    fields: Sequence[str] | None,
    stream: str | None,
    since: str | None,
    until: str | None,
) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "text": text or None,
        "not_text": without or None,
        "ignore_case": "true" if ignore_case else None,
        "field": _checked(fields) or None,
        "stream": stream,
        "from": _moment(since, now),
        "to": _moment(until, now),
    }


def _moment(text: str | None, now: datetime) -> str | None:
    """So long ago, or a moment, as the API takes it: logs begin in 1970."""
    return None if text is None else for_api(max(moment_before(text, now), _EPOCH))


def _print_lines(
    session: Session,
    client: "Client",
    groups: Sequence[str],
    conditions: dict[str, Any],
    lines: int,
    several: bool,
) -> bool:
    """The last lines, oldest first, page after page where there are many; whether there were any."""
    found: list[dict[str, Any]] = []
    before: int | None = None
    while len(found) < lines:
        page = client.search_logs(groups, conditions, before=before, limit=min(PAGE, lines - len(found)))
        found += page["lines"]
        before = page["next_before"]
        for problem in page["problems"]:
            terminal.print_note(problem, "yellow")
        if before is None:
            break
    found.reverse()
    if session.wants_json:
        terminal.print_json(found)
    else:
        for line in found:
            _print_line(session, line, several)
    return bool(found)


def _print_line(session: Session, line: dict[str, Any], several: bool) -> None:
    if session.wants_json:
        terminal.print_json_line(line)
        return
    place, _, kind = line["group"].partition("/")
    environment = f"{place.partition('.')[2]} " if several and "." in place else ""
    source = f"{environment}{line['stream']}{' access' if kind == 'access' else ''}"
    terminal.print_line(f"{local(line['at'])}  {source}  {line['text']}")


def _tell_why(client: "Client", project: str | None, groups: Sequence[str]) -> None:
    """Nothing was found: because there is nothing of the kind, or because of the conditions."""
    there = {each["name"] for each in client.list_log_groups(project=project)}
    if any(fnmatch.fnmatchcase(name, group) for group in groups for name in there):
        terminal.print_note("No line is like that.")
        return
    those = f" There are: {', '.join(sorted(there))}." if there else ""
    terminal.print_note(f"Nothing is logged in {', '.join(groups)}.{those}")


def _print_counts(session: Session, counts: dict[str, Any], period_s: int) -> None:
    start = datetime.fromisoformat(counts["start"])
    highest = max(counts["counts"], default=0)
    rows: list[list[str]] = []
    for number, count in enumerate(counts["counts"]):
        if not rows and not count:
            continue  # the table begins with the first lines
        at = start + timedelta(seconds=number * counts["period_s"])
        bar = "#" * round(BAR * count / highest) if highest else ""
        rows.append([local(at.isoformat()), str(count), bar])
    if counts["is_cut_off"]:
        terminal.print_note(
            f"The time was over: only what came in after {local(counts['counted_from'])} is counted.",
            "yellow",
        )
    for problem in counts["problems"]:
        terminal.print_note(problem, "yellow")
    if counts["period_s"] != period_s:
        terminal.print_note(f"Each count is of {counts['period_s']:g} s: shorter ones would be too many.")
    session.show(("from", "lines", ""), rows, counts, empty="No line is like that.")


def _write(file: Path, lines: Iterator[str]) -> int:
    """Write lines to a file that is there only once it is whole; how many there were."""
    count, told = 0, time.monotonic()
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as output, terminal.progress("export") as tell:
            for line in lines:
                output.write(line + "\n")
                count += 1
                if time.monotonic() - told > TELL_S:
                    told = time.monotonic()
                    tell(f"{count} lines")
        part.replace(file)
    except OSError as error:
        raise Invalid(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return count


def _in_words(search: dict[str, Any]) -> str:
    words = [f'"{search["text"]}"'] if search["text"] else []
    words += [f'not "{search["not_text"]}"'] if search["not_text"] else []
    words += search["fields"]
    words += [f"of {search['stream']}"] if search["stream"] else []
    words += ["in any case"] if search["ignore_case"] else []
    return ", ".join(words) or "every line"


def _check_outlet(name: str, address: str, *, has_headers: bool) -> None:
    """Say what is wrong before the server does: it can only say which of two forms is not met."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        raise Invalid(f"An outlet cannot be called {name!r}: take small letters, digits and `-`.")
    if not re.fullmatch(r"(udp|tcp|tls)://[^/:@]+:[0-9]+|https?://[^/@]+(/.*)?", address):
        raise Invalid(
            f"Lines cannot be sent to {address!r}: write udp://, tcp:// or tls://HOST:PORT for syslog, "
            "http://... or https://... (without a password in it) for a collector of JSON lines."
        )
    if has_headers and not address.startswith("http"):
        raise Invalid("Headers are for collectors at http:// and https:// addresses alone.")


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    return name, value if equals else terminal.ask_secret(f"Value of {name}")
