"""Sees to it that what a change leads to is done; each delivery is tried again, and at last given up.

At least once: a delivery that was done and whose end could not be recorded (a kill between the two) is
done again, with the same key.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from halage.access.errors import KeyUnusable
from halage.base.clock import Clock
from halage.base.database import Database
from halage.base.tasks import Controller, Tasks
from halage.monitor.alarms import ledger, store
from halage.monitor.alarms.carriers import Carriers
from halage.monitor.alarms.errors import NotDelivered, NotNeeded
from halage.monitor.alarms.ledger import OpenDelivery
from halage.monitor.alarms.model import Action

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """How hard it is tried."""

    pauses_s: tuple[float, ...] = (5, 15, 30, 60, 120, 240, 480, 900, 1800)
    """Between attempts: ten of them, over an hour."""
    attempt_s: float = 20.0
    """How long one attempt may take."""
    at_once: int = 2
    """Attempts to one place at the same time."""


class Deliveries:
    """Carries out what is recorded as waiting."""

    def __init__(
        self,
        database: Database,
        carriers: Carriers,
        *,
        clock: Clock,
        tasks: Tasks,
        limits: DeliveryLimits = DeliveryLimits(),
    ) -> None:
        self._database = database
        self._carriers = carriers
        self._clock = clock
        self._limits = limits
        self._controller: Controller[int] = Controller("alarm delivery", self._advance, tasks=tasks)
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(limits.at_once)
        )

    async def recover(self) -> None:
        """Go on with what an earlier control plane left."""
        self.wake(await self._database.run(ledger.waiting_deliveries))

    def wake(self, delivery_ids: Iterable[int]) -> None:
        """Begin with these."""
        for delivery_id in delivery_ids:
            self._controller.wake(delivery_id)

    def stop(self) -> None:
        """Begin no further attempt."""
        self._controller.stop()

    async def _advance(self, delivery_id: int) -> float | None:
        delivery = await self._database.run(ledger.open_delivery, delivery_id)
        if delivery is None:
            return None
        if (wait_s := self._wait_s(delivery)) > 0:
            return wait_s
        try:
            place = self._carriers.destination(delivery)
            async with self._places[place], asyncio.timeout(self._limits.attempt_s):
                await self._carriers.carry(delivery, self._decide(delivery))
        except NotNeeded as error:
            await self._end(delivery, store.DROPPED, error.message)
        except (NotDelivered, KeyUnusable) as error:
            return await self._try_again(delivery, error.message)
        except TimeoutError:
            return await self._try_again(delivery, f"no answer within {self._limits.attempt_s:g} s")
        else:
            await self._end(delivery, store.DELIVERED)
        return None

    def _wait_s(self, delivery: OpenDelivery) -> float:
        """How long the next attempt has to wait; not at all when the clock was set back meanwhile."""
        wait_s = delivery.next_at - self._clock.now()
        pause_s = self._pause_s(delivery.attempts - 1)
        return wait_s if pause_s is not None and wait_s <= pause_s else 0.0

    def _pause_s(self, attempts: int) -> float | None:
        """The pause after the n-th attempt, counted from 0; None after the last one."""
        pauses = self._limits.pauses_s
        return pauses[attempts] if 0 <= attempts < len(pauses) else None

    async def _try_again(self, delivery: OpenDelivery, error: str) -> float | None:
        pause_s = self._pause_s(delivery.attempts)
        if pause_s is None:
            await self._end(delivery, store.FAILED, error)
            return None
        await self._database.insist(ledger.put_off_delivery, delivery, error, self._clock.now() + pause_s)
        return pause_s

    async def _end(self, delivery: OpenDelivery, state: str, error: str = "") -> None:
        await self._database.insist(ledger.end_delivery, delivery, state, error)
        log.log(
            logging.WARNING if state == store.FAILED else logging.INFO,
            "alarm delivery ended",
            action="monitor:Deliver",
            subject=f"alarm/{delivery.alarm.id}",
            key=delivery.key,
            state=state,
            attempts=delivery.attempts + 1,
        )

    def _decide(self, delivery: OpenDelivery) -> "_Decide":
        return _Decide(self._database, delivery.id)


@dataclass(frozen=True, slots=True)
class _Decide:
    """Records what a delivery's action comes to."""

    database: Database
    delivery_id: int

    async def __call__(self, action: Action) -> None:
        await self.database.run(ledger.decide_action, self.delivery_id, action)
