"""Cron with time zones: when an entry last came up, and when it does next. Pure.

A time that the clock skips in spring comes up right after the gap, one that it has twice in autumn comes up
once (as Debian's cron does for entries with a fixed hour).
"""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from halage.environment.autoscaling.model import Limits
from halage.site.settings import ScalingPlan

_MOST = 1000
_spans: dict[tuple[str, str], tuple[float, float]] = {}
"""Between which two moments each entry was asked for last: a simulation asks a million times."""


def span_at(cron: str, timezone: str, now: float) -> tuple[float, float]:
    """When it last came up (now or before), and when it will next: seconds since the epoch.

    Infinity where there is no such moment within some decades. Raises cronsim.CronSimError and
    zoneinfo.ZoneInfoNotFoundError for what cannot be read.
    """
    key = (cron, timezone)
    span = _spans.get(key)
    if span is None or not span[0] <= now < span[1]:
        if len(_spans) >= _MOST:
            _spans.clear()
        span = _spans[key] = (_step(cron, timezone, now + 1, is_back=True), _step(cron, timezone, now))
    return span


def _step(cron: str, timezone: str, moment: float, *, is_back: bool = False) -> float:
    local = datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(timezone))
    found = next(CronSim(cron, local, reverse=is_back), None)
    if found is None:
        return float("-inf" if is_back else "inf")
    return found.timestamp()


def limits_at(plan: ScalingPlan, planned: int, now: float, least: int = 0) -> Limits:
    """The limits that hold now: those of the plan, over them what the schedule said last.

    `planned` is the number of instances that halage.toml says, which stands for a limit that is not set.
    Where the minimum comes out over the maximum, the minimum counts: visitors come before cost. No minimum is
    below `least`: what gets requests is never none.
    """
    minimum = planned if plan.minimum is None else plan.minimum
    maximum = max(planned, minimum) if plan.maximum is None else plan.maximum
    if not plan.sizes or "schedule" in plan.suspended:
        return _limits(minimum, maximum, least)
    spans = [(span_at(size.cron, size.timezone, now), size) for size in plan.sizes]
    # Of two that come up at the same moment, the one that is written later counts.
    spans.sort(key=lambda each: each[0][0])
    sized_at, number, name = None, None, ""
    for (came_up, _), size in spans:
        if came_up == float("-inf"):
            continue
        minimum = minimum if size.minimum is None else size.minimum
        maximum = maximum if size.maximum is None else size.maximum
        if size.instances is not None:
            sized_at, number, name = came_up, size.instances, size.name
    until = min(span[1] for span, _ in spans)
    limits = _limits(minimum, maximum, least)
    return replace(limits, sized_at=sized_at, size=number, size_name=name, until=until)


def _limits(minimum: int, maximum: int, least: int) -> Limits:
    minimum = max(minimum, least)
    return Limits(minimum, max(minimum, maximum))
