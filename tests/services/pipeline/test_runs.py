"""Runs from the push to production: stages, approvals, cancel, retry, retention."""

import asyncio
import itertools
from dataclasses import replace

import pytest

from halage.compute.drivers.memory import Script
from halage.compute.model import UnitSpec
from halage.environment.model import DeploymentState
from halage.pipeline.errors import CannotRetry, NoSuchRun, NoSuchStage, NotWaiting, RunEnded
from halage.pipeline.model import Run, RunState, StageState
from halage.source.model import ABSENT, Push
from tests.clock import ManualClock
from tests.controlplane import JOB_SUCCEEDS, PROD, SHOP, ControlPlane, Ground, control_plane, eventually

FAST = '[flow]\nmain = ["test", "prod"]\n[environments.prod]\napproval = false\n'
GUARDED = '[flow]\nmain = ["test", "dev", "approval", "prod"]\n'


def files(flow: str = FAST, extra: str = "") -> dict[str, str]:
    toml = f'kind = "node"\n[test]\ncommands = ["./test"]\n[run]\nstart = "node server.js"\n{extra}\n{flow}'
    return {"halage.toml": toml, "server.js": "serve()"}


def _states(run: Run) -> dict[str, StageState]:
    return {stage.name: stage.state for stage in run.stages}


async def test_a_push_goes_through_tests_to_production(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        run = await plane.run_until(await plane.push(files()))
        assert run.state is RunState.SUCCEEDED
        assert [(s.name, s.state.value) for s in run.stages] == [
            ("source", "succeeded"),
            ("test", "succeeded"),
            ("prod", "succeeded"),
        ]
        assert ground.visitors_reach() == ["1", "1"]
        assert ground.spec_of("i-").environment["HALAGE_COMMIT"] == run.commit
        actions = [entry.action for entry in await ground.entries()]
        assert actions[0] == "pipeline:Start"
        assert actions[-1] == "pipeline:Succeeded"


async def test_a_red_test_ends_the_run_and_production_stays(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.run_until(await plane.push(files()))
        ground.compute.script_for = lambda spec: Script(output=b"\x1ecommand ./test\n", exit_code=1)
        run = await plane.run_until(await plane.push(files()))
        assert (run.state, run.reason) == (RunState.FAILED, "`./test` exited with code 1")
        assert _states(run)["prod"] is StageState.PENDING
        assert ground.visitors_reach() == ["1", "1"]


async def test_a_release_that_is_rolled_back_fails_its_run_with_the_cause(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: (
        JOB_SUCCEEDS if spec.id.startswith("j-") else Script(output=b"no database\n", exit_code=3)
    )
    async with control_plane(ground) as plane:
        run = await plane.run_until(await plane.push(files()))
        assert run.state is RunState.FAILED
        assert "exited with code 3" in run.reason


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"halage.toml": 'kind = "node"\n[run]\nstrat = "x"\n'}, "start"),
        ({"halage.toml": "[[["}, "halage.toml"),
        ({"halage.toml": "a = " + "[" * 5000}, "halage.toml"),
        ({"package.json": "[" * 100_000}, "start"),
        ({"README": "hello"}, "index.html"),
    ],
)
async def test_a_commit_that_cannot_be_understood_is_a_failed_run_that_says_why(
    ground: Ground, given: dict[str, str], said: str
) -> None:
    sha = ground.source.add_commit(given)
    async with control_plane(ground) as plane:
        answer = await plane.trigger.pushed(Push(SHOP, "refs/heads/main", ABSENT, sha, "ada"))
        (run,) = await plane.pipeline.runs(SHOP)
        assert run.state is RunState.FAILED
        assert said in run.reason
        assert answer.lines[0] == f"run {run.id} failed: http://halage.test/runs/{run.id}"
        assert any(said in line for line in answer.lines[1:])
        with pytest.raises(CannotRetry, match="push a corrected commit"):
            await plane.pipeline.retry(run.id, actor="ada")
    assert ground.compute.calls == []


async def test_tags_deletions_and_skipped_pushes_start_nothing(ground: Ground) -> None:
    sha = ground.source.add_commit(files())
    async with control_plane(ground) as plane:
        for push in (
            Push(SHOP, "refs/tags/v1", ABSENT, sha, "ada"),
            Push(SHOP, "refs/heads/old", sha, ABSENT, "ada"),
            Push(SHOP, "refs/heads/main", ABSENT, sha, "ada", ("skip",)),
        ):
            assert (await plane.trigger.pushed(push)).lines == ()
        assert list(await plane.pipeline.runs()) == []


async def test_a_push_that_is_told_twice_starts_one_run(ground: Ground) -> None:
    push = Push(SHOP, "refs/heads/main", ABSENT, ground.source.add_commit(files()), "ada")
    async with control_plane(ground) as plane:
        first = await plane.trigger.pushed(push)
        again = await plane.trigger.pushed(replace(push, is_reconciled=True))
        (run,) = await plane.pipeline.runs(SHOP)
        assert first.lines[0] == again.lines[0]
        await plane.run_until(run.id)
    assert ground.started("j-") == ["j-1.1"]


async def test_going_back_to_an_earlier_commit_is_a_push_of_its_own(ground: Ground) -> None:
    one, two = (ground.source.add_commit(files()) for _ in range(2))
    async with control_plane(ground) as plane:
        for sha in (one, two, one):
            await plane.trigger.pushed(Push(SHOP, "refs/heads/main", ABSENT, sha, "ada"))
        runs = await plane.pipeline.runs(SHOP)
        assert [run.commit for run in runs] == [one, two, one]
        await plane.run_until(runs[0].id)


async def test_an_approval_opens_production(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        run_id = await plane.push(files(GUARDED))
        run = await plane.run_until(run_id, RunState.WAITING)
        assert run.reason == "waits for an approval of prod"
        assert ground.visitors_reach((SHOP, "dev")) == ["1"]
        assert ground.visitors_reach() == []
        waiting = await plane.pipeline.waiting_approval(SHOP)
        assert waiting is not None and waiting.id == run_id
        await plane.pipeline.approve(run_id, comment="looks good", actor="bob")
        run = await plane.run_until(run_id)
        assert run.state is RunState.SUCCEEDED
        gate = run.stages[3]
        assert (gate.decided_by, gate.comment, gate.reason) == (
            "bob",
            "looks good",
            "approved by bob: looks good",
        )
        assert await plane.pipeline.waiting_approval(SHOP) is None
        with pytest.raises(NotWaiting, match=f"run {run_id} is succeeded: it does not wait"):
            await plane.pipeline.approve(run_id, actor="bob")


async def test_a_rejection_ends_the_run_with_its_comment(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        run_id = await plane.push(files(GUARDED))
        await plane.run_until(run_id, RunState.WAITING)
        await plane.pipeline.reject(run_id, comment="wrong colour", actor="bob")
        run = await plane.run_until(run_id)
        assert (run.state, run.reason) == (RunState.FAILED, "rejected by bob: wrong colour")
        assert ground.visitors_reach() == []
        entry = next(e for e in await ground.entries() if e.action == "pipeline:Reject")
        assert (entry.actor, entry.details["comment"]) == ("bob", "wrong colour")


async def test_a_newer_run_supersedes_an_older_one_at_the_same_gate(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        old = await plane.push(files(GUARDED))
        await plane.run_until(old, RunState.WAITING)
        new = await plane.push(files(GUARDED))
        await plane.run_until(new, RunState.WAITING)
        run = await plane.run_until(old)
        assert run.state is RunState.SUPERSEDED
        assert run.reason == f"superseded by run {new}, which is newer and waits for the same approval"


async def test_an_older_run_that_comes_late_to_a_gate_is_superseded_there(ground: Ground) -> None:
    ground.compute.script_for = _holds_the_first_job
    async with control_plane(ground) as plane:
        old = await plane.push(files(GUARDED.replace('"dev", ', "")))
        new = await plane.push(files(GUARDED.replace('"dev", ', "")))
        await plane.run_until(new, RunState.WAITING)
        ground.compute.end("j-1.1", 0)
        run = await plane.run_until(old)
        assert run.state is RunState.SUPERSEDED
        assert run.reason == f"superseded by run {new}, which is newer and waits for the same approval"
        assert (await plane.pipeline.run(new)).state is RunState.WAITING


def _holds_the_first_job(spec: UnitSpec) -> Script:
    return Script() if spec.id == "j-1.1" else JOB_SUCCEEDS


async def test_an_approval_has_a_deadline_of_its_own(ground: Ground, clock: ManualClock) -> None:
    async with control_plane(ground) as plane:
        run_id = await plane.push(files(GUARDED))
        await plane.run_until(run_id, RunState.WAITING)
        await clock.advance(30 * 86400.0 - 1)
        plane.pipeline_controller.wake(run_id)
        await asyncio.sleep(0.01)
        assert (await plane.pipeline.run(run_id)).state is RunState.WAITING
        await clock.advance(1)
        plane.pipeline_controller.wake(run_id)
        run = await plane.run_until(run_id)
        assert (run.state, run.reason) == (RunState.FAILED, "nobody approved it before its deadline")


async def test_cancel_during_the_tests_ends_the_job(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script()
    async with control_plane(ground) as plane:
        run_id = await plane.push(files())
        await _runs(ground, "j-1.1")
        await plane.pipeline.cancel(run_id, actor="bob")
        run = await plane.run_until(run_id)
        assert (run.state, run.reason) == (RunState.CANCELLED, "cancelled by bob")
        assert _states(run)["test"] is StageState.CANCELLED
        await plane.job_ended(1)
        with pytest.raises(RunEnded, match=f"run {run_id} is cancelled: there is nothing to cancel"):
            await plane.pipeline.cancel(run_id, actor="bob")
    assert ground.compute.running() == []


async def _runs(ground: Ground, unit: str) -> None:
    async def look() -> bool:
        return any(each.startswith(unit) for each in ground.compute.running())

    await eventually(look, f"a unit {unit}")


async def test_cancel_during_a_deployment_turns_it_round(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.run_until(await plane.push(files()))
        ground.prober.answers.clear()
        run_id = await plane.push(files())

        async def is_deploying() -> bool:
            deployment = (await plane.environments.show(*PROD)).deployment
            return deployment is not None and deployment.run_id == run_id and not deployment.state.is_final

        await eventually(is_deploying, "the deployment")
        await plane.pipeline.cancel(run_id, actor="bob")
        ground.prober.answers.set()
        await plane.is_serving(["1", "1"])
        deployment = (await plane.environments.deployments(*PROD))[0]
        assert (await plane.deployed(deployment.id)).state is DeploymentState.ROLLED_BACK
        assert (await plane.pipeline.run(run_id)).state is RunState.CANCELLED


async def test_cancel_at_any_moment_leaves_no_job_behind(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script()
    async with control_plane(ground) as plane:
        for turns in range(12):
            run_id = await plane.push(files())
            for _ in range(turns):
                await asyncio.sleep(0)
            await plane.pipeline.cancel(run_id, actor="bob")
            assert (await plane.pipeline.run(run_id)).state is RunState.CANCELLED

        async def look() -> bool:
            return ground.compute.running() == []

        await eventually(look, "every job to end")
        states = {run.state for run in await plane.pipeline.runs(SHOP)}
        assert states == {RunState.CANCELLED}


async def test_cancel_while_it_waits_for_an_approval(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        run_id = await plane.push(files(GUARDED))
        await plane.run_until(run_id, RunState.WAITING)
        await plane.pipeline.cancel(run_id, actor="bob")
        run = await plane.run_until(run_id)
        assert run.state is RunState.CANCELLED
        assert await plane.pipeline.waiting_approval(SHOP) is None


async def test_retry_goes_on_from_the_stage_that_failed_with_the_same_bundle(ground: Ground) -> None:
    ground.prober.problem_of = lambda spec: "it answered 500"
    async with control_plane(ground) as plane:
        run_id = await plane.push(files())
        assert (await plane.run_until(run_id)).state is RunState.FAILED
        ground.prober.problem_of = lambda spec: None
        await plane.pipeline.retry(run_id, actor="bob")
        run = await plane.run_until(run_id)
        assert run.state is RunState.SUCCEEDED
        assert [stage.attempt for stage in run.stages] == [1, 1, 2]
    assert ground.started("j-") == ["j-1.1"]


async def test_retry_from_the_tests_builds_again(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        run_id = await plane.push(files())
        await plane.run_until(run_id)
        with pytest.raises(
            CannotRetry, match="succeeded; name a stage to run again from: source, test, prod"
        ):
            await plane.pipeline.retry(run_id, actor="bob")
        with pytest.raises(NoSuchStage, match="has no stage stage; it has source, test, prod"):
            await plane.pipeline.retry(run_id, stage="stage", actor="bob")
        await plane.pipeline.retry(run_id, stage="test", actor="bob")
        run = await plane.run_until(run_id)
        assert run.state is RunState.SUCCEEDED
        assert ground.started("j-") == ["j-1.1", "j-2.1"]
        assert ground.visitors_reach() == ["2", "2"]


async def test_a_run_under_way_and_an_unknown_one_cannot_be_retried(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        run_id = await plane.push(files(GUARDED))
        await plane.run_until(run_id, RunState.WAITING)
        with pytest.raises(CannotRetry, match=f"run {run_id} is waiting: it has not ended"):
            await plane.pipeline.retry(run_id, actor="bob")
        with pytest.raises(NoSuchRun, match="there is no run 99"):
            await plane.pipeline.retry(99, actor="bob")


@pytest.mark.parametrize("verb", ["rollback", "abort"])
async def test_a_run_whose_waiting_deployment_is_taken_away_ends(ground: Ground, verb: str) -> None:
    async with control_plane(ground) as plane:
        for _ in range(2):
            await plane.run_until(await plane.push(files()))
        ground.prober.answers.clear()
        await plane.push(files())
        await _is_deploying(plane, 3)
        run_id = await plane.push(files())
        deployment_id = await _is_deploying(plane, 4)
        if verb == "rollback":
            await plane.environments.rollback(*PROD, actor="bob")
        else:
            await plane.environments.abort(deployment_id, actor="bob")
        assert (await plane.run_until(run_id)).state is RunState.SUPERSEDED
        ground.prober.answers.set()
        await plane.run_until(3)


async def _is_deploying(plane: ControlPlane, run_id: int) -> int:
    async def look() -> int | None:
        return next(
            (s.deployment_id for s in (await plane.pipeline.run(run_id)).stages if s.deployment_id), 0
        )

    found = await eventually(look, f"the deployment of run {run_id}")
    assert found is not None
    return found


async def test_following_a_run_shows_each_change_and_ends(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        run_id = await plane.push(files())
        seen = [run async for run in plane.pipeline.follow(run_id)]
        assert seen[-1].state is RunState.SUCCEEDED
        assert len(seen) > 2
        assert all(one != two for one, two in itertools.pairwise(seen))


async def test_bundles_that_nobody_needs_any_more_are_deleted(ground: Ground) -> None:
    ground.limits = replace(ground.limits, keep_releases=1)
    async with control_plane(ground) as plane:
        digests = []
        for number in range(6):
            run = await plane.run_until(await plane.push({**files(), "page": str(number)}))
            assert run.state is RunState.SUCCEEDED
            digests.append((await plane.builds.job(run.stages[1].job_id or 0)).bundle_digest)

        async def kept() -> bool:
            stored = {path.name for path in (ground.directory / "objects").rglob("*") if path.is_file()}
            return stored == set(digests[-5:])

        await eventually(kept, "the first bundle to go, just after the end of the last run")
