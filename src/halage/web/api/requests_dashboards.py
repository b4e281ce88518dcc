"""What the API takes about dashboards."""

from typing import Annotated

from fastapi import Path
from pydantic import BeforeValidator, Field

from halage.monitor.dashboards.model import (
    COLUMNS,
    MAX_HEIGHT,
    MAX_LINES,
    MAX_WIDGETS,
    Layout,
    Unit,
    WidgetKind,
)
from halage.monitor.dashboards.rules import from_document
from halage.web.api.requests import MAX_ID, Flag, Number, RequestBody, is_number

_NAME = r"^[a-z][a-z0-9-]{0,62}$"
_TEXT = r"^[^\x00]*$"
_LABEL = r"^[^\x00-\x1f\x7f-\x9f]*$"

DashboardId = Annotated[
    str,
    Path(
        pattern=r"^([1-9][0-9]{0,14}|[a-z][a-z0-9-]{0,62}\.[a-z][a-z0-9-]{0,62}|machine)$",
        description="A dashboard's number; `machine`; or `PROJECT.ENVIRONMENT`, which each environment has.",
        examples=["boutique.prod"],
    ),
]
Real = Annotated[float, Field(allow_inf_nan=False, ge=-1e300, le=1e300), BeforeValidator(is_number)]
Whole = Annotated[int, BeforeValidator(is_number)]


class LineWanted(RequestBody):
    """An expression; without a label its lines are named by their dimensions."""

    expression: str = Field(min_length=1, max_length=2000, pattern=_TEXT)
    label: str = Field(default="", max_length=100, pattern=_LABEL)


class ThresholdWanted(RequestBody):
    """A static line across a graph."""

    value: Real
    label: str = Field(default="", max_length=100, pattern=_LABEL)


class WidgetWanted(RequestBody):
    """One thing on a dashboard, at column x and row y, both from 0 on."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    kind: WidgetKind
    x: Whole = Field(ge=0, le=COLUMNS - 1)
    y: Whole = Field(ge=0, le=1000)
    width: Whole = Field(ge=1, le=COLUMNS)
    height: Whole = Field(ge=1, le=MAX_HEIGHT)
    title: str = Field(default="", max_length=100, pattern=_LABEL)
    lines: list[LineWanted] = Field(default=[], max_length=MAX_LINES)
    thresholds: list[ThresholdWanted] = Field(default=[], max_length=20)
    unit: Unit = Unit.NONE
    minimum: Real | None = None
    maximum: Real | None = None
    period_s: Annotated[int, Field(ge=1, le=30 * 86400), BeforeValidator(is_number)] | None = None
    shows_week_before: Flag = False
    shows_deployments: Flag = False
    shows_alarm_thresholds: Flag = Field(
        default=False,
        description="Draw the thresholds of `alarms`; of none: of those that watch one of its expressions.",
    )
    text: str = Field(default="", max_length=10_000, pattern=_TEXT)
    alarms: list[Number] = Field(default=[], max_length=200)


class LayoutFields(RequestBody):
    """What people change of a dashboard."""

    name: str = Field(min_length=1, max_length=100, pattern=_LABEL)
    environment: str | None = Field(
        default=None,
        pattern=_NAME,
        description="The environment of its project whose deployments and alarms are shown.",
    )
    range_s: Whole = Field(default=3 * 3600, ge=60, le=455 * 86400, description="Seconds back from now.")
    widgets: list[WidgetWanted] = Field(default=[], max_length=MAX_WIDGETS)

    def layout(self) -> Layout:
        """As the domain takes it."""
        return from_document(self.model_dump(mode="json", exclude={"project", "version"}))


class DashboardWanted(LayoutFields):
    """A dashboard to make."""

    project: str | None = Field(
        default=None, pattern=_NAME, description="Null: it belongs to the server, for everybody to see."
    )


class DashboardChange(LayoutFields):
    """The layout that a dashboard shall have."""

    version: Annotated[int, Field(ge=0, le=MAX_ID), BeforeValidator(is_number)] = Field(
        description="The version that was changed: another one is refused with 409, so that nothing that "
        "somebody else saved meanwhile is lost. 0 for a made-by-itself one."
    )
