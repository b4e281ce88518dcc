"""Scales environments: at the end of each tick it asks the rules, records what they say, and has it done."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

from halage.base.database import Transaction
from halage.base.tasks import Controller, Tasks
from halage.environment.autoscaling.model import WEB, Cause, Decision, Kind, Memory, Reading, Standing
from halage.environment.autoscaling.presets import expression_of, idle_of
from halage.environment.autoscaling.rules import decide, is_active, remember
from halage.environment.autoscaling.wishes import periods_of
from halage.environment.autoscaling.words import reason_of
from halage.environment.configuration import Configuration
from halage.environment.control.controller import EnvironmentController
from halage.environment.control.measures import Measures, Question
from halage.environment.machinery import Machinery
from halage.environment.model import InstanceState
from halage.environment.records import ledger
from halage.environment.routing import route_name
from halage.environment.tables import scaling_store, store
from halage.environment.tables.store import Place
from halage.monitor.metrics.model import TICK_S
from halage.site.settings import ScalingPlan

log = structlog.get_logger()
_ALL, _DETAILED = "all", "detailed"
_BOOTING = (InstanceState.STARTING, InstanceState.READY)


@dataclass(frozen=True, slots=True)
class Subject:
    """One kind of process of one environment, and what says how many there shall be."""

    place: Place
    process: str
    plan: ScalingPlan
    planned: int
    is_detailed: bool = False

    @property
    def least(self) -> int:
        """The fewest that there may be: workers may be none."""
        return 1 if self.process == WEB else 0


@dataclass(frozen=True, slots=True)
class Latest:
    """What was decided at the last tick, whether or not it changed anything."""

    at: float
    decision: Decision


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is recorded of a subject now."""

    subject: Subject
    standing: Standing
    memory: Memory
    cold: frozenset[str]
    """Instances that count in no metric: not yet, or not while people look at them."""


class QueueLengths(Protocol):
    """Asks for the lengths of the queues that triggers look at, beside everything else."""

    def ask(self, subjects: Sequence[Subject], at: float) -> None:
        """Begin to ask for those that are not being asked for; returns at once."""
        ...

    def problem(self, place: Place, process: str, trigger: str) -> str:
        """Why the length of a trigger's queue is not known, in words; empty when it is."""
        ...

    def keep_only(self, subjects: Iterable[Subject]) -> None:
        """Forget the troubles of all but these."""
        ...


class Autoscaler:
    """A `TickConsumer`: what it is told of each tick begins a round of decisions."""

    def __init__(
        self,
        machinery: Machinery,
        controller: EnvironmentController,
        measures: Measures,
        *,
        tasks: Tasks,
        queues: QueueLengths | None = None,
    ) -> None:
        self._m = machinery
        self._environments = controller
        self._measures = measures
        self._queues = queues
        self._controller: Controller[str] = Controller("scaling", self._advance, tasks=tasks)
        self._at = 0.0
        self._version: int | None = None
        self._subjects: tuple[Subject, ...] = ()
        self._configurations: dict[int, Configuration] = {}
        self._latest: dict[tuple[Place, str], Latest] = {}
        self._said: dict[tuple[Place, str], tuple[Kind, Cause, str]] = {}

    def on_tick(self, at: float, resolution_s: int) -> None:
        """Hear that the samples of the tick that begins at `at` are written."""
        self._at = at + resolution_s
        self._controller.wake(_ALL if resolution_s == TICK_S else _DETAILED)

    def latest(self, place: Place) -> Mapping[str, Latest]:
        """The last decisions about an environment, by kind of process; empty where nothing can scale it."""
        return {process: each for (where, process), each in self._latest.items() if where == place}

    async def settled(self) -> None:
        """Return once nothing is being decided."""
        await self._controller.settled(_ALL)

    def stop(self) -> None:
        """Decide nothing more."""
        self._controller.stop()

    async def _advance(self, key: str) -> float | None:
        subjects = await self._present()
        if key == _DETAILED:
            subjects = tuple(each for each in subjects if each.is_detailed)
        if not subjects:
            return None
        at = self._at
        if self._queues is not None:
            self._queues.ask(subjects, at)
        facts = await self._m.database.run(_read_facts, subjects)
        readings = await asyncio.to_thread(self._read, facts, at)
        for each, found in zip(facts, readings, strict=True):
            await self._judge(each, found, at)
        return None

    async def _present(self) -> tuple[Subject, ...]:
        """What can be scaled now; read anew only when something of any environment has changed."""
        version = self._environments.version
        if version != self._version:
            known = frozenset(self._configurations)
            self._subjects, self._configurations = await self._m.database.run(
                _read_subjects, known, self._configurations
            )
            there = {(each.place, each.process) for each in self._subjects}
            self._latest = {key: latest for key, latest in self._latest.items() if key in there}
            self._said = {key: said for key, said in self._said.items() if key in there}
            if self._queues is not None:
                self._queues.keep_only(self._subjects)
            self._version = version
        return self._subjects

    def _read(self, facts: Sequence[_Facts], at: float) -> list[Mapping[str, Reading]]:
        return [
            self._measures.read(each.subject.place, questions_of(each.subject), at, each.cold)
            for each in facts
        ]

    async def _judge(self, facts: _Facts, readings: Mapping[str, Reading], at: float) -> None:
        subject = facts.subject
        told = {name: self._explained(subject, name, each) for name, each in readings.items()}
        standing = replace(facts.standing, now=self._m.clock.now(), readings=told)
        decision = decide(subject.plan, subject.planned, facts.memory, standing, subject.least)
        key = (subject.place, subject.process)
        self._latest[key] = Latest(at, decision)
        memory = remember(facts.memory, decision, standing.now)
        is_told = self._is_news(key, decision)
        if decision.after == decision.before and memory == facts.memory and not is_told:
            return
        is_done = await self._m.database.run(_record, subject, decision, memory, is_told)
        if is_done:
            self._said[key] = (decision.kind, decision.cause, decision.by)
            self._tell(subject, decision)

    def _explained(self, subject: Subject, trigger: str, reading: Reading) -> Reading:
        """The reading, which says why a queue's length is missing where that is known."""
        if self._queues is None:
            return reading
        problem = self._queues.problem(subject.place, subject.process, trigger)
        return replace(reading, problem=problem) if problem and reading.problem else reading

    def _is_news(self, key: tuple[Place, str], decision: Decision) -> bool:
        """Whether the decision is kept: each change, and why there is none when that is new."""
        if decision.after != decision.before:
            return True
        said, now = self._said.get(key), (decision.kind, decision.cause, decision.by)
        if said == now:
            return False
        if decision.kind is Kind.STAY:
            # Only the end of a loss of data is news; that nothing is to be done is the usual thing.
            is_end = said is not None and said[0] is Kind.NO_DATA
            if not is_end:
                self._said.pop(key, None)
            return is_end
        return decision.cause is not Cause.MINIMUM

    def _tell(self, subject: Subject, decision: Decision) -> None:
        if decision.after == decision.before:
            return
        log.info(
            "environment scaled",
            action="environment:Scale",
            subject=route_name(subject.place),
            process=subject.process,
            before=decision.before,
            after=decision.after,
            reason=reason_of(decision),
        )
        self._environments.wake(subject.place)


def questions_of(subject: Subject) -> dict[str, Question]:
    """What the triggers of a subject want to know, by their names."""
    return {
        trigger.name: Question(
            expression_of(trigger, subject.process),
            max(1, round(trigger.period_s)),
            periods_of(trigger),
            idle_of(trigger),
        )
        for trigger in subject.plan.triggers
    }


def subjects_of(place: Place, configuration: Configuration, suspended: Sequence[str]) -> list[Subject]:
    """The kinds of processes of an environment whose number anything could change."""
    plan = configuration.plan(place[1])
    kinds = [(WEB, plan.scaling, plan.scaling.within(plan.instances))]
    kinds += [(each.name, each.scaling or ScalingPlan(), each.planned) for each in plan.processes]
    return [
        Subject(
            place,
            name,
            replace(scaling, suspended=tuple(sorted({*scaling.suspended, *suspended}))),
            planned,
            plan.detailed_monitoring,
        )
        for name, scaling, planned in kinds
        if is_active(scaling)
    ]


def _read_subjects(
    tx: Transaction, known: frozenset[int], configurations: Mapping[int, Configuration]
) -> tuple[tuple[Subject, ...], dict[int, Configuration]]:
    rows = [row for row in store.environment_rows(tx) if row.current_release_id is not None]
    current = {row.current_release_id for row in rows}
    kept = {key: configurations[key] for key in current & known}
    for key, release in store.releases_by_id(tx, current - known).items():
        kept[key] = Configuration.from_document(release.configuration)
    subjects: list[Subject] = []
    for row in rows:
        place, configuration = (row.project, row.name), kept[row.current_release_id]
        if subjects_of(place, configuration, ()):
            suspended = scaling_store.suspended(scaling_store.state_rows(tx, place))
            subjects += subjects_of(place, configuration, suspended)
    return tuple(subjects), kept


def _read_facts(tx: Transaction, subjects: Iterable[Subject]) -> list[_Facts]:
    return [facts for each in subjects if (facts := facts_of(tx, each)) is not None]


def facts_of(tx: Transaction, subject: Subject) -> _Facts | None:
    """What is recorded of a subject now; None when its environment is gone."""
    environment = store.environment_row(tx, subject.place)
    if environment is None:
        return None
    states = scaling_store.state_rows(tx, subject.place)
    instances = [row for row in store.instance_rows(tx, subject.place) if row.process == subject.process]
    out = [row for row in instances if row.taken_out]
    held = [row for row in out if row.release_id == environment.current_release_id]
    serving = [row for row in instances if row.state == InstanceState.SERVING and not row.taken_out]
    # One that serves since later than now does so since before the clock was set back: it is warm.
    cold = {row.id for row in serving if 0 <= tx.now - row.since < subject.plan.warm_up_s}
    booting = {row.id for row in instances if row.state in _BOOTING}
    standing = Standing(
        now=tx.now,
        wanted=wanted_of(environment, states, subject),
        warm=len(serving) - len(cold),
        # One that died and starts again adds nothing to what there was: only new ones warm up.
        warming=sum(row.attempt == 1 and row.id in cold | booting for row in instances),
        protected=sum(bool(row.is_protected) for row in serving),
        held=sum(not row.taken_out["replace"] for row in held),
        is_deploying=bool(store.deployments_in(tx, store.OPEN_DEPLOYMENTS, subject.place)),
    )
    memory = scaling_store.memory_of(states.get(subject.process))
    return _Facts(subject, standing, memory, frozenset(cold | booting | {row.id for row in out}))


def wanted_of(environment: Any, states: Mapping[str, Any], subject: Subject) -> int:
    """How many instances of a kind of process there are to be now."""
    state = states.get(subject.process)
    held = environment.instances if subject.process == WEB else (state.instances if state else None)
    return subject.planned if held is None else int(held)


def _record(tx: Transaction, subject: Subject, decision: Decision, memory: Memory, is_told: bool) -> bool:
    """Keep what was decided, and the new number; False when somebody changed the number meanwhile."""
    place = subject.place
    environment = store.environment_row(tx, place)
    if environment is None:
        return False
    states = scaling_store.state_rows(tx, place)
    if wanted_of(environment, states, subject) != decision.before:
        return False
    scaling_store.put_memory(tx, place, subject.process, memory)
    if is_told:
        scaling_store.insert_decision(tx, place, decision_values(subject.process, decision))
    if decision.after != decision.before:
        if subject.process == WEB:
            store.update_environment(tx, place, instances=decision.after)
        else:
            scaling_store.put_state(tx, place, subject.process, instances=decision.after)
        tx.record(
            "environment:Scale",
            actor=ledger.ACTOR,
            subject=f"project/{place[0]}/environment/{place[1]}",
            project=place[0],
            before={"instances": decision.before, "is_scaled": True},
            after={"instances": decision.after, "is_scaled": True},
            reason=reason_of(decision),
            **({} if subject.process == WEB else {"process": subject.process}),
        )
    return True


def decision_values(process: str, decision: Decision) -> dict[str, Any]:
    """The columns of a decision, its numbers among them."""
    return {
        "process": process,
        "kind": decision.kind.value,
        "cause": decision.cause.value,
        "by": decision.by,
        "before": decision.before,
        "after": decision.after,
        "reason": reason_of(decision),
        "numbers": {
            "asked": decision.asked,
            "minimum": decision.limits.minimum,
            "maximum": decision.limits.maximum,
            "warm": decision.warm,
            "warming": decision.warming,
            "until": decision.until,
            "triggers": [
                {
                    "name": wish.trigger,
                    "way": wish.way.value,
                    "instances": wish.instances,
                    "value": wish.value,
                    "threshold": wish.threshold,
                    "problem": wish.problem,
                }
                for wish in decision.wishes
            ],
        },
    }
