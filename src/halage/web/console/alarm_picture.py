"""The picture of an alarm: its values, its threshold or band, its state over time. Pure geometry.

Places are per cent of the picture's width, or of the height of its upper part; the template turns them into
SVG. Lines are in a system of WIDTH by HEIGHT, which the browser stretches.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from halage.monitor.alarms.model import Alarm, Change, Course, Definition, Operator, State

WIDTH, HEIGHT = 1000, 200
RANGES_S = (3600, 3 * 3600, 12 * 3600, 86400, 7 * 86400, 28 * 86400)
"""The times that can be shown."""
MOST_CHANGES = 200
"""So many changes are looked at; what lies before them is not drawn."""
_USUAL_PERIODS = 100
"""As many of its periods at least are shown at first."""
_MOST_TIMES = 6
_ROOM = 8.0
"""Per cent of the width that the name of a release takes on a telephone."""
_LEAST = 1e-100
"""Values that are closer together are drawn as one: steps between them would be zero."""
_DAY_S = 86400
_TIME_STEPS_S = (300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, _DAY_S, 2 * _DAY_S, 7 * _DAY_S)

Write = Callable[[float], str]
Place = Callable[[float], float]
Bounds = tuple[float, float]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on an axis, or a deployment, with its words."""

    place: float
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which the alarm said the same."""

    state: State
    start: float
    end: float
    place: float
    width: float


@dataclass(frozen=True, slots=True)
class Picture:
    """What the template draws."""

    lines: tuple[str, ...]
    """Paths; a value without neighbours is a line without length, which round ends make a dot."""
    bands: tuple[str, ...]
    """Closed paths, one for each time in which there was a band."""
    threshold: Mark | None
    breaching: tuple[float, float] | None
    """Top and height of the part in which a value breaches the threshold."""
    levels: tuple[Mark, ...]
    times: tuple[Mark, ...]
    spans: tuple[Span, ...]
    latest: float | None
    lowest: float | None
    highest: float | None

    @property
    def durations(self) -> list[tuple[State, float]]:
        """How long it said what (seconds), the worst first."""
        order = (State.ALARM, State.INSUFFICIENT_DATA, State.OK)
        total = {
            state: sum(span.end - span.start for span in self.spans if span.state is state) for state in order
        }
        return [(state, seconds) for state, seconds in total.items() if seconds]


def usual_range(definition: Definition) -> int:
    """The range (seconds) that is shown unless another one is asked for."""
    wanted = definition.period_s * max(_USUAL_PERIODS, 2 * definition.periods)
    return next((each for each in RANGES_S if each >= wanted), RANGES_S[-1])


def marks_of(deployments: Sequence[tuple[float, int]], start: float, end: float) -> list[Mark]:
    """Deployments (when they ended, the number of their release) as places in [start, end).

    One whose name would run into the next one, or out of the picture, has none.
    """
    found = sorted(each for each in deployments if start <= each[0] < end)
    places = [round(100 * (at - start) / (end - start), 2) for at, _ in found] + [100.0]
    return [
        Mark(place, f"v{number}" if after - place > _ROOM else "")
        for place, after, (_, number) in zip(places[:-1], places[1:], found, strict=True)
    ]


def draw(
    alarm: Alarm, course: Course, changes: Sequence[Change], start: float, end: float, write: Write
) -> Picture:
    """The picture of [start, end) (seconds, epoch); `changes` newest first, `write` writes a value."""
    definition = alarm.definition
    low, high = _scale(course, definition)
    known = [value for value in course.values if value is not None]

    def x(at: float) -> float:
        return (at - start) / (end - start)

    def y(value: float) -> float:
        return min(1.0, max(0.0, (high - value) / (high - low)))

    threshold, breaching = None, None
    if definition.threshold is not None:
        at = y(definition.threshold)
        text = f"{definition.operator} {write(definition.threshold)}"
        threshold = Mark(round(100 * at, 2), text)
        is_above = definition.operator in (Operator.ABOVE, Operator.AT_LEAST)
        breaching = (0.0, round(100 * at, 2)) if is_above else (round(100 * at, 2), round(100 - 100 * at, 2))
    middles = [course.start + (place + 0.5) * course.period_s for place in range(len(course.values))]
    return Picture(
        lines=tuple(_line(run, x, y) for run in _runs(middles, course.values)),
        bands=tuple(_band(run, x, y) for run in _runs(middles, course.bounds)),
        threshold=threshold,
        breaching=breaching,
        levels=tuple(Mark(round(100 * y(level), 2), write(level)) for level in _levels(low, high)),
        times=tuple(Mark(round(100 * x(at), 2), text) for at, text in _times(start, end)),
        spans=tuple(_spans(alarm, changes, start, end)),
        latest=known[-1] if known else None,
        lowest=min(known, default=None),
        highest=max(known, default=None),
    )


def _scale(course: Course, definition: Definition) -> tuple[float, float]:
    """The lowest and the highest value that are shown; zero is, where nothing lies below it."""
    values = [value for value in course.values if value is not None]
    values += [bound for bounds in course.bounds if bounds is not None for bound in bounds]
    if definition.threshold is not None:
        values.append(definition.threshold)
    low, high = min(values, default=0.0), max(values, default=1.0)
    low = 0.0 if low >= 0 else low - 0.08 * (high - low)
    if high - low < _LEAST:
        high = low + max(1.0, 1e-6 * abs(low))  # past 1e16 a float plus one is itself
    else:
        high += 0.12 * (high - low)
    return low, high


def _runs(moments: Sequence[float], values: Sequence[T | None]) -> Iterator[list[tuple[float, T]]]:
    """The stretches without a gap."""
    run: list[tuple[float, T]] = []
    # The values of a course may have no bounds at all.
    for moment, value in zip(moments, values, strict=False):
        if value is not None:
            run.append((moment, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _line(run: Sequence[tuple[float, float]], x: Place, y: Place) -> str:
    points = [_point(x(at), y(value)) for at, value in run]
    return "M" + "L".join(points if len(points) > 1 else points * 2)


def _band(run: Sequence[tuple[float, Bounds]], x: Place, y: Place) -> str:
    lower = [_point(x(at), y(bounds[0])) for at, bounds in run]
    upper = [_point(x(at), y(bounds[1])) for at, bounds in run]
    return "M" + "L".join([*upper, *reversed(lower)]) + "Z"


def _point(x: float, y: float) -> str:
    return f"{WIDTH * x:.1f} {HEIGHT * y:.1f}"


def _levels(low: float, high: float) -> Iterator[float]:
    """Three to six round values between the lowest and the highest."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(each for each in (1, 2, 5, 10) if power * each >= rough * 0.999)
    first = math.ceil(low / step)
    for number in range(first, first + 8):
        if number * step > high - (high - low) * 0.02:
            return
        yield number * step


def _spans(alarm: Alarm, changes: Sequence[Change], start: float, end: float) -> Iterator[Span]:
    """What it said when, newest first; before the first change that is known it said what that one left."""
    later, before = end, alarm.state
    for change in changes:
        begin = max(change.period_end, start)
        if begin < later:
            yield _span(change.state, begin, later, start, end)
            later = begin
        before = change.state_before
        if change.period_end <= start:
            return
    begin = max(alarm.created_at, start)
    if begin < later and len(changes) < MOST_CHANGES:
        yield _span(before, begin, later, start, end)


def _span(state: State, begin: float, until: float, start: float, end: float) -> Span:
    whole = end - start
    place, width = 100 * (begin - start) / whole, 100 * (until - begin) / whole
    return Span(state, begin, until, round(place, 2), round(width, 2))


def _times(start: float, end: float) -> Iterator[tuple[float, str]]:
    """Whole hours, days or minutes (UTC), at most six."""
    step = next((each for each in _TIME_STEPS_S if (end - start) / each <= _MOST_TIMES), _TIME_STEPS_S[-1])
    at = math.ceil(start / step) * step
    while at < end:
        form = "%d.%m." if step >= _DAY_S else "%H:%M"
        yield at, datetime.fromtimestamp(at, UTC).strftime(form)
        at += step
