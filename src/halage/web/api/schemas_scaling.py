"""What the API answers about scaling."""

from datetime import UTC, datetime
from typing import Any, Self

from pydantic import Field

from halage.environment.autoscaling.model import Cause, Kind
from halage.environment.autoscaling.simulation import Simulation as SimulationValue
from halage.environment.scaling_service import ProcessScaling, ScalingView
from halage.web.api.schemas import View


class ScalingDecision(View):
    """A decision about the number of instances, with the numbers that it was taken from."""

    id: int = Field(description="Its number; 0 for that of the last tick, which may not have been kept.")
    process: str
    at: datetime
    kind: Kind
    cause: Cause
    by: str = Field(description="The trigger or the entry of the schedule; empty where it was neither.")
    before: int
    after: int
    reason: str
    numbers: dict[str, Any] = Field(
        description="What was asked for, the limits, instances that count in metrics and that warm up, and "
        "of each trigger its value, its threshold and what it wants."
    )


class ScalingTrigger(View):
    """A trigger as it is set."""

    name: str
    kind: str
    expression: str
    period_s: float
    breach_s: float
    upper: float | None
    lower: float | None
    add: int
    remove: int
    target: float | None


class ScalingSize(View):
    """An entry of the schedule."""

    name: str
    cron: str
    timezone: str
    minimum: int | None
    maximum: int | None
    instances: int | None


class ProcessScalingState(View):
    """How the scaling of one kind of process stands."""

    process: str
    wanted: int
    planned: int
    is_active: bool = Field(description="Whether anything but people could change the number.")
    minimum: int | None = Field(description="The limits that hold now; null where nothing sets any.")
    maximum: int | None
    warm: int = Field(description="Instances that serve and count in the metrics.")
    warming: int
    protected: int
    triggers: list[ScalingTrigger]
    schedule: list[ScalingSize]
    cool_down_out_s: float
    cool_down_in_s: float
    warm_up_s: float
    latest: ScalingDecision | None = Field(description="The decision of the last tick; null before it.")

    @classmethod
    def of(cls, value: object) -> Self:
        """The view of one kind of process."""
        assert isinstance(value, ProcessScaling)
        plan, limits = value.plan, value.limits
        return cls(
            process=value.process,
            wanted=value.wanted,
            planned=value.planned,
            is_active=value.is_active,
            minimum=limits.minimum if value.is_active else None,
            maximum=limits.maximum if value.is_active else None,
            warm=value.warm,
            warming=value.warming,
            protected=value.protected,
            triggers=[ScalingTrigger.of(each) for each in plan.triggers],
            schedule=[ScalingSize.of(each) for each in plan.sizes],
            cool_down_out_s=plan.cool_down_out_s,
            cool_down_in_s=plan.cool_down_in_s,
            warm_up_s=plan.warm_up_s,
            latest=ScalingDecision.of(value.latest) if value.latest is not None else None,
        )


class Scaling(View):
    """How the scaling of an environment stands, and its decisions, newest first."""

    project: str
    environment: str
    suspended: list[str] = Field(description="By people; halage.toml may suspend others.")
    processes: list[ProcessScalingState]
    decisions: list[ScalingDecision]

    @classmethod
    def of(cls, value: object) -> Self:
        """The view of an environment's scaling."""
        assert isinstance(value, ScalingView)
        return cls(
            project=value.project,
            environment=value.environment,
            suspended=list(value.suspended),
            processes=[ProcessScalingState.of(each) for each in value.processes],
            decisions=[ScalingDecision.of(each) for each in value.decisions],
        )


class SimulatedChange(View):
    """A change of the number in a simulation."""

    at: datetime
    before: int
    after: int
    reason: str


class SimulatedColumn(View):
    """A stretch of a simulation: the highest of each in it."""

    at: datetime
    rate: float = Field(description="Requests a second.")
    instances: int
    dropped: float


class SimulatedFleet(View):
    """What became of a fleet."""

    instance_hours: float
    requests: float
    dropped: float
    over_target_s: float = Field(description="Time in which a trigger's metric was over its target.")
    least: int
    most: int
    changes_count: int
    changes: list[SimulatedChange] = Field(description="The first 1,000 of them.")
    columns: list[SimulatedColumn]


class Simulation(View):
    """A fleet that scales beside one that does not, under the same traffic."""

    start: datetime
    end: datetime
    requests: float
    peak: float = Field(description="The most requests a second.")
    gaps: int = Field(description="How often the recording pauses; there nobody is taken to have come.")
    scaled: SimulatedFleet
    static: SimulatedFleet
    picture: str | None = Field(description="An SVG, where it was asked for.")

    @classmethod
    def drawn(cls, value: SimulationValue, picture: str | None) -> Self:
        """The view of a simulation, with its picture or without."""
        return cls(
            start=_moment(value.start),
            end=_moment(value.end),
            requests=value.requests,
            peak=value.peak,
            gaps=value.gaps,
            scaled=SimulatedFleet.of(value.scaled),
            static=SimulatedFleet.of(value.static),
            picture=picture,
        )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
