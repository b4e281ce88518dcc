"""The thresholds of alarms that a graph draws. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from halage.monitor.alarms.model import Alarm, Operator
from halage.monitor.dashboards.model import Widget
from halage.monitor.metrics.errors import BadExpression
from halage.monitor.metrics.expression import parse


@dataclass(frozen=True, slots=True)
class Level:
    """The static threshold of an alarm."""

    alarm: int
    label: str
    """The alarm's name."""
    operator: Operator
    """A value breaches where `value OPERATOR threshold` holds."""
    value: float


def levels_of(widget: Widget, alarms: Sequence[Alarm]) -> tuple[Level, ...]:
    """Those that the widget draws, of these alarms: the chosen ones, else those on its expressions.

    Alarms on a band that is learned, and rules over other alarms, have no level.
    """
    if not widget.shows_alarm_thresholds:
        return ()
    drawn = {_plain(line.expression) for line in widget.lines}
    levels = []
    for alarm in alarms:
        definition = alarm.definition
        if definition.threshold is None or definition.expression is None:
            continue
        if alarm.id in widget.alarms if widget.alarms else _plain(definition.expression) in drawn:
            levels.append(Level(alarm.id, definition.name, definition.operator, definition.threshold))
    return tuple(levels)


@lru_cache(maxsize=1024)
def _plain(expression: str) -> str:
    """The expression without what does not matter: blanks, quotation marks, the order of dimensions."""
    try:
        return str(parse(expression).root)
    except BadExpression:
        return expression
