"""The metrics that scaling looks at, read from monitoring's store."""

import functools
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from halage.environment.autoscaling.model import Reading
from halage.environment.tables.store import Place
from halage.monitor.metrics.errors import BadExpression, TooLarge
from halage.monitor.metrics.evaluate import Evaluation, Evaluator
from halage.monitor.metrics.expression import parse
from halage.monitor.metrics.model import (
    TICK_S,
    Kind,
    MetricReader,
    MetricWriter,
    Read,
    Sample,
    Selector,
    Series,
    SeriesKey,
)
from halage.monitor.metrics.syntax import Arithmetic, Ask, Expression, Node, Number

QUEUE_LENGTH = "environment_queue_length"
FINE_S = 10_000
"""So far back samples of 10 s are kept (seconds)."""
MOST_ROWS = 50_000
"""Periods of a recorded traffic."""


@dataclass(frozen=True, slots=True)
class Question:
    """What one trigger wants to know: the last `count` periods that have ended."""

    expression: str
    period_s: int
    count: int
    idle: str | None = None
    """An expression that is 0 when a missing value means that nothing happened."""


class Measures(Protocol):
    """What was measured of environments. Synchronous, safe from any thread."""

    def read(
        self, place: Place, questions: Mapping[str, Question], at: float, without: frozenset[str]
    ) -> Mapping[str, Reading]:
        """The answers by the questions' names, as of `at` (seconds, epoch).

        What instances `without` measured is left out. A question that has no answer has a problem.
        """
        ...

    def note_queue(self, place: Place, process: str, trigger: str, at: float, length: float) -> None:
        """Keep the length of a queue, as the trigger's command or URL told it. Raises MetricsFull."""
        ...


class StoredMeasures:
    """Measures from the store of metrics."""

    def __init__(self, reader: MetricReader, writer: MetricWriter) -> None:
        self._reader = _Without(reader)
        self._evaluator = Evaluator(self._reader)
        self._writer = writer
        self._turn = threading.Lock()

    def read(
        self, place: Place, questions: Mapping[str, Question], at: float, without: frozenset[str]
    ) -> Mapping[str, Reading]:
        """The answers by the questions' names; see Measures."""
        with self._turn:
            self._reader.without = without
            return {name: self._answer(place, question, at) for name, question in questions.items()}

    def note_queue(self, place: Place, process: str, trigger: str, at: float, length: float) -> None:
        """Keep the length of a queue."""
        own = {"project": place[0], "environment": place[1], "process": process}
        key = SeriesKey.of(QUEUE_LENGTH, **own, trigger=trigger)
        self._writer.write(at, TICK_S, [Sample(key, Kind.GAUGE, length)])

    def traffic(self, place: Place, start: float, end: float) -> Sequence[tuple[float, float]]:
        """(moment, requests until the next moment) for [start, end), by a period that is kept."""
        wanted = max(60, math.ceil((end - start) / MOST_ROWS / 60) * 60)
        if end - start <= FINE_S:
            wanted = TICK_S
        expression = _own("sum(environment_requests by ())", place)
        found = self._evaluator.evaluate(expression, start, end, wanted, _only(place[0]))
        if not found.lines:
            return ()
        values = enumerate(found.lines[0].values)
        return [(found.start + i * found.period_s, value) for i, value in values if value is not None]

    def _answer(self, place: Place, question: Question, at: float) -> Reading:
        nothing: tuple[float | None, ...] = (None,) * question.count
        try:
            found = self._evaluate(place, question.expression, question, at)
            values = _highest(found, question.count)
            if question.idle is not None and None in values:
                idle = _highest(self._evaluate(place, question.idle, question, at), question.count)
                values = tuple(
                    0.0 if value is None and other == 0 else value
                    for value, other in zip(values, idle, strict=True)
                )
        except (BadExpression, TooLarge) as error:
            return Reading(nothing, error.message)
        if found.period_s != question.period_s:
            return Reading(nothing, f"its metric is kept by {found.period_s} s, the period is shorter")
        problem = "its metric has no value for the last period" if values[-1] is None else ""
        return Reading(values, problem)

    def _evaluate(self, place: Place, text: str, question: Question, at: float) -> Evaluation:
        end = math.floor(at / question.period_s) * question.period_s
        start = end - question.count * question.period_s
        return self._evaluator.evaluate(_own(text, place), start, end, question.period_s, _only(place[0]))


class _Without:
    """A MetricReader that leaves out what some instances measured."""

    def __init__(self, reader: MetricReader) -> None:
        self._reader = reader
        self.without: frozenset[str] = frozenset()

    @property
    def version(self) -> int:
        return self._reader.version

    def find(self, selector: Selector) -> Sequence[Series]:
        return self._reader.find(selector)

    def read(
        self,
        series: Iterable[Series],
        start: float,
        end: float,
        period_s: int,
        *,
        with_sketches: bool = False,
    ) -> Read:
        if self.without:
            series = [each for each in series if each.key.get("instance") not in self.without]
        return self._reader.read(series, start, end, period_s, with_sketches=with_sketches)


def _highest(found: Evaluation, count: int) -> tuple[float | None, ...]:
    """One line of several: the highest, so that nothing is taken away because of one that is idle."""
    if not found.lines:
        return (None,) * count
    columns = zip(*(line.values for line in found.lines), strict=True)
    values = [max((value for value in column if value is not None), default=None) for column in columns]
    return tuple(values[-count:])


@functools.lru_cache(10_000)
def _only(project: str) -> frozenset[str]:
    return frozenset((project,))


@functools.lru_cache(10_000)
def _own(text: str, place: Place) -> Expression:
    """The expression within one environment: its project and its environment are in every selector."""
    root = _placed(parse(text).root, {"project": place[0], "environment": place[1]})
    return Expression(str(root), root)


def _placed(node: Node, dimensions: Mapping[str, str]) -> Node:
    if isinstance(node, Number):
        return node
    if isinstance(node, Ask):
        if not node.selector.name.startswith(("machine_", "halage_")):
            selector = Selector(node.selector.name, {**node.selector.dimensions, **dimensions})
            return replace(node, selector=selector)
        return node
    if isinstance(node, Arithmetic):
        left, right = _placed(node.left, dimensions), _placed(node.right, dimensions)
        return Arithmetic(node.operator, left, right)
    return replace(node, operand=_placed(node.operand, dimensions))
