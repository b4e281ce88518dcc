"""Scaling by hand, for tests of the doors: prod of shop, with a trigger and two decisions."""

from collections.abc import Collection
from dataclasses import replace

from halage.base.errors import Invalid, NotFound
from halage.environment.autoscaling.model import Limits
from halage.environment.autoscaling.simulation import Simulation, simulate
from halage.environment.autoscaling.trace import read_trace, trace_of
from halage.environment.scaling_service import (
    PROCESSES,
    KeptDecision,
    ProcessScaling,
    ScalingView,
    WhatIf,
)
from halage.site.settings import ScalingPlan, ScheduledSize, Trigger, TriggerKind

AT = 1_700_000_000.0
LOAD = Trigger("load", TriggerKind.TARGET, "requests", target=80)
PLAN = ScalingPlan(1, 6, (LOAD,), (ScheduledSize("day", "0 8 * * 1-5", "Europe/Paris", minimum=2),))


def a_decision(number: int = 2, kind: str = "out", cause: str = "trigger") -> KeptDecision:
    wish = {"name": "load", "way": "out", "instances": 4, "value": 310.0, "threshold": 80.0, "problem": ""}
    return KeptDecision(
        id=number,
        process="web",
        at=AT,
        kind=kind,
        cause=cause,
        by="load",
        before=2,
        after=4 if kind == "out" else 2,
        reason="2 to 4: load 310 over 80: 4 wanted",
        numbers={"asked": 4, "minimum": 1, "maximum": 6, "warm": 2, "warming": 0, "triggers": [wish]},
    )


class FakeScaling:
    """Keeps what it was asked for in `calls`."""

    def __init__(
        self,
        projects: Collection[str] = ("shop",),
        environments: Collection[str] = ("prod",),
        instances: Collection[str] = ("i-1",),
    ) -> None:
        self.projects, self.environments = projects, environments
        self.instances = instances
        self.calls: list[tuple[object, ...]] = []
        self.suspended: tuple[str, ...] = ()

    async def show(
        self, project: str, name: str, *, limit: int = 50, before: int | None = None
    ) -> ScalingView:
        if project not in self.projects or name not in self.environments:
            raise NotFound(f"project {project} has no environment {name}")
        limits = Limits(1, 6)
        web = ProcessScaling("web", 4, 2, True, PLAN, limits, 2, 2, 1, replace(a_decision(), id=0))
        worker = ProcessScaling("worker", 1, 1, False, ScalingPlan(), Limits(0, 0), 1, 0, 0, None)
        kept = (a_decision(), a_decision(1, "held", "cool_down"))
        shown = tuple(each for each in kept if before is None or each.id < before)[:limit]
        return ScalingView(project, name, self.suspended, (web, worker), shown)

    async def suspend(self, project: str, name: str, what: Collection[str], *, actor: str) -> ScalingView:
        await self.show(project, name)
        if set(what) - set(PROCESSES):
            raise Invalid("that cannot be suspended")
        self.suspended = tuple(sorted(set(what)))
        self.calls.append(("suspend", self.suspended, actor))
        return await self.show(project, name)

    async def protect(
        self, project: str, name: str, instance: str, is_protected: bool, *, actor: str
    ) -> ScalingView:
        found = await self.show(project, name)
        if instance not in self.instances:
            raise NotFound(f"{project} {name} has no instance {instance}")
        self.calls.append(("protect", instance, is_protected, actor))
        return found

    async def simulate(self, project: str, name: str, text: str, what_if: WhatIf) -> Simulation:
        await self.show(project, name)
        self.calls.append(("simulate", what_if))
        return simulate(PLAN, 2, read_trace(text), what_if.site, what_if.static)

    async def simulate_own(
        self, project: str, name: str, start: float, end: float, what_if: WhatIf
    ) -> Simulation:
        await self.show(project, name)
        self.calls.append(("simulate own", round(end - start), what_if))
        trace = trace_of([(AT, 60_000.0), (AT + 3600, 900_000.0), (AT + 7200, 0.0)])
        return simulate(PLAN, 2, trace, what_if.site, what_if.static)
