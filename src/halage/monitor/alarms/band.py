"""A threshold learned from the past: what was usual at this hour of the week. Pure.

For a moment in an hour of the week (Monday 9 to 10 o'clock, say, in UTC), the values of that same hour
in each of the past four weeks are taken, x1 ... xn. With their mean m and their deviation

    s = sqrt(sum((xi - m)^2) / (n - 1))

the band of width w is m - w * s' to m + w * s', where s' is s, but at least 1% of |m|: a value that never
changed would else give a band without a width, and the slightest noise would be outside of it.

It needs at least LEAST_VALUES values from at least LEAST_WEEKS different weeks; else there is no band.
"""

import math
from collections.abc import Sequence

HOUR_S = 3600
WEEK_S = 7 * 86400
WEEKS = 4
"""How many of the past weeks are looked at."""
LEAST_WEEKS = 2
LEAST_VALUES = 8
LEAST_DEVIATION = 0.01
"""Of the mean: the deviation counts as at least that much."""
PERIODS_S = (300, 600, 900, 1800)
"""The periods that alarms with a band may have: long enough to be kept for four weeks, and short enough
for LEAST_VALUES within the four hours."""

Past = Sequence[Sequence[float | None]]
"""The values of the same hour, by week."""


def hours_before(moment: float) -> list[tuple[int, int]]:
    """(start, end) of the hour of the week that a moment lies in, in each of the past weeks, newest first."""
    hour = int(moment) // HOUR_S * HOUR_S
    return [(hour - week * WEEK_S, hour - week * WEEK_S + HOUR_S) for week in range(1, WEEKS + 1)]


def mean_and_deviation(past: Past) -> tuple[float, float] | None:
    """What was usual; None where too little is known."""
    weeks = [[value for value in week if value is not None] for week in past]
    values = [value for week in weeks for value in week]
    if len(values) < LEAST_VALUES or sum(1 for week in weeks if week) < LEAST_WEEKS:
        return None
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return mean, max(deviation, LEAST_DEVIATION * abs(mean))


def bounds_of(usual: tuple[float, float], width: float) -> tuple[float, float]:
    """The lower and the upper bound of the band, `width` deviations around the mean."""
    mean, deviation = usual
    return mean - width * deviation, mean + width * deviation
