"""The time that a page of graphs shows, as its address says it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

PRESETS = (3600, 3 * 3600, 12 * 3600, 86400, 7 * 86400, 28 * 86400)
"""The ranges that are one click away (seconds): 1 h, 3 h, 12 h, 1 d, 1 w, 4 w."""
LONGEST_S = 455 * 86400
_LATEST = datetime(3000, 1, 1, tzinfo=UTC).timestamp()
"""The API, which the page asks, knows moments before that."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The last `seconds`; or, when both are given, from one moment to another (seconds, epoch)."""

    seconds: int
    from_: float | None = None
    to: float | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether it stays where it is while time goes on."""
        return self.from_ is not None


def read_range(query: Mapping[str, str], usual_s: int) -> TimeRange:
    """The range of `range=SECONDS`, or of `from=MOMENT&to=MOMENT` (ISO 8601), else the usual one."""
    asked = query.get("range", "")
    seconds = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else usual_s
    if not 60 <= seconds <= LONGEST_S:
        seconds = usual_s
    from_, to = _moment(query.get("from")), _moment(query.get("to"))
    if from_ is None or to is None or not from_ < to:
        return TimeRange(seconds)
    return TimeRange(seconds, from_, to)


def _moment(text: str | None) -> float | None:
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return seconds if 0 < seconds < _LATEST else None
