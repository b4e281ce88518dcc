"""What the API answers with about metrics."""

from datetime import datetime
from typing import Self

from pydantic import Field

from halage.monitor.metrics.catalogue import find_metric
from halage.monitor.metrics.model import Kind, Series
from halage.web.api.schemas import View


class MetricSeries(View):
    """A series: a metric with its dimensions."""

    name: str
    dimensions: dict[str, str]
    kind: Kind
    unit: str | None = Field(description='What a value counts; "" for a bare number, null for a site\'s own.')
    meaning: str | None = Field(description="What it says; null for a site's own metric.")
    resolution_s: int = Field(description="Seconds between samples.")
    first_at: datetime
    last_at: datetime

    @classmethod
    def of_series(cls, series: Series) -> Self:
        """The view of a series, with what the catalogue says of its metric."""
        metric = find_metric(series.key.name)
        return cls.model_validate(
            {
                "name": series.key.name,
                "dimensions": dict(series.key.dimensions),
                "kind": series.kind,
                "unit": metric.unit if metric else None,
                "meaning": metric.meaning if metric else None,
                "resolution_s": series.resolution_s,
                "first_at": series.first_at,
                "last_at": series.last_at,
            }
        )


class MetricSearch(View):
    """Series that match, by name, those that were heard of last first."""

    series: list[MetricSeries]
    found: int = Field(description="How many match; more than are listed where `limit` cut the list off.")


class MetricLine(View):
    """A line of an answer."""

    label: str = Field(description="What tells it from the other lines; of a single one the expression.")
    dimensions: dict[str, str]
    values: list[float | None] = Field(description="By period, from `start` on; null where there is no data.")


class MetricAnswer(View):
    """What an expression comes to."""

    start: datetime = Field(description="The beginning of the first period.")
    period_s: int = Field(description="Longer than asked for where only that is kept.")
    lines: list[MetricLine]
    problems: list[str] = Field(
        description="In words: what could not be read, what matched nothing, what came otherwise than asked."
    )
