"""A store of metrics in memory, for tests that are about something else than the store."""

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from halage.monitor.metrics.model import (
    SILENT_S,
    TICK_S,
    Buckets,
    Kind,
    Read,
    Sample,
    Selector,
    Series,
    SeriesKey,
)
from halage.monitor.metrics.sketch import Sketch


@dataclass
class _Kept:
    series: Series
    ticks: dict[int, float | Sketch] = field(default_factory=dict)


class MemoryMetrics:
    """A MetricReader and a MetricWriter. `finest_s`: the finest period that it can still answer with."""

    def __init__(self) -> None:
        self.version = 0
        self.finest_s = 1
        self.problems: tuple[str, ...] = ()
        self.finds = 0
        self.asked: list[tuple[int, int, bool]] = []
        """For each read: how many series, the period, whether with sketches."""
        self._kept: dict[SeriesKey, _Kept] = {}

    def find(self, selector: Selector) -> Sequence[Series]:
        self.finds += 1
        return [kept.series for kept in self._kept.values() if selector.matches(kept.series.key)]

    def read(
        self,
        series: Iterable[Series],
        start: float,
        end: float,
        period_s: int,
        *,
        with_sketches: bool = False,
    ) -> Read:
        series = list(series)
        period_s = max(period_s, self.finest_s)
        self.asked.append((len(series), period_s, with_sketches))
        first = math.floor(start / period_s) * period_s
        count = math.ceil((end - first) / period_s)
        by_id = {kept.series.id: kept for kept in self._kept.values()}
        buckets = {
            each.id: _buckets(by_id[each.id], first, period_s, count, with_sketches) for each in series
        }
        return Read(buckets, period_s, self.problems)

    def write(self, at: float, resolution_s: int, samples: Sequence[Sample]) -> None:
        tick = math.floor(at / resolution_s) * resolution_s
        for sample in samples:
            kept = self._kept.get(sample.key)
            if kept is None:
                self.version += 1
                series = Series(len(self._kept) + 1, sample.key, sample.kind, resolution_s, tick, tick)
                kept = self._kept[sample.key] = _Kept(series)
            if tick - kept.series.last_at > SILENT_S:
                self.version += 1
            kept.series = replace(
                kept.series,
                first_at=min(tick, kept.series.first_at),
                last_at=max(tick, kept.series.last_at),
            )
            _put(kept, tick, sample)

    def put(
        self,
        name: str,
        values: Iterable[float | Sequence[float] | None],
        *,
        at: float = 0,
        resolution_s: int = TICK_S,
        kind: Kind = Kind.GAUGE,
        **dimensions: str,
    ) -> None:
        """A series with a value for each tick from `at` on, None for none; a sequence is a DISTRIBUTION."""
        for index, value in enumerate(values):
            if value is None:
                continue
            if isinstance(value, Sequence):
                sample = Sample(SeriesKey.of(name, **dimensions), Kind.DISTRIBUTION, Sketch.of(value))
            else:
                sample = Sample(SeriesKey.of(name, **dimensions), kind, value)
            self.write(at + index * resolution_s, resolution_s, [sample])


def _put(kept: _Kept, tick: int, sample: Sample) -> None:
    before = kept.ticks.get(tick)
    if isinstance(sample.value, Sketch):
        merged = Sketch()
        for each in (before, sample.value):
            if isinstance(each, Sketch):
                merged.merge(each)
        kept.ticks[tick] = merged
    elif sample.kind is Kind.COUNT and isinstance(before, float | int):
        kept.ticks[tick] = before + sample.value
    else:
        kept.ticks[tick] = sample.value


def _buckets(kept: _Kept, first: int, period_s: int, count: int, with_sketches: bool) -> Buckets:
    sketches: list[Sketch | None] = [None] * count
    for tick, value in kept.ticks.items():
        index = (tick - first) // period_s
        if 0 <= index < count:
            sketch = sketches[index] = sketches[index] or Sketch()
            sketch.merge(value if isinstance(value, Sketch) else Sketch.of([value]))
    # 99 where there is no data: what stands there must not be used.
    return Buckets(
        first,
        period_s,
        array("d", (each.count if each else 0 for each in sketches)),
        array("d", (each.total if each else 99 for each in sketches)),
        array("d", (each.minimum if each else -99 for each in sketches)),
        array("d", (each.maximum if each else 99 for each in sketches)),
        sketches if with_sketches else None,
    )
