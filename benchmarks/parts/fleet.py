"""What a fleet of instances measures: the same numbers for whoever asks, with a wave a day and noise.

Each instance has 14 metrics, those of EC2 as far as Halage has them, at the grain in which its
collector tells them: per cents in hundredths, memory in pages, everything else in whole numbers.
"""

import math
import random
from collections.abc import Iterable

from halage.monitor.collect.samples import count, distribution, gauge, instance_dimensions, percent
from halage.monitor.metrics.model import Sample
from halage.monitor.metrics.sketch import Sketch

METRICS = 14
TICK_S = 10
HOUR_S = 3600
DAY_S = 86400
_PAGE_BYTES = 4096
_MEMORY_BYTES = 512 * 1024 * 1024


class SteppedClock:
    """A clock that its owner moves on: days pass as fast as they can be worked through."""

    def __init__(self, now: float) -> None:
        self._now = self._begun = now

    def move_to(self, now: float) -> None:
        """It is so late now."""
        self._now = now

    def now(self) -> float:
        """Seconds since the Unix epoch (UTC)."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since it began."""
        return self._now - self._begun

    async def sleep(self, seconds: float) -> None:
        """Nobody sleeps here."""
        raise NotImplementedError


class Instance:
    """One instance. It draws from a source of its own, so how many others there are changes nothing."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._chance = random.Random(number)
        self._load = 0.0
        self._pages = 20_000 + 37 * number

    def measure(self, at: int) -> list[Sample]:
        """The samples of the tick that begins at `at`; ticks are asked for in their order."""
        chance, gauss = self._chance.random, self._chance.gauss
        self._load = 0.9 * self._load + gauss(0.0, 0.15)
        wave = 0.55 - 0.45 * math.cos(2 * math.pi * (at % DAY_S) / DAY_S)
        demand = max(0.02, wave * (1 + 0.3 * self._load))
        requests = max(0, round(gauss(200 * demand, math.sqrt(200 * demand))))
        spread = math.sqrt(requests)
        failed = int(1 + 3 * chance()) if chance() < 0.02 else 0
        self._pages += round(gauss(0.0, 3.0) + (20_000 + 2_000 * wave - self._pages) / 500)
        reads = int(1 + 40 * chance()) if chance() < 0.05 else 0
        writes = int(0.2 * requests + 5 * chance())
        dimensions = instance_dimensions("shop", "prod", f"i-{self.number}")
        return [
            percent("instance_cpu_percent", dimensions, min(100.0, max(0.0, gauss(4 + 50 * demand, 1.5)))),
            gauge("instance_memory_bytes", dimensions, self._pages * _PAGE_BYTES),
            percent("instance_memory_percent", dimensions, self._pages * _PAGE_BYTES / _MEMORY_BYTES * 100),
            count("instance_disk_read_operations", dimensions, reads),
            count("instance_disk_write_operations", dimensions, writes),
            count("instance_disk_read_bytes", dimensions, reads * 16 * 1024),
            count("instance_disk_write_bytes", dimensions, writes * _PAGE_BYTES + (chance() < 0.1) * 65536),
            count("instance_network_in_bytes", dimensions, round(gauss(850 * requests, 300 * spread))),
            count("instance_network_out_bytes", dimensions, round(gauss(9200 * requests, 8000 * spread))),
            gauge("instance_processes", dimensions, 5 + (chance() < 0.01)),
            gauge("instance_open_files", dimensions, 24 + requests // 10),
            count("instance_requests", dimensions, requests),
            count("instance_responses_5xx", dimensions, failed),
            gauge("instance_status_check_failed", dimensions, 0),
        ]

    def response_times(self, at: int) -> Sample:
        """The response times (ms) of the tick's visitors."""
        wave = 0.55 - 0.45 * math.cos(2 * math.pi * (at % DAY_S) / DAY_S)
        draw = self._chance.lognormvariate
        times = Sketch.of(int(draw(3.5 + 0.5 * wave, 0.6)) for _ in range(1 + int(200 * wave)))
        return distribution(
            "instance_response_time_ms", instance_dimensions("shop", "prod", f"i-{self.number}"), times
        )


def measure_all(instances: Iterable[Instance], at: int) -> list[Sample]:
    """The samples of all of them."""
    return [sample for instance in instances for sample in instance.measure(at)]
