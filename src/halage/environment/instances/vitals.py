"""What is observed of instances beside the balancer's checks: requests, what they use, how they went."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from halage.base.clock import Clock
from halage.environment.health.course import Course
from halage.environment.instances.fleet import Fleet, copy_of
from halage.environment.routing import route_name
from halage.environment.tables.store import Place
from halage.monitor.collect.model import Requests
from halage.monitor.collect.samples import instance_dimensions
from halage.monitor.metrics.model import SeriesKey

WINDOW_S = 60.0
"""The processor time that is told is that of so long."""
JUDGED_AFTER_S = 50.0
"""An instance that has been seen for less is not judged by it: whatever boots is busy."""


class CountsRequests(Protocol):
    """Who counts the requests of the last minute."""

    def requests_of(self, route: str) -> Mapping[str | None, Requests] | None:
        """By target, of the whole route under None; None: not known at the moment."""
        ...


class KnowsLevels(Protocol):
    """Who knows what a metric says now."""

    def level(self, key: SeriesKey) -> float | None:
        """Its latest value; None when there is none of now."""
        ...


class Vitals:
    """Asks whoever knows; without anybody who does, nothing is known."""

    def __init__(self, clock: Clock, fleet: Fleet) -> None:
        self._clock = clock
        self._fleet = fleet
        self.requests: CountsRequests | None = None
        self.levels: KnowsLevels | None = None
        self._cpu: dict[str, deque[tuple[float, float]]] = {}

    def now(self) -> float:
        """Seconds of a clock that never goes back, which courses are told in."""
        return self._clock.monotonic()

    def requests_of(self, place: Place) -> Mapping[str | None, Requests] | None:
        """Its requests of the last minute, by instance."""
        return self.requests.requests_of(route_name(place)) if self.requests is not None else None

    def course_of(self, row: Any) -> Course | None:
        """What the check of an instance's present attempt has said."""
        return self._fleet.observe(copy_of(row)).course

    def note_course(self, row: Any, course: Course | None) -> None:
        """Keep what its check has said until now."""
        self._fleet.observe(copy_of(row)).course = course

    def cpu_percent(self, row: Any) -> float | None:
        """Of the processors of its type, over the last minute."""
        seen = self._cpu.get(copy_of(row).unit_id)
        if not seen or seen[-1][0] - seen[0][0] < JUDGED_AFTER_S:
            return None
        return sum(value for _, value in seen) / len(seen)

    def memory_percent(self, row: Any) -> float | None:
        """Of the memory of its type, now."""
        return self._level("instance_memory_percent", row)

    def look(self, rows: Iterable[Any]) -> None:
        """Note what these instances use now, and forget all others."""
        now, kept = self.now(), {}
        for row in rows:
            unit_id = copy_of(row).unit_id
            seen = kept[unit_id] = self._cpu.get(unit_id, deque())
            if (value := self._level("instance_cpu_percent", row)) is not None:
                seen.append((now, value))
            while seen and now - seen[0][0] > WINDOW_S:
                seen.popleft()
        self._cpu = kept

    def _level(self, name: str, row: Any) -> float | None:
        if self.levels is None:
            return None
        dimensions = instance_dimensions(row.project, row.environment, row.id)
        return self.levels.level(SeriesKey(name, dimensions))
