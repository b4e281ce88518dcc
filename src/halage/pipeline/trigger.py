"""From a push to a run: the commit is pinned here, and the site's own words are read from it."""

from collections.abc import AsyncIterator, Callable, Collection

import structlog

from halage.base.database import Database, Transaction
from halage.base.errors import Invalid
from halage.environment.autoscaling.presets import expression_problem
from halage.environment.service import Environments
from halage.pipeline import ledger, store
from halage.pipeline.model import Run, RunState, StageKind, StageState
from halage.pipeline.progress import Remarks, progress_lines
from halage.site.document import site_to_document
from halage.site.flow import APPROVAL, TEST, stages_for
from halage.site.model import EnvironmentPlan, Site
from halage.site.read import read_site
from halage.source.model import Commit, Push, PushAnswer
from halage.source.service import Source
from halage.source.store import remember_ref, seen_refs

log = structlog.get_logger()
SKIP_OPTION = "skip"
"""`git push -o skip`: take the commits, start nothing."""


class Trigger:
    """Told of every push (a `source.PushConsumer`); records a run in the transaction that marks it seen."""

    def __init__(
        self,
        database: Database,
        source: Source,
        environments: Environments,
        *,
        types: Collection[str],
        public_url: str,
        follow: Callable[[int], AsyncIterator[Run]],
        remarks: Remarks,
        wake: Callable[[int], None],
    ) -> None:
        self._database = database
        self._source = source
        self._environments = environments
        self._types = types
        self._public_url = public_url
        self._follow = follow
        self._remarks = remarks
        self._wake = wake

    async def pushed(self, push: Push) -> PushAnswer:
        """Start the run of a pushed branch; tags and deletions start nothing."""
        if push.branch is None or push.is_deletion or SKIP_OPTION in push.options:
            await self._database.run(remember_ref, push.project, push.ref, push.new)
            return PushAnswer()
        commit = await self._source.commit(push.project, push.new)
        tree = await self._source.tree(push.project, push.new)
        site: Site | None = None
        problem = ""
        try:
            site = read_site(tree, types=self._types, read_expression=expression_problem)
        except Invalid as error:
            problem = error.message
        if site is not None:
            await self._prepare_environments(push, site)
        run_id = await self._database.run(_record, push, commit, site, problem)
        self._wake(run_id)
        # A site that cannot be read has no way to go: the lines say it all.
        progress = progress_lines(self._follow(run_id), self._remarks) if site is not None else None
        return PushAnswer(self._lines(run_id, push, site, problem), progress)

    async def _prepare_environments(self, push: Push, site: Site) -> None:
        named = [name for rule in site.flow for name in rule.stages if name not in (TEST, APPROVAL)]
        plans = [
            site.environments.get(name) or EnvironmentPlan(name)
            for name in dict.fromkeys([*site.environments, *named])
        ]
        await self._environments.create(push.project, plans)

    def _lines(self, run_id: int, push: Push, site: Site | None, problem: str) -> tuple[str, ...]:
        address = f"{self._public_url}/runs/{run_id}"
        if site is None:
            return (f"run {run_id} failed: {address}", *problem.splitlines())
        way = " -> ".join(stages_for(site.flow, push.branch or ""))
        warnings = [f"warning: {warning}" for warning in site.warnings]
        if not site.test.commands:
            warnings.append("warning: this commit has no tests: nothing will be tested")
        return (f"run {run_id} started: {way}", f"watch it at {address}", *warnings)


def _record(tx: Transaction, push: Push, commit: Commit, site: Site | None, problem: str) -> int:
    """Add the run and mark the ref as seen, both or neither; returns the run's id.

    A push that is told again (its pusher's process ended before the answer) is the same run.
    """
    branch = push.branch or ""
    if seen_refs(tx, push.project).get(push.ref) == push.new:
        before = store.newest_run_of(tx, push.project, branch, push.new)
        if before is not None:
            return before
    stages = stages_for(site.flow, branch) if site is not None else ()
    kinds = {TEST: StageKind.TEST, APPROVAL: StageKind.APPROVAL}
    run_id = store.insert_run(
        tx,
        {
            "project": push.project,
            "branch": branch,
            "commit": push.new,
            "title": commit.title,
            "author": commit.author,
            "site": site_to_document(site) if site is not None else None,
            "created_by": push.pusher,
        },
        [("source", StageKind.SOURCE), *((name, kinds.get(name, StageKind.DEPLOY)) for name in stages)],
    )
    remember_ref(tx, push.project, push.ref, push.new)
    subject = f"project/{push.project}/run/{run_id}"
    tx.record(
        "pipeline:Start",
        actor=push.pusher,
        subject=subject,
        project=push.project,
        after={"state": RunState.RUNNING.value},
        branch=branch,
        commit=push.new,
        is_reconciled=push.is_reconciled,
    )
    if site is None:
        ledger.set_stage(tx, run_id, 0, StageState.FAILED, problem)
        ledger.end_run(tx, run_id, RunState.FAILED, problem)
    return run_id
