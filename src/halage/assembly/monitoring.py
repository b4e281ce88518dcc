"""Builds monitoring: its stores, what is collected, alarms, logs and what goes out."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from halage.access.secrets import SecretBox
from halage.assembly.settings import Settings
from halage.base.clock import Clock
from halage.base.database import Database
from halage.base.journal import Journal
from halage.base.tasks import Tasks
from halage.compute.driver import SiteDriver
from halage.compute.model import MIB
from halage.environment.control.inventory import EnvironmentInventory
from halage.monitor.alarms.actions import Actuator
from halage.monitor.alarms.carriers import Carriers
from halage.monitor.alarms.controller import GRACE_S, AlarmController
from halage.monitor.alarms.deliveries import Deliveries
from halage.monitor.alarms.messenger import AppriseMessenger
from halage.monitor.alarms.points import ExpressionPoints
from halage.monitor.alarms.service import Alarms
from halage.monitor.collect.collector import Collector
from halage.monitor.collect.model import TickConsumer
from halage.monitor.collect.own import OwnSource, StoreSource
from halage.monitor.collect.recent import RecentVisits
from halage.monitor.collect.service import Equipment, WatchedBalancer, build_collector
from halage.monitor.dashboards.service import Dashboards
from halage.monitor.intake.keys import SiteKeys
from halage.monitor.intake.model import IntakeLimits
from halage.monitor.intake.service import Intake, Ports
from halage.monitor.logs.keeper import Surroundings
from halage.monitor.logs.own import OwnLog
from halage.monitor.logs.service import Logs
from halage.monitor.logs.store import KeepLimits
from halage.monitor.metrics.catalogue import find_metric
from halage.monitor.metrics.expression import parse
from halage.monitor.metrics.model import Limits
from halage.monitor.metrics.service import Metrics
from halage.monitor.metrics.store import MetricStore
from halage.monitor.outlet.accumulator import Accumulator
from halage.monitor.outlet.exposition import Exposition
from halage.monitor.outlet.remote_write import RemoteWrite

DAY_S = 86400.0


class SiteVariables:
    """What instances are told of monitoring, for whoever starts instances before it is built."""

    def __init__(self) -> None:
        self.intake: Intake | None = None

    def __call__(self, project: str, environment: str) -> Mapping[str, str]:
        """Variables of an environment's instances."""
        return self.intake.site_variables(project, environment) if self.intake is not None else {}


class TickBell:
    """A `TickConsumer` that tells others, also those who are built after the collector."""

    def __init__(self) -> None:
        self.consumers: list[TickConsumer] = []

    def on_tick(self, at: float, resolution_s: int) -> None:
        """Tell all of them."""
        for consumer in self.consumers:
            consumer.on_tick(at, resolution_s)


@dataclass(frozen=True, slots=True)
class Watched:
    """What monitoring stands on and looks at."""

    settings: Settings
    clock: Clock
    database: Database
    journal: Journal
    tasks: Tasks
    secrets: SecretBox
    compute: SiteDriver
    balancer: WatchedBalancer
    inventory: EnvironmentInventory
    actuator: Actuator
    ticks: TickBell

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.settings.data


@dataclass(frozen=True, slots=True)
class Monitoring:
    """The services that the doors open onto, and what the domains above hand things to."""

    metrics: Metrics
    intake: Intake
    exposition: Exposition
    alarms: Alarms
    logs: Logs
    dashboards: Dashboards
    own: OwnSource
    store: MetricStore
    keeper: Accumulator
    recent: RecentVisits

    async def forget_place(self, project: str, environment: str | None = None) -> None:
        """Remove alarms, dashboards, filters, lines and metrics of a project whose environments are gone, or
        of one environment that is gone.

        Raises Unavailable when a disk is full; what is removed by then stays so, and it can be asked again.
        """
        await self.alarms.forget_place(project, environment)
        await self.dashboards.forget_place(project, environment)
        await self.logs.forget_place(project, environment)
        self.intake.forget_place(project, environment)
        self.keeper.forget_place(project, environment)
        await asyncio.to_thread(self.store.forget_place, project, environment)


async def build_monitoring(stack: AsyncExitStack, watched: Watched, own_log: OwnLog | None) -> Monitoring:
    """All of it, started; what is entered into the stack is left in the reverse order.

    `own_log`: where this process' own log passes by.
    """
    settings, clock = watched.settings, watched.clock
    store = MetricStore(watched.data / "metrics", clock, Limits(series=settings.metrics.series))
    stack.enter_context(closing(store))
    keeper = Accumulator(store, clock, limit=settings.metrics.series)
    exposition = Exposition(keeper, help_of=_help_of)
    intake = await _build_intake(stack, watched, keeper, store)
    logs = await _build_logs(stack, watched, keeper, own_log)
    controller, alarms = await _build_alarms(stack, watched, store)
    watched.ticks.consumers.append(controller)
    recent = RecentVisits(clock)
    collector, own = build_collector(
        Equipment(
            clock=clock,
            data=watched.data,
            inventory=watched.inventory,
            compute=watched.compute,
            balancer=watched.balancer,
            journal=watched.journal,
            keeper=keeper,
            sink=logs,
            consumer=watched.ticks,
            recent=recent,
            more=(StoreSource(store.count_series, lambda: keeper.samples),),
        )
    )
    if settings.metrics.remote_write:
        await stack.enter_async_context(RemoteWrite(settings.metrics.remote_write, exposition, clock, keeper))
    await _run(stack, collector, logs)
    return Monitoring(
        metrics=Metrics(store, clock),
        intake=intake,
        exposition=exposition,
        alarms=alarms,
        logs=logs,
        dashboards=Dashboards(watched.database, parse),
        own=own,
        store=store,
        keeper=keeper,
        recent=recent,
    )


async def _build_intake(
    stack: AsyncExitStack, watched: Watched, keeper: Accumulator, store: MetricStore
) -> Intake:
    settings = watched.settings.metrics
    keys = SiteKeys.load(watched.data / "statsd-key")
    return await stack.enter_async_context(
        Intake(
            Ports(watched.inventory, keeper, store, watched.clock),
            IntakeLimits(series=settings.series_per_environment),
            keys,
            statsd=settings.statsd,
        )
    )


async def _build_logs(
    stack: AsyncExitStack, watched: Watched, keeper: Accumulator, own_log: OwnLog | None
) -> Logs:
    kept = watched.settings.logs
    around = Surroundings(
        directory=watched.data / "logs",
        clock=watched.clock,
        compute=watched.compute,
        inventory=watched.inventory,
        limits=KeepLimits(kept.keep_days * DAY_S, kept.keep_mib * MIB),
    )
    logs = await stack.enter_async_context(Logs(around, watched.database, keeper, watched.secrets))
    if own_log is not None:
        own_log.connect(logs)
        stack.callback(own_log.disconnect)
    return logs


async def _build_alarms(
    stack: AsyncExitStack, watched: Watched, store: MetricStore
) -> tuple[AlarmController, Alarms]:
    settings, database = watched.settings, watched.database
    messenger, points = AppriseMessenger(), ExpressionPoints(store)
    carriers = Carriers(watched.secrets, messenger, watched.actuator, public_url=settings.public_url)
    stack.push_async_callback(carriers.close)
    deliveries = Deliveries(database, carriers, clock=watched.clock, tasks=watched.tasks)
    stack.callback(deliveries.stop)
    controller = AlarmController(
        database,
        points,
        watched.inventory,
        deliveries,
        box=watched.secrets,
        clock=watched.clock,
        tasks=watched.tasks,
        everyone=settings.messages.to,
        is_paused=lambda: store.is_paused,
        grace_s=GRACE_S,
    )
    stack.callback(controller.stop)
    await controller.recover()
    alarms = Alarms(
        database,
        controller,
        carriers,
        points=points,
        messenger=messenger,
        box=watched.secrets,
        clock=watched.clock,
        everyone=settings.messages.to,
        public_url=settings.public_url,
    )
    return controller, alarms


async def _run(stack: AsyncExitStack, collector: Collector, logs: Logs) -> None:
    """Collect and keep logs until the stack is left."""
    tasks = await stack.enter_async_context(Tasks())
    tasks.start(collector.run(), "collect metrics")
    tasks.start(logs.run(), "logs")


def _help_of(name: str) -> str | None:
    metric = find_metric(name)
    return metric.meaning if metric is not None else None
