"""Scaling at the end of each tick: what is measured, decided, recorded and done."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from halage.base.errors import Invalid, NotFound
from halage.compute.drivers.memory import Script
from halage.environment.autoscaling.model import Reading
from halage.environment.autoscaling.simulation import SimulatedSite
from halage.environment.control.autoscaler import Autoscaler
from halage.environment.control.measures import Question
from halage.environment.scaling_service import Scaling, ScalingView, WhatIf
from halage.environment.tables.store import Place
from halage.site.model import EnvironmentPlan
from halage.site.settings import ProcessKind, ScalingPlan, ScheduledSize, Trigger, TriggerKind
from tests.clock import ManualClock
from tests.controlplane import PROD, SHOP, ControlPlane, Ground, control_plane, eventually, site_of

LOAD = Trigger("load", TriggerKind.TARGET, "requests", period_s=10, breach_s=10, target=100)
PLAN = ScalingPlan(1, 6, (LOAD,), warm_up_s=30)


class TypedMeasures:
    """Says what the test wrote down."""

    def __init__(self) -> None:
        self.values: dict[str, float | None] = {}
        self.problem = ""
        self.without: list[frozenset[str]] = []
        self.lengths: list[tuple[str, float]] = []

    def read(
        self, place: Place, questions: Mapping[str, Question], at: float, without: frozenset[str]
    ) -> Mapping[str, Reading]:
        self.without.append(without)
        return {name: Reading((self.values.get(name),), self.problem) for name in questions}

    def note_queue(self, place: Place, process: str, trigger: str, at: float, length: float) -> None:
        self.lengths.append((f"{process} {trigger}", length))

    def traffic(self, place: Place, start: float, end: float) -> list[tuple[float, float]]:
        return [(start + i * 60, 6000.0) for i in range(int((end - start) / 60))]


class Rig:
    """A control plane that scales, and its ticks."""

    def __init__(self, plane: ControlPlane, clock: ManualClock) -> None:
        self.plane, self.clock = plane, clock
        self.measures = TypedMeasures()
        machinery = plane.environments._m
        self.autoscaler = Autoscaler(
            machinery, plane.environment_controller, self.measures, tasks=plane.tasks
        )
        self.scaling = Scaling(machinery, plane.environment_controller, self.autoscaler, self.measures)

    async def tick(self, seconds: float = 10.0, **values: float | None) -> ScalingView:
        """Let time pass, and a tick end with these values."""
        self.measures.values.update(values)
        await self.clock.advance(seconds)
        self.autoscaler.on_tick(self.clock.now() - 10, 10)
        await self.autoscaler.settled()
        return await self.scaling.show(*PROD)

    async def told(self) -> list[tuple[str, str, int, int]]:
        """Every recorded decision, the oldest first."""
        view = await self.scaling.show(*PROD)
        return [(each.kind, each.cause, each.before, each.after) for each in reversed(view.decisions)]


@asynccontextmanager
async def rig(ground: Ground, clock: ManualClock) -> AsyncIterator[Rig]:
    async with control_plane(ground) as plane:
        made = Rig(plane, clock)
        try:
            yield made
        finally:
            made.autoscaler.stop()


def _site(plan: ScalingPlan = PLAN, instances: int = 2, **more: Any) -> Any:
    return site_of(plan=EnvironmentPlan("prod", instances, scaling=plan, **more))


async def test_out_and_in_with_every_decision_recorded(ground: Ground, clock: ManualClock) -> None:
    async with rig(ground, clock) as site:
        await site.plane.deploy_whole(_site())
        await site.tick(seconds=40, load=150.0)
        assert await site.told() == [], "nothing to do is no decision"
        await site.tick(load=450.0)
        await site.plane.is_serving(["1"] * 5)
        view = await site.tick(load=700.0)
        assert (view.processes[0].warming, view.processes[0].wanted) == (3, 5)
        assert len(site.measures.without[-1]) == 3, "who warms up is in no metric"
        await site.tick(load=100.0)
        await site.tick(seconds=330, load=100.0)
        await site.plane.is_serving(["1"] * 2)
        assert await site.told() == [
            ("out", "trigger", 2, 5),
            ("held", "cool_down", 5, 5),
            ("held", "warm_up", 5, 5),
            ("in", "trigger", 5, 2),
        ]
        first = (await site.scaling.show(*PROD)).decisions[-1]
        assert first.reason == "2 to 5: load 450 over 100: 5 wanted"
        assert first.numbers["triggers"][0] == {
            "name": "load",
            "way": "out",
            "instances": 5,
            "value": 450.0,
            "threshold": 100,
            "problem": "",
        }
        scaled = [each for each in await ground.entries() if each.action == "environment:Scale"]
        assert [(each.before, each.after) for each in scaled] == [
            ({"instances": 2, "is_scaled": True}, {"instances": 5, "is_scaled": True}),
            ({"instances": 5, "is_scaled": True}, {"instances": 2, "is_scaled": True}),
        ]
        assert "load 450" in scaled[0].details["reason"] and scaled[0].actor == "halage"


async def test_a_lost_metric_is_told_and_takes_nothing_away(ground: Ground, clock: ManualClock) -> None:
    async with rig(ground, clock) as site:
        await site.plane.deploy_whole(_site(instances=4))
        site.measures.problem = "nothing matches"
        for _ in range(3):
            view = await site.tick(seconds=400, load=None)
        latest = view.processes[0].latest
        assert latest is not None and latest.kind == "no_data" and "nothing matches" in latest.reason
        await site.tick(load=350.0)
        assert await site.told() == [("no_data", "no_data", 4, 4), ("stay", "nothing", 4, 4)], "once each"
        assert len(ground.compute.running()) == 4


async def test_what_people_ask_for_is_within_the_limits_and_begins_a_cool_down(
    ground: Ground, clock: ManualClock
) -> None:
    async with rig(ground, clock) as site:
        await site.plane.deploy_whole(_site())
        with pytest.raises(Invalid, match=r"from 1 to 6 instances .* not 7"):
            await site.plane.environments.scale(*PROD, 7, actor="ada")
        await site.plane.environments.scale(*PROD, 5, actor="ada")
        await site.plane.is_serving(["1"] * 5)
        view = await site.tick(seconds=60, load=10.0)
        assert view.processes[0].latest is not None and view.processes[0].latest.cause == "cool_down"
        await site.tick(seconds=300, load=10.0)
        await site.plane.is_serving(["1"])


async def test_protected_instances_stay_until_a_deployment(ground: Ground, clock: ManualClock) -> None:
    async with rig(ground, clock) as site:
        await site.plane.deploy_whole(_site(instances=4))
        ids = [each.id for each in (await site.plane.environments.show(*PROD)).instances]
        for each in ids[:2]:
            await site.scaling.protect(*PROD, each, True, actor="ada")
        with pytest.raises(NotFound, match="no instance i-none"):
            await site.scaling.protect(*PROD, "i-none", True, actor="ada")
        await site.tick(seconds=400, load=10.0)
        await site.plane.is_serving(["1"] * 2)
        shown = await site.plane.environments.show(*PROD)
        assert [(each.id, each.is_protected) for each in shown.instances] == [
            (each, True) for each in ids[:2]
        ]
        assert (await site.tick(seconds=400)).processes[0].latest.cause == "protected"  # type: ignore[union-attr]
        await site.plane.deploy_whole(_site(), run_id=2)
        await site.plane.is_serving(["2"] * 2)


async def test_suspended_by_people(ground: Ground, clock: ManualClock) -> None:
    async with rig(ground, clock) as site:
        await site.plane.deploy_whole(_site())
        with pytest.raises(Invalid, match="'up' cannot be suspended; allowed is: out, in, schedule, replace"):
            await site.scaling.suspend(*PROD, ["up"], actor="ada")
        await site.scaling.suspend(*PROD, ["out", "replace"], actor="ada")
        view = await site.tick(seconds=60, load=500.0)
        assert (view.suspended, await site.told()) == (
            ("out", "replace"),
            [("held", "suspended", 2, 2)],
        )
        victim = ground.compute.running()[0]
        await ground.compute.stop(victim, 0)
        await asyncio.sleep(0.05)
        assert len(ground.compute.running()) == 1, "who dies stays as it is"
        await site.scaling.suspend(*PROD, [], actor="ada")
        await site.tick(load=500.0)
        await site.plane.is_serving(["1"] * 5)
        actions = [each.action for each in await ground.entries()]
        assert actions.count("environment:SuspendScaling") == 2


async def test_the_schedule_and_a_restart_of_the_control_plane(ground: Ground, clock: ManualClock) -> None:
    hourly = ScheduledSize("hour", "0 * * * *", instances=4, minimum=2)
    async with rig(ground, clock) as site:
        await site.plane.deploy_whole(_site(replace(PLAN, sizes=(hourly,), triggers=())))
        await site.tick()
        await site.plane.is_serving(["1"] * 4)
        await site.plane.environments.scale(*PROD, 3, actor="ada")
        await site.plane.is_serving(["1"] * 3)
    async with rig(ground, clock) as site:
        await site.tick()
        assert (await site.plane.environments.show(*PROD)).wanted == 3, "it came up once"
        await site.tick(seconds=3600)
        await site.plane.is_serving(["1"] * 4)
        assert [each[1] for each in await site.told()] == ["schedule", "schedule"]


async def test_settings_of_a_new_release_hold_at_once(ground: Ground, clock: ManualClock) -> None:
    async with rig(ground, clock) as site:
        await site.plane.deploy_whole(_site())
        await site.tick(load=600.0)
        await site.plane.is_serving(["1"] * 6)
        await site.plane.deploy_whole(_site(replace(PLAN, maximum=3)), run_id=2)
        await site.tick(load=600.0)
        await site.plane.is_serving(["2"] * 3)
        assert (await site.told())[-1] == ("in", "maximum", 6, 3)


async def test_two_rounds_at_once_scale_once(ground: Ground, clock: ManualClock) -> None:
    async with rig(ground, clock) as site:
        plan = replace(PLAN, triggers=(replace(LOAD, kind=TriggerKind.STEP, upper=100, target=None),))
        await site.plane.deploy_whole(_site(plan, detailed_monitoring=True))
        site.measures.values["load"] = 500.0
        await clock.advance(60)
        site.autoscaler.on_tick(clock.now() - 10, 10)
        site.autoscaler.on_tick(clock.now() - 1, 1)
        await site.autoscaler.settled()
        await site.autoscaler._controller.settled("detailed")
        assert [each for each in await site.told() if each[0] == "out"] == [("out", "trigger", 2, 3)]


async def test_one_that_was_taken_out_is_in_no_metric_and_its_place_is_not_filled(
    ground: Ground, clock: ManualClock
) -> None:
    async with rig(ground, clock) as site:
        await site.plane.deploy_whole(_site(replace(PLAN, minimum=3)))
        await site.tick(seconds=60, load=200.0)
        out = (await site.plane.environments.show(*PROD)).instances[0].id
        await site.plane.environments.take_out(*PROD, out, replace=False, actor="ada")
        await site.tick(seconds=60, load=200.0)
        assert out in site.measures.without[-1]
        assert (await site.plane.environments.show(*PROD)).wanted == 3, "two serve, as they shall"
        await site.tick(seconds=60, load=300.0)
        assert (await site.plane.environments.show(*PROD)).wanted == 4, "three of them serve"


WORKERS = (ProcessKind("worker", "php artisan queue:work", 2, scaling=ScalingPlan(1, 5)),)


async def _kinds(plane: ControlPlane) -> list[tuple[str, int, str]]:
    shown = await plane.environments.show(*PROD)
    return sorted((each.process, each.release_number, each.state.value) for each in shown.instances)


async def _settle(plane: ControlPlane, kinds: list[tuple[str, int, str]]) -> None:
    async def look() -> bool:
        return await _kinds(plane) == sorted(kinds)

    await eventually(look, f"{kinds}")


def _workers(count: int, release: int = 1) -> list[tuple[str, int, str]]:
    return [("worker", release, "serving")] * count


async def test_workers_run_beside_web_and_never_get_requests(ground: Ground, clock: ManualClock) -> None:
    async with rig(ground, clock) as site:
        await site.plane.deploy_whole(_site(processes=WORKERS))
        web = [("web", 1, "serving")] * 2
        assert await _kinds(site.plane) == sorted([*web, *_workers(2)]), "success means that they run"
        shown = await site.plane.environments.show(*PROD)
        assert (shown.wanted, shown.serving, len(ground.visitors_reach())) == (2, 2, 2)
        spec = next(
            ground.compute.spec(unit)
            for unit in ground.compute.running()
            if "queue:work" in " ".join(ground.compute.spec(unit).command)
        )
        assert spec.environment["HALAGE_RELEASE"] == "1"
        unit = next(
            unit
            for unit in ground.compute.running()
            if "queue:work" in " ".join(ground.compute.spec(unit).command)
        )
        await ground.compute.stop(unit, 0)
        await _settle(site.plane, [*web, *_workers(2)])
        await site.plane.deploy_whole(_site(processes=WORKERS), run_id=2)
        await _settle(site.plane, [("web", 2, "serving")] * 2 + _workers(2, 2))
        await site.plane.deploy_whole(_site(), run_id=3)
        await _settle(site.plane, [("web", 3, "serving")] * 2)


async def test_workers_that_do_not_run_fail_the_deployment(ground: Ground, clock: ManualClock) -> None:
    async with rig(ground, clock) as site:
        await site.plane.deploy_whole(_site(processes=WORKERS))
        usual = ground.compute.script_for
        ground.compute.script_for = lambda spec: (
            Script(output=b"no such queue\n", exit_code=3)
            if "broken" in " ".join(spec.command)
            else usual(spec)
        )
        broken = (ProcessKind("worker", "broken", 2),)
        deployment = await site.plane.deploy_whole(_site(processes=broken), run_id=2)
        assert deployment.state.value == "rolled_back"
        assert "worker i-" in deployment.reason and "exited with code 3" in deployment.reason
        assert "no such queue" in deployment.log_tail
        await _settle(site.plane, [("web", 1, "serving")] * 2 + _workers(2))


async def test_workers_scale_by_their_queue(ground: Ground, clock: ManualClock) -> None:
    jobs = Trigger("jobs", TriggerKind.QUEUE, command="count", target=10, period_s=10, breach_s=10)
    kinds = (ProcessKind("worker", "work", 1, scaling=ScalingPlan(0, 4, (jobs,), warm_up_s=0)),)
    async with rig(ground, clock) as site:
        await site.plane.deploy_whole(_site(processes=kinds))
        web = [("web", 1, "serving")] * 2
        await site.tick(load=100.0, jobs=35.0)
        await _settle(site.plane, [*web, *_workers(4)])
        await site.tick(seconds=400, jobs=0.0)
        await _settle(site.plane, web)
        await site.tick(seconds=60, jobs=3.0)
        await _settle(site.plane, [*web, *_workers(1)])
        assert [each[2:] for each in await site.told()] == [(1, 4), (4, 0), (0, 1)]
        assert (await site.plane.environments.show(*PROD)).wanted == 2


async def test_what_own_traffic_would_have_needed(ground: Ground, clock: ManualClock) -> None:
    async with rig(ground, clock) as site:
        await site.plane.deploy_whole(_site())
        what = WhatIf(SimulatedSite(50.0), maximum=8, targets={"requests": 25.0})
        found = await site.scaling.simulate_own(SHOP, "prod", 0.0, 7200.0, what)
        assert (found.requests, found.static.most, found.scaled.most) == (720_000, 2, 4)
        with pytest.raises(Invalid, match="the minimum is 9 and the maximum 6"):
            await site.scaling.simulate(SHOP, "prod", "0,1\n60,1\n", WhatIf(SimulatedSite(50.0), minimum=9))
