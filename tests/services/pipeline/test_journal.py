"""What runs and deployments leave in the journal: each state before and after, and who it was."""

from typing import Any

from halage.base.origin import coming_from
from halage.compute.drivers.memory import Script
from halage.pipeline.model import RunState
from tests.controlplane import Ground, control_plane
from tests.services.pipeline.test_runs import GUARDED, files


def _state(document: Any) -> str:
    return str((document or {}).get("state"))


async def _told(ground: Ground) -> list[str]:
    """The whole journal, a line an entry."""
    return [
        f"{entry.action} {_state(entry.before)}>{_state(entry.after)} {entry.actor}"
        for entry in await ground.entries()
    ]


async def test_the_way_of_a_change_is_told_with_every_state_before_and_after(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        with coming_from("git 203.0.113.5"):
            run_id = await plane.push(files(GUARDED))
        await plane.run_until(run_id, RunState.WAITING)
        with coming_from("console 203.0.113.6"):
            await plane.pipeline.approve(run_id, comment="go", actor="bob")
        await plane.run_until(run_id)
        assert await _told(ground) == [
            "pipeline:Start None>running ada",
            "pipeline:StageEnded pending>succeeded halage",
            "pipeline:StageEnded running>succeeded halage",
            "environment:Deploy waiting>running halage",
            "environment:Deployed running>succeeded halage",
            "pipeline:StageEnded running>succeeded halage",
            "pipeline:WaitForApproval running>waiting halage",
            "pipeline:Approve waiting>succeeded bob",
            "environment:Deploy waiting>running halage",
            "environment:Deployed running>succeeded halage",
            "pipeline:StageEnded running>succeeded halage",
            "pipeline:Succeeded running>succeeded halage",
        ]
        origins = {entry.action: entry.origin for entry in await ground.entries()}
        assert origins["pipeline:Start"] == "git 203.0.113.5"
        assert origins["pipeline:Approve"] == "console 203.0.113.6"
        assert {origins[each] for each in origins if each.endswith(("Ended", "Deploy", "Deployed"))} == {
            "halage"
        }
        again = await plane.push(files(GUARDED))
        await plane.run_until(again, RunState.WAITING)
        deployed = [e for e in await ground.entries() if e.action == "environment:Deployed"]
        assert [(e.before or {})["release"] for e in deployed] == [None, None, 1]
        assert [(e.after or {})["release"] for e in deployed] == [1, 1, 2]


async def test_what_is_cancelled_rejected_retried_or_rolled_back_is_told_too(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        run_id = await plane.push(files(GUARDED))
        await plane.run_until(run_id, RunState.WAITING)
        await plane.pipeline.reject(run_id, comment="no", actor="bob")
        await plane.run_until(run_id)
        await plane.pipeline.retry(run_id, stage="approval", actor="ada")
        await plane.run_until(run_id, RunState.WAITING)
        await plane.pipeline.cancel(run_id, actor="ada")
        told = await _told(ground)
        assert told[-6:] == [
            "pipeline:Reject waiting>failed bob",
            "pipeline:Failed running>failed halage",
            "pipeline:Retry failed>running ada",
            "pipeline:WaitForApproval running>waiting halage",
            "pipeline:StageEnded waiting>cancelled halage",
            "pipeline:Cancel waiting>cancelled ada",
        ]


async def test_a_deployment_that_turns_back_is_told_with_its_states(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(run_id=1)
        ground.compute.script_for = lambda spec: Script(exit_code=3)
        await plane.deploy_whole(run_id=2)
        assert (await _told(ground))[-3:] == [
            "environment:Deploy waiting>running halage",
            "environment:RollBack running>rolling_back halage",
            "environment:RolledBack rolling_back>rolled_back halage",
        ]
