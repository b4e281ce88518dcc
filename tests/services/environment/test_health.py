"""The health of environments as it is watched, recorded and acted upon; instances taken out, put back."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from halage.base.errors import Conflict, NotFound
from halage.environment.autoscaling.model import WEB
from halage.environment.control.inventory import EnvironmentInventory
from halage.environment.control.watcher import LOOK_EVERY_S, HealthChange, HealthWatcher
from halage.environment.model import Colour, HealthStatus, InstanceState
from halage.environment.tables import scaling_store
from halage.monitor.collect.model import Requests
from halage.pipeline.workload import WorkloadCounter
from halage.site.model import EnvironmentPlan
from halage.site.settings import AllUnhealthy, BalancerPlan, HealthRules, ProcessKind, ScalingPlan
from tests.clock import ManualClock
from tests.controlplane import PROD, ControlPlane, Ground, control_plane, eventually, site_of

ROUTE = "shop.prod"
PLAN = EnvironmentPlan("prod", instances=2, health_rules=HealthRules(replace_after_s=30.0))


class Watched:
    """A control plane whose health is looked at when the test says so."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.ground = plane.ground
        self.changes: list[HealthChange] = []
        controller = plane.environment_controller
        machinery = plane.environments._m
        inventory = EnvironmentInventory(machinery, controller, WorkloadCounter(plane.ground.database))
        self.watcher = HealthWatcher(machinery, controller, inventory, self.changes.append)

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.ground.clock, ManualClock)
        return self.ground.clock

    async def look_for(self, seconds: float) -> None:
        """Let time pass, and look as often as the product does."""
        for _ in range(round(seconds / LOOK_EVERY_S)):
            await self.clock.advance(LOOK_EVERY_S)
            await self.watcher.look()

    def ids(self) -> list[str]:
        """The instances that run."""
        return [unit.rpartition(".")[0] for unit in self.ground.compute.running()]

    def fail(self, instance: str, words: str = "L7STS/500 in 3 ms") -> None:
        self.ground.balancer.set_check(ROUTE, instance, is_healthy=False, words=words)

    def recover(self, instance: str) -> None:
        self.ground.balancer.set_check(ROUTE, instance, is_healthy=True)

    def statuses(self) -> list[str]:
        return [change.health.status.value for change in self.changes]

    async def in_state(self, instance: str, state: InstanceState) -> None:
        async def look() -> bool:
            found = (await self.plane.environments.show(*PROD)).instances
            return any(each.id == instance and each.state is state for each in found)

        await eventually(look, f"{instance} to be {state}")

    async def is_out(self, instance: str) -> None:
        """Return once the instance is taken out, and the balancer knows it no more."""
        await self.in_state(instance, InstanceState.TAKEN_OUT)

        async def look() -> bool:
            return all(each.target.id != instance for each in await self.ground.balancer.status(ROUTE))

        await eventually(look, f"{instance} to leave the balancer")


@asynccontextmanager
async def _watched(ground: Ground, plan: EnvironmentPlan = PLAN) -> AsyncIterator[Watched]:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(plan=plan))
        watched = Watched(plane)
        await watched.watcher.look()
        yield watched


async def test_what_is_worse_is_recorded_at_once_and_what_is_better_once_it_lasts(ground: Ground) -> None:
    async with _watched(ground) as watched:
        bad = watched.ids()[0]
        watched.fail(bad)
        await watched.look_for(LOOK_EVERY_S)
        assert watched.statuses() == ["ok", "warning"]
        change = watched.changes[-1]
        assert change.is_worse and change.before is HealthStatus.OK
        assert change.health.causes[0].instance == bad
        watched.recover(bad)
        await watched.look_for(12)
        assert (await watched.plane.environments.show(*PROD)).colour is Colour.GREEN
        assert watched.statuses() == ["ok", "warning"], "it may fail again"
        await watched.look_for(6)
        assert watched.statuses() == ["ok", "warning", "ok"]
        assert not watched.changes[-1].is_worse
        entries = [e for e in await ground.entries() if e.action == "environment:HealthChanged"]
        assert [e.after and e.after["status"] for e in entries] == ["ok", "warning", "ok"]
        assert entries[1].before == {"status": "ok", "colour": "green"}
        assert bad in entries[1].details["causes"][0]


async def test_the_history_tells_from_when_until_when_and_why(ground: Ground) -> None:
    async with _watched(ground) as watched:
        began = watched.clock.now()
        for instance in watched.ids():
            watched.fail(instance)
        await watched.look_for(LOOK_EVERY_S)
        now = watched.clock.now()
        spans = await watched.plane.environments.health_spans(*PROD, began - 10, now + 1)
        assert [(s.began_at, s.ended_at, s.health.status.value) for s in spans] == [
            (began, now, "ok"),
            (now, None, "severe"),
        ]
        assert [cause.kind for cause in spans[1].health.causes] == ["none_up", "failing", "failing"]
        (within,) = await watched.plane.environments.health_spans(*PROD, began + 1, now)
        assert within.health.status is HealthStatus.OK, "what began before still held"


async def test_a_restarted_control_plane_records_only_what_is_new(ground: Ground) -> None:
    async with _watched(ground) as watched:
        assert watched.statuses() == ["ok"]
    async with control_plane(ground) as plane:
        again = Watched(plane)
        await plane.is_serving(["1", "1"])
        await again.watcher.look()
        assert again.statuses() == []


async def test_one_that_fails_is_started_again_after_its_threshold(ground: Ground) -> None:
    async with _watched(ground) as watched:
        bad, good = watched.ids()
        watched.fail(bad)
        await watched.look_for(30)
        assert sorted(ground.compute.running()) == sorted([f"{bad}.1", f"{good}.1"])
        await watched.look_for(6)

        async def is_back() -> bool:
            await watched.look_for(LOOK_EVERY_S)
            return f"{bad}.2" in ground.compute.running()

        await eventually(is_back, "the next attempt")
        await watched.plane.is_serving(["1", "1"])
        (entry,) = [e for e in await ground.entries() if e.action == "environment:RestartInstance"]
        assert entry.details["reason"].startswith("failed its check for 3")


async def test_all_that_fail_are_started_again_one_by_one(ground: Ground) -> None:
    async with _watched(ground) as watched:
        ids = watched.ids()
        for instance in ids:
            watched.fail(instance)
        ground.prober.answers.clear()
        await watched.look_for(45)

        async def one_starts() -> bool:
            await watched.look_for(LOOK_EVERY_S)
            return sum(unit.endswith(".2") for unit in ground.compute.running()) == 1

        await eventually(one_starts, "the first one to start again")
        await watched.look_for(30)
        assert await one_starts(), "the other one waits until the first is back"


@pytest.mark.parametrize("is_planned", [True, False])
async def test_suspending_it_starts_nobody_again(ground: Ground, is_planned: bool) -> None:
    """Whether halage.toml says so or a person does."""
    rules, suspended = HealthRules(replace_after_s=30), ("replace",)
    plan = EnvironmentPlan(
        "prod", 2, health_rules=rules, scaling=ScalingPlan(suspended=suspended if is_planned else ())
    )
    async with _watched(ground, plan) as watched:
        if not is_planned:
            await ground.database.run(scaling_store.put_state, PROD, WEB, suspended=suspended)
        watched.fail(watched.ids()[0])
        await watched.look_for(90)
        assert all(unit.endswith(".1") for unit in ground.compute.running())


@pytest.mark.parametrize("policy", list(AllUnhealthy))
async def test_all_unhealthy_is_red_and_says_what_visitors_get(ground: Ground, policy: AllUnhealthy) -> None:
    plan = EnvironmentPlan("prod", 1, balancer=BalancerPlan(all_unhealthy=policy))
    async with _watched(ground, plan) as watched:
        watched.fail(watched.ids()[0])
        shown = await watched.plane.environments.show(*PROD)
        assert (shown.colour, shown.health.status) == (Colour.RED, HealthStatus.SEVERE)
        words = "all the same" if policy is AllUnhealthy.FAIL_OPEN else "error page"
        assert words in shown.health.causes[0].text


async def test_workers_have_no_part_in_it_and_cannot_be_taken_out(ground: Ground) -> None:
    plan = EnvironmentPlan("prod", 1, processes=(ProcessKind("worker", "work", 2),))
    async with _watched(ground, plan) as watched:
        environments = watched.plane.environments
        shown = await environments.show(*PROD)
        assert (len(shown.instances), shown.cause) == (3, "1 instance up")
        (web,) = [each.id for each in shown.instances if each.process == WEB]
        worker = next(each.id for each in shown.instances if each.process != WEB)
        with pytest.raises(Conflict, match=f"{worker} is a worker: it gets no requests"):
            await environments.take_out(*PROD, worker, replace=False, actor="ada")
        with pytest.raises(Conflict, match="the only instance that serves"):
            await environments.take_out(*PROD, web, replace=False, actor="ada")
        await watched.look_for(90)
        assert watched.statuses() == ["ok"]
        watched.fail(web)
        await watched.look_for(LOOK_EVERY_S)
        shown = await environments.show(*PROD)
        assert shown.health.status is HealthStatus.SEVERE, "workers serve nobody"
        assert {cause.instance for cause in shown.health.causes} <= {None, web}


class _Counted:
    def __init__(self, found: Mapping[str | None, Requests]) -> None:
        self.found = found

    def requests_of(self, route: str) -> Mapping[str | None, Requests] | None:
        return self.found if route == ROUTE else None


async def test_failed_requests_are_told_with_the_instance_to_blame(ground: Ground) -> None:
    async with _watched(ground) as watched:
        bad, good = watched.ids()
        counted = _Counted({None: Requests(200, 80), bad: Requests(100, 80), good: Requests(100, 0)})
        watched.plane.environment_controller.vitals.requests = counted
        shown = await watched.plane.environments.show(*PROD)
        assert shown.health.status is HealthStatus.DEGRADED
        assert shown.cause == f"40% of 200 requests in the last minute failed (5xx), 80 of 80 at {bad}"
        assert {each.id: each.recent and each.recent.errors for each in shown.instances} == {bad: 80, good: 0}


async def test_an_instance_is_taken_out_and_put_back(ground: Ground) -> None:
    async with _watched(ground) as watched:
        environments = watched.plane.environments
        out, other = watched.ids()
        await environments.take_out(*PROD, out, replace=False, actor="ada")
        await watched.is_out(out)
        assert [target.id for target in ground.balancer.serving(ROUTE)] == [other]
        assert sorted(watched.ids()) == sorted([out, other]), "it runs on, and nobody came in its place"
        shown = await environments.show(*PROD)
        assert shown.health.status is HealthStatus.INFO
        assert shown.cause == f"1 instance up; {out} was taken out by ada"
        with pytest.raises(Conflict, match="the only instance that serves"):
            await environments.take_out(*PROD, other, replace=False, actor="ada")
        await environments.put_back(*PROD, out, actor="bob")
        await watched.plane.is_serving(["1", "1"])
        assert ground.compute.running() == [f"{out}.1", f"{other}.1"]
        actions = [e.action for e in await ground.entries() if e.details.get("instance") == out]
        assert actions == ["environment:TakeOut", "environment:PutBack"]


async def test_one_that_is_replaced_leaves_once_the_other_serves(ground: Ground) -> None:
    async with _watched(ground, EnvironmentPlan("prod", 1)) as watched:
        (out,) = watched.ids()
        ground.prober.answers.clear()
        await watched.plane.environments.take_out(*PROD, out, replace=True, actor="ada")

        async def two_run() -> bool:
            return len(watched.ids()) == 2

        await eventually(two_run, "the one in its place")
        assert [target.id for target in ground.balancer.serving(ROUTE)] == [out]
        ground.prober.answers.set()
        await watched.is_out(out)
        (serving,) = ground.balancer.serving(ROUTE)
        assert serving.id != out
        assert (await watched.plane.environments.show(*PROD)).health.status is HealthStatus.INFO


async def test_one_that_is_put_back_beside_the_one_in_its_place_serves_and_the_surplus_drains(
    ground: Ground,
) -> None:
    async with _watched(ground) as watched:
        environments = watched.plane.environments
        out, other = watched.ids()
        await watched.clock.advance(60)  # who is made next is made later
        await environments.take_out(*PROD, out, replace=True, actor="ada")
        await watched.is_out(out)
        (stand_in,) = set(watched.ids()) - {out, other}
        ground.balancer.calls.clear()
        await environments.put_back(*PROD, out, actor="ada")

        async def has_two() -> bool:
            return sorted(watched.ids()) == sorted([out, other])

        await eventually(has_two, "as many as are wanted: the one that was put back, and not its stand-in")
        await watched.plane.is_serving(["1", "1"])
        mine = [(verb, target) for verb, _, target in ground.balancer.calls if target in (out, stand_in)]
        assert mine == [("add", out), ("drain", stand_in), ("remove", stand_in)]
        assert (await environments.show(*PROD)).health.status is HealthStatus.OK
        await watched.look_for(90)
        assert len(watched.ids()) == 2


async def test_one_that_is_put_back_before_it_has_left_never_left(ground: Ground) -> None:
    async with _watched(ground) as watched:
        out, other = watched.ids()
        ground.prober.answers.clear()
        await watched.plane.environments.take_out(*PROD, out, replace=True, actor="ada")

        async def three_run() -> bool:
            return len(watched.ids()) == 3

        await eventually(three_run, "the one in its place")
        await watched.plane.environments.put_back(*PROD, out, actor="ada")
        ground.prober.answers.set()

        async def has_two() -> bool:
            return sorted(watched.ids()) == sorted([out, other])

        await eventually(has_two, "the ones of before")
        assert ground.visitors_reach() == ["1", "1"]


async def test_one_that_is_out_outlives_deployments_and_restarts_and_ends_when_it_is_put_back(
    ground: Ground,
) -> None:
    async with _watched(ground) as watched:
        out = watched.ids()[0]
        await watched.plane.environments.take_out(*PROD, out, replace=False, actor="ada")
        await watched.in_state(out, InstanceState.TAKEN_OUT)
        deployment = await watched.plane.deploy_whole(site_of(plan=PLAN), run_id=2)
        assert (deployment.done, deployment.wanted) == (2, 2), "in the new release it leaves no gap"
        assert ground.visitors_reach() == ["2", "2"]
    async with control_plane(ground) as plane:
        watched = Watched(plane)
        await watched.in_state(out, InstanceState.TAKEN_OUT)
        assert f"{out}.1" in ground.compute.running()
        assert ground.visitors_reach() == ["2", "2"]
        await plane.environments.put_back(*PROD, out, actor="ada")
        await plane.is_serving(["2", "2"])
        assert out not in watched.ids()


async def test_one_that_does_not_answer_stays_out(ground: Ground) -> None:
    async with _watched(ground) as watched:
        out = watched.ids()[0]
        await watched.plane.environments.take_out(*PROD, out, replace=False, actor="ada")
        await watched.in_state(out, InstanceState.TAKEN_OUT)
        ground.prober.problem_of = lambda spec: "answered 500"
        with pytest.raises(Conflict, match=f"{out} stays out: it answered 500"):
            await watched.plane.environments.put_back(*PROD, out, actor="ada")
        await watched.in_state(out, InstanceState.TAKEN_OUT)


async def test_what_cannot_be_taken_out_or_put_back_is_refused_with_the_reason(ground: Ground) -> None:
    async with _watched(ground) as watched:
        environments = watched.plane.environments
        first = watched.ids()[0]
        with pytest.raises(NotFound, match="no instance i-none"):
            await environments.take_out(*PROD, "i-none", replace=False, actor="ada")
        with pytest.raises(Conflict, match="was not taken out"):
            await environments.put_back(*PROD, first, actor="ada")
        ground.prober.answers.clear()
        await watched.plane.begin(site_of(plan=PLAN), run_id=2)
        with pytest.raises(Conflict, match="is running: take the instance out once it has ended"):
            await environments.take_out(*PROD, first, replace=False, actor="ada")
        ground.prober.answers.set()


async def test_one_that_dies_while_it_is_out_ends_and_its_place_stays_empty_no_more(ground: Ground) -> None:
    async with _watched(ground) as watched:
        out = watched.ids()[0]
        await watched.plane.environments.take_out(*PROD, out, replace=False, actor="ada")
        await watched.in_state(out, InstanceState.TAKEN_OUT)
        ground.compute.end(f"{out}.1", 1)
        await watched.plane.is_serving(["1", "1"])
        assert out not in watched.ids()
