"""Advances runs: observe, decide, record, execute."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from halage.base.bell import Bell
from halage.base.clock import Clock
from halage.base.database import Database
from halage.base.errors import HalageError
from halage.base.tasks import Controller, Tasks
from halage.build.service import Builds, JobOrder
from halage.environment.errors import NoSuchDeployment
from halage.environment.model import DeploymentState
from halage.environment.records.orders import DeploymentOrder
from halage.environment.service import Environments
from halage.pipeline import ledger, store
from halage.pipeline.model import RunState, StageKind, StageState
from halage.pipeline.retention import unneeded_bundles
from halage.pipeline.rules import (
    Action,
    DeploymentNews,
    EndRun,
    JobNews,
    LookAgain,
    SetStage,
    StageFacts,
    StartDeployment,
    StartJob,
    WaitForApproval,
    decide,
)
from halage.site.document import site_from_document

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PipelineLimits:
    """What the operator sets for all runs."""

    approval_timeout_s: float = 30 * 86400.0
    """An approval's own deadline."""


class PipelineController:
    """Runs what `rules.decide` decides; the bell rings for a run at each of its changes."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        builds: Builds,
        environments: Environments,
        limits: PipelineLimits,
        *,
        tasks: Tasks,
    ) -> None:
        self._database = database
        self._clock = clock
        self._builds = builds
        self._environments = environments
        self._limits = limits
        self._controller: Controller[int] = Controller("pipeline", self.advance, tasks=tasks)
        self.bell: Bell[int] = Bell()

    def wake(self, run_id: int) -> None:
        """Look at a run now."""
        self._controller.wake(run_id)

    async def settled(self, run_id: int) -> None:
        """Return once no step of a run is under way."""
        await self._controller.settled(run_id)

    def stop(self) -> None:
        """Take no further step."""
        self._controller.stop()

    async def recover(self) -> None:
        """Look at every run that has not ended."""
        for run_id in await self._database.run(store.open_run_ids):
            self.wake(run_id)

    async def advance(self, run_id: int) -> float | None:
        """Take every step that can be taken now; the seconds after which to look again, or None."""
        try:
            while True:
                row = await self._database.run(store.run_row, run_id)
                if row is None:
                    return None
                stages = await self._database.run(store.stage_rows, run_id)
                facts = [await self._facts(stage) for stage in stages]
                actions = decide(RunState(row.state), facts, self._clock.now())
                if actions and isinstance(actions[0], LookAgain):
                    return actions[0].after_s
                if not actions:
                    return None
                for action in actions:
                    await self._execute(row, stages, action)
        finally:
            self.bell.ring(run_id)

    async def _facts(self, stage: Any) -> StageFacts:
        news: JobNews | DeploymentNews | None = None
        is_over = stage.state in (StageState.SUCCEEDED, StageState.SKIPPED)
        if stage.job_id is not None and not is_over:
            job = await self._builds.job(stage.job_id)
            news = JobNews(job.state, job.reason)
        elif stage.deployment_id is not None and not is_over:
            news = await self._news_of(stage)
        return StageFacts(
            position=stage.position,
            kind=StageKind(stage.kind),
            state=StageState(stage.state),
            reason=stage.reason,
            deadline_at=stage.deadline_at,
            news=news,
        )

    async def _news_of(self, stage: Any) -> DeploymentNews:
        try:
            deployment = await self._environments.deployment(stage.deployment_id)
        except NoSuchDeployment:
            reason = f"the environment {stage.name} was terminated: retry the run to make it anew"
            return DeploymentNews(DeploymentState.FAILED, reason)
        return DeploymentNews(deployment.state, deployment.reason)

    async def _execute(self, row: Any, stages: Sequence[Any], action: Action) -> None:
        match action:
            case StartJob(position):
                await self._start_job(row, stages[position])
            case StartDeployment(position):
                await self._start_deployment(row, stages[position])
            case WaitForApproval(position):
                deadline_at = self._clock.now() + self._limits.approval_timeout_s
                for other in await self._database.run(ledger.park, row.id, position, deadline_at):
                    self.wake(other)
            case SetStage(position, state, reason):
                await self._database.run(ledger.set_stage, row.id, position, state, reason)
            case EndRun(state, reason):
                await self._database.run(ledger.end_run, row.id, state, reason)
                await self._builds.forget_bundles(
                    row.project, await self._database.run(unneeded_bundles, row.project)
                )
                log.info("run ended", action="pipeline:Run", subject=str(row.id), state=state.value)
        self.bell.ring(row.id)

    async def _start_job(self, row: Any, stage: Any) -> None:
        """The token names run, stage and attempt: asked again after a crash, it is the same job."""
        token = f"run-{row.id}-{stage.position}-{stage.attempt}"
        order = JobOrder(token, row.project, row.commit, row.id, site_from_document(row.site))
        job_id = await self._builds.start(order)
        await self._database.run(ledger.attach, row.id, stage.position, job_id=job_id)

    async def _start_deployment(self, row: Any, stage: Any) -> None:
        job_id = await self._database.run(ledger.test_job_of, row.id)
        job = await self._builds.job(job_id) if job_id is not None else None
        if job is None or job.bundle_digest is None:
            reason = "there is no bundle to deploy: retry the run from its test stage"
            await self._database.run(ledger.set_stage, row.id, stage.position, StageState.FAILED, reason)
            return
        order = DeploymentOrder(
            token=f"run-{row.id}-{stage.position}-{stage.attempt}",
            bundle_digest=job.bundle_digest,
            commit=row.commit,
            title=row.title,
            site=site_from_document(row.site),
            run_id=row.id,
        )
        try:
            deployment_id = await self._environments.deploy(
                row.project, stage.name, order, actor=row.created_by
            )
        except HalageError as error:
            await self._database.run(
                ledger.set_stage, row.id, stage.position, StageState.FAILED, error.message
            )
            return
        await self._database.run(ledger.attach, row.id, stage.position, deployment_id=deployment_id)
