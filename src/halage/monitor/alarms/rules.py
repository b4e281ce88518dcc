"""What an alarm says of its data. Pure.

How missing periods are treated is CloudWatch's way, with its published examples as tests ("Configuring
how CloudWatch alarms treat missing data",
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from halage.monitor.alarms.model import (
    Definition,
    LowSamples,
    Missing,
    Operator,
    Point,
    Side,
    State,
    Verdict,
)

DAY_S = 86400


def needed_samples(percentile: float) -> int:
    """How many samples a percentile (0 to 100) needs to say something.

    10 / (1 - p) from the median upwards, 10 / p below it. Source: "Percentile-based alarms and low
    data samples", https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/percentiles-with-low-samples.html
    """
    share = percentile / 100
    rest = 1 - share if share >= 0.5 else share
    # Rounded first: 1 - 0.95 is a little more than 0.05, which must not ask for one sample more.
    return math.ceil(round(10 / rest, 6)) if rest > 0 else 1


def does_breach(definition: Definition, point: Point) -> bool | None:
    """Whether a period breaches; None where it has no data, or no band to compare it with."""
    value = point.value
    if value is None:
        return None
    if definition.band is not None:
        if point.bounds is None:
            return None
        lower, upper = point.bounds
        is_above, is_below = value > upper, value < lower
        side = definition.band.side
        return {Side.ABOVE: is_above, Side.BELOW: is_below}.get(side, is_above or is_below)
    threshold = definition.threshold
    assert threshold is not None
    match definition.operator:
        case Operator.ABOVE:
            return value > threshold
        case Operator.AT_LEAST:
            return value >= threshold
        case Operator.BELOW:
            return value < threshold
    return value <= threshold


def judged_points(definition: Definition, facts: Mapping[str, Any]) -> list[tuple[Point, bool | None]]:
    """The periods in the facts of a verdict, oldest first, and whether each breaches (None: no data)."""
    count = len(facts.get("points", ()))
    bands = facts.get("bands") or [None] * count
    samples = facts.get("samples") or [()] * count
    points = [
        Point(start, value, (band[0], band[1]) if band else None, tuple(counted))
        for (start, value), band, counted in zip(facts.get("points", ()), bands, samples, strict=True)
    ]
    return [(point, does_breach(definition, point)) for point in points]


def evaluate(
    definition: Definition,
    points: Sequence[Point],
    state: State,
    percentiles: Sequence[float] = (),
) -> Verdict:
    """What the alarm says of these periods, oldest first; `state` is what it said before.

    Give as many periods as its evaluation range has; fewer mean that nobody looked before them (Halage
    was not running, or the alarm is as young as Halage): then what it said is kept until there are
    enough, unless those that are there breach. One that had no data says OK at the first that is well.
    `percentiles` are those of the expression, in the order of each point's `samples`.
    """
    window = points[-definition.range_periods :]
    known = [(point, verdict) for point in window if (verdict := does_breach(definition, point)) is not None]
    facts = _facts(definition, window)
    if (short := _short_of_samples(definition, window, percentiles)) is not None:
        return Verdict(state, short, facts, is_kept=True)
    if definition.band is not None and not known and any(point.value is not None for point in window):
        return Verdict(State.INSUFFICIENT_DATA, "the band is not learned yet", facts)
    used = known[-definition.periods :]
    breaching = sum(breaches for _, breaches in used)
    facts |= {"breaching": breaching, "evaluated": len(used)}
    if breaching >= definition.breaching:
        return Verdict(State.ALARM, _crossed(definition, used), facts)
    if len(used) == definition.periods:
        return Verdict(State.OK, _within(definition, used), facts)
    if len(window) < definition.periods:
        may_be_well = bool(used) or definition.missing is Missing.NOT_BREACHING
        if state is State.INSUFFICIENT_DATA and may_be_well and not breaching:
            return Verdict(State.OK, _within(definition, used), facts)
        words = f"only {len(window)} of {definition.periods} periods were collected: it says what it said"
        return Verdict(state, words, facts, is_kept=True)
    return _with_missing(definition, window, used, state, facts)


def _with_missing(
    definition: Definition,
    window: Sequence[Point],
    used: Sequence[tuple[Point, bool]],
    state: State,
    facts: dict[str, Any],
) -> Verdict:
    """The verdict where fewer periods have data than are evaluated, and too few of these breach."""
    filled = definition.periods - len(used)
    facts["filled"] = filled
    breaching = sum(breaches for _, breaches in used)
    words = f"{filled} of {definition.periods} periods have no data"
    match definition.missing:
        case Missing.BREACHING if breaching + filled >= definition.breaching:
            return Verdict(State.ALARM, f"{words}, which count as breaching", facts)
        case Missing.BREACHING | Missing.NOT_BREACHING:
            return Verdict(State.OK, f"{words}; {_within(definition, used)}", facts)
    if any(not breaches for _, breaches in used):
        return Verdict(State.OK, _within(definition, used), facts)
    if definition.missing is Missing.IGNORE:
        return Verdict(state, f"{words}: it says what it said", facts, is_kept=True)
    if used and _age_of_oldest(window, used) >= definition.breaching:
        # CloudWatch's "premature alarm state": nothing but breaches, the first of them long enough ago.
        return Verdict(State.ALARM, f"{_crossed(definition, used)}, and nothing better came since", facts)
    return Verdict(State.INSUFFICIENT_DATA, f"{words} of {_duration(definition.period_s)}", facts)


def _age_of_oldest(window: Sequence[Point], used: Sequence[tuple[Point, bool]]) -> int:
    """How many periods ago the oldest one with data began, the newest period being 1."""
    return len(window) - next(i for i, point in enumerate(window) if point is used[0][0])


def _short_of_samples(
    definition: Definition, window: Sequence[Point], percentiles: Sequence[float]
) -> str | None:
    """Why the percentiles say nothing yet, where thin data shall be ignored."""
    if definition.low_samples is not LowSamples.IGNORE:
        return None
    evaluated = [point for point in window[-definition.periods :] if point.value is not None]
    if not evaluated:
        return None  # no data at all is not thin data: missing data has its own rule
    for place, percentile in enumerate(percentiles):
        count = sum(point.samples[place] for point in evaluated)
        if count < (needed := needed_samples(percentile)):
            return f"{count:g} samples are too few for p{percentile:g}, which needs {needed}"
    return None


def condition(definition: Definition) -> str:
    """What breaches, in words: `> 5`, `outside its band of 3 deviations`."""
    if definition.band is not None:
        return f"{definition.band.side} its band of {definition.band.width:g} deviations"
    assert definition.threshold is not None
    return f"{definition.operator} {definition.threshold:g}"


def _crossed(definition: Definition, used: Sequence[tuple[Point, bool]]) -> str:
    values = [_shown(definition, point) for point, breaches in used if breaches]
    return (
        f"{len(values)} of the last {definition.periods} values {_be(values)} {condition(definition)}: "
        + (", ".join(values))
    )


def _within(definition: Definition, used: Sequence[tuple[Point, bool]]) -> str:
    breaching = sum(breaches for _, breaches in used)
    last = f"; the last one is {_shown(definition, used[-1][0])}" if used else ""
    if not breaching:
        return f"no value is {condition(definition)}{last}"
    return (
        f"{breaching} of the last {definition.periods} values are {condition(definition)}, "
        f"it takes {definition.breaching}{last}"
    )


def _be(values: Sequence[str]) -> str:
    return "is" if len(values) == 1 else "are"


def _shown(definition: Definition, point: Point) -> str:
    assert point.value is not None
    text = f"{point.value:.6g}"
    if definition.band is not None and point.bounds is not None:
        text += f" (band {point.bounds[0]:.6g} to {point.bounds[1]:.6g})"
    return text


def _facts(definition: Definition, window: Sequence[Point]) -> dict[str, Any]:
    points = [[point.start, point.value] for point in window]
    facts: dict[str, Any] = {"points": points, "period_s": definition.period_s}
    if definition.band is None:
        facts |= {"operator": definition.operator.value, "threshold": definition.threshold}
    else:
        facts["bands"] = [list(point.bounds) if point.bounds else None for point in window]
    if any(point.samples for point in window):
        facts["samples"] = [list(point.samples) for point in window]
    return facts


def _duration(seconds: int) -> str:
    if seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def is_due(period_s: int, end: float) -> bool:
    """Whether a period of that length ends at that moment: periods begin at whole multiples (UTC)."""
    return int(end) % period_s == 0
