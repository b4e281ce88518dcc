"""Windows and the freeze, as deployments meet them: what waits says until when, and what may go on does."""

from typing import Any

from halage.environment.model import Deployment, DeploymentState
from halage.environment.settings.model import Change, Wish
from halage.site.model import EnvironmentPlan
from halage.site.settings import SchedulePlan, Window
from tests.clock import ManualClock
from tests.controlplane import PROD, ControlPlane, Ground, control_plane, eventually, site_of


async def _set(plane: ControlPlane, **settings: Any) -> Change:
    wish = Wish({path.replace("__", "."): value for path, value in settings.items()})
    return await plane.settings.change(*PROD, wish, actor="ada")


async def _waits(plane: ControlPlane, deployment_id: int) -> Deployment:
    async def look() -> Deployment | None:
        deployment = await plane.environments.deployment(deployment_id)
        return deployment if deployment.reason else None

    return await eventually(look, f"why deployment {deployment_id} waits")


async def test_a_frozen_environment_is_left_alone_until_it_is_thawed(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        frozen = await _set(plane, schedule__frozen=True, schedule__frozen_reason="the sale")
        assert frozen.deployment_id is not None
        assert (await plane.deployed(frozen.deployment_id)).state is DeploymentState.SUCCEEDED
        waiting = await plane.deploy(run_id=2)
        deployment = await _waits(plane, waiting)
        assert (deployment.state, deployment.reason) == (DeploymentState.WAITING, "frozen: the sale")
        small = await _set(plane, type="small")
        assert small.deployment_id is not None
        assert (await _waits(plane, small.deployment_id)).reason == "frozen: the sale"
        await plane.is_serving(["1", "1"])
        # what replaces no instance goes past those that wait
        await _set(plane, schedule__frozen=False)
        assert (await plane.deployed(waiting)).state is DeploymentState.SUCCEEDED

        async def is_small() -> bool:
            return (await plane.environments.show(*PROD)).type == "small"

        await eventually(is_small, "the type that was set meanwhile")


async def test_a_rollback_may_always_begin(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        await plane.deploy_whole(run_id=2)
        frozen = await _set(plane, schedule__frozen=True)
        assert frozen.deployment_id is not None
        await plane.deployed(frozen.deployment_id)
        rollback = await plane.environments.rollback(*PROD, number=1, actor="ada")
        assert (await plane.deployed(rollback.id)).state is DeploymentState.SUCCEEDED
        await plane.is_serving(["1", "1"])


async def test_a_deployment_that_is_held_can_be_stopped(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        plan = EnvironmentPlan("prod", schedule=SchedulePlan(frozen=True))
        deployment_id = await plane.deploy(site_of(plan=plan))
        await _waits(plane, deployment_id)
        await plane.environments.abort(deployment_id, actor="ada")
        assert (await plane.deployed(deployment_id)).state is DeploymentState.SUPERSEDED


async def test_a_deployment_outside_its_windows_begins_when_one_opens(
    ground: Ground, clock: ManualClock
) -> None:
    # The clock stands at 2001-09-09 01:46:40 UTC.
    plan = EnvironmentPlan("prod", schedule=SchedulePlan((Window("0 2 * * *", 3600.0),)))
    async with control_plane(ground) as plane:
        deployment_id = await plane.deploy(site_of(plan=plan))
        assert (
            await _waits(plane, deployment_id)
        ).reason == "outside its windows, until 2001-09-09 02:00 UTC"
        clock.jump(2 * 3600)
        plane.environment_controller.wake(PROD)
        await eventually(lambda: _reason_is_of(plane, deployment_id, "09-10 02:00"), "the next window")
        clock.jump(-2 * 3600)
        plane.environment_controller.wake(PROD)
        await eventually(lambda: _reason_is_of(plane, deployment_id, "09-09 02:00"), "the clock set back")
    clock.jump(1800)
    async with control_plane(ground) as plane:  # a restart begins what may begin now
        assert (await plane.deployed(deployment_id)).state is DeploymentState.SUCCEEDED


async def _reason_is_of(plane: ControlPlane, deployment_id: int, words: str) -> bool:
    return words in (await plane.environments.deployment(deployment_id)).reason
