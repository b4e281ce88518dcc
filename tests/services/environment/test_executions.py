"""Commands that people run in an environment, as the drivers and the journal see them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from halage.base.errors import Conflict, Invalid, NotFound, Unavailable
from halage.base.origin import coming_from
from halage.compute.drivers.memory import MemoryAttached, Script
from halage.compute.errors import NoSuchUnit
from halage.compute.model import Stream, TerminalSize, UnitSpec
from halage.environment.errors import NoSuchEnvironment, NothingDeployed
from halage.environment.execution.ledger import MOST_AT_ONCE
from halage.environment.execution.service import Executions
from halage.environment.model import ExecutionWish, Outcome
from halage.site.model import EnvironmentPlan
from tests.clock import ManualClock
from tests.controlplane import PROD, SHOP, ControlPlane, Ground, control_plane, eventually, site_of

MIGRATE = ExecutionWish(("php", "artisan", "migrate"))


@asynccontextmanager
async def deployed(ground: Ground) -> AsyncIterator[tuple[ControlPlane, Executions]]:
    """A control plane with a site that runs, and the executions of it."""
    async with control_plane(ground) as plane:
        executions = Executions(plane.environments._m, ground.compute, tasks=plane.tasks)
        await plane.deploy_whole(site_of(instances=2, variables={"GREETING": "hello"}))
        await plane.is_serving(["1", "1"])
        yield plane, executions
        await executions.close()


def units_of(ground: Ground) -> list[str]:
    return [unit for unit in ground.compute.running() if unit.startswith("x-")]


async def told(ground: Ground) -> list[dict[str, object]]:
    """What the journal holds of executions."""
    kept = ("environment:Execute", "environment:Executed")
    return [{"action": e.action, **e.details} for e in await ground.entries() if e.action in kept]


async def test_it_runs_in_a_fresh_instance_that_gets_no_requests(ground: Ground) -> None:
    async with deployed(ground) as (plane, executions):
        reached = ground.balancer.serving("shop.prod")
        async with executions.run(*PROD, MIGRATE, actor="ada") as execution:
            (unit,) = units_of(ground)
            assert unit == execution.id
            spec = ground.compute.spec(unit)
            assert spec.command[-3:] == MIGRATE.command
            assert spec.directory == ground.compute.spec(ground.spec_of("i-").id).directory
            assert spec.limits == ground.spec_of("i-").limits
            assert spec.environment["GREETING"] == "hello"
            assert spec.environment["HALAGE_RELEASE"] == "1"
            assert "TERM" not in spec.environment
            assert ground.compute.attached[unit].host is None
            assert ground.places.private(PROD, unit).is_dir()
            ground.compute.print(unit, b"migrated")
            assert await execution.ends.read(Stream.OUTPUT) == b"migrated"
            ground.compute.end(unit, 3)
            assert await execution.over() == Outcome(3)
        assert not ground.places.private(PROD, unit).exists()
        assert ground.balancer.serving("shop.prod") == reached
        assert (await plane.environments.show(*PROD)).serving == 2
        with pytest.raises(NoSuchUnit):
            ground.compute.spec(unit)


async def test_it_runs_in_a_chosen_instance_within_its_limits_and_directories(ground: Ground) -> None:
    async with deployed(ground) as (plane, executions):
        chosen = (await plane.environments.show(*PROD)).instances[1]
        wish = ExecutionWish((), instance=chosen.id, terminal=TerminalSize(100, 30), terminal_kind="vt100")
        async with executions.run(*PROD, wish, actor="ada") as execution:
            ends = ground.compute.attached[execution.id]
            assert (ends.host, ends.terminal) == (f"{chosen.id}.1", TerminalSize(100, 30))
            spec = ground.compute.spec(execution.id)
            assert spec.environment["HOME"] == str(ground.places.private(PROD, chosen.id))
            assert spec.environment["PORT"] == str(chosen.port)
            assert spec.environment["TERM"] == "vt100"
        assert ground.places.private(PROD, chosen.id).is_dir()
        assert f"{chosen.id}.1" in ground.compute.running()


async def test_it_ends_with_its_client(ground: Ground) -> None:
    async with deployed(ground) as (_, executions):
        async with executions.run(*PROD, MIGRATE, actor="ada") as execution:
            ends = ground.compute.attached[execution.id]
        assert ends.is_closed
        assert units_of(ground) == []
        assert await execution.over() == Outcome(143, "its client went away")


async def test_a_client_that_is_cut_off_leaves_nothing(ground: Ground) -> None:
    async with deployed(ground) as (_, executions):

        async def hold() -> None:
            async with executions.run(*PROD, MIGRATE, actor="ada"):
                await asyncio.Event().wait()

        async with asyncio.TaskGroup() as group:
            client = group.create_task(hold())

            async def begun() -> bool:
                return bool(units_of(ground))

            await eventually(begun, "the command to begin")
            client.cancel()

        async def over() -> bool:
            return (await told(ground))[-1]["action"] == "environment:Executed"

        await eventually(over, "its end")
        assert units_of(ground) == []


async def test_its_time_is_over(ground: Ground, clock: ManualClock) -> None:
    async with deployed(ground) as (_, executions):
        wish = ExecutionWish(("sleep", "infinity"), limit_s=60.0)
        async with executions.run(*PROD, wish, actor="ada") as execution:
            await clock.advance(59)
            assert units_of(ground) == [execution.id]
            await clock.advance(2)
            assert await execution.over() == Outcome(143, "its time of 60 s was over")


async def test_it_is_journalled_with_who_what_how_and_without_secrets(ground: Ground) -> None:
    async with deployed(ground) as (plane, executions):
        await plane.environments.set_variable(*PROD, "TOKEN", "sesame-open", is_secret=True, actor="ada")
        words = ("curl", "-H", "X-Key: sesame-open", "--password", "hunter2", "DB_PASSWORD=xyz")
        with coming_from("api 203.0.113.5 token ci"):
            async with executions.run(*PROD, ExecutionWish(words), actor="bob") as execution:
                ground.compute.end(execution.id, 0)
                await execution.over()
        shown = "curl -H 'X-Key: [secret]' --password [secret] 'DB_PASSWORD=[secret]'"
        begun, ended = await told(ground)
        assert begun == {
            "action": "environment:Execute",
            "execution": execution.id,
            "command": shown,
            "release": 1,
            "instance": None,
            "has_terminal": False,
        }
        assert (ended["exit_code"], ended["reason"], ended["command"]) == (0, "", shown)
        entries = [e for e in await ground.entries() if e.action.startswith("environment:Execute")]
        assert {(e.actor, e.origin, e.subject) for e in entries} == {
            ("bob", "api 203.0.113.5 token ci", "project/shop/environment/prod")
        }


async def test_one_that_cannot_be_started_says_why(ground: Ground) -> None:
    async with deployed(ground) as (_, executions):
        before = ground.compute.script_for
        ground.compute.script_for = lambda spec: (
            Script(start_error="the disk is full") if spec.id.startswith("x-") else before(spec)
        )
        with pytest.raises(Unavailable, match="could not be started: the disk is full"):
            async with executions.run(*PROD, MIGRATE, actor="ada"):
                pytest.fail("it began")
        assert "the disk is full" in str((await told(ground))[-1]["reason"])


async def test_what_cannot_be_is_refused(ground: Ground) -> None:
    async with deployed(ground) as (plane, executions):
        await plane.environments.create(SHOP, [EnvironmentPlan("dev")])
        with pytest.raises(NoSuchEnvironment):
            await executions.check(SHOP, "nowhere", MIGRATE)
        with pytest.raises(NothingDeployed):
            await executions.check(SHOP, "dev", MIGRATE)
        with pytest.raises(NotFound, match="no instance i-nobody"):
            await executions.check(*PROD, ExecutionWish(("ls",), instance="i-nobody"))
        with pytest.raises(Invalid, match="14400 s at most"):
            await executions.check(*PROD, ExecutionWish(("ls",), limit_s=14401))
        await executions.check(*PROD, MIGRATE)


async def test_so_many_at_once_and_no_more(ground: Ground) -> None:
    async with deployed(ground) as (_, executions):
        async with AsyncExitStack() as stack:
            for _ in range(MOST_AT_ONCE):
                await stack.enter_async_context(executions.run(*PROD, MIGRATE, actor="ada"))
            with pytest.raises(Conflict, match="10 commands run in shop prod already"):
                await stack.enter_async_context(executions.run(*PROD, MIGRATE, actor="ada"))
        assert units_of(ground) == []


async def test_those_under_way_are_listed_and_anyone_who_may_ends_them(ground: Ground) -> None:
    async with deployed(ground) as (plane, executions):
        chosen = (await plane.environments.show(*PROD)).instances[1].id
        shell = ExecutionWish((), instance=chosen, terminal=TerminalSize(80, 24), limit_s=60.0)
        words = ExecutionWish(("mysql", "-phunter2"))
        async with (
            executions.run(*PROD, words, actor="ada") as first,
            executions.run(*PROD, shell, actor="bob") as second,
        ):
            listed = await executions.list(*PROD)
            assert {(e.id, e.started_by, e.command, e.instance, e.has_terminal) for e in listed} == {
                (first.id, "ada", "mysql '-p[secret]'", None, False),
                (second.id, "bob", "a shell", chosen, True),
            }
            await plane.deploy_whole(site_of(instances=2), run_id=2)
            await plane.deploy_whole(site_of(instances=2), run_id=3)
            await second.over()  # with its instance
            assert [(e.id, e.release_number) for e in await executions.list(*PROD)] == [(first.id, 1)]
            with pytest.raises(NotFound, match="no execution x-nobody that runs"):
                await executions.end(*PROD, "x-nobody", actor="eve")
            with pytest.raises(NoSuchEnvironment):
                await executions.end(SHOP, "nowhere", first.id, actor="eve")
            assert (await executions.end(*PROD, first.id, actor="eve")).command == "mysql '-p[secret]'"
            assert await first.over() == Outcome(143, "eve ended it")
            assert await executions.list(*PROD) == []
        asked = next(e for e in await ground.entries() if e.action == "environment:EndExecution")
        assert (asked.actor, asked.details["execution"]) == ("eve", first.id)
        assert (asked.details["started_by"], asked.project) == ("ada", SHOP)


async def test_the_server_that_stops_ends_them(ground: Ground) -> None:
    async with (
        deployed(ground) as (_, executions),
        executions.run(*PROD, MIGRATE, actor="ada") as execution,
    ):
        await executions.close()
        assert await execution.over() == Outcome(143, "the server stopped")
        with pytest.raises(Unavailable):
            async with executions.run(*PROD, MIGRATE, actor="ada"):
                pytest.fail("it began")


async def test_what_a_cut_off_server_left_is_ended_and_told(ground: Ground) -> None:
    async with deployed(ground) as (plane, executions):
        async with executions.run(*PROD, MIGRATE, actor="ada") as execution:
            after = Executions(plane.environments._m, ground.compute, tasks=plane.tasks)
            await after.recover()
            assert units_of(ground) == []
            ended = (await told(ground))[-1]
            assert (ended["execution"], ended["reason"]) == (execution.id, "the server was cut off")
        assert len(await told(ground)) == 2, "the end is told once"


async def test_the_release_of_one_under_way_is_kept_when_another_is_deployed(ground: Ground) -> None:
    async with deployed(ground) as (plane, executions):
        async with executions.run(*PROD, MIGRATE, actor="ada"):
            await plane.deploy_whole(site_of(instances=2), run_id=2)
            await plane.deploy_whole(site_of(instances=2), run_id=3)
            assert ground.places.release(PROD, 1).is_dir()
            assert not ground.places.release(PROD, 2).exists()
        await plane.deploy_whole(site_of(instances=2), run_id=4)
        assert not ground.places.release(PROD, 1).exists()


async def test_a_deleted_project_takes_its_executions_along(ground: Ground) -> None:
    async with (
        deployed(ground) as (plane, executions),
        executions.run(*PROD, MIGRATE, actor="ada") as execution,
    ):
        await plane.environments.delete(SHOP)
        await execution.over()
        assert units_of(ground) == []


async def test_one_that_begins_while_its_project_is_deleted_ends(ground: Ground) -> None:
    async with deployed(ground) as (plane, _):

        class Late:
            """The driver, asked to begin after everything of the project was looked for and ended."""

            async def attach(
                self, spec: UnitSpec, terminal: TerminalSize | None = None, host: str | None = None
            ) -> MemoryAttached:
                await plane.environments.delete(SHOP)
                return await ground.compute.attach(spec, terminal, host)

        executions = Executions(plane.environments._m, Late(), tasks=plane.tasks)
        async with executions.run(*PROD, MIGRATE, actor="ada") as execution:
            assert await execution.over() == Outcome(143, "its project was deleted")
        assert units_of(ground) == []
