"""The control plane is killed at every step of a run: the next one brings it to its end, nothing twice."""

import itertools

from halage.compute.drivers.memory import Script
from halage.pipeline.model import RunState
from tests.controlplane import JOB_SUCCEEDS, SHOP, ControlPlane, Ground, control_plane, live
from tests.drivers import Life

TOML = """\
kind = "node"
[test]
commands = ["./test"]
[run]
start = "node server.js"
release = "migrate"
[flow]
main = ["test", "dev", "approval", "prod"]
[environments.prod]
instances = 1
"""


async def test_a_run_that_is_cut_off_anywhere_goes_its_whole_way_and_does_nothing_twice(
    ground: Ground,
) -> None:
    ground.compute.script_for = lambda spec: (
        JOB_SUCCEEDS if spec.id.startswith("j-") else Script(exit_code=0 if spec.id[0] == "r" else None)
    )

    async with control_plane(ground) as plane:
        await plane.run_until(await plane.push({"halage.toml": TOML}), RunState.WAITING)
    for number in itertools.count(1):
        steps = number * 7  # every seventh place: those of a deployment have a test of their own
        sha = ground.source.add_commit({"halage.toml": TOML})
        life = Life(steps)
        await live(ground, life, lambda plane, sha=sha: _push_and_play(plane, sha))  # type: ignore[misc]
        async with control_plane(ground) as plane:
            run_id = await plane.push_commit(sha)  # told again: who was killed said nothing
            run = await plane.run_until(run_id, RunState.WAITING, RunState.SUCCEEDED)
            if run.state is RunState.WAITING:
                await plane.pipeline.approve(run_id, actor="bob")
            run = await plane.run_until(run_id)
            assert run.state is RunState.SUCCEEDED, run.reason
            assert len(await plane.pipeline.runs(SHOP, limit=1000)) == number + 1
            await plane.is_serving([str(number)])
        assert len(ground.started("j-")) == number + 1, "no job twice"
        assert len(ground.compute.running()) == 2, "an instance in dev and one in production"
        if not life.is_over:
            assert steps > 20
            return


async def _push_and_play(plane: ControlPlane, sha: str) -> None:
    run_id = await plane.push_commit(sha)
    await plane.run_until(run_id, RunState.WAITING)
    await plane.pipeline.approve(run_id, actor="bob")
    await plane.run_until(run_id)
