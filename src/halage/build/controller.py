"""Advances jobs: check out, run, watch, collect. A job survives a restart of the control plane."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from halage.base.bell import Bell
from halage.base.clock import Clock
from halage.base.database import Database, Transaction
from halage.base.errors import HalageError
from halage.base.files import write_atomically
from halage.base.objects import ObjectStore
from halage.base.tasks import Controller, Tasks
from halage.build import store
from halage.build.bundle import pack
from halage.build.console import Console, Masker
from halage.build.model import Bundle, JobState
from halage.build.reports import read_reports
from halage.build.rules import JobFacts, Step, decide, script_of, verdict
from halage.build.watch import Watch
from halage.compute.accounts import Accounts
from halage.compute.driver import ComputeDriver
from halage.compute.model import Account, Exit, Limits, Sandbox, UnitSpec
from halage.monitor.logs.model import Group, Line, NumberedSink
from halage.site.document import site_from_document
from halage.site.model import Site
from halage.site.serving import job_environment
from halage.source.service import Source

log = structlog.get_logger()
CHECKOUT, CACHE, JOB = "/site", "/cache", "/job"
"""Where a job finds its checkout, its project's dependency cache and its script."""
SCRIPT = "script-"
"""Before a job's id: the directory with its script, beside its workspace."""
CUT_OFF_TRIES = 10
"""How often a job that was cut off (a power cut, an ended machine) begins again."""


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """What the operator sets for all jobs."""

    concurrent: int = 2
    cpu: float = 2.0
    memory_bytes: int = 2 * 1024**3
    processes: int = 512
    console_bytes: int = 16 * 1024**2
    has_network: bool = True
    """False takes the network from every job, whatever its site says."""
    has_cache: bool = True
    """False gives each job an empty dependency cache of its own."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Everything that jobs are run with."""

    database: Database
    clock: Clock
    compute: ComputeDriver
    source: Source
    accounts: Accounts
    objects: ObjectStore
    directory: Path
    """The data directory: `work/`, `cache/` and `jobs/` are below it."""
    limits: BuildLimits
    secrets_of: Callable[[str], Awaitable[Sequence[str]]]
    sandbox_warning: str | None
    passed_environment: dict[str, str]
    """Variables of the server that commands get too: proxies and package indexes."""
    on_first_command: Callable[[int, float], None] = lambda run_id, at: None
    """Told of the run and the moment whenever a job's commands begin."""
    logs: NumberedSink | None = None
    """Where the lines of consoles go as well."""


class BuildController:
    """Runs jobs. `on_change(run_id)` is told when one starts and ends; the bell rings for its console."""

    def __init__(self, workshop: Workshop, *, tasks: Tasks, on_change: Callable[[int], None]) -> None:
        self._w = workshop
        self._tasks = tasks
        self._on_change = on_change
        self._controller: Controller[int] = Controller("build", self.advance, tasks=tasks)
        self._looked_after: set[int] = set()
        self._units: set[str] = set()
        self._cancels: dict[int, asyncio.Event] = {}
        self.bell: Bell[int] = Bell()
        for name in ("work", "cache", "jobs"):
            (workshop.directory / name).mkdir(exist_ok=True)
            (workshop.directory / name).chmod(0o700 if name == "jobs" else 0o711)

    def wake(self, job_id: int) -> None:
        """Look at a job now."""
        self._controller.wake(job_id)

    def stop(self) -> None:
        """Take no further step."""
        self._controller.stop()

    def console_path(self, job_id: int) -> Path:
        """Where a job's console is kept."""
        return self._w.directory / "jobs" / str(job_id) / "console"

    def forget_project(self, project: str) -> None:
        """Remove a project's workspaces and its dependency cache."""
        for name in ("work", "cache"):
            shutil.rmtree(self._w.directory / name / project, ignore_errors=True)

    async def recover(self) -> None:
        """Take over what an earlier control plane left."""
        jobs = await self._w.database.run(store.open_jobs)
        wanted = {_unit_id(job) for job in jobs}
        for unit in await self._w.compute.list():
            if unit.id.startswith("j-"):
                if unit.id in wanted:
                    self._units.add(unit.id)
                else:
                    self._tasks.start(self._w.compute.remove(unit.id), f"end orphan {unit.id}")
        self._tasks.start(self._sweep({job.id for job in jobs}), "sweep workspaces")
        for job in jobs:
            self.wake(job.id)

    async def _sweep(self, open_jobs: set[int]) -> None:
        """Remove workspaces of jobs that had ended before the control plane was cut off."""
        for path in (self._w.directory / "work").glob("*/*"):
            job_id = path.name.removeprefix(SCRIPT).partition(".")[0]
            if not job_id.isdigit() or int(job_id) not in open_jobs:
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)

    async def advance(self, job_id: int) -> float | None:
        """Take the next step of a job, if there is one to take."""
        row = await self._w.database.run(store.job_row, job_id)
        if row is None:
            return None
        facts = JobFacts(
            state=JobState(row.state),
            is_cancelled=row.is_cancelled,
            is_looked_after=job_id in self._looked_after,
            is_unit_known=_unit_id(row) in self._units,
            has_room=len(self._looked_after) < self._w.limits.concurrent,
        )
        match decide(facts):
            case Step.WAIT:
                reason = f"waits for a free place: {len(self._looked_after)} jobs are running"
                await self._w.database.run(store.update_job, job_id, reason=reason)
            case Step.BEGIN:
                await self._begin(row, row.attempt)
            case Step.BEGIN_AGAIN:
                await self._begin_again(row)
            case Step.ADOPT:
                self._look_after(row)
            case Step.END_CANCELLED:
                await self._end_cancelled(row)
            case Step.NOTHING:
                if row.is_cancelled and job_id in self._cancels:
                    self._cancels[job_id].set()
        return None

    async def _begin(self, row: Any, attempt: int) -> None:
        values = {"state": JobState.RUNNING.value, "attempt": attempt, "reason": ""}
        started_at = self._w.clock.now()
        await self._w.database.run(store.update_job, row.id, started_at=started_at, **values)
        self._look_after(await self._w.database.run(store.job_row, row.id))
        self._on_change(row.run_id)

    async def _begin_again(self, row: Any) -> None:
        if row.attempt >= CUT_OFF_TRIES:
            await self._clear(row)
            reason = f"it was cut off {row.attempt} times; retry the run when the machine is steady"
            values = {"state": JobState.FAILED.value, "reason": reason}
            await self._w.database.run(store.finish_job, row.id, row.attempt, values)
            self._ended(row)
        else:
            await self._begin(row, row.attempt + 1)

    async def _end_cancelled(self, row: Any) -> None:
        await self._clear(row)
        values = {
            "state": JobState.CANCELLED.value,
            "reason": "cancelled",
            "finished_at": self._w.clock.now(),
        }
        await self._w.database.run(store.update_job, row.id, **values)
        self._ended(row)

    def _look_after(self, row: Any) -> None:
        self._looked_after.add(row.id)
        self._cancels[row.id] = asyncio.Event()
        self._tasks.start(self._run(row), f"job {row.id}")

    async def _run(self, row: Any) -> None:
        try:
            await self._run_attempt(row)
        except Exception as error:  # whatever a site brings about: it fails this job, and nothing else
            reason = _in_words(error)
            log.warning("job failed to run", action="build:Run", subject=str(row.id), reason=reason)
            await self._drop_workspace(row)  # first: it may be what fills the disk
            values = {"state": JobState.FAILED.value, "reason": reason}
            await self._w.database.insist(store.finish_job, row.id, row.attempt, values)
            await self._clear(row)
        finally:
            self._looked_after.discard(row.id)
            self._cancels.pop(row.id, None)
        self._ended(row)

    def _ended(self, row: Any) -> None:
        self.bell.ring(row.id)
        self._on_change(row.run_id)
        self._tasks.start(self._wake_waiting(), "wake waiting jobs")

    async def _wake_waiting(self) -> None:
        for row in await self._w.database.insist(store.open_jobs):
            self.wake(row.id)

    async def _run_attempt(self, row: Any) -> None:
        site = site_from_document(row.site)
        account = await self._w.database.run(self._account, row.project)
        workspace = self._workspace(row)
        unit_id = _unit_id(row)
        console = await self._open_console(row)
        try:
            exit_, watch = None, None
            if site.build.commands or site.test.commands:
                if unit_id not in self._units:
                    await self._check_out(row, workspace, account)
                    await self._start(row, site, account)
                watch = Watch(self._w.compute, self._w.clock, unit_id, site, console, row.started_at)
                exit_ = await watch.until_end(lambda: self.bell.ring(row.id), self._cancels[row.id])
            else:
                await self._check_out(row, workspace, account)
                console.write(0.0, "nothing to build and nothing to test")
            await self._collect(row, site, exit_, watch, console)
        finally:
            console.close()
        await self._clear(row)

    def _account(self, tx: Transaction, project: str) -> Account | None:
        account: Account | None = self._w.accounts.account_for(tx, project)
        return account

    def _workspace(self, row: Any) -> Path:
        name: str = f"{row.id}.{row.attempt}"
        return self._w.directory.joinpath("work", row.project, name)

    async def _open_console(self, row: Any) -> Console:
        path = self.console_path(row.id)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        masker = Masker(await self._w.secrets_of(row.project))
        console = Console(path, masker, self._w.limits.console_bytes, self._copy_to_logs(row))
        if self._w.sandbox_warning:
            console.write(0.0, f"warning: {self._w.sandbox_warning}")
        return console

    def _copy_to_logs(self, row: Any) -> Callable[[int, float, str], None] | None:
        """Each attempt is a source of its own: one that is adopted, and read again, doubles nothing."""
        logs = self._w.logs
        if logs is None:
            return None
        group, stream, source = Group.named(f"{row.project}/builds"), f"job-{row.id}", _unit_id(row)

        def copy(number: int, at_s: float, text: str) -> None:
            line = Line(row.started_at + at_s, text.encode(errors="replace"))
            logs.append_numbered(group, stream, source, number, [line])

        return copy

    async def _check_out(self, row: Any, workspace: Path, account: Account | None) -> None:
        """A fresh tree of the pinned commit; what an attempt that was cut off left is removed."""
        workspace.parent.mkdir(exist_ok=True)
        workspace.parent.chmod(0o711)
        for old in workspace.parent.glob(f"{row.id}.*"):
            await asyncio.to_thread(shutil.rmtree, old, ignore_errors=True)
        await self._w.source.archive(row.project, row.commit, workspace, account)

    async def _start(self, row: Any, site: Site, account: Account | None) -> None:
        script = self._w.directory / "work" / row.project / f"{SCRIPT}{row.id}"
        script.mkdir(exist_ok=True)
        script.chmod(0o755)
        write_atomically(script / "run", script_of(site), mode=0o755, durable=False)
        cache = self._w.directory / "cache" / row.project
        if not self._w.limits.has_cache:
            await asyncio.to_thread(shutil.rmtree, cache, ignore_errors=True)
        await asyncio.to_thread(_own_directory, cache, account)
        sandbox = Sandbox(
            writable={CHECKOUT: self._workspace(row), CACHE: cache},
            readable={JOB: script},
            network=site.build.network and self._w.limits.has_network,
        )
        limits = self._w.limits
        spec = UnitSpec(
            id=_unit_id(row),
            command=("/bin/sh", f"{JOB}/run"),
            directory=CHECKOUT,
            environment=self._environment(row, site),
            limits=Limits(limits.cpu, limits.memory_bytes, limits.processes),
            account=account,
            sandbox=sandbox,
        )
        status = await self._w.compute.start(spec)
        self._units.add(spec.id)
        self._w.on_first_command(row.run_id, status.started_at)

    def _environment(self, row: Any, site: Site) -> dict[str, str]:
        """What commands see: the site's [env], never the secrets of an environment."""
        return {
            **self._w.passed_environment,
            **site.variables,
            **job_environment(site, CHECKOUT),
            "CI": "true",
            "HOME": "/tmp",  # noqa: S108 - private to the sandbox
            "LANG": "C.UTF-8",
            "COMPOSER_CACHE_DIR": f"{CACHE}/composer",
            "PIP_CACHE_DIR": f"{CACHE}/pip",
            "npm_config_cache": f"{CACHE}/npm",
            "HALAGE_PROJECT": row.project,
            "HALAGE_COMMIT": row.commit,
            "HALAGE_RUN": str(row.run_id),
        }

    async def _collect(
        self, row: Any, site: Site, exit_: Exit | None, watch: Watch | None, console: Console
    ) -> None:
        """Read the reports, pack the bundle, record the end; a result of an older attempt is dropped."""
        workspace = self._workspace(row)
        report, warnings = await asyncio.to_thread(read_reports, workspace, site.test.reports)
        state, reason = JobState.SUCCEEDED, ""
        values: dict[str, Any] = {}
        if exit_ is not None and watch is not None:
            usage = await self._w.compute.measure(_unit_id(row))
            values = {"exit_code": exit_.code, "peak_memory_bytes": usage.peak_memory_bytes}
            is_cancelled = self._cancels[row.id].is_set()
            state, reason = verdict(
                exit_, is_cancelled=is_cancelled, timed_out=watch.timed_out, command=watch.command
            )
        if not site.test.commands:
            warnings.append("no tests were found: nothing was tested")
        if state is JobState.SUCCEEDED:
            bundle = await self._pack(row, workspace)
            values["bundle_digest"] = bundle.digest
        if reason:
            console.write(self._w.clock.now() - row.started_at, f"[Halage: {reason}]")
        values |= {
            "state": state.value,
            "reason": reason,
            "warnings": [*row.warnings, *warnings],
            "report": store.report_document(report) if report else None,
        }
        if state is not JobState.SUCCEEDED:
            await self._drop_workspace(row)  # it may be what fills the disk; a bundle is made of it else
        await self._w.database.insist(store.finish_job, row.id, row.attempt, values)

    async def _pack(self, row: Any, workspace: Path) -> Bundle:
        commit = await self._w.source.commit(row.project, row.commit)
        digest, size = await asyncio.to_thread(
            self._w.objects.put, lambda output: pack(workspace, output, commit.at)
        )
        bundle = Bundle(digest, row.project, row.commit, size, self._w.clock.now())
        await self._w.database.run(store.put_bundle, bundle)
        return bundle

    async def _drop_workspace(self, row: Any) -> None:
        await self._w.compute.stop(_unit_id(row), 0.0)
        await asyncio.to_thread(shutil.rmtree, self._workspace(row), ignore_errors=True)

    async def _clear(self, row: Any) -> None:
        await self._w.compute.remove(_unit_id(row))
        self._units.discard(_unit_id(row))
        for path in (self._workspace(row), self._workspace(row).with_name(f"{SCRIPT}{row.id}")):
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)


def _in_words(error: Exception) -> str:
    if isinstance(error, ExceptionGroup):
        return _in_words(error.exceptions[0])
    if isinstance(error, HalageError | OSError):
        return str(error)
    log.error("job failed in an unforeseen way", action="build:Run", subject="server", exc_info=error)
    return f"Halage could not run it: {error!r}"


def _unit_id(row: Any) -> str:
    return f"j-{row.id}.{row.attempt}"


def _own_directory(path: Path, account: Account | None) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        shutil.chown(path, account.uid, account.gid)
