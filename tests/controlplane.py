"""A control plane of real services on a ground that outlives it: database, drivers, bundles, commits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import halage.project.store  # noqa: F401 - with it every table is known
from halage.access.secrets import SecretBox
from halage.balancer.drivers.memory import MemoryBalancer
from halage.base.clock import Clock
from halage.base.database import Database, Transaction
from halage.base.errors import Unavailable
from halage.base.journal import Entry, Journal, read_journal
from halage.base.objects import LocalObjects
from halage.base.schema import metadata
from halage.base.tasks import Tasks
from halage.build.controller import BuildController, BuildLimits, Workshop
from halage.build.model import Job
from halage.build.service import Builds
from halage.compute.accounts import Accounts
from halage.compute.drivers.memory import MemoryDriver, Script
from halage.compute.model import STANDARD_TYPES, UnitSpec
from halage.environment.certificates.keeper import Certificates
from halage.environment.control.controller import EnvironmentController
from halage.environment.machinery import Limits, Machinery
from halage.environment.making import EnvironmentMaking
from halage.environment.model import Deployment, DeploymentState, InstanceState
from halage.environment.places import Places
from halage.environment.records import ledger
from halage.environment.records.orders import DeploymentOrder
from halage.environment.records.settings import EnvironmentSettings
from halage.environment.rollout.traffic import NO_TRAFFIC, Traffic
from halage.environment.routing import Routing
from halage.environment.service import Environments
from halage.monitor.metrics.reading import read_expression
from halage.pipeline.controller import PipelineController, PipelineLimits
from halage.pipeline.model import Run, RunState
from halage.pipeline.service import Pipeline
from halage.pipeline.trigger import Trigger
from halage.site.effective import Reading
from halage.site.model import BuildPlan, EnvironmentPlan, FlowRule, Kind, RunPlan, Site
from halage.site.model import TestPlan as SiteTests
from halage.source.model import ABSENT, Push
from tests.drivers import (
    Killed,
    Life,
    MemorySource,
    MortalBalancer,
    MortalCompute,
    MortalDatabase,
    Notes,
    QuickPlaces,
    ScriptedProber,
)

T = TypeVar("T")
SHOP = "shop"
PROD = (SHOP, "prod")
PATIENCE_S = 30.0
JOB_SUCCEEDS = Script(output=b"\x1ephase test\n\x1ecommand ./test\nall good\n", exit_code=0)


def site_of(
    *,
    instances: int = 2,
    run: RunPlan | None = None,
    build: BuildPlan = BuildPlan(),  # noqa: B008 - a frozen value
    test: SiteTests = SiteTests(commands=("./test",)),  # noqa: B008 - a frozen value
    variables: Mapping[str, str] | None = None,
    plan: EnvironmentPlan | None = None,
) -> Site:
    """A site that is served by its start command, with that many instances in production."""
    prod = plan or EnvironmentPlan("prod", instances=instances)
    return Site(
        kind=Kind.NODE,
        build=build,
        test=test,
        run=run or RunPlan(start="node server.js"),
        variables=variables or {},
        environments={"dev": EnvironmentPlan("dev"), "prod": prod},
        flow=(FlowRule("main", ("test", "prod")),),
    )


class Ground:
    """What outlives a control plane. `is_quick` unpacks no release and starts no process."""

    def __init__(
        self, directory: Path, clock: Clock, *, url: str = "sqlite://", is_quick: bool = True
    ) -> None:
        self.directory = directory
        self.clock = clock
        self.journal = Journal()
        self.database = Database(url, clock=clock, journal=self.journal)
        metadata.create_all(self.database.engine)
        self.compute = MemoryDriver(clock=clock)
        self.compute.script_for = lambda spec: JOB_SUCCEEDS if spec.id.startswith("j-") else Script()
        self.balancer = MemoryBalancer()
        self.prober = ScriptedProber(self.compute)
        self.source = MemorySource()
        self.objects = LocalObjects(directory / "objects")
        self.places = (
            QuickPlaces(directory / "sites") if is_quick else Places(directory / "sites", self.objects)
        )
        self.secrets = SecretBox(directory / "key")
        self.secrets.make_key()
        self.accounts = Accounts(is_root=False)
        self.limits = Limits()
        self.build_limits = BuildLimits()
        self.sandbox_warning: str | None = None
        self.traffic: Traffic = NO_TRAFFIC
        self.notes = Notes()
        self.forgotten: list[tuple[str, str]] = []
        self.is_disk_full = False

    async def forget_watched(self, project: str, environment: str) -> None:
        """What monitoring is asked to forget, once it can."""
        if self.is_disk_full:
            raise Unavailable("the disk is full")
        self.forgotten.append((project, environment))

    def close(self) -> None:
        self.database.close()

    async def entries(self) -> list[Entry]:
        """The whole journal."""

        def read(tx: Transaction) -> list[Entry]:
            return read_journal(tx.connection, limit=100_000)

        return await self.database.run(read)

    def started(self, prefix: str = "i-") -> list[str]:
        """Units that were started, in order."""
        return [unit for verb, unit in self.compute.calls if verb == "start" and unit.startswith(prefix)]

    def spec_of(self, prefix: str) -> UnitSpec:
        """What the newest running unit of a kind was started with."""
        return self.compute.spec([unit for unit in self.compute.running() if unit.startswith(prefix)][-1])

    def visitors_reach(self, place: tuple[str, str] = PROD) -> list[str]:
        """Numbers of the releases that visitors reach, one for each instance that really runs."""
        running = {unit.rpartition(".")[0]: unit for unit in self.compute.running()}
        targets = self.balancer.serving(f"{place[0]}.{place[1]}")
        return sorted(
            self.compute.spec(running[t.id]).environment["HALAGE_RELEASE"] for t in targets if t.id in running
        )


@dataclass(frozen=True)
class ControlPlane:
    """The services of one life, and short ways to use them."""

    ground: Ground
    tasks: Tasks
    environment_controller: EnvironmentController
    build_controller: BuildController
    pipeline_controller: PipelineController
    environments: Environments
    builds: Builds
    pipeline: Pipeline
    trigger: Trigger
    settings: EnvironmentSettings
    making: EnvironmentMaking

    async def deploy(
        self,
        site: Site | None = None,
        *,
        run_id: int = 1,
        actor: str = "ada",
        name: str = "prod",
        bundle: str = "0" * 64,
    ) -> int:
        """Ask for a deployment of a site."""
        site = site or site_of()
        await self.environments.create(SHOP, [EnvironmentPlan("dev"), EnvironmentPlan("prod")])
        order = DeploymentOrder(f"run-{run_id}", bundle, f"{run_id:040x}", f"Change {run_id}", site, run_id)
        return await self.environments.deploy(SHOP, name, order, actor=actor)

    async def deployed(self, deployment_id: int) -> Deployment:
        """A deployment once it has ended."""

        async def look() -> Deployment | None:
            deployment = await self.environments.deployment(deployment_id)
            return deployment if deployment.state.is_final else None

        return await eventually(look, f"the end of deployment {deployment_id}")

    async def begin(self, site: Site | None = None, *, run_id: int = 1) -> int:
        """Ask for a deployment and return once it is under way."""
        deployment_id = await self.deploy(site, run_id=run_id)

        async def look() -> bool:
            return (await self.environments.deployment(deployment_id)).state is DeploymentState.RUNNING

        await eventually(look, f"deployment {deployment_id} to begin")
        return deployment_id

    async def deploy_whole(self, site: Site | None = None, *, run_id: int = 1) -> Deployment:
        """Deploy a site and wait for the end."""
        return await self.deployed(await self.deploy(site, run_id=run_id))

    async def is_serving(self, releases: list[str]) -> None:
        """Return once visitors reach just these releases and every instance is at rest."""

        async def look() -> bool:
            environment = await self.environments.show(*PROD)
            is_calm = all(i.state is InstanceState.SERVING for i in environment.instances)
            return is_calm and self.ground.visitors_reach() == releases

        await eventually(look, f"releases {releases} serving")

    async def push(
        self,
        files: Mapping[str, str],
        *,
        branch: str = "main",
        options: tuple[str, ...] = (),
        by: str = "ada",
    ) -> int:
        """Push a commit; returns the id of the newest run."""
        return await self.push_commit(
            self.ground.source.add_commit(files), branch=branch, options=options, by=by
        )

    async def push_commit(
        self, sha: str, *, branch: str = "main", options: tuple[str, ...] = (), by: str = "ada"
    ) -> int:
        """Push a commit that there is; returns the id of the newest run."""
        await self.trigger.pushed(Push(SHOP, f"refs/heads/{branch}", ABSENT, sha, by, options))
        return (await self.pipeline.runs(SHOP, limit=1))[0].id

    async def run_until(self, run_id: int, *states: RunState) -> Run:
        """A run once it is in one of these states; by default once it has ended."""

        async def look() -> Run | None:
            run = await self.pipeline.run(run_id)
            if run.state.is_final:
                assert not states or run.state in states, f"run {run_id} {run.state}: {run.reason}"
                return run
            return run if run.state in states else None

        return await eventually(look, f"run {run_id} to be {states or 'final'}")

    async def job_ended(self, job_id: int) -> Job:
        """A job once it has ended."""

        async def look() -> Job | None:
            job = await self.builds.job(job_id)
            return job if job.state.is_final else None

        return await eventually(look, f"the end of job {job_id}")


async def eventually(look: Callable[[], Awaitable[T | None]], what: str) -> T:
    """The first true thing that `look` returns."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not (found := await look()):
        assert asyncio.get_running_loop().time() < deadline, f"waited {PATIENCE_S:g} s for {what}"
        await asyncio.sleep(0.004)
    return found


@asynccontextmanager
async def control_plane(ground: Ground, life: Life | None = None) -> AsyncIterator[ControlPlane]:
    """One life of a control plane: started, recovered; at the end it lets go and everything goes on."""
    failure: Exception | None = None
    async with Tasks() as tasks:
        plane = await _build(ground, life or Life(), tasks)
        controllers = (plane.environment_controller, plane.build_controller, plane.pipeline_controller)
        for each in controllers:
            await each.recover()
        try:
            yield plane
        except Exception as error:
            failure = error  # raised below as it is, not in a group
        finally:
            for each in controllers:
                each.stop()  # after a kill, too: no timer of a dead one wakes anybody
    if failure is not None:
        raise failure


async def _build(ground: Ground, life: Life, tasks: Tasks) -> ControlPlane:
    database = MortalDatabase(ground.database, life, ground.clock)
    compute = MortalCompute(ground.compute, life, ground.notes)
    environment_controller, environments = await _environments(ground, life, database, compute, tasks)
    build_controller, builds = _builds(ground, database, compute, environments, tasks)
    controller = PipelineController(
        database, ground.clock, builds, environments, PipelineLimits(), tasks=tasks
    )
    _ears[ground] = controller.wake
    pipeline = Pipeline(database, controller, builds, environments)
    trigger = Trigger(
        database,
        ground.source,
        environments,
        types=STANDARD_TYPES,
        public_url="http://halage.test",
        follow=pipeline.follow,
        remarks=pipeline.remarks,
        wake=controller.wake,
    )
    return ControlPlane(
        ground,
        tasks,
        environment_controller,
        build_controller,
        controller,
        environments,
        builds,
        pipeline,
        trigger,
        EnvironmentSettings(
            database,
            ground.secrets,
            Reading(STANDARD_TYPES, read_expression),
            wake=environment_controller.wake,
            tell=environment_controller.tell,
        ),
        EnvironmentMaking(environments._m, environment_controller, ground.forget_watched),
    )


_ears: dict[Ground, Callable[[int], None]] = {}
"""Who hears of changed runs: the pipeline of the present life."""


async def _environments(
    ground: Ground, life: Life, database: Database, compute: MortalCompute, tasks: Tasks
) -> tuple[EnvironmentController, Environments]:
    balancer = MortalBalancer(ground.balancer, life, ground.notes)
    machinery = Machinery(
        database=database,
        clock=ground.clock,
        compute=compute,
        balancer=balancer,
        routing=Routing(
            balancer, "halage.test", Certificates(database, ground.clock, ground.secrets, "Tests"), 8443
        ),
        places=ground.places,
        accounts=ground.accounts,
        sealer=ground.secrets,
        types=STANDARD_TYPES,
        limits=ground.limits,
        traffic=ground.traffic,
    )
    await machinery.routing.load(await database.run(ledger.plans))
    controller = EnvironmentController(
        machinery, ground.prober, tasks=tasks, on_change=lambda run_id: _ears[ground](run_id)
    )
    return controller, Environments(machinery, controller, 8080)


def _builds(
    ground: Ground, database: Database, compute: MortalCompute, environments: Environments, tasks: Tasks
) -> tuple[BuildController, Builds]:
    workshop = Workshop(
        database=database,
        clock=ground.clock,
        compute=compute,
        source=ground.source,
        accounts=ground.accounts,
        objects=ground.objects,
        directory=ground.directory,
        limits=ground.build_limits,
        secrets_of=environments.secret_values,
        sandbox_warning=ground.sandbox_warning,
        passed_environment={"HTTP_PROXY": "http://proxy.test"},
    )
    controller = BuildController(workshop, tasks=tasks, on_change=lambda run_id: _ears[ground](run_id))
    return controller, Builds(database, ground.objects, controller)


async def live(ground: Ground, life: Life, play: Callable[[ControlPlane], Awaitable[object]]) -> None:
    """Let a control plane play until it is done or killed; its life counts from the beginning of the play."""
    steps, life.steps = life.steps, None
    with contextlib.suppress(Killed):
        try:
            async with control_plane(ground, life) as plane:
                life.taken.clear()
                life.steps = steps
                await play(plane)
        except BaseExceptionGroup as group:
            rest = group.split(Killed)[1]
            if rest is not None:
                raise rest from None


def in_words(deployment: Deployment) -> str:
    """A deployment in a line, for messages of assertions."""
    shown = replace(deployment, log_tail=deployment.log_tail[-200:])
    return f"{shown.state}: {shown.reason}"
