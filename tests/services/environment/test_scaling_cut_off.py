"""The control plane is killed after its n-th change while it scales: nothing is lost or doubled."""

import itertools
from dataclasses import replace

from halage.environment.model import InstanceState
from halage.site.model import EnvironmentPlan
from halage.site.settings import ProcessKind, ScalingPlan, Trigger, TriggerKind
from tests.clock import ManualClock
from tests.controlplane import PROD, ControlPlane, Ground, control_plane, eventually, live, site_of
from tests.drivers import Life
from tests.services.environment.test_autoscaling import LOAD, Rig

JOBS = Trigger("jobs", TriggerKind.QUEUE, command="count", target=10, period_s=10, breach_s=10)
QUICK = ScalingPlan(1, 2, (LOAD,), warm_up_s=0, cool_down_out_s=0, cool_down_in_s=0)
WORKER = ProcessKind("worker", "work", 1, scaling=replace(QUICK, minimum=0, triggers=(JOBS,)))
SITE = site_of(plan=EnvironmentPlan("prod", 1, scaling=QUICK, processes=(WORKER,)))
BUSY, QUIET = {"load": 250.0, "jobs": 25.0}, {"load": 10.0, "jobs": 0.0}


async def _reach(rig: Rig, values: dict[str, float], web: int, workers: int) -> None:
    """Ticks with these values until so many of each kind run, and no more."""

    async def look() -> bool:
        await rig.tick(**values)
        shown = await rig.plane.environments.show(*PROD)
        states = [(each.process, each.state) for each in shown.instances]
        is_calm = all(state is InstanceState.SERVING for _, state in states)
        kinds = [process for process, _ in states]
        return is_calm and (kinds.count("web"), kinds.count("worker")) == (web, workers)

    await eventually(look, f"{web} web and {workers} workers")


async def test_scaling_that_is_cut_off_anywhere_goes_on(ground: Ground, clock: ManualClock) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(SITE)
        await _reach(Rig(plane, clock), QUIET, 1, 0)
    for steps in itertools.count(1):
        life = Life(steps)

        async def play(plane: ControlPlane) -> None:
            rig = Rig(plane, clock)
            try:
                await _reach(rig, BUSY, 2, 2)
                await _reach(rig, QUIET, 1, 0)
            finally:
                rig.autoscaler.stop()

        await live(ground, life, play)
        async with control_plane(ground) as plane:
            rig = Rig(plane, clock)
            await _reach(rig, QUIET, 1, 0)
            rig.autoscaler.stop()
            await _is_whole(ground, rig)
        if not life.is_over:
            assert steps > 10, f"scaling has many places to be cut off at: {life.taken}"
            return


async def _is_whole(ground: Ground, rig: Rig) -> None:
    """One unit for each instance, none twice; each change decided once, each in the journal."""
    assert len(ground.compute.running()) == 1
    assert ground.notes.illegal == []
    decisions = (await rig.scaling.show(*PROD, limit=10_000)).decisions
    changes = [each for each in decisions if each.kind in ("out", "in")]
    for process in ("web", "worker"):
        own = [each for each in reversed(changes) if each.process == process]
        for one, following in itertools.pairwise(own):
            assert one.after == following.before, f"{process}: a change was lost or made twice"
    journal = [each for each in await ground.entries() if each.action == "environment:Scale"]
    assert len(journal) == len(changes)
