"""Alarms on a ground that outlives them: database, metrics in memory, a messenger and an actuator by hand."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

import halage.monitor.alarms.store  # noqa: F401 - registers its tables
from halage.access.secrets import SecretBox
from halage.base.clock import Clock
from halage.base.database import Database, Transaction
from halage.base.journal import Journal, journal_table
from halage.base.schema import metadata
from halage.base.tasks import Tasks
from halage.monitor.alarms.actions import Standing
from halage.monitor.alarms.carriers import Carriers
from halage.monitor.alarms.controller import AlarmController
from halage.monitor.alarms.deliveries import Deliveries, DeliveryLimits
from halage.monitor.alarms.errors import NotDelivered
from halage.monitor.alarms.message import Message
from halage.monitor.alarms.model import Alarm, Change, State
from halage.monitor.alarms.points import ExpressionPoints
from halage.monitor.alarms.service import Alarms
from halage.monitor.inventory import WatchedEnvironment, Workload
from halage.monitor.metrics.model import Kind, Sample, SeriesKey
from tests.clock import ManualClock
from tests.metrics import MemoryMetrics

NOW = 1_700_000_000.0
PATIENCE_S = 10.0
PUBLIC_URL = "https://halage.example.org"
QUICK = DeliveryLimits(pauses_s=(0.0, 0.0, 0.0), attempt_s=5.0)
HEARTBEAT = SeriesKey.of("halage_cpu_percent")


class Town:
    """An Inventory by hand."""

    def __init__(self) -> None:
        self.places: list[tuple[str, str]] = []
        self.deploying: set[tuple[str, str]] = set()
        self.empty: set[tuple[str, str]] = set()
        """Places that never had a release."""

    async def environments(self) -> Sequence[WatchedEnvironment]:
        return [
            WatchedEnvironment(
                project=project,
                name=name,
                wanted=1,
                instances=(),
                ended_units=(),
                is_detailed=False,
                metrics_path=None,
                domains=(),
                is_deploying=(project, name) in self.deploying,
                has_release=(project, name) not in self.empty,
            )
            for project, name in self.places
        ]

    async def workload(self) -> Workload:
        return Workload(0, 0, 0, 0)


class Post:
    """A Messenger that keeps what it is given. Addresses with `broken` fail, those with `hangs` hang."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Message]] = []
        self.attempts: list[str] = []
        self.released = threading.Event()

    def check(self, address: str) -> str | None:
        return None if "://" in address else "no such address"

    def send(self, address: str, message: Message) -> None:
        self.attempts.append(address)
        if "hangs" in address:
            self.released.wait(PATIENCE_S)
        if "broken" in address:
            raise NotDelivered("the service did not take it")
        self.sent.append((address, message))

    def titles(self, address: str | None = None) -> list[str]:
        return [message.title for to, message in self.sent if address in (None, to)]


@dataclass
class Hands:
    """An Actuator that changes nothing but itself."""

    standing: Standing = field(default_factory=lambda: Standing(2, 7, NOW - 600))
    done: list[tuple[Any, ...]] = field(default_factory=list)
    before: Callable[[str], None] = lambda verb: None
    """Called before each change; what it raises is what the environment says."""

    async def look(self, project: str, environment: str) -> Standing:
        return self.standing

    async def scale(self, project: str, environment: str, to: int, reason: str) -> None:
        self.before("scale")
        self.done.append(("scale", project, environment, to, reason))
        self.standing = Standing(to, self.standing.release, self.standing.deployed_at)

    async def rollback(self, project: str, environment: str, leaving: int, reason: str) -> None:
        self.before("rollback")
        if self.standing.release == leaving:
            self.done.append(("rollback", project, environment, leaving, reason))
            self.standing = Standing(self.standing.wanted, leaving - 1, None)


def quiet_alarms(database: Database, clock: Clock, box: SecretBox, metrics: Any, public_url: str) -> Alarms:
    """The use cases of alarms that nobody evaluates: what the web door needs."""
    post, points, tasks = Post(), ExpressionPoints(metrics), Tasks()
    carriers = Carriers(box, post, None, public_url=public_url)
    deliveries = Deliveries(database, carriers, clock=clock, tasks=tasks)
    controller = AlarmController(
        database, points, Town(), deliveries, box=box, clock=clock, tasks=tasks, everyone=()
    )
    return Alarms(
        database,
        controller,
        carriers,
        points=points,
        messenger=post,
        box=box,
        clock=clock,
        public_url=public_url,
    )


class AlarmGround:
    """What outlives a control plane."""

    def __init__(self, directory: Path, clock: Clock | None = None, store: Any = None) -> None:
        self.clock: Any = clock or ManualClock(NOW)
        self.directory = directory
        self.journal = Journal()
        self.database = Database(f"sqlite:///{directory}/halage.db", clock=self.clock, journal=self.journal)
        metadata.create_all(self.database.engine)
        self.metrics: Any = store if store is not None else MemoryMetrics()
        self.town, self.post, self.hands = Town(), Post(), Hands()
        self.box = SecretBox(directory / "key")
        self.box.make_key()
        self.everyone: tuple[str, ...] = ("memory://everyone",)
        self.limits = QUICK
        self.is_paused = False
        self.grace_s = 0.0

    def close(self) -> None:
        self.post.released.set()
        self.database.close()


@dataclass
class Plane:
    """One life of the alarms."""

    ground: AlarmGround
    controller: AlarmController
    deliveries: Deliveries
    alarms: Alarms

    def write(self, values: dict[str, float], *, at: float | None = None, project: str = "shop") -> float:
        """Write a tick: the last one that has ended, by the clock. Returns its beginning."""
        tick = (self.ground.clock.now() if at is None else at + 10) // 10 * 10 - 10
        samples = [Sample(HEARTBEAT, Kind.GAUGE, 1.0)]
        for name, value in values.items():
            samples.append(Sample(SeriesKey.of(name, project=project), Kind.GAUGE, value))
        self.ground.metrics.write(tick, 10, samples)
        return float(tick)

    async def tick(self, **values: float) -> None:
        """Ten seconds pass, in which these values were measured, and are evaluated."""
        await self.ground.clock.advance(10)
        self.controller.on_tick(self.write(values), 10)
        await self.controller.settled()

    async def ticks(self, count: int, **values: float) -> None:
        for _ in range(count):
            await self.tick(**values)

    async def define(self, **values: Any) -> Alarm:
        """An alarm on `load` of `shop`, above 5, on 10 s."""
        wanted = {
            "name": "load",
            "project": "shop",
            "expression": "maximum(load)",
            "threshold": 5.0,
            "period_s": 10,
            "on_alarm": [{"kind": "tell", "to": ["memory://ada"]}],
        }
        return await self.alarms.create(
            {name: value for name, value in {**wanted, **values}.items() if value is not None}, actor="ada"
        )

    async def state(self, alarm: Alarm | int) -> State:
        found = await self.alarms.show(alarm if isinstance(alarm, int) else alarm.id)
        return found.state

    async def changes(self, alarm: Alarm) -> list[tuple[State, State]]:
        """From what to what, oldest first."""
        found = await self.alarms.history(alarm.id, limit=200)
        return [(each.state_before, each.state) for each in reversed(found)]

    async def delivered(self, alarm: Alarm) -> Change:
        """Its last change, once everything that it leads to has come to an end."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                (change, *_) = await self.alarms.history(alarm.id, limit=1)
                if all(each.state != "waiting" for each in change.deliveries):
                    return change
                await asyncio.sleep(0.005)

    async def journal(self, action: str) -> list[Any]:
        """Entries of the journal, oldest first."""

        def read(tx: Transaction) -> list[Any]:
            rows = tx.execute(select(journal_table).where(journal_table.c.action == action))
            return list(rows)

        return await self.ground.database.run(read)


@asynccontextmanager
async def alarm_plane(ground: AlarmGround) -> AsyncIterator[Plane]:
    """Alarms as assembly builds them, recovered."""
    carriers = Carriers(ground.box, ground.post, ground.hands, public_url=PUBLIC_URL)
    points = ExpressionPoints(ground.metrics)
    async with Tasks() as tasks:
        deliveries = Deliveries(
            ground.database, carriers, clock=ground.clock, tasks=tasks, limits=ground.limits
        )
        controller = AlarmController(
            ground.database,
            points,
            ground.town,
            deliveries,
            box=ground.box,
            clock=ground.clock,
            tasks=tasks,
            everyone=ground.everyone,
            is_paused=lambda: ground.is_paused,
            grace_s=ground.grace_s,
        )
        alarms = Alarms(
            ground.database,
            controller,
            carriers,
            points=points,
            messenger=ground.post,
            box=ground.box,
            clock=ground.clock,
            everyone=ground.everyone,
            public_url=PUBLIC_URL,
        )
        await controller.recover()
        try:
            yield Plane(ground, controller, deliveries, alarms)
        finally:
            controller.stop()
            deliveries.stop()
    await carriers.close()
