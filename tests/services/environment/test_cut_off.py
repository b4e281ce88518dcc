"""The control plane is killed after its n-th change, for every n: the next one ends whole what it began."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from halage.compute.drivers.memory import Script
from halage.compute.model import UnitSpec
from halage.environment.model import Deployment, DeploymentState
from halage.environment.settings.model import Wish
from halage.site.model import EnvironmentPlan, RunPlan, Site
from halage.site.settings import CanaryPlan, DeploymentPlan, Policy
from tests.clock import ManualClock
from tests.controlplane import PROD, ControlPlane, Ground, control_plane, eventually, live, site_of
from tests.drivers import Life

SITE = site_of(run=RunPlan(start="serve", release_command="migrate"))
LEAN = site_of(instances=1, run=RunPlan(start="serve", release_command="migrate"))
"""One instance: there are half as many places to be cut off at, and each is one of its kind."""


async def _cut_off_everywhere(
    ground: Ground, play: Callable[[ControlPlane, int], Awaitable[object]], stride: int = 1
) -> AsyncIterator[tuple[int, ControlPlane]]:
    """Play with a life of 1, 2, 3 ... changes until one sees the end; the life after each, recovered."""
    for steps in itertools.count(1, stride):
        life = Life(steps)
        await live(ground, life, lambda plane, n=steps: play(plane, n))  # type: ignore[misc]
        async with control_plane(ground) as plane:
            yield steps, plane
        await _is_whole(ground)
        if not life.is_over:
            assert steps > 3, f"a play has many places to be cut off at: {life.taken}"
            return


async def _is_whole(ground: Ground) -> None:
    """No unit too many, none twice, none that visitors do not reach; nothing left of release commands."""
    running = sorted(unit.rpartition(".")[0] for unit in ground.compute.running())
    assert running == sorted(target.id for target in ground.balancer.serving("shop.prod"))
    assert ground.notes.illegal == []
    assert [unit.id for unit in await ground.compute.list() if unit.id.startswith("r-")] == []
    private = [path.name for path in (ground.directory / "sites" / "shop" / "prod" / "private").iterdir()]
    assert sorted(private) == running


async def _ended(plane: ControlPlane) -> Deployment:
    latest = await plane.environments.deployments(*PROD, limit=1)
    return await plane.deployed(latest[0].id)


def _scripts(instance: Script) -> Callable[[UnitSpec], Script]:
    return lambda spec: Script(exit_code=0) if spec.id.startswith("r-") else instance


async def test_a_rolling_deployment_that_is_cut_off_anywhere_succeeds(ground: Ground) -> None:
    ground.compute.script_for = _scripts(Script())
    async with control_plane(ground) as plane:
        await plane.deploy_whole(LEAN, run_id=1)

    async def deploy(plane: ControlPlane, steps: int) -> None:
        await plane.deploy_whole(LEAN, run_id=steps + 1)

    async for steps, plane in _cut_off_everywhere(ground, deploy):
        deployment = await _ended(plane)
        assert deployment.state is DeploymentState.SUCCEEDED, deployment.reason
        await plane.is_serving([str(steps + 1)])
        assert len(ground.started("r-")) == steps + 1, "the release command runs once for each deployment"


async def test_a_broken_release_that_is_cut_off_anywhere_is_rolled_back(ground: Ground) -> None:
    ground.compute.script_for = _scripts(Script())
    async with control_plane(ground) as plane:
        await plane.deploy_whole(LEAN, run_id=1)

    def script_for(spec: UnitSpec) -> Script:
        is_first = spec.environment["HALAGE_RELEASE"] == "1"
        return Script() if is_first else _scripts(Script(output=b"giving up\n", exit_code=3))(spec)

    ground.compute.script_for = script_for

    async def deploy(plane: ControlPlane, steps: int) -> None:
        await plane.deploy_whole(LEAN, run_id=steps + 1)

    async for _, plane in _cut_off_everywhere(ground, deploy, 3):
        deployment = await _ended(plane)
        assert deployment.state is DeploymentState.ROLLED_BACK
        assert "exited with code 3" in deployment.reason
        assert deployment.log_tail == "giving up"
        await plane.is_serving(["1"])


async def test_a_failing_release_command_that_is_cut_off_anywhere_starts_no_instance(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script(output=b"locked\n", exit_code=4)
    async with control_plane(ground) as plane:
        await plane.deploy_whole(LEAN, run_id=1)

    async def deploy(plane: ControlPlane, steps: int) -> None:
        await plane.deploy_whole(LEAN, run_id=steps + 1)

    async for steps, plane in _cut_off_everywhere(ground, deploy):
        deployment = await _ended(plane)
        assert deployment.state is DeploymentState.FAILED
        assert deployment.reason == "the release command `migrate` exited with code 4"
        assert deployment.log_tail == "locked"
        assert len(ground.started("r-")) == steps + 1
        assert ground.started("i-") == []


def _by(policy: Policy, keep_old_s: float = 0.0) -> Site:
    plan = DeploymentPlan(policy, keep_old_s=keep_old_s, canary=CanaryPlan(duration_s=0))
    prod = EnvironmentPlan("prod", instances=2, deployments=plan)
    return site_of(plan=prod, run=RunPlan(start="serve", release_command="migrate"))


@pytest.mark.parametrize("policy", [each for each in Policy if each is not Policy.ROLLING_ADDITIONAL])
async def test_a_deployment_by_any_policy_that_is_cut_off_succeeds(ground: Ground, policy: Policy) -> None:
    ground.compute.script_for = _scripts(Script())
    async with control_plane(ground) as plane:
        await plane.deploy_whole(_by(policy), run_id=1)

    async def deploy(plane: ControlPlane, steps: int) -> None:
        await plane.deploy_whole(_by(policy), run_id=steps + 1)

    # Every fifth moment: a stride that no pattern of steps divides.
    deployed = 1
    async for _, plane in _cut_off_everywhere(ground, deploy, 5):
        deployment = await _ended(plane)
        assert deployment.state is DeploymentState.SUCCEEDED, deployment.reason
        deployed += 1
        await plane.is_serving([str(deployed)] * 2)
        assert len(ground.started("r-")) == deployed, "the release command runs once for each deployment"


async def test_a_swap_that_is_cut_off_anywhere_ends_whole(ground: Ground) -> None:
    site = _by(Policy.BLUE_GREEN, keep_old_s=300)
    ground.compute.script_for = _scripts(Script())
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site, run_id=1)
        await plane.deploy_whole(site, run_id=2)
    started = ground.started("")

    async def swap(plane: ControlPlane, _: int) -> None:
        await plane.deployed((await plane.environments.swap(*PROD, actor="ada")).id)

    for steps in itertools.count(1, 2):
        life = Life(steps)
        await live(ground, life, lambda plane, n=steps: swap(plane, n))  # type: ignore[misc]
        async with control_plane(ground) as plane:
            deployment = await _ended(plane)
            assert deployment.state is DeploymentState.SUCCEEDED, deployment.reason
            assert ground.visitors_reach() == [str(deployment.release.number)] * 2
        assert ground.started("") == started, "nothing is started"
        if not life.is_over:
            return


async def test_a_dead_instance_is_replaced_once_wherever_its_replacement_is_cut_off(
    ground: Ground, clock: ManualClock
) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(), run_id=1)

    async def kill_one(plane: ControlPlane, _: int) -> None:
        await clock.advance(100.0)  # it was steady: it starts again without a back-off
        ground.compute.end(ground.compute.running()[0], 137)
        await eventually(_dead_is_gone, "the replacement")
        await plane.is_serving(["1", "1"])

    async def _dead_is_gone() -> bool:
        return len(ground.compute.running()) == 2

    async for _, plane in _cut_off_everywhere(ground, kill_one):
        await plane.is_serving(["1", "1"])


async def test_a_life_that_ends_again_and_again_gets_there_in_the_end(ground: Ground) -> None:
    ground.compute.script_for = _scripts(Script())
    async with control_plane(ground) as plane:
        await plane.deploy_whole(SITE, run_id=1)
        await plane.deploy(SITE, run_id=2)

    async def wait(plane: ControlPlane) -> None:
        await plane.is_serving(["2", "2"])
        await _ended(plane)

    lives = 0
    is_over = True
    while is_over:
        life = Life(9)  # telling the balancer again of three instances takes six
        await live(ground, life, wait)
        is_over = life.is_over
        lives += 1
        assert lives < 60, f"no way forward: {life.taken}"
    assert lives > 2
    await _is_whole(ground)
    assert len(ground.started("r-")) == 2


@pytest.mark.parametrize("path", ["deployments.batch", "type"])
async def test_a_deployment_of_settings_that_is_cut_off_anywhere_is_whole(ground: Ground, path: str) -> None:
    values = itertools.cycle([2, 3] if path == "deployments.batch" else ["small", "micro"])
    ground.compute.script_for = _scripts(Script())
    async with control_plane(ground) as plane:
        await plane.deploy_whole(LEAN, run_id=1)

    async def change(plane: ControlPlane, steps: int) -> None:
        made = await plane.settings.change(*PROD, Wish({path: next(values)}), actor="ada")
        assert made.deployment_id is not None
        await plane.deployed(made.deployment_id)

    async for _, plane in _cut_off_everywhere(ground, change, 1 if path == "deployments.batch" else 4):
        deployment = await _ended(plane)
        assert deployment.state is DeploymentState.SUCCEEDED, deployment.reason
        shown = await plane.settings.show(*PROD)
        (setting,) = [each for each in shown.settings if each.path == path]
        assert not setting.is_pending, "what is set is what serves"
        history = await plane.settings.history(*PROD, limit=1)
        assert all(each.release == shown.release for each in history)


async def test_settings_changed_in_a_deployment_that_is_cut_off_anywhere_are_deployed_after_it(
    ground: Ground,
) -> None:
    types = itertools.cycle(["small", "micro"])
    ground.compute.script_for = _scripts(Script())
    async with control_plane(ground) as plane:
        await plane.deploy_whole(LEAN, run_id=1)

    async def play(plane: ControlPlane, steps: int) -> None:
        first = await plane.deploy(LEAN, run_id=steps + 1)
        made = await plane.settings.change(*PROD, Wish({"type": next(types)}), actor="ada")
        await plane.deployed(first)
        await plane.deployed(made.deployment_id or first)

    async for _, plane in _cut_off_everywhere(ground, play, 9):
        await _ended(plane)
        for deployment in await plane.environments.deployments(*PROD, limit=2):
            assert (await plane.deployed(deployment.id)).state is not DeploymentState.FAILED
        assert all(not each.is_pending for each in (await plane.settings.show(*PROD)).settings)
