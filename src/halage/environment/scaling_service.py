"""Scaling: what people ask of it. How it stands, what was decided, what would have been."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from halage.base.database import Transaction
from halage.base.errors import Invalid, NotFound
from halage.environment.autoscaling.model import WEB, Limits
from halage.environment.autoscaling.simulation import SimulatedSite, Simulation, simulate
from halage.environment.autoscaling.timetable import limits_at
from halage.environment.autoscaling.trace import BadTrace, Trace, read_trace, trace_of
from halage.environment.configuration import Configuration
from halage.environment.control.autoscaler import (
    Autoscaler,
    Latest,
    Subject,
    decision_values,
    facts_of,
    subjects_of,
)
from halage.environment.control.controller import EnvironmentController
from halage.environment.errors import NothingDeployed
from halage.environment.machinery import Machinery
from halage.environment.records import orders
from halage.environment.tables import scaling_store, store
from halage.environment.tables.store import Place
from halage.site.settings import ScalingPlan, Trigger, TriggerKind

PROCESSES = ("out", "in", "schedule", "replace")
"""What can be suspended."""
LONGEST_TRACE = 20_000_000
"""Characters of a recording."""


class Traffic(Protocol):
    """The requests that an environment had. Synchronous, safe from any thread."""

    def traffic(self, place: Place, start: float, end: float) -> Sequence[tuple[float, float]]:
        """(moment, requests until the next moment) for [start, end), by a period that is kept."""
        ...


@dataclass(frozen=True, slots=True)
class KeptDecision:
    """A decision as it was recorded."""

    id: int
    process: str
    at: float
    kind: str
    cause: str
    by: str
    before: int
    after: int
    reason: str
    numbers: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ProcessScaling:
    """How one kind of process stands."""

    process: str
    wanted: int
    planned: int
    is_active: bool
    """Whether anything but people could change the number."""
    plan: ScalingPlan
    limits: Limits
    warm: int
    warming: int
    protected: int
    latest: KeptDecision | None
    """What was decided at the last tick; None before the first one, and where nothing scales."""


@dataclass(frozen=True, slots=True)
class ScalingView:
    """How the scaling of an environment stands, and what it did lately."""

    project: str
    environment: str
    suspended: tuple[str, ...]
    """By people; the plan may name others."""
    processes: tuple[ProcessScaling, ...]
    decisions: tuple[KeptDecision, ...]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What a simulation takes other than the environment's own settings say."""

    site: SimulatedSite
    minimum: int | None = None
    maximum: int | None = None
    targets: Mapping[str, float] | None = None
    """Metric to target, in place of the triggers."""
    static: int | None = None


class Scaling:
    """The use cases of scaling. Every method raises NoSuchEnvironment for an unknown one."""

    def __init__(
        self,
        machinery: Machinery,
        controller: EnvironmentController,
        autoscaler: Autoscaler,
        traffic: Traffic,
    ) -> None:
        self._m = machinery
        self._controller = controller
        self._autoscaler = autoscaler
        self._traffic = traffic
        self._one_at_a_time = asyncio.Lock()

    async def show(
        self, project: str, name: str, *, limit: int = 50, before: int | None = None
    ) -> ScalingView:
        """How it stands, with its latest decisions (with a lower number than `before`)."""
        place = (project, name)
        latest = self._autoscaler.latest(place)
        return await self._m.database.run(_view, place, latest, limit, before)

    async def suspend(self, project: str, name: str, what: Collection[str], *, actor: str) -> ScalingView:
        """Suspend just these: none of them is done until that is taken back. Raises Invalid."""
        if unknown := sorted(set(what) - set(PROCESSES)):
            raise Invalid(f"{unknown[0]!r} cannot be suspended; allowed is: {', '.join(PROCESSES)}")
        await self._m.database.run(_suspend, (project, name), tuple(sorted(set(what))), actor)
        self._controller.wake((project, name))
        return await self.show(project, name)

    async def protect(
        self, project: str, name: str, instance: str, is_protected: bool, *, actor: str
    ) -> ScalingView:
        """Keep an instance from being taken away by scaling, or no longer. Raises NotFound.

        A deployment replaces it all the same, and so does its death.
        """
        await self._m.database.run(_protect, (project, name), instance, is_protected, actor)
        self._controller.wake((project, name))
        return await self.show(project, name)

    async def simulate(self, project: str, name: str, text: str, what_if: WhatIf) -> Simulation:
        """What the environment's scaling would have done with a recorded traffic (CSV).

        Raises BadTrace, NotSimulated, BadExpression, Invalid.
        """
        if len(text) > LONGEST_TRACE:
            raise BadTrace(f"the trace has more than {LONGEST_TRACE} characters; make its periods longer")
        return await self._simulate((project, name), what_if, lambda: read_trace(text))

    async def simulate_own(
        self, project: str, name: str, start: float, end: float, what_if: WhatIf
    ) -> Simulation:
        """The same with the traffic that the environment itself had in [start, end). Raises BadTrace too."""
        place = (project, name)
        if not start < end:
            raise Invalid("The time to look at ends before it begins: `from` must be before `to`.")
        return await self._simulate(
            place, what_if, lambda: trace_of(self._traffic.traffic(place, start, end))
        )

    async def _simulate(self, place: Place, what_if: WhatIf, read: "ReadTrace") -> Simulation:
        plan, planned = await self._m.database.run(_plan_of, place)
        plan = _changed(plan, what_if)
        async with self._one_at_a_time:  # it takes seconds of a core
            return await asyncio.to_thread(
                lambda: simulate(plan, planned, read(), what_if.site, what_if.static)
            )


class ReadTrace(Protocol):
    """Gives the trace; called in a thread."""

    def __call__(self) -> Trace:
        """The trace. Raises BadTrace."""
        ...


def _changed(plan: ScalingPlan, what_if: WhatIf) -> ScalingPlan:
    if what_if.targets is not None:
        triggers = [
            Trigger(metric, TriggerKind.TARGET, metric, target=target)
            for metric, target in what_if.targets.items()
        ]
        if bad := [each.name for each in triggers if not (each.target or 0) > 0]:
            raise Invalid(f"target {bad[0]}: it is more than 0")
        plan = replace(plan, triggers=tuple(triggers))
    minimum = plan.minimum if what_if.minimum is None else what_if.minimum
    maximum = plan.maximum if what_if.maximum is None else what_if.maximum
    if minimum is not None and maximum is not None and minimum > maximum:
        raise Invalid(f"the minimum is {minimum} and the maximum {maximum}: no number is within them")
    return replace(plan, minimum=minimum, maximum=maximum)


def _plan_of(tx: Transaction, place: Place) -> tuple[ScalingPlan, int]:
    configuration = _configuration(tx, place)
    if configuration is None:
        raise NothingDeployed(f"nothing has been deployed to {place[0]} {place[1]} yet: push a commit first")
    plan = configuration.plan(place[1])
    return plan.scaling, plan.scaling.within(plan.instances)


def _configuration(tx: Transaction, place: Place) -> Configuration | None:
    rows = orders.rows_of(tx, place)
    current = rows.releases.get(rows.environment.current_release_id)
    return Configuration.from_document(current.configuration) if current is not None else None


def _view(
    tx: Transaction, place: Place, latest: Mapping[str, Latest], limit: int, before: int | None
) -> ScalingView:
    configuration = _configuration(tx, place)
    suspended = scaling_store.suspended(scaling_store.state_rows(tx, place))
    processes = []
    if configuration is not None:
        active = {each.process: each for each in subjects_of(place, configuration, suspended)}
        plan = configuration.plan(place[1])
        kinds = [(WEB, plan.scaling, plan.scaling.within(plan.instances))]
        kinds += [(each.name, each.scaling or ScalingPlan(), each.planned) for each in plan.processes]
        for name, scaling, planned in kinds:
            subject = active.get(name) or Subject(place, name, scaling, planned)
            processes.append(_process(tx, subject, name in active, latest.get(name)))
    rows = scaling_store.decision_rows(tx, place, limit, before)
    return ScalingView(*place, suspended, tuple(processes), tuple(_kept(row) for row in rows))


def _process(tx: Transaction, subject: Subject, is_active: bool, latest: Latest | None) -> ProcessScaling:
    facts = facts_of(tx, subject)
    assert facts is not None, "its environment was just read"
    standing = facts.standing
    free = Limits(0, 0)
    return ProcessScaling(
        process=subject.process,
        wanted=standing.wanted,
        planned=subject.planned,
        is_active=is_active,
        plan=subject.plan,
        limits=limits_at(subject.plan, subject.planned, tx.now, subject.least) if is_active else free,
        warm=standing.warm,
        warming=standing.warming,
        protected=standing.protected,
        latest=_now(subject.process, latest) if latest is not None else None,
    )


def _now(process: str, latest: Latest) -> KeptDecision:
    return KeptDecision(id=0, at=latest.at, **decision_values(process, latest.decision))


def _kept(row: Any) -> KeptDecision:
    return KeptDecision(
        id=row.id,
        process=row.process,
        at=row.at,
        kind=row.kind,
        cause=row.cause,
        by=row.by,
        before=row.before,
        after=row.after,
        reason=row.reason,
        numbers=row.numbers,
    )


def _suspend(tx: Transaction, place: Place, what: tuple[str, ...], actor: str) -> None:
    orders.rows_of(tx, place)
    held = scaling_store.suspended(scaling_store.state_rows(tx, place))
    if held == what:
        return
    scaling_store.put_state(tx, place, WEB, suspended=list(what))
    tx.record(
        "environment:SuspendScaling",
        actor=actor,
        subject=f"project/{place[0]}/environment/{place[1]}",
        project=place[0],
        before={"suspended": list(held)},
        after={"suspended": list(what)},
    )


def _protect(tx: Transaction, place: Place, instance: str, is_protected: bool, actor: str) -> None:
    rows = orders.rows_of(tx, place)
    row = next((each for each in rows.instances if each.id == instance), None)
    if row is None:
        raise NotFound(
            f"{place[0]} {place[1]} has no instance {instance}; `halage env show` lists them",
            instance=instance,
        )
    if bool(row.is_protected) == is_protected:
        return
    store.update_instance(tx, instance, is_protected=is_protected)
    tx.record(
        "environment:ProtectInstance",
        actor=actor,
        subject=f"project/{place[0]}/environment/{place[1]}",
        project=place[0],
        before={"is_protected": not is_protected},
        after={"is_protected": is_protected},
        instance=instance,
    )
