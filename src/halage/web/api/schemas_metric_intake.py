"""What the API says of a site's own metrics on their way in."""

from datetime import datetime

from pydantic import Field

from halage.monitor.intake.model import Reason
from halage.web.api.schemas import View


class KeptMetrics(View):
    """What was kept, and how much room is left."""

    points: int = Field(description="Metrics of the batch: all of them.")
    series: int = Field(description="The environment's own series now.")
    limit: int = Field(description="How many it may have.")


class RefusedMetrics(View):
    """What was refused for one reason since the server started, and the last of it."""

    reason: Reason
    count: int
    metric: str = Field(description="The last one's name, empty where it has none.")
    message: str
    at: datetime


class Scrape(View):
    """The last scrape of an instance."""

    instance: str
    at: datetime
    samples: int
    duration_ms: float
    problem: str | None


class EnvironmentIntake(View):
    """What an environment sends of its own."""

    project: str
    environment: str
    series: int = Field(description="Its own series with a sample in the last day.")
    limit: int
    refused: list[RefusedMetrics]
    scrapes: list[Scrape]


class StatsdState(View):
    """What came over StatsD since the server started."""

    address: str | None = Field(description="Where it listens; null where StatsD is off.")
    lines: int
    malformed: int = Field(description="Lines that cannot be read.")
    strangers: int = Field(description="Lines without the key of an environment.")
    dropped: int = Field(description="Datagrams that came faster than they are read.")


class MetricIntake(View):
    """What comes in from sites and their people's scripts."""

    statsd: StatsdState
    environments: list[EnvironmentIntake]
