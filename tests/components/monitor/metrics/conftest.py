"""A metric store in a directory of its own, with a clock that stands on a whole hour."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from halage.monitor.metrics.model import Limits
from halage.monitor.metrics.store import MetricStore
from tests.clock import ManualClock

HOUR_S = 3600
DAY_S = 86400
BEGIN = 1_700_352_000.0
"""A whole number of five days since the epoch: a chunk of every rung begins here."""
OpenStore = Callable[..., MetricStore]


class HandClock(ManualClock):
    """A ManualClock for code that never sleeps."""

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._move(seconds)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(BEGIN)


@pytest.fixture
def open_store(data_directory: Path, clock: HandClock) -> Iterator[OpenStore]:
    """`open_store()` opens the store of this test, again where it was open already."""
    opened: list[MetricStore] = []

    def opening(limits: Limits | None = None) -> MetricStore:
        for store in opened:
            store.close()
        opened[:] = [MetricStore(data_directory / "metrics", clock, limits)]
        return opened[0]

    yield opening
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> MetricStore:
    return open_store()
