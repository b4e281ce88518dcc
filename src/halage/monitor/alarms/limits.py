"""What a definition may be. Pure: each refusal names the field, what was found and what is allowed."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from halage.monitor.alarms.band import PERIODS_S
from halage.monitor.alarms.errors import BadAlarm
from halage.monitor.alarms.model import Action, Definition, Missing, Rollback, Scale
from halage.monitor.alarms.rules import DAY_S

SHORT_PERIODS_S = (10, 20, 30)
MOST_PERIODS = 1440
MOST_INSTANCES = 100


class Problem(NamedTuple):
    """One thing that is wrong."""

    location: str
    found: object
    allowed: str


def check_definition(definition: Definition) -> None:
    """Return when an alarm may be defined so. Raises BadAlarm with every problem."""
    problems = [*_subject(definition), *_condition(definition), *_periods(definition), *_actions(definition)]
    if not problems:
        return
    text = "; ".join(f"{each.location}: found {each.found}, allowed is {each.allowed}" for each in problems)
    errors = [{**each._asdict(), "found": str(each.found)} for each in problems]
    raise BadAlarm(text, errors=errors)


def _subject(definition: Definition) -> Iterator[Problem]:
    if (definition.expression is None) == (definition.rule is None):
        found = "neither" if definition.rule is None else "both"
        yield Problem("expression, rule", found, "one of the two")
    if definition.environment is not None and definition.project is None:
        yield Problem("environment", definition.environment, "null without a project")
    if definition.name != definition.name.strip() or any(quote in definition.name for quote in "\"'/"):
        yield Problem("name", repr(definition.name), "a name without quotes, slashes and spaces around it")


def _condition(definition: Definition) -> Iterator[Problem]:
    has_threshold, has_band = definition.threshold is not None, definition.band is not None
    if definition.rule is not None:
        if has_threshold or has_band:
            yield Problem("threshold, band", "one of them", "neither with a rule: it holds or it does not")
        return
    if has_threshold == has_band:
        yield Problem("threshold, band", "both" if has_band else "neither", "one of the two")
    if definition.threshold is not None and not math.isfinite(definition.threshold):
        yield Problem("threshold", definition.threshold, "a finite number")
    if definition.band is not None and not 0 < definition.band.width <= 100:
        yield Problem("band.width", definition.band.width, "a number of deviations above 0, up to 100")


def _periods(definition: Definition) -> Iterator[Problem]:
    if definition.rule is not None:
        return
    period_s = definition.period_s
    if definition.band is not None:
        if period_s not in PERIODS_S:
            yield Problem("period_s", period_s, f"with a band {_words(PERIODS_S)} seconds")
    elif period_s not in SHORT_PERIODS_S and (period_s % 60 or not 60 <= period_s <= DAY_S):
        allowed = f"{_words(SHORT_PERIODS_S)}, or a multiple of 60 up to {DAY_S} seconds"
        yield Problem("period_s", period_s, allowed)
    if not 1 <= definition.periods <= MOST_PERIODS:
        yield Problem("periods", definition.periods, f"a whole number from 1 to {MOST_PERIODS}")
    elif definition.periods * period_s > DAY_S:
        # CloudWatch's limit as well: past it, data of the right resolution are no longer kept.
        found = f"{definition.periods} periods of {period_s} s"
        yield Problem("periods", found, f"at most {DAY_S} s in all")
    if not 1 <= definition.breaching <= definition.periods:
        yield Problem("breaching", definition.breaching, f"from 1 to periods, which is {definition.periods}")


def _actions(definition: Definition) -> Iterator[Problem]:
    for field in ("on_alarm", "on_ok", "on_insufficient_data"):
        for place, action in enumerate(getattr(definition, field)):
            yield from _action(action, f"{field}.{place}", definition)
            if isinstance(action, Scale):
                yield from _scales_in_blindly(action, field, place, definition)


def _action(action: Action, where: str, definition: Definition) -> Iterator[Problem]:
    if isinstance(action, Scale | Rollback) and definition.environment is None:
        yield Problem(where, type(action).__name__.lower(), "only in an alarm of an environment")
    if not isinstance(action, Scale):
        return
    if (action.by is None) == (action.to is None):
        yield Problem(where, "both" if action.by is not None else "neither", "one of by and to")
    if action.by == 0:
        yield Problem(f"{where}.by", 0, "a whole number other than 0")
    if not 1 <= action.minimum <= action.maximum <= MOST_INSTANCES:
        found = f"{action.minimum} to {action.maximum}"
        yield Problem(f"{where}.minimum, maximum", found, f"1 to {MOST_INSTANCES}, minimum <= maximum")
    elif action.to is not None and not action.minimum <= action.to <= action.maximum:
        yield Problem(f"{where}.to", action.to, f"from {action.minimum} to {action.maximum}")


def _scales_in_blindly(action: Scale, field: str, place: int, definition: Definition) -> Iterator[Problem]:
    """A metric that is lost must not take instances away: nobody knows then what visitors need."""
    by = action.by if action.by is not None else 0
    has_fewer = by < 0 or (action.to is not None and field != "on_alarm")
    if not has_fewer:
        return
    if field == "on_insufficient_data":
        yield Problem(f"{field}.{place}", "scale", "nothing that may have fewer instances: data are missing")
    leads_here = {"on_alarm": Missing.BREACHING, "on_ok": Missing.NOT_BREACHING}.get(field)
    if definition.rule is None and definition.missing is leads_here:
        allowed = f"another one, as {field}.{place} may have fewer instances: not because data are missing"
        yield Problem("missing", definition.missing.value, allowed)


def _words(numbers: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} or {numbers[-1]}"
