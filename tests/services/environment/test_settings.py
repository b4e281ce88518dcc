"""Settings that people set on the server: what they come to, how they are deployed, kept and taken back."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from halage.base.errors import Invalid
from halage.compute.drivers.memory import Script
from halage.environment.control.inventory import EnvironmentInventory
from halage.environment.errors import NoSuchEnvironment, NoSuchRelease
from halage.environment.model import Deployment, DeploymentState
from halage.environment.settings.model import Change, Origin, Setting, Wish
from halage.monitor.inventory import LogLimits
from halage.pipeline.workload import WorkloadCounter
from halage.site.errors import SettingsInvalid
from halage.site.model import EnvironmentPlan, RunPlan
from halage.site.settings import DeploymentPlan, Policy, ScalingPlan
from tests.controlplane import PROD, ControlPlane, Ground, control_plane, eventually, site_of


async def _set(plane: ControlPlane, *, by: str = "ada", **settings: Any) -> Change:
    wish = Wish({path.replace("__", "."): value for path, value in settings.items()})
    return await plane.settings.change(*PROD, wish, actor=by)


async def _deployed(plane: ControlPlane, change: Change) -> Deployment:
    assert change.deployment_id is not None
    return await plane.deployed(change.deployment_id)


async def _setting(plane: ControlPlane, path: str, release: int | None = None) -> Setting:
    settings = (await plane.settings.show(*PROD, release=release)).settings
    return next(each for each in settings if each.path == path)


async def test_before_the_first_release_settings_wait_for_it(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.environments.create("shop", [EnvironmentPlan("prod", instances=2)])
        change = await _set(plane, instances=3)
        assert change.deployment_id is None
        assert [(each.path, each.before, each.after) for each in change.differences] == [("instances", 2, 3)]
        assert (await _setting(plane, "instances")).is_pending
        await plane.deploy_whole(site_of(instances=1))
        await plane.is_serving(["1"] * 3)
        setting = await _setting(plane, "instances")
        assert (setting.value, setting.source, setting.said, setting.is_pending) == (3, "server", 1, False)
        (past,) = await plane.settings.history(*PROD)
        assert (past.by, past.release) == ("ada", 1)


async def test_a_live_setting_is_a_release_without_new_instances(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        before = ground.compute.running()
        change = await _set(plane, deployments__policy="immutable", health__replace_after="2m")
        deployment = await _deployed(plane, change)
        assert (deployment.kind, deployment.state) == ("settings", DeploymentState.SUCCEEDED)
        assert (deployment.release.number, deployment.release.commit) == (2, f"{1:040x}")
        assert ground.compute.running() == before
        shown = await plane.environments.show(*PROD)
        assert shown.release is not None and shown.release.number == 2
        assert {each.release_number for each in shown.instances} == {2}
        setting = await _setting(plane, "deployments.policy")
        assert (setting.value, setting.source, setting.said) == ("immutable", "server", "rolling_additional")
    async with control_plane(ground) as plane:  # the directory that they run in is still needed
        ground.compute.end(before[0], 1)
        await plane.is_serving(["1", "2"])


async def test_the_balancer_has_live_settings_with_their_release_and_not_with_the_next(
    ground: Ground,
) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        for sticks in (True, False):
            await _deployed(plane, await _set(plane, balancer__stickiness=sticks))

            async def has_it(wanted: bool = sticks) -> bool:
                return ground.balancer.routes["shop.prod"].is_sticky is wanted

            await eventually(has_it, "the balancer to have it")


async def test_a_setting_of_instances_replaces_them_by_the_policy(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        deployment = await _deployed(plane, await _set(plane, run__start="node other.js", type="small"))
        assert deployment.state is DeploymentState.SUCCEEDED
        await plane.is_serving(["2", "2"])
        spec = ground.spec_of("i-")
        assert "node other.js" in spec.command[-1]
        assert (await plane.environments.show(*PROD)).type == "small"


async def test_a_rollback_returns_the_settings_too(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        before = ground.compute.running()
        await _deployed(plane, await _set(plane, balancer__https="redirect"))
        rollback = await plane.environments.rollback(*PROD, actor="bob")
        assert (await plane.deployed(rollback.id)).state is DeploymentState.SUCCEEDED
        assert ground.compute.running() == before, "the same code: nothing to replace"
        setting = await _setting(plane, "balancer.https")
        assert (setting.value, setting.source) == ("off", "default")
        newest, first = await plane.settings.history(*PROD)
        assert (newest.by, newest.reason, newest.release) == ("bob", "rollback to v1", 1)
        assert (first.release, first.differences[0].after) == (2, "redirect")
        await plane.deploy_whole(run_id=2)
        assert (await _setting(plane, "balancer.https")).value == "off", "the next release has them neither"


async def test_settings_that_fail_are_taken_back(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        ground.compute.script_for = lambda spec: Script(exit_code=3)
        deployment = await _deployed(plane, await _set(plane, run__start="false"))
        assert deployment.state is DeploymentState.ROLLED_BACK
        await plane.is_serving(["1", "1"])
        assert (await _setting(plane, "run.start")).value == "node server.js"
        newest, first = await plane.settings.history(*PROD)
        assert newest.by == "halage" and "rolled back" in newest.reason
        assert first.differences[0].after == "false"


async def test_settings_changed_during_a_deployment_are_deployed_after_it(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        ground.prober.answers.clear()
        second = await plane.begin(run_id=2)
        one = await _set(plane, instances=3)
        two = await _set(plane, scaling__maximum=5, by="bob")
        ground.prober.answers.set()
        assert (await plane.deployed(second)).state is DeploymentState.SUCCEEDED
        assert (await _deployed(plane, one)).state is DeploymentState.SUPERSEDED
        last = await _deployed(plane, two)
        assert (last.state, last.release.commit) == (DeploymentState.SUCCEEDED, f"{2:040x}")
        assert (await _setting(plane, "instances")).value == 3
        await plane.is_serving(["2", "2", "4"])


async def test_two_changes_at_once_lose_nothing(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        changes = await asyncio.gather(*(_set(plane, **{f"processes__w{n}__command": "x"}) for n in range(5)))
        await asyncio.gather(*(_deployed(plane, change) for change in changes))
        paths = [each.path for each in (await plane.settings.show(*PROD)).settings]
        assert all(f"processes.w{n}.command" in paths for n in range(5))
        assert not any(each.is_pending for each in (await plane.settings.show(*PROD)).settings)


async def test_a_setting_of_the_server_stays_over_newer_files_until_it_is_unset(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        plan = EnvironmentPlan("prod", instances=2, deployments=DeploymentPlan(Policy.CANARY))
        await plane.deploy_whole(site_of(plan=plan))
        await _deployed(plane, await _set(plane, deployments__policy="all_at_once"))
        await plane.deploy_whole(site_of(plan=plan), run_id=2)
        assert (await _setting(plane, "deployments.policy")).value == "all_at_once"
        wish = Wish(unset=("deployments",))
        await _deployed(plane, await plane.settings.change(*PROD, wish, actor="ada"))
        setting = await _setting(plane, "deployments.policy")
        assert (setting.value, setting.source) == ("canary", "halage.toml")
        assert (await _setting(plane, "deployments.policy", release=3)).value == "all_at_once"


async def test_the_number_of_a_file_counts_again_after_unset(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(instances=2))
        await _deployed(plane, await _set(plane, instances=4))
        await plane.is_serving(["1", "1", "2", "2"])
        await plane.settings.change(*PROD, Wish(unset=("instances",)), actor="ada")

        async def two_serve() -> bool:
            return len(ground.visitors_reach()) == len(ground.compute.running()) == 2

        await eventually(two_serve, "two instances")


async def test_a_file_that_does_not_go_together_with_the_server_is_refused(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        await _deployed(plane, await _set(plane, scaling__maximum=4))
        plan = EnvironmentPlan("prod", instances=6, scaling=ScalingPlan(minimum=5))
        with pytest.raises(
            Invalid, match=r"scaling.minimum: found 5, over the maximum of 4.*config diff shop"
        ):
            await plane.deploy(site_of(plan=plan), run_id=2)
        await plane.is_serving(["1", "1"])


async def test_all_problems_are_told_and_nothing_is_changed(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        with pytest.raises(SettingsInvalid) as caught:
            await _set(plane, deployments__batch="0%", scaling__minimun=2, type="huge")
        assert [each["location"] for each in caught.value.facts["errors"]] == [
            "type",
            "scaling.minimun",
            "deployments.batch",
        ]
        with pytest.raises(SettingsInvalid, match="minimum: found 4, over the maximum of 2"):
            await _set(plane, scaling__minimum=4, scaling__maximum=2)
        assert await plane.settings.history(*PROD) == []
        with pytest.raises(NoSuchEnvironment):
            await plane.settings.change("shop", "no", Wish(), actor="ada")
        with pytest.raises(NoSuchRelease):
            await plane.settings.show(*PROD, release=9)


async def test_a_preview_changes_nothing(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        wish = Wish({"deployments": {"batch": "50%", "policy": "canary"}, "type": "nano"}, is_preview=True)
        change = await plane.settings.change(*PROD, wish, actor="ada")
        assert [(each.path, each.before, each.after, each.is_live) for each in change.differences] == [
            ("type", "micro", "nano", False),
            ("deployments.policy", "rolling_additional", "canary", True),
            ("deployments.batch", 1, "50%", True),
        ]
        assert (await plane.settings.history(*PROD), change.deployment_id) == ([], None)
        nothing = await _set(plane)
        assert nothing == Change(())


async def test_a_whole_wish_takes_back_the_rest(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await _set_before(plane)
        await plane.settings.change(*PROD, Wish({"type": "nano"}, is_whole=True), actor="ada")
        server = [e.path for e in (await plane.settings.show(*PROD)).settings if e.source == "server"]
        assert server == ["type"]


async def _set_before(plane: ControlPlane) -> None:
    await plane.environments.create("shop", [EnvironmentPlan("prod")])
    await _set(plane, instances=3, balancer__stickiness=True)


async def test_addresses_are_sealed_and_shown_masked(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        secret = "mailto://ada:xyzzy@example.org"
        await _deployed(plane, await _set(plane, notifications=[{"to": [secret, "$CHAT"], "on": ["failed"]}]))
        ((shown, reference),) = [each["to"] for each in (await _setting(plane, "notifications")).value]
        assert shown.startswith("mailto://***@example.org#") and reference == "$CHAT"
        # what is shown stands for the address itself
        change = await _set(plane, notifications=[{"to": [shown], "on": ["started"]}])
        await _deployed(plane, change)
        await _deployed(plane, await _set(plane, type="small"))
        assert (await _setting(plane, "notifications")).value == [{"to": [shown], "on": ["started"]}]
        with pytest.raises(Invalid, match="stands for no address"):
            await _set(plane, notifications=[{"to": ["mailto://***@example.org#none"]}])
        with pytest.raises(Invalid, match="stands for no address"):
            await _set(plane, notifications=[{"to": ["sealed:x|y"]}])
        assert "xyzzy" not in repr(await ground.entries())
        assert "xyzzy" not in repr(await plane.settings.history(*PROD))
        raw = ground.database.engine.raw_connection()
        assert "xyzzy" not in "\n".join(raw.driver_connection.iterdump())  # type: ignore[union-attr]


async def test_it_is_journalled(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        wish = Wish({"scaling.maximum": 5}, reason="the sale begins")
        await _deployed(plane, await plane.settings.change(*PROD, wish, actor="ada"))
        (entry,) = [each for each in await ground.entries() if each.action == "environment:Configure"]
        assert (entry.actor, entry.before, entry.after) == (
            "ada",
            {"scaling.maximum": None},
            {"scaling.maximum": 5},
        )
        assert entry.details["reason"] == "the sale begins"


async def test_a_restart_keeps_what_is_set(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        site = site_of(run=RunPlan(start="node server.js"))
        await plane.deploy_whole(replace(site, variables={"A": "1"}))
        await _deployed(plane, await _set(plane, run__metrics="/m"))
        deployment = await plane.environments.restart(*PROD, actor="ada")
        await plane.deployed(deployment.id)
        assert (await _setting(plane, "run.metrics")).source == "server"
        await plane.settings.change(*PROD, Wish(unset=("run.metrics",)), actor="ada")
        assert (await _setting(plane, "run.metrics")).value is None


async def test_settings_whose_deployment_is_refused_are_taken_back(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        await plane.environments.scale(*PROD, 1, actor="ada")
        # what is live is set all the same: no instance is replaced by that policy yet
        assert (await _deployed(plane, await _set(plane, deployments__policy="rolling"))).state.is_final
        assert (await _setting(plane, "deployments.policy")).value == "rolling"
        refused = await _deployed(plane, await _set(plane, type="small"))
        assert refused.state is DeploymentState.FAILED and refused.reason.startswith("refused: ")
        setting = await _setting(plane, "type")
        assert (setting.value, setting.source) == ("micro", "default")
        assert (await plane.settings.history(*PROD))[0].by == "halage"


async def test_what_is_taken_back_must_be_a_setting(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        with pytest.raises(SettingsInvalid, match=r"Did you mean `deployments\.policy`"):
            await plane.settings.change(*PROD, Wish(unset=("deployments.polcy",)), actor="ada")
        for path in ("deployments", "deployments.policy", "scaling.maximum"):
            assert (await plane.settings.change(*PROD, Wish(unset=(path,)), actor="ada")).differences == ()


async def test_how_long_lines_are_kept_is_a_setting_of_the_software(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        made = await plane.settings.change(
            *PROD, Wish({"logs.keep_days": 7, "logs.keep_mib": 100}), actor="ada"
        )
        assert all(each.is_live for each in made.differences)
        await _deployed(plane, made)
        shown = await _setting(plane, "logs.keep_days")
        assert (shown.value, shown.group, shown.source) == (7, "software", Origin.SERVER)
        with pytest.raises(SettingsInvalid, match=r"logs\.keep_mib: found 0\. Allowed: from 1 to"):
            await plane.settings.change(*PROD, Wish({"logs.keep_mib": 0}), actor="ada")
        controller = plane.environment_controller
        inventory = EnvironmentInventory(plane.environments._m, controller, WorkloadCounter(ground.database))
        (prod,) = [each for each in await inventory.environments() if each.name == "prod"]
        assert prod.log_limits == LogLimits(7 * 86400.0, 100 * 1024**2)
