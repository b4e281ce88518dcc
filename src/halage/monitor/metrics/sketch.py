"""A sketch of a distribution: mergeable, so that percentiles are added up and never averaged.

Values fall into bins whose bounds grow by a constant factor, so that every quantile is within a
relative error of ALPHA of a true sample at that rank. Source: C. Masson, J. E. Rim, H. K. Lee,
"DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", PVLDB 12(12),
2019, https://doi.org/10.14778/3352063.3352135. Merging two sketches gives the very sketch of both
samples: the bins are the same everywhere, so counts add.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Self

ALPHA = 0.01
"""The relative error of a quantile, at most."""
GAMMA = (1 + ALPHA) / (1 - ALPHA)
_LOG_GAMMA = math.log(GAMMA)
SMALLEST = 1e-9
"""Values nearer to zero than that are counted as zero."""


def bin_of(value: float) -> int:
    """The bin of a value above SMALLEST: GAMMA ** (bin - 1) < value <= GAMMA ** bin."""
    return math.ceil(math.log(value) / _LOG_GAMMA)


def middle_of(index: int) -> float:
    """The value that stands for a bin: within ALPHA of everything in it."""
    return 2 * GAMMA**index / (GAMMA + 1)


class Sketch:
    """Counts by bin, with the exact count, sum, minimum and maximum beside them."""

    __slots__ = ("bins", "count", "maximum", "minimum", "negative", "total", "zeros")

    def __init__(self) -> None:
        self.bins: dict[int, int] = {}
        """Bin to count, of positive values."""
        self.negative: dict[int, int] = {}
        """The same of negative values, by their absolute value."""
        self.zeros = 0
        self.count = 0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = -math.inf

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """The sketch of these values."""
        sketch = cls()
        sketch.add_all(values)
        return sketch

    def add(self, value: float, count: int = 1) -> None:
        """Count a finite value, `count` times."""
        if value > SMALLEST:
            index = math.ceil(math.log(value) / _LOG_GAMMA)
            self.bins[index] = self.bins.get(index, 0) + count
        elif value < -SMALLEST:
            index = bin_of(-value)
            self.negative[index] = self.negative.get(index, 0) + count
        else:
            self.zeros += count
        self.count += count
        self.total += value * count
        if value < self.minimum:
            self.minimum = value
        if value > self.maximum:
            self.maximum = value

    def add_all(self, values: Iterable[float]) -> None:
        """Count finite values."""
        bins, log, ceil = self.bins, math.log, math.ceil
        for value in values:
            if value > SMALLEST:
                index = ceil(log(value) / _LOG_GAMMA)
                bins[index] = bins.get(index, 0) + 1
                self.count += 1
                self.total += value
                if value < self.minimum:
                    self.minimum = value
                if value > self.maximum:
                    self.maximum = value
            else:
                self.add(value)

    def merge(self, other: "Sketch") -> None:
        """Take what another one counted."""
        _add(self.bins, other.bins)
        _add(self.negative, other.negative)
        self.zeros += other.zeros
        self.count += other.count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def quantile(self, q: float) -> float | None:
        """The value at rank ceil(q * count), q from 0 to 1; None when nothing was counted."""
        if self.count == 0:
            return None
        rank = max(1, math.ceil(q * self.count))
        value = self._at(rank)
        return self.minimum if value < self.minimum else self.maximum if value > self.maximum else value

    def _at(self, rank: int) -> float:
        # Most are asked for a high percentile of positive values: a few steps from the top.
        above = self.count - rank
        if above < rank and self.bins:
            for index in sorted(self.bins, reverse=True):
                above -= self.bins[index]
                if above < 0:
                    return middle_of(index)
        return self._from_below(rank)

    def _from_below(self, rank: int) -> float:
        seen = 0
        for index in sorted(self.negative, reverse=True):
            seen += self.negative[index]
            if seen >= rank:
                return -middle_of(index)
        seen += self.zeros
        if seen >= rank:
            return 0.0
        for index in sorted(self.bins):
            seen += self.bins[index]
            if seen >= rank:
                return middle_of(index)
        return self.maximum


def _add(mine: dict[int, int], others: Mapping[int, int]) -> None:
    for index, count in others.items():
        mine[index] = mine.get(index, 0) + count
