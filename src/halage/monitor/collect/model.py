"""A tick, the sources that are asked at its end, and what the collector says of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from halage.monitor.inventory import WatchedEnvironment
from halage.monitor.metrics.model import Sample


@dataclass(frozen=True, slots=True)
class Tick:
    """A span of time that has just ended: [at, at + resolution_s)."""

    at: int
    resolution_s: int
    environments: tuple[WatchedEnvironment, ...]
    """Those that are sampled at this resolution."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests of the last minute, of an environment or of one instance."""

    count: int = 0
    errors: int = 0
    """Answers with 5xx, the balancer's own included."""
    client_errors: int = 0
    """Answers with 4xx."""
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


class Source(Protocol):
    """Something that can be looked at."""

    @property
    def name(self) -> str:
        """A word for messages."""
        ...

    async def collect(self, tick: Tick) -> Sequence[Sample]:
        """What there is to say of the tick. May raise, and may be cancelled: its samples are missing then.

        One call at a time. Must not block: what might (a file system, a name server) is done aside.
        """
        ...


class Watcher(Protocol):
    """Something that looks between the ticks as well."""

    async def watch(self) -> None:
        """Look until cancelled."""
        ...


class TickConsumer(Protocol):
    """Who is told of each tick that is over: alarms are evaluated then."""

    def on_tick(self, at: float, resolution_s: int) -> None:
        """The tick that began at `at` is kept; or nothing is, while the disk is full. Returns at once."""
        ...


@dataclass(frozen=True, slots=True)
class CollectorState:
    """What there is to know of the collector."""

    is_paused: bool
    """Nothing is collected because the disk is full; it goes on by itself."""
    pause_reason: str
    last_tick_at: float | None
    failures: Mapping[str, int]
    """Ticks that each source has missed since the start."""
    troubles: Mapping[str, str]
    """What is wrong now, by source; empty when all is well."""
    unreadable_lines: int
    """Lines of the access log that told of no visit: kept as they are, not counted."""
    lost_bytes: int
    """Of the access log, given back to the disk before they were read."""
    late_visits: int
    """Visits that were read more than an hour late: they are in the log, not in the metrics."""
