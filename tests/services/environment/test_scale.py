"""Scaling by hand and by alarms, as the drivers see it: without a deployment, at once, and it stays."""

import pytest

from halage.base.errors import Conflict, Invalid
from halage.base.origin import coming_from
from halage.environment.actuator import Actuator
from halage.environment.errors import NoSuchEnvironment, NothingDeployed, NothingToReturnTo
from halage.environment.model import Colour, DeploymentState
from halage.environment.scaling import Step
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


@pytest.mark.parametrize(
    ("step", "now", "after"),
    [
        (Step(2, None, 1, 10), 3, 5),
        (Step(2, None, 1, 4), 3, 4),
        (Step(2, None, 1, 4), 4, 4),
        (Step(2, None, 1, 4), 6, 6),  # a person went past the bound: not taken back by a step up
        (Step(-1, None, 2, 10), 3, 2),
        (Step(-5, None, 2, 10), 3, 2),
        (Step(-1, None, 2, 10), 1, 1),
        (Step(None, 7, 1, 5), 2, 5),
        (Step(None, 1, 2, 5), 4, 2),
    ],
)
def test_a_step_keeps_to_its_bounds_and_its_direction(step: Step, now: int, after: int) -> None:
    assert step.from_number(now) == after


async def test_an_alarm_scales_by_steps_and_says_what_it_did(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(instances=2))
        actuator = _actuator(plane)
        alarm = {"at_least": 1, "at_most": 3, "reason": "cpu 91% > 80%", "actor": "alarm busy"}
        assert await actuator.scale(*PROD, by=2, **alarm) == "shop prod goes from 2 to 3 instances"  # type: ignore[arg-type]
        assert await actuator.scale(*PROD, by=2, **alarm) == "shop prod stays at 3 instances (from 1 to 3)"  # type: ignore[arg-type]
        await plane.is_serving(["1"] * 3)
        assert await actuator.scale(*PROD, to=1, **alarm) == "shop prod goes from 3 to 1 instance"  # type: ignore[arg-type]
        await plane.is_serving(["1"])
        scaled = [entry for entry in await ground.entries() if entry.action == "environment:Scale"]
        assert [(e.actor, e.details) for e in scaled] == [("alarm busy", {"reason": "cpu 91% > 80%"})] * 2
        for by, to in ((None, None), (1, 2)):
            with pytest.raises(Invalid, match="either by a number of instances or to one"):
                await actuator.scale(*PROD, by=by, to=to, **alarm)  # type: ignore[arg-type]
        with pytest.raises(Invalid, match="bounds are from 1 to 100"):
            await actuator.scale(*PROD, by=1, at_least=5, at_most=4, reason="", actor="alarm busy")


async def test_an_alarm_scales_nothing_where_nothing_is_deployed(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.environments.create(SHOP, [EnvironmentPlan("prod")])
        with pytest.raises(NothingDeployed):
            await _actuator(plane).scale(*PROD, by=1, reason="", actor="alarm busy")


async def test_an_alarm_rolls_back_to_the_last_good_release_once(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(run_id=1)
        await plane.deploy_whole(run_id=2)
        await plane.deploy_whole(run_id=3)
        actuator = _actuator(plane)
        name = "errors " + "x" * 200
        words = await actuator.rollback(*PROD, reason="5xx 12% > 5%", actor=f"alarm {name}")
        assert words == "shop prod returns to release v2 (deployment 4)"
        deployment = await plane.deployed(4)
        assert (deployment.kind, deployment.state) == ("rollback", DeploymentState.SUCCEEDED)
        assert deployment.created_by == f"alarm {name}"[:100], "what the column holds"
        (entry,) = [e for e in await ground.entries() if e.action == "environment:Rollback"]
        assert (entry.before, entry.after) == ({"release": 3}, {"release": 2})
        assert entry.details == {"deployment": 4, "reason": "5xx 12% > 5%"}
        with pytest.raises(Conflict, match="was rolled back already"):
            await actuator.rollback(*PROD, reason="still", actor="alarm errors")


async def test_an_alarm_rolls_nothing_back_during_a_deployment_or_without_a_good_release(
    ground: Ground,
) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(run_id=1)
        actuator = _actuator(plane)
        with pytest.raises(NothingToReturnTo, match="has no earlier good release"):
            await actuator.rollback(*PROD, reason="", actor="alarm errors")
        ground.prober.answers.clear()
        under_way = await plane.begin(run_id=2)
        waiting = await plane.deploy(run_id=3)
        with pytest.raises(Conflict, match=f"deployment {under_way} of shop prod is running"):
            await actuator.rollback(*PROD, reason="", actor="alarm errors")
        assert (await plane.environments.deployment(waiting)).state is DeploymentState.WAITING
        ground.prober.answers.set()
        await plane.deployed(waiting)
        with pytest.raises(NoSuchEnvironment):
            await actuator.rollback(SHOP, "stage", reason="", actor="alarm errors")
