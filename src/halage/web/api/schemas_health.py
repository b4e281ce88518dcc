"""What the API answers with about the health of environments, and what it takes."""

from datetime import datetime
from typing import Self

from pydantic import Field

from halage.environment.model import Colour, HealthStatus, InstanceState
from halage.environment.model import Environment as EnvironmentValue
from halage.environment.tables.health_tables import HealthSpan as SpanValue
from halage.web.api.requests import Flag, RequestBody
from halage.web.api.schemas import View


class HealthCause(View):
    """One reason for a status."""

    kind: str = Field(description="What it is about: docs/reference/health.md lists them.")
    status: HealthStatus = Field(description="What it alone would make of the environment.")
    text: str
    instance: str | None = Field(description="The instance that is to blame, if it is one.")
    figures: dict[str, float] = Field(description="The numbers that the words hold.")


class RecentRequests(View):
    """The requests of the last minute."""

    count: int
    errors: int = Field(description="Answers with 5xx, the balancer's own included.")
    client_errors: int = Field(description="Answers with 4xx.")
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class TakenOut(View):
    """That somebody takes an instance out of the balancer to look at it."""

    by: str
    at: datetime
    replace: bool = Field(description="Whether another one serves in its place.")


class InstanceHealth(View):
    """How an instance is."""

    id: str
    state: InstanceState
    release_number: int
    attempt: int
    is_up: bool = Field(description="Whether the balancer sends it requests.")
    check: str = Field(description="The balancer's last check in words.")
    reason: str
    cpu_percent: float | None = Field(
        description="Of its type's processors, over the last minute; null: not known yet."
    )
    memory_percent: float | None = Field(description="Of its type's memory; null: not known.")
    recent: RecentRequests | None = Field(description="Its requests of the last minute; null: not known.")
    taken_out: TakenOut | None


class EnvironmentHealth(View):
    """How an environment is, and why."""

    project: str
    environment: str
    status: HealthStatus
    colour: Colour
    summary: str = Field(description="One sentence.")
    causes: list[HealthCause] = Field(description="The gravest first.")
    wanted: int
    serving: int
    recent: RecentRequests | None = Field(description="Its requests of the last minute; null: not known.")
    instances: list[InstanceHealth]

    @classmethod
    def of_environment(cls, value: EnvironmentValue) -> Self:
        """The health of an environment as it is now."""
        return cls(
            project=value.project,
            environment=value.name,
            status=value.health.status,
            colour=value.colour,
            summary=value.health.summary,
            causes=[HealthCause.of(cause) for cause in value.health.causes],
            wanted=value.wanted,
            serving=value.serving,
            recent=RecentRequests.of(value.recent) if value.recent is not None else None,
            instances=[InstanceHealth.of(instance) for instance in value.instances],
        )


class HealthSpan(View):
    """A time during which an environment had one status."""

    began_at: datetime
    ended_at: datetime | None = Field(description="Null: it still lasts.")
    status: HealthStatus
    colour: Colour
    summary: str = Field(description="Why, as it was when it began.")
    causes: list[HealthCause]

    @classmethod
    def of_span(cls, span: SpanValue) -> Self:
        """The view of a span."""
        return cls.model_validate(
            {
                "began_at": span.began_at,
                "ended_at": span.ended_at,
                "status": span.health.status,
                "colour": span.health.colour,
                "summary": span.health.summary,
                "causes": [HealthCause.of(cause) for cause in span.health.causes],
            }
        )


class TakeOutWanted(RequestBody):
    """How an instance shall leave the balancer."""

    replace: Flag = Field(
        default=False, description="Let another one serve in its place, before it leaves and after."
    )
