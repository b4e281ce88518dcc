"""What each trigger asks for, from what was measured. Pure."""

import math

from halage.environment.autoscaling.model import Reading, Standing, Way, Wish
from halage.environment.autoscaling.presets import is_shared
from halage.site.settings import Trigger, TriggerKind

IN_SHARE = 0.9
"""Instances are taken away only down to where a target would be at this share of itself, so that the next
visitor does not bring one back."""
_ROUNDING = 1e-9
NOT_MEASURED = Reading((), "it was not measured yet")


def periods_of(trigger: Trigger) -> int:
    """How many periods in a row a trigger looks at."""
    return max(1, math.ceil(trigger.breach_s / trigger.period_s - _ROUNDING))


def wish_of(trigger: Trigger, standing: Standing) -> Wish:
    """What the trigger asks for. A metric without a newest value asks for nothing, and agrees to nothing."""
    reading = standing.readings.get(trigger.name, NOT_MEASURED)
    values = reading.values[-periods_of(trigger) :]
    newest = values[-1] if values else None
    if newest is None or not math.isfinite(newest):
        problem = reading.problem or "its metric has no value for the last period"
        return Wish(trigger.name, Way.NO_DATA, standing.wanted, None, None, problem)
    # A period without a value in between breaks every series: nothing was passed without a break.
    whole = [v for v in values if v is not None] if len(values) == periods_of(trigger) else []
    whole = whole if len(whole) == len(values) else []
    if trigger.kind is not TriggerKind.STEP and trigger.target is not None:
        return _follow(trigger, trigger.target, newest, whole, standing)
    return _step(trigger, newest, whole, standing)


def _step(trigger: Trigger, newest: float, whole: list[float], standing: Standing) -> Wish:
    """So many more or fewer, once a threshold was passed for long enough."""
    upper, lower, wanted = trigger.upper, trigger.lower, standing.wanted
    if upper is not None and whole and min(whole) > upper:
        # What the step before added counts as there already, though it does not work yet.
        wished = max(wanted - standing.warming + trigger.add, wanted)
        return Wish(trigger.name, Way.OUT, wished, newest, upper)
    if lower is not None and whole and max(whole) < lower:
        return Wish(trigger.name, Way.IN, max(wanted - trigger.remove, 0), newest, lower)
    if lower is None:
        return Wish(trigger.name, Way.NEITHER, wanted, newest, upper)
    return Wish(trigger.name, Way.STAY, wanted, newest, lower if upper is None else upper)


def _follow(trigger: Trigger, target: float, newest: float, whole: list[float], standing: Standing) -> Wish:
    """As many as bring the metric to its target, by proportion."""
    shared, wanted = is_shared(trigger), standing.wanted
    if not shared and not standing.warm:
        return Wish(trigger.name, Way.STAY, wanted, newest, target)
    base = 1 if shared else standing.warm
    needed = [standing.held + _ceil(base * value / target) for value in whole]
    if needed and min(needed) > wanted:
        return Wish(trigger.name, Way.OUT, needed[-1], newest, target)
    # The most of all periods looked at: one quiet moment takes nothing away.
    fewest = [standing.held + _ceil(base * value / (target * IN_SHARE)) for value in whole]
    enough = max(fewest, default=wanted)
    if enough < wanted:
        return Wish(trigger.name, Way.IN, enough, newest, target)
    return Wish(trigger.name, Way.STAY, wanted, newest, target)


def _ceil(number: float) -> int:
    return math.ceil(number - _ROUNDING)
