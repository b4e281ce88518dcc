"""What visitors got from an environment: the contract of whoever has measured it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from halage.environment.tables.store import Place


@dataclass(frozen=True, slots=True)
class Served:
    """Requests over a time, and how they were answered. Latency in ms; None when nothing was measured."""

    requests: int
    failed: int
    """Answers of 500 and more, with those of the balancer itself."""
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Traffic(Protocol):
    """Tells what was served over a time (seconds since the epoch). None: nothing is known of it."""

    async def of_instances(
        self, place: Place, instances: Sequence[str], start: float, end: float
    ) -> Served | None:
        """By these instances of an environment alone."""
        ...

    async def of_environment(self, place: Place, start: float, end: float) -> Served | None:
        """By the whole environment, with what no instance answered."""
        ...


class NoTraffic:
    """Where nothing is measured."""

    async def of_instances(
        self, place: Place, instances: Sequence[str], start: float, end: float
    ) -> Served | None:
        """Nothing is known."""
        return None

    async def of_environment(self, place: Place, start: float, end: float) -> Served | None:
        """Nothing is known."""
        return None


NO_TRAFFIC = NoTraffic()
