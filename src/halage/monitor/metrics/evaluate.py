"""Evaluates an expression: asks the reader for its series, and works out a line for each.

Synchronous. Alarms come through here ten thousand times a second, so which series a selector means is
remembered until the reader says that it may have changed.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from halage.monitor.metrics.aggregates import Values, aggregate, merge
from halage.monitor.metrics.errors import TooLarge
from halage.monitor.metrics.lines import Line, combine, fill, fold, open_dimensions, pair, told_apart_by
from halage.monitor.metrics.model import SILENT_S, Buckets, MetricReader, Series
from halage.monitor.metrics.syntax import (
    Aggregate,
    Arithmetic,
    Ask,
    Expression,
    Fill,
    Folded,
    Negate,
    Node,
    Number,
    Rate,
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much one evaluation may take."""

    lines: int = 1000
    """Lines of an answer."""
    points: int = 100_000
    """Values of an answer, all lines together."""
    read: int = 1_000_000
    """Buckets that are read for one statistic."""
    sketches: int = 300_000
    """The same of a percentile: each holds a sketch."""
    read_at_once: int = 200_000
    """Buckets in memory at the same time."""
    sketches_at_once: int = 20_000
    """The same of a percentile."""


_REMEMBERED_S = 3600
_REMEMBERED = 50_000
"""Selectors whose series are remembered, and for how long (of the time that is asked for)."""

Visible = frozenset[str] | None
"""The projects whose series may be read; None: all. Series without a project are for everyone."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out: lines of values, value i for [start + i * period_s, + period_s)."""

    start: int
    period_s: int
    lines: tuple[Line, ...]
    """Lines without any value are left out."""
    problems: tuple[str, ...] = ()
    unmatched: tuple[Ask, ...] = ()
    """Statistics that no series matches."""


@dataclass(slots=True)
class _Group:
    """Series that become one line."""

    dimensions: dict[str, str]
    open: tuple[tuple[str, str], ...]
    series: list[Series] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Matched:
    """Which series a statistic means, as of one version of the reader, from a moment on."""

    version: int
    start: float
    resolution_s: int
    count: int
    groups: tuple[_Group, ...]


class _Coarser(Exception):
    """What was asked for is kept by a longer period only."""

    def __init__(self, period_s: int) -> None:
        self.period_s = period_s


@dataclass(slots=True)
class _Frame:
    """One evaluation at one period."""

    start: int
    end: int
    period_s: int
    count: int
    visible: Visible
    problems: list[str]
    unmatched: list[Ask]


Result = float | list[Line]


class Evaluator:
    """Evaluates expressions over one reader. Safe from any thread."""

    def __init__(self, reader: MetricReader, sizes: Sizes | None = None) -> None:
        self._reader = reader
        self._sizes = sizes or Sizes()
        self._remembered: dict[tuple[str, tuple[str, ...] | None, Visible], _Matched] = {}

    def evaluate(
        self, expression: Expression, start: float, end: float, period_s: int, visible: Visible
    ) -> Evaluation:
        """The lines of [start, end), widened to whole periods (seconds since the epoch).

        The answer's period is longer than the one asked for where only that is kept; it is a multiple
        of the resolution of each series. Raises TooLarge.
        """
        while True:
            frame = _frame(start, end, period_s, visible, self._sizes.points)
            try:
                result = self._node(expression.root, frame)
            except _Coarser as coarser:
                period_s = coarser.period_s
                continue
            return _evaluation(result, frame, self._sizes)

    def resolution(self, expression: Expression, start: float, end: float, visible: Visible) -> int:
        """The coarsest resolution of the series that are meant (seconds); 1 where there are none."""
        found = (self._matched(ask, start, end, visible).resolution_s for ask in expression.asks())
        return max(found, default=1)

    def _node(self, node: Node, frame: _Frame) -> Result:
        match node:
            case Ask():
                return self._ask(node, frame)
            case Arithmetic(operator, left, right):
                return _arithmetic(operator, self._node(left, frame), self._node(right, frame), frame)
            case Number(value):
                return value
            case Negate(operand):
                return _arithmetic("-", 0.0, self._node(operand, frame), frame)
            case Rate(operand):
                return _arithmetic("/", self._node(operand, frame), float(frame.period_s), frame)
            case Fill(operand, how):
                return _each(self._lines(operand, frame), lambda values: fill(values, how))
            case Folded(how, operand):
                lines = self._lines(operand, frame)
                return [fold(how, lines)] if lines else []

    def _lines(self, node: Node, frame: _Frame) -> list[Line]:
        result = self._node(node, frame)
        assert isinstance(result, list), "the parser refuses a function of numbers alone"
        return result

    def _ask(self, ask: Ask, frame: _Frame) -> list[Line]:
        matched = self._matched(ask, frame.start, frame.end, frame.visible)
        if not matched.count:
            frame.unmatched.append(ask)
            return []
        if frame.period_s % matched.resolution_s:
            raise _Coarser(math.ceil(frame.period_s / matched.resolution_s) * matched.resolution_s)
        with_sketches = ask.aggregate is Aggregate.PERCENTILE
        _check_size(ask, matched.count, frame, self._sizes.sketches if with_sketches else self._sizes.read)
        groups = matched.groups
        if matched.count == 1:
            buckets = self._read(groups[0].series, frame, with_sketches)
            return [_line(ask, groups[0], buckets.get(groups[0].series[0].id), frame)]
        return self._read_groups(ask, groups, frame, with_sketches)

    def _read_groups(
        self, ask: Ask, groups: Sequence[_Group], frame: _Frame, with_sketches: bool
    ) -> list[Line]:
        at_once = self._sizes.sketches_at_once if with_sketches else self._sizes.read_at_once
        size = max(1, at_once // frame.count)
        lines = []
        for batch, is_whole in _batches(groups, size):
            if is_whole:
                series = [each for group in batch for each in group.series]
                buckets = self._read(series, frame, with_sketches)
                for group in batch:
                    found = [buckets[each.id] for each in group.series if each.id in buckets]
                    lines.append(_line(ask, group, merge(found, ask.aggregate), frame))
                continue
            (group,) = batch
            total: Buckets | None = None
            for begin in range(0, len(group.series), size):
                part = group.series[begin : begin + size]
                more = self._read(part, frame, with_sketches).values()
                total = merge([*([total] if total else []), *more], ask.aggregate)
            lines.append(_line(ask, group, total, frame))
        return lines

    def _read(self, series: Sequence[Series], frame: _Frame, with_sketches: bool) -> dict[int, Buckets]:
        read = self._reader.read(series, frame.start, frame.end, frame.period_s, with_sketches=with_sketches)
        if read.period_s != frame.period_s:
            if read.period_s < frame.period_s:
                raise ValueError(f"asked for {frame.period_s} s, read {read.period_s} s")
            raise _Coarser(read.period_s)
        for problem in read.problems:
            if problem not in frame.problems:
                frame.problems.append(problem)
        return dict(read.buckets)

    def _matched(self, ask: Ask, start: float, end: float, visible: Visible) -> _Matched:
        """The series of a statistic that were heard of not long before the time that is asked for."""
        key = (ask.key, ask.by, visible)
        version = self._reader.version
        known = self._remembered.get(key)
        if known and known.version == version and known.start <= start < known.start + _REMEMBERED_S:
            return known
        found = [each for each in self._reader.find(ask.selector) if is_visible(each, visible)]
        alive = [each for each in found if each.last_at >= start - SILENT_S and each.first_at < end]
        matched = _match(ask, alive, version, start)
        # One that begins later would be missed by a later question; what is new changes the version.
        if all(each.first_at < end for each in found):
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = matched
        return matched


def evaluate(
    expression: Expression,
    reader: MetricReader,
    start: float,
    end: float,
    period_s: int,
    visible: Visible,
) -> Evaluation:
    """One evaluation; who makes many keeps an Evaluator. Raises TooLarge."""
    return Evaluator(reader).evaluate(expression, start, end, period_s, visible)


def _frame(start: float, end: float, period_s: int, visible: Visible, points: int) -> _Frame:
    first = math.floor(start / period_s) * period_s
    count = max(1, math.ceil((end - first) / period_s))
    if count > points:
        raise TooLarge(
            f"{count} periods of {period_s} s lie between the two moments; an answer may have {points} "
            f"values. Ask for a period of {math.ceil((end - start) / points)} s or longer.",
            periods=count,
            allowed=points,
        )
    return _Frame(first, first + count * period_s, period_s, count, visible, [], [])


def is_visible(series: Series, visible: Visible) -> bool:
    """Whether the series may be read by who may see these projects."""
    if visible is None:
        return True
    project = series.key.get("project")
    return project is None or project in visible


def _match(ask: Ask, series: Iterable[Series], version: int, start: float) -> _Matched:
    groups: dict[object, _Group] = {}
    resolution_s, count = 1, 0
    for each in series:
        dimensions = dict(each.key.dimensions)
        key: object = each.id
        if ask.by is not None:
            dimensions = {name: dimensions[name] for name in ask.by if name in dimensions}
            key = tuple(dimensions.items())
        group = groups.get(key)
        if group is None:
            opened = open_dimensions(ask, each.key.name, dimensions)
            group = groups[key] = _Group(dimensions, opened)
        group.series.append(each)
        resolution_s = max(resolution_s, each.resolution_s)
        count += 1
    return _Matched(version, start, resolution_s, count, tuple(groups.values()))


def _batches(groups: Sequence[_Group], size: int) -> Iterable[tuple[list[_Group], bool]]:
    """Groups that are read at once, `size` series at most; False with one that is larger by itself."""
    batch: list[_Group] = []
    held = 0
    for group in groups:
        if len(group.series) > size:
            yield [group], False
            continue
        if held + len(group.series) > size:
            yield batch, True
            batch, held = [], 0
        batch.append(group)
        held += len(group.series)
    if batch:
        yield batch, True


def _line(ask: Ask, group: _Group, buckets: Buckets | None, frame: _Frame) -> Line:
    values: Values = [None] * frame.count
    if buckets is not None:
        values = aggregate(ask.aggregate, ask.percent, buckets)
    return Line(group.dimensions, group.open, values)


def _check_size(ask: Ask, series: int, frame: _Frame, allowed: int) -> None:
    if series * frame.count <= allowed:
        return
    raise TooLarge(
        f"{ask} means {series} series of {frame.count} periods each, which are {series * frame.count} values "
        f"to read; at most {allowed} are read for one statistic. Name more dimensions, a shorter time or a "
        "longer period.",
        series=series,
        periods=frame.count,
        allowed=allowed,
    )


def _arithmetic(operator: str, left: Result, right: Result, frame: _Frame) -> Result:
    if isinstance(left, float) and isinstance(right, float):
        value = combine(operator, [left], [right])[0]
        return math.nan if value is None else value
    if isinstance(right, float):
        assert isinstance(left, list)
        constant: Values = [right] * frame.count
        return _each(left, lambda values: combine(operator, values, constant))
    if isinstance(left, float):
        constant = [left] * frame.count
        return _each(right, lambda values: combine(operator, constant, values))
    pairs = pair(left, right)
    if left and right and not pairs:
        frame.problems.append(
            f"Nothing pairs on both sides of {operator}: lines are told apart by {told_apart_by(left)} on "
            f"the left and by {told_apart_by(right)} on the right. Merge with `by` what shall pair."
        )
    return [one.paired(other, combine(operator, one.values, other.values)) for one, other in pairs]


def _each(lines: Sequence[Line], change: Callable[[Values], Values]) -> list[Line]:
    return [Line(line.dimensions, line.open, change(line.values)) for line in lines]


def _evaluation(result: Result, frame: _Frame, sizes: Sizes) -> Evaluation:
    lines = result if isinstance(result, list) else [Line({}, (), [result] * frame.count)]
    kept = []
    for line in lines:
        # Infinite, or no number: an overflow. There is no value that it stands for.
        values: Values = [
            value if value is not None and math.isfinite(value) else None for value in line.values
        ]
        if any(value is not None for value in values):
            kept.append(Line(line.dimensions, line.open, values))
    if len(kept) > sizes.lines:
        raise TooLarge(
            f"The answer has {len(kept)} lines; it may have {sizes.lines}. Name more dimensions, merge with "
            "`by`, or take highest(...) of them.",
            lines=len(kept),
            allowed=sizes.lines,
        )
    if len(kept) * frame.count > sizes.points:
        needed = math.ceil(len(kept) * frame.count / sizes.points) * frame.period_s
        raise TooLarge(
            f"The answer has {len(kept)} lines of {frame.count} values, {len(kept) * frame.count} in all; it "
            f"may have {sizes.points}. Ask for a period of {needed} s or longer, or for fewer lines.",
            lines=len(kept),
            periods=frame.count,
            allowed=sizes.points,
        )
    return Evaluation(frame.start, frame.period_s, tuple(kept), tuple(frame.problems), tuple(frame.unmatched))
