"""Writes metrics and compacts them until it is killed.

`python -m tests.faults.monitor.metric_writer DIRECTORY FROM SEED`. Its clock runs some thousand times
too fast. Before a write it prints `?` and which, once that is acknowledged `+`; lines go out one by
one, so what was printed before a kill -9 is in the file. Of the log, only errors are printed.
"""

import logging
import random
import sys
import threading
from pathlib import Path

import structlog

from halage.monitor.metrics.model import Kind, Sample, SeriesKey
from halage.monitor.metrics.sketch import Sketch
from halage.monitor.metrics.store import MetricStore

STEP_S = 30
HITS = SeriesKey.of("hits")
LEVELS = [SeriesKey.of("level", instance=str(number)) for number in range(3)]
TIMES = SeriesKey.of("time")


class FastClock:
    """Moves when it is told to."""

    def __init__(self, now: float) -> None:
        self.moment = now

    def now(self) -> float:
        return self.moment

    def monotonic(self) -> float:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def level_at(at: int, number: int) -> float:
    """What LEVELS[number] is at a moment: the same whenever it is asked."""
    return (at // 10 * 7919 + number * 104729) % 10007 / 100


def times_at(at: int) -> list[float]:
    """The values of TIMES at a moment."""
    rng = random.Random(at)
    return [rng.lognormvariate(3, 1) for _ in range(at // 10 % 5 + 1)]


def samples_at(at: int) -> list[Sample]:
    """What is written of a tick."""
    return [
        Sample(HITS, Kind.COUNT, 1.0),
        *(Sample(key, Kind.GAUGE, level_at(at, number)) for number, key in enumerate(LEVELS)),
        Sample(TIMES, Kind.DISTRIBUTION, Sketch.of(times_at(at))),
    ]


def main(directory: Path, begin: int, seed: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    rng = random.Random(seed)
    clock = FastClock(begin)
    store = MetricStore(directory, clock)

    def compacting() -> None:
        while True:
            store.compact(clock.now(), rng.randrange(1, 9))

    threading.Thread(target=compacting, daemon=True).start()
    while True:
        clock.moment += STEP_S
        late_s = rng.choice([0, 0, 0, 0, 10, 600, 3500])
        at = int(clock.moment) // 10 * 10 - late_s // 10 * 10
        print("?", at, flush=True)
        store.write(at, 10, samples_at(at))
        print("+", at, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
