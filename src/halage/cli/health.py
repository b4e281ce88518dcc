"""`halage env health`, `take-out`, `put-back`: how an environment is and was, instances to look at."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halage.cli import terminal
from halage.cli.environments import POLL_S, Environment, Project, Wait
from halage.cli.exits import FAILED
from halage.cli.graph import number
from halage.cli.session import session_of
from halage.cli.words import duration, for_api, local, moment, moment_before

if TYPE_CHECKING:
    from halage.client import Client

PATIENCE_S = 300.0
"""How long `take-out` waits for the last request of the instance, or for the one in its place."""
Instance = Annotated[str, typer.Argument(help="The instance's id, such as i-3f9k2m.")]


def show(
    context: typer.Context,
    project: Project,
    environment: Environment,
    history: Annotated[bool, typer.Option("--history", help="What it was, instead of what it is.")] = False,
    since: Annotated[
        str, typer.Option("--since", help="With --history: from when on, such as 90m, 7d or 2026-11-23.")
    ] = "24h",
) -> None:
    """Show how an environment is and why, instance by instance; or how it was."""
    session = session_of(context)
    with session.connect() as client:
        if history:
            start = for_api(moment_before(since, datetime.now(UTC).astimezone()))
            found = client.list_health_history(project, environment, from_=start)
            columns = ("from", "for", "status", "why")
            session.show(
                columns, [_span(each) for each in found], found, empty="Its health was never recorded."
            )
            return
        health = client.show_environment_health(project, environment)
    if session.wants_json:
        terminal.print_json(health)
    else:
        _print_health(health)


def take_out(
    context: typer.Context,
    project: Project,
    environment: Environment,
    instance: Instance,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let another instance serve in its place, before it leaves.")
    ] = False,
    wait: Wait = True,
) -> None:
    """Take an instance out of the balancer to look at it: it runs on and counts nowhere."""
    session = session_of(context)
    with session.connect() as client:
        health = client.take_out_instance(project, environment, instance, replace=replace)
        if wait:
            health = _until(client, health, instance, "taken_out")
    session.tell(f"{instance} of {project} {environment}: {_state_words(health, instance)}.", health)
    if wait and _state_of(health, instance) != "taken_out":
        raise typer.Exit(FAILED)


def put_back(
    context: typer.Context, project: Project, environment: Environment, instance: Instance, wait: Wait = True
) -> None:
    """Let an instance serve again; one of another release than the current ends instead."""
    session = session_of(context)
    with session.connect() as client:
        health = client.put_back_instance(project, environment, instance)
        if wait:
            health = _until(client, health, instance, "serving", "gone")
    session.tell(f"{instance} of {project} {environment}: {_state_words(health, instance)}.", health)
    if wait and _state_of(health, instance) not in ("serving", "gone"):
        raise typer.Exit(FAILED)


def _until(client: "Client", health: dict[str, Any], instance: str, *states: str) -> dict[str, Any]:
    """The health once the instance is in one of these states, or once that takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    with terminal.progress(instance) as tell:
        while _state_of(health, instance) not in states and time.monotonic() < deadline:
            tell(_state_words(health, instance))
            time.sleep(POLL_S)
            health = client.show_environment_health(health["project"], health["environment"])
    return health


def _state_of(health: dict[str, Any], instance: str) -> str:
    found = next((each for each in health["instances"] if each["id"] == instance), None)
    return "gone" if found is None else str(found["state"])


def _state_words(health: dict[str, Any], instance: str) -> str:
    words = {"taken_out": "taken out, runs on", "gone": "ended"}
    state = _state_of(health, instance)
    return words.get(state, state.replace("_", " "))


def _span(span: dict[str, Any]) -> list[Any]:
    began, ended = moment(span["began_at"]), moment(span["ended_at"])
    assert began is not None
    lasted = ((ended or datetime.now(UTC)) - began).total_seconds()
    return [
        local(span["began_at"]),
        duration(lasted),
        terminal.plain(span["status"].replace("_", " "), _STYLES[span["colour"]]),
        span["summary"],
    ]


_STYLES = {"green": "green", "yellow": "yellow", "red": "red", "grey": "dim"}


def _print_health(health: dict[str, Any]) -> None:
    style = _STYLES[health["colour"]]
    recent = health["recent"]
    terminal.print_facts(
        [
            ("environment", f"{health['environment']} of {health['project']}"),
            ("status", terminal.plain(f"{health['status'].replace('_', ' ')} ({health['colour']})", style)),
            ("why", health["summary"]),
            *(("", cause["text"]) for cause in health["causes"] if cause["text"] not in health["summary"]),
            ("instances", f"{health['serving']} of {health['wanted']}"),
            *([("last minute", _requests(recent))] if recent is not None else []),
        ]
    )
    if health["instances"]:
        terminal.print_line("")
        columns = ("instance", "state", "release", "check", "cpu", "memory", "last minute", "why")
        terminal.print_table(
            columns, [_row(each, health["causes"]) for each in health["instances"]], empty=""
        )


def _requests(recent: dict[str, Any]) -> str:
    counts = (("requests", "count"), ("failed (5xx)", "errors"), ("refused (4xx)", "client_errors"))
    words = ", ".join(f"{recent[key]} {name}" for name, key in counts)
    if recent["p95_ms"] is None:
        return words
    times = (f"{name} {number(recent[f'{name}_ms'])}" for name in ("p50", "p95", "p99"))
    return f"{words}, {' '.join(times)} ms"


def _row(instance: dict[str, Any], causes: list[dict[str, Any]]) -> list[Any]:
    recent = instance["recent"]
    blamed = [cause["kind"].replace("_", " ") for cause in causes if cause["instance"] == instance["id"]]
    return [
        instance["id"],
        terminal.coloured(instance["state"]),
        f"v{instance['release_number']}",
        instance["check"],
        _percent(instance["cpu_percent"]),
        _percent(instance["memory_percent"]),
        "-" if recent is None else f"{recent['count']}, {recent['errors']} failed",
        ", ".join(dict.fromkeys(blamed)),
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}%"
