"""Runs: what people ask of them."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from halage.base.database import Database, Transaction
from halage.build.service import Builds
from halage.environment.errors import DeploymentEnded, NoSuchDeployment
from halage.environment.service import Environments
from halage.pipeline import ledger, store
from halage.pipeline.controller import PipelineController
from halage.pipeline.errors import NoSuchRun
from halage.pipeline.model import Run, Stage, StageState

LAST_LINES = 15
"""How much of what a failed stage wrote is shown to the pusher."""


class Pipeline:
    """The use cases of runs. Every method with a run id raises NoSuchRun for an unknown one."""

    def __init__(
        self, database: Database, controller: PipelineController, builds: Builds, environments: Environments
    ) -> None:
        self._database = database
        self._controller = controller
        self._builds = builds
        self._environments = environments

    async def runs(
        self, project: str | None = None, *, limit: int = 20, before: int | None = None
    ) -> Sequence[Run]:
        """Runs (of one project), newest first; `before` is the id of the last one seen."""
        return await self._database.run(store.views, project, limit, before)

    async def run(self, run_id: int) -> Run:
        """One run as it is now."""
        return await self._database.run(_view, run_id)

    async def follow(self, run_id: int) -> AsyncIterator[Run]:
        """The run now, then at each change, until it has ended."""
        with self._controller.bell.listen(run_id) as news:
            shown: Run | None = None
            while True:
                news.clear()
                run = await self.run(run_id)
                if run != shown:
                    shown = run
                    yield run
                if run.state.is_final:
                    return
                await news.wait()

    async def remarks(self, stage: Stage) -> list[str]:
        """Warnings of an ended stage; if it failed, the last lines that its commands or site wrote."""
        if stage.state not in (StageState.SUCCEEDED, StageState.FAILED):
            return []
        has_failed = stage.state is StageState.FAILED
        lines: list[str] = []
        if stage.job_id is not None:
            job = await self._builds.job(stage.job_id)
            lines += [f"warning: {warning}" for warning in job.warnings]
            if has_failed:
                lines += [line.text for line in await self._builds.console_tail(stage.job_id, LAST_LINES)]
        elif stage.deployment_id is not None and has_failed:
            with contextlib.suppress(NoSuchDeployment):  # its environment was terminated
                deployment = await self._environments.deployment(stage.deployment_id)
                lines += deployment.log_tail.splitlines()[-LAST_LINES:]
        return lines

    async def cancel(self, run_id: int, *, actor: str) -> None:
        """End a run: its job is ended, its deployment turned round. Raises RunEnded."""
        position = await self._database.run(ledger.cancel, run_id, actor)
        await self._controller.settled(run_id)  # a step under way may just have asked for the job
        job_id, deployment_id = await self._database.run(ledger.work_of, run_id, position)
        if job_id is not None:
            await self._builds.cancel(job_id)
        if deployment_id is not None:
            with contextlib.suppress(DeploymentEnded, NoSuchDeployment):  # it was quicker, or is gone
                await self._environments.abort(deployment_id, actor=actor)
        self._controller.wake(run_id)

    async def retry(self, run_id: int, *, stage: str | None = None, actor: str) -> None:
        """Go on from a stage, by default the first that did not succeed. Raises CannotRetry, NoSuchStage."""
        await self._database.run(ledger.retry, run_id, stage, actor)
        self._controller.wake(run_id)

    async def approve(self, run_id: int, *, comment: str = "", actor: str) -> None:
        """Let a waiting run go on. Raises NotWaiting."""
        await self._database.run(ledger.answer, run_id, True, comment, actor)
        self._controller.wake(run_id)

    async def reject(self, run_id: int, *, comment: str = "", actor: str) -> None:
        """End a waiting run. Raises NotWaiting."""
        await self._database.run(ledger.answer, run_id, False, comment, actor)
        self._controller.wake(run_id)

    async def waiting_approval(self, project: str) -> Run | None:
        """The newest run of a project that waits for an approval."""
        rows = await self._database.run(store.waiting_rows, project)
        return await self.run(rows[0].run_id) if rows else None

    async def forget_project(self, project: str) -> None:
        """End and remove every run of a project."""
        for run in await self.runs(project, limit=1000):
            for stage in run.stages:
                if not run.state.is_final and stage.job_id is not None:
                    await self._builds.cancel(stage.job_id)
        await self._database.run(store.delete_runs, project)


def _view(tx: Transaction, run_id: int) -> Run:
    run = store.view(tx, run_id)
    if run is None:
        raise NoSuchRun(f"there is no run {run_id}", run=run_id)
    return run
