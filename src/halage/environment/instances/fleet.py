"""The living instances: starts their units, probes them, notices their end, takes them down.

What the fleet knows is observed, never recorded: after a restart of the control plane it is
built again from the compute driver's list.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from halage.base.clock import Clock
from halage.base.tasks import Tasks
from halage.compute.driver import ComputeDriver
from halage.compute.errors import NoSuchUnit, StartFailed
from halage.compute.model import Exit, UnitSpec, UnitStatus
from halage.environment.health.course import Course
from halage.environment.instances.probe import Probe, Prober
from halage.environment.tables.store import Place

KEPT_LOGS = 10
"""Ended units of an environment whose output is kept."""
FORGET_GRACE_S = 2.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Copy:
    """One attempt of one instance: what the fleet handles."""

    instance_id: str
    attempt: int
    place: Place

    @property
    def unit_id(self) -> str:
        """The unit's name: the attempt is part of it, so that no attempt is started twice."""
        return f"{self.instance_id}.{self.attempt}"


def copy_of(row: Any) -> Copy:
    """The present attempt of an instance's row."""
    return Copy(row.id, row.attempt, (row.project, row.environment))


@dataclass(slots=True)
class Observation:
    """What is known of a copy at this moment."""

    is_known: bool = False
    died: str | None = None
    has_answered: bool = False
    unanswered: str | None = None
    in_balancer: str | None = None
    share: float | None = None
    """What the balancer was last told of both."""
    ready_after_s: float = 0.0
    course: Course | None = None
    """What its check has said since it serves."""


class Fleet:
    """All copies of all environments. `on_news(place)` is called whenever an observation changes."""

    def __init__(
        self,
        compute: ComputeDriver,
        prober: Prober,
        *,
        clock: Clock,
        tasks: Tasks,
        on_news: Callable[[Place], None],
    ) -> None:
        self._compute = compute
        self._prober = prober
        self._clock = clock
        self._tasks = tasks
        self._on_news = on_news
        self._seen: dict[str, Observation] = {}
        self._ended: defaultdict[Place, deque[str]] = defaultdict(deque)

    def observe(self, copy: Copy) -> Observation:
        """What is known of a copy; a blank observation for one that was never seen."""
        seen = self._seen.get(copy.unit_id)
        if seen is None:
            seen = self._seen[copy.unit_id] = Observation()
        return seen

    async def recover(self, living: Iterable[tuple[Copy, bool, Probe]], places: Mapping[str, Place]) -> None:
        """Adopt units after a start of the control plane.

        `living` are the recorded copies: whether each was ready already, and its probe. `places`
        tells of every instance ever recorded where it belongs, to keep the last logs of each
        environment. A running unit that no row speaks of is an orphan and is ended.
        """
        known = {copy.unit_id: (copy, was_ready, probe) for copy, was_ready, probe in living}
        for unit in await self._compute.list():
            if not unit.id.startswith("i-"):
                continue
            if unit.id in known:
                self._adopt(unit, *known[unit.id])
            elif unit.is_running:
                log.warning("orphan ended", action="environment:Recover", subject=unit.id)
                self._tasks.start(self._compute.remove(unit.id), f"end orphan {unit.id}")
            else:
                await self._keep_log(places.get(unit.id.rpartition(".")[0]), unit.id)

    def _adopt(self, unit: UnitStatus, copy: Copy, was_ready: bool, probe: Probe) -> None:
        seen = self.observe(copy)
        seen.is_known, seen.has_answered = True, was_ready
        if unit.exit is not None:
            seen.died = str(unit.exit)
        else:
            self._tasks.start(self._watch(copy, seen, probe), f"watch {copy.unit_id}")

    async def launch(self, copy: Copy, spec: UnitSpec, probe: Probe) -> None:
        """Start the unit and watch it: until it answers, then until it ends."""
        seen = self.observe(copy)
        try:
            await self._compute.start(spec)
        except StartFailed as error:
            seen.is_known, seen.died = True, f"could not be started: {error}"
            self._on_news(copy.place)
            return
        seen.is_known = True
        self._tasks.start(self._watch(copy, seen, probe), f"watch {copy.unit_id}")

    async def _watch(self, copy: Copy, seen: Observation, probe: Probe) -> None:
        start = self._clock.monotonic()
        ended = self._tasks.start(self._compute.wait(copy.unit_id), f"wait for {copy.unit_id}")
        try:
            if not seen.has_answered:
                problem = await self._prober.until_answer(probe, ended.done)
                seen.has_answered = problem is None
                seen.ready_after_s = self._clock.monotonic() - start
                if not ended.done():
                    seen.unanswered = problem
                self._on_news(copy.place)
            exit_: Exit = await ended
        except NoSuchUnit:
            return
        elapsed = self._clock.monotonic() - start
        seen.died = f"{exit_} {elapsed:.1f} s after its start" if not seen.has_answered else str(exit_)
        self._on_news(copy.place)

    async def ask(self, probe: Probe) -> str | None:
        """Probe an instance that runs, once: None for a good answer, else why it is none."""
        return await self._prober.until_answer(replace(probe, boot_timeout_s=0.0), lambda: False)

    async def stop(self, copy: Copy, grace_s: float) -> None:
        """End the unit and forget what was observed; its output is kept for a while."""
        await self._compute.stop(copy.unit_id, grace_s)
        self._seen.pop(copy.unit_id, None)
        await self._keep_log(copy.place, copy.unit_id)

    async def forget(self, instances: Iterable[str], deployments: Iterable[int]) -> None:
        """End every unit of these instances and executions, and the release commands of these deployments."""
        names = {*instances, *(f"r-{deployment}" for deployment in deployments)}
        units = [
            unit
            for unit in await self._compute.list()
            if unit.id.rpartition(".")[0] in names or unit.id in names
        ]
        for unit in units:
            await self._compute.stop(unit.id, FORGET_GRACE_S)
            await self._compute.remove(unit.id)
            self._seen.pop(unit.id, None)
            for kept in self._ended.values():
                if unit.id in kept:
                    kept.remove(unit.id)

    def ended(self, place: Place) -> list[tuple[str, str]]:
        """(instance id, unit id) of each ended copy of an environment whose output is still kept."""
        return [(unit.rpartition(".")[0], unit) for unit in self._ended.get(place, ())]

    def units(self, place: Place, living: Iterable[Copy]) -> list[str]:
        """Units of an environment whose output can be read: those that ended lately, then the living."""
        return [*self._ended[place], *(copy.unit_id for copy in living)]

    async def tail(self, copy_unit: str, lines: int = 40) -> str:
        """The last lines that a unit printed; empty if it is not known any more."""
        try:
            output = await self._compute.read(copy_unit, offset=-16384, limit=16384)
        except NoSuchUnit:
            return ""
        # PostgreSQL keeps no NUL in a text.
        text = output.data.decode(errors="replace").replace("\0", "\ufffd")
        return "\n".join(text.splitlines()[-lines:])

    async def _keep_log(self, place: Place | None, unit_id: str) -> None:
        if place is None:
            await self._compute.remove(unit_id)
            return
        kept = self._ended[place]
        kept.append(unit_id)
        while len(kept) > KEPT_LOGS:
            await self._compute.remove(kept.popleft())
