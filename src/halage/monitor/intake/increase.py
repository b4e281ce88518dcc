"""From what an instance has counted since it started to what happened since the last scrape. Pure.

A counter that is lower than before began anew at 0, as Prometheus' `rate` has it. A counter that
was not there in an earlier scrape of the same process began at 0, too: client libraries add a
series when it is first counted.
"""

import math
from collections.abc import Iterator, Set
from dataclasses import dataclass

from halage.monitor.intake.exposition import (
    MOST_SAMPLES,
    Family,
    Labels,
    ScrapedSample,
    bound_of,
    counters_of,
    without,
)
from halage.monitor.intake.rules import MOST_COUNTED
from halage.monitor.metrics.model import Kind
from halage.monitor.metrics.sketch import Sketch

MOST_DOUBTFUL = 1000
MOST_REMEMBERED = 2 * MOST_SAMPLES
"""Counters past which those are forgotten that the last scrape did not have."""
POINTS_PER_BUCKET = 10
"""A bucket's values are taken as spread evenly over it, at so many points."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one series of an instance says of the time since the last scrape."""

    name: str
    labels: Labels
    kind: Kind
    value: float | Sketch


class Counters:
    """What the counters of one process stood at when it was last scraped."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, Labels], float] = {}
        self._seen: set[tuple[str, Labels]] = set()
        """In the last scrape."""
        self._doubtful: set[str] = set()
        self._is_doubtful = False
        self._has_begun = False

    def measure(self, families: list[Family]) -> Iterator[Measured]:
        """What the scrape says. Read it to its end: the next one counts from here."""
        self._seen.clear()
        for family in families:
            if family.type == "histogram":
                yield from self._distributions(family)
                continue
            for name, labels, value in counters_of(family):
                increase = self._increase(name, labels, value)
                if increase is not None:
                    yield Measured(name, labels, Kind.COUNT, increase)
            yield from _levels(family)
        self._has_begun = True
        self._forget_unseen()

    @property
    def remembered(self) -> int:
        """How many counters are kept in mind: bounded, whatever label values come and go."""
        return len(self._last)

    def forget(self, refused: set[tuple[str, Labels]]) -> None:
        """Remember nothing of series that were refused, so that there is a bound.

        From then on a new series of that name is not taken to begin at 0: it may be an old one that
        there is room for now.
        """
        if not refused:
            return
        self._doubt(refused)
        self._last = {
            (name, labels): value
            for (name, labels), value in self._last.items()
            if _series_of(name, labels) not in refused and (name, labels) not in refused
        }

    def _forget_unseen(self) -> None:
        """A counter that comes back after that is not taken to begin at 0: it counted once already."""
        if len(self._last) <= MOST_REMEMBERED:
            return
        self._doubt(self._last.keys() - self._seen)
        self._last = {series: value for series, value in self._last.items() if series in self._seen}

    def _doubt(self, series: Set[tuple[str, Labels]]) -> None:
        self._doubtful |= {name for name, _ in series}
        if len(self._doubtful) > MOST_DOUBTFUL:
            self._doubtful, self._is_doubtful = set(), True

    def _remember(self, name: str, labels: Labels, value: float) -> None:
        self._last[name, labels] = value
        self._seen.add((name, labels))

    def _begins_at_zero(self, name: str) -> bool:
        return self._has_begun and not self._is_doubtful and name not in self._doubtful

    def _increase(self, name: str, labels: Labels, value: float) -> float | None:
        """None at the first scrape of the process, and for what is no count."""
        if not math.isfinite(value) or value < 0:
            return None
        last = self._last.get((name, labels))
        self._remember(name, labels, value)
        if last is None:
            return value if self._begins_at_zero(name) else None
        return value - last if value >= last else value

    def _distributions(self, family: Family) -> Iterator[Measured]:
        buckets: dict[Labels, dict[float, float]] = {}
        sums: dict[Labels, float] = {}
        for sample in family.samples:
            labels, le = without(sample.labels, "le")
            if sample.name.endswith("_bucket") and (bound := bound_of(le)) is not None:
                buckets.setdefault(labels, {})[bound] = sample.value
            elif sample.name.endswith("_sum"):
                sums[labels] = sample.value
        for labels, counts in buckets.items():
            sketch = self._sketch(family.name, labels, counts, sums.get(labels))
            if sketch is not None:
                yield Measured(family.name, labels, Kind.DISTRIBUTION, sketch)

    def _sketch(
        self, name: str, labels: Labels, counts: dict[float, float], total: float | None
    ) -> Sketch | None:
        """What came into the buckets since the last scrape; None when that is not known."""
        bounds = sorted(counts)
        now = [counts[bound] for bound in bounds]
        keys = [(name, (*labels, ("le", repr(bound)))) for bound in bounds]
        sum_key = (name + "_sum", labels)
        last = [self._last.get(key) for key in keys]
        last_sum = self._last.get(sum_key)
        for key, value in zip(keys, now, strict=True):
            self._remember(*key, value)
        if total is not None and math.isfinite(total):
            self._remember(*sum_key, total)
        if not all(0 <= value <= MOST_COUNTED for value in now):
            return None
        is_same = all(value is not None for value in last)
        is_new = all(value is None for value in last) and self._begins_at_zero(name)
        if not (is_same or is_new):
            return None  # the first scrape, or other buckets than before
        before = [value if value is not None else 0.0 for value in last]
        if any(value < old for value, old in zip(now, before, strict=True)):
            before, last_sum = [0.0] * len(now), 0.0  # the process began anew
        sketch = sketch_of(bounds, [value - old for value, old in zip(now, before, strict=True)])
        if total is not None and math.isfinite(total) and sketch.count:
            _set_total(sketch, total - (last_sum or 0.0))
        return sketch


def _series_of(name: str, labels: Labels) -> tuple[str, Labels]:
    """The series of a histogram that a bucket or a sum belongs to."""
    return name.removesuffix("_sum"), without(labels, "le")[0]


def sketch_of(bounds: list[float], cumulative: list[float]) -> Sketch:
    """The sketch of values counted in buckets with these upper bounds, each count with all below it.

    Within a bucket the values are spread evenly, which is also what Prometheus' histogram_quantile
    takes them for: a percentile is off by the width of its bucket at most. Those above the last
    finite bound are taken as that bound.
    """
    sketch = Sketch()
    lower, seen = 0.0, 0.0
    for bound, reached in zip(bounds, cumulative, strict=True):
        count = round(reached - seen)
        if math.isinf(bound):
            upper = lower
        else:
            upper, lower = bound, (lower if bound > lower else bound)
        if count > 0:
            _spread(sketch, lower, upper, count)
        seen = max(seen, reached)
        lower = upper
    return sketch


def _spread(sketch: Sketch, lower: float, upper: float, count: int) -> None:
    points = min(count, POINTS_PER_BUCKET) if upper > lower else 1
    for point in range(points):
        share = count * (point + 1) // points - count * point // points
        sketch.add(lower + (upper - lower) * (point + 0.5) / points, share)


def _set_total(sketch: Sketch, total: float) -> None:
    """The sum is known exactly, so the average is, too; it lies between the least and the greatest."""
    average = total / sketch.count
    if not math.isfinite(average):
        return
    sketch.total = total
    sketch.minimum = min(sketch.minimum, average)
    sketch.maximum = max(sketch.maximum, average)


def _levels(family: Family) -> Iterator[Measured]:
    if family.type in ("counter", "histogram", "gaugehistogram"):
        return
    for sample in family.samples:
        if (family.type != "summary" or _is_quantile(family, sample)) and math.isfinite(sample.value):
            yield Measured(sample.name, sample.labels, Kind.GAUGE, sample.value)


def _is_quantile(family: Family, sample: ScrapedSample) -> bool:
    return sample.name == family.name
