"""All series by key, by id, and by name and dimension; what a name may look like; how many there may be."""

import math
import re
from collections.abc import Iterable, Iterator

from halage.monitor.metrics.blocks import Known
from halage.monitor.metrics.errors import BadMetric
from halage.monitor.metrics.ladder import DAY_S
from halage.monitor.metrics.model import Kind, Sample, Selector, SeriesKey
from halage.monitor.metrics.sketch import Sketch

ACTIVE_S = DAY_S
"""A series that had no sample for so long counts against no limit."""
KEPT_PER_ACTIVE = 10
"""How many series may be kept for each that may be active: instances come and go, their past stays."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_MOST_DIMENSIONS = 30
_LONGEST_VALUE = 250
LARGEST = 1e300
"""Larger numbers could not be added up."""


class Registry:
    """The series that are known. Not safe from several threads: the store locks it."""

    def __init__(self, most_active: int) -> None:
        self._most_active = most_active
        self._by_key: dict[SeriesKey, Known] = {}
        self._by_id: dict[int, Known] = {}
        self._by_name: dict[str, dict[int, Known]] = {}
        self._by_dimension: dict[tuple[str, str, str], set[int]] = {}
        self._active = 0
        self.version = 0
        """Another number once `find` may answer otherwise."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Known]:
        return iter(list(self._by_id.values()))

    def get(self, key: SeriesKey) -> Known | None:
        """The series with that key."""
        return self._by_key.get(key)

    def of(self, number: int) -> Known | None:
        """The series with that id."""
        return self._by_id.get(number)

    def has_room(self, pending: int = 0) -> bool:
        """Whether one more series may be active, `pending` ones not counted yet."""
        return (
            self._active + pending < self._most_active
            and len(self._by_id) + pending < KEPT_PER_ACTIVE * self._most_active
        )

    def add(self, known: Known) -> None:
        """Take a series in."""
        key = known.key
        self.version += 1
        self._by_key[key] = self._by_id[known.id] = known
        self._by_name.setdefault(key.name, {})[known.id] = known
        for name, value in key.dimensions:
            self._by_dimension.setdefault((key.name, name, value), set()).add(known.id)

    def remove(self, known: Known) -> None:
        """Forget a series."""
        key = known.key
        if self._by_key.pop(key, None) is None:
            return
        self.version += 1
        del self._by_id[known.id]
        named = self._by_name[key.name]
        del named[known.id]
        if not named:
            del self._by_name[key.name]
        for name, value in key.dimensions:
            ids = self._by_dimension[key.name, name, value]
            ids.discard(known.id)
            if not ids:
                del self._by_dimension[key.name, name, value]

    def note_active(self, count: int = 1) -> None:
        """So many more series are active."""
        self._active += count

    def count_active(self, now: float) -> int:
        """Count the active series afresh."""
        self._active = sum(known.last_at >= now - ACTIVE_S for known in self._by_id.values())
        return self._active

    def find(self, selector: Selector) -> list[Known]:
        """The series that match, by id."""
        if "*" in selector.name or "?" in selector.name:
            found = [known for known in self._by_id.values() if selector.matches(known.key)]
        else:
            found = [known for known in self._candidates(selector) if selector.matches(known.key)]
        return sorted(found, key=lambda known: known.id)

    def _candidates(self, selector: Selector) -> Iterable[Known]:
        """Series of that name: those with the rarest of the dimensions that are given exactly."""
        named = self._by_name.get(selector.name, {})
        ids: set[int] | None = None
        for name, value in selector.dimensions.items():
            if "*" in value or "?" in value:
                continue
            those = self._by_dimension.get((selector.name, name, value), set())
            if ids is None or len(those) < len(ids):
                ids = those
        return named.values() if ids is None else [named[number] for number in ids]


def check_key(key: SeriesKey) -> None:
    """Raise BadMetric unless the name and the dimensions of a new series can be used."""
    for name in (key.name, *(name for name, _ in key.dimensions)):
        if not _NAME.fullmatch(name):
            raise BadMetric(
                f"{name[:200]!r} is no name of a metric or dimension: letters, digits and underscores, "
                "128 at most, not beginning with a digit."
            )
    names = [name for name, _ in key.dimensions]
    if len(names) > _MOST_DIMENSIONS or names != sorted(set(names)):
        raise BadMetric(
            f"{key.name} needs each dimension once, in the order of their names, {_MOST_DIMENSIONS} at most."
        )
    for name, value in key.dimensions:
        if not 0 < len(value) <= _LONGEST_VALUE or "\0" in value:
            raise BadMetric(f"{key.name}: {name} needs a value of 1 to {_LONGEST_VALUE} characters.")


def check_value(sample: Sample) -> None:
    """Raise BadMetric unless the value fits the kind and can be added up."""
    value = sample.value
    if isinstance(value, Sketch) != (sample.kind == Kind.DISTRIBUTION):
        raise BadMetric(f"{sample.key} is a {sample.kind}, and its value is of another kind.")
    numbers = (value.total, value.minimum, value.maximum) if isinstance(value, Sketch) else (value,)
    if not all(math.isfinite(number) and abs(number) <= LARGEST for number in numbers):
        raise BadMetric(f"{sample.key} is {numbers[0]}: a value must be a finite number.")
