"""Metrics asked and taken in, without holding up the event loop."""

import asyncio
import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from halage.base.clock import Clock
from halage.base.errors import Invalid
from halage.monitor.metrics.catalogue import OWN_METRICS
from halage.monitor.metrics.evaluate import Evaluation, Evaluator, Visible, is_visible
from halage.monitor.metrics.expression import Expression, parse
from halage.monitor.metrics.lines import labels
from halage.monitor.metrics.model import MetricReader, MetricWriter, Sample, Selector, Series
from halage.monitor.metrics.syntax import Ask

PERIODS_S = (
    *(1, 5, 10, 20, 30),
    *(60, 120, 300, 600, 900, 1200, 1800),
    *(3600, 7200, 10800, 21600, 43200),
    *(86400, 2 * 86400, 7 * 86400),
)
"""What a period is chosen from when none is given."""
POINTS = 300
"""How many values a line has, at most, when no period is given: what a graph can show."""
LONGEST_S = 3 * 366 * 86400
"""No question reaches over a longer time."""
_AT_ONCE = 2
"""Questions that are worked on at the same time: more would only keep each other waiting."""


class MetricStore(MetricReader, MetricWriter, Protocol):
    """What keeps the samples."""


@dataclass(frozen=True, slots=True)
class QueryLine:
    """A line of an answer; value i is of [start + i * period_s, + period_s), None where there is none."""

    label: str
    """What tells it from the other lines; of a single one the expression."""
    dimensions: Mapping[str, str]
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query found. The last period may still be open: what is counted in it grows."""

    period_s: int
    start: float
    lines: tuple[QueryLine, ...]
    problems: tuple[str, ...]
    """In words: what could not be read, what matched nothing, what came otherwise than asked."""


class Metrics:
    """Questions to the store, and samples for it. Safe to share; owns nothing."""

    def __init__(self, store: MetricStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._evaluator = Evaluator(store)
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def query(
        self,
        expression: str,
        start: float,
        end: float,
        period_s: int | None,
        visible: Visible,
    ) -> Answer:
        """The lines of [start, end) (seconds since the epoch), of the visible projects alone.

        Without a period one is chosen so that a line has POINTS values at most. Raises BadExpression,
        TooLarge, Invalid.
        """
        parsed = parse(expression)
        self._check_time(start, end, period_s)
        async with self._turns:
            return await asyncio.to_thread(self._answer, parsed, start, end, period_s, visible)

    async def search(self, name: str, dimensions: Mapping[str, str], visible: Visible) -> list[Series]:
        """Series by name and dimensions (`*` and `?` stand for what is left open), by name, then newest."""
        selector = Selector(name, dimensions)
        async with self._turns:
            return await asyncio.to_thread(self._find, selector, visible)

    async def record(self, at: float, resolution_s: int, samples: Sequence[Sample]) -> None:
        """Keep the samples of the tick that begins at `at`. Raises TooOld, MetricsFull, TooManySeries."""
        await asyncio.to_thread(self._store.write, at, resolution_s, samples)

    def evaluate_now(
        self, expression: Expression, start: float, end: float, period_s: int, visible: Visible
    ) -> Evaluation:
        """The same as `query` at once, in the caller's thread: for those who ask often. Raises TooLarge.

        Parse the expression once and keep it: which series it means is remembered here.
        """
        return self._evaluator.evaluate(expression, start, end, period_s, visible)

    def _check_time(self, start: float, end: float, period_s: int | None) -> None:
        if not start < end:
            raise Invalid("The time to look at ends before it begins: `from` must be before `to`.")
        if end - start > LONGEST_S:
            raise Invalid(f"The time to look at is longer than {LONGEST_S // 86400} days.")
        if period_s is not None and period_s < 1:
            raise Invalid("A period is a whole number of seconds, 1 or more.", found=period_s)

    def _answer(
        self, expression: Expression, start: float, end: float, period_s: int | None, visible: Visible
    ) -> Answer:
        asked = period_s
        if asked is None:
            finest = self._evaluator.resolution(expression, start, end, visible)
            asked = choose_period(end - start, finest)
        found = self._evaluator.evaluate(expression, start, end, asked, visible)
        named = labels([*found.lines], expression.text)
        lines = tuple(
            QueryLine(label, line.dimensions, line.values)
            for label, line in sorted(zip(named, found.lines, strict=True), key=lambda each: each[0])
        )
        problems = list(found.problems)
        if period_s is not None and found.period_s != period_s:
            problems.append(
                f"Kept by {found.period_s} s at the finest: the period is that, not {period_s} s."
            )
        problems += [self._nothing(ask, visible) for ask in dict.fromkeys(found.unmatched)]
        return Answer(found.period_s, float(found.start), lines, tuple(problems))

    def _nothing(self, ask: Ask, visible: Visible) -> str:
        """Which statistic matches nothing, and the nearest name that there is."""
        sentence = f"No series matches {ask.key} at that time."
        known = {metric.name for metric in OWN_METRICS}
        known |= {series.key.name for series in self._find(Selector("*"), visible)}
        if ask.selector.name not in known:
            near = difflib.get_close_matches(ask.selector.name, sorted(known), n=1)
            sentence += f" Did you mean {near[0]}?" if near else ""
        return sentence

    def _find(self, selector: Selector, visible: Visible) -> list[Series]:
        found = [each for each in self._store.find(selector) if is_visible(each, visible)]
        return sorted(found, key=lambda each: (each.key.name, -each.last_at, each.key.dimensions))


def choose_period(span_s: float, resolution_s: int) -> int:
    """The shortest of PERIODS_S that gives POINTS values at most, in multiples of the resolution."""
    wanted = max(span_s / POINTS, resolution_s)
    chosen = next((each for each in PERIODS_S if each >= wanted and each % resolution_s == 0), None)
    return chosen if chosen is not None else math.ceil(wanted / resolution_s) * resolution_s
