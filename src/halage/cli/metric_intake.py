"""`halage metric put`, `intake` and `export`: a site's own metrics in, everything out."""

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from halage.base.errors import Invalid
from halage.cli import terminal
from halage.cli.session import session_of
from halage.cli.words import local, parse_dimensions


class MetricKind(StrEnum):
    """What a value says."""

    GAUGE = "gauge"
    COUNT = "count"
    DISTRIBUTION = "distribution"


def put(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="The project.")],
    environment: Annotated[str, typer.Argument(help="The environment.")],
    name: Annotated[str, typer.Argument(help="The metric, such as orders.")],
    values: Annotated[list[float], typer.Argument(help="Its value; a distribution may have several.")],
    kind: Annotated[
        MetricKind, typer.Option(help="A level, how often something happened, or values to take together.")
    ] = MetricKind.GAUGE,
    dimension: Annotated[
        list[str] | None,
        typer.Option("--dimension", "-d", metavar="NAME=VALUE", help="Such as country=fr. May be repeated."),
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="The moment that it is of, such as 2026-01-05T09:30:00Z; without: now.")
    ] = None,
) -> None:
    """Keep a metric of an environment's own."""
    if len(values) > 1 and kind is not MetricKind.DISTRIBUTION:
        raise Invalid(f"A {kind.value} has one value; several go with --kind distribution.")
    metric: dict[str, Any] = {"name": name, "kind": kind.value, "dimensions": parse_dimensions(dimension)}
    metric |= {"value": values[0]} if len(values) == 1 else {"values": values}
    if at is not None:
        metric["at"] = at
    session = session_of(context)
    with session.connect() as client:
        kept = client.put_metrics(project, environment, [metric])
    session.tell(
        f"Kept. {project}.{environment} has {kept['series']} of {kept['limit']} series of its own.", kept
    )


def intake(context: typer.Context) -> None:
    """Show what sites send of their own, what was refused and why."""
    session = session_of(context)
    with session.connect() as client:
        state = client.show_metric_intake()
    rows = []
    for each in state["environments"]:
        place = f"{each['project']}.{each['environment']}"
        rows.append([place, f"{each['series']}/{each['limit']}", "", "", ""])
        for refused in each["refused"]:
            words = f"{refused['count']} refused: {refused['reason']}"
            rows.append([place, "", words, local(refused["at"]), refused["message"]])
        for scrape in each["scrapes"]:
            what = scrape["problem"] or f"{scrape['samples']} series in {scrape['duration_ms']:g} ms"
            rows.append([place, "", f"scrape of {scrape['instance']}", local(scrape["at"]), what])
    columns = ("environment", "series", "what", "last", "")
    session.show(columns, rows, state, empty="No environment may send metrics of its own.")
    if not session.wants_json:
        terminal.print_note(_statsd(state["statsd"]))


def export(context: typer.Context) -> None:
    """Print everything that stands now, in Prometheus' text format."""
    session = session_of(context)
    with session.connect() as client:
        text = client.export_metrics()
    if session.wants_json:
        terminal.print_json({"text": text})
    else:
        sys.stdout.write(text)


def _statsd(state: dict[str, Any]) -> str:
    if state["address"] is None:
        return "StatsD is off: the setting metrics.statsd turns it on."
    return (
        f"StatsD at {state['address']}: {state['lines']} lines, {state['malformed']} malformed, "
        f"{state['strangers']} without a key, {state['dropped']} datagrams dropped."
    )
