"""One run: its stages as a picture, why it failed, its console live, its tests, and what one may do."""

import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from halage.base.errors import NotFound
from halage.build.model import ConsoleLine, Job
from halage.environment.errors import NoSuchDeployment
from halage.environment.model import Deployment
from halage.pipeline.model import Run, RunState, Stage, StageKind, StageState
from halage.web.console.ansi import strip_terminal
from halage.web.console.console import Console, Visitor, add, see
from halage.web.console.live import Page, live
from halage.web.console.wording import console_stamp

_LINES_SHOWN = 2000
_LINES_AT_ONCE = 1000
_ACTIONS = {
    "cancel": "pipeline:Cancel",
    "retry": "pipeline:Retry",
    "approve": "pipeline:Approve",
    "reject": "pipeline:Reject",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a run failed: the stage, the reason in words, and what it left behind."""

    stage: Stage | None
    reason: str
    log_tail: str


class RunPages:
    """The page of a run, its live parts, its console as text, and its actions."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        add(router, "/runs/{run_id}", get=self.show)
        add(router, "/runs/{run_id}/live", get=self.follow)
        add(router, "/runs/{run_id}/console.txt", get=self.console_text)
        add(router, "/runs/{run_id}/{action}", post=self.act)

    async def show(self, request: Request, run_id: int) -> Response:
        """The whole page."""
        run, _ = await self._seen(request, run_id)
        facts = await self._facts(run)
        lines, is_cut = await self._last_lines(run)
        return self._console.page(request, "run.html", lines=lines, is_cut=is_cut, **facts)

    async def follow(self, request: Request, run_id: int, from_line: int = 0) -> Response:
        """Its parts as they change, and its console's lines as they come."""
        await self._seen(request, run_id)
        # After a cut the browser says what it saw last; a page that is loaded says it in the address.
        last_seen = request.headers.get("last-event-id", "")
        start = int(last_seen) + 1 if last_seen.isdecimal() else from_line

        async def parts(page: Page) -> None:
            async for run in self._services.pipeline.follow(run_id):
                await page.show(**self._parts(request, await self._facts(run)))

        async def lines(page: Page) -> None:
            job_id = await self._job_to_come(run_id)
            if job_id is None:
                return
            async for line in self._services.builds.follow_console(job_id, start):
                html = self._console.render(request, "console_lines.html", lines=[line])
                await page.append("lines", html, line.number)

        async def ask() -> None:
            await self._seen(request, run_id)

        return live(self._services, parts, lines, still_allowed=ask)

    async def console_text(self, request: Request, run_id: int) -> Response:
        """The whole console as plain text."""
        run, _ = await self._seen(request, run_id)
        job_id = _job_id(run)
        if job_id is None:
            raise NotFound(f"Run {run_id} has no console: no job of it has started.", run=run_id)

        async def text() -> AsyncIterator[str]:
            async for line in self._lines(job_id):
                yield f"{console_stamp(line.at_s)} {strip_terminal(line.text)}\n"

        return StreamingResponse(text(), media_type="text/plain; charset=utf-8")

    async def act(self, request: Request, run_id: int, action: str) -> Response:
        """Cancel, retry, approve or reject, as the form says."""
        if action not in _ACTIONS:
            raise NotFound
        run, visitor = await self._seen(request, run_id, _ACTIONS[action])
        form = await self._console.form(request, visitor)
        pipeline, actor = self._services.pipeline, visitor.principal.name
        if action == "cancel":
            await pipeline.cancel(run.id, actor=actor)
        elif action == "retry":
            await pipeline.retry(run.id, stage=form.optional("stage"), actor=actor)
        elif action == "approve":
            await pipeline.approve(run.id, comment=form.text("comment"), actor=actor)
        else:
            await pipeline.reject(run.id, comment=form.text("comment"), actor=actor)
        return see(f"/runs/{run.id}")

    async def _seen(
        self, request: Request, run_id: int, action: str = "pipeline:Show"
    ) -> tuple[Run, Visitor]:
        """The run and who looks at it; raises NotFound for a run of a project they may not see."""
        visitor = await self._console.visitor(request)
        run = await self._services.pipeline.run(run_id)
        if not visitor.may("project:Show", f"project/{run.project}"):
            raise NotFound(f"There is no run {run_id}, or you may not see it.", run=run_id)
        return run, await self._console.visitor_of(request, run.project, action)

    async def _facts(self, run: Run) -> dict[str, object]:
        job_id = _job_id(run)
        job = await self._services.builds.job(job_id) if job_id is not None else None
        deployments: dict[str, Deployment] = {}
        for stage in run.stages:
            if stage.deployment_id is not None:
                with contextlib.suppress(NoSuchDeployment):  # its environment was terminated
                    deployment = await self._services.environments.deployment(stage.deployment_id)
                    deployments[stage.name] = deployment
        return {
            "run": run,
            "project": run.project,
            "job": job,
            "deployments": deployments,
            "cause": _cause(run, job, deployments),
            "approval": _waiting_approval(run),
        }

    def _parts(self, request: Request, facts: dict[str, object]) -> dict[str, str]:
        return {
            name: self._console.render(request, f"run_{name}.html", **facts)
            for name in ("head", "cause", "stages", "actions", "tests", "deployments", "said")
        }

    async def _job_to_come(self, run_id: int) -> int | None:
        """The run's job, once there is one; None when it ends without."""
        async for run in self._services.pipeline.follow(run_id):
            if (job_id := _job_id(run)) is not None:
                return job_id
        return None

    async def _last_lines(self, run: Run) -> tuple[list[ConsoleLine], bool]:
        """The end of the console, and whether there is more before it."""
        job_id = _job_id(run)
        if job_id is None:
            return [], False
        lines: deque[ConsoleLine] = deque(maxlen=_LINES_SHOWN)
        async for line in self._lines(job_id):
            lines.append(line)
        return list(lines), bool(lines) and lines[0].number > 0

    async def _lines(self, job_id: int) -> AsyncIterator[ConsoleLine]:
        start = 0
        while piece := await self._services.builds.console(job_id, from_line=start, limit=_LINES_AT_ONCE):
            for line in piece:
                yield line
            start = piece[-1].number + 1


def _job_id(run: Run) -> int | None:
    return next((stage.job_id for stage in reversed(run.stages) if stage.job_id is not None), None)


def _waiting_approval(run: Run) -> Stage | None:
    return next(
        (
            stage
            for stage in run.stages
            if stage.kind is StageKind.APPROVAL and stage.state is StageState.WAITING
        ),
        None,
    )


def _cause(run: Run, job: Job | None, deployments: dict[str, Deployment]) -> Cause | None:
    if run.state is not RunState.FAILED:
        return None
    failed = next((stage for stage in run.stages if stage.state is StageState.FAILED), None)
    if failed is None:
        return Cause(None, run.reason, "")
    deployment = deployments.get(failed.name)
    reason = failed.reason or run.reason
    if deployment is not None and not failed.reason:
        reason = deployment.reason
    elif job is not None and failed.kind is StageKind.TEST and not failed.reason:
        reason = job.reason
    return Cause(failed, reason, deployment.log_tail if deployment else "")
