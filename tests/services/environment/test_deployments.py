"""Deployments as both drivers see them: the order of calls, what turns them round, what comes first."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from halage.base.objects import ObjectMissing
from halage.compute.drivers.memory import Script
from halage.compute.model import UnitSpec
from halage.environment.model import Colour, DeploymentState
from halage.site.model import EnvironmentPlan, HealthPlan, RunPlan
from tests.controlplane import PROD, SHOP, Ground, control_plane, eventually, site_of


def _is_release(spec: UnitSpec, number: int) -> bool:
    return spec.id.startswith("i-") and spec.environment["HALAGE_RELEASE"] == str(number)


async def test_a_first_deployment_serves_with_all_instances(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        deployment = await plane.deploy_whole(site_of(instances=3))
        environment = await plane.environments.show(*PROD)
        assert (deployment.state, deployment.done, deployment.wanted) == (DeploymentState.SUCCEEDED, 3, 3)
        assert ground.visitors_reach() == ["1", "1", "1"]
        assert (environment.colour, environment.serving) == (Colour.GREEN, 3)
        assert environment.urls == ("http://shop.halage.test:8080/",)
        assert {phase.name for phase in deployment.phases} == {"prepare", "boot", "route"}


async def test_rolling_goes_one_instance_at_a_time_start_route_drain_take_out_stop(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        ground.notes.told.clear()
        deployment = await plane.deploy_whole(run_id=2)
        new = [unit for verb, unit in ground.notes.told if verb == "start"]
        old = [unit for verb, unit in ground.notes.told if verb == "drain"]
        names = dict(zip((*old, *new), ("old1", "old2", "new1", "new2"), strict=True))
        assert [f"{verb} {names[unit]}" for verb, unit in ground.notes.told] == [
            "start new1",
            "add new1",
            "drain old1",
            "take out old1",
            "stop old1",
            "start new2",
            "add new2",
            "drain old2",
            "take out old2",
            "stop old2",
        ]
        assert deployment.state is DeploymentState.SUCCEEDED
        assert {phase.name for phase in deployment.phases} == {"prepare", "boot", "route", "drain", "stop"}


async def test_a_release_that_exits_is_rolled_back_with_its_cause_and_last_lines(ground: Ground) -> None:
    broken = Script(output=b"loading\nno database: giving up\x00\n", exit_code=3)
    ground.compute.script_for = lambda spec: broken if _is_release(spec, 2) else Script()
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        deployment = await plane.deploy_whole(run_id=2)
        assert deployment.state is DeploymentState.ROLLED_BACK
        assert "exited with code 3" in deployment.reason
        assert deployment.log_tail.splitlines()[0] == "loading"
        assert "no database: giving up" in deployment.log_tail
        await plane.is_serving(["1", "1"])
        releases = await plane.environments.releases(*PROD)
        assert [(release.number, release.state) for release in releases] == [(2, "failed"), (1, "current")]
        assert len(ground.started()) == 3, "one instance of the broken release was enough to see it"


async def test_a_first_release_that_fails_leaves_nothing_running(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script(exit_code=1)
    async with control_plane(ground) as plane:
        deployment = await plane.deploy_whole()
        assert deployment.state is DeploymentState.FAILED
        assert ground.compute.running() == []
        assert (await plane.environments.show(*PROD)).colour is Colour.GREY


async def test_a_release_that_never_answers_is_rolled_back_and_the_message_names_the_probe(
    ground: Ground,
) -> None:
    ground.prober.problem_of = lambda spec: "it answered 500" if _is_release(spec, 2) else None
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        deployment = await plane.deploy_whole(run_id=2)
        assert deployment.state is DeploymentState.ROLLED_BACK
        assert deployment.reason.endswith("it answered 500")
        await plane.is_serving(["1", "1"])


async def test_the_probe_asks_as_a_visitor_would(ground: Ground) -> None:
    plan = EnvironmentPlan("prod", health=HealthPlan(path="/up", timeout_s=7.5))
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(plan=plan, run=RunPlan(start="serve", boot_timeout_s=7)))
    (probe,) = ground.prober.probes
    spec = ground.spec_of("i-")
    assert probe.url == f"http://{spec.environment['HOST']}:{spec.environment['PORT']}/up"
    assert (probe.host, probe.timeout_s, probe.boot_timeout_s) == ("shop.halage.test", 7.5, 7)


async def test_a_unit_that_cannot_be_started_fails_the_deployment_at_once(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script(start_error="no such account")
    async with control_plane(ground) as plane:
        deployment = await plane.deploy_whole()
    assert deployment.state is DeploymentState.FAILED
    assert "could not be started: no such account" in deployment.reason


async def test_a_bundle_that_is_missing_fails_the_deployment_and_says_so(ground: Ground) -> None:
    async def refuse(*_: object) -> None:
        raise ObjectMissing("bundle 000000000000 is not in the object store")

    ground.places.unpack = refuse  # type: ignore[method-assign, assignment]  # a double's own method
    async with control_plane(ground) as plane:
        deployment = await plane.deploy_whole()
    assert deployment.state is DeploymentState.FAILED
    assert deployment.reason == (
        "the release could not be unpacked: bundle 000000000000 is not in the object store"
    )
    assert ground.started() == []


RELEASING = RunPlan(start="serve", release_command="migrate")


async def test_the_release_command_runs_once_before_any_instance(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script(exit_code=0) if spec.id.startswith("r-") else Script()
    async with control_plane(ground) as plane:
        deployment = await plane.deploy_whole(site_of(run=RELEASING))
        assert deployment.state is DeploymentState.SUCCEEDED
        assert ground.started("") == [f"r-{deployment.id}", *ground.started("i-")]
        assert len(ground.started("i-")) == 2
        assert "release command" in {phase.name for phase in deployment.phases}
        assert all(unit.startswith("i-") for unit in ground.compute.running())
        assert [unit.id for unit in await ground.compute.list() if unit.id.startswith("r-")] == []


async def test_a_failing_release_command_rolls_back_before_any_instance_starts(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: (
        Script(output=b"table shop is locked\n", exit_code=4) if spec.id == "r-2" else Script()
    )
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        before = ground.started("i-")
        deployment = await plane.deploy_whole(site_of(run=RELEASING), run_id=2)
        assert deployment.state is DeploymentState.ROLLED_BACK
        assert deployment.reason == "the release command `migrate` exited with code 4"
        assert deployment.log_tail == "table shop is locked"
        assert ground.started("i-") == before
        await plane.is_serving(["1", "1"])


async def test_a_release_command_that_never_ends_is_ended_by_the_deadline(ground: Ground) -> None:
    ground.limits = replace(ground.limits, deadline_s=0.03)
    async with control_plane(ground) as plane:
        deployment_id = await plane.deploy(site_of(run=RELEASING))
        await eventually(_becomes(ground, [f"r-{deployment_id}"]), "the release command")
        ground.clock.jump(1.0)  # type: ignore[attr-defined]
        deployment = await plane.deployed(deployment_id)
        assert deployment.state is DeploymentState.FAILED
        assert deployment.reason == "the deadline of the deployment is over"
        await eventually(_becomes(ground, []), "the end of the release command")


async def test_an_abort_ends_the_release_command(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        deployment_id = await plane.deploy(site_of(run=RELEASING))
        await eventually(_becomes(ground, [f"r-{deployment_id}"]), "the release command")
        await plane.environments.abort(deployment_id, actor="ada")
        deployment = await plane.deployed(deployment_id)
        assert deployment.reason == "stopped by ada"
        await eventually(_becomes(ground, []), "the end of the release command")


def _becomes(ground: Ground, units: list[str]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return ground.compute.running() == units

    return look


async def test_waiting_deployments_are_superseded_by_a_newer_one(ground: Ground) -> None:
    ground.prober.answers.clear()
    async with control_plane(ground) as plane:
        first = await plane.begin(run_id=1)
        second, third = [await plane.deploy(run_id=n) for n in (2, 3)]
        waiting = await plane.environments.deployment(second)
        assert (waiting.state, waiting.reason) == (DeploymentState.SUPERSEDED, "superseded by run 3")
        ground.prober.answers.set()
        assert (await plane.deployed(first)).state is DeploymentState.SUCCEEDED
        assert (await plane.deployed(third)).state is DeploymentState.SUCCEEDED
        states = {r.number: r.state for r in await plane.environments.releases(*PROD)}
        assert states == {1: "good", 2: "superseded", 3: "current"}


async def test_an_older_run_never_replaces_a_newer_one(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(run_id=7)
        late = await plane.deploy_whole(run_id=5)
        assert late.state is DeploymentState.SUPERSEDED
        assert late.reason == "run 7 is newer and was deployed here before"
        assert ground.visitors_reach() == ["1", "1"]


async def test_an_older_run_does_not_take_the_place_of_a_newer_one_that_waits(ground: Ground) -> None:
    ground.prober.answers.clear()
    async with control_plane(ground) as plane:
        first = await plane.begin(run_id=1)
        newer = await plane.deploy(run_id=9)
        older = await plane.deploy(run_id=8)
        assert (await plane.environments.deployment(older)).state is DeploymentState.SUPERSEDED
        ground.prober.answers.set()
        assert (await plane.deployed(first)).state is DeploymentState.SUCCEEDED
        assert (await plane.deployed(newer)).state is DeploymentState.SUCCEEDED
        assert (await plane.environments.show(*PROD)).release.commit == f"{9:040x}"  # type: ignore[union-attr]


async def test_asking_twice_with_one_token_is_asking_once(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        first = await plane.deploy()
        assert await plane.deploy() == first
        await plane.deployed(first)
        assert await plane.deploy() == first
    assert len(ground.started()) == 2


async def test_environments_of_a_project_are_deployed_apart(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        dev = await plane.deploy(run_id=1, name="dev")
        await plane.deployed(dev)
        await plane.deploy_whole(run_id=2)
        assert ground.visitors_reach((SHOP, "dev")) == ["1"]
        assert [e.name for e in await plane.environments.list(SHOP)] == ["dev", "prod"]


@pytest.mark.parametrize("verb", ["serving", "starting"])
async def test_an_instance_that_dies_is_replaced_with_back_off(ground: Ground, verb: str) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(instances=1))
        unit = ground.compute.running()[0]
        if verb == "starting":
            ground.prober.answers.clear()
        ground.compute.end(unit, 137)
        again = unit.removesuffix(".1") + ".2"
        ground.prober.answers.set()
        await plane.is_serving(["1"])
        assert ground.compute.running() == [again]
        instance = (await plane.environments.show(*PROD)).instances[0]
        assert (instance.attempt, instance.reason) == (2, "")
        actions = [entry.action for entry in await ground.entries()]
        assert actions[-1] == "environment:RestartInstance"


async def test_a_balancer_that_is_down_holds_a_deployment_up_and_loses_nothing(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        ground.prober.answers.clear()
        deployment_id = await plane.begin(run_id=2)
        ground.balancer.is_down = True
        environment = await plane.environments.show(*PROD)
        assert (environment.colour, environment.serving) == (Colour.RED, 0)
        assert "the balancer does not answer" in environment.cause
        ground.balancer.is_down = False
        ground.prober.answers.set()
        assert (await plane.deployed(deployment_id)).state is DeploymentState.SUCCEEDED
