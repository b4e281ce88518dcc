"""What one environment sent in one tick, added up in memory until it is written."""

from collections.abc import Iterator

from halage.monitor.intake.errors import Refusal
from halage.monitor.intake.model import Reason
from halage.monitor.metrics.model import Kind, Sample, SeriesKey
from halage.monitor.metrics.sketch import Sketch


class Tally:
    """Samples of one tick by series. Which series may come in is decided before.

    Bounded by the number of series, and by `limit` values that are kept apart: bins of sketches
    and members of sets.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._apart = 0
        self._levels: dict[SeriesKey, float] = {}
        self._counts: dict[SeriesKey, float] = {}
        self._sketches: dict[SeriesKey, Sketch] = {}
        self._sets: dict[SeriesKey, set[str]] = {}

    def set_level(self, key: SeriesKey, value: float) -> None:
        """A gauge's value: the last one of the tick counts."""
        self._levels[key] = value

    def count(self, key: SeriesKey, times: float) -> None:
        """Something happened so often."""
        self._counts[key] = self._counts.get(key, 0.0) + times

    def add_value(self, key: SeriesKey, value: float, times: int = 1) -> None:
        """A value of a distribution. Raises Refusal past the limit."""
        sketch = self._sketch(key)
        before = len(sketch.bins) + len(sketch.negative)
        sketch.add(value, times)
        self._apart += len(sketch.bins) + len(sketch.negative) - before

    def merge(self, key: SeriesKey, other: Sketch) -> None:
        """Values of a distribution. Raises Refusal past the limit."""
        sketch = self._sketch(key)
        before = len(sketch.bins) + len(sketch.negative)
        sketch.merge(other)
        self._apart += len(sketch.bins) + len(sketch.negative) - before

    def add_member(self, key: SeriesKey, member: str) -> None:
        """A member of a set, of which the tick has so many different ones. Raises Refusal past the limit."""
        members = self._sets.setdefault(key, set())
        if member not in members:
            self._check(key)
            members.add(member)
            self._apart += 1

    def __iter__(self) -> Iterator[Sample]:
        for key, value in self._levels.items():
            yield Sample(key, Kind.GAUGE, value)
        for key, value in self._counts.items():
            yield Sample(key, Kind.COUNT, value)
        for key, members in self._sets.items():
            yield Sample(key, Kind.GAUGE, float(len(members)))
        for key, sketch in self._sketches.items():
            yield Sample(key, Kind.DISTRIBUTION, sketch)

    def _sketch(self, key: SeriesKey) -> Sketch:
        self._check(key)
        return self._sketches.setdefault(key, Sketch())

    def _check(self, key: SeriesKey) -> None:
        if self._apart >= self._limit:
            raise Refusal(
                Reason.VALUE_LIMIT,
                key.name,
                f"{key.name}: this environment sent more than {self._limit} different values of "
                "distributions and sets within one tick; send fewer, or round them.",
            )
