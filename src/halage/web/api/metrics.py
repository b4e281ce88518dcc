"""Routes about metrics: what is measured, and what an expression comes to."""

import asyncio
import csv
import io
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from halage.base.errors import Invalid
from halage.monitor.metrics.expression import MAX_LENGTH
from halage.monitor.metrics.service import LONGEST_S, Answer
from halage.web.api import schemas_monitor_metrics as schemas
from halage.web.api.answers import closed_router
from halage.web.api.requests import ProjectFilter
from halage.web.caller import Door, Signed

DEFAULT_SPAN_S = 3 * 3600
"""How far back a query looks when it does not say."""
CSV_TYPE = "text/csv"
ACTION = "monitor:Show"

router = closed_router("metrics", prefix="/metrics", also=(404,))

_PATTERN = r"^[^\x00-\x1f]+$"
_MOMENT = (
    r"^(19[7-9][0-9]|2[0-5][0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)

NameFilter = Annotated[
    str,
    Query(
        max_length=200, pattern=_PATTERN, description="The metric; `*` and `?` stand for what is left open."
    ),
]
EnvironmentFilter = Annotated[
    str | None, Query(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="Only those of this environment.")
]
DimensionFilter = Annotated[
    list[Annotated[str, Query(max_length=300, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*:[^\x00-\x1f]+$")]],
    Query(
        max_length=10,
        description="NAME:VALUE, several times if need be; `*` and `?` stand for what is left open.",
        examples=[["instance:i-7"]],
    ),
]
SeriesLimit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
ExpressionText = Annotated[
    str,
    Query(
        min_length=1,
        max_length=MAX_LENGTH,
        description="What to work out: docs/reference/expressions.md.",
        examples=['average(instance_cpu_percent{environment="prod"} by environment)'],
    ),
]
From = Annotated[
    str | None,
    Query(alias="from", pattern=_MOMENT, description="The first moment; without: 3 hours before `to`."),
]
To = Annotated[str | None, Query(pattern=_MOMENT, description="The moment where it ends; without: now.")]
Period = Annotated[
    int | None,
    Query(ge=1, le=LONGEST_S, description="Seconds; without: so that a line has 300 values at most."),
]


class Form(StrEnum):
    """Forms of an answer."""

    JSON = "json"
    CSV = "csv"


FormWanted = Annotated[
    Form | None, Query(alias="format", description="Without: CSV for `Accept: text/csv`, else JSON.")
]


@router.get("", operation_id="search_metrics")
async def search_metrics(
    caller: Signed,
    door: Door,
    name: NameFilter = "*",
    project: ProjectFilter = None,
    environment: EnvironmentFilter = None,
    dimension: DimensionFilter = [],  # noqa: B006  (FastAPI copies it)
    limit: SeriesLimit = 200,
) -> schemas.MetricSearch:
    """Series of the projects that the caller may see, of the machine, and of Halage itself."""
    dimensions = dict(_pair(each) for each in dimension)
    if project is not None:
        caller.must_in(project, ACTION)
        dimensions["project"] = project
    else:
        caller.must("monitor:ShowMachine", "server")
    if environment is not None:
        dimensions["environment"] = environment
    found = await door.metrics.search(name, dimensions, caller.projects_where(ACTION))
    series = [schemas.MetricSeries.of_series(each) for each in found[:limit]]
    return schemas.MetricSearch(series=series, found=len(found))


@router.get(
    "/query",
    operation_id="query_metrics",
    response_model=schemas.MetricAnswer,
    responses={200: {"content": {CSV_TYPE: {"schema": {"type": "string"}}}}},
)
async def query_metrics(
    request: Request,
    caller: Signed,
    door: Door,
    expression: ExpressionText,
    from_: From = None,
    to: To = None,
    period: Period = None,
    form: FormWanted = None,
) -> schemas.MetricAnswer | Response:
    """What an expression comes to, of the series that the caller may see; at most 1,000 lines.

    As CSV: a row for each period, a column for each line, empty where there is no data.
    """
    caller.must("monitor:ShowMachine", "server")
    end = door.clock.now() if to is None else _moment("to", to)
    start = end - DEFAULT_SPAN_S if from_ is None else _moment("from", from_)
    answer = await door.metrics.query(expression, start, end, period, caller.projects_where(ACTION))
    if form is Form.CSV or (form is None and _prefers_csv(request)):
        # A hundred thousand values take a quarter of a second to write.
        text = await asyncio.to_thread(write_csv, answer)
        return Response(text, media_type=f"{CSV_TYPE}; charset=utf-8; header=present")
    return schemas.MetricAnswer.of(answer)


def write_csv(answer: Answer) -> str:
    """A row for each period: its beginning, and the value of each line."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["at", *(_cell(line.label) for line in answer.lines)])
    columns = [line.values for line in answer.lines]
    for index, row in enumerate(zip(*columns, strict=True)):
        at = datetime.fromtimestamp(answer.start + index * answer.period_s, UTC)
        writer.writerow([at.isoformat().replace("+00:00", "Z"), *row])
    return text.getvalue()


def _cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: labels hold what sites send."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _pair(dimension: str) -> tuple[str, str]:
    name, _, value = dimension.partition(":")
    return name, value


def _moment(name: str, text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise Invalid(f"`{name}` is no moment: there is no such day as in {text}.") from error


def _prefers_csv(request: Request) -> bool:
    kinds = [each.partition(";")[0].strip() for each in request.headers.get("accept", "").split(",")]
    return CSV_TYPE in kinds and "application/json" not in kinds
