"""Alarms: what they watch, what they said, and what is done when it changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

RANGE_EXTRA = 2
"""Periods that are looked at past the ones that are evaluated, for when some of these are missing.

Together they are the evaluation range: 5 for an alarm of 3 periods, as in CloudWatch's examples.
"""


class State(StrEnum):
    """What an alarm says."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Operator(StrEnum):
    """How a value is compared with a threshold: it breaches where the comparison holds."""

    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="


class Side(StrEnum):
    """On which side of a band a value breaches."""

    OUTSIDE = "outside"
    ABOVE = "above"
    BELOW = "below"


class Missing(StrEnum):
    """What a period without data counts as."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


class LowSamples(StrEnum):
    """What is done with a percentile of too few samples."""

    EVALUATE = "evaluate"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Band:
    """A threshold that is learned from the past weeks: so many deviations around the mean."""

    width: float
    """In standard deviations."""
    side: Side = Side.OUTSIDE


@dataclass(frozen=True, slots=True)
class Sealed:
    """A text that may hold a password: what is shown of it, and itself, encrypted."""

    shown: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell people, by addresses of Apprise. None named: those of the setting `messages.to`."""

    to: tuple[Sealed, ...] = ()


@dataclass(frozen=True, slots=True)
class Scale:
    """Change the number of instances of the alarm's environment, `by` so many or `to` so many."""

    maximum: int
    minimum: int = 1
    by: int | None = None
    to: int | None = None


@dataclass(frozen=True, slots=True)
class Rollback:
    """Return to the last good release, where the present one was deployed at most `within_s` ago."""

    within_s: int = 3600
    leaving: int | None = None
    """The release that is left: known once it is decided."""


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP request with the change as a JSON body."""

    method: str
    url: Sealed
    headers: tuple[tuple[str, Sealed], ...] = ()


Action: TypeAlias = Tell | Scale | Rollback | Call


@dataclass(frozen=True, slots=True)
class Definition:
    """What an alarm watches: an expression against a threshold or a band, or a rule over other alarms."""

    name: str
    project: str | None = None
    """None: an alarm of the server."""
    environment: str | None = None
    description: str = ""
    expression: str | None = None
    rule: str | None = None
    operator: Operator = Operator.ABOVE
    threshold: float | None = None
    band: Band | None = None
    period_s: int = 60
    periods: int = 1
    """N: how many of the last periods are evaluated."""
    breaching: int = 1
    """M: how many of them have to breach."""
    missing: Missing = Missing.MISSING
    low_samples: LowSamples = LowSamples.EVALUATE
    mute_while_deploying: bool = False
    on_alarm: tuple[Action, ...] = ()
    on_ok: tuple[Action, ...] = ()
    on_insufficient_data: tuple[Action, ...] = ()

    @property
    def range_periods(self) -> int:
        """The evaluation range: how many periods are looked at."""
        return self.periods + RANGE_EXTRA

    def actions_on(self, state: State) -> tuple[Action, ...]:
        """What is done when the alarm enters a state."""
        match state:
            case State.OK:
                return self.on_ok
            case State.ALARM:
                return self.on_alarm
        return self.on_insufficient_data


@dataclass(frozen=True, slots=True)
class Point:
    """What one period says."""

    start: float
    """Its beginning."""
    value: float | None
    """None: there is no data."""
    bounds: tuple[float, float] | None = None
    """The band at that moment; None where none is learned, and for static thresholds."""
    samples: tuple[float, ...] = ()
    """How many samples each percentile of the expression was taken from, in its order."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an evaluation found, and the numbers it was taken from."""

    state: State
    reason: str
    facts: Mapping[str, Any]
    is_kept: bool = False
    """The state is the one before because these data do not tell."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm and what it says now."""

    id: int
    definition: Definition
    is_default: bool
    """It came with its environment, and nobody has changed it."""
    state: State
    reason: str
    state_at: float
    is_disabled: bool
    """It is evaluated, but nothing is done when it changes."""
    disabled_until: float | None
    created_at: float
    updated_at: float
    updated_by: str

    def is_muted_at(self, now: float) -> bool:
        """Whether it is disabled at that moment."""
        return self.is_disabled and (self.disabled_until is None or now < self.disabled_until)


@dataclass(frozen=True, slots=True)
class AlarmFilter:
    """Which alarms are wanted; None: whichever."""

    project: str | None = None
    environment: str | None = None
    state: State | None = None
    visible: frozenset[str] | None = None
    """Projects that may be seen."""
    with_server: bool = True
    """Whether the alarms of the server may be seen; they are left out where a project is named."""


@dataclass(frozen=True, slots=True)
class AlarmCounts:
    """How many alarms say what, by project (None: the server) and environment."""

    numbers: Mapping[tuple[str | None, str | None, State], int]

    def of(
        self, state: State | None = None, project: str | None = None, environment: str | None = None
    ) -> int:
        """How many are in a state; in any, in every project and every environment where it is not named."""
        return sum(
            number
            for (its_project, its_environment, its_state), number in self.numbers.items()
            if state in (None, its_state)
            and project in (None, its_project)
            and environment in (None, its_environment)
        )


@dataclass(frozen=True, slots=True)
class Course:
    """How the values of an alarm went: value i is that of [start + i * period_s, + period_s)."""

    start: float
    period_s: int
    """That of the alarm, or a longer one where that gives fewer values or no finer one is kept."""
    values: Sequence[float | None]
    bounds: Sequence[tuple[float, float] | None] = ()
    """The band at each value; empty where it has none, or where none is worked out for so long a time."""
    problem: str | None = None
    """Why there are no values."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing that is done because of a change."""

    id: int
    what: str
    """In words, without secrets: `tell mailto://***@example.org#k3x9`."""
    state: str
    """`waiting`, `held` (the alarm is muted), `delivered`, `failed`, `dropped`."""
    attempts: int
    next_at: float | None
    error: str
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an alarm's state."""

    id: int
    alarm_id: int
    period_end: float
    """The end of the period that it was decided at."""
    at: float
    """When it was recorded."""
    state_before: State
    state: State
    reason: str
    facts: Mapping[str, Any]
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """How a test message to one address went."""

    to: str
    is_delivered: bool
    error: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What an alarm would say now, and what it would do."""

    verdict: Verdict
    state: State
    """What it says now."""
    actions: tuple[str, ...]
    """What would be done if it changed so, in words."""
    told: tuple[Told, ...] = ()
