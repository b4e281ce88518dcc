"""What the API takes of a site's own metrics."""

from typing import Annotated, Self

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints, model_validator

from halage.monitor.intake.model import Point
from halage.monitor.metrics.model import Kind
from halage.web.api.requests import RequestBody, is_number

MOST_POINTS = 1000
MOST_VALUES = 10_000

Value = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(is_number)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=128)]
DimensionName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=64)]
DimensionValue = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]


class MetricWanted(RequestBody):
    """A metric: `value`, or for a distribution `values`."""

    name: Name = Field(description="Not one that begins as Halage's own do.", examples=["orders"])
    kind: Kind = Kind.GAUGE
    value: Value | None = None
    values: list[Value] | None = Field(default=None, min_length=1, max_length=MOST_VALUES)
    dimensions: dict[DimensionName, DimensionValue] = Field(
        default_factory=dict, description="At most 10. Halage adds project and environment."
    )
    at: AwareDatetime | None = Field(
        default=None, description="The moment that it is of, an hour ago at most. Null: now."
    )

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if (self.value is None) == (self.values is None):
            raise ValueError("give either value or values")
        if self.values is not None and self.kind is not Kind.DISTRIBUTION:
            raise ValueError("only a distribution has values; a gauge and a count have a value")
        return self

    @property
    def point(self) -> Point:
        """The metric as the intake takes it."""
        values = tuple(self.values) if self.values is not None else (self.value or 0.0,)
        at = self.at.timestamp() if self.at is not None else None
        return Point(self.name, self.kind, values, self.dimensions, at)


class MetricsWanted(RequestBody):
    """Metrics to keep: all of them, or none."""

    metrics: list[MetricWanted] = Field(min_length=1, max_length=MOST_POINTS)
