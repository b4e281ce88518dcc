"""Environments after others: clones, templates; rebuilt and terminated."""

import pytest
from sqlalchemy import select

from halage.base.database import Transaction
from halage.base.errors import Conflict, Invalid, NotFound, Unavailable
from halage.environment.errors import NoSuchEnvironment, NothingDeployed
from halage.environment.model import DeploymentState
from halage.environment.settings.model import Wish
from halage.environment.tables import settings_tables as tables
from halage.pipeline.model import RunState
from halage.site.model import EnvironmentPlan, HealthPlan
from tests.controlplane import PROD, SHOP, ControlPlane, Ground, control_plane, eventually, site_of
from tests.services.pipeline.test_runs import files

COPY = (SHOP, "copy")


async def _setting(plane: ControlPlane, name: str, path: str) -> object:
    settings = (await plane.settings.show(SHOP, name)).settings
    return next(each.value for each in settings if each.path == path)


def _rich() -> EnvironmentPlan:
    return EnvironmentPlan(
        "prod", instances=2, health=HealthPlan("/up"), domains=("a.example",), variables={"FILE": "1"}
    )


async def test_a_clone_runs_the_same_release_with_the_same_settings(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.environments.create(SHOP, [EnvironmentPlan("prod")])
        await plane.environments.set_variable(*PROD, "SECRET", "xyzzy", is_secret=True, actor="ada")
        await plane.settings.change(*PROD, Wish({"balancer.stickiness": True, "type": "small"}), actor="ada")
        await plane.deploy_whole(site_of(plan=_rich()))
        made = await plane.making.clone(*PROD, "copy", actor="bob")
        assert made.deployment_id is not None
        deployment = await plane.deployed(made.deployment_id)
        assert (deployment.state, deployment.release.number) == (DeploymentState.SUCCEEDED, 1)
        assert deployment.release.commit == f"{1:040x}"
        assert len(ground.visitors_reach(COPY)) == 2
        for path, value in (("balancer.stickiness", True), ("type", "small"), ("health.path", "/up")):
            assert await _setting(plane, "copy", path) == value
        assert await _setting(plane, "copy", "domains") == []
        spec = ground.spec_of("i-")
        assert (spec.environment["SECRET"], spec.environment["FILE"]) == ("xyzzy", "1")
        assert spec.environment["HALAGE_ENVIRONMENT"] == "copy"
        with pytest.raises(Conflict, match="has an environment copy already"):
            await plane.making.clone(*PROD, "copy", actor="bob")
        with pytest.raises(Invalid, match="names of lower-case letters"):
            await plane.making.clone(*PROD, "approval", actor="bob")
        with pytest.raises(NoSuchEnvironment):
            await plane.making.clone(SHOP, "no", "copy2", actor="bob")


async def test_an_environment_is_made_of_a_template(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(plan=_rich()))
        saved = await plane.making.save_template(*PROD, "big", actor="ada")
        with pytest.raises(Invalid, match="A template cannot be called 'Big!'"):
            await plane.making.save_template(*PROD, "Big!", actor="ada")
        assert saved.settings == {"instances": 2, "health.path": "/up"}
        made = await plane.making.create(SHOP, "copy", template="big", actor="ada")
        assert made.deployment_id is None
        assert await _setting(plane, "copy", "health.path") == "/up"
        assert [each.name for each in await plane.making.templates(SHOP)] == ["big"]
        await plane.making.delete_template(SHOP, "big", actor="ada")
        with pytest.raises(NotFound, match="no template big"):
            await plane.making.create(SHOP, "copy2", template="big", actor="ada")


async def test_a_rebuilt_environment_has_none_of_its_old_instances(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        with pytest.raises(NoSuchEnvironment):
            await plane.making.rebuild(*PROD, actor="ada")
        await plane.environments.create(SHOP, [EnvironmentPlan("prod")])
        with pytest.raises(NothingDeployed):
            await plane.making.rebuild(*PROD, actor="ada")
        await plane.deploy_whole()
        before = set(ground.compute.running())
        deployment_id = await plane.making.rebuild(*PROD, actor="ada")
        assert (await plane.deployed(deployment_id)).state is DeploymentState.SUCCEEDED
        await plane.is_serving(["2", "2"])
        assert not before & set(ground.compute.running())
        ground.prober.answers.clear()
        await plane.begin(run_id=2)
        with pytest.raises(Conflict, match="is under way"):
            await plane.making.rebuild(*PROD, actor="ada")
        ground.prober.answers.set()


async def test_a_terminated_environment_leaves_nothing(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        await plane.settings.change(*PROD, Wish({"scaling.maximum": 3}), actor="ada")
        await plane.making.terminate(*PROD, actor="ada")
        with pytest.raises(NoSuchEnvironment):
            await plane.environments.show(*PROD)

        async def is_gone() -> bool:
            return ground.compute.running() == [] and ground.visitors_reach() == []

        await eventually(is_gone, "the end of its instances")

        def left(tx: Transaction) -> int:
            return len(list(tx.execute(select(tables.settings_table))))

        assert await ground.database.run(left) == 0
        assert [each.name for each in await plane.environments.list(SHOP)] == ["dev"]
        (entry,) = [each for each in await ground.entries() if each.action == "environment:Terminate"]
        assert entry.before is not None and entry.before["instances"] == 2


async def test_what_monitoring_keeps_goes_with_the_environment(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        with pytest.raises(NoSuchEnvironment):
            await plane.making.terminate(SHOP, "no", actor="ada")
        ground.is_disk_full = True
        with pytest.raises(Unavailable):
            await plane.making.terminate(*PROD, actor="ada")
        assert ground.forgotten == []
        ground.is_disk_full = False
        # Its rows are gone, but it can be asked again until all of it is.
        await plane.making.terminate(*PROD, actor="ada")
        assert ground.forgotten == [PROD]
        actions = [each.action for each in await ground.entries() if "Terminate" in each.action]
        assert actions == ["environment:Terminate", "environment:Terminated"]
        with pytest.raises(NoSuchEnvironment):
            await plane.making.terminate(*PROD, actor="ada")


async def test_a_removal_that_was_cut_off_is_finished_by_the_next_start(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole()
        ground.is_disk_full = True
        with pytest.raises(Unavailable):
            await plane.making.terminate(*PROD, actor="ada")
        await plane.deploy_whole(run_id=2)
        with pytest.raises(Unavailable):
            await plane.making.terminate(SHOP, "dev", actor="ada")
    ground.is_disk_full = False
    async with control_plane(ground) as plane:
        await plane.making.recover()
        assert ground.forgotten == [(SHOP, "dev")], "and not prod, which was made anew meanwhile"
        await plane.making.recover()
        assert len(ground.forgotten) == 1


async def test_a_run_that_deploys_to_a_terminated_environment_fails(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        ground.prober.answers.clear()
        run_id = await plane.push(files())

        async def is_deploying() -> bool:
            return any(stage.deployment_id for stage in (await plane.pipeline.run(run_id)).stages)

        await eventually(is_deploying, "the deployment of the run")
        await plane.making.terminate(*PROD, actor="ada")
        run = await plane.run_until(run_id, RunState.FAILED)
        assert "prod was terminated" in run.stages[-1].reason
        assert await plane.pipeline.remarks(run.stages[-1]) == []
        ground.prober.answers.set()
