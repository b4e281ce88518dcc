"""The values that alarms are judged by: expressions over the metrics, many at a time."""

import contextlib
import functools
import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from halage.monitor.alarms.errors import BadAlarm
from halage.monitor.alarms.model import Definition, LowSamples, Operator, Side
from halage.monitor.metrics.errors import BadExpression, TooLarge
from halage.monitor.metrics.evaluate import Evaluation, Evaluator
from halage.monitor.metrics.expression import Expression, parse
from halage.monitor.metrics.lines import labels
from halage.monitor.metrics.model import MetricReader, Read, Selector, Series
from halage.monitor.metrics.syntax import Aggregate, Ask

HEARTBEAT = parse("samples(halage_cpu_percent)")
"""Collected in every tick: a period without it is one in which Halage did not look."""
SHOWN_LINES = 3


@dataclass(frozen=True, slots=True)
class Values:
    """What an expression gives for each period that was asked for."""

    values: Sequence[float | None]
    samples: Sequence[tuple[float, ...]] = ()
    """For each period, how many samples each percentile was taken from; empty when nobody wants to know."""
    problem: str | None = None
    """Why there are no values."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of an expression before it is evaluated for an alarm."""

    percentiles: tuple[float, ...]
    lines: tuple[str, ...]
    """What it gives now, by label."""
    resolution_s: int


class PointReader(Protocol):
    """Gives alarms their values. Synchronous, safe from any thread."""

    def percentiles(self, definition: Definition) -> tuple[float, ...]:
        """The percentiles (0 to 100) in the expression, from left to right. Raises BadExpression."""
        ...

    def check(self, definition: Definition, start: float, end: float) -> Checked:
        """What the expression gives in that time. Raises BadExpression, TooLarge."""
        ...

    def read(
        self, definitions: Mapping[int, Definition], start: float, end: float, period_s: int
    ) -> Mapping[int, Values]:
        """The values of [start, end) by the keys of the definitions; one that fails has a problem."""
        ...

    def read_along(
        self, definition: Definition, start: float, end: float, period_s: int
    ) -> tuple[int, Values]:
        """The values of [start, end), by a longer period where no finer one is kept, and that period.

        Value i is that of the period that begins i periods after the one that `start` lies in.
        """
        ...

    def was_collecting(self, start: float, end: float, period_s: int) -> Sequence[bool]:
        """For each period, whether Halage collected anything. All True where it never did."""
        ...


class ExpressionPoints:
    """Evaluates expressions. What they read of the store is fetched at once, as far as that is foreseen."""

    def __init__(self, reader: MetricReader) -> None:
        self._ahead = _ReadAhead(reader)
        self._evaluator = Evaluator(self._ahead)
        self._turn = threading.Lock()

    def percentiles(self, definition: Definition) -> tuple[float, ...]:
        """The percentiles (0 to 100) in the expression, from left to right. Raises BadExpression."""
        return tuple(ask.percent for ask in _percentile_asks(_parsed(definition)))

    def check(self, definition: Definition, start: float, end: float) -> Checked:
        """What the expression gives in that time. Raises BadExpression, TooLarge."""
        expression = _parsed(definition)
        visible = _visible(definition)
        found = self._evaluator.evaluate(expression, start, end, definition.period_s, visible)
        resolution_s = self._evaluator.resolution(expression, start, end, visible)
        lines = tuple(labels(found.lines, definition.expression or ""))
        return Checked(self.percentiles(definition), lines, resolution_s)

    def read(
        self, definitions: Mapping[int, Definition], start: float, end: float, period_s: int
    ) -> Mapping[int, Values]:
        """The values of [start, end) by the keys of the definitions; one that fails has a problem."""
        with self._turn, self._ahead.reading(start, end, period_s):
            return {
                key: self._read_one(definition, start, end, period_s)
                for key, definition in definitions.items()
            }

    def read_along(
        self, definition: Definition, start: float, end: float, period_s: int
    ) -> tuple[int, Values]:
        """The values of [start, end), by a longer period where no finer one is kept, and that period."""
        try:
            found = self._evaluator.evaluate(_parsed(definition), start, end, period_s, _visible(definition))
        except (BadExpression, TooLarge) as error:
            return period_s, Values((), problem=error.message)
        return found.period_s, Values(worst_of([line.values for line in found.lines], definition))

    def was_collecting(self, start: float, end: float, period_s: int) -> Sequence[bool]:
        """For each period, whether Halage collected anything. All True where it never did."""
        found = self._evaluator.evaluate(HEARTBEAT, start, end, period_s, None)
        count = round((end - start) / period_s)
        if found.unmatched or found.period_s != period_s:
            return [True] * count
        if not found.lines:
            return [False] * count
        return [any(line.values[i] is not None for line in found.lines) for i in range(count)]

    def _read_one(self, definition: Definition, start: float, end: float, period_s: int) -> Values:
        count = round((end - start) / period_s)
        nothing: Sequence[float | None] = [None] * count
        try:
            expression = _parsed(definition)
            found = self._evaluate(expression, definition, start, end, period_s)
            samples: Sequence[tuple[float, ...]] = ()
            if definition.low_samples is LowSamples.IGNORE and (asks := _percentile_asks(expression)):
                columns = [self._counts(ask, definition, start, end, period_s) for ask in asks]
                samples = list(zip(*columns, strict=True))
        except (BadExpression, TooLarge, _WrongPeriod) as error:
            return Values(nothing, problem=error.message)
        if not found.lines:
            return Values(nothing, samples)
        if len(found.lines) == 1:
            return Values(found.lines[0].values, samples)
        return Values(worst_of([line.values for line in found.lines], definition), samples)

    def _evaluate(
        self, expression: Expression, definition: Definition, start: float, end: float, period_s: int
    ) -> Evaluation:
        found = self._evaluator.evaluate(expression, start, end, period_s, _visible(definition))
        if found.period_s != period_s:
            raise _WrongPeriod(
                f"its data are kept by {found.period_s} s there, and its period is {period_s} s"
            )
        return found

    def _counts(
        self, ask: Ask, definition: Definition, start: float, end: float, period_s: int
    ) -> Sequence[float]:
        """How many samples a percentile was taken from: where it gives several lines, the fewest of them."""
        counted = replace(ask, aggregate=Aggregate.SAMPLES)
        found = self._evaluate(Expression(str(counted), counted), definition, start, end, period_s)
        if not found.lines:
            return [0.0] * round((end - start) / period_s)
        columns = zip(*(line.values for line in found.lines), strict=True)
        return [min((n for n in column if n is not None), default=0.0) for column in columns]


def worst_of(lines: Sequence[Sequence[float | None]], definition: Definition) -> list[float | None]:
    """One line of several: period by period the one that breaches first, so that none is overlooked."""
    is_low = definition.operator in (Operator.BELOW, Operator.AT_MOST)
    if definition.band is not None:
        is_low = definition.band.side is Side.BELOW
    choose = min if is_low else max
    return [
        choose((value for value in column if value is not None), default=None)
        for column in zip(*lines, strict=True)
    ]


def refuse_many(labels_: Sequence[str]) -> None:
    """Raise BadAlarm where an expression gives several lines: it is not clear which one is meant."""
    if len(labels_) < 2:
        return
    shown = ", ".join(labels_[:SHOWN_LINES]) + (", ..." if len(labels_) > SHOWN_LINES else "")
    allowed = (
        "one line: merge with `by ()`, name more dimensions, or take highest(...) or lowest(...) of them"
    )
    raise BadAlarm(
        f"expression: it gives {len(labels_)} lines ({shown}), allowed is {allowed}",
        errors=[{"location": "expression", "found": f"{len(labels_)} lines: {shown}", "allowed": allowed}],
    )


class _WrongPeriod(BadAlarm):
    """The data are kept by a longer period than the alarm's."""


@functools.lru_cache(50_000)
def _parse(text: str) -> Expression:
    return parse(text)


def _parsed(definition: Definition) -> Expression:
    assert definition.expression is not None, "alarms with a rule have no values"
    return _parse(definition.expression)


@functools.lru_cache(50_000)
def _asks_of(text: str) -> tuple[Ask, ...]:
    return tuple(ask for ask in _parse(text).asks() if ask.aggregate is Aggregate.PERCENTILE)


def _percentile_asks(expression: Expression) -> tuple[Ask, ...]:
    return _asks_of(expression.text)


def _visible(definition: Definition) -> frozenset[str] | None:
    """The projects whose series the alarm may read: its own; those of the server read all."""
    return None if definition.project is None else _only(definition.project)


@functools.lru_cache(10_000)
def _only(project: str) -> frozenset[str]:
    return frozenset((project,))


class _ReadAhead:
    """A MetricReader that fetches at once what the same reading needed the time before.

    Ten thousand alarms mean ten thousand small reads; what they want hardly changes from one evaluation
    to the next. What is not foreseen is read as it is asked for.
    """

    def __init__(self, reader: MetricReader) -> None:
        self._reader = reader
        self._needed: dict[tuple[int, int, bool], dict[int, Series]] = {}
        """By period, number of periods and whether with sketches: the series of the last reading."""
        self._fetched: dict[bool, Read] = {}
        self._asked: dict[bool, dict[int, Series]] = {}
        self._span: tuple[float, float, int] | None = None

    @property
    def version(self) -> int:
        return self._reader.version

    def find(self, selector: Selector) -> Sequence[Series]:
        return self._reader.find(selector)

    @contextlib.contextmanager
    def reading(self, start: float, end: float, period_s: int) -> Iterator[None]:
        """The time in which values of [start, end) are read: first what was needed the time before."""
        self._span = (start, end, period_s)
        self._asked = {False: {}, True: {}}
        for with_sketches in (False, True):
            if needed := self._needed.get(self._key(with_sketches)):
                self._fetched[with_sketches] = self._reader.read(
                    needed.values(), start, end, period_s, with_sketches=with_sketches
                )
        try:
            yield
        finally:
            for with_sketches, asked in self._asked.items():
                self._needed[self._key(with_sketches)] = asked
            self._span = None
            self._fetched = {}

    def read(
        self,
        series: Iterable[Series],
        start: float,
        end: float,
        period_s: int,
        *,
        with_sketches: bool = False,
    ) -> Read:
        series = list(series)
        if self._span == (start, end, period_s):
            self._asked[with_sketches].update({each.id: each for each in series})
            fetched, needed = self._fetched.get(with_sketches), self._needed.get(self._key(with_sketches), {})
            is_there = fetched is not None and all(each.id in needed for each in series)
            if fetched is not None and is_there and fetched.period_s == period_s:
                buckets = fetched.buckets
                found = {each.id: buckets[each.id] for each in series if each.id in buckets}
                return Read(found, period_s, fetched.problems)
        return self._reader.read(series, start, end, period_s, with_sketches=with_sketches)

    def _key(self, with_sketches: bool) -> tuple[int, int, bool]:
        assert self._span is not None
        start, end, period_s = self._span
        return period_s, math.ceil((end - start) / period_s), with_sketches
