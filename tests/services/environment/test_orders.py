"""What people ask of environments: rollback, restart, abort; and what they are told when it cannot be."""

from dataclasses import replace

import pytest

from halage.compute.drivers.memory import Script
from halage.compute.model import UnitSpec
from halage.environment.errors import (
    DeploymentEnded,
    NoSuchDeployment,
    NoSuchEnvironment,
    NoSuchRelease,
    NothingDeployed,
    NothingToReturnTo,
)
from halage.environment.model import DeploymentState
from halage.site.model import EnvironmentPlan
from tests.controlplane import PROD, SHOP, ControlPlane, Ground, control_plane


async def _deploy_three(plane: ControlPlane) -> None:
    for run_id in (1, 2, 3):
        await plane.deploy_whole(run_id=run_id)


async def test_rollback_without_a_number_returns_to_the_last_good_release(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await _deploy_three(plane)
        deployment = await plane.environments.rollback(*PROD, actor="ada")
        assert (deployment.kind, deployment.release.number, deployment.created_by) == ("rollback", 2, "ada")
        assert (await plane.deployed(deployment.id)).state is DeploymentState.SUCCEEDED
        await plane.is_serving(["2", "2"])
        states = {r.number: r.state for r in await plane.environments.releases(*PROD)}
        assert states == {1: "good", 2: "current", 3: "left"}
        (entry,) = [e for e in await ground.entries() if e.action == "environment:Rollback"]
        assert (entry.actor, entry.subject) == ("ada", "project/shop/environment/prod")


async def test_a_second_rollback_goes_further_back_and_a_number_brings_what_was_left(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await _deploy_three(plane)
        for number in (2, 1):
            deployment = await plane.environments.rollback(*PROD, actor="ada")
            assert deployment.release.number == number
            await plane.deployed(deployment.id)
        deployment = await plane.environments.rollback(*PROD, number=3, actor="ada")
        await plane.deployed(deployment.id)
        await plane.is_serving(["3", "3"])


async def test_rollback_to_a_number_runs_that_commit_again(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await _deploy_three(plane)
        deployment = await plane.environments.rollback(*PROD, number=1, actor="ada")
        await plane.deployed(deployment.id)
        await plane.is_serving(["1", "1"])
        assert ground.spec_of("i-").environment["HALAGE_COMMIT"] == f"{1:040x}"


async def test_rollback_passes_over_a_release_that_failed(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: _dies(spec, release="2")
    async with control_plane(ground) as plane:
        await _deploy_three(plane)
        deployment = await plane.environments.rollback(*PROD, actor="ada")
        assert deployment.release.number == 1


def _dies(spec: UnitSpec, release: str) -> Script:
    return Script(exit_code=1) if spec.environment["HALAGE_RELEASE"] == release else Script()


async def test_rollback_says_why_there_is_nothing_to_return_to(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        with pytest.raises(NothingToReturnTo, match="shop prod has no earlier good release"):
            await plane.environments.rollback(*PROD, actor="ada")
        with pytest.raises(NothingToReturnTo, match=r"runs release v1 already; `halage env restart`"):
            await plane.environments.rollback(*PROD, number=1, actor="ada")
        with pytest.raises(NoSuchRelease, match="has no release v9; `halage env releases` lists them"):
            await plane.environments.rollback(*PROD, number=9, actor="ada")


async def test_a_release_past_those_that_are_kept_cannot_be_returned_to(ground: Ground) -> None:
    ground.limits = replace(ground.limits, keep_releases=2)
    async with control_plane(ground) as plane:
        await _deploy_three(plane)
        states = {r.number: r.state for r in await plane.environments.releases(*PROD)}
        assert states == {1: "retired", 2: "good", 3: "current"}
        with pytest.raises(NothingToReturnTo, match="release v1 is retired and cannot be returned to"):
            await plane.environments.rollback(*PROD, number=1, actor="ada")


async def test_after_a_rollback_the_next_run_goes_forward_again(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await _deploy_three(plane)
        await plane.deployed((await plane.environments.rollback(*PROD, actor="ada")).id)
        assert (await plane.deploy_whole(run_id=4)).state is DeploymentState.SUCCEEDED
        await plane.is_serving(["4", "4"])


async def test_restart_replaces_every_instance_with_the_variables_of_today(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        before = set(ground.compute.running())
        await plane.environments.set_variable(*PROD, "COLOUR", "red", is_secret=False, actor="ada")
        assert "COLOUR" not in ground.spec_of("i-").environment
        deployment = await plane.deployed((await plane.environments.restart(*PROD, actor="ada")).id)
        assert (deployment.kind, deployment.state) == ("restart", DeploymentState.SUCCEEDED)
        await plane.is_serving(["2", "2"])
        assert not before & set(ground.compute.running())
        assert ground.spec_of("i-").environment["COLOUR"] == "red"
        assert deployment.release.bundle_digest == "0" * 64, "the same bundle"


async def test_restart_of_an_empty_environment_says_what_to_do(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.environments.create(SHOP, [EnvironmentPlan("prod")])
        with pytest.raises(
            NothingDeployed, match="nothing has been deployed to shop prod yet: push a commit"
        ):
            await plane.environments.restart(*PROD, actor="ada")


async def test_abort_turns_a_running_deployment_round(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        ground.prober.answers.clear()
        deployment_id = await plane.begin(run_id=2)
        await plane.environments.abort(deployment_id, actor="ada")
        deployment = await plane.deployed(deployment_id)
        assert (deployment.state, deployment.reason) == (DeploymentState.ROLLED_BACK, "stopped by ada")
        await plane.is_serving(["1", "1"])
        with pytest.raises(DeploymentEnded, match="is rolled back: there is nothing to stop"):
            await plane.environments.abort(deployment_id, actor="ada")


async def test_abort_of_a_waiting_deployment_ends_it_and_tells_its_run(ground: Ground) -> None:
    ground.prober.answers.clear()
    async with control_plane(ground) as plane:
        await plane.begin(run_id=1)
        waiting = await plane.deploy(run_id=2)
        told: list[int] = []
        plane.environment_controller._on_change = told.append
        await plane.environments.abort(waiting, actor="ada")
        assert (await plane.environments.deployment(waiting)).state is DeploymentState.SUPERSEDED
        assert told == [2]


@pytest.mark.parametrize("verb", ["rollback", "restart"])
async def test_what_a_person_asks_for_supersedes_what_waits_and_tells_its_run(
    ground: Ground, verb: str
) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(run_id=1)
        await plane.deploy_whole(run_id=2)
        ground.prober.answers.clear()
        under_way = await plane.begin(run_id=3)
        waiting = await plane.deploy(run_id=4)
        told: list[int] = []
        plane.environment_controller._on_change = told.append
        ordered = await getattr(plane.environments, verb)(*PROD, actor="ada")
        superseded = await plane.environments.deployment(waiting)
        assert superseded.reason == f"superseded by a {verb} by ada"
        assert told == [4]
        ground.prober.answers.set()
        await plane.deployed(under_way)
        assert (await plane.deployed(ordered.id)).state is DeploymentState.SUCCEEDED


async def test_unknown_things_are_named(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        with pytest.raises(NoSuchEnvironment, match="project shop has no environment stage"):
            await plane.environments.show(SHOP, "stage")
        with pytest.raises(NoSuchDeployment, match="there is no deployment 7"):
            await plane.environments.deployment(7)
        with pytest.raises(NoSuchDeployment, match="there is no deployment 7"):
            await plane.environments.abort(7, actor="ada")
        with pytest.raises(NoSuchEnvironment):
            await plane.environments.rollback(SHOP, "stage", actor="ada")


async def test_deleting_a_project_ends_its_instances_and_leaves_nothing(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        await plane.environments.delete(SHOP)
        assert ground.compute.running() == []
        assert await ground.compute.list() == []
        assert ground.balancer.routes == {}
        assert list(await plane.environments.list(SHOP)) == []
        assert not (ground.directory / "sites" / SHOP).exists()


async def test_logs_show_living_and_lately_ended_instances(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script(
        output=f"release {spec.environment['HALAGE_RELEASE']} begins\nhalf a li".encode()
    )
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        await plane.deploy_whole(run_id=2)
    async with control_plane(ground) as plane:  # kept over a restart
        lines = [line.text for line in await plane.environments.logs(*PROD)]
        assert sorted(lines) == ["release 1 begins"] * 2 + ["release 2 begins"] * 2
        assert len(await plane.environments.logs(*PROD, lines=3)) == 3
