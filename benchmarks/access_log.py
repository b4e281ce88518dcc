"""The access log, from its lines to samples, on one core: read, parsed, counted and handed on.

The lines are HAProxy's own form, of 12 routes with 10 targets each, 10,000 lines a tick, half of the
response times drawn from a wide range. Nothing else runs in the process, so its CPU time is what it cost.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import harness

from halage.balancer.drivers.haproxy.access_log import read_lines
from halage.balancer.model import AccessPart, LogPlace
from halage.base.clock import SystemClock
from halage.monitor.collect.access_log import AccessLog
from halage.monitor.logs.model import Group, Line
from halage.monitor.metrics.model import Cursor, Sample

LINES = 300_000
A_TICK = 10_000
ROUTES, TARGETS = 12, 10
ROUNDS = 3


class Balancer:
    """The log of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read_access_log(self, place: LogPlace | None, limit_bytes: int) -> AccessPart:
        """As the HAProxy driver does it."""
        return read_lines(self._directory, place, limit_bytes)

    def release_access_log(self, place: LogPlace) -> None:
        """It is kept for the next round."""


class Sink:
    """Counts what it is handed, and keeps nothing."""

    def __init__(self) -> None:
        self.lines = 0

    def append(self, group: Group, stream: str, lines: Sequence[Line]) -> None:
        """Take lines in."""
        self.lines += len(lines)

    def append_placed(
        self, group: Group, stream: str, source: str, places: Sequence[int], lines: Sequence[Line]
    ) -> None:
        """Take lines in."""
        self.lines += len(lines)

    def note_place(self, source: str, place: int) -> None:
        """Nothing is kept, so there is no place."""

    async def place_of(self, source: str) -> int | None:
        """It is not known."""
        return None


class Keeper:
    """Counts what it is given to keep."""

    def __init__(self) -> None:
        self.requests = 0.0

    def write(
        self, at: float, resolution_s: int, samples: Sequence[Sample], *, cursor: Cursor | None = None
    ) -> None:
        """Take samples in."""
        for sample in samples:
            if sample.key.name == "environment_requests" and isinstance(sample.value, float):
                self.requests += sample.value

    def cursor(self, name: str) -> int | None:
        """There is none: each round begins at the beginning."""
        return None

    def compact(self, now: float, most: int | None = None) -> bool:
        """There is nothing to do."""
        return False


def main() -> None:
    """Write a log, read it three times, and print the best round's figures."""
    with tempfile.TemporaryDirectory(prefix="halage-access-") as name:
        directory = Path(name)
        _write_log(directory / "access.log")
        parsed = min(_parse(directory) for _ in range(ROUNDS))
        taken = min(asyncio.run(_take(directory)) for _ in range(ROUNDS))
    harness.report(
        parsed_lines_per_s=LINES / parsed,
        cost_per_request_us=taken / LINES * 1e6,
        taken_lines_per_s=LINES / taken,
        lines=LINES,
    )


def _write_log(path: Path) -> None:
    chance = random.Random(7)
    begin = int(time.time() * 1000) - LINES // A_TICK * 10_000
    with path.open("w") as file:
        for number in range(LINES):
            route = number % ROUTES
            target = number // ROUTES % TARGETS
            first = chance.choice((3, 4, 5, 6, int(chance.lognormvariate(4, 1))))
            at = begin + number * 10_000 // A_TICK
            file.write(
                f"{at} 1A2B3C:{number:X} 203.0.113.{number % 250} site{route}.prod s{route:04d} "
                f"i-{route}-{target} GET {chance.choice((200, 200, 200, 304, 404))} {2000 + first} 0 0 1 "
                f'{first} {first + 2} -- "www.site{route}.example" "/page/{number % 997}/picture.webp"\n'
            )


def _parse(directory: Path) -> float:
    """CPU seconds to parse all of it."""
    began, place, lines = time.process_time(), None, 0
    while True:
        part = read_lines(directory, place, 65536)
        lines += sum(visit.at is not None for visit in part.visits)
        place = part.place
        if part.is_all:
            break
    if lines != LINES:
        raise harness.Failure(f"{lines} of {LINES} lines were understood")
    return time.process_time() - began


async def _take(directory: Path) -> float:
    """CPU seconds from the lines to samples that are kept."""
    began, sink, keeper = time.process_time(), Sink(), Keeper()
    log = AccessLog(Balancer(directory), keeper, sink, SystemClock())
    size, resolution_s = (directory / "access.log").stat().st_size, 10
    is_all = False
    while not is_all:
        await log.follow(())
        for entry in log.slices(resolution_s, int(time.time()) + 60):
            cursor = log.cursor_of(resolution_s, entry)
            keeper.write(entry.at, resolution_s, entry.tally.samples(resolution_s), cursor=cursor)
            log.kept(resolution_s, entry)
            is_all = cursor[1] == size
    if (sink.lines, keeper.requests) != (LINES, LINES):
        raise harness.Failure(f"{sink.lines} lines and {keeper.requests} requests of {LINES} arrived")
    return time.process_time() - began


if __name__ == "__main__":
    main()
