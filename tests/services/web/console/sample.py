"""Rich sample data for the console: a run in each state, an environment of each colour, a live console."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from sqlalchemy import insert, update

from halage.access.model import Role
from halage.access.passwords import Passwords
from halage.access.service import Access
from halage.balancer.drivers.memory import MemoryBalancer
from halage.base.clock import Clock, SystemClock
from halage.base.database import Database, Transaction
from halage.base.errors import Conflict, NotFound
from halage.base.journal import Journal
from halage.base.schema import metadata
from halage.build.model import ConsoleLine, Job, JobState, TestCase, TestReport
from halage.compute.drivers.memory import MemoryDriver
from halage.environment.certificates.keeper import Certificates
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
    Phase,
    Release,
    TakenOut,
    Variable,
)
from halage.environment.routing import Routing
from halage.environment.securing import CertificateDesk
from halage.environment.tables.health_tables import HealthSpan
from halage.monitor.alarms.documents import kept_action, to_document
from halage.monitor.alarms.ledger import NewChange, expand_with, record_changes
from halage.monitor.alarms.model import (
    Band,
    Definition,
    Missing,
    Rollback,
    Sealed,
    State,
    Tell,
    Verdict,
)
from halage.monitor.alarms.service import Alarms
from halage.monitor.alarms.store import alarm_changes_table, alarm_deliveries_table, alarms_table
from halage.monitor.collect.model import Requests
from halage.monitor.dashboards.service import Dashboards
from halage.monitor.logs.keeper import Surroundings
from halage.monitor.logs.model import Group, Line
from halage.monitor.logs.service import Logs
from halage.monitor.logs.store import KeepLimits
from halage.monitor.metrics.expression import parse
from halage.monitor.metrics.model import Kind, SeriesKey
from halage.monitor.metrics.model import Sample as MetricSample
from halage.monitor.metrics.service import Metrics
from halage.pipeline.model import Run, RunState, Stage, StageKind, StageState
from halage.project.model import Overview, Project
from halage.site.model import EnvironmentPlan
from halage.site.settings import BalancerPlan, Https
from halage.web.services import Services
from tests.alarms import quiet_alarms
from tests.executions import ScriptedExecutions
from tests.metrics import MemoryMetrics
from tests.services.web.scalings import FakeScaling
from tests.services.web.world import (
    FakeEnvironments,
    FakeMaking,
    FakePipeline,
    FakeProjects,
    NoInventory,
    git_app,
    make_settings,
)

PASSWORD = "a boat and two locks"
COMMIT = "4f9c2e1ab8d7c6e5f4a3b2c1d0e9f8a7b6c5d4e3"

_PHASES = (
    Phase("prepare", 0.041),
    Phase("release_command", 1.32),
    Phase("start", 0.02, 2),
    Phase("probe", 0.41, 2),
    Phase("route", 0.006, 2),
    Phase("drain", 0.73, 2),
    Phase("stop", 0.11, 2),
)

LARAVEL_LOG = (
    "[2026-11-23 19:20:41] production.ERROR: SQLSTATE[HY000] [2002] Connection refused\n"
    "#0 vendor/laravel/framework/src/Illuminate/Database/Connectors/Connector.php(70): PDO->__construct()\n"
    "php-fpm: exiting, bye-bye!"
)


_START = time.time()


def now() -> float:
    """One moment for all samples: what is looked at twice is the same."""
    return _START


def a_release(project: str, environment: str, number: int, state: str, title: str) -> Release:
    at = now() - (20 - number) * 7200
    return Release(number, number, project, environment, "ab" * 32, COMMIT, title, state, at, "marie")


def releases_of(project: str, environment: str) -> list[Release]:
    titles = (
        "Summer sale banner",
        "Cart: keep the coupon",
        "Search by brand",
        "New checkout page",
        "Bad idea",
    )
    states = ("current", "good", "good", "failed", "new")
    return [
        a_release(project, environment, 12 - index, state, title)
        for index, (state, title) in enumerate(zip(states, titles, strict=True))
    ]


def a_deployment(
    number: int,
    project: str = "boutique",
    environment: str = "prod",
    state: DeploymentState = DeploymentState.SUCCEEDED,
    **changes: Any,
) -> Deployment:
    at = now() - number * 600
    return replace(
        Deployment(
            id=number,
            project=project,
            environment=environment,
            kind="deploy",
            state=state,
            release=releases_of(project, environment)[0],
            previous_release=releases_of(project, environment)[1],
            reason="2 of 2 instances serve v12",
            done=2,
            wanted=2,
            phases=_PHASES,
            created_at=at,
            started_at=at + 0.1,
            finished_at=at + 2.8 if state.is_final else None,
            deadline_at=at + 600,
            created_by="marie",
            run_id=4,
        ),
        **changes,
    )


def an_instance(number: int, state: InstanceState, **changes: Any) -> Instance:
    is_up = state is InstanceState.SERVING
    return replace(
        Instance(
            id=f"boutique-prod-{number}",
            project="boutique",
            environment="prod",
            release_id=12,
            release_number=12,
            state=state,
            attempt=1,
            address=f"127.20.0.{number}",
            port=8000,
            started_at=now() - 3900 * number,
            ready_at=now() - 3899 * number,
            reason="",
            check="200 OK in 3 ms" if is_up else "",
            is_up=is_up,
            requests=1840,
        ),
        **changes,
    )


def a_health(colour: Colour, summary: str, instances: Sequence[str]) -> Health:
    statuses = {
        Colour.GREEN: HealthStatus.OK,
        Colour.YELLOW: HealthStatus.WARNING,
        Colour.RED: HealthStatus.SEVERE,
        Colour.GREY: HealthStatus.NO_DATA,
    }
    if colour in (Colour.GREEN, Colour.GREY):
        return Health(statuses[colour], summary)
    told = (
        Cause("none_up", statuses[colour], "no instance passes its check: visitors get the error page"),
        Cause("failing", statuses[colour], f"{instances[0]} fails its check for 42 s (L7STS/500 in 12 ms)"),
        Cause("cpu", HealthStatus.WARNING, f"{instances[1]} uses 97% of the processor time of its type"),
    )
    return Health(statuses[colour], summary, told if colour is Colour.RED else told[1:])


def health_spans() -> list[HealthSpan]:
    """A night that went badly for a while."""
    cuts = [
        (90000, HealthStatus.OK, "2 instances up"),
        (40000, HealthStatus.WARNING, "1 of 2 instances up: i-2 fails its check (L4CON in 0 ms)"),
        (38000, HealthStatus.SEVERE, "no instance is up: i-1 fails its check for 3 s (L7TOUT in 5001 ms)"),
        (33000, HealthStatus.INFO, "2 instances up; the last deployment (v11) was rolled back"),
        (9000, HealthStatus.OK, "2 instances up"),
        (120, HealthStatus.WARNING, "i-1 uses 97% of the memory of its type"),
    ]
    ends = [now() - ago for ago, _, _ in cuts[1:]]
    return [
        HealthSpan(now() - ago, end, Health(status, summary))
        for (ago, status, summary), end in zip(cuts, [*ends, None], strict=True)
    ]


def an_environment(project: str, name: str, colour: Colour) -> Environment:
    serving, broken = InstanceState.SERVING, InstanceState.BROKEN
    causes = {
        Colour.GREEN: "2 of 2 instances serve v12",
        Colour.YELLOW: "1 of 2 instances serves; the other one starts again (3rd time)",
        Colour.RED: "No instance serves: GET / answered 500 after 12 ms",
        Colour.GREY: "Nothing was deployed here yet",
    }
    instances = {
        Colour.GREEN: (an_instance(1, serving), an_instance(2, serving)),
        Colour.YELLOW: (an_instance(1, serving), an_instance(2, InstanceState.STARTING, attempt=3)),
        Colour.RED: (
            an_instance(1, broken, attempt=6, reason="exited with code 255 after 0.4 s"),
            an_instance(2, broken, attempt=6, reason="exited with code 255 after 0.4 s"),
        ),
        Colour.GREY: (),
    }
    prefix = "" if name == "prod" else f"{name}."
    is_grey = colour is Colour.GREY
    deployment = a_deployment(1, project, name)
    if colour is Colour.YELLOW:
        deployment = a_deployment(
            1,
            project,
            name,
            DeploymentState.RUNNING,
            done=1,
            finished_at=None,
            reason="starting instance 2 of 2",
        )
    elif colour is Colour.RED:
        deployment = a_deployment(
            1,
            project,
            name,
            DeploymentState.FAILED,
            done=0,
            reason="GET http://127.20.0.1:8000/ answered 500 for 60 s; there is no earlier release",
            log_tail=LARAVEL_LOG,
        )
    recent = None if is_grey else Requests(1834, 12, 40, 18.0, 96.0, 310.0)
    shown = tuple(
        replace(each, cpu_percent=12.4 * each.attempt, memory_percent=41.0, recent=Requests(917, 6, 20))
        for each in instances[colour]
    )
    return Environment(
        health=a_health(colour, causes[colour], [each.id for each in shown]),
        recent=recent,
        project=project,
        name=name,
        colour=colour,
        cause=causes[colour],
        type="small",
        wanted=2,
        serving=sum(instance.is_up for instance in instances[colour]),
        release=None if is_grey else releases_of(project, name)[0],
        deployment=None if is_grey else deployment,
        instances=shown,
        urls=(f"http://{prefix}{project}.localhost:8080",),
        variables=(),
    )


def stages(**states: StageState | tuple[StageState, str]) -> tuple[Stage, ...]:
    kinds = {"source": StageKind.SOURCE, "test": StageKind.TEST, "approval": StageKind.APPROVAL}
    made, at = [], now() - 900
    for position, (name, given) in enumerate(states.items()):
        state, reason = given if isinstance(given, tuple) else (given, "")
        kind = kinds.get(name, StageKind.DEPLOY)
        has_begun = state not in (StageState.PENDING, StageState.SKIPPED)
        took = {"source": 0.04, "test": 42.3}.get(name, 2.8)
        has_ended = has_begun and state not in (StageState.RUNNING, StageState.WAITING)
        made.append(
            Stage(
                position,
                name,
                kind,
                state,
                reason,
                1,
                at if has_begun else None,
                at + took if has_ended else None,
                job_id=1 if kind is StageKind.TEST and has_begun else None,
                deployment_id=1 if kind is StageKind.DEPLOY and has_begun else None,
                decided_by="paul" if kind is StageKind.APPROVAL and has_ended else None,
                comment="Looks good on preprod" if kind is StageKind.APPROVAL and has_ended else "",
            )
        )
        at += took
    return tuple(made)


def a_run(number: int, state: RunState, title: str, way: tuple[Stage, ...], **changes: Any) -> Run:
    at = now() - (10 - number) * 3600
    finished_at = at + 61 if state.is_final else None
    return replace(
        Run(number, "boutique", "main", COMMIT, title, "Marie", state, "", "marie", at, finished_at, way),
        **changes,
    )


def sample_runs() -> dict[int, Run]:
    """Newest last; the number is the key."""
    ok, to_come = StageState.SUCCEEDED, StageState.PENDING
    return {
        run.id: run
        for run in (
            a_run(
                1,
                RunState.SUPERSEDED,
                "Summer sale: first try",
                stages(source=ok, test=ok, dev=ok, preprod=ok, approval=StageState.SUPERSEDED, prod=to_come),
                reason="run 4 came first",
            ),
            a_run(
                2,
                RunState.CANCELLED,
                "Translate the legal notice",
                stages(source=ok, test=StageState.CANCELLED, dev=to_come),
                branch="develop",
                reason="cancelled by paul",
            ),
            a_run(
                3,
                RunState.FAILED,
                "Checkout: ask for the phone number",
                stages(
                    source=ok, test=(StageState.FAILED, "phpunit exited with code 1: 2 of 128 tests failed")
                ),
                branch="feature/phone",
            ),
            a_run(
                4,
                RunState.SUCCEEDED,
                "Summer sale banner",
                stages(source=ok, test=ok, dev=ok, preprod=ok, approval=ok, prod=ok),
            ),
            a_run(
                5,
                RunState.FAILED,
                "Move the sessions to the database",
                stages(
                    source=ok,
                    test=ok,
                    dev=(StageState.FAILED, "No instance of v13 became healthy: GET / answered 500"),
                ),
                branch="develop",
            ),
            a_run(
                6,
                RunState.RUNNING,
                "Search: suggest while typing",
                stages(source=ok, test=StageState.RUNNING, dev=to_come),
                branch="develop",
                created_at=now() - 8,
            ),
            a_run(
                7,
                RunState.WAITING,
                "Cart: free delivery from 60 euros",
                stages(
                    source=ok,
                    test=ok,
                    dev=ok,
                    preprod=ok,
                    approval=(StageState.WAITING, "waits for an approval"),
                    prod=to_come,
                ),
            ),
        )
    }


def a_report(failed: int = 0) -> TestReport:
    message = (
        "Failed asserting that 59.9 matches expected 60.\n\n"
        "/work/tests/Feature/CheckoutTest.php:41\nwith <script>alert(1)</script> & friends"
    )
    failures = tuple(
        TestCase(f"test_it_asks_for_a_phone_number_{index}", "CheckoutTest", "failed", 0.08, message)
        for index in range(failed)
    )
    slowest = (
        TestCase("test_it_imports_the_catalogue", "CatalogueTest", "passed", 8.21),
        TestCase("test_it_sends_the_invoice", "InvoiceTest", "passed", 1.93),
    )
    return TestReport(128 - failed - 3, failed, 3, 21.4, failures, slowest)


CONSOLE = (
    "\x1b[1m$ composer install --no-interaction\x1b[0m",
    "\x1b[32mInstalling dependencies from lock file\x1b[39m",
    "  - Installing \x1b[32mlaravel/framework\x1b[39m (\x1b[33mv11.4.0\x1b[39m): Extracting archive",
    "\x1b]0;a title\x07\x1b[2KGenerating optimized autoload files",
    "\x1b[1m$ vendor/bin/phpunit --log-junit report.xml\x1b[0m",
    "................................................................. 65 / 128 ( 50%)",
    "<script>document.title = 'hacked'</script>",
    "\x1b[37;41mFAILURES!\x1b[0m  \x1b[31mTests: 128, Assertions: 402, Failures: 2\x1b[0m",
)


@dataclass
class SampleBuilds:
    """Jobs by the run's number; job 1 is what every sample run points to."""

    lines: list[str] = field(default_factory=lambda: list(CONSOLE))
    live_lines: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    state: JobState = JobState.SUCCEEDED
    failed: int = 0

    async def job(self, job_id: int) -> Job:
        at = now() - 60
        return Job(
            job_id,
            "boutique",
            COMMIT,
            1,
            self.state,
            1,
            "",
            1 if self.failed else 0,
            at,
            at,
            at + 42,
            187_000_000,
            a_report(self.failed),
            "ab" * 32,
            ("This build ran without a sandbox: bubblewrap does not work here.",),
        )

    async def console(self, job_id: int, from_line: int = 0, limit: int = 1000) -> list[ConsoleLine]:
        lines = [ConsoleLine(number, number * 1.7, text) for number, text in enumerate(self.lines)]
        return lines[from_line : from_line + limit]

    async def follow_console(self, job_id: int, from_line: int = 0) -> AsyncIterator[ConsoleLine]:
        for line in await self.console(job_id, from_line):
            yield line
        while (text := await self.live_lines.get()) is not None:
            self.lines.append(text)
            yield ConsoleLine(len(self.lines) - 1, len(self.lines) * 1.7, text)


@dataclass
class SamplePipeline(FakePipeline):
    """Runs that may be changed while they are followed."""

    stored: dict[int, Run] = field(default_factory=sample_runs)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def runs(self, project: str | None, *, limit: int = 20, before: int | None = None) -> list[Run]:
        newest_first = sorted(self.stored.values(), key=lambda run: -run.id)
        seen = [run for run in newest_first if run.project == project and run.id < (before or 10**9)]
        return seen[:limit]

    async def follow(self, run_id: int) -> AsyncIterator[Run]:
        while True:
            run = await self.run(run_id)
            yield run
            if run.state.is_final:
                return
            async with self.changed:
                await self.changed.wait_for(lambda seen=run: self.stored[run_id] != seen)  # type: ignore[misc]

    async def put(self, run: Run) -> None:
        async with self.changed:
            self.stored[run.id] = run
            self.changed.notify_all()

    async def cancel(self, run_id: int, *, actor: str) -> None:
        run = await self.run(run_id)
        if run.state.is_final:
            raise Conflict(f"Run {run_id} has ended already: there is nothing to cancel.")
        await self.put(
            replace(run, state=RunState.CANCELLED, finished_at=now(), reason=f"cancelled by {actor}")
        )

    async def approve(self, run_id: int, *, comment: str, actor: str) -> None:
        await super().approve(run_id, comment=comment, actor=actor)
        ok = StageState.SUCCEEDED
        way = stages(source=ok, test=ok, dev=ok, preprod=ok, approval=ok, prod=StageState.RUNNING)
        way = tuple(
            replace(stage, decided_by=actor, comment=comment) if stage.name == "approval" else stage
            for stage in way
        )
        await self.put(replace(await self.run(run_id), state=RunState.RUNNING, stages=way))


@dataclass
class SampleEnvironments(FakeEnvironments):
    """Three environments of the boutique, one of the museum; colours may be changed."""

    colours: dict[tuple[str, str], Colour] = field(
        default_factory=lambda: {
            ("boutique", "prod"): Colour.GREEN,
            ("boutique", "dev"): Colour.RED,
            ("boutique", "preprod"): Colour.YELLOW,
            ("museum", "prod"): Colour.GREEN,
            ("museum", "dev"): Colour.GREY,
        }
    )
    set: dict[str, Variable] = field(default_factory=dict)
    out: dict[str, TakenOut] = field(default_factory=dict)

    async def health_spans(
        self, project: str, name: str, start: float, end: float, *, limit: int = 500
    ) -> Sequence[HealthSpan]:
        await self.show(project, name)
        return health_spans()

    async def list(self, project: str) -> list[Environment]:
        return [an_environment(*key, colour) for key, colour in self.colours.items() if key[0] == project]

    async def show(self, project: str, name: str) -> Environment:
        if (project, name) not in self.colours:
            raise NotFound(f"{project} has no environment {name}.")
        return self._with_out(an_environment(project, name, self.colours[project, name]))

    async def take_out(
        self, project: str, name: str, instance: str, *, replace: bool, actor: str
    ) -> Environment:
        if instance in self.out:
            raise Conflict(f"{instance} is the only instance that serves: replace it")
        self.calls.append(("take-out", project, name, instance, replace, actor))
        self.out[instance] = TakenOut(actor, now(), replace)
        return await self.show(project, name)

    async def put_back(self, project: str, name: str, instance: str, *, actor: str) -> Environment:
        self.calls.append(("put-back", project, name, instance, actor))
        if self.out.pop(instance, None) is None:
            raise Conflict(f"{instance} was not taken out: there is nothing to put back")
        return await self.show(project, name)

    def _with_out(self, shown: Environment) -> Environment:
        instances = tuple(
            replace(each, state=InstanceState.TAKEN_OUT, taken_out=self.out[each.id])
            if each.id in self.out
            else each
            for each in shown.instances
        )
        return replace(shown, instances=instances)

    async def releases(self, project: str, name: str) -> Sequence[Release]:
        return releases_of(project, name)

    async def deployments(self, project: str, name: str, *, limit: int = 20) -> Sequence[Deployment]:
        return [
            a_deployment(1, project, name),
            a_deployment(2, project, name, DeploymentState.ROLLED_BACK, reason="v11 never answered"),
            a_deployment(3, project, name, kind="rollback"),
            a_deployment(4, project, name, kind="restart"),
        ]

    async def deployment(self, deployment_id: int) -> Deployment:
        return a_deployment(deployment_id)

    async def restart(self, project: str, name: str, *, actor: str) -> Deployment:
        self.calls.append(("restart", project, name, actor))
        return a_deployment(1, project, name, kind="restart")

    async def variables(self, project: str, name: str) -> tuple[Variable, ...]:
        kept = (
            Variable("APP_NAME", "Boutique", False, now() - 90000, "marie"),
            Variable("STRIPE_SECRET", None, True, now() - 4000, "paul"),
        )
        return (*kept, *self.set.values())

    async def set_variable(
        self, project: str, name: str, variable: str, value: str, *, is_secret: bool, actor: str
    ) -> None:
        self.calls.append(("set", variable, value, is_secret))
        self.set[variable] = Variable(variable, None if is_secret else value, is_secret, now(), actor)


@dataclass
class SampleProjects(FakeProjects):
    """boutique (rich), museum (few runs), atelier (nothing pushed), secret-plan (nobody's)."""

    names: dict[str, Project] = field(
        default_factory=lambda: {
            "boutique": Project("boutique", "laravel", now() - 1e6, "marie"),
            "museum": Project("museum", "python", now() - 1e6, "marie"),
            "atelier": Project("atelier", None, now() - 600, "marie"),
            "secret-plan": Project("secret-plan", "static", now() - 1e6, "paul"),
        }
    )
    pipeline: SamplePipeline = field(default_factory=SamplePipeline)
    environments: SampleEnvironments = field(default_factory=SampleEnvironments)

    async def show(self, name: str) -> Overview:
        if name not in self.names:
            raise NotFound(f"There is no project {name}, or you may not see it.", project=name)
        return Overview(
            self.names[name],
            f"http://127.0.0.1:7070/git/{name}.git",
            tuple(await self.environments.list(name)),
            tuple(await self.pipeline.runs(name, limit=10)),
            {"marie": "admin"},
        )


@dataclass
class SampleAlarms:
    """The real alarms, which nobody evaluates: tests say what they say."""

    service: Alarms
    database: Database

    async def say(self, number: int, state: State, reason: str = "12 is above 5") -> None:
        """Let an alarm change now, as the controller does."""
        alarm = await self.service.show(number)
        verdict = Verdict(state, reason, {"points": [[now() - 60, 12.0]], "period_s": 60})
        change = NewChange(alarm, verdict, time.time(), is_deploying=False)
        await self.database.run(record_changes, [change], expand_with(()), None)

    async def redefine(self, number: int, **changes: Any) -> None:
        """Let an alarm watch something else, without a word in the journal."""
        definition = replace((await self.service.show(number)).definition, **changes)
        place = {"project": definition.project, "environment": definition.environment}
        values = {**place, "definition": to_document(definition)}
        changed = update(alarms_table).where(alarms_table.c.id == number).values(values)
        await self.database.run(lambda tx: tx.change(changed))


@dataclass
class Sample:
    """The services, and the fakes in them that a test may move."""

    services: Services
    alarms: SampleAlarms
    builds: SampleBuilds
    pipeline: SamplePipeline
    environments: SampleEnvironments


PROD = '{project="boutique",environment="prod"}'
BOUTIQUE = Definition(
    "Errors",
    "boutique",
    "prod",
    expression=f"average(environment_requests{PROD})",
    threshold=5.0,
    periods=5,
    breaching=3,
    on_alarm=(Tell((Sealed("mailto://***@example.org#k3x9", "sealed"),)), Rollback()),
    on_ok=(Tell(),),
)
"""What the alarms of the boutique have in common."""


def sample_alarms() -> list[tuple[Definition, State, str]]:
    """One in each state, one of another environment, one of the machine, one with a band, one with a rule."""
    slow = "5 of the last 5 values are > 500: 512, 530, 588, 611, 640"
    latency = f"p95(environment_response_time_ms{PROD})"
    return [
        (BOUTIQUE, State.OK, "no value is > 5; the last one is 1"),
        (replace(BOUTIQUE, name="Response time", expression=latency, threshold=500.0), State.ALARM, slow),
        (
            replace(BOUTIQUE, name="Certificate end", missing=Missing.IGNORE),
            State.INSUFFICIENT_DATA,
            "5 of 5 periods have no data",
        ),
        (replace(BOUTIQUE, name="No healthy instance", environment="dev"), State.ALARM, ""),
        (
            Definition("Disk of the machine", expression="maximum(machine_cpu_percent)", threshold=90.0),
            State.OK,
            "",
        ),
        (
            Definition(
                "Orders",
                "boutique",
                "preprod",
                expression='sum(orders_placed{environment="prod"})',
                band=Band(3.0),
                period_s=300,
            ),
            State.OK,
            "",
        ),
        (
            Definition(
                "Shop is down", "boutique", "preprod", rule='ALARM("Response time") AND NOT OK("Errors")'
            ),
            State.OK,
            "",
        ),
    ]


def _add_alarms(tx: Transaction) -> None:
    """Without the journal: tests of events know what is in it."""
    at = now() - 7200
    for definition, state, reason in sample_alarms():
        values = {"project": definition.project, "environment": definition.environment}
        alarm = tx.insert(
            insert(alarms_table).values(
                **values,
                name=definition.name,
                definition=to_document(definition),
                is_default=definition.project is None,
                state=state.value,
                reason=reason,
                state_at=at,
                is_disabled=False,
                created_at=at - 86400,
                updated_at=at,
                updated_by="halage",
            )
        )
        if state is State.ALARM:
            _add_change(tx, alarm, at, reason)


def _add_change(tx: Transaction, alarm: int, at: float, reason: str) -> None:
    """How it came to be in alarm, with a message that arrived and a rollback that did not."""
    facts = {"points": [[at - 60 * n, 500.0 + n] for n in range(5, 0, -1)], "period_s": 60}
    change = tx.insert(
        insert(alarm_changes_table).values(
            alarm_id=alarm,
            period_end=at,
            at=at,
            state_before=State.OK.value,
            state=State.ALARM.value,
            reason=reason,
            facts=facts,
        )
    )
    ends = (("delivered", 1, ""), ("failed", 10, "there is no earlier release"))
    for position, (state, attempts, error) in enumerate(ends):
        values = {"state": state, "attempts": attempts, "error": error, "ended_at": at + 3}
        action = kept_action(BOUTIQUE.on_alarm[position])
        delivery = insert(alarm_deliveries_table).values(change_id=change, position=position, action=action)
        tx.insert(delivery.values(**values))


def _add_courses(metrics: MemoryMetrics) -> None:
    """Response times of three hours that rise above 500; orders of four weeks at these hours of the day."""

    def write(name: str, at: float, value: float) -> None:
        key = SeriesKey.of(name, project="boutique", environment="prod")
        metrics.write(at, 10, [MetricSample(key, Kind.GAUGE, value)])

    minute = now() // 60 * 60
    for number in range(180):
        if not 60 < number < 75:
            rise = 400.0 if number > 120 else 0.0
            write("environment_response_time_ms", minute - 60 * (180 - number), 150 + rise + number % 17 * 4)
    for week in range(5):
        for number in range(14 * 12):
            at = minute // 300 * 300 - week * 7 * 86400 - 300 * number
            write("orders_placed", at, 40 + 10 * math.sin(at / 7200) + (number * 7 + week * 3) % 5)


LINES = {
    ("boutique.prod/instances", "i-7"): (
        b"Serving on 127.20.0.7:8000",
        b'{"level": "info", "message": "order placed", "order": {"id": 4711, "total": 59.9}, "user": "ada"}',
        b"[2026-11-23 19:20:41] production.WARNING: slow query: 812 ms",
    ),
    ("boutique.prod/instances", "i-8"): (
        b'{"level": "error", "message": "payment refused", "order": {"id": 4712, "total": "12.00"}}',
        b"<script>document.title = 'hacked'</script>",
        b"\xff\xfe is no UTF-8",
        b"long " + b"x" * 5000,
    ),
    ("boutique.prod/access", "i-7"): (
        b'{"method":"GET","path":"/brands/7","status":200,"response_ms":3,"client":"203.0.113.5"}',
        b'{"method":"GET","path":"/cart","status":503,"response_ms":3,"client":"203.0.113.5"}',
    ),
    ("boutique.dev/instances", "i-2"): (b"on dev",),
    ("boutique/builds", "job-1"): (b"composer install", b"OK (128 tests)"),
    ("secret-plan.prod/instances", "i-9"): (b"a secret line",),
    ("halage", "server"): (b'{"event": "server started", "level": "info"}',),
}
"""What was logged: by group and stream."""


async def sample_logs(directory: Path, database: Database, access: Access) -> Logs:
    """Real logs with LINES, a second between two of a stream; their rounds are the test's."""
    nothing = NoInventory()
    around = Surroundings(directory / "logs", SystemClock(), MemoryDriver(), nothing, KeepLimits())
    logs = Logs(around, database, nothing, access.secrets)
    await logs.__aenter__()
    for (group, stream), texts in LINES.items():
        lines = [Line(now() - 60 + number, text) for number, text in enumerate(texts)]
        logs.append(Group.named(group), stream, lines)
    await logs.round()
    return logs


def sample_metrics() -> MemoryMetrics:
    """A few series of the boutique and of the machine."""
    keys = [
        SeriesKey.of(name, project="boutique", environment="prod")
        for name in ("environment_requests", "environment_response_time_ms", "orders_placed")
    ]
    keys += [
        SeriesKey.of(
            "instance_cpu_percent", project="boutique", environment="prod", instance=f"prod-{number}"
        )
        for number in (1, 2)
    ]
    keys += [SeriesKey.of("secret_sales", project="secret-plan"), SeriesKey.of("machine_cpu_percent")]
    metrics = MemoryMetrics()
    _add_courses(metrics)
    metrics.write(now(), 10, [MetricSample(key, Kind.GAUGE, 1.0) for key in keys])
    return metrics


async def sample_certificates(database: Database, clock: Clock, access: Access) -> CertificateDesk:
    """Of each environment of `boutique`; prod has HTTPS."""
    certificates = Certificates(database, clock, access.secrets, "Halage of the tests")
    routing = Routing(MemoryBalancer(), "sites.test", certificates, 8443)
    secure = EnvironmentPlan("prod", balancer=BalancerPlan(https=Https.ON))
    await routing.load({("boutique", "prod"): secure, ("boutique", "dev"): EnvironmentPlan("dev")})
    return CertificateDesk(routing, clock, lambda: None)


async def make_sample(directory: Path, *, public_url: str = "http://halage.test") -> Sample:
    """Real access and journal; admin `root`, project admin marie, developer paul, viewer zoe."""
    clock, journal = SystemClock(), Journal()
    database = Database(f"sqlite:///{directory}/halage.db", clock=clock, journal=journal)
    metadata.create_all(database.engine)
    access = Access(database, clock, directory / "key", passwords=Passwords(time_cost=1, memory_kib=8))
    access.secrets.make_key()
    await access.create_user("root", password=PASSWORD, is_admin=True, actor="halage")
    for name, role in (("marie", Role.ADMIN), ("paul", Role.DEVELOPER), ("zoe", Role.VIEWER)):
        await access.create_user(name, password=PASSWORD, actor="root")
        for project in ("boutique", "museum", "atelier"):
            await access.set_member(project, name, role, "root")
    await database.run(_happen)
    builds, pipeline, environments = SampleBuilds(), SamplePipeline(), SampleEnvironments()
    metrics = sample_metrics()
    await database.run(_add_alarms)
    alarms = quiet_alarms(database, clock, access.secrets, metrics, public_url)
    services = Services(
        access=access,
        builds=cast(Any, builds),
        certificates=await sample_certificates(database, clock, access),
        environments=cast(Any, environments),
        scaling=cast(
            Any,
            FakeScaling(
                ("boutique", "museum", "atelier"),
                ("dev", "preprod", "prod"),
                [f"boutique-prod-{number}" for number in range(9)],
            ),
        ),
        settings=await make_settings(database, access, "boutique"),
        executions=cast(Any, ScriptedExecutions()),
        making=cast(Any, FakeMaking()),
        metrics=Metrics(metrics, clock),
        pipeline=cast(Any, pipeline),
        projects=cast(Any, SampleProjects(pipeline=pipeline, environments=environments)),
        logs=await sample_logs(directory, database, access),
        dashboards=Dashboards(database, parse),
        alarms=alarms,
        database=database,
        journal=journal,
        clock=clock,
        source_app=git_app,
        public_url=public_url,
        intake=cast(Any, None),
        exposition=cast(Any, None),
    )
    return Sample(services, SampleAlarms(alarms, database), builds, pipeline, environments)


def _happen(tx: Transaction) -> None:
    tx.record("source:Push", actor="marie", subject="project/boutique", project="boutique", branch="main")
    tx.record("pipeline:Start", actor="halage", subject="run/7", project="boutique", commit=COMMIT[:8])
    tx.record(
        "environment:Deploy", actor="halage", subject="project/boutique/environment/dev", project="boutique"
    )
    tx.record("project:Create", actor="paul", subject="project/secret-plan", project="secret-plan")
