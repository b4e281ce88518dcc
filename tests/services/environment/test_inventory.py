"""What monitoring is told of environments: right, made anew only after a change, and no secret left out."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import event

from halage.compute.drivers.memory import Script
from halage.environment.control.inventory import EnvironmentInventory
from halage.environment.model import InstanceState
from halage.monitor.inventory import Inventory, WatchedEnvironment, Workload
from halage.pipeline.workload import WorkloadCounter
from halage.site.model import EnvironmentPlan, RunPlan
from tests.controlplane import PROD, SHOP, ControlPlane, Ground, control_plane, eventually, site_of

PLAN = EnvironmentPlan(
    "prod", instances=2, type="small", domains=("www.example.org",), detailed_monitoring=True
)
SITE = site_of(plan=PLAN, run=RunPlan(start="serve", metrics="/metrics"))


@pytest.fixture
async def plane(ground: Ground) -> AsyncIterator[ControlPlane]:
    async with control_plane(ground) as plane:
        yield plane


@pytest.fixture
def inventory(plane: ControlPlane) -> EnvironmentInventory:
    return _inventory(plane)


def _inventory(plane: ControlPlane) -> EnvironmentInventory:
    environments = plane.environments
    counter = WorkloadCounter(plane.ground.database)
    return EnvironmentInventory(environments._m, plane.environment_controller, counter)


async def _prod(inventory: Inventory) -> WatchedEnvironment:
    found = await inventory.environments()
    return next(each for each in found if (each.project, each.name) == PROD)


async def test_an_environment_is_told_with_all_that_its_site_says(
    plane: ControlPlane, inventory: EnvironmentInventory
) -> None:
    await plane.deploy_whole(SITE)
    prod = await _prod(inventory)
    assert (prod.wanted, prod.is_detailed, prod.metrics_path) == (2, True, "/metrics")
    assert (prod.domains, prod.is_deploying, prod.ended_units) == (("www.example.org",), False, ())
    assert prod.has_release
    shown = {each.id: each for each in (await plane.environments.show(*PROD)).instances}
    assert {each.id for each in prod.instances} == set(shown)
    for each in prod.instances:
        assert each.unit_id == f"{each.id}.1"
        assert each.unit_id in plane.ground.compute.running()
        assert (each.address, each.port) == (shown[each.id].address, shown[each.id].port)
        assert (each.type.name, each.is_serving, each.restarts) == ("small", True, 0)
    dev = (await inventory.environments())[0]
    assert (dev.name, dev.wanted, dev.instances, dev.metrics_path) == ("dev", 0, (), None)
    assert not dev.has_release


async def test_without_a_change_nothing_is_asked_and_the_copy_is_the_same(
    plane: ControlPlane, inventory: EnvironmentInventory, ground: Ground
) -> None:
    await plane.deploy_whole(SITE)
    await plane.environment_controller._controller.settled(PROD)
    first = await inventory.environments()
    statements: list[str] = []

    @event.listens_for(ground.database.engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    for _ in range(100):
        assert await inventory.environments() is first
    assert statements == []
    await plane.environments.set_variable(*PROD, "COLOUR", "red", is_secret=False, actor="ada")
    statements.clear()
    again = await inventory.environments()
    assert again == first and again is not first
    assert len(statements) <= 5, statements


async def test_a_change_in_one_environment_is_asked_of_that_one_alone(
    plane: ControlPlane, inventory: EnvironmentInventory, ground: Ground
) -> None:
    """What a fleet costs grows with what happens in it, not with that times its size."""
    await plane.deploy_whole(SITE)
    for number in range(50):
        await plane.environments.create(f"other-{number:02}", [EnvironmentPlan("prod"), EnvironmentPlan("a")])
    before = await inventory.environments()
    asked: list[object] = []

    @event.listens_for(ground.database.engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, _statement: str, parameters: object, *_: object) -> None:
        if parameters:  # BEGIN has none
            asked.append(parameters)

    await plane.environments.scale("other-07", "prod", 3, actor="ada")
    asked.clear()
    after = await inventory.environments()
    assert asked and all("other-07" in str(each) for each in asked), asked
    assert after == before, "in the same order"
    assert [mine for mine, its in zip(before, after, strict=True) if mine is not its] == [
        each for each in before if (each.project, each.name) == ("other-07", "prod")
    ]
    await plane.environments.create("other-03", [EnvironmentPlan("b")])
    await plane.environments.delete("other-05")
    assert await inventory.environments() == await _inventory(plane).environments()
    assert await inventory.standings() == await _inventory(plane).standings()


async def test_every_change_is_seen_at_the_next_call(
    plane: ControlPlane, inventory: EnvironmentInventory, ground: Ground
) -> None:
    """The copy is never older than what the database says, whatever changed it."""

    async def is_right() -> bool:
        fresh = _inventory(plane)
        is_same = await inventory.standings() == await fresh.standings()
        return is_same and await inventory.environments() == await fresh.environments()

    assert await inventory.environments() == ()
    ground.prober.answers.clear()
    deployment = await plane.begin(SITE)
    assert (await _prod(inventory)).is_deploying
    assert (await _prod(inventory)).has_release, "it is on its way"
    assert await is_right()
    ground.prober.answers.set()
    await plane.deployed(deployment)
    assert await is_right()
    assert not (await _prod(inventory)).is_deploying
    await plane.environments.scale(*PROD, 4, actor="ada")
    assert (await _prod(inventory)).wanted == 4
    await plane.is_serving(["1"] * 4)
    assert len((await _prod(inventory)).instances) == 4
    await plane.environments.scale(*PROD, 1, actor="ada")
    await plane.is_serving(["1"])

    async def three_ended() -> bool:
        return len((await _prod(inventory)).ended_units) == 3

    await eventually(three_ended, "the logs of those that went")
    assert await is_right()
    unit = ground.compute.running()[0]
    ground.compute.end(unit, 137)

    async def restarted() -> bool:
        (instance,) = (await _prod(inventory)).instances
        return instance.restarts == 1 and instance.is_serving and instance.unit_id.endswith(".2")

    await eventually(restarted, "the restart")
    assert await is_right()
    await plane.environments.delete(SHOP)
    assert await inventory.environments() == ()


async def test_the_goal_of_a_deployment_counts_and_each_instance_keeps_the_type_of_its_release(
    plane: ControlPlane, inventory: EnvironmentInventory, ground: Ground
) -> None:
    await plane.deploy_whole(SITE)
    ground.prober.answers.clear()
    bigger = site_of(plan=EnvironmentPlan("prod", instances=3, type="medium"))
    deployment = await plane.begin(bigger, run_id=2)

    async def mixed() -> bool:
        return {each.type.name for each in (await _prod(inventory)).instances} == {"small", "medium"}

    await eventually(mixed, "an instance of the new release")
    prod = await _prod(inventory)
    assert (prod.wanted, prod.metrics_path, prod.is_detailed) == (3, None, False)
    ground.prober.answers.set()
    await plane.deployed(deployment)


async def test_secrets_are_those_of_now_and_those_that_running_instances_have(
    plane: ControlPlane, inventory: EnvironmentInventory, ground: Ground
) -> None:
    opened: list[str] = []
    really = ground.secrets.open

    class Counting:
        def seal(self, text: str) -> str:
            return ground.secrets.seal(text)

        def open(self, sealed: str) -> str:
            opened.append(sealed)
            return really(sealed)

    object.__setattr__(plane.environments._m, "sealer", Counting())
    await plane.environments.create(SHOP, [EnvironmentPlan("prod")])
    await plane.environments.set_variable(*PROD, "KEY", "old-secret", is_secret=True, actor="ada")
    await plane.environments.set_variable(*PROD, "COLOUR", "red", is_secret=False, actor="ada")
    await plane.deploy_whole(SITE)
    await plane.environments.set_variable(*PROD, "KEY", "new-secret", is_secret=True, actor="ada")
    assert (await _prod(inventory)).secrets == ("new-secret", "old-secret")
    opened.clear()
    await plane.environments.set_variable(*PROD, "COLOUR", "blue", is_secret=False, actor="ada")
    assert (await _prod(inventory)).secrets == ("new-secret", "old-secret")
    assert opened == [], "what was opened before is not opened again"
    assert "secret" not in repr(await _prod(inventory))
    restart = await plane.environments.restart(*PROD, actor="ada")
    await plane.deployed(restart.id)
    assert (await _prod(inventory)).secrets == ("new-secret",)
    assert inventory._opened.keys() == {next(iter(inventory._opened))}, "and what is gone is forgotten"


async def test_a_secret_that_cannot_be_opened_hides_nothing_else(
    plane: ControlPlane, inventory: EnvironmentInventory, ground: Ground
) -> None:
    await plane.deploy_whole(SITE)
    await plane.environments.set_variable(*PROD, "KEY", "sesame", is_secret=True, actor="ada")
    (ground.directory / "key").unlink()
    ground.secrets._fernet = None
    prod = await _prod(inventory)
    assert (prod.secrets, prod.wanted) == ((), 2)


async def test_it_is_told_anew_after_a_restart_of_the_control_plane(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script(output=b"hello\n")
    async with control_plane(ground) as plane:
        await plane.deploy_whole(SITE)
        await plane.deploy_whole(SITE, run_id=2)
        await plane.is_serving(["2", "2"])
        before = await _prod(_inventory(plane))
    async with control_plane(ground) as plane:
        after = await _prod(_inventory(plane))
        assert after.instances == before.instances
        assert sorted(after.ended_units) == sorted(before.ended_units) and len(after.ended_units) == 2


async def test_the_workload_counts_what_waits_and_what_is_under_way(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script()  # no job ends by itself
    async with control_plane(ground) as plane:
        inventory: Inventory = _inventory(plane)
        assert await inventory.workload() == Workload(0, 0, 0, 0)
        await plane.environments.create(SHOP, [])
        for number in range(4):
            await plane.push(
                {"package.json": '{"scripts": {"start": "x"}}', "a": str(number)}, branch=f"b{number}"
            )

        async def jobs_run() -> bool:
            return (await inventory.workload()).running_jobs == plane.ground.build_limits.concurrent

        await eventually(jobs_run, "as many jobs as run at once")
        load = await inventory.workload()
        assert load.open_runs == 4
        assert load.queued_jobs == 4 - load.running_jobs
        ground.prober.answers.clear()
        await plane.begin(run_id=90)
        waiting = await plane.deploy(run_id=91)
        assert (await inventory.workload()).open_deployments == 2
        ground.prober.answers.set()
        await plane.deployed(waiting)
        assert (await inventory.workload()).open_deployments == 0


async def test_an_instance_that_is_not_in_the_balancer_does_not_serve(
    plane: ControlPlane, inventory: EnvironmentInventory, ground: Ground
) -> None:
    ground.prober.answers.clear()
    deployment = await plane.begin(SITE)

    async def starting() -> bool:
        states = [each.state for each in (await plane.environments.show(*PROD)).instances]
        return states == [InstanceState.STARTING] * 2

    await eventually(starting, "two instances that start")
    assert [each.is_serving for each in (await _prod(inventory)).instances] == [False, False]
    ground.prober.answers.set()
    await plane.deployed(deployment)
