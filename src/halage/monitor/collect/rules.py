"""Which tick has ended, and how much a counter grew. Pure."""

from collections.abc import Hashable

LONGEST_GAP_S = 60.0
"""A growth over more than that is nobody's: it would look like a peak of the tick that it is told in."""


def ended_tick(now: float, resolution_s: int) -> int:
    """The beginning of the newest tick that is over."""
    return (int(now // resolution_s) - 1) * resolution_s


def until_next(now: float) -> float:
    """Seconds to the next full second of the wall clock, at which ticks of every resolution end."""
    return 1.0 - now % 1.0


class Growth:
    """How much counters grew since they were last seen."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, tuple[float, float]] = {}

    def since(self, key: Hashable, value: float | None, at: float) -> tuple[float, float] | None:
        """By how much and in how many seconds (of a clock that never goes back).

        None at the first sight, after a fall (it began anew), and over a gap; and for a counter
        that nobody counts (None).
        """
        if value is None:
            return None
        before = self._seen.get(key)
        self._seen[key] = (value, at)
        if before is None:
            return None
        grown, elapsed = value - before[0], at - before[1]
        return (grown, elapsed) if grown >= 0 and 0 < elapsed <= LONGEST_GAP_S else None

    def knows(self, key: Hashable) -> bool:
        """Whether it was seen lately."""
        return key in self._seen

    def forget_unseen(self, at: float) -> None:
        """Drop counters that were not told for so long that they would count for nothing."""
        if any(at - seen > 2 * LONGEST_GAP_S for _, seen in self._seen.values()):
            self._seen = {
                key: entry for key, entry in self._seen.items() if at - entry[1] <= 2 * LONGEST_GAP_S
            }
