"""`halage metric`: what is measured, and what an expression comes to."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from halage.base.errors import Invalid
from halage.cli import terminal
from halage.cli.documents import write_file
from halage.cli.graph import bounds, number, picture, sparkline
from halage.cli.session import session_of
from halage.cli.words import (
    duration,
    for_api,
    local,
    parse_dimensions,
    parse_duration,
    parse_moment,
    parse_period,
)

DEFAULT_SINCE_S = 3 * 3600
_WIDTH = 60
_HEIGHT = 8


def list_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The metric; `*` and `?` stand for what is left open.")] = "*",
    project: Annotated[str | None, typer.Option(help="Only those of this project.")] = None,
    environment: Annotated[str | None, typer.Option(help="Only those of this environment.")] = None,
    dimension: Annotated[
        list[str] | None,
        typer.Option(
            "--dimension",
            "-d",
            metavar="NAME=VALUE",
            help="Only those with this: instance=i-7. May be repeated.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 200,
) -> None:
    """List what is measured: metrics with their dimensions."""
    session = session_of(context)
    dimensions = parse_dimensions(dimension)
    with session.connect() as client:
        found = client.search_metrics(
            name, project=project, environment=environment, dimensions=dimensions, limit=limit
        )
    rows = [
        [
            each["name"],
            " ".join(f"{key}={value}" for key, value in each["dimensions"].items()),
            each["kind"],
            each["unit"] or "",
            local(each["last_at"]),
        ]
        for each in found["series"]
    ]
    columns = ("metric", "dimensions", "kind", "unit", "last sample")
    session.show(columns, rows, found, empty="Nothing that matches was measured yet.")
    if found["found"] > len(rows):
        terminal.print_note(
            f"{len(rows)} of {found['found']}: name a metric, a project or a dimension to see the others."
        )


def query(
    context: typer.Context,
    expression: Annotated[
        str, typer.Argument(help="Such as 'average(instance_cpu_percent{environment=\"prod\"})'.")
    ],
    since: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How far back: 30m, 1d, 2w; by default 3h.")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="MOMENT", help="Such as '2026-01-05 09:30' (local time).")
    ] = None,
    to: Annotated[str | None, typer.Option(metavar="MOMENT", help="Where it ends; by default now.")] = None,
    period: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Such as 5m; by default so that 300 values come at most."),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the values as CSV into this file; - for stdout."),
    ] = None,
) -> None:
    """Show what an expression comes to: docs/reference/expressions.md."""
    session = session_of(context)
    begin, end = _span(since, from_, to)
    period_s = None if period is None else parse_period(period)
    with session.connect() as client:
        if csv is not None:
            text = client.query_metrics_csv(expression, from_=begin, to=end, period=period_s)
            _write(csv, text)
            return
        answer = client.query_metrics(expression, from_=begin, to=end, period=period_s)
    if session.wants_json:
        terminal.print_json(answer)
        return
    for problem in answer["problems"]:
        terminal.print_note(problem, "yellow")
    if answer["lines"]:
        _print_answer(answer)
    else:
        terminal.print_note("No values at that time.")


def _print_answer(answer: dict[str, Any]) -> None:
    lines = answer["lines"]
    count = len(lines[0]["values"])
    start = datetime.fromisoformat(answer["start"])
    end = datetime.fromtimestamp(start.timestamp() + count * answer["period_s"], UTC)
    first, last = local(answer["start"]), local(end.isoformat())
    terminal.print_line(f"{first} to {last}, a value for each {duration(answer['period_s'])}", "dim")
    if len(lines) == 1 and count > 1:
        _print_picture(lines[0]["values"])
    rows = []
    for line in lines:
        present = [value for value in line["values"] if value is not None]
        rows.append(
            [
                line["label"],
                *([] if len(lines) == 1 else [sparkline(line["values"], _WIDTH)]),
                number(present[-1]),
                number(min(present)),
                number(max(present)),
            ]
        )
    columns = ("line", *(() if len(lines) == 1 else ("graph",)), "last", "lowest", "highest")
    terminal.print_table(columns, rows, empty="")


def _print_picture(values: list[float | None]) -> None:
    low, high = bounds(values)
    top, bottom = number(high), number(low)
    width = max(len(top), len(bottom))
    rows = picture(values, _WIDTH, _HEIGHT)
    for index, row in enumerate(rows):
        side = top if index == 0 else bottom if index == len(rows) - 1 else ""
        terminal.print_line(f"{side:>{width}} │{row}".rstrip())


def _span(since: str | None, from_: str | None, to: str | None) -> tuple[str, str | None]:
    """The first moment and the last as the API takes them. Raises Invalid."""
    if since is not None and from_ is not None:
        raise Invalid("--since and --from say the same: give one of them.")
    end = None if to is None else parse_moment(to)
    if from_ is not None:
        begin = parse_moment(from_)
    else:
        until = time.time() if end is None else end.timestamp()
        back = DEFAULT_SINCE_S if since is None else parse_duration(since)
        begin = datetime.fromtimestamp(until - back, UTC)
    return for_api(begin), None if end is None else for_api(end)


def _write(place: str, text: str) -> None:
    if place == "-":
        sys.stdout.write(text)
        return
    write_file(Path(place), text)
    terminal.print_note(f"Wrote {place}.")
