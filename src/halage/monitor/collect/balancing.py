"""What the balancer counts of instances and environments by itself; requests are in its access log."""

from collections.abc import Sequence
from dataclasses import dataclass

from halage.balancer.driver import HasFigures
from halage.balancer.model import RouteStatus, TargetState, TargetStatus
from halage.base.clock import Clock
from halage.monitor.collect.model import Tick
from halage.monitor.collect.rules import Growth
from halage.monitor.collect.samples import Dimensions, count, gauge, of_environment, of_instance, route_of
from halage.monitor.metrics.model import Sample

_CHECKED = {TargetState.UP: 0, TargetState.DOWN: 1}
"""A draining target is checked no more."""


@dataclass(frozen=True, slots=True)
class _Observed:
    """Something that counts, and under which names that is kept."""

    key: tuple[str, ...]
    prefix: str
    dimensions: Dimensions
    counters: dict[str, int]


class BalancerSource:
    """Connections, retries, checks, queues, requests under way and bytes."""

    name = "balancer"

    def __init__(self, balancer: HasFigures, clock: Clock) -> None:
        self._balancer = balancer
        self._clock = clock
        self._growth = Growth()

    async def collect(self, tick: Tick) -> Sequence[Sample]:
        """What was counted during the tick, and what waits and is under way now."""
        figures = await self._balancer.figures()
        now = self._clock.monotonic()
        routes = {status.route: status for status in figures.routes}
        targets: dict[str, dict[str, TargetStatus]] = {}
        for status in figures.targets:
            targets.setdefault(status.route, {})[status.target.id] = status
        samples: list[Sample] = []
        for environment in tick.environments:
            route = route_of(environment)
            mine = targets.get(route, {})
            for instance in environment.instances:
                if (target := mine.get(instance.id)) is not None:
                    samples += self._of_target(of_instance(instance), target, now)
            if route in routes:
                samples += self._of_route(of_environment(environment), routes[route], mine, now)
        self._growth.forget_unseen(now)
        return samples

    def _of_target(self, dimensions: Dimensions, status: TargetStatus, now: float) -> list[Sample]:
        samples = [
            gauge("instance_in_flight", dimensions, status.sessions),
            gauge("instance_queue", dimensions, status.queue),
        ]
        if status.state in _CHECKED:
            samples.append(gauge("instance_status_check_failed", dimensions, _CHECKED[status.state]))
        counters = {
            "network_in_bytes": status.bytes_in,
            "network_out_bytes": status.bytes_out,
            "connections": status.connections,
            "retries": status.retries,
            "failed_checks": status.failed_checks,
        }
        key = (status.route, status.target.id)
        return samples + self._growths(_Observed(key, "instance", dimensions, counters), now)

    def _of_route(
        self, dimensions: Dimensions, status: RouteStatus, targets: dict[str, TargetStatus], now: float
    ) -> list[Sample]:
        samples = [
            gauge("environment_in_flight", dimensions, status.in_flight),
            gauge("environment_queue", dimensions, status.queue),
        ]
        counters = {
            "bytes_in": status.bytes_in,
            "bytes_out": status.bytes_out,
            "connections": status.connections,
            "retries": status.retries,
        }
        samples += self._growths(_Observed((status.route,), "environment", dimensions, counters), now)
        # Added up from what each target grew by: the sum itself falls when a target goes.
        grown = [
            self._growth.since((status.route, key, "environment"), target.failed_checks, now)
            for key, target in targets.items()
        ]
        failed = sum(found[0] for found in grown if found is not None)
        return [*samples, count("environment_failed_checks", dimensions, failed)]

    def _growths(self, observed: _Observed, now: float) -> list[Sample]:
        samples = []
        for name, value in observed.counters.items():
            if (grown := self._growth.since((*observed.key, name), value, now)) is not None:
                samples.append(count(f"{observed.prefix}_{name}", observed.dimensions, grown[0]))
        return samples
