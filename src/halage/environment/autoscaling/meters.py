"""A trigger's metric in a simulation: its expression over what the simulated site measures. Pure.

A tick has one value of each metric, so a percentile over a period is the highest of its ticks.
"""

from collections import deque
from collections.abc import Callable, Mapping

from halage.base.errors import Invalid
from halage.environment.autoscaling.model import Reading
from halage.environment.autoscaling.presets import expression_of
from halage.environment.autoscaling.wishes import periods_of
from halage.monitor.metrics.expression import parse
from halage.monitor.metrics.syntax import (
    Aggregate,
    Arithmetic,
    Ask,
    Fill,
    Folded,
    Negate,
    Node,
    Number,
    Rate,
)
from halage.site.settings import Trigger, TriggerKind

TICK_S = 10

REQUESTS = "environment_requests"
REQUESTS_PER_SECOND = "environment_requests_per_second"
LATENCY = "environment_response_time_ms"
IN_FLIGHT = "environment_in_flight"
QUEUE = "environment_queue"
CPU = "instance_cpu_percent"
INSTANCE_REQUESTS = "instance_requests"
INSTANCE_IN_FLIGHT = "instance_in_flight"
KNOWN = (REQUESTS, REQUESTS_PER_SECOND, LATENCY, IN_FLIGHT, QUEUE, CPU, INSTANCE_REQUESTS, INSTANCE_IN_FLIGHT)

_INSTEAD = "say with targets (--target) what to scale by in its place"

Values = list[float]
Compute = Callable[[Values], float]


class NotSimulated(Invalid):
    """The simulated site does not measure what this trigger asks for."""


class _Sum:
    """What a statistic of a period is made of."""

    __slots__ = ("count", "highest", "lowest", "total")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.count, self.total, self.highest, self.lowest = 0, 0.0, float("-inf"), float("inf")

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        if value > self.highest:
            self.highest = value
        if value < self.lowest:
            self.lowest = value


class Meter:
    """Measures for one trigger, tick by tick; `reading` is of the periods that have ended."""

    def __init__(self, trigger: Trigger) -> None:
        """Raises NotSimulated, BadExpression."""
        if trigger.kind is TriggerKind.QUEUE:
            raise NotSimulated(
                f"trigger {trigger.name}: a queue's length is not in a recording of requests; {_INSTEAD}"
            )
        self.name = trigger.name
        self.period_s = max(TICK_S, round(trigger.period_s / TICK_S) * TICK_S)
        self.window_s = self.period_s * (periods_of(trigger) + 1)
        self._asks: list[Ask] = []
        self._compute = self._compiled(parse(expression_of(trigger)).root)
        self._metrics = [_known(ask, trigger.name) for ask in self._asks]
        self._sums = [_Sum() for _ in self._asks]
        self._values: deque[float] = deque(maxlen=periods_of(trigger))
        self.reading = Reading((), "it was not measured yet")

    def tick(self, end: int, measured: Mapping[str, float]) -> None:
        """Take in what was measured in the tick that ends at `end` (whole seconds since the epoch)."""
        for total, metric in zip(self._sums, self._metrics, strict=True):
            total.add(measured[metric])
        if end % self.period_s == 0:
            self._values.append(self._worked_out(self.period_s))
            self.reading = Reading(tuple(self._values))
            for total in self._sums:
                total.clear()

    def skip(self, end: int, measured: Mapping[str, float]) -> None:
        """The same for so many equal ticks before `end` that every period looked at is like the last one."""
        for total in self._sums:
            total.clear()
        for _ in range(end % self.period_s // TICK_S):
            for total, metric in zip(self._sums, self._metrics, strict=True):
                total.add(measured[metric])

    def now(self, measured: Mapping[str, float]) -> float:
        """What the expression gives for this one tick."""
        values = []
        for ask, metric in zip(self._asks, self._metrics, strict=True):
            value = measured[metric]
            values.append(1.0 if ask.aggregate is Aggregate.SAMPLES else value)
        self._span_s = TICK_S
        return self._compute(values)

    def _worked_out(self, period_s: int) -> float:
        self._span_s = period_s
        return self._compute(
            [_statistic(ask, total) for ask, total in zip(self._asks, self._sums, strict=True)]
        )

    def _compiled(self, node: Node) -> Compute:
        match node:
            case Number(value):
                return lambda values: value
            case Ask():
                place = len(self._asks)
                self._asks.append(node)
                return lambda values: values[place]
            case Negate(operand):
                inner = self._compiled(operand)
                return lambda values: -inner(values)
            case Rate(operand):
                inner = self._compiled(operand)
                return lambda values: inner(values) / self._span_s
            case Fill(operand) | Folded(_, operand):
                return self._compiled(operand)
            case Arithmetic(operator, left, right):
                return _arithmetic(operator, self._compiled(left), self._compiled(right))


def _known(ask: Ask, trigger: str) -> str:
    if ask.selector.name not in KNOWN:
        raise NotSimulated(
            f"trigger {trigger}: a simulation does not know {ask.selector.name}; "
            f"it knows {', '.join(KNOWN)}; {_INSTEAD}"
        )
    return ask.selector.name


def _statistic(ask: Ask, total: _Sum) -> float:
    match ask.aggregate:
        case Aggregate.AVERAGE:
            return total.total / total.count
        case Aggregate.SUM:
            return total.total
        case Aggregate.MINIMUM:
            return total.lowest
        case Aggregate.SAMPLES:
            return float(total.count)
        case Aggregate.MAXIMUM | Aggregate.PERCENTILE:
            return total.highest


def _arithmetic(operator: str, left: Compute, right: Compute) -> Compute:
    if operator == "+":
        return lambda values: left(values) + right(values)
    if operator == "-":
        return lambda values: left(values) - right(values)
    if operator == "*":
        return lambda values: left(values) * right(values)
    return lambda values: left(values) / (right(values) or float("nan"))
