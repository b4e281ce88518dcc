"""Deployments by each policy over drivers in memory: what runs, what is kept, what is refused."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from halage.base.errors import Conflict
from halage.compute.drivers.memory import Script
from halage.compute.model import UnitSpec
from halage.environment.errors import NothingToReturnTo
from halage.environment.model import DeploymentState, InstanceState
from halage.environment.rollout.traffic import NoTraffic, Served
from halage.environment.tables.store import Place
from halage.site.model import EnvironmentPlan, RunPlan, Site
from halage.site.settings import Algorithm, BalancerPlan, Batch, CanaryPlan, DeploymentPlan, Policy
from tests.controlplane import PROD, ControlPlane, Ground, control_plane, eventually, in_words, site_of

CANARY = CanaryPlan(percent=10, duration_s=0)


def by(policy: Policy, instances: int = 4, *, run: RunPlan | None = None, **settings: object) -> Site:
    """A site that is deployed by a policy."""
    plan = DeploymentPlan(policy, canary=CANARY, batch=Batch(count=2))
    plan = replace(plan, **settings)  # type: ignore[arg-type]
    balancer = BalancerPlan(algorithm=Algorithm.ROUND_ROBIN)
    return site_of(
        plan=EnvironmentPlan("prod", instances=instances, deployments=plan, balancer=balancer), run=run
    )


@pytest.mark.parametrize("policy", list(Policy))
async def test_each_policy_brings_the_new_release_whole(ground: Ground, policy: Policy) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(by(policy))
        deployment = await plane.deploy_whole(by(policy), run_id=2)
        assert deployment.state is DeploymentState.SUCCEEDED, in_words(deployment)
        assert ground.visitors_reach() == ["2"] * 4
        report = await plane.environments.report(deployment.id)
        assert report.policy == policy
        assert report.phases[0].phase == "prepare"


@pytest.mark.parametrize("policy", list(Policy))
async def test_each_policy_leads_back_when_the_second_batch_fails(ground: Ground, policy: Policy) -> None:
    started: list[str] = []

    def script_for(spec: UnitSpec) -> Script:
        if not spec.id.startswith("i-") or spec.environment["HALAGE_RELEASE"] != "2":
            return Script()
        started.append(spec.id)
        return Script(exit_code=1) if len(started) > 2 else Script()

    async with control_plane(ground) as plane:
        await plane.deploy_whole(by(policy))
        ground.compute.script_for = script_for
        deployment = await plane.deploy_whole(by(policy), run_id=2)
        assert deployment.state is DeploymentState.ROLLED_BACK, in_words(deployment)
        await plane.is_serving(["1"] * 4)


async def test_old_instances_are_kept_and_a_swap_takes_them_back_without_a_start(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        site = by(Policy.BLUE_GREEN, run=RunPlan(start="serve", release_command="migrate"))
        ground.compute.script_for = lambda spec: Script(exit_code=0) if spec.id.startswith("r-") else Script()
        await plane.deploy_whole(site)
        await plane.deploy_whole(site, run_id=2)
        assert await _kept(plane) == 4
        started = ground.started("")
        for release in ("1", "2", "1"):
            swapped = await plane.deployed((await plane.environments.swap(*PROD, actor="ada")).id)
            assert swapped.state is DeploymentState.SUCCEEDED, in_words(swapped)
            assert ground.visitors_reach() == [release] * 4
            assert await _kept(plane) == 4
        assert ground.started("") == started, "neither an instance nor the release command"
        states = {each.number: each.state for each in await plane.environments.releases(*PROD)}
        assert states == {1: "current", 2: "good"}


async def test_a_rollback_uses_what_is_kept(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(by(Policy.IMMUTABLE))
        await plane.deploy_whole(by(Policy.IMMUTABLE), run_id=2)
        started = len(ground.started())
        back = await plane.deployed((await plane.environments.rollback(*PROD, actor="ada")).id)
        assert back.state is DeploymentState.SUCCEEDED
        assert len(ground.started()) == started


async def test_a_kept_instance_that_died_is_replaced_in_a_rollback(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(by(Policy.BLUE_GREEN, 2))
        dying = ground.compute.running()[0]
        await plane.deploy_whole(by(Policy.BLUE_GREEN, 2), run_id=2)
        ground.compute.end(dying, 137)
        await eventually(lambda: _is_kept(plane, 1), "the end of the one that died")
        back = await plane.deployed((await plane.environments.rollback(*PROD, actor="ada")).id)
        assert back.state is DeploymentState.SUCCEEDED, in_words(back)
        assert ground.visitors_reach() == ["1", "1"]


async def test_what_is_kept_is_found_again_by_the_next_control_plane_and_ended_in_time(
    ground: Ground,
) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(by(Policy.BLUE_GREEN, 2))
        await plane.deploy_whole(by(Policy.BLUE_GREEN, 2), run_id=2)
        assert len(ground.compute.running()) == 4
    async with control_plane(ground) as plane:
        assert await _kept(plane) == 2
        ground.clock.jump(301)  # type: ignore[attr-defined]
    async with control_plane(ground) as plane:
        await eventually(lambda: _is_kept(plane, 0), "the end of what was kept")
        await plane.is_serving(["2", "2"])
        assert len(ground.compute.running()) == 2


async def test_there_is_nothing_to_swap_where_nothing_is_kept(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(by(Policy.ROLLING))
        with pytest.raises(NothingToReturnTo, match="keeps no instances of another release"):
            await plane.environments.swap(*PROD, actor="ada")


async def test_a_policy_that_cannot_be_kept_is_refused_before_anything_is_begun(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(by(Policy.ROLLING, 1))
        told = list(ground.notes.told)
        refused = await plane.deploy_whole(by(Policy.ROLLING, 1), run_id=2)
        assert refused.state is DeploymentState.FAILED
        assert "rolling stops 1 of 1 instance before what replaces them serves" in refused.reason
        assert ground.notes.told == told
        with pytest.raises(Conflict, match="rolling stops 1 of 1 instance"):
            await plane.environments.restart(*PROD, actor="ada")
        assert ground.visitors_reach() == ["1"]
        entries = [entry.action for entry in await ground.entries()]
        assert "environment:DeploymentRefused" in entries


async def test_without_rollback_it_stands_still_and_the_next_deployment_goes_on(ground: Ground) -> None:
    broken = Script(exit_code=1)
    ground.compute.script_for = lambda spec: (
        broken if spec.environment.get("HALAGE_RELEASE") == "2" else Script()
    )
    async with control_plane(ground) as plane:
        await plane.deploy_whole(by(Policy.ROLLING_ADDITIONAL))
        halted_id = await plane.deploy(by(Policy.ROLLING_ADDITIONAL, rollback=False), run_id=2)

        async def stands() -> bool:
            return (await plane.environments.deployment(halted_id)).reason.startswith("stands still")

        await eventually(stands, "the deployment to stand still")
        assert ground.visitors_reach() == ["1"] * 4
        fixed = await plane.deploy_whole(by(Policy.ROLLING_ADDITIONAL), run_id=3)
        assert fixed.state is DeploymentState.SUCCEEDED
        assert (await plane.environments.deployment(halted_id)).state is DeploymentState.FAILED
        await plane.is_serving(["3"] * 4)


class MeasuredTraffic(NoTraffic):
    """Says of the canary what the test wants."""

    def __init__(self, ground: Ground, canary: Served, others: Served) -> None:
        self._ground, self._canary, self._others = ground, canary, others

    async def of_instances(
        self, place: Place, instances: Sequence[str], start: float, end: float
    ) -> Served | None:
        return self._canary if len(instances) == 1 else self._others

    async def of_environment(self, place: Place, start: float, end: float) -> Served | None:
        return self._others


async def test_a_canary_that_answers_worse_goes_back_and_says_by_how_much(ground: Ground) -> None:
    ground.traffic = MeasuredTraffic(
        ground, Served(200, 30, 10.0, 40.0, 90.0), Served(1800, 0, 10.0, 35.0, 80.0)
    )
    async with control_plane(ground) as plane:
        await plane.deploy_whole(by(Policy.CANARY))
        deployment = await plane.deploy_whole(by(Policy.CANARY), run_id=2)
        assert deployment.state is DeploymentState.ROLLED_BACK
        assert deployment.reason == (
            "the canary is worse: 15.00% of its 200 requests failed, 0.00% of the release before"
            " (1% more are allowed)"
        )
        shares = {target.share for target in ground.balancer.serving("shop.prod")}
        assert shares == {None}
        report = await plane.environments.report(deployment.id)
        assert report.before == Served(1800, 0, 10.0, 35.0, 80.0)


async def test_a_good_canary_goes_on_and_its_verdict_is_kept(ground: Ground) -> None:
    ground.traffic = MeasuredTraffic(
        ground, Served(200, 0, 10.0, 36.0, 90.0), Served(1800, 0, 10.0, 35.0, 80.0)
    )
    async with control_plane(ground) as plane:
        await plane.deploy_whole(by(Policy.CANARY))
        deployment = await plane.deploy_whole(by(Policy.CANARY), run_id=2)
        assert deployment.state is DeploymentState.SUCCEEDED, in_words(deployment)
        report = await plane.environments.report(deployment.id)
        assert report.verdict is not None and "p95 36 ms, before 35 ms" in report.verdict
        # A rollback has no canary.
        back = await plane.deployed((await plane.environments.rollback(*PROD, actor="ada")).id)
        assert (await plane.environments.report(back.id)).policy == Policy.BLUE_GREEN


async def test_the_plan_says_what_a_restart_would_do(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(by(Policy.ROLLING))
        plan = await plane.environments.plan(*PROD)
        assert (plan.policy, plan.wanted, plan.batches, plan.batch) == (Policy.ROLLING, 4, 2, 2)
        assert plan.rehearsal is not None
        assert (plan.rehearsal.fewest_serving, plan.rehearsal.most_running) == (2, 4)
        blue = await plane.environments.plan(*PROD, policy=Policy.BLUE_GREEN)
        assert blue.rehearsal is not None
        assert (blue.rehearsal.fewest_serving, blue.rehearsal.most_running) == (4, 8)
        assert blue.rehearsal.kept == 4
        assert blue.rehearsal.extra_instance_hours >= 4 * 300 / 3600
        assert len(ground.started()) == 4, "nothing was begun"


async def _kept(plane: ControlPlane) -> int:
    instances = (await plane.environments.show(*PROD)).instances
    return sum(each.state is InstanceState.KEPT for each in instances)


async def _is_kept(plane: ControlPlane, number: int) -> bool:
    return await _kept(plane) == number
