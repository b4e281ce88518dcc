"""Moments, durations and sizes as people read them."""

from collections.abc import Callable
from datetime import UTC, datetime

from markupsafe import Markup

from halage.web.console.language import Language

NOTHING = "\u2013"
"""A dash, where there is no number."""


def duration(language: Language, seconds: float | None) -> str:
    """A duration such as `80 ms`, `4.2 s`, `3 min 12 s` or `2 h 5 min`; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 0.95:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s".replace(".", language.say("format.decimal"))
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def figure(language: Language, value: float | None) -> str:
    """A number of a metric with six digits that count; a dash for none."""
    return NOTHING if value is None else f"{value:.6g}".replace(".", language.say("format.decimal"))


def period(seconds: float) -> str:
    """A length that people chose, to the point: `10 s`, `5 min`, `90 min`, `1 h`."""
    if seconds % 3600 == 0:
        return f"{seconds // 3600:g} h"
    return f"{seconds // 60:g} min" if seconds % 60 == 0 else f"{seconds:g} s"


def size(language: Language, size_bytes: int | None) -> str:
    """A size such as `512 KiB` or `3.4 MiB`; nothing for None."""
    if size_bytes is None:
        return ""
    value, unit = float(size_bytes), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    digits = 1 if value < 10 and unit != "B" else 0
    return f"{value:.{digits}f} {unit}".replace(".", language.say("format.decimal"))


def moment(language: Language, at: float | None) -> Markup:
    """A `<time>` in UTC, which the page's script turns into `3 minutes ago` for those who have it."""
    if at is None:
        return Markup("")
    stamp = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}" data-moment>{}</time>').format(
        stamp.strftime("%Y-%m-%dT%H:%M:%SZ"), stamp.strftime(language.say("format.moment"))
    )


def iso(at: float | None) -> str:
    """A moment for programs, in UTC; nothing for None."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(at: float | None) -> str:
    """A moment in UTC to the millisecond, in a form whose parts stand in fixed places; nothing for None."""
    if at is None:
        return ""
    return datetime.fromtimestamp(at, UTC).isoformat(" ", "milliseconds").partition("+")[0]


def iso_ms(at: float) -> str:
    """A moment for programs, in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stopwatch(language: Language, started_at: float | None, finished_at: float | None) -> Markup:
    """How long something took; while it runs, since when, which the page's script counts up."""
    if started_at is None:
        return Markup("")
    if finished_at is not None:
        return Markup("{}").format(duration(language, finished_at - started_at))
    stamp = datetime.fromtimestamp(started_at, UTC)
    return Markup('<time datetime="{}" data-since>{}</time>').format(
        stamp.strftime("%Y-%m-%dT%H:%M:%SZ"), language.say("format.since", at=stamp.strftime("%H:%M:%S"))
    )


def console_stamp(at_s: float) -> str:
    """Seconds since a job's start as `02:13.4`, hours only where there are some."""
    minutes, seconds = divmod(at_s, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{seconds:04.1f}" if hours else f"{minutes:02d}:{seconds:04.1f}"


def short(commit: str) -> str:
    """The first eight digits of a commit or digest."""
    return commit.removeprefix("sha256:")[:8]


def vocabulary(language: Language) -> dict[str, Callable[..., object]]:
    """What templates say things with, in one language."""
    return {
        "t": language.say,
        "n": language.count,
        "duration": lambda seconds: duration(language, seconds),
        "figure": lambda value: figure(language, value),
        "period": period,
        "size": lambda size_bytes: size(language, size_bytes),
        "moment": lambda at: moment(language, at),
        "stopwatch": lambda start, end: stopwatch(language, start, end),
        "stamp": console_stamp,
        "iso": iso,
        "iso_ms": iso_ms,
        "clock": clock,
        "short": short,
    }
