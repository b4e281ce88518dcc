"""A small world behind the web door: real access over a database in memory, the rest by hand."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import httpx
from fastapi import FastAPI

from halage.access.model import Role
from halage.access.service import Access
from halage.balancer.drivers.memory import MemoryBalancer
from halage.balancer.model import Https
from halage.base.clock import Clock, SystemClock
from halage.base.database import Database
from halage.base.errors import Conflict, Invalid, NotFound
from halage.base.journal import Journal
from halage.base.schema import metadata
from halage.build.model import ConsoleLine, Job, JobState, TestCase, TestReport
from halage.compute.drivers.memory import MemoryDriver
from halage.compute.model import STANDARD_TYPES
from halage.environment.certificates.keeper import Certificates
from halage.environment.making import EnvironmentTemplate, Made
from halage.environment.model import (
    Cause,
    Colour,
    Deployment,
    DeploymentState,
    Environment,
    Health,
    HealthStatus,
    Instance,
    InstanceState,
    LogLine,
    Phase,
    Release,
    Variable,
)
from halage.environment.records.orders import create as create_environments
from halage.environment.records.planning import RolloutPlan
from halage.environment.records.reporting import Report, TimedPhase
from halage.environment.records.settings import EnvironmentSettings
from halage.environment.rollout import rehearsal as planned
from halage.environment.rollout.traffic import Served
from halage.environment.routing import ConsoleDoor, Routing
from halage.environment.securing import CertificateDesk
from halage.environment.tables.health_tables import HealthSpan
from halage.monitor.collect.model import Requests
from halage.monitor.dashboards.service import Dashboards
from halage.monitor.intake.model import IntakeLimits
from halage.monitor.intake.service import Intake, Ports
from halage.monitor.inventory import WatchedEnvironment, Workload
from halage.monitor.logs.keeper import Surroundings
from halage.monitor.logs.model import Group, Line
from halage.monitor.logs.service import Logs
from halage.monitor.logs.store import KeepLimits
from halage.monitor.metrics.expression import parse
from halage.monitor.metrics.model import Sample
from halage.monitor.metrics.reading import read_expression
from halage.monitor.metrics.service import Metrics
from halage.monitor.outlet.accumulator import Accumulator
from halage.monitor.outlet.exposition import Exposition
from halage.pipeline.model import Run, RunState, Stage, StageKind, StageState
from halage.project.model import Overview, Project
from halage.site.effective import Reading
from halage.site.model import EnvironmentPlan
from halage.site.settings import BalancerPlan, Policy
from halage.site.settings import Https as PlannedHttps
from halage.web.app import create_app
from halage.web.services import Services
from tests.alarms import quiet_alarms
from tests.executions import ScriptedExecutions
from tests.metrics import MemoryMetrics
from tests.services.monitor.intake.stage import KEYS, HandInventory, MemoryStore
from tests.services.web.scalings import FakeScaling

NOW = 1_700_000_000.25
BASE = "http://halage.test"


def a_release(number: int = 2, state: str = "current") -> Release:
    return Release(number, number, "shop", "prod", "ab" * 32, "c" * 40, "Sell things", state, NOW, "ada")


def a_deployment(number: int = 1, project: str = "shop", kind: str = "deploy") -> Deployment:
    return Deployment(
        id=number,
        project=project,
        environment="prod",
        kind=kind,
        state=DeploymentState.SUCCEEDED,
        release=a_release(),
        previous_release=a_release(1, "good"),
        reason="",
        done=2,
        wanted=2,
        phases=(Phase("start", 0.2), Phase("drain", 0.1, 2)),
        created_at=NOW,
        started_at=NOW,
        finished_at=NOW + 1,
        deadline_at=NOW + 600,
        created_by="ada",
        run_id=1,
    )


A_CAUSE = Cause(
    "cpu", HealthStatus.WARNING, "i-1 uses 97% of the processor time of its type", "i-1", {"value": 97.2}
)


def an_environment(project: str = "shop", name: str = "prod") -> Environment:
    instance = Instance(
        "i-1", project, name, 2, 2, InstanceState.SERVING, 1, "127.1.0.1", 8000, NOW, NOW, "", "200", True, 7
    )
    instance = replace(instance, cpu_percent=97.2, memory_percent=40.0, recent=Requests(60, 1, 2, 8, 31, 90))
    return Environment(
        project=project,
        name=name,
        colour=Colour.GREEN,
        cause="2 of 2 instances serve",
        type="micro",
        wanted=1,
        serving=1,
        release=a_release(),
        deployment=a_deployment(),
        instances=(instance,),
        urls=(f"http://{project}.localhost:8080",),
        variables=(Variable("KEY", None, True, NOW, "ada"),),
        health=Health(HealthStatus.OK, "2 of 2 instances serve", (A_CAUSE,)),
        recent=Requests(60, 1, 2, 8, 31, 90),
    )


def a_run(number: int = 1, state: RunState = RunState.SUCCEEDED, project: str = "shop") -> Run:
    stages = (
        Stage(0, "source", StageKind.SOURCE, StageState.SUCCEEDED, "", 1, NOW, NOW),
        Stage(1, "test", StageKind.TEST, StageState.SUCCEEDED, "", 1, NOW, NOW + 1, job_id=1),
        Stage(2, "approval", StageKind.APPROVAL, StageState.WAITING, "for an approval", 1, NOW, None),
    )
    return Run(
        number, project, "main", "c" * 40, "Sell things", "Ada", state, "", "ada", NOW, NOW + 1, stages
    )


def a_job(number: int = 1, project: str = "shop") -> Job:
    failure = TestCase("test_sum", "tests", "failed", 0.1, "1 != 2")
    report = TestReport(3, 1, 0, 0.4, (failure,), (failure,))
    return Job(number, project, "c" * 40, 1, JobState.FAILED, 1, "", 1, NOW, NOW, NOW + 1, 1024, report, None)


@dataclass
class FakeBuilds:
    jobs: dict[int, Job] = field(default_factory=lambda: {1: a_job(), 2: a_job(2, "hidden")})
    lines: list[str] = field(default_factory=lambda: ["one", "two", "three"])

    async def job(self, job_id: int) -> Job:
        if job_id not in self.jobs:
            raise NotFound(f"There is no job {job_id}.")
        return self.jobs[job_id]

    async def console(self, job_id: int, from_line: int = 0, limit: int = 1000) -> list[ConsoleLine]:
        lines = [ConsoleLine(number, number / 10, text) for number, text in enumerate(self.lines)]
        return lines[from_line : from_line + limit]

    async def follow_console(self, job_id: int, from_line: int = 0) -> AsyncIterator[ConsoleLine]:
        for line in await self.console(job_id, from_line):
            await asyncio.sleep(0)
            yield line


@dataclass
class FakePipeline:
    stored: dict[int, Run] = field(default_factory=lambda: {1: a_run(), 2: a_run(2, project="hidden")})
    waiting: Run | None = None
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    async def runs(self, project: str | None, *, limit: int = 20, before: int | None = None) -> list[Run]:
        return [run for run in self.stored.values() if project in (None, run.project)][:limit]

    async def run(self, run_id: int) -> Run:
        if run_id not in self.stored:
            raise NotFound(f"There is no run {run_id}.")
        return self.stored[run_id]

    async def follow(self, run_id: int) -> AsyncIterator[Run]:
        run = await self.run(run_id)
        yield replace(run, state=RunState.RUNNING, finished_at=None)
        await asyncio.sleep(0.01)
        yield run

    async def cancel(self, run_id: int, *, actor: str) -> None:
        self.calls.append(("cancel", run_id, actor))
        raise Conflict(f"Run {run_id} has ended already.")

    async def retry(self, run_id: int, *, stage: str | None, actor: str) -> None:
        self.calls.append(("retry", run_id, stage, actor))

    async def approve(self, run_id: int, *, comment: str, actor: str) -> None:
        self.calls.append(("approve", run_id, comment, actor))

    async def reject(self, run_id: int, *, comment: str, actor: str) -> None:
        self.calls.append(("reject", run_id, comment, actor))

    async def waiting_approval(self, project: str) -> Run | None:
        return self.waiting


@dataclass
class FakeEnvironments:
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    async def list(self, project: str) -> list[Environment]:
        return [an_environment(project)]

    async def show(self, project: str, name: str) -> Environment:
        if name != "prod":
            raise NotFound(f"{project} has no environment {name}; it has prod.")
        return an_environment(project)

    async def releases(self, project: str, name: str) -> Sequence[Release]:
        await self.show(project, name)
        return [a_release()]

    async def rollback(self, project: str, name: str, *, number: int | None, actor: str) -> Deployment:
        await self.show(project, name)
        self.calls.append(("rollback", project, name, number, actor))
        return a_deployment(kind="rollback")

    async def restart(self, project: str, name: str, *, actor: str) -> Deployment:
        await self.show(project, name)
        return a_deployment(kind="restart")

    async def swap(self, project: str, name: str, *, actor: str) -> Deployment:
        await self.show(project, name)
        self.calls.append(("swap", project, name, actor))
        return a_deployment(kind="swap")

    async def plan(
        self, project: str, name: str, *, number: int | None = None, policy: Policy | None = None
    ) -> RolloutPlan:
        await self.show(project, name)
        phase = planned.PlannedPhase("start", 1, 1.2, 3.5, 2, 0, 4)
        rehearsal = planned.Rehearsal((phase,), 4, 8, 12.5, 0.34, 4)
        chosen = policy or Policy.BLUE_GREEN
        refusals: tuple[str, ...] = ()
        if chosen is Policy.ROLLING:
            refusals = ("rolling stops 1 of 1 instance before what replaces them serves",)
        return RolloutPlan(
            project=project,
            environment=name,
            kind="restart" if number is None else "rollback",
            policy=chosen,
            wanted=4,
            batches=1,
            batch=4,
            refusals=refusals,
            rehearsal=None if refusals else rehearsal,
            deadline_s=900.0,
            keep_old_s=300.0,
            measured=3,
        )

    async def report(self, deployment_id: int) -> Report:
        deployment = await self.deployment(deployment_id)
        phases = (
            TimedPhase("release command", 0, 1_790_000_000.0, 0.4),
            TimedPhase("start", 1, 1_790_000_000.4, 3.5),
        )
        before = Served(1200, 0, 12.0, 40.5, 88.0)
        during = Served(300, 1, 14.0, 44.0, None)
        return Report(deployment, "blue_green", 1, None, phases, before, during, None)

    async def scale(
        self, project: str, name: str, instances: int | None, *, process: str = "web", actor: str
    ) -> Environment:
        if instances is not None and instances > 100:
            raise Invalid("An environment has 1 to 100 instances.")
        self.calls.append(("scale", project, name, instances, actor))
        return replace(await self.show(project, name), scaled=instances)

    async def health_spans(
        self, project: str, name: str, start: float, end: float, *, limit: int = 500
    ) -> Sequence[HealthSpan]:
        await self.show(project, name)
        return [
            HealthSpan(NOW - 600, NOW, Health(HealthStatus.OK, "1 instance up")),
            HealthSpan(NOW, None, Health(HealthStatus.WARNING, "slow", (A_CAUSE,))),
        ]

    async def take_out(
        self, project: str, name: str, instance: str, *, replace: bool, actor: str
    ) -> Environment:
        self.calls.append(("take-out", project, name, instance, replace, actor))
        return self._with(await self.show(project, name), instance, InstanceState.TAKEN_OUT)

    async def put_back(self, project: str, name: str, instance: str, *, actor: str) -> Environment:
        self.calls.append(("put-back", project, name, instance, actor))
        return self._with(await self.show(project, name), instance, InstanceState.SERVING)

    def _with(self, shown: Environment, instance: str, state: InstanceState) -> Environment:
        found = [each for each in shown.instances if each.id == instance]
        if not found:
            raise NotFound(f"There is no instance {instance}.")
        return replace(shown, instances=tuple(replace(each, state=state) for each in found))

    async def deployments(self, project: str, name: str, *, limit: int = 20) -> Sequence[Deployment]:
        await self.show(project, name)
        return [a_deployment()]

    async def deployment(self, deployment_id: int) -> Deployment:
        if deployment_id > 2:
            raise NotFound(f"There is no deployment {deployment_id}.")
        return a_deployment(deployment_id, "shop" if deployment_id == 1 else "hidden")

    async def abort(self, deployment_id: int, *, actor: str) -> None:
        raise Conflict("It has ended already.")

    async def logs(self, project: str, name: str, *, lines: int = 200) -> Sequence[LogLine]:
        await self.show(project, name)
        return [LogLine("i-1", "GET / 200")]

    async def follow_logs(self, project: str, name: str) -> AsyncIterator[LogLine]:
        yield LogLine("i-1", "GET / 200")
        await asyncio.Event().wait()

    async def variables(self, project: str, name: str) -> tuple[Variable, ...]:
        return (await self.show(project, name)).variables

    async def set_variable(
        self, project: str, name: str, variable: str, value: str, *, is_secret: bool, actor: str
    ) -> None:
        await self.show(project, name)
        self.calls.append(("set", variable, value, is_secret))

    async def unset_variable(self, project: str, name: str, variable: str, *, actor: str) -> None:
        await self.show(project, name)


@dataclass
class FakeMaking:
    """Knows prod of shop, and one template of it."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []

    async def clone(self, project: str, name: str, new: str, *, actor: str) -> Made:
        return await self.create(project, new, template=None, actor=actor)

    async def create(self, project: str, new: str, *, template: str | None, actor: str) -> Made:
        if not new.isalnum():
            raise Invalid(f"An environment cannot be called {new!r}.")
        if new == "prod":
            raise Conflict("shop has an environment prod already; choose another name")
        return Made(project, new, None)

    async def rebuild(self, project: str, name: str, *, actor: str) -> int:
        self.done.append(("rebuild", name))
        return 1

    async def terminate(self, project: str, name: str, *, actor: str) -> None:
        self.done.append(("terminate", name))

    async def save_template(
        self, project: str, name: str, template: str, *, actor: str
    ) -> EnvironmentTemplate:
        return EnvironmentTemplate(project, template, {"type": "small"}, NOW, actor)

    async def templates(self, project: str) -> list[EnvironmentTemplate]:
        return [EnvironmentTemplate(project, "big", {"type": "small"}, NOW, "ada")]

    async def delete_template(self, project: str, template: str, *, actor: str) -> None:
        return None


@dataclass
class FakeProjects:
    names: dict[str, Project] = field(
        default_factory=lambda: {name: Project(name, "php", NOW, "ada") for name in ("shop", "hidden")}
    )

    async def create(self, name: str, *, actor: str) -> Project:
        if name in self.names:
            raise Conflict(f"There is a project {name} already.", project=name)
        self.names[name] = Project(name, None, NOW, actor)
        return self.names[name]

    async def list(self, visible: frozenset[str] | None) -> list[Project]:
        return [each for each in self.names.values() if visible is None or each.name in visible]

    async def show(self, name: str) -> Overview:
        if name not in self.names:
            raise NotFound(f"There is no project {name}, or you may not see it.", project=name)
        environments = (an_environment(name),)
        return Overview(
            self.names[name], f"{BASE}/git/{name}.git", environments, (a_run(),), {"ada": "admin"}
        )

    async def delete(self, name: str, *, actor: str) -> None:
        await self.show(name)
        del self.names[name]


@dataclass
class World:
    """The application, its services, and a token for each person."""

    app: FastAPI
    services: Services
    tokens: dict[str, str]
    builds: FakeBuilds
    pipeline: FakePipeline
    environments: FakeEnvironments
    projects: FakeProjects
    metrics: MemoryMetrics

    def client(self, user: str | None = None) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.tokens[user]}"} if user else {}
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers)


async def git_app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"git"})


class NoInventory:
    """Nothing runs; samples are forgotten."""

    async def environments(self) -> Sequence[WatchedEnvironment]:
        return ()

    async def workload(self) -> Workload:
        return Workload(0, 0, 0, 0)

    def write(self, at: float, resolution_s: int, samples: Sequence[Sample]) -> None:
        pass


async def make_logs(directory: Path, database: Database, access: Access) -> Logs:
    """Real logs with a few lines of `shop`, of `hidden` and of the server."""
    nothing = NoInventory()
    around = Surroundings(directory / "logs", SystemClock(), MemoryDriver(), nothing, KeepLimits())
    logs = Logs(around, database, nothing, access.secrets)
    await logs.__aenter__()
    now = SystemClock().now()
    for name in ("shop.prod/instances", "hidden.prod/instances", "halage"):
        texts = (b"plain words", b'{"level": "error", "user": {"id": 7}}', b"\xff\xfe no text")
        logs.append(Group.named(name), "i-1", [Line(now, text) for text in texts])
    await logs.round()
    return logs


async def make_settings(database: Database, access: Access, project: str = "shop") -> EnvironmentSettings:
    """Settings of a project's prod, to which nothing is deployed."""
    await database.run(create_environments, project, [EnvironmentPlan("prod", instances=2)])
    reading = Reading(STANDARD_TYPES, read_expression)
    return EnvironmentSettings(
        database, access.secrets, reading, wake=lambda place: None, tell=lambda runs: None
    )


async def make_certificate_desk(database: Database, clock: Clock, access: Access) -> CertificateDesk:
    """Certificates of `shop` prod, which has HTTPS, and of the console."""
    certificates = Certificates(database, clock, access.secrets, "Halage of the tests")
    door = ConsoleDoor("halage.test", Https.ON, "127.0.0.1", 7070)
    routing = Routing(MemoryBalancer(), "test", certificates, 8443, door)
    secure = EnvironmentPlan("prod", balancer=BalancerPlan(https=PlannedHttps.ON))
    await routing.load({("shop", "prod"): secure, ("hidden", "prod"): secure})
    return CertificateDesk(routing, clock, lambda: None)


async def make_world(directory: Path) -> World:
    """A server with admin, a developer (dev) and a viewer of the project `shop`; `hidden` is hidden."""
    clock, journal = SystemClock(), Journal()
    database = Database(f"sqlite:///{directory}/halage.db", clock=clock, journal=journal)
    metadata.create_all(database.engine)
    access = Access(database, clock, directory / "key")
    first = await access.first_start()
    assert first is not None
    tokens = {"admin": first.admin_token}
    for name, role in (("dev", Role.DEVELOPER), ("viewer", Role.VIEWER), ("owner", Role.ADMIN)):
        await access.create_user(name, actor="admin")
        await access.set_member("shop", name, role, "admin")
        _, tokens[name] = await access.create_token(name, "test", actor="admin")
    builds, pipeline, environments, projects = (
        FakeBuilds(),
        FakePipeline(),
        FakeEnvironments(),
        FakeProjects(),
    )
    metrics = MemoryMetrics()
    store = MemoryStore()
    accumulator = Accumulator(store, clock, limit=1000)
    intake = Intake(Ports(HandInventory(), accumulator, store, clock), IntakeLimits(), KEYS)
    services = Services(
        logs=await make_logs(directory, database, access),
        access=access,
        alarms=quiet_alarms(database, clock, access.secrets, metrics, BASE),
        builds=cast(Any, builds),
        certificates=await make_certificate_desk(database, clock, access),
        environments=cast(Any, environments),
        scaling=cast(Any, FakeScaling()),
        settings=await make_settings(database, access),
        executions=cast(Any, ScriptedExecutions()),
        making=cast(Any, FakeMaking()),
        metrics=Metrics(metrics, clock),
        pipeline=cast(Any, pipeline),
        projects=cast(Any, projects),
        dashboards=Dashboards(database, parse),
        database=database,
        journal=journal,
        clock=clock,
        source_app=git_app,
        public_url=BASE,
        intake=intake,
        exposition=Exposition(accumulator),
    )
    return World(create_app(services), services, tokens, builds, pipeline, environments, projects, metrics)
