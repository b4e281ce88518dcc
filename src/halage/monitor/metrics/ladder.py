"""The ladder: which resolutions are kept for how long, and which of them answers a question.

The spans of time are CloudWatch's (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
cloudwatch_concepts.html, "Metrics retention"), with samples of 10 s where it has some of 1 s to 60 s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

HOUR_S = 3600
DAY_S = 86400
LATENESS_S = 3600
"""How late a sample may be."""
COMPACTED_AFTER_S = HOUR_S + LATENESS_S
"""How long after its beginning an hour is made chunks: nothing may be added to it any more."""
RESOLUTIONS_S = (1, 2, 5, 10, 15, 20, 30, 60)
"""The resolutions of samples: a minute is a whole number of them."""
_BLOCK_SLOTS = 360


@dataclass(frozen=True, slots=True)
class Rung:
    """One resolution of the ladder."""

    resolution_s: int
    keep_s: int
    span_s: int
    """How much time one chunk holds. A chunk begins at a whole number of spans since the epoch."""
    has_sketches: bool
    """Whether numbers have a sketch as well; distributions have theirs on every rung."""


RAW_KEEP_S = 3 * HOUR_S
"""How long the samples themselves are kept."""
MINUTES = Rung(60, 15 * DAY_S, 6 * HOUR_S, False)
FIVE_MINUTES = Rung(300, 63 * DAY_S, DAY_S, True)
HOURS = Rung(HOUR_S, 455 * DAY_S, 5 * DAY_S, True)
RUNGS = (MINUTES, FIVE_MINUTES, HOURS)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where an answer comes from: a rung (None: the samples themselves), and the period it has."""

    rung: Rung | None
    period_s: int


def plan_read(now: float, start: float, period_s: int, sample_s: int, *, needs_sketches: bool) -> Plan:
    """The coarsest rung that gives the period exactly and still holds the start.

    Aggregates add up, so every rung whose resolution divides the period gives the same answer, and
    the coarsest gives it soonest. Where none does, the answer has the least longer period that one
    can give. `sample_s` is the resolution of the samples; `needs_sketches` means percentiles of
    numbers, which the minutes do not have.
    """
    options: list[tuple[int, int, Rung | None]] = []
    if start >= now - RAW_KEEP_S:
        options.append((_whole(period_s, sample_s), -sample_s, None))
    options.extend(
        (_whole(period_s, rung.resolution_s), -rung.resolution_s, rung)
        for rung in RUNGS
        if start >= now - rung.keep_s and (rung.has_sketches or not needs_sketches)
    )
    if not options:
        return Plan(HOURS, _whole(period_s, HOURS.resolution_s))
    period, _, rung = min(options, key=lambda option: option[:2])
    return Plan(rung, period)


def span_of_block(resolution_s: int) -> int:
    """How much time (seconds) a block of samples in memory holds: it divides the hour."""
    return min(HOUR_S, _BLOCK_SLOTS * resolution_s)


def size_of_block(resolution_s: int) -> int:
    """How many samples a block has room for."""
    return span_of_block(resolution_s) // resolution_s


def starts_of_chunks(rung: Rung, start: float, end: float) -> Sequence[int]:
    """Where the chunks begin that hold something of [start, end)."""
    return range(int(start // rung.span_s) * rung.span_s, int(-(-end // 1)), rung.span_s)


def _whole(period_s: int, resolution_s: int) -> int:
    """The least whole number of resolutions that is no less than the period."""
    return -(-period_s // resolution_s) * resolution_s
