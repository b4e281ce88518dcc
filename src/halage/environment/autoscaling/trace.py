"""Recorded traffic: so many requests in each span of time. Reads CSV. Pure."""

import csv
import io
import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from halage.base.errors import Invalid

MOST_ROWS = 500_000
_GAP = 1.5
"""A span longer than so many usual ones is a gap in the recording."""


class BadTrace(Invalid):
    """This recording cannot be read: two columns are needed, a time and a number of requests."""


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` (seconds since the epoch) on, for `duration_s`, so many requests a second."""

    start: float
    duration_s: float
    rate: float


@dataclass(frozen=True, slots=True)
class Trace:
    """Spans in the order of time, each beginning where the one before ends."""

    spans: tuple[Span, ...]
    gaps: int = 0
    """How often the recording pauses: there nobody is taken to have come."""

    @property
    def start(self) -> float:
        """When it begins."""
        return self.spans[0].start

    @property
    def end(self) -> float:
        """When it is over."""
        return self.spans[-1].start + self.spans[-1].duration_s

    @property
    def requests(self) -> float:
        """How many requests it tells of."""
        return sum(span.rate * span.duration_s for span in self.spans)

    @property
    def peak(self) -> float:
        """The most requests a second."""
        return max(span.rate for span in self.spans)


def read_trace(text: str) -> Trace:
    """The trace of a CSV: a time and the requests until the next row's, with or without a line of names.

    A time is `2026-11-25 16:00:00` (UTC unless it says else) or seconds since the epoch. Raises BadTrace with
    the line.
    """
    rows: list[tuple[float, float]] = []
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        if not row or (number == 1 and not _is_number(row[-1])):
            continue
        if len(row) != 2:
            raise BadTrace(f"line {number} of the trace has {len(row)} columns; it needs a time and a number")
        rows.append((_moment(row[0], number), _count(row[1], number)))
        if len(rows) > MOST_ROWS:
            raise BadTrace(f"the trace has more than {MOST_ROWS} rows; make its periods longer")
    return trace_of(rows)


def trace_of(rows: Sequence[tuple[float, float]]) -> Trace:
    """The trace of (moment, requests until the next moment). Raises BadTrace."""
    if len(rows) < 2:
        raise BadTrace(f"the trace has {len(rows)} rows; it needs two at least")
    lengths = [later[0] - row[0] for row, later in itertools.pairwise(rows)]
    for number, length in enumerate(lengths, start=2):
        if length <= 0:
            raise BadTrace(f"row {number} of the trace is not later than the row before it")
    usual = statistics.median(lengths)
    spans: list[Span] = []
    gaps = 0
    for (start, count), length in zip(rows, [*lengths, usual], strict=True):
        if length <= usual * _GAP:
            spans.append(Span(start, length, count / length))
            continue
        gaps += 1
        spans.append(Span(start, usual, count / usual))
        spans.append(Span(start + usual, length - usual, 0.0))
    return Trace(tuple(spans), gaps)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _moment(text: str, line: int) -> float:
    if _is_number(text):
        moment = float(text)
        if math.isfinite(moment):
            return moment
    try:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise BadTrace(
            f"line {line} of the trace: {text[:40]!r} is no time; write it as 2026-11-25 16:00:00"
        ) from error


def _count(text: str, line: int) -> float:
    count = float(text) if _is_number(text) else math.nan
    if not (math.isfinite(count) and count >= 0):
        raise BadTrace(f"line {line} of the trace: {text[:40]!r} is no number of requests")
    return count
