"""What the API answers with about alarms."""

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from halage.monitor.alarms.documents import to_shown
from halage.monitor.alarms.model import Alarm as AlarmValue
from halage.monitor.alarms.model import LowSamples, Missing, Operator, Side, State
from halage.web.api.schemas import View


class Band(View):
    """A band around what was usual at this hour of the week."""

    width: float
    side: Side


class Alarm(View):
    """An alarm: what it watches, what it does, and what it says now. Secrets are masked."""

    id: int
    project: str | None = Field(description="Null: an alarm of the server.")
    environment: str | None
    name: str
    description: str
    expression: str | None
    rule: str | None
    operator: Operator
    threshold: float | None
    band: Band | None
    period_s: int
    periods: int
    breaching: int
    missing: Missing
    low_samples: LowSamples
    mute_while_deploying: bool
    on_alarm: list[dict[str, Any]]
    on_ok: list[dict[str, Any]]
    on_insufficient_data: list[dict[str, Any]]
    is_default: bool = Field(description="It came with its environment, and nobody has changed it.")
    state: State
    reason: str = Field(description="Why it says so: as it was when it changed.")
    state_at: datetime
    is_disabled: bool
    disabled_until: datetime | None
    created_at: datetime
    updated_at: datetime
    updated_by: str

    @classmethod
    def of_alarm(cls, alarm: AlarmValue) -> Self:
        """The view of an alarm."""
        names = ("id", "is_default", "state", "reason", "state_at", "is_disabled", "disabled_until")
        times = ("created_at", "updated_at", "updated_by")
        shown = {name: getattr(alarm, name) for name in (*names, *times)}
        return cls.model_validate({**to_shown(alarm.definition), **shown})


class Delivery(View):
    """One thing that was done because of a change."""

    id: int
    what: str
    state: str = Field(description="`waiting`, `held` (it is muted), `delivered`, `failed`, `dropped`.")
    attempts: int
    next_at: datetime | None
    error: str = Field(description="Why the last attempt failed, or why it was dropped.")
    ended_at: datetime | None


class Change(View):
    """A change of an alarm's state, with the numbers that it was taken from."""

    id: int
    alarm_id: int
    period_end: datetime = Field(description="The end of the period that it was decided at.")
    at: datetime = Field(description="When it was recorded.")
    state_before: State
    state: State
    reason: str
    facts: dict[str, Any]
    deliveries: list[Delivery]


class Verdict(View):
    """What an evaluation found."""

    state: State
    reason: str
    facts: dict[str, Any]
    is_kept: bool = Field(description="The state is the one before, because these data do not tell.")


class Told(View):
    """How a test message to one address went."""

    to: str
    is_delivered: bool
    error: str


class Trial(View):
    """What an alarm would say now, and what it would do."""

    verdict: Verdict
    state: State = Field(description="What it says now.")
    actions: list[str] = Field(description="What would be done if it changed so.")
    told: list[Told]
