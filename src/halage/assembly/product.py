"""Builds everything, in the order of the domains, and takes it apart again. Names the concrete drivers."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog
from fastapi import FastAPI

from halage.access.model import FirstStart
from halage.access.rules import check
from halage.access.service import Access
from halage.assembly.monitoring import Monitoring, SiteVariables, TickBell, Watched, build_monitoring
from halage.assembly.settings import BuildSettings, Settings
from halage.assembly.traffic import MetricTraffic
from halage.balancer.drivers.haproxy import HAProxyDriver
from halage.balancer.model import Https
from halage.base.clock import Clock
from halage.base.database import Database
from halage.base.journal import Journal
from halage.base.objects import LocalObjects
from halage.base.tasks import Tasks
from halage.build.controller import BuildController, BuildLimits, Workshop
from halage.build.service import Builds
from halage.compute.accounts import Accounts
from halage.compute.driver import SiteDriver
from halage.compute.drivers.process import ProcessDriver, ProcessSettings
from halage.compute.model import MIB
from halage.environment.autoscaling.presets import expression_problem
from halage.environment.certificates.keeper import Certificates
from halage.environment.control.actuator import Actuator
from halage.environment.control.autoscaler import Autoscaler
from halage.environment.control.controller import EnvironmentController
from halage.environment.control.inventory import EnvironmentInventory
from halage.environment.control.measures import StoredMeasures
from halage.environment.control.queue_lengths import Queues
from halage.environment.control.watcher import HealthWatcher
from halage.environment.execution.service import Executions
from halage.environment.instances.probe import Prober
from halage.environment.machinery import Limits, Machinery
from halage.environment.making import EnvironmentMaking
from halage.environment.notices.teller import Notices
from halage.environment.places import Places
from halage.environment.records import ledger
from halage.environment.records.settings import EnvironmentSettings
from halage.environment.routing import ConsoleDoor, Routing
from halage.environment.scaling_service import Scaling
from halage.environment.securing import CertificateDesk
from halage.environment.service import Environments
from halage.monitor.alarms.messenger import AppriseMessenger
from halage.monitor.logs.own import OwnLog
from halage.pipeline.controller import PipelineController, PipelineLimits
from halage.pipeline.service import Pipeline
from halage.pipeline.trigger import Trigger
from halage.pipeline.workload import WorkloadCounter
from halage.project.service import Projects
from halage.site.effective import Reading
from halage.source.http import GitDoor
from halage.source.service import Source
from halage.web.app import create_app
from halage.web.services import Services

log = structlog.get_logger()

OpenCompute = Callable[[Path, ProcessSettings], AbstractAsyncContextManager[SiteDriver]]
"""Makes the driver that keeps what it needs in a directory."""


@dataclass(frozen=True, slots=True)
class Product:
    """The running product: its web door, what a first start handed out, and what it can do here."""

    app: FastAPI
    git_door: GitDoor
    stopping: asyncio.Event
    first_start: FirstStart | None
    abilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every domain stands on."""

    settings: Settings
    clock: Clock
    journal: Journal
    database: Database
    tasks: Tasks
    accounts: Accounts
    objects: LocalObjects
    compute: SiteDriver
    balancer: HAProxyDriver
    access: Access
    source: Source


@dataclass(frozen=True, slots=True)
class _Sites:
    """The use cases of environments, domain by domain."""

    environments: Environments
    settings: EnvironmentSettings
    making: EnvironmentMaking
    scaling: Scaling
    executions: Executions
    certificates: CertificateDesk


class _Ear:
    """Hears of changed runs before the pipeline that wants to know is built."""

    def __init__(self) -> None:
        self.pipeline: PipelineController | None = None

    def run_changed(self, run_id: int) -> None:
        """Tell the pipeline, once it is there."""
        if self.pipeline is not None:
            self.pipeline.wake(run_id)


@asynccontextmanager
async def build_product(
    settings: Settings,
    clock: Clock,
    own_log: OwnLog | None = None,
    open_compute: OpenCompute = ProcessDriver,
) -> AsyncIterator[Product]:
    """Everything, started and recovered; left in the reverse order. Sites and balancer live on.

    `own_log`: where the log of this process passes by, to be kept with the others.
    `open_compute`: what instances and jobs are run with; by default they are processes of this machine.
    """
    async with AsyncExitStack() as stack:
        journal = Journal()
        database = Database(settings.database, clock=clock, journal=journal)
        stack.callback(database.close)
        database.migrate()
        access = Access(database, clock, settings.data / "key", session_limits=settings.session_limits)
        first_start = await access.first_start(settings.data / "admin-token")
        ground = await _lay_ground(stack, settings, clock, journal, database, access, open_compute)
        ear, variables, traffic, ticks = _Ear(), SiteVariables(), MetricTraffic(), TickBell()
        machinery, environment_controller, environments = await _build_environments(
            stack, ground, ear, variables, traffic
        )
        executions = _build_executions(stack, ground, machinery)
        watched = _watched(ground, machinery, environment_controller, ticks)
        monitoring = await build_monitoring(stack, watched, own_log)
        variables.intake, traffic.reader = monitoring.intake, monitoring.store
        scaling = await _build_scaling(stack, ground, machinery, environment_controller, monitoring, ticks)
        build_controller, builds = _build_builds(stack, ground, environments, monitoring, ear)
        pipeline_controller, pipeline = _build_pipeline(stack, ground, builds, environments)
        ear.pipeline = pipeline_controller
        door = GitDoor(ground.source, authenticate=access.authenticate_git, check=check)
        sites = _Sites(
            environments,
            settings=_build_settings(ground, environment_controller),
            making=EnvironmentMaking(machinery, environment_controller, monitoring.forget_place),
            scaling=scaling,
            executions=executions,
            certificates=_build_certificates(ground, machinery, environment_controller),
        )
        services = _open_doors(ground, door, builds, sites, pipeline, monitoring)
        await _take_over(
            ground, (environment_controller, build_controller, pipeline_controller, executions, sites.making)
        )
        watcher = _build_health(environment_controller, machinery, watched.inventory, monitoring)
        ground.tasks.start(watcher.run(), "watch health")
        yield Product(
            app=create_app(services),
            git_door=door,
            stopping=services.stopping,
            first_start=first_start,
            abilities=ground.compute.abilities.sentences(),
        )


class _Recovers(Protocol):
    """What takes over what an earlier control plane left."""

    async def recover(self) -> None:
        """Take it over."""
        ...


async def _take_over(ground: _Ground, controllers: Iterable[_Recovers]) -> None:
    """Go on with what an earlier control plane left, and find the pushes that none heard of."""
    for controller in controllers:
        await controller.recover()
    ground.tasks.start(_notices(ground).run(), "notices")
    if missed := await ground.source.reconcile():
        log.info("missed pushes found", action="source:Reconcile", subject="server", count=len(missed))


async def _lay_ground(
    stack: AsyncExitStack,
    settings: Settings,
    clock: Clock,
    journal: Journal,
    database: Database,
    access: Access,
    open_compute: OpenCompute,
) -> _Ground:
    data = settings.data
    units = ProcessSettings(sandbox=settings.builds.sandbox, hidden=(data,))
    return _Ground(
        settings=settings,
        clock=clock,
        journal=journal,
        database=database,
        accounts=Accounts(),
        objects=LocalObjects(data / "objects"),
        compute=await stack.enter_async_context(open_compute(data / "units", units)),
        balancer=await stack.enter_async_context(
            HAProxyDriver(data / "balancer", settings.http, https=settings.https)
        ),
        access=access,
        source=await stack.enter_async_context(Source(data / "repositories", data / "run", database, clock)),
        tasks=await stack.enter_async_context(Tasks()),  # the last one in: it is left first
    )


async def _build_environments(
    stack: AsyncExitStack, ground: _Ground, ear: _Ear, variables: SiteVariables, traffic: MetricTraffic
) -> tuple[Machinery, EnvironmentController, Environments]:
    settings = ground.settings
    machinery = Machinery(
        database=ground.database,
        clock=ground.clock,
        compute=ground.compute,
        balancer=ground.balancer,
        routing=_build_routing(ground),
        places=Places(settings.data / "sites", ground.objects),
        accounts=ground.accounts,
        sealer=ground.access.secrets,
        types=settings.instance_types,
        traffic=traffic,
        limits=Limits(settings.deployments.deadline_s, settings.releases.keep, settings.executions.limit_s),
        site_variables=variables,
    )
    await machinery.routing.load(await ground.database.run(ledger.plans))
    prober = Prober(ground.clock)
    stack.push_async_callback(prober.close)
    controller = EnvironmentController(machinery, prober, tasks=ground.tasks, on_change=ear.run_changed)
    stack.callback(controller.stop)
    return machinery, controller, Environments(machinery, controller, settings.http.port)


async def _build_scaling(
    stack: AsyncExitStack,
    ground: _Ground,
    machinery: Machinery,
    controller: EnvironmentController,
    monitoring: Monitoring,
    ticks: TickBell,
) -> Scaling:
    measures = StoredMeasures(monitoring.store, monitoring.keeper)
    queues = Queues(machinery, measures, tasks=ground.tasks)
    stack.push_async_callback(queues.close)
    await queues.clear()
    autoscaler = Autoscaler(machinery, controller, measures, tasks=ground.tasks, queues=queues)
    stack.callback(autoscaler.stop)
    ticks.consumers.append(autoscaler)
    return Scaling(machinery, controller, autoscaler, measures)


def _build_health(
    controller: EnvironmentController,
    machinery: Machinery,
    inventory: EnvironmentInventory,
    monitoring: Monitoring,
) -> HealthWatcher:
    controller.vitals.requests = monitoring.recent
    controller.vitals.levels = monitoring.keeper
    return HealthWatcher(machinery, controller, inventory)


def _build_settings(ground: _Ground, controller: EnvironmentController) -> EnvironmentSettings:
    return EnvironmentSettings(
        ground.database,
        ground.access.secrets,
        Reading(ground.settings.instance_types, expression_problem),
        wake=controller.wake,
        tell=controller.tell,
    )


def _notices(ground: _Ground) -> Notices:
    return Notices(
        ground.database,
        ground.journal,
        AppriseMessenger(),
        ground.access.secrets,
        ground.clock,
        public_url=ground.settings.public_url,
    )


def _build_certificates(
    ground: _Ground, machinery: Machinery, controller: EnvironmentController
) -> CertificateDesk:
    certificates = CertificateDesk(machinery.routing, ground.clock, controller.note_change)
    ground.tasks.start(certificates.keep_fresh(), "renew certificates")
    return certificates


def _build_routing(ground: _Ground) -> Routing:
    settings = ground.settings
    authority = f"Halage of {settings.console.host or settings.domain}"
    certificates = Certificates(ground.database, ground.clock, ground.access.secrets, authority)
    https_port = settings.https.port if settings.https is not None else None
    return Routing(ground.balancer, settings.domain, certificates, https_port, _console_door(settings))


def _console_door(settings: Settings) -> ConsoleDoor | None:
    if not settings.console.host or settings.listen.port == 0:
        return None
    # The balancer wants an address.
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  compared with, not bound to
    host = everywhere.get(settings.listen.host, settings.listen.host)
    address = str(socket.getaddrinfo(host, settings.listen.port, type=socket.SOCK_STREAM)[0][4][0])
    https = Https(settings.console.https)
    return ConsoleDoor(settings.console.host, https, address, settings.listen.port)


def _build_executions(stack: AsyncExitStack, ground: _Ground, machinery: Machinery) -> Executions:
    executions = Executions(machinery, ground.compute, tasks=ground.tasks)
    stack.push_async_callback(executions.close)
    return executions


def _watched(
    ground: _Ground, machinery: Machinery, controller: EnvironmentController, ticks: TickBell
) -> Watched:
    return Watched(
        settings=ground.settings,
        clock=ground.clock,
        database=ground.database,
        journal=ground.journal,
        tasks=ground.tasks,
        secrets=ground.access.secrets,
        compute=ground.compute,
        balancer=ground.balancer,
        inventory=EnvironmentInventory(machinery, controller, WorkloadCounter(ground.database)),
        actuator=Actuator(machinery, controller),
        ticks=ticks,
    )


def _build_builds(
    stack: AsyncExitStack, ground: _Ground, environments: Environments, monitoring: Monitoring, ear: _Ear
) -> tuple[BuildController, Builds]:
    settings = ground.settings
    workshop = Workshop(
        database=ground.database,
        clock=ground.clock,
        compute=ground.compute,
        source=ground.source,
        accounts=ground.accounts,
        objects=ground.objects,
        directory=settings.data,
        limits=_build_limits(settings.builds),
        secrets_of=environments.secret_values,
        sandbox_warning=ground.compute.abilities.sandbox_warning,
        passed_environment={
            name: os.environ[name] for name in settings.builds.passed_variables if name in os.environ
        },
        on_first_command=monitoring.own.first_command,
        logs=monitoring.logs,
    )
    controller = BuildController(workshop, tasks=ground.tasks, on_change=ear.run_changed)
    stack.callback(controller.stop)
    return controller, Builds(ground.database, ground.objects, controller)


def _build_pipeline(
    stack: AsyncExitStack, ground: _Ground, builds: Builds, environments: Environments
) -> tuple[PipelineController, Pipeline]:
    controller = PipelineController(
        ground.database, ground.clock, builds, environments, PipelineLimits(), tasks=ground.tasks
    )
    stack.callback(controller.stop)
    pipeline = Pipeline(ground.database, controller, builds, environments)
    ground.source.on_push = Trigger(
        ground.database,
        ground.source,
        environments,
        types=ground.settings.instance_types,
        public_url=ground.settings.public_url,
        follow=pipeline.follow,
        remarks=pipeline.remarks,
        wake=controller.wake,
    )
    return controller, pipeline


def _open_doors(
    ground: _Ground,
    door: GitDoor,
    builds: Builds,
    sites: _Sites,
    pipeline: Pipeline,
    monitoring: Monitoring,
) -> Services:
    return Services(
        access=ground.access,
        alarms=monitoring.alarms,
        metrics=monitoring.metrics,
        intake=monitoring.intake,
        exposition=monitoring.exposition,
        logs=monitoring.logs,
        dashboards=monitoring.dashboards,
        builds=builds,
        certificates=sites.certificates,
        environments=sites.environments,
        scaling=sites.scaling,
        settings=sites.settings,
        executions=sites.executions,
        making=sites.making,
        pipeline=pipeline,
        projects=Projects(
            ground.database,
            ground.access,
            ground.source,
            builds,
            sites.environments,
            pipeline,
            ground.accounts,
            forget_watched=monitoring.forget_place,
            public_url=ground.settings.public_url,
        ),
        database=ground.database,
        journal=ground.journal,
        clock=ground.clock,
        source_app=door,
        public_url=ground.settings.public_url,
    )


def _build_limits(builds: BuildSettings) -> BuildLimits:
    return BuildLimits(
        concurrent=builds.concurrent,
        cpu=builds.cpu,
        memory_bytes=builds.memory_mib * MIB,
        processes=builds.processes,
        console_bytes=builds.console_limit_mib * MIB,
        has_network=builds.network,
        has_cache=builds.cache,
    )
