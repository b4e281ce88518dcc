"""What comes in from outside, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from halage.monitor.metrics.model import Kind

Place = tuple[str, str]
"""A project and one of its environments."""


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """What an environment may send."""

    series: int = 500
    """Its own series that had a sample in the last day."""
    values: int = 50_000
    """Different values of its distributions and sets in one tick, as far as they are kept apart."""


@dataclass(frozen=True, slots=True)
class Point:
    """One metric that was put: a number, or the values of a distribution."""

    name: str
    kind: Kind
    values: tuple[float, ...]
    """Exactly one for a GAUGE and a COUNT, one or more for a DISTRIBUTION."""
    dimensions: Mapping[str, str]
    at: float | None = None
    """Seconds since the epoch; None is now."""


class Reason(StrEnum):
    """Why something was refused."""

    MALFORMED = "malformed"
    """It cannot be read."""
    NAME = "name"
    """The metric's name cannot be used."""
    DIMENSION = "dimension"
    """A dimension's name or value cannot be used."""
    VALUE = "value"
    """The value cannot be used."""
    KIND = "kind"
    """The metric is of another kind in this environment."""
    SERIES_LIMIT = "series_limit"
    """The environment has as many series as it may have."""
    VALUE_LIMIT = "value_limit"
    """More different values in one tick than are kept apart."""
    SCRAPE = "scrape"
    """An instance could not be scraped."""
    STORE = "store"
    """The store did not take it: it is full, or has as many series as it may have."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What was refused for one reason since Halage started, and the last of it in words."""

    reason: Reason
    count: int
    metric: str
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class Scrape:
    """The last scrape of an instance."""

    instance: str
    at: float
    samples: int
    duration_ms: float
    problem: str | None
    """What went wrong, None when nothing did."""


@dataclass(frozen=True, slots=True)
class EnvironmentIntake:
    """What an environment sends."""

    project: str
    environment: str
    series: int
    limit: int
    refused: tuple[Refused, ...]
    scrapes: tuple[Scrape, ...]


@dataclass(frozen=True, slots=True)
class StatsdState:
    """What came over StatsD since Halage started."""

    address: str | None
    """Where it is listened, None where StatsD is off."""
    lines: int
    malformed: int
    """Lines that cannot be read."""
    strangers: int
    """Lines without the key of an environment that exists."""
    dropped: int
    """Datagrams that came faster than they are read."""


@dataclass(frozen=True, slots=True)
class IntakeState:
    """Everything that is shown of the intake."""

    statsd: StatsdState
    environments: tuple[EnvironmentIntake, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer to a put: what was kept, and how much room is left."""

    points: int
    series: int
    """The environment's own series now."""
    limit: int
