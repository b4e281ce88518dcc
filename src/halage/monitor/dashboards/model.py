"""A dashboard: graphs, numbers and words on a grid of twelve columns."""

from dataclasses import dataclass
from enum import StrEnum

COLUMNS = 12
"""Width of the grid."""
MAX_HEIGHT = 20
"""Rows that one widget may take."""
MAX_WIDGETS = 60
MAX_LINES = 20
"""Expressions of one widget."""

MACHINE = "machine"
"""The id of the machine's dashboard; an environment's is `PROJECT.ENVIRONMENT`."""


class WidgetKind(StrEnum):
    """What a widget is drawn as."""

    LINE = "line"
    STACKED = "stacked"
    BAR = "bar"
    NUMBER = "number"
    GAUGE = "gauge"
    TABLE = "table"
    TEXT = "text"
    ALARM = "alarm"

    @property
    def has_lines(self) -> bool:
        """Whether it shows metrics."""
        return self not in (WidgetKind.TEXT, WidgetKind.ALARM)


class Unit(StrEnum):
    """How numbers are written."""

    NONE = "none"
    PERCENT = "percent"
    BYTES = "bytes"
    MILLISECONDS = "milliseconds"
    SECONDS = "seconds"
    PER_SECOND = "per_second"
    BYTES_PER_SECOND = "bytes_per_second"


@dataclass(frozen=True, slots=True)
class MetricLine:
    """One expression of a widget; without a label the lines are named by their dimensions."""

    expression: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A static line across a graph."""

    value: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Widget:
    """One thing on a dashboard, at column x and row y, both from 0 on."""

    id: str
    kind: WidgetKind
    x: int
    y: int
    width: int
    height: int
    title: str = ""
    lines: tuple[MetricLine, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    unit: Unit = Unit.NONE
    minimum: float | None = None
    """Where the axis or the gauge begins; None: by the numbers."""
    maximum: float | None = None
    period_s: int | None = None
    """Seconds that one point stands for; None: by the time range."""
    shows_week_before: bool = False
    shows_deployments: bool = False
    shows_alarm_thresholds: bool = False
    """Whether the thresholds of `alarms` are drawn; none chosen: of those on one of its expressions."""
    text: str = ""
    alarms: tuple[int, ...] = ()
    """Alarms by id; none, for an alarm widget: all of the dashboard's environment or project."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What people change of a dashboard and carry from one server to another."""

    name: str
    widgets: tuple[Widget, ...] = ()
    range_s: int = 3 * 3600
    """The time that it shows until somebody chooses another (seconds back from now)."""
    environment: str | None = None
    """The environment of its project whose deployments and alarms are shown."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard as it is now."""

    id: str
    project: str | None
    """None: it belongs to the server; everybody signed in sees it, administrators change it."""
    layout: Layout
    version: int
    """Goes up with each change; 0: made by itself, nobody has changed it."""
    created_at: float | None = None
    updated_at: float | None = None
    updated_by: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.layout.name

    @property
    def environment(self) -> str | None:
        """Its environment, if it has one."""
        return self.layout.environment

    @property
    def is_made(self) -> bool:
        """Whether it is as Halage made it: nobody has changed it."""
        return self.version == 0


@dataclass(frozen=True, slots=True)
class Place:
    """What has a dashboard by itself: an environment, or (without a project) the machine."""

    project: str | None = None
    environment: str | None = None

    @property
    def id(self) -> str:
        """The id of its dashboard."""
        return MACHINE if self.project is None else f"{self.project}.{self.environment}"
