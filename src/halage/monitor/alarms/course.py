"""How the values of an alarm went, and its band: what a picture of it is drawn from. Synchronous."""

import math
from collections.abc import Sequence

from halage.monitor.alarms.band import HOUR_S, WEEK_S, WEEKS, bounds_of, mean_and_deviation
from halage.monitor.alarms.model import Course, Definition
from halage.monitor.alarms.points import PointReader

MOST_VALUES = 400
"""More than a picture has room for."""
LONGEST_BAND_S = 4 * WEEK_S
"""A band looks four weeks back from there; values of five minutes are kept for nine."""
_STEPS_S = (10, 20, 30, 60, 120, 300, 600, 900, 1800, HOUR_S, 2 * HOUR_S, 6 * HOUR_S, 12 * HOUR_S, 86400)

Bounds = tuple[float, float]


def course_of(points: PointReader, definition: Definition, start: float, end: float) -> Course:
    """The values of [start, end) (seconds, epoch) of an alarm with an expression, MOST_VALUES at most."""
    period_s, values = points.read_along(definition, start, end, step_for(definition.period_s, end - start))
    first = math.floor(start / period_s) * period_s
    # A period that has not ended yet would look like a fall.
    ended = values.values[: int((end - first) // period_s)]
    bounds: Sequence[Bounds | None] = ()
    if definition.band is not None and ended and period_s <= HOUR_S and end - start <= LONGEST_BAND_S:
        usual = _usual_hours(points, definition, start, end)
        bounds = [
            _bounds_at(usual.get(_hour(first + place * period_s)), definition.band.width)
            for place in range(len(ended))
        ]
    return Course(first, period_s, ended, bounds, values.problem)


def step_for(period_s: int, length_s: float) -> int:
    """The period of a picture of that length: the alarm's own, or the first one with few enough values."""
    longer = (step for step in _STEPS_S if step > period_s and step % period_s == 0)
    steps = [period_s, *longer]
    return next((step for step in steps if length_s / step <= MOST_VALUES), steps[-1])


def _usual_hours(
    points: PointReader, definition: Definition, start: float, end: float
) -> dict[int, tuple[float, float] | None]:
    """Mean and deviation by hour. All hours of one week before are one reading."""
    first, last, period_s = _hour(start), _hour(end) + HOUR_S, definition.period_s
    weeks = []
    for week in range(1, WEEKS + 1):
        back = week * WEEK_S
        weeks.append(points.read({0: definition}, first - back, last - back, period_s)[0].values)
    each = HOUR_S // period_s
    return {
        first + place * HOUR_S: mean_and_deviation(
            [week[place * each : (place + 1) * each] for week in weeks]
        )
        for place in range((last - first) // HOUR_S)
    }


def _bounds_at(usual: tuple[float, float] | None, width: float) -> Bounds | None:
    return bounds_of(usual, width) if usual is not None else None


def _hour(at: float) -> int:
    return int(at) // HOUR_S * HOUR_S
