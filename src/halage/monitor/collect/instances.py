"""What instances use, and how many of them there are."""

from collections.abc import Sequence

from halage.base.clock import Clock
from halage.compute.driver import MeasuresMany
from halage.compute.model import MIB, Usage
from halage.monitor.collect.model import Tick
from halage.monitor.collect.rules import Growth
from halage.monitor.collect.samples import Dimensions, count, gauge, of_environment, of_instance, percent
from halage.monitor.inventory import WatchedEnvironment, WatchedInstance
from halage.monitor.metrics.model import Sample

_DISK_COUNTS = ("disk_read_bytes", "disk_write_bytes", "disk_read_operations", "disk_write_operations")


class InstanceSource:
    """CPU, memory, disks, processes, open files and restarts of each instance."""

    name = "instances"

    def __init__(self, compute: MeasuresMany, clock: Clock) -> None:
        self._compute = compute
        self._clock = clock
        self._growth = Growth()
        self._has_looked = False

    async def collect(self, tick: Tick) -> Sequence[Sample]:
        """What each instance used during the tick."""
        instances = [instance for environment in tick.environments for instance in environment.instances]
        usages = await self._compute.measure_all([instance.unit_id for instance in instances])
        now = self._clock.monotonic()
        samples: list[Sample] = []
        for environment in tick.environments:
            samples += _instances_of(environment)
        for instance in instances:
            dimensions = of_instance(instance)
            samples.append(count("instance_restarts", dimensions, self._new_restarts(instance, now)))
            if (usage := usages.get(instance.unit_id)) is not None:
                samples += self._use_of(instance, dimensions, usage, now)
        self._growth.forget_unseen(now)
        self._has_looked = True
        return samples

    def _use_of(
        self, instance: WatchedInstance, dimensions: Dimensions, usage: Usage, now: float
    ) -> list[Sample]:
        memory_percent = usage.memory_bytes / (instance.type.memory_mib * MIB) * 100
        samples = [
            gauge("instance_memory_bytes", dimensions, usage.memory_bytes),
            percent("instance_memory_percent", dimensions, memory_percent),
            gauge("instance_processes", dimensions, usage.processes),
        ]
        if usage.open_files is not None:
            samples.append(gauge("instance_open_files", dimensions, usage.open_files))
        # By unit: the next attempt of an instance begins to count at nothing.
        if (grown := self._growth.since((instance.unit_id, "cpu"), usage.cpu_s, now)) is not None:
            cpu_percent = grown[0] / grown[1] / instance.type.cpu * 100
            samples.append(percent("instance_cpu_percent", dimensions, cpu_percent))
        periods = self._growth.since((instance.unit_id, "periods"), usage.cpu_periods, now)
        throttled = self._growth.since((instance.unit_id, "throttled"), usage.throttled_periods, now)
        if periods is not None and throttled is not None:
            share = throttled[0] / periods[0] * 100 if periods[0] else 0.0
            samples.append(percent("instance_cpu_throttled_percent", dimensions, share))
        for name in _DISK_COUNTS:
            grown = self._growth.since((instance.unit_id, name), getattr(usage, name), now)
            if grown is not None:
                samples.append(count(f"instance_{name}", dimensions, grown[0]))
        return samples

    def _new_restarts(self, instance: WatchedInstance, now: float) -> int:
        """Since it was last seen. One that is new to us is new, unless we are new ourselves."""
        key = (instance.id, "restarts")
        is_new = self._has_looked and not self._growth.knows(key)
        grown = self._growth.since(key, instance.restarts, now)
        if grown is None:
            return instance.restarts if is_new else 0
        return int(grown[0])


def _instances_of(environment: WatchedEnvironment) -> list[Sample]:
    dimensions = of_environment(environment)
    serving = sum(instance.is_serving for instance in environment.instances)
    return [
        gauge("environment_instances_wanted", dimensions, environment.wanted),
        gauge("environment_instances_serving", dimensions, serving),
    ]
