"""What the API answers about dashboards."""

from datetime import datetime

from pydantic import Field

from halage.monitor.dashboards.model import Dashboard as DashboardModel
from halage.monitor.dashboards.model import Unit, WidgetKind
from halage.web.api.schemas import View


class MetricLine(View):
    """One expression of a widget."""

    expression: str
    label: str


class Threshold(View):
    """A static line across a graph."""

    value: float
    label: str


class Widget(View):
    """One thing on a dashboard."""

    id: str
    kind: WidgetKind
    x: int
    y: int
    width: int
    height: int
    title: str
    lines: list[MetricLine]
    thresholds: list[Threshold]
    unit: Unit
    minimum: float | None
    maximum: float | None
    period_s: int | None
    shows_week_before: bool
    shows_deployments: bool
    shows_alarm_thresholds: bool
    text: str
    alarms: list[int]


class DashboardHead(View):
    """A dashboard without its widgets."""

    id: str
    project: str | None
    environment: str | None
    name: str
    version: int = Field(description="Goes up with each change; 0: made by itself, nobody changed it.")
    is_made: bool = Field(description="Whether it is as Halage made it.")
    created_at: datetime | None
    updated_at: datetime | None
    updated_by: str


class Dashboard(DashboardHead):
    """A dashboard with its widgets."""

    range_s: int
    widgets: list[Widget]

    @classmethod
    def of_model(cls, dashboard: DashboardModel) -> "Dashboard":
        """The view of a dashboard."""
        head = DashboardHead.of(dashboard).model_dump()
        widgets = [Widget.of(widget) for widget in dashboard.layout.widgets]
        return cls(**head, range_s=dashboard.layout.range_s, widgets=widgets)
