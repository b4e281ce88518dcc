"""`halage env scaling`, `suspend`, `resume`, `protect`, `simulate`: what changes the number of instances."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from halage.base.errors import Invalid
from halage.cli import terminal
from halage.cli.environments import Environment, Project
from halage.cli.graph import number, picture
from halage.cli.session import session_of
from halage.cli.words import duration, for_api, local, parse_duration

PROCESSES = ("out", "in", "schedule", "replace")
_WIDTH, _HEIGHT = 72, 6
_SHOWN_CHANGES = 10
_What = Annotated[
    list[str] | None, typer.Argument(metavar="[out|in|schedule|replace]...", help="What; without: all of it.")
]


def scaling(
    context: typer.Context,
    project: Project,
    environment: Environment,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many decisions.")] = 20,
) -> None:
    """Show what scales an environment, how it stands now, and every decision with its numbers."""
    session = session_of(context)
    with session.connect() as client:
        found = client.show_scaling(project, environment, limit=limit)
    if session.wants_json:
        terminal.print_json(found)
        return
    for each in found["processes"]:
        terminal.print_facts(_facts(each))
        terminal.print_line("")
    if found["suspended"]:
        terminal.print_note(f"Suspended: {', '.join(found['suspended'])}.", "yellow")
    rows = [
        [
            local(each["at"]),
            each["process"],
            each["kind"].replace("_", " "),
            f"{each['before']} to {each['after']}" if each["before"] != each["after"] else str(each["after"]),
            each["reason"],
        ]
        for each in found["decisions"]
    ]
    columns = ("when", "kind", "decision", "instances", "why")
    terminal.print_table(columns, rows, empty="Nothing was decided yet.")


def _facts(process: dict[str, Any]) -> list[tuple[str, str]]:
    limits = "no limits: only people and alarms change the number"
    if process["is_active"]:
        limits = f"{process['minimum']} to {process['maximum']}"
    latest = process["latest"]
    return [
        ("kind", process["process"]),
        (
            "instances",
            f"{process['wanted']}, {process['warming']} warming up, {process['protected']} protected",
        ),
        ("limits", limits),
        *(("trigger", _trigger_words(each)) for each in process["triggers"]),
        *(("schedule", _size_words(each)) for each in process["schedule"]),
        *([("now", f"{latest['kind'].replace('_', ' ')}: {latest['reason']}")] if latest else []),
    ]


def _trigger_words(trigger: dict[str, Any]) -> str:
    words = f"{trigger['name']}: {trigger['kind']}"
    if trigger["target"] is not None:
        words += f" {number(trigger['target'])}"
    if trigger["upper"] is not None:
        words += f", over {number(trigger['upper'])} {trigger['add']} more"
    if trigger["lower"] is not None:
        words += f", under {number(trigger['lower'])} {trigger['remove']} fewer"
    return f"{words}, for {duration(trigger['breach_s'])} ({trigger['expression'] or 'queue'})"


def _size_words(size: dict[str, Any]) -> str:
    named = [("minimum", size["minimum"]), ("maximum", size["maximum"]), ("instances", size["instances"])]
    values = ", ".join(f"{name} {value}" for name, value in named if value is not None)
    return f"{size['name']}: {size['cron']} ({size['timezone']}): {values}"


def suspend(context: typer.Context, project: Project, environment: Environment, what: _What = None) -> None:
    """Keep scaling from adding, taking away, following its schedule, or replacing who dies."""
    _change(context, project, environment, lambda held: held | _checked(what))


def resume(context: typer.Context, project: Project, environment: Environment, what: _What = None) -> None:
    """Let scaling do again what was suspended."""
    _change(context, project, environment, lambda held: held - _checked(what))


def _checked(what: list[str] | None) -> set[str]:
    chosen = set(what or PROCESSES)
    if unknown := sorted(chosen - set(PROCESSES)):
        raise Invalid(f"{unknown[0]!r} cannot be suspended; allowed is: {', '.join(PROCESSES)}.")
    return chosen


def _change(context: typer.Context, project: str, environment: str, change: Any) -> None:
    session = session_of(context)
    with session.connect() as client:
        held = set(client.show_scaling(project, environment, limit=1)["suspended"])
        found = client.suspend_scaling(project, environment, sorted(change(held)))
    words = ", ".join(found["suspended"]) or "nothing"
    session.tell(f"{environment} of {project}: {words} suspended.", found)


def protect(
    context: typer.Context,
    project: Project,
    environment: Environment,
    instance: Annotated[str, typer.Argument(help="Its id, such as i-abc; `halage env show` lists them.")],
    off: Annotated[bool, typer.Option("--off", help="It may be taken away again.")] = False,
) -> None:
    """Keep scaling from taking an instance away; a deployment replaces it all the same."""
    session = session_of(context)
    with session.connect() as client:
        found = client.protect_instance(project, environment, instance, is_protected=not off)
    session.tell(f"{instance} is {'not protected any more' if off else 'protected from scaling in'}.", found)


def simulate(
    context: typer.Context,
    project: Project,
    environment: Environment,
    capacity: Annotated[float, typer.Option(min=0.001, help="Requests a second that one instance takes.")],
    trace: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="CSV: a time and the requests until the next; - for stdin."),
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="DURATION", help="Without a trace: how much of the own traffic.")
    ] = "7d",
    boot: Annotated[str, typer.Option(metavar="DURATION", help="From a start to the first answer.")] = "20s",
    minimum: Annotated[int | None, typer.Option(min=0, max=100, help="In place of its own.")] = None,
    maximum: Annotated[int | None, typer.Option(min=1, max=1000, help="In place of its own.")] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE",
            help="In place of its triggers: requests, in_flight, queue, cpu or latency; may be repeated.",
        ),
    ] = None,
    static: Annotated[
        int | None, typer.Option(min=1, help="The fleet beside it; without: as many as the peak needs.")
    ] = None,
    svg: Annotated[str | None, typer.Option(metavar="FILE", help="Draw it into this file as well.")] = None,
) -> None:
    """Replay a traffic through the rules that scale the environment, beside a fleet that stays as it is."""
    session = session_of(context)
    wanted: dict[str, Any] = {
        "capacity": capacity,
        "boot_s": parse_duration(boot),
        "is_drawn": svg is not None,
    }
    wanted |= {"minimum": minimum, "maximum": maximum, "static": static}
    if target:
        wanted["targets"] = dict(_target(each) for each in target)
    if trace is not None:
        wanted["trace"] = _read(trace)
    else:
        wanted["from"] = for_api(datetime.fromtimestamp(time.time() - parse_duration(since), UTC))
    with session.connect() as client:
        found = client.simulate_scaling(project, environment, wanted)
    if svg is not None:
        _write(svg, found["picture"])
    if session.wants_json:
        terminal.print_json(found)
    else:
        _print_simulation(found)


def _print_simulation(found: dict[str, Any]) -> None:
    scaled, static = found["scaled"], found["static"]
    times = f"{local(found['start'])} to {local(found['end'])}"
    terminal.print_line(f"{found['requests']:,.0f} requests, at most {found['peak']:,.0f} a second, {times}")
    if found["gaps"]:
        terminal.print_note(
            f"The recording pauses {found['gaps']} times; there nobody is taken to have come."
        )
    _print_picture("requests a second", [each["rate"] for each in scaled["columns"]])
    _print_picture("instances", [float(each["instances"]) for each in scaled["columns"]])
    terminal.print_line("")
    rows = [_fleet_row("scaled", scaled, found), _fleet_row(f"static {static['most']}", static, found)]
    columns = ("fleet", "instance hours", "instances", "dropped", "of all", "over target", "changes")
    terminal.print_table(columns, rows, empty="")
    saved = 1 - scaled["instance_hours"] / static["instance_hours"] if static["instance_hours"] else 0.0
    terminal.print_line(f"Scaling takes {abs(saved):.0%} {'fewer' if saved >= 0 else 'more'} instance hours.")
    for each in scaled["changes"][:_SHOWN_CHANGES]:
        terminal.print_line(f"{local(each['at'])}  {each['reason']}", "dim")
    if scaled["changes_count"] > _SHOWN_CHANGES:
        terminal.print_note(f"{scaled['changes_count']} changes in all; --output json has the first 1,000.")


def _fleet_row(name: str, fleet: dict[str, Any], found: dict[str, Any]) -> list[str]:
    share = fleet["dropped"] / found["requests"] if found["requests"] else 0.0
    return [
        name,
        f"{fleet['instance_hours']:,.0f}",
        f"{fleet['least']} to {fleet['most']}",
        f"{fleet['dropped']:,.0f}",
        f"{share:.4%}",
        duration(fleet["over_target_s"]),
        str(fleet["changes_count"]),
    ]


def _print_picture(title: str, values: list[float]) -> None:
    terminal.print_line("")
    terminal.print_line(f"{title}, at most {number(max(values))}", "dim")
    for row in picture(values, _WIDTH, _HEIGHT):
        terminal.print_line(f"│{row}".rstrip())


def _target(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        return (name, float(value)) if equals and name else _refuse_target(text)
    except ValueError:
        return _refuse_target(text)


def _refuse_target(text: str) -> tuple[str, float]:
    raise Invalid(f"A target is written METRIC=VALUE, such as requests=80, not {text!r}.")


def _read(place: str) -> str:
    try:
        return sys.stdin.read() if place == "-" else Path(place).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Invalid(f"{place} cannot be read: {reason}.") from error


def _write(place: str, text: str) -> None:
    try:
        Path(place).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{place} cannot be written: {error.strerror}.") from error
    terminal.print_note(f"Wrote {place}.")
