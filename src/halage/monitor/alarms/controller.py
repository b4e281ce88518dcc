"""Evaluates alarms at the end of their periods, and catches up after a time in which Halage did not run."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

import structlog

from halage.base.clock import Clock
from halage.base.database import Database
from halage.base.tasks import Controller, Tasks
from halage.monitor.alarms import definitions, ledger, store
from halage.monitor.alarms.defaults import environment_defaults, server_defaults
from halage.monitor.alarms.deliveries import Deliveries
from halage.monitor.alarms.judge import Judge, Place, Round, Turn, is_deploying, judge_rule
from halage.monitor.alarms.ledger import Expand, NewChange
from halage.monitor.alarms.model import Alarm, Tell, Verdict
from halage.monitor.alarms.points import PointReader
from halage.monitor.alarms.sealing import Box, seal
from halage.monitor.inventory import Inventory, WatchedEnvironment
from halage.monitor.metrics.model import TICK_S

log = structlog.get_logger()

CATCH_UP_S = 10_000
"""How far back periods are evaluated after a stop: as long as data of 10 s are kept (three hours, about)."""
AT_ONCE = 60
"""Moments that are evaluated in one go."""
GRACE_S = 1.25
"""How long after its end a period is still written to: what is scraped at the end of a tick, sent over
StatsD or counted in log lines is on the disk a second later, when the collector has long been done."""
PERSIST_S = 60
"""The clock of the alarms is written that often, and with each change."""
JUMP_S = 60
"""A tick that is earlier by more than that says that the clock was set back."""
PAGE = 500
RECORDED_AT_ONCE = 10
"""Changes in one transaction: some 20 ms of work."""
SERVER: Place = ("", "")


class AlarmController:
    """Judges every alarm in a thread, and records each change with what it leads to.

    What it knows of alarms it holds in memory: `changed` tells it what people changed. Evaluating a
    period again, after a kill, finds nothing new: a change, its deliveries and its entry in the journal are
    one transaction, which the alarm's state before is a condition of. The clock of the alarms is in the
    transaction with the last change of a moment: a kill between two changes loses neither.
    """

    def __init__(
        self,
        database: Database,
        points: PointReader,
        inventory: Inventory,
        deliveries: Deliveries,
        *,
        box: Box,
        clock: Clock,
        tasks: Tasks,
        everyone: Sequence[str] = (),
        is_paused: Callable[[], bool] = lambda: False,
        grace_s: float = 0.0,
    ) -> None:
        """`everyone`: addresses of those who are told where an alarm names nobody (`messages.to`).

        `is_paused`: whether metrics are not kept because their disk is full. `grace_s`: how long is waited
        after the end of a period, for what is written of it after the tick that `on_tick` tells of.
        """
        self._database = database
        self._points = points
        self._inventory = inventory
        self._deliveries = deliveries
        self._box = box
        self._clock = clock
        self._everyone = everyone
        self._is_paused = is_paused
        self._grace_s = grace_s
        self._judge = Judge(points)
        self._alarms: dict[int, Alarm] = {}
        self._dirty: set[int] = set()
        self._made: set[Place] = set()
        self._target: float | None = None
        self._evaluated_until: float | None = None
        self._persisted = 0.0
        self._expand: Expand = ledger.expand_with(())
        self._controller: Controller[str] = Controller("alarms", self._advance, tasks=tasks)

    async def recover(self) -> None:
        """Read every alarm, and go on with the deliveries that an earlier control plane left."""
        self._expand = ledger.expand_with([Tell((seal(each, self._box),)) for each in self._everyone])
        after = 0
        while rows := await self._database.run(store.alarm_rows, after=after, limit=PAGE):
            self._alarms |= {row.id: store.alarm_of(row) for row in rows}
            after = rows[-1].id
            await asyncio.sleep(0)  # ten thousand rows are read without holding up everyone else
        self._evaluated_until = await self._database.run(ledger.evaluated_until)
        self._persisted = self._evaluated_until or 0.0
        await self._deliveries.recover()

    def on_tick(self, at: float, resolution_s: int) -> None:
        """Hear that the samples of the tick that begins at `at` are written: periods may have ended.

        Call it as well when they could not be written because the disk is full.
        """
        if resolution_s == TICK_S:
            self._target = (at + resolution_s) // TICK_S * TICK_S
            self._controller.wake("tick")

    def changed(self, alarm_ids: Iterable[int]) -> None:
        """Hear that people made, changed or deleted alarms."""
        self._dirty.update(alarm_ids)

    def forget_place(self, project: str, environment: str | None, alarm_ids: Iterable[int]) -> None:
        """Hear that a project or environment is removed: made anew it gets its alarms anew, however soon."""
        self._made = {
            place for place in self._made if place[0] != project or environment not in (None, place[1])
        }
        self.changed(alarm_ids)

    async def settled(self) -> None:
        """Return once nothing is being evaluated."""
        await self._controller.settled("tick")

    def stop(self) -> None:
        """Evaluate nothing more."""
        self._controller.stop()

    async def look(self, alarm: Alarm) -> Verdict:
        """What an alarm says of the last period that has ended, and why; changes nothing."""
        end = self._evaluated_until or self._clock.now() // TICK_S * TICK_S
        definition = alarm.definition
        if definition.rule is None:
            return await asyncio.to_thread(Judge(self._points).look, alarm, end)
        neighbours = await self._database.run(store.neighbour_rows, definition.project)
        states = {row.name: store.alarm_of(row).state for row in neighbours}
        deploying = _deploying(await self._inventory.environments())
        return judge_rule(definition, states, Round((end,), {}, deploying, self._is_paused()))

    async def muted_by_deployments(self, alarms: Collection[Alarm]) -> frozenset[int]:
        """Those (by id) that are mute now because a deployment runs in their environment."""
        mutable = [alarm for alarm in alarms if alarm.definition.mute_while_deploying]
        if not mutable:
            return frozenset()
        deploying = _deploying(await self._inventory.environments())
        return frozenset(alarm.id for alarm in mutable if is_deploying(alarm.definition, deploying))

    async def ensure_defaults(self, inventory: Inventory) -> None:
        """Make the alarms that come with an environment's first release, and with the server."""
        await self._ensure_defaults(await inventory.environments())

    async def _ensure_defaults(self, environments: Collection[WatchedEnvironment]) -> None:
        places = {SERVER, *((each.project, each.name) for each in environments if each.has_release)}
        self._made &= places  # a project that is made anew gets its alarms anew
        for place in sorted(places - self._made):
            defaults = server_defaults() if place == SERVER else environment_defaults(*place)
            made = await self._database.run(definitions.ensure_defaults, *place, defaults)
            self._alarms |= {alarm.id: alarm for alarm in made}
            self._made.add(place)

    async def _advance(self, _key: str) -> float | None:
        await self._let_come_in()
        environments = await self._inventory.environments()
        deploying = _deploying(environments)
        await self._ensure_defaults(environments)
        await self._end_silence()
        while True:
            await self._refresh()
            ends = self._next_ends()
            if not ends:
                break
            round_ = Round(ends, dict(self._alarms), deploying, self._is_paused())
            turns = await asyncio.to_thread(self._judge.judge, round_)
            await self._record(turns, deploying)
            self._evaluated_until = ends[-1]
            if abs(ends[-1] - self._persisted) >= PERSIST_S or len(ends) > 1:
                await self._database.insist(ledger.set_evaluated_until, ends[-1])
                self._persisted = ends[-1]
        await self._release(deploying)
        return None

    async def _let_come_in(self) -> None:
        """Return once nothing more is written of the period that ended last."""
        ended_at = self._target
        if ended_at is not None and (wait_s := ended_at + self._grace_s - self._clock.now()) > 0:
            await self._clock.sleep(min(wait_s, self._grace_s))

    def _next_ends(self) -> list[float]:
        """The moments that come next."""
        target, done = self._target, self._evaluated_until
        if target is None:
            return []
        if done is None or target < done - JUMP_S:
            # The first start, or the clock was set back: there is nothing to catch up with.
            return [target]
        first = max(done, target - CATCH_UP_S) // TICK_S * TICK_S + TICK_S
        count = min(round((target - first) / TICK_S) + 1, AT_ONCE)
        return [first + place * TICK_S for place in range(count)]

    async def _refresh(self) -> None:
        """Read anew what people changed."""
        while self._dirty:
            alarm_id = self._dirty.pop()
            row = await self._database.run(store.alarm_row, alarm_id)
            if row is None:
                self._alarms.pop(alarm_id, None)
            else:
                self._alarms[alarm_id] = store.alarm_of(row)

    async def _record(self, turns: Sequence[Turn], deploying: frozenset[Place]) -> None:
        """Record the changes, a few at once; who waits for the event loop gets it in between."""
        stale: set[int] = set()
        for first in range(0, len(turns), RECORDED_AT_ONCE):
            batch = [turn for turn in turns[first : first + RECORDED_AT_ONCE] if turn.alarm.id not in stale]
            until = _complete_end(turns, first + RECORDED_AT_ONCE)
            changes = [
                NewChange(
                    turn.alarm,
                    turn.verdict,
                    turn.period_end,
                    is_deploying(turn.alarm.definition, deploying),
                )
                for turn in batch
            ]
            # While the disk is full it waits: what is red then is told as soon as that is possible.
            recorded = await self._database.insist(ledger.record_changes, changes, self._expand, until)
            self._persisted = until or self._persisted
            for turn, deliveries in zip(batch, recorded, strict=True):
                if deliveries is None:  # somebody changed it while it was judged: the next period tells
                    stale.add(turn.alarm.id)
                    self.changed((turn.alarm.id,))
                else:
                    self._has_changed(turn, deliveries)
            await asyncio.sleep(0)

    def _has_changed(self, turn: Turn, deliveries: Sequence[int]) -> None:
        alarm, verdict = turn.alarm, turn.verdict
        self._alarms[alarm.id] = replace(
            alarm, state=verdict.state, reason=verdict.reason, state_at=turn.period_end
        )
        self._deliveries.wake(deliveries)
        log.info(
            "alarm changed",
            action="monitor:AlarmChanged",
            subject=f"alarm/{alarm.id}",
            name=alarm.definition.name,
            state=verdict.state.value,
        )

    async def _end_silence(self) -> None:
        """Enable the alarms whose disablement has ended."""
        now = self._clock.now()
        for alarm in list(self._alarms.values()):
            if alarm.is_disabled and not alarm.is_muted_at(now):
                enabled = await self._database.run(definitions.end_disablement, alarm.id, ledger.ACTOR)
                if enabled is None:
                    self._alarms.pop(alarm.id, None)
                else:
                    self._alarms[alarm.id] = enabled

    async def _release(self, deploying: frozenset[Place]) -> None:
        """Do what was held back, for alarms that are muted no more."""
        now = self._clock.now()
        for alarm_id in await self._database.run(ledger.alarms_with_held):
            alarm = self._alarms.get(alarm_id)
            if alarm is None or alarm.is_muted_at(now):
                continue
            definition = alarm.definition
            if not (definition.mute_while_deploying and is_deploying(definition, deploying)):
                self._deliveries.wake(await self._database.run(ledger.release_held, alarm_id))


def _complete_end(turns: Sequence[Turn], count: int) -> float | None:
    """The last moment of which every change is among the first so many; None where there is none yet."""
    if count >= len(turns):
        return turns[-1].period_end
    return max(
        (turn.period_end for turn in turns[:count] if turn.period_end < turns[count].period_end), default=None
    )


def _deploying(environments: Collection[WatchedEnvironment]) -> frozenset[Place]:
    return frozenset((each.project, each.name) for each in environments if each.is_deploying)
