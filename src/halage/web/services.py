"""The services that the web door opens onto, in one frozen value that assembly fills."""

import asyncio
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from halage.access.service import Access
from halage.base.clock import Clock
from halage.base.database import Database
from halage.base.journal import Journal
from halage.build.service import Builds
from halage.environment.execution.service import Executions
from halage.environment.making import EnvironmentMaking
from halage.environment.records.settings import EnvironmentSettings
from halage.environment.scaling_service import Scaling
from halage.environment.securing import CertificateDesk
from halage.environment.service import Environments
from halage.monitor.alarms.service import Alarms
from halage.monitor.dashboards.service import Dashboards
from halage.monitor.intake.service import Intake
from halage.monitor.logs.service import Logs
from halage.monitor.metrics.service import Metrics
from halage.monitor.outlet.exposition import Exposition
from halage.pipeline.service import Pipeline
from halage.project.service import Projects


@dataclass(frozen=True)
class Services:
    """What the routes call. `stopping` is set when the server begins to stop: it ends every stream."""

    access: Access
    alarms: Alarms
    builds: Builds
    certificates: CertificateDesk
    environments: Environments
    scaling: Scaling
    settings: EnvironmentSettings
    executions: Executions
    making: EnvironmentMaking
    metrics: Metrics
    pipeline: Pipeline
    projects: Projects
    dashboards: Dashboards
    logs: Logs
    database: Database
    journal: Journal
    clock: Clock
    source_app: ASGIApp
    """git over HTTP, mounted at /git."""
    public_url: str
    """Where people reach the API and the console, without a slash at the end."""
    intake: Intake
    exposition: Exposition
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def cookies_are_secure(self) -> bool:
        """Whether cookies are sent over HTTPS only: where people reach the server so."""
        return self.public_url.startswith("https://")
