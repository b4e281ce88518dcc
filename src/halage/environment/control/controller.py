"""Advances environments: observe, decide, record, execute; one environment at a time, all in parallel."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import structlog

from halage.balancer.errors import BalancerDown
from halage.balancer.model import TargetState, TargetStatus
from halage.base.tasks import Controller, Tasks
from halage.environment.autoscaling.model import WEB
from halage.environment.configuration import Configuration
from halage.environment.control.steps import Steps, ending
from halage.environment.health.course import failing_for
from halage.environment.health.tending import decide_with_health
from halage.environment.instances.fleet import Fleet, copy_of
from halage.environment.instances.launch import probe_of_row
from halage.environment.instances.probe import Prober
from halage.environment.instances.vitals import Vitals
from halage.environment.machinery import Machinery
from halage.environment.model import DeploymentState, InstanceState
from halage.environment.records import holding, ledger
from halage.environment.records.standing import taken_out_of
from halage.environment.records.workforce import keeps_dead, worker_situations
from halage.environment.rollout.phases import phase_of
from halage.environment.routing import route_name
from halage.environment.rules import (
    Action,
    Answers,
    DeploymentFacts,
    Finish,
    InstanceFacts,
    LookAgain,
    RolloutFacts,
    Situation,
)
from halage.environment.tables import rollouts
from halage.environment.tables.store import Place
from halage.environment.workers import FailProof, are_proven, decide_workers
from halage.site.settings import Policy

log = structlog.get_logger()
MOST_TURNS = 200
"""Decisions taken in one go before other environments get their turn."""


class EnvironmentController:
    """Runs what `rules.decide` decides. `on_change(run_id)` is told of each change of a deployment."""

    def __init__(
        self, machinery: Machinery, prober: Prober, *, tasks: Tasks, on_change: Callable[[int], None]
    ) -> None:
        self._m = machinery
        self.version = 0
        """Grows with each change of what is recorded or known of any environment."""
        self._all_changed = 0
        self._changed: dict[Place, int] = {}
        """The version of each one's last change, in the order of these changes."""
        self._on_change = on_change
        self._controller: Controller[Place] = Controller("environment", self.advance, tasks=tasks)
        self._busy: defaultdict[Place, set[str]] = defaultdict(set)
        self.fleet = Fleet(machinery.compute, prober, clock=machinery.clock, tasks=tasks, on_news=self.wake)
        """The living instances, for those who read their output."""
        self.vitals = Vitals(machinery.clock, self.fleet)
        """What is observed of them beside the balancer's checks."""
        self._steps = Steps(machinery, self.fleet, self._busy, tasks=tasks, wake=self.wake)

    def wake(self, place: Place) -> None:
        """Look at an environment now: something of it has changed."""
        self.note_change(place)
        self._controller.wake(place)

    def note_change(self, place: Place | None = None) -> None:
        """Something of an environment (None: perhaps of each) has changed that asks for no step.

        Who keeps a copy reads it anew.
        """
        self.version += 1
        if place is None:
            self._all_changed = self.version
        else:
            self._changed.pop(place, None)
            self._changed[place] = self.version

    def changed_since(self, version: int) -> list[Place] | None:
        """The environments that changed after that version, also those that are gone; None: all, perhaps."""
        if self._all_changed > version:
            return None
        newest_first = reversed(self._changed.items())
        return [place for place, at in itertools.takewhile(lambda each: each[1] > version, newest_first)]

    def tell(self, run_ids: Iterable[int | None]) -> None:
        """Tell runs that something changed in one of their deployments."""
        for run_id in run_ids:
            if run_id is not None:
                self._on_change(run_id)

    async def leave(self, place: Place, deployments: Iterable[int]) -> None:
        """Return once nothing more is done for an environment whose rows are gone."""
        self.wake(place)
        await self._controller.settled(place)
        for deployment_id in deployments:
            await self._steps.end_turn(deployment_id)

    def stop(self) -> None:
        """Take no further step."""
        self._controller.stop()

    async def recover(self) -> None:
        """Take over what an earlier control plane left, then look at every environment."""
        rows, places, environments = await self._m.database.run(ledger.everything)
        living = []
        for row in rows:
            place = (row.project, row.environment)
            configuration = Configuration.from_document(row.configuration)
            probe = probe_of_row(row, self._m.routing.host(place), configuration)
            living.append((copy_of(row), row.ready_at is not None, probe))
        await self.fleet.recover(living, places)
        await self._steps.clear()
        for environment in environments:
            self.wake((environment.project, environment.name))

    async def advance(self, place: Place) -> float | None:
        """Take every step that can be taken now; the seconds after which to look again, or None."""
        for _ in range(MOST_TURNS):
            # What runs beside is noted first, what is recorded is read after it: an operation that ends
            # in between has recorded its end, so that it is never begun twice.
            busy = frozenset(self._busy[place])
            book, delay = await self._open_book(place)
            if book is None:
                return None
            acted = False
            situation = await self._situation(place, book, busy)
            for action in self._gated(place, book, busy, decide_with_health(situation)):
                if isinstance(action, LookAgain):
                    delay = action.after_s if delay is None else min(delay, action.after_s)
                else:
                    try:
                        await self._steps.take(place, action, book)
                    finally:  # half of a step may be recorded
                        self.note_change(place)
                    acted = True
            await self._note_phase(place, situation, book)  # last: nobody waits for it
            if not acted:
                return delay
            if book.deployment is not None:
                self.tell([book.deployment.run_id])
        return 0.05

    async def _open_book(self, place: Place) -> tuple[ledger.Book | None, float | None]:
        """What is recorded; the deployment that waits longest begins if none is under way and it may.

        With it the seconds after which one that is held may begin.
        """
        after_s: float | None = None
        book = await self._m.database.run(ledger.read_book, place)
        while book is not None and book.deployment is None and book.waiting is not None:
            choice = await self._m.database.run(holding.choose, place)
            self.tell(choice.runs)
            after_s = choice.after_s
            if choice.waiting is None:
                break
            book = replace(book, waiting=choice.waiting)
            await self._steps.begin(place, book)
            self.note_change(place)
            self.tell([choice.waiting.run_id])
            book = await self._m.database.run(ledger.read_book, place)
        if book is not None and book.deployment is not None:
            await self._steps.take_turn(book.deployment.id)
        return book, after_s

    def _gated(
        self, place: Place, book: ledger.Book, busy: frozenset[str], actions: list[Action]
    ) -> list[Action | FailProof]:
        """The actions with those for workers; a deployment succeeds only once its workers run as well."""
        rows = [row for row in book.instances if row.process != WEB]
        is_ready = Finish(DeploymentState.SUCCEEDED) in actions
        situations = worker_situations(
            place,
            book,
            self._m.clock.now(),
            [(row, self._instance_facts(row, None, ending(row.id) in busy)) for row in rows],
            is_ready,
        )
        told: list[Action | FailProof] = [each for one in situations for each in decide_workers(one)]
        if not is_ready or all(are_proven(one) for one in situations):
            return [*told, *actions]
        late = self._m.clock.now() >= book.under_way.deadline_at
        if late and not any(isinstance(each, FailProof) for each in told):
            told.append(FailProof("the deadline of the deployment is over before its workers run"))
        rest = [each for each in actions if not isinstance(each, Finish)]
        return [*told, *rest, LookAgain(max(book.under_way.deadline_at - self._m.clock.now(), 0.05))]

    async def _situation(self, place: Place, book: ledger.Book, busy: frozenset[str]) -> Situation:
        goal = book.goal_release()
        configuration = Configuration.from_document(goal.configuration) if goal is not None else None
        plan = configuration.plan(place[1]) if configuration else None
        wanted = configuration.wanted(place[1], book.environment.instances) if configuration else 0
        is_kept_dead = keeps_dead(place, book)
        statuses = await self._statuses(place, book, wanted)
        return Situation(
            now=self._m.clock.now(),
            wanted=wanted,
            current_release_id=book.environment.current_release_id,
            deployment=await self._deployment_facts(place, book),
            instances=tuple(
                self._instance_facts(row, statuses.get(row.id), ending(row.id) in busy)
                for row in book.instances
                if row.process == WEB
            ),
            drain_timeout_s=configuration.site.run.drain_timeout_s if configuration else 0.0,
            busy=busy,
            replace_after_s=plan.health_rules.replace_after_s if plan and not is_kept_dead else None,
            keeps_dead=is_kept_dead,
            keep_old_s=plan.deployments.keep_old_s if plan else 0.0,
        )

    async def _note_phase(self, place: Place, situation: Situation, book: ledger.Book) -> None:
        """What a person sees of a deployment's progress; decisions do not read it."""
        phase = phase_of(situation)
        if phase is None or book.rollout is None:
            return
        last = book.rollout.timeline[-1][:2] if book.rollout.timeline else None
        if last != [phase, book.rollout.batch]:
            await self._m.database.run(rollouts.note_phase, book.under_way.id, phase, book.rollout.batch)
            self.note_change(place)

    async def _statuses(self, place: Place, book: ledger.Book, wanted: int) -> dict[str, TargetStatus]:
        """What the balancer says of the instances, where a decision depends on it."""
        states = [row.state for row in book.instances if row.process == WEB]
        is_leaving = InstanceState.DRAINING in states or InstanceState.TAKEN_OUT in states
        is_calm = not is_leaving and states.count(InstanceState.SERVING) <= wanted
        if is_calm and (book.deployment is None or InstanceState.SERVING not in states):
            return {}
        try:
            statuses = await self._m.balancer.status(route_name(place))
        except BalancerDown:
            return {}
        return {status.target.id: status for status in statuses}

    async def _deployment_facts(self, place: Place, book: ledger.Book) -> DeploymentFacts | None:
        row = book.deployment
        if row is None:
            return None
        return DeploymentFacts(
            id=row.id,
            state=DeploymentState(row.state),
            release_id=row.release_id,
            previous_release_id=row.previous_release_id,
            deadline_at=row.deadline_at,
            is_prepared=self._m.places.release(place, book.releases[row.release_id].number).exists(),
            is_released=row.is_released,
            failure=row.failure,
            rollout=await self._rollout_facts(place, book),
        )

    async def _rollout_facts(self, place: Place, book: ledger.Book) -> RolloutFacts:
        row = book.rollout
        configuration = Configuration.from_document(book.releases[book.under_way.release_id].configuration)
        plan = configuration.plan(place[1]).deployments
        if row is None:
            return RolloutFacts(plan=plan)
        facts = RolloutFacts(
            policy=Policy(row.policy),
            plan=plan,
            batch=row.batch,
            halted=row.halted,
            verdict=row.verdict,
            has_successor=book.waiting is not None,
        )
        if facts.policy is not Policy.CANARY or facts.batch != 1 or facts.verdict is not None:
            return facts
        new = await self._answers(place, book, book.under_way.release_id)
        old = await self._answers(place, book, book.under_way.previous_release_id)
        return replace(facts, new_answers=new, old_answers=old)

    async def _answers(self, place: Place, book: ledger.Book, release_id: int | None) -> Answers | None:
        """What visitors got from a release since the canary serves; None when that is not known."""
        web = [row for row in book.instances if row.process == WEB]
        serving = [row for row in web if row.state == InstanceState.SERVING]
        canaries = [row.since for row in serving if row.release_id == book.under_way.release_id]
        instances = [row.id for row in serving if row.release_id == release_id]
        if not canaries or not instances:
            return None
        found = await self._m.traffic.of_instances(place, instances, min(canaries), self._m.clock.now())
        return Answers(found.requests, found.failed, found.p95_ms) if found is not None else None

    def _instance_facts(self, row: Any, status: TargetStatus | None, is_ending: bool) -> InstanceFacts:
        seen = self.fleet.observe(copy_of(row))
        return InstanceFacts(
            id=row.id,
            release_id=row.release_id,
            state=InstanceState(row.state),
            strikes=row.strikes,
            is_known=seen.is_known,
            died=seen.died,
            has_answered=seen.has_answered,
            unanswered=seen.unanswered,
            in_balancer=seen.in_balancer,
            sessions=status.sessions if status is not None else 0,
            since=row.since,
            restart_at=row.restart_at,
            is_ending=is_ending,
            is_up=status is None or status.state is TargetState.UP,
            failing_for_s=failing_for(seen.course, self._m.clock.monotonic()),
            taken_out=taken_out_of(row),
            share=seen.share,
            check=status.last_check if status is not None else "",
            is_protected=bool(row.is_protected),
        )
