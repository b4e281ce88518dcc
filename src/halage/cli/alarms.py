"""`halage alarm`: what is watched, what it says, and what is done when that changes."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from halage.base.errors import Invalid
from halage.cli import terminal
from halage.cli.documents import Document, FromFile, ToFile, export_document, read_document
from halage.cli.session import session_of
from halage.cli.words import local, parse_duration, parse_period, style_of

if TYPE_CHECKING:
    from rich.text import Text

DEFINITION = (
    *("name", "environment", "description", "expression", "rule", "operator", "threshold", "band"),
    *("period_s", "periods", "breaching", "missing", "low_samples", "mute_while_deploying"),
    *("on_alarm", "on_ok", "on_insufficient_data"),
)

Id = Annotated[int, typer.Argument(help="The alarm's number: `halage alarm list` shows it.")]
Project = Annotated[str | None, typer.Option(help="Whose it is; without one it belongs to the server.")]
Environment = Annotated[str | None, typer.Option(help="The environment that it is about.")]
Expression = Annotated[str | None, typer.Option(help="What is watched: docs/reference/expressions.md.")]
Rule = Annotated[
    str | None, typer.Option(help="Over other alarms instead: 'ALARM(\"errors\") AND NOT DEPLOYING'.")
]
Above = Annotated[float | None, typer.Option(help="It breaches above this number.")]
AtLeast = Annotated[float | None, typer.Option(help="It breaches from this number on.")]
Below = Annotated[float | None, typer.Option(help="It breaches below this number.")]
AtMost = Annotated[float | None, typer.Option(help="It breaches from this number down.")]
Band = Annotated[
    float | None,
    typer.Option(help="It breaches so many standard deviations from the usual at this hour of the week."),
]
Side = Annotated[
    Literal["outside", "above", "below"] | None, typer.Option(help="On which side of the band it breaches.")
]
Period = Annotated[str | None, typer.Option(help="What one value covers: 10s, 1m, 5m.")]
OutOf = Annotated[
    str | None, typer.Option(help="How many of the last periods have to breach: 3/5 is 3 of the last 5.")
]
Missing = Annotated[
    Literal["missing", "ignore", "breaching", "notBreaching"] | None,
    typer.Option(help="What a period without data counts as."),
]
LowSamples = Annotated[
    Literal["evaluate", "ignore"] | None,
    typer.Option(help="What is done with a percentile of too few samples."),
]
Tell = Annotated[
    list[str] | None,
    typer.Option(
        help="Tell this address (Apprise) in alarm and when well again; `-` is asked for. May be repeated."
    ),
]
TellEveryone = Annotated[
    bool, typer.Option("--tell-everyone", help="Tell those of the server's setting `messages.to`.")
]
ScaleBy = Annotated[int | None, typer.Option(help="In alarm: have so many more instances (or fewer: -1).")]
UpTo = Annotated[int | None, typer.Option(help="With --scale-by: never more instances than that.")]
DownTo = Annotated[int, typer.Option(help="With --scale-by: never fewer.")]
Rollback = Annotated[
    bool, typer.Option("--rollback", help="In alarm: roll back what was deployed within the last hour.")
]
Call = Annotated[
    str | None, typer.Option(help="POST each change to this web address, as JSON; `-` is asked for.")
]
Mute = Annotated[
    bool | None,
    typer.Option(
        "--mute-while-deploying/--no-mute-while-deploying", help="Do nothing during a deployment there."
    ),
]
Description = Annotated[str | None, typer.Option(help="For those who are told.")]


def list_(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Only those of this project.")] = None,
    environment: Annotated[str | None, typer.Option(help="Only those of this environment.")] = None,
    state: Annotated[
        Literal["OK", "ALARM", "INSUFFICIENT_DATA"] | None, typer.Option(help="Only those in this state.")
    ] = None,
) -> None:
    """List alarms and what they say now."""
    session = session_of(context)
    with session.connect() as client:
        found = client.list_alarms(project=project, environment=environment, state=state)
    rows = [
        [
            str(each["id"]),
            each["name"],
            _place(each),
            _state(each),
            local(each["state_at"]),
            _condition(each),
        ]
        for each in found
    ]
    columns = ("id", "alarm", "of", "state", "since", "in alarm when")
    session.show(columns, rows, found, empty="There are no alarms.")


def show(context: typer.Context, alarm: Id) -> None:
    """Show an alarm: what it watches, what it says and why, what it does."""
    session = session_of(context)
    with session.connect() as client:
        found = client.show_alarm(alarm)
    facts: list[tuple[str, Any]] = [
        ("alarm", f"{found['name']} ({found['id']})"),
        ("of", _place(found)),
        ("state", _state(found)),
        ("since", local(found["state_at"])),
        ("why", found["reason"] or "-"),
        ("in alarm when", _condition(found)),
        ("no data", found["missing"]),
        *([("few samples", found["low_samples"])] if found["low_samples"] != "evaluate" else []),
        *([("disabled until", _end(found))] if found["is_disabled"] else []),
        *([("deployments", "mute while one runs there")] if found["mute_while_deploying"] else []),
        *((f"on {state}", _actions(found[member])) for state, member in _WHEN),
        ("changed", f"{found['updated_by']}, {local(found['updated_at'])}"),
    ]
    if session.wants_json:
        terminal.print_json(found)
    else:
        terminal.print_facts(facts)


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name, unique in its project.")],
    project: Project = None,
    environment: Environment = None,
    expression: Expression = None,
    rule: Rule = None,
    above: Above = None,
    at_least: AtLeast = None,
    below: Below = None,
    at_most: AtMost = None,
    band: Band = None,
    side: Side = None,
    period: Period = None,
    out_of: OutOf = None,
    missing: Missing = None,
    low_samples: LowSamples = None,
    tell: Tell = None,
    tell_everyone: TellEveryone = False,
    scale_by: ScaleBy = None,
    up_to: UpTo = None,
    down_to: DownTo = 1,
    rollback: Rollback = False,
    call: Call = None,
    mute_while_deploying: Mute = None,
    description: Description = None,
) -> None:
    """Define an alarm. Everything that it can do beyond these options: `halage alarm import`."""
    session = session_of(context)
    definition = {
        "name": name,
        "project": project,
        **_given(environment=environment, expression=expression, rule=rule, description=description),
        **_threshold({">": above, ">=": at_least, "<": below, "<=": at_most}, band, side),
        **_when(period, out_of, mute_while_deploying, missing=missing, low_samples=low_samples),
        **_what(tell, tell_everyone, call),
    }
    changes = [*definition.get("on_alarm", [])]
    if scale_by is None and up_to is not None:
        raise Invalid("--up-to says how far --scale-by may go: name both.")
    if scale_by is not None:
        changes.append(_scaling(scale_by, up_to, down_to))
    if rollback:
        changes.append({"kind": "rollback"})
    if changes:
        definition["on_alarm"] = changes
    with session.connect() as client:
        made = client.create_alarm(definition)
    session.tell(f"Alarm {made['id']}: {made['name']}, in alarm when {_condition(made)}.", made)


def set_(
    context: typer.Context,
    alarm: Id,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    expression: Expression = None,
    above: Above = None,
    at_least: AtLeast = None,
    below: Below = None,
    at_most: AtMost = None,
    band: Band = None,
    side: Side = None,
    period: Period = None,
    out_of: OutOf = None,
    missing: Missing = None,
    low_samples: LowSamples = None,
    tell: Tell = None,
    mute_while_deploying: Mute = None,
    description: Description = None,
) -> None:
    """Change an alarm; what is not named stays. --tell replaces whom it tells."""
    session = session_of(context)
    given = {
        **_given(name=name, expression=expression, description=description),
        **_threshold({">": above, ">=": at_least, "<": below, "<=": at_most}, band, side),
        **_when(period, out_of, mute_while_deploying, missing=missing, low_samples=low_samples),
    }
    if not given and tell is None:
        raise typer.BadParameter("Name at least one thing to change.")
    with session.connect() as client:
        definition = _definition(client.show_alarm(alarm)) | given
        if tell is not None:
            for member, actions in _what(tell, everyone=False, call=None).items():
                kept = [each for each in definition[member] if each["kind"] != "tell"]
                definition[member] = actions + kept
        changed = client.set_alarm(alarm, definition)
    session.tell(f"Alarm {alarm}: {changed['name']}, in alarm when {_condition(changed)}.", changed)


def export(
    context: typer.Context,
    alarm: Id,
    file: ToFile = None,
) -> None:
    """Write an alarm as a JSON document, for `import`. Secrets in it are masked."""
    session = session_of(context)
    with session.connect() as client:
        definition = _definition(client.show_alarm(alarm))
    export_document(session, definition, file, {"alarm": alarm})


def import_(
    context: typer.Context,
    file: FromFile,
    project: Project = None,
    over: Annotated[
        int | None, typer.Option(help="Replace this alarm instead of making a new one; masked secrets stay.")
    ] = None,
) -> None:
    """Make an alarm from a JSON document, or replace one."""
    session = session_of(context)
    if project is not None and over is not None:
        raise typer.BadParameter("--over keeps the project of the alarm that it replaces.")
    definition = read_document(file, "alarm", DEFINITION)
    with session.connect() as client:
        if over is None:
            kept = client.create_alarm({**definition, "project": project})
        else:
            kept = client.set_alarm(over, definition)
    session.tell(f"Alarm {kept['id']}: {kept['name']}, in alarm when {_condition(kept)}.", kept)


def history(
    context: typer.Context,
    alarm: Id,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many at most.")] = 20,
) -> None:
    """Show its changes, newest first, and what each led to."""
    session = session_of(context)
    with session.connect() as client:
        found = client.list_alarm_changes(alarm, limit=limit)
    rows = [
        [
            local(each["period_end"]),
            f"{each['state_before']} to {each['state']}",
            each["reason"],
            "\n".join(_delivery(one) for one in each["deliveries"]) or "-",
        ]
        for each in found
    ]
    session.show(("at", "change", "why", "done"), rows, found, empty="It has not changed yet.")


def test(
    context: typer.Context,
    alarm: Id,
    send: Annotated[bool, typer.Option("--send", help="Send a test message to those whom it tells.")] = False,
) -> None:
    """Show what it would say and do now."""
    session = session_of(context)
    with session.connect() as client:
        trial = client.test_alarm(alarm, send=send)
    verdict = trial["verdict"]
    session.tell(f"{verdict['state']}: {verdict['reason']}", trial)
    if not session.wants_json:
        for action in trial["actions"]:
            terminal.print_line(f"would {action}")
        for told in trial["told"]:
            words = f"told {told['to']}"
            terminal.print_line(words if told["is_delivered"] else f"not {words}: {told['error']}")
    if any(not told["is_delivered"] for told in trial["told"]):
        raise typer.Exit(1)


def disable(
    context: typer.Context,
    alarm: Id,
    for_: Annotated[
        str | None, typer.Option("--for", help="How long: 30m, 2h; without: until it is enabled.")
    ] = None,
) -> None:
    """Do nothing when it changes; it is evaluated all the same."""
    session = session_of(context)
    until = None
    if for_ is not None:
        until = (datetime.now(UTC) + timedelta(seconds=parse_duration(for_))).isoformat()
    with session.connect() as client:
        found = client.disable_alarm(alarm, until=until)
    until_words = f" until {local(found['disabled_until'])}" if found["disabled_until"] else ""
    session.tell(f"Alarm {alarm} does nothing{until_words}.", found)


def enable(context: typer.Context, alarm: Id) -> None:
    """Let it do again what it does."""
    session = session_of(context)
    with session.connect() as client:
        found = client.enable_alarm(alarm)
    session.tell(f"Alarm {alarm} does again what it does.", found)


def delete(context: typer.Context, alarm: Id) -> None:
    """Delete an alarm with its history."""
    session = session_of(context)
    with session.connect() as client:
        client.delete_alarm(alarm)
    session.tell(f"Deleted alarm {alarm}.", {"id": alarm, "is_deleted": True})


_WHEN = (("ALARM", "on_alarm"), ("OK", "on_ok"), ("INSUFFICIENT_DATA", "on_insufficient_data"))


def _given(**values: Any) -> Document:
    return {name: value for name, value in values.items() if value is not None}


def _threshold(compared: dict[str, float | None], band: float | None, side: str | None) -> Document:
    given = [(operator, number) for operator, number in compared.items() if number is not None]
    if not all(math.isfinite(number) for number in (*compared.values(), band) if number is not None):
        raise Invalid("A threshold and the width of a band are finite numbers.")
    if len(given) + (band is not None) > 1:
        raise Invalid("Give one of --above, --at-least, --below, --at-most and --band.")
    if band is not None:
        return {"band": {"width": band, "side": side or "outside"}, "threshold": None}
    if side is not None:
        raise Invalid("--side says on which side of a --band.")
    return {"operator": given[0][0], "threshold": given[0][1], "band": None} if given else {}


def _when(period: str | None, out_of: str | None, mute: bool | None, **modes: str | None) -> Document:
    found = _given(**modes, mute_while_deploying=mute)
    if period is not None:
        found["period_s"] = parse_period(period)
    if out_of is not None:
        breaching, _, periods = out_of.partition("/")
        if not (breaching.isdigit() and (periods or breaching).isdigit()):
            raise Invalid(f"--out-of is written as 3/5, not {out_of!r}.")
        found |= {"breaching": int(breaching), "periods": int(periods or breaching)}
    return found


def _what(tell: Sequence[str] | None, everyone: bool, call: str | None) -> Document:
    actions: list[Document] = []
    if tell or everyone:
        actions.append({"kind": "tell", "to": [_address(each, "Address to tell") for each in tell or ()]})
    if call is not None:
        actions.append({"kind": "call", "url": _address(call, "Address to call")})
    return {"on_alarm": actions, "on_ok": list(actions)} if actions else {}


def _address(text: str, question: str) -> str:
    """An address that may hold a password, which is then in no list of processes and no history."""
    return terminal.ask_secret(question) if text == "-" else text


def _scaling(by: int, up_to: int | None, down_to: int) -> Document:
    if up_to is None:
        raise Invalid("--scale-by needs --up-to: how many instances there may be at most.")
    return {"kind": "scale", "by": by, "maximum": up_to, "minimum": down_to}


def _definition(alarm: Document) -> Document:
    return {name: alarm[name] for name in DEFINITION}


def _place(alarm: Document) -> str:
    return " ".join(filter(None, (alarm["project"], alarm["environment"]))) or "server"


def _state(alarm: Document) -> "Text":
    words = str(alarm["state"]) + (" (disabled)" if alarm["is_disabled"] else "")
    return terminal.plain(words, style_of(alarm["state"]))


def _end(alarm: Document) -> str:
    return local(alarm["disabled_until"]) if alarm["disabled_until"] else "it is enabled"


def _condition(alarm: Document) -> str:
    """What it is in alarm when, in one line."""
    if alarm["rule"] is not None:
        return str(alarm["rule"])
    if alarm["band"] is not None:
        limit = f"{alarm['band']['side']} the band of {alarm['band']['width']:g}"
    else:
        limit = f"{alarm['operator']} {alarm['threshold']:g}"
    out_of = f"{alarm['breaching']} of {alarm['periods']} x {alarm['period_s']} s"
    return f"{alarm['expression']} {limit} ({out_of})"


def _actions(actions: Sequence[Document]) -> str:
    return "\n".join(_action(each) for each in actions) or "-"


def _action(action: Document) -> str:
    match action["kind"]:
        case "tell":
            return f"tell {', '.join(action['to']) or 'everyone (messages.to)'}"
        case "scale":
            step = f"to {action['to']}" if action["to"] is not None else f"by {action['by']:+d}"
            return f"scale {step} ({action['minimum']} to {action['maximum']} instances)"
        case "rollback":
            return f"roll back what was deployed within {action['within_s'] / 60:g} min"
    return f"{action['method']} {action['url']}"


def _delivery(delivery: Document) -> str:
    error = f": {delivery['error']}" if delivery["error"] else ""
    return f"{delivery['what']} ({delivery['state']}{error})"
