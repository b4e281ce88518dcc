"""How values read on a terminal: durations, moments, states and their colours. Pure."""

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from halage.base.errors import Invalid

_STYLES = {
    "green": ("succeeded", "serving", "ready", "current", "green", "passed", "ok", "OK", "active"),
    "cyan": ("kept", "running", "starting", "new", "draining", "stopping"),
    "yellow": ("waiting", "queued", "yellow", "rolling_back", "rolled_back", "expired", "INSUFFICIENT_DATA"),
    "red": ("failed", "broken", "red", "timed_out", "error", "revoked", "rejected", "ALARM"),
}
_STYLE_OF = {word: style for style, words in _STYLES.items() for word in words}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")


def style_of(state: str) -> str:
    """The colour that a state is shown in."""
    return _STYLE_OF.get(state, "dim")


def harmless(text: str) -> str:
    """Text from elsewhere without what would steer the terminal: escape sequences, control characters."""
    return _CONTROL.sub("", _ESCAPE.sub("", text))


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def parse_duration(text: str) -> float:
    """Seconds of `90s`, `5m`, `1.5h`, `1d`, `2w`, and of several in a row: `1h30m`. Raises Invalid."""
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)([smhdw])", text)
    seconds = sum(float(count) * _UNITS_S[unit] for count, unit in parts)
    if "".join(count + unit for count, unit in parts) != text or not 0 < seconds < 1e10:
        raise Invalid(f"{text!r} is no duration: write a number and s, m, h, d or w, such as 30m or 1d.")
    return seconds


def parse_period(text: str) -> int:
    """A duration of whole seconds. Raises Invalid."""
    seconds = parse_duration(text)
    if seconds != int(seconds):
        raise Invalid(f"A period is a whole number of seconds, not {text!r}.")
    return int(seconds)


def parse_dimensions(words: Iterable[str] | None) -> dict[str, str]:
    """Dimensions that are written NAME=VALUE. Raises Invalid."""
    dimensions = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise Invalid(f"A dimension is written NAME=VALUE, such as instance=i-7, not {word!r}.")
        dimensions[name] = value
    return dimensions


def parse_moment(text: str) -> datetime:
    """A moment as people write it, in the local time zone unless it names one. Raises Invalid."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{text!r} is no moment: write 2026-01-05, or '2026-01-05 09:30'.") from error


def moment(text: str | None) -> datetime | None:
    """A moment of the API."""
    return None if text is None else datetime.fromisoformat(text)


def local(text: str | None) -> str:
    """A moment of the API in the local time zone, to the second; `-` for none."""
    at = moment(text)
    return "-" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def moment_before(text: str, now: datetime) -> datetime:
    """The moment that a person means by `90m`, `1h30m` (so long ago), `2026-11-23` or `2026-11-23T08:00`.

    Without a time zone it is the local one. Raises Invalid.
    """
    with suppress(Invalid):
        return now - timedelta(seconds=parse_duration(text.replace(" ", "").replace("min", "m")))
    with suppress(Invalid):
        return parse_moment(text.strip())
    raise Invalid(
        f"{text!r} is no moment: write how long ago (90m, 12h, 7d) or a date such as 2026-11-23 "
        "or 2026-11-23T08:00."
    )


def for_api(at: datetime) -> str:
    """A moment as the API takes it, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def elapsed(item: dict[str, Any], now: float) -> float | None:
    """Seconds from `started_at` (else `created_at`) to `finished_at`, or to now; None before the start."""
    started = moment(item.get("started_at", item.get("created_at")))
    if started is None:
        return None
    finished = moment(item.get("finished_at")) or datetime.fromtimestamp(now, UTC)
    return (finished - started).total_seconds()


def short(commit: str) -> str:
    """The first characters of a commit's name."""
    return commit[:8]


def version_of(release: dict[str, Any] | None) -> str:
    """`v7`, as people call a release; `-` for none."""
    return f"v{release['number']}" if release else "-"


def size(count: float | None) -> str:
    """Bytes as `12 MiB`; `-` for none."""
    if count is None:
        return "-"
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def scale_words(environment: dict[str, Any]) -> str:
    """`3 instances, halage.toml says 2`; without the second half where nobody scaled it."""
    planned, scaled = environment["planned"], environment["scaled"]
    number = planned if scaled is None else scaled
    words = "1 instance" if number == 1 else f"{number} instances"
    return f"{words}, halage.toml says {planned}" if scaled is not None else f"{words}, as halage.toml says"
