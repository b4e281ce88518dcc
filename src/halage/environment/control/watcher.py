"""Looks at every environment every few seconds: notes how checks went, records what health became.

One look asks the balancer once, for all. Between two looks HAProxy's own checks take who fails out
of the balancer; what is derived here is the status, its history, and when an instance is replaced.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from halage.balancer.errors import BalancerDown
from halage.balancer.model import TargetState
from halage.base.database import Transaction
from halage.environment.control.controller import EnvironmentController
from halage.environment.control.inventory import EnvironmentInventory
from halage.environment.health.course import Settled, failing_for, go_on, settle
from halage.environment.health.rules import derive, grave
from halage.environment.machinery import Machinery
from halage.environment.model import Health, HealthStatus, InstanceState
from halage.environment.records.standing import Standing, Statuses, signs_of, taken_out_of
from halage.environment.routing import route_name
from halage.environment.tables.health_tables import latest_statuses, write_change
from halage.environment.tables.store import Place, environment_row
from halage.site.settings import HealthRules

log = structlog.get_logger()

LOOK_EVERY_S = 3.0
"""No status is older than that, and than what a look takes."""
BEFORE_OTHERS = 10
"""Environments that are looked at in one go."""


@dataclass(frozen=True, slots=True)
class HealthChange:
    """The health of an environment is another one now, and has settled to it."""

    place: Place
    at: float
    before: HealthStatus | None
    """None: it was never recorded before."""
    health: Health

    @property
    def is_worse(self) -> bool:
        """Whether it got worse: from bad to worse, or from well to bad."""
        return self.before is None or grave(self.health.status) < grave(self.before)


class HealthWatcher:
    """Looks until it is cancelled. `on_change` is told of each change, after it is recorded."""

    def __init__(
        self,
        machinery: Machinery,
        controller: EnvironmentController,
        inventory: EnvironmentInventory,
        on_change: Callable[[HealthChange], None] = lambda change: None,
    ) -> None:
        self._m = machinery
        self._controller = controller
        self._inventory = inventory
        self._on_change = on_change
        self._settled: dict[Place, Settled] | None = None
        self._has_failed = False

    async def run(self) -> None:
        """Look every few seconds."""
        while True:
            began = self._m.clock.monotonic()
            try:
                await self.look()
                self._has_failed = False
            except Exception:
                if not self._has_failed:
                    log.exception("health not looked at", action="environment:Watch", subject="server")
                self._has_failed = True
            took = self._m.clock.monotonic() - began
            await self._m.clock.sleep(max(LOOK_EVERY_S - took, 0.1))

    async def look(self) -> None:
        """Look once at every environment that has a release."""
        if self._settled is None:
            latest = await self._m.database.run(latest_statuses)
            self._settled = {place: Settled(status) for place, status in latest.items()}
        standings = await self._inventory.standings()
        statuses = await self._statuses()
        self._controller.vitals.look(row for standing in standings for row in standing.instances)
        changes = []
        for number, standing in enumerate(standings):
            if number % BEFORE_OTHERS == 0:
                await asyncio.sleep(0)  # requests that came meanwhile go first
            mine = statuses.get(route_name(standing.place), {}) if statuses is not None else None
            if mine is not None and self._note_courses(standing, mine):
                self._controller.wake(standing.place)
            if (change := self._settle(standing, mine)) is not None:
                changes.append(change)
        kept = {standing.place for standing in standings}
        self._settled = {place: held for place, held in self._settled.items() if place in kept}
        await self._tell(changes)

    async def _statuses(self) -> dict[str, Statuses] | None:
        """What the balancer says, by route; None when it does not answer."""
        try:
            found = await self._m.balancer.status()
        except BalancerDown:
            return None
        by_route: dict[str, dict[str, Any]] = {}
        for status in found:
            by_route.setdefault(status.route, {})[status.target.id] = status
        return dict(by_route)

    def _note_courses(self, standing: Standing, statuses: Statuses) -> bool:
        """Note what the checks say; whether that is news: one began to fail, or has for too long."""
        vitals, now = self._controller.vitals, self._m.clock.monotonic()
        rules = standing.plan.health_rules if standing.plan is not None else HealthRules()
        is_news = False
        for row in standing.web:
            status = statuses.get(row.id)
            is_checked = row.state == InstanceState.SERVING and taken_out_of(row) is None
            if status is None or not is_checked or status.state is TargetState.DRAINING:
                vitals.note_course(row, None)
                continue
            before = vitals.course_of(row)
            course = go_on(before, status.state is TargetState.UP, now)
            vitals.note_course(row, course)
            failed_s, fails_s = failing_for(before, now), failing_for(course, now)
            is_news |= (failed_s is None) != (fails_s is None)
            is_news |= fails_s is not None and fails_s >= rules.replace_after_s
        return is_news

    def _settle(self, standing: Standing, statuses: Statuses | None) -> HealthChange | None:
        assert self._settled is not None
        health = derive(signs_of(standing, statuses, self._controller.vitals))
        before = self._settled.get(standing.place)
        self._settled[standing.place], is_change = settle(before, health, self._m.clock.monotonic())
        if not is_change:
            return None
        return HealthChange(standing.place, self._m.clock.now(), before.status if before else None, health)

    async def _tell(self, changes: Sequence[HealthChange]) -> None:
        if not changes:
            return
        await self._m.database.run(_record, changes)
        for change in changes:
            log.info(
                "health changed",
                action="environment:HealthChanged",
                subject=route_name(change.place),
                status=change.health.status.value,
                reason=change.health.summary,
            )
            self._on_change(change)


def _record(tx: Transaction, changes: Iterable[HealthChange]) -> None:
    for change in changes:
        if environment_row(tx, change.place) is not None:  # it may have been deleted meanwhile
            write_change(tx, change.place, change.before, change.health)
