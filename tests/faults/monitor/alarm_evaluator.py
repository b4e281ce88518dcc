"""Writes metrics, compacts them and evaluates an alarm on them until it is killed.

`python -m tests.faults.monitor.alarm_evaluator DIRECTORY URL FROM TICKS`. Its clock runs some hundred times
too fast. Before a tick of ten seconds is written it prints `?` and which, once its period is evaluated
`+`. It ends by itself after TICKS (0: never), once everything that the alarm leads to is done.
"""

import asyncio
import itertools
import sys
from pathlib import Path

import structlog

import halage.monitor.alarms.store  # noqa: F401 - registers its tables
from halage.access.secrets import SecretBox
from halage.base.database import Database
from halage.base.journal import Journal
from halage.base.schema import metadata
from halage.base.tasks import Tasks
from halage.monitor.alarms import ledger
from halage.monitor.alarms.carriers import Carriers
from halage.monitor.alarms.controller import AlarmController
from halage.monitor.alarms.deliveries import Deliveries
from halage.monitor.alarms.messenger import AppriseMessenger
from halage.monitor.alarms.points import ExpressionPoints
from halage.monitor.alarms.service import Alarms
from halage.monitor.metrics.model import Kind, Sample, SeriesKey
from halage.monitor.metrics.store import MetricStore
from tests.alarms import HEARTBEAT, Town
from tests.faults.monitor.metric_writer import FastClock

TICK_S = 10
LOAD = SeriesKey.of("load", project="shop")
URL = "http://halage.test"


def load_at(at: int) -> float:
    """High and low in turn, seven ticks each: the same whenever it is asked."""
    return 9.0 if at // TICK_S // 7 % 2 else 1.0


def definition(url: str) -> dict[str, object]:
    """The alarm: above 5, on each tick alone, and what it does both ways."""
    call = {"kind": "call", "url": url}
    return {
        "name": "load",
        "project": "shop",
        "expression": "maximum(load)",
        "threshold": 5.0,
        "period_s": TICK_S,
        "on_alarm": [call],
        "on_ok": [call],
    }


async def live(directory: Path, url: str, begin: int, ticks: int) -> None:
    clock = FastClock(begin)
    box = SecretBox(directory / "key")
    if not (directory / "key").exists():
        box.make_key()
    database = Database(f"sqlite:///{directory}/halage.db", clock=clock, journal=Journal())
    metadata.create_all(database.engine)
    store = MetricStore(directory / "metrics", clock)
    carriers, points = Carriers(box, AppriseMessenger(), None, public_url=URL), ExpressionPoints(store)
    async with Tasks() as tasks:
        deliveries = Deliveries(database, carriers, clock=clock, tasks=tasks)
        controller = AlarmController(
            database, points, Town(), deliveries, box=box, clock=clock, tasks=tasks, is_paused=lambda: False
        )
        alarms = Alarms(
            database,
            controller,
            carriers,
            points=points,
            messenger=AppriseMessenger(),
            box=box,
            clock=clock,
            public_url=URL,
        )
        await controller.recover()
        if not await alarms.list(project="shop"):
            await alarms.create(definition(url), actor="ada")
        compacting = tasks.start(_compact(store, clock), "compact")
        for number in itertools.count():
            if ticks and number == ticks:
                break
            at = begin + number * TICK_S
            print("?", at, flush=True)
            clock.moment = at + TICK_S
            store.write(
                at, TICK_S, [Sample(HEARTBEAT, Kind.GAUGE, 1.0), Sample(LOAD, Kind.GAUGE, load_at(at))]
            )
            controller.on_tick(at, TICK_S)
            await controller.settled()
            print("+", at, flush=True)
            await asyncio.sleep(0)
        while await database.run(ledger.waiting_deliveries):  # noqa: ASYNC110 - its end rings no bell
            await asyncio.sleep(0.01)
        compacting.cancel()
        deliveries.stop()
        controller.stop()
    await carriers.close()
    store.close()
    database.close()


async def _compact(store: MetricStore, clock: FastClock) -> None:
    while True:
        await asyncio.to_thread(store.compact, clock.now(), 2)
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(live(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
