"""What a decision about the number of instances is taken from, and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

WEB = "web"
"""The kind of process that gets requests; the others are workers."""


class Way(StrEnum):
    """Where a trigger wants to go."""

    OUT = "out"
    IN = "in"
    STAY = "stay"
    NEITHER = "neither"
    """It never asks to go in (a step without a lower threshold), so others need not wait for it."""
    NO_DATA = "no_data"


class Kind(StrEnum):
    """What a decision is."""

    OUT = "out"
    IN = "in"
    STAY = "stay"
    HELD = "held"
    """A trigger asks for another number and something keeps it from having it."""
    NO_DATA = "no_data"
    """A trigger has no data, and nothing else asks for more: nothing is taken away."""


class Cause(StrEnum):
    """What a decision follows from, or what holds it."""

    TRIGGER = "trigger"
    SCHEDULE = "schedule"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    COOL_DOWN = "cool_down"
    WARM_UP = "warm_up"
    SUSPENDED = "suspended"
    DEPLOYMENT = "deployment"
    PROTECTED = "protected"
    NO_DATA = "no_data"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a trigger's metric gave for the last periods that have ended, the newest last."""

    values: tuple[float | None, ...]
    problem: str = ""
    """Why there is no value, in words."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Between what the number stays now, and the number that the schedule set last."""

    minimum: int
    maximum: int
    sized_at: float | None = None
    """When the newest entry of the schedule that names a number came up (seconds, epoch)."""
    size: int | None = None
    size_name: str = ""
    until: float | None = None
    """When the schedule says something else."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered from one decision to the next."""

    out_at: float | None = None
    in_at: float | None = None
    """When the number last became larger, and smaller."""
    sized_at: float | None = None
    """The entry of the schedule whose number was set last."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the instances stand, and what was measured."""

    now: float
    wanted: int
    warm: int
    """Instances that serve and count in the metrics."""
    warming: int
    """Instances that are being started for the first time, or have not served for long enough."""
    protected: int = 0
    held: int = 0
    """Places that are empty on purpose: their instances were taken out and nobody serves instead."""
    is_deploying: bool = False
    readings: Mapping[str, Reading] = field(default_factory=dict)
    """By the trigger's name."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one trigger says, with the numbers that it says it from."""

    trigger: str
    way: Way
    instances: int
    """How many it wants; the number there is where it wants no change."""
    value: float | None
    threshold: float | None
    """What the value was compared with."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """How many instances there shall be, why, and the numbers it was taken from."""

    kind: Kind
    cause: Cause
    before: int
    after: int
    asked: int
    """What was asked for before limits and holds."""
    limits: Limits
    by: str = ""
    """The trigger or the entry of the schedule that decided."""
    wishes: tuple[Wish, ...] = ()
    until: float | None = None
    """Until when a hold lasts, where time ends it."""
    warm: int = 0
    warming: int = 0
