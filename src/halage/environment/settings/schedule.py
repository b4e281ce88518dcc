"""When deployments may begin: windows by cron and time zone, and a freeze. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from halage.site.settings import SchedulePlan, Window

_MOST_STEPS = 100
"""Ends of windows that are looked at for a moment that is free; with more in a row it is told later."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing may begin now, in words, and until when (epoch seconds); None: until that is changed."""

    reason: str
    until: float | None


def may_begin(plan: SchedulePlan, now: float) -> Hold | None:
    """What holds a deployment back at a moment; None when it may begin."""
    if plan.frozen:
        why = f": {plan.frozen_reason}" if plan.frozen_reason else ""
        return Hold(f"frozen{why}", None)
    closed = _closed_until(plan.windows, now)
    if closed is None:
        return None
    window, _ = closed
    until, is_free = _free_from(plan.windows, now)
    what = "outside its windows" if window.allows else f"in a window without deployments ({window.cron})"
    word = "until" if is_free else "at least until"
    return Hold(f"{what}, {word} {_moment(until, window.timezone)}", until)


def _free_from(windows: tuple[Window, ...], now: float) -> tuple[float, bool]:
    """The first moment from now on at which something may begin, or one before which nothing may."""
    at = now
    for _ in range(_MOST_STEPS):
        closed = _closed_until(windows, at)
        if closed is None:
            return at, True
        at = closed[1]
    return at, False


def _closed_until(windows: tuple[Window, ...], at: float) -> tuple[Window, float] | None:
    """The window that is in the way, and when it is worth looking again; None when none is."""
    for window in windows:
        began = _last_start(window, at)
        if not window.allows and began is not None and at < began + window.duration_s:
            return window, began + window.duration_s
    allowing = [window for window in windows if window.allows]
    if not allowing or any(_is_open(window, at) for window in allowing):
        return None
    starts = [(_next_start(window, at), window) for window in allowing]
    start, window = min(starts, key=lambda each: each[0])
    return window, start


def _is_open(window: Window, at: float) -> bool:
    began = _last_start(window, at)
    return began is not None and at < began + window.duration_s


def _last_start(window: Window, at: float) -> float | None:
    """When the window began last, that moment included; None for one that never did within its duration."""
    # Exclusive in the library, and to the minute here.
    local = datetime.fromtimestamp(at, ZoneInfo(window.timezone)) + timedelta(minutes=1)
    for start in CronSim(window.cron, local, reverse=True):
        if start.timestamp() <= at:
            return start.timestamp()
        if start.timestamp() < at - window.duration_s:
            return None
    return None


def _next_start(window: Window, at: float) -> float:
    local = datetime.fromtimestamp(at, ZoneInfo(window.timezone))
    return next(CronSim(window.cron, local)).timestamp()


def _moment(at: float, zone: str) -> str:
    local = datetime.fromtimestamp(at, ZoneInfo(zone))
    return f"{local:%Y-%m-%d %H:%M} {zone}"
