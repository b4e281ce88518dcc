"""Ten thousand alarms evaluated, and the time from a breach to its message.

Part one: 10,000 alarms over 100 instances of 14 metrics, through the controller that the server
runs: the inventory is asked, every alarm is judged by the last minutes of the real metric store,
what changes is recorded in the real database (state, history, journal, deliveries, and the clock of
the alarms: one transaction a change), and the deliveries begin. The figure is the median of whole
evaluations at full minutes, at which all alarms are due and a hundred of them change. Beside it
Debian's Prometheus with as many rules of the same meaning, by its own account, over the same samples.

Part two: a real server. A site's metrics breach, one a second over a whole period of ten seconds, so
that every moment of the period is met; a receiver of HTTP calls notes when it hears. The figure is
the longest time from the request that brought the breach to the call.
"""

import asyncio
import http.server
import json
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import harness
import structlog
from harness import Failure, median, report, say
from parts.fleet import TICK_S, Instance, SteppedClock, measure_all
from parts.prometheus import Prometheus, running_prometheus

from halage.access.secrets import SecretBox
from halage.base.database import Database, Transaction
from halage.base.journal import Journal
from halage.base.schema import metadata
from halage.base.tasks import Tasks
from halage.monitor.alarms import definitions
from halage.monitor.alarms.carriers import Carriers
from halage.monitor.alarms.controller import AlarmController
from halage.monitor.alarms.deliveries import Deliveries
from halage.monitor.alarms.message import Message
from halage.monitor.alarms.model import Definition, Missing, State, Tell
from halage.monitor.alarms.points import ExpressionPoints
from halage.monitor.alarms.sealing import seal
from halage.monitor.alarms.store import alarm_of, alarm_rows
from halage.monitor.inventory import WatchedEnvironment, Workload
from halage.monitor.metrics.model import Kind, Sample, SeriesKey
from halage.monitor.metrics.store import MetricStore

ALARMS, INSTANCES, CHANGING = 10_000, 100, 100
HISTORY_S = 1200
MINUTES = 9
PERIOD_S = 10
BREACHES = 10
BREACH_LIMIT_S = PERIOD_S + 2
CONFIGURATION = """\
kind = "python"

[run]
start = "python3 app.py"

[test]
commands = []

[flow]
main = ["test", "dev"]
"""
HEARTBEAT = SeriesKey.of("halage_cpu_percent")


# -- part one: ten thousand alarms


class Nowhere:
    """An inventory of nothing: what is measured is the alarms."""

    async def environments(self) -> Sequence[WatchedEnvironment]:
        """None."""
        return ()

    async def workload(self) -> Workload:
        """None."""
        return Workload(0, 0, 0, 0)


class Post:
    """A messenger that counts."""

    def __init__(self) -> None:
        self.sent = 0

    def check(self, address: str) -> str | None:
        """Every address is right."""
        return None

    def send(self, address: str, message: Message) -> None:
        """Count it."""
        self.sent += 1


def definitions_of(box: SecretBox) -> Iterator[Definition]:
    """Alarms as people set them: levels, sums, shares of errors, percentiles; 10 s and 60 s, M of N.

    The first hundred watch a check of each instance, which the benchmark lets fail.
    """
    told = (Tell((seal("json://receiver.example.org", box),)),)
    for number in range(ALARMS):
        name, place = f"alarm {number}", f'{{environment="prod",instance="i-{number % INSTANCES}"}}'
        turn = number // INSTANCES
        basis = Definition(name, "shop", "prod", on_alarm=told, on_ok=told)
        if turn == 0:
            expression = f"maximum(instance_status_check_failed{place})"
            yield replace(basis, expression=expression, threshold=0.5, period_s=60)
            continue
        kind, threshold = turn % 10, 1000.0 + turn
        minute = replace(basis, period_s=60, periods=5, breaching=3, missing=Missing.NOT_BREACHING)
        if kind < 4:
            yield replace(minute, expression=f"average(instance_cpu_percent{place})", threshold=threshold)
        elif kind < 6:
            expression = f"maximum(instance_open_files{place})"
            yield replace(
                basis, expression=expression, threshold=threshold, period_s=10, periods=3, breaching=3
            )
        elif kind < 8:
            share = f"sum(instance_responses_5xx{place}) / sum(instance_requests{place}) * 100"
            yield replace(minute, expression=share, threshold=threshold)
        else:
            percentile = f"p95(instance_cpu_percent{place})"
            yield replace(minute, expression=percentile, threshold=threshold)


@dataclass(frozen=True, slots=True)
class Bench:
    """The alarms, what they stand on, and the fleet that they watch."""

    clock: SteppedClock
    store: MetricStore
    controller: AlarmController
    database: Database
    post: Post
    fleet: Sequence[Instance]

    def tick(self, at: int, *, is_failing: bool = False) -> None:
        """Write the samples of a tick, and let it be over."""
        samples = [Sample(HEARTBEAT, Kind.GAUGE, 1.0), *measure_all(self.fleet, at)]
        if is_failing:
            name = "instance_status_check_failed"
            samples = [replace(each, value=1.0) if each.key.name == name else each for each in samples]
        self.clock.move_to(at + TICK_S)
        self.store.write(at, TICK_S, samples)

    async def evaluate(self, at: int) -> float:
        """Tell of the tick, and wait until everything is evaluated and recorded (seconds)."""
        begun = time.perf_counter()
        self.controller.on_tick(at, TICK_S)
        await self.controller.settled()
        return time.perf_counter() - begun

    async def states(self) -> dict[State, int]:
        """How many alarms say what."""

        def read(tx: Transaction) -> list[State]:
            return [alarm_of(row).state for row in alarm_rows(tx, "shop")]

        found = await self.database.run(read)
        return {state: found.count(state) for state in State}


@asynccontextmanager
async def bench(directory: Path, start: int) -> AsyncIterator[Bench]:
    """Alarms as the server builds them, ten thousand of them defined."""
    clock = SteppedClock(start)
    box = SecretBox(directory / "key")
    box.make_key()
    database = Database(f"sqlite:///{directory}/halage.db", clock=clock, journal=Journal())
    metadata.create_all(database.engine)
    await database.run(lambda tx: [definitions.create(tx, each, "ada") for each in definitions_of(box)])
    store, post = MetricStore(directory / "metrics", clock), Post()
    carriers = Carriers(box, post, None, public_url="https://halage.example.org")
    async with Tasks() as tasks:
        deliveries = Deliveries(database, carriers, clock=clock, tasks=tasks)
        controller = AlarmController(
            database, ExpressionPoints(store), Nowhere(), deliveries, box=box, clock=clock, tasks=tasks
        )
        await controller.recover()
        yield Bench(clock, store, controller, database, post, [Instance(n) for n in range(INSTANCES)])
        controller.stop()
        deliveries.stop()
    await carriers.close()
    store.close()
    database.close()


async def evaluate(directory: Path) -> dict[str, float]:
    """Nine minutes of evaluations; every other minute the checks of all instances fail."""
    start = int(time.time()) // 3600 * 3600 - 3600
    async with bench(directory, start) as mine:
        for at in range(start, start + HISTORY_S, TICK_S):
            mine.tick(at)
        say("alarms are defined, and minutes to judge are there")
        first_s = await mine.evaluate(start + HISTORY_S - TICK_S)
        if (await mine.states())[State.OK] < ALARMS:
            raise Failure(f"not all are well at first: {await mine.states()}")
        all_due: list[float] = []
        some_due: list[float] = []
        at = start + HISTORY_S
        for minute in range(MINUTES):
            for turn in range(6):
                mine.tick(at, is_failing=minute % 2 == 0)
                (all_due if turn == 5 else some_due).append(await mine.evaluate(at))
                at += TICK_S
            expected = CHANGING if minute % 2 == 0 else 0
            if (await mine.states())[State.ALARM] != expected:
                raise Failure(f"{await mine.states()} after minute {minute}, and {expected} are in alarm")
            say(f"minute {minute}: {all_due[-1]:.3f} s with all due, {some_due[-1]:.3f} s with a fifth")
    return {
        "evaluate_10k_s": median(all_due),
        "evaluate_10k_longest_s": max(all_due),
        "evaluate_ten_seconds_s": median(some_due),
        "all_change_s": first_s,
    }


def evaluate_by_prometheus(directory: Path) -> dict[str, float]:
    """As many rules of the same meaning: how long one evaluation of all of them takes there."""
    fleet = [Instance(number) for number in range(INSTANCES)]
    rules = [_rule(number) for number in range(ALARMS)]
    groups = [
        {"name": f"group {first}", "interval": "10s", "rules": rules[first : first + 100]}
        for first in range(0, ALARMS, 100)
    ]
    with running_prometheus(directory, {"groups": groups}) as peer:
        at = (int(time.time()) - HISTORY_S) // TICK_S * TICK_S
        at = _feed(peer, fleet, at, time.time())
        took, cpu = [], []
        for _ in range(3):
            begun_s = peer.cpu_s
            deadline = time.time() + 10
            at = _feed(peer, fleet, at, deadline)
            took.append(peer.figure("prometheus_rule_group_last_duration_seconds"))
            cpu.append(peer.cpu_s - begun_s)
        if peer.figure("prometheus_rule_group_rules") != ALARMS:
            raise Failure("prometheus did not take the rules")
        if peer.figure("prometheus_rule_evaluation_failures_total"):
            raise Failure("prometheus could not evaluate all rules")
    return {"prometheus_evaluate_10k_s": median(took), "prometheus_cpu_10k_s": median(cpu)}


def _feed(peer: Prometheus, fleet: Sequence[Instance], at: int, until: float) -> int:
    """Hand over each tick once it is over, up to a moment; the tick that is next."""
    while at + TICK_S <= until:
        time.sleep(max(0.0, at + TICK_S - time.time()))
        peer.write([(at, measure_all(fleet, at))])
        at += TICK_S
    time.sleep(max(0.0, until - time.time()))
    return at


def _rule(number: int) -> Mapping[str, object]:
    place, turn = f'{{environment="prod",instance="i-{number % INSTANCES}"}}', number // INSTANCES
    kind, threshold = turn % 10, 1000 + turn
    wait = "2m"
    if turn == 0:
        expression, wait = f"max_over_time(instance_status_check_failed{place}[1m]) > 0.5", "0s"
    elif kind < 4:
        expression = f"avg_over_time(instance_cpu_percent{place}[1m]) > {threshold}"
    elif kind < 6:
        expression, wait = f"max_over_time(instance_open_files{place}[10s]) > {threshold}", "20s"
    elif kind < 8:
        expression = (
            f"sum_over_time(instance_responses_5xx{place}[1m])"
            f" / sum_over_time(instance_requests{place}[1m]) * 100 > {threshold}"
        )
    else:
        expression = f"quantile_over_time(0.95, instance_cpu_percent{place}[1m]) > {threshold}"
    return {"alert": f"alarm {number}", "expr": expression, "for": wait}


# -- part two: from a breach to its message


class Receiver:
    """Hears the calls of alarms, and when."""

    def __init__(self) -> None:
        self.heard: dict[str, float] = {}
        receiver = self

        class Ear(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                at = time.monotonic()
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.heard.setdefault(body["alarm"], at)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/alarms"


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """One that listens, ended on leaving."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()


def breach() -> dict[str, float]:
    """The longest and the middle time from a breach to its call."""
    with harness.running_server() as server, running_receiver() as receiver:
        _deploy(server)
        names = [f"breach {number}" for number in range(BREACHES)]
        for number, name in enumerate(names):
            _put(server, number, 1.0)
            server.call("POST", "alarms", _alarm(name, number, receiver.url))
        _wait_until_well(server, names)
        begun: dict[str, float] = {}
        for number, name in enumerate(names):
            begun[name] = time.monotonic()
            _put(server, number, 99.0)
            time.sleep(max(0.0, begun[names[0]] + (number + 1) * PERIOD_S / BREACHES - time.monotonic()))
        deadline = time.monotonic() + 60
        while len(receiver.heard) < BREACHES and time.monotonic() < deadline:
            time.sleep(0.05)
        if len(receiver.heard) < BREACHES:
            raise Failure(f"only {sorted(receiver.heard)} were told of")
        took = [receiver.heard[name] - begun[name] for name in names]
    say("from each breach to its call: " + ", ".join(f"{each:.2f}" for each in took))
    return {"breach_to_message_s": max(took), "breach_to_message_median_s": median(took)}


def _deploy(server: harness.Server) -> None:
    server.call("POST", "projects", {"name": "shop"})
    copy = harness.WorkingCopy(server.directory / "copy")
    copy.commit({"app.py": harness.SITE.replace("VERSION", "1"), "halage.toml": CONFIGURATION}, "First")
    copy.push(server.remote("shop"))
    server.wait_for_run("shop")


def _put(server: harness.Server, number: int, value: float) -> None:
    body = {"metrics": [{"name": f"depth_{number}", "value": value}]}
    server.call("PUT", "projects/shop/environments/dev/metrics", body)


def _alarm(name: str, number: int, url: str) -> dict[str, Any]:
    return {
        "name": name,
        "project": "shop",
        "environment": "dev",
        "expression": f'maximum(depth_{number}{{environment="dev"}})',
        "threshold": 50,
        "period_s": PERIOD_S,
        "on_alarm": [{"kind": "call", "url": url}],
    }


def _wait_until_well(server: harness.Server, names: Sequence[str]) -> None:
    """Until each alarm has said once that all is well, and the next tick has begun."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for number in range(BREACHES):
            _put(server, number, 1.0)
        states = {each["name"]: each["state"] for each in server.call("GET", "alarms?project=shop")}
        if all(states[name] == State.OK for name in names):
            return
        time.sleep(1)
    raise Failure(f"the alarms are not well: {states}")


def main() -> None:
    """Both parts, and the figures."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    with tempfile.TemporaryDirectory(prefix="halage-alarms-") as name:
        directory = Path(name)
        mine = asyncio.run(evaluate(directory))
        theirs = evaluate_by_prometheus(directory / "prometheus")
    told = breach()
    first = {
        "evaluate_10k_s": mine.pop("evaluate_10k_s"),
        "breach_to_message_s": told.pop("breach_to_message_s"),
    }
    report(**first, **mine, **told, **theirs)
    if first["breach_to_message_s"] > BREACH_LIMIT_S:
        say(f"a message took longer than {BREACH_LIMIT_S} s")


if __name__ == "__main__":
    main()
