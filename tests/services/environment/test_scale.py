"""Scaling by hand and by alarms, as the drivers see it: without a deployment, at once, and it stays."""

import pytest

from halage.base.errors import Conflict, Invalid
from halage.base.origin import coming_from
from halage.environment.control.actuator import Actuator
from halage.environment.errors import NoSuchEnvironment, NothingDeployed, NothingToReturnTo
from halage.environment.model import Colour, DeploymentState
from halage.site.model import EnvironmentPlan
from tests.controlplane import PROD, SHOP, ControlPlane, Ground, control_plane, eventually, site_of


def _actuator(plane: ControlPlane) -> Actuator:
    return Actuator(plane.environments._m, plane.environment_controller)


async def test_up_and_down_take_effect_at_once_without_a_deployment(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(instances=1))
        first = ground.compute.running()
        shown = await plane.environments.scale(*PROD, 3, actor="ada")
        assert (shown.wanted, shown.planned, shown.scaled) == (3, 1, 3)
        await plane.is_serving(["1", "1", "1"])
        assert set(first) < set(ground.compute.running()), "what served goes on"
        assert (await plane.environments.show(*PROD)).colour is Colour.GREEN
        ground.notes.told.clear()
        await plane.environments.scale(*PROD, 1, actor="ada")
        await plane.is_serving(["1"])

        async def two_stopped() -> bool:
            return len(ground.compute.running()) == 1

        await eventually(two_stopped, "the end of two instances")
        routed = [(verb, unit) for verb, unit in ground.notes.told if verb != "stop"]
        assert [verb for verb, _ in routed] == ["drain", "take out"] * 2, "one by one"
        assert routed[0][1] == routed[1][1] != routed[2][1] == routed[3][1]
        assert len(await plane.environments.deployments(*PROD)) == 1


async def test_the_number_stays_through_deployments_and_restarts_until_it_is_reset(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(instances=2))
        await plane.environments.scale(*PROD, 3, actor="ada")
        await plane.is_serving(["1"] * 3)
        deployment = await plane.deploy_whole(site_of(instances=4), run_id=2)
        assert (deployment.state, deployment.done, deployment.wanted) == (DeploymentState.SUCCEEDED, 3, 3)
        await plane.is_serving(["2"] * 3)
    async with control_plane(ground) as plane:
        await plane.is_serving(["2"] * 3)
        shown = await plane.environments.scale(*PROD, None, actor="ada")
        assert (shown.wanted, shown.planned, shown.scaled) == (4, 4, None)
        await plane.is_serving(["2"] * 4)
        ended = await plane.environments.deployment(deployment.id)
        assert (ended.done, ended.wanted) == (3, 3), "what has ended is told as it was"


async def test_a_deployment_under_way_goes_to_the_new_number(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(instances=2))
        ground.prober.answers.clear()
        deployment_id = await plane.begin(site_of(instances=2), run_id=2)
        await plane.environments.scale(*PROD, 3, actor="ada")
        assert (await plane.environments.deployment(deployment_id)).wanted == 3
        ground.prober.answers.set()
        assert (await plane.deployed(deployment_id)).done == 3
        await plane.is_serving(["2"] * 3)


async def test_it_is_journalled_with_what_was_before_after_and_from_where(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(instances=2))
        with coming_from("api 203.0.113.5 token ci"):
            await plane.environments.scale(*PROD, 3, actor="ada")
            await plane.environments.scale(*PROD, 3, actor="ada")  # again: nothing changes
        with coming_from("console 127.0.0.1"):
            await plane.environments.scale(*PROD, None, actor="bob")
        await plane.is_serving(["1"] * 2)
        unit = ground.compute.running()[0]
        with coming_from("api 203.0.113.5"):  # who wakes the controller is not who restarts an instance
            ground.compute.end(unit, 137)
            await plane.environments.scale(*PROD, 2, actor="ada")
            await plane.is_serving(["1"] * 2)
        entries = await ground.entries()
    scaled = [entry for entry in entries if entry.action == "environment:Scale"]
    assert [(e.actor, e.subject, e.before, e.after, e.origin) for e in scaled] == [
        (
            "ada",
            "project/shop/environment/prod",
            {"instances": 2, "is_scaled": False},
            {"instances": 3, "is_scaled": True},
            "api 203.0.113.5 token ci",
        ),
        (
            "bob",
            "project/shop/environment/prod",
            {"instances": 3, "is_scaled": True},
            {"instances": 2, "is_scaled": False},
            "console 127.0.0.1",
        ),
        (
            "ada",
            "project/shop/environment/prod",
            {"instances": 2, "is_scaled": False},
            {"instances": 2, "is_scaled": True},
            "api 203.0.113.5",
        ),
    ]
    (restart,) = [entry for entry in entries if entry.action == "environment:RestartInstance"]
    assert restart.origin == "halage"
    assert (restart.before, restart.after) == (
        {"state": "serving", "attempt": 1},
        {"state": "starting", "attempt": 2},
    )


@pytest.mark.parametrize("number", [0, -1, 101])
async def test_a_number_that_cannot_be_is_refused(ground: Ground, number: int) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        with pytest.raises(Invalid, match=f"from 1 to 100 instances, not {number}"):
            await plane.environments.scale(*PROD, number, actor="ada")
        assert (await plane.environments.show(*PROD)).scaled is None


async def test_an_environment_can_be_scaled_before_anything_is_there(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.environments.create(SHOP, [EnvironmentPlan("dev"), EnvironmentPlan("prod")])
        assert (await plane.environments.scale(*PROD, 3, actor="ada")).wanted == 0
        await plane.deploy_whole(site_of(instances=1))
        await plane.is_serving(["1"] * 3)
        with pytest.raises(NoSuchEnvironment):
            await plane.environments.scale(SHOP, "stage", 2, actor="ada")


async def test_an_instance_that_does_not_come_up_is_tried_again_while_the_others_serve(
    ground: Ground,
) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(instances=1))
        ground.prober.problem_of = lambda spec: "it answered 500"
        await plane.environments.scale(*PROD, 2, actor="ada")

        async def tried() -> bool:
            environment = await plane.environments.show(*PROD)
            return environment.colour is Colour.YELLOW and len(environment.instances) == 2

        await eventually(tried, "an instance that does not answer")
        assert ground.visitors_reach() == ["1"]
        await plane.environments.scale(*PROD, None, actor="ada")
        await plane.is_serving(["1"])


async def test_an_alarm_scales_what_is_deployed(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(instances=2))
        actuator = _actuator(plane)
        assert (await actuator.look(*PROD)).wanted == 2
        for _ in range(2):
            await actuator.scale(*PROD, 3, "alarm busy: cpu 91% > 80%")
        assert (await actuator.look(*PROD)).wanted == 3
        await plane.is_serving(["1"] * 3)
        (scaled,) = [entry for entry in await ground.entries() if entry.action == "environment:Scale"]
        assert (scaled.actor, scaled.details) == ("alarm", {"reason": "alarm busy: cpu 91% > 80%"})


async def test_an_alarm_scales_nothing_where_nothing_is_deployed(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.environments.create(SHOP, [EnvironmentPlan("prod")])
        standing = await _actuator(plane).look(*PROD)
        assert (standing.release, standing.deployed_at) == (None, None)
        with pytest.raises(NothingDeployed):
            await _actuator(plane).scale(*PROD, 2, "alarm busy")


async def test_an_alarm_rolls_back_to_the_last_good_release_once(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        for run_id in (1, 2, 3):
            await plane.deploy_whole(run_id=run_id)
        actuator = _actuator(plane)
        standing = await actuator.look(*PROD)
        assert standing.release == 3
        assert standing.deployed_at == (await plane.environments.deployment(3)).finished_at
        await actuator.rollback(*PROD, 3, "alarm errors: 5xx 12% > 5%")
        deployment = await plane.deployed(4)
        assert (deployment.kind, deployment.state) == ("rollback", DeploymentState.SUCCEEDED)
        (entry,) = [e for e in await ground.entries() if e.action == "environment:Rollback"]
        assert (entry.actor, entry.before, entry.after) == ("alarm", {"release": 3}, {"release": 2})
        assert entry.details == {"deployment": 4, "reason": "alarm errors: 5xx 12% > 5%"}
        await actuator.rollback(*PROD, 3, "alarm errors: asked again")
        assert len(await plane.environments.deployments(*PROD)) == 4
        assert (await actuator.look(*PROD)).deployed_at is None, "a rollback is no deployment to return from"


async def test_an_alarm_rolls_nothing_back_during_a_deployment_or_without_a_good_release(
    ground: Ground,
) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(run_id=1)
        actuator = _actuator(plane)
        with pytest.raises(NothingToReturnTo, match="has no earlier good release"):
            await actuator.rollback(*PROD, 1, "")
        ground.prober.answers.clear()
        under_way = await plane.begin(run_id=2)
        waiting = await plane.deploy(run_id=3)
        with pytest.raises(Conflict, match=f"deployment {under_way} of shop prod is running"):
            await actuator.rollback(*PROD, 1, "")
        assert (await plane.environments.deployment(waiting)).state is DeploymentState.WAITING
        ground.prober.answers.set()
        await plane.deployed(waiting)
        with pytest.raises(NoSuchEnvironment):
            await actuator.rollback(SHOP, "stage", 1, "")
