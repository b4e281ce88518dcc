"""Visits counted into samples: requests, answers by class, response times. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping

from halage.balancer.model import Visit
from halage.monitor.collect.samples import (
    Dimensions,
    count,
    distribution,
    environment_dimensions,
    gauge,
    instance_dimensions,
    of_environment,
    of_instance,
    place_of,
    route_of,
)
from halage.monitor.inventory import WatchedEnvironment
from halage.monitor.metrics.model import Sample
from halage.monitor.metrics.sketch import Sketch

_CLASSES = ("2xx", "3xx", "4xx", "5xx")

Outcome = tuple[str | None, str | None, int, int | None, int | None]
"""Route, target, status, the target's time and the whole response time (ms)."""


class _Sum:
    """What was counted of one instance or environment."""

    def __init__(self) -> None:
        self.requests = 0
        self.classes = [0, 0, 0, 0]
        self.times = Sketch()

    def add(self, status: int, time_ms: int | None, number: int) -> None:
        """Count visits that went alike."""
        self.requests += number
        if 200 <= status < 600:
            self.classes[status // 100 - 2] += number
        if time_ms is not None:
            self.times.add(time_ms, number)


class VisitTally:
    """Counts visits of one tick. Adding one costs a look-up: visits that went alike are one entry."""

    def __init__(self) -> None:
        self._outcomes: Counter[Outcome] = Counter()

    def add(self, visit: Visit) -> None:
        """Count one."""
        self._outcomes[visit[1:6]] += 1

    def merge(self, other: "VisitTally") -> None:
        """Take what another one counted."""
        self._outcomes.update(other._outcomes)

    @property
    def count(self) -> int:
        """How many were counted."""
        return self._outcomes.total()

    def samples(self, resolution_s: int, environments: Iterable[WatchedEnvironment] = ()) -> list[Sample]:
        """Samples of all that was counted, and zeros for those of `environments` that nobody visited."""
        routes: dict[str, _Sum] = {}
        targets: dict[tuple[str, str], _Sum] = {}
        for (route, target, status, target_ms, response_ms), number in self._outcomes.items():
            if route is None:
                continue
            routes.setdefault(route, _Sum()).add(status, response_ms, number)
            if target is not None:
                targets.setdefault((route, target), _Sum()).add(status, target_ms, number)
        return [
            *_environment_samples(routes, resolution_s, environments),
            *_instance_samples(targets, environments),
        ]


def _environment_samples(
    routes: Mapping[str, _Sum], resolution_s: int, environments: Iterable[WatchedEnvironment]
) -> list[Sample]:
    sums = {environment_dimensions(*place_of(route)): found for route, found in routes.items()}
    for environment in environments:
        if route_of(environment) not in routes:
            sums[of_environment(environment)] = _Sum()
    samples = []
    for dimensions, found in sums.items():
        samples += _samples_of("environment", dimensions, found)
        rate = found.requests / resolution_s
        samples.append(gauge("environment_requests_per_second", dimensions, rate))
    return samples


def _instance_samples(
    targets: Mapping[tuple[str, str], _Sum], environments: Iterable[WatchedEnvironment]
) -> list[Sample]:
    sums = {
        instance_dimensions(*place_of(route), target): found for (route, target), found in targets.items()
    }
    for environment in environments:
        for instance in environment.instances:
            if instance.is_serving and (route_of(environment), instance.id) not in targets:
                sums[of_instance(instance)] = _Sum()
    return [
        sample for dimensions, found in sums.items() for sample in _samples_of("instance", dimensions, found)
    ]


def _samples_of(prefix: str, dimensions: Dimensions, found: _Sum) -> list[Sample]:
    samples = [count(f"{prefix}_requests", dimensions, found.requests)]
    for name, number in zip(_CLASSES, found.classes, strict=True):
        samples.append(count(f"{prefix}_responses_{name}", dimensions, number))
    if found.times.count:
        samples.append(distribution(f"{prefix}_response_time_ms", dimensions, found.times))
    return samples
