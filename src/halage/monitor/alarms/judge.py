"""One evaluation of all alarms: which of them change, at the end of which period. Runs in a thread."""

import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from halage.monitor.alarms import composite
from halage.monitor.alarms.band import HOUR_S, WEEK_S, bounds_of, hours_before, mean_and_deviation
from halage.monitor.alarms.composite import Circumstances
from halage.monitor.alarms.model import Alarm, Definition, Point, State, Verdict
from halage.monitor.alarms.points import PointReader, Values
from halage.monitor.alarms.rules import evaluate, is_due

LOOK_BACK_S = 3 * 3600
"""How far behind a time in which Halage did not look there may be periods that count."""
FINEST_KEPT_S = 10_500
"""Data of less than a minute are kept for three hours; nothing finer is asked for from before that."""
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Turn:
    """An alarm that changes."""

    period_end: float
    alarm: Alarm
    """As it was before."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Round:
    """What is evaluated: every alarm at each of these moments at which one of its periods ends."""

    ends: Sequence[float]
    """In order; multiples of 10 s."""
    alarms: Mapping[int, Alarm]
    deploying: frozenset[Place] = frozenset()
    """Environments in which a deployment runs now."""
    is_paused: bool = False
    """Metrics are not kept now."""


class Judge:
    """Judges rounds. Remembers what the hours of the week were like; used by one thread at a time."""

    def __init__(self, points: PointReader) -> None:
        self._points = points
        self._usual: dict[tuple[int, float, int], tuple[float, float] | None] = {}
        """Mean and deviation by alarm, its version and the hour."""

    def judge(self, round_: Round) -> list[Turn]:
        """The changes in the order of time; at one moment, those of rules come after what they name."""
        turns = [turn for group in _groups(round_) for turn in self._judge_group(group)]
        turns.sort(key=lambda turn: (turn.period_end, turn.alarm.id))
        return list(_with_rules(round_, turns))

    def look(self, alarm: Alarm, end: float) -> Verdict:
        """What one alarm with an expression says at the end of the period that ended last."""
        period_s = alarm.definition.period_s
        last = end // period_s * period_s
        group = _Group(period_s, alarm.definition.range_periods, [last], [alarm])
        window = self._window(group)
        values = self._read(group, window)[alarm.id]
        return self._verdict(alarm, alarm.state, window, len(window.starts), values)

    def _judge_group(self, group: "_Group") -> Iterator[Turn]:
        window = self._window(group)
        due = [(end, window.until(end)) for end in group.ends if window.has(end - group.period_s)]
        if not due:
            return  # nobody looked: every alarm says what it said
        read = self._read(group, window)
        for alarm in group.alarms:
            values = read[alarm.id]
            current = alarm
            for end, until in due:
                verdict = self._verdict(alarm, current.state, window, until, values)
                if verdict.state is not current.state:
                    yield Turn(end, current, verdict)
                    current = _changed(current, verdict, end)

    def _verdict(self, alarm: Alarm, state: State, window: "_Window", until: int, values: Values) -> Verdict:
        if values.problem is not None:
            reason = f"it cannot be evaluated: {values.problem}"
            return Verdict(State.INSUFFICIENT_DATA, reason, {"problem": values.problem})
        definition = alarm.definition
        found: list[Point] = []
        for start, place in window.last(until, definition.range_periods):
            value = values.values[place]
            bounds = None
            if definition.band is not None and value is not None:
                bounds = self._bounds(alarm, start, definition.band.width)
            found.append(Point(start, value, bounds, values.samples[place] if values.samples else ()))
        percentiles = self._points.percentiles(definition) if values.samples else ()
        return evaluate(definition, found, state, percentiles)

    def _window(self, group: "_Group") -> "_Window":
        """The periods that count: those in which Halage looked. In the others time stood still."""
        period_s, last = group.period_s, group.ends[-1]
        start = group.ends[0] - group.range_periods * period_s
        if all(self._points.was_collecting(start, last, period_s)):
            count = round((last - start) / period_s)
            return _Window([start + place * period_s for place in range(count)], start, last, period_s)
        earliest = (start - LOOK_BACK_S) // period_s * period_s
        if period_s < 60:
            earliest = max(earliest, (last - FINEST_KEPT_S) // period_s * period_s)
        looked = self._points.was_collecting(earliest, last, period_s)
        starts = [earliest + place * period_s for place, was in enumerate(looked) if was]
        before = bisect.bisect_left(starts, group.ends[0])
        starts = starts[max(0, before - group.range_periods) :]
        return _Window(starts, min(starts, default=start), last, period_s)

    def _read(self, group: "_Group", window: "_Window") -> Mapping[int, Values]:
        definitions = {alarm.id: alarm.definition for alarm in group.alarms}
        banded = [alarm for alarm in group.alarms if alarm.definition.band is not None]
        if banded:
            self._learn(banded, window)
        return self._points.read(definitions, window.start, window.end, window.period_s)

    def _learn(self, alarms: Sequence[Alarm], window: "_Window") -> None:
        """Read what was usual in the hours of the window, as far as it is not known yet."""
        hours = {int(start) // HOUR_S * HOUR_S for start in window.starts}
        for hour in sorted(hours):
            new = [alarm for alarm in alarms if (alarm.id, alarm.updated_at, hour) not in self._usual]
            if not new:
                continue
            wanted = {alarm.id: alarm.definition for alarm in new}
            weeks = [self._points.read(wanted, *span, window.period_s) for span in hours_before(hour)]
            for alarm in new:
                past = [week[alarm.id].values for week in weeks]
                self._usual[alarm.id, alarm.updated_at, hour] = mean_and_deviation(past)
        if hours and len(self._usual) > 100 * len(alarms):
            oldest = min(hours) - WEEK_S
            self._usual = {key: usual for key, usual in self._usual.items() if key[2] >= oldest}

    def _bounds(self, alarm: Alarm, start: float, width: float) -> tuple[float, float] | None:
        usual = self._usual.get((alarm.id, alarm.updated_at, int(start) // HOUR_S * HOUR_S))
        return bounds_of(usual, width) if usual is not None else None


@dataclass(frozen=True, slots=True)
class _Group:
    """Alarms of one period that are read together."""

    period_s: int
    range_periods: int
    """The longest evaluation range among them."""
    ends: Sequence[float]
    alarms: Sequence[Alarm]


@dataclass(frozen=True, slots=True)
class _Window:
    """The periods of a group that count, by their beginnings."""

    starts: Sequence[float]
    start: float
    end: float
    period_s: int

    def has(self, start: float) -> bool:
        """Whether that period counts."""
        place = bisect.bisect_left(self.starts, start)
        return place < len(self.starts) and self.starts[place] == start

    def until(self, end: float) -> int:
        """How many of the periods end by then."""
        return bisect.bisect_left(self.starts, end)

    def last(self, until: int, count: int) -> Iterator[tuple[float, int]]:
        """The last ones of these, oldest first, each with its place among the values that were read."""
        for start in self.starts[max(0, until - count) : until]:
            yield start, round((start - self.start) / self.period_s)


def _groups(round_: Round) -> Iterator[_Group]:
    """By period, and by roughly how far back they look: one that looks far makes no other one do so."""
    by_kind: defaultdict[tuple[int, int], list[Alarm]] = defaultdict(list)
    for alarm in round_.alarms.values():
        if alarm.definition.expression is not None:
            size = alarm.definition.range_periods.bit_length() // 2
            by_kind[alarm.definition.period_s, size].append(alarm)
    for (period_s, _), alarms in sorted(by_kind.items()):
        ends = [end for end in round_.ends if is_due(period_s, end)]
        if ends:
            longest = max(alarm.definition.range_periods for alarm in alarms)
            yield _Group(period_s, longest, ends, alarms)


def _changed(alarm: Alarm, verdict: Verdict, at: float) -> Alarm:
    return replace(alarm, state=verdict.state, reason=verdict.reason, state_at=at)


def _with_rules(round_: Round, turns: Iterable[Turn]) -> Iterator[Turn]:
    """The changes with those of the alarms with rules, after each moment and at the end of the round."""
    ruled = _Rules(round_)
    by_end: defaultdict[float, list[Turn]] = defaultdict(list)
    for turn in turns:
        by_end[turn.period_end].append(turn)
    for end in sorted({*by_end, round_.ends[-1]}):
        yield from by_end[end]
        ruled.take(by_end[end])
        yield from ruled.turns(end)


class _Rules:
    """The alarms with rules, in the order in which they depend on each other."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._states: defaultdict[str | None, dict[str, State]] = defaultdict(dict)
        self._alarms: dict[int, Alarm] = {}
        by_project: defaultdict[str | None, dict[str, Alarm]] = defaultdict(dict)
        for alarm in round_.alarms.values():
            self._states[alarm.definition.project][alarm.definition.name] = alarm.state
            if alarm.definition.rule is not None:
                by_project[alarm.definition.project][alarm.definition.name] = alarm
        for alarms in by_project.values():
            named = {name: set(composite.names_in(_rule(alarm))) for name, alarm in alarms.items()}
            self._alarms |= {alarms[name].id: alarms[name] for name in composite.in_order(named)}

    def take(self, turns: Iterable[Turn]) -> None:
        """Note what changed."""
        for turn in turns:
            definition = turn.alarm.definition
            self._states[definition.project][definition.name] = turn.verdict.state

    def turns(self, end: float) -> Iterator[Turn]:
        """Those that change now."""
        for alarm in list(self._alarms.values()):
            verdict = judge_rule(alarm.definition, self._states[alarm.definition.project], self._round)
            if verdict.state is alarm.state:
                continue
            turn = Turn(end, alarm, verdict)
            self._alarms[alarm.id] = _changed(alarm, verdict, end)
            self.take((turn,))
            yield turn


def judge_rule(definition: Definition, states: Mapping[str, State], round_: Round) -> Verdict:
    """What an alarm with a rule says, given the states of the other alarms of its project by name."""
    assert definition.rule is not None
    rule = composite.parse_rule(definition.rule)
    now = Circumstances(is_deploying(definition, round_.deploying), round_.is_paused)
    state = State.ALARM if composite.holds(rule, states, now) else State.OK
    named = {name: states[name].value for name in composite.names_in(rule) if name in states}
    facts = {"rule": definition.rule, "states": named}
    return Verdict(state, composite.explain(rule, definition.rule, states, now), facts)


def is_deploying(definition: Definition, deploying: frozenset[Place]) -> bool:
    """Whether a deployment runs in the alarm's environment, or in any of its project where it names none."""
    if definition.environment is not None and definition.project is not None:
        return (definition.project, definition.environment) in deploying
    return any(definition.project in (None, project) for project, _ in deploying)


def _rule(alarm: Alarm) -> composite.Rule:
    assert alarm.definition.rule is not None
    return composite.parse_rule(alarm.definition.rule)
