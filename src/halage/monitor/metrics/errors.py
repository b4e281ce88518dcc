"""What can go wrong with metrics."""

from halage.base.errors import Conflict, Invalid, Unavailable


class BadMetric(Invalid):
    """A metric's name, dimension or value cannot be used."""


class TooManySeries(Conflict):
    """The limit on the number of series is reached: these samples were not kept."""


class TooOld(Invalid):
    """A sample is more than an hour late: it was not kept."""


class BadExpression(Invalid):
    """The expression cannot be read."""


class TooLarge(Invalid):
    """The answer would be larger than an answer may be."""


class MetricsFull(Unavailable):
    """The disk that holds the metrics is full: nothing is collected until there is space again."""
