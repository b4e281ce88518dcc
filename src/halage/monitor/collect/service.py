"""Builds the collector with all its sources."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from halage.balancer.driver import HasFigures, WritesAccessLog
from halage.base.clock import Clock
from halage.base.journal import Journal
from halage.compute.driver import MeasuresMany
from halage.monitor.collect.access_log import AccessLog
from halage.monitor.collect.balancing import BalancerSource
from halage.monitor.collect.certificates import CertificateSource
from halage.monitor.collect.collector import Collector, Sources
from halage.monitor.collect.instances import InstanceSource
from halage.monitor.collect.machine import FileSystemSource, MachineSource
from halage.monitor.collect.model import Source, TickConsumer
from halage.monitor.collect.own import LoopWatcher, OwnSource
from halage.monitor.collect.recent import RecentVisits
from halage.monitor.inventory import Inventory
from halage.monitor.logs.model import PlacedSink
from halage.monitor.metrics.model import MetricKeeper


class WatchedBalancer(HasFigures, WritesAccessLog, Protocol):
    """A balancer that counts and that writes an access log."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """Everything that is looked at, and where it goes."""

    clock: Clock
    data: Path
    """The data directory."""
    inventory: Inventory
    compute: MeasuresMany
    balancer: WatchedBalancer
    journal: Journal
    keeper: MetricKeeper
    sink: PlacedSink
    consumer: TickConsumer
    recent: RecentVisits | None = None
    """Who counts the requests of the last minute."""
    more: tuple[Source, ...] = ()
    """Others that have something to say every ten seconds: the stores of metrics and logs."""


def build_collector(equipment: Equipment) -> tuple[Collector, OwnSource]:
    """The collector, and the source that is told of first commands."""
    clock, inventory = equipment.clock, equipment.inventory
    own = OwnSource(clock, inventory, equipment.journal)
    certificates = CertificateSource(clock, inventory)
    sources = Sources(
        of_environments=(
            InstanceSource(equipment.compute, clock),
            BalancerSource(equipment.balancer, clock),
            certificates,
        ),
        of_machine=(MachineSource(clock), FileSystemSource(equipment.data), own, *equipment.more),
        watchers=(own, LoopWatcher(own), certificates),
        access_log=AccessLog(equipment.balancer, equipment.keeper, equipment.sink, clock, equipment.recent),
    )
    return Collector(sources, inventory, equipment.keeper, equipment.consumer, clock), own
