"""Metrics as a service: periods that suit a graph, what is told, and an event loop that goes on."""

import asyncio
import threading

import pytest

from halage.base.errors import Invalid
from halage.monitor.metrics.errors import BadExpression
from halage.monitor.metrics.expression import parse
from halage.monitor.metrics.model import Kind, Read, Sample, SeriesKey
from halage.monitor.metrics.service import LONGEST_S, POINTS, Answer, Metrics, choose_period
from tests.clock import ManualClock
from tests.metrics import MemoryMetrics

DAY = 86400


@pytest.fixture
def store() -> MemoryMetrics:
    return MemoryMetrics()


@pytest.fixture
def metrics(store: MemoryMetrics, clock: ManualClock) -> Metrics:
    return Metrics(store, clock)


async def ask(metrics: Metrics, text: str, end: float = 40, period_s: int | None = None) -> Answer:
    return await metrics.query(text, 0, end, period_s, None)


@pytest.mark.parametrize(
    ("span_s", "resolution_s", "period_s"),
    [
        (60, 1, 1),
        (300, 1, 1),
        (301, 1, 5),
        (60, 10, 10),
        (3 * 3600, 10, 60),
        (DAY, 10, 300),
        (30 * DAY, 10, 3 * 3600),
        (455 * DAY, 10, 2 * DAY),
        (LONGEST_S, 10, 7 * DAY),
        (60, 60, 60),
    ],
)
def test_the_period_suits_a_graph(span_s: float, resolution_s: int, period_s: int) -> None:
    assert choose_period(span_s, resolution_s) == period_s
    assert span_s / period_s <= POINTS


async def test_a_line_has_as_many_values_as_a_graph_shows(store: MemoryMetrics, metrics: Metrics) -> None:
    store.put("x", [1, 2, 3, 4], project="shop")
    answer = await ask(metrics, " sum(x) ", end=DAY)
    assert (answer.start, answer.period_s, len(answer.lines[0].values)) == (0, 300, 288)
    assert answer.lines[0].label == "sum(x)"
    assert answer.lines[0].values[:2] == [10, None]
    assert answer.lines[0].dimensions == {"project": "shop"}
    assert (await ask(metrics, "sum(x)")).period_s == 10
    store.put("x", range(60), resolution_s=1, project="detailed")
    assert (await ask(metrics, 'sum(x{project="detailed"})')).period_s == 1
    assert (await ask(metrics, "sum(x)")).period_s == 10


async def test_a_period_that_is_given_is_kept_or_told(store: MemoryMetrics, metrics: Metrics) -> None:
    store.put("x", [1] * 12)
    answer = await ask(metrics, "sum(x)", end=120, period_s=60)
    assert (answer.period_s, answer.problems) == (60, ())
    answer = await ask(metrics, "sum(x)", end=120, period_s=15)
    assert answer.period_s == 20
    assert "the period is that, not 15 s" in answer.problems[0]
    store.finest_s = 60
    assert (await ask(metrics, "sum(x)", end=120)).problems == ()


async def test_what_matches_nothing_is_told_with_the_nearest_name(
    store: MemoryMetrics, metrics: Metrics
) -> None:
    answer = await ask(metrics, "average(instance_cpu_percnt) + sum(x)")
    assert answer.lines == ()
    assert answer.problems[0].endswith("Did you mean instance_cpu_percent?")
    store.put("orders_paid", [1], project="shop")
    store.put("zebra_crossings", [1], project="hidden")
    shop = frozenset({"shop"})
    for name, near in (("orders_payd", "orders_paid"), ("zebra_crossing", None)):
        (problem,) = (await metrics.query(f"sum({name})", 0, 40, None, shop)).problems
        assert problem == f"No series matches {name} at that time." + (
            f" Did you mean {near}?" if near else ""
        )
    (problem,) = (await metrics.query('sum(zebra_crossings{project="hidden"})', 0, 40, None, shop)).problems
    assert problem.startswith('No series matches zebra_crossings{project="hidden"} at that time.')
    assert "Did you mean zebra_crossings" not in problem


async def test_lines_come_in_the_order_of_their_labels(store: MemoryMetrics, metrics: Metrics) -> None:
    for instance in ("c", "a", "b"):
        store.put("x", [1], instance=instance)
    assert [line.label for line in (await ask(metrics, "sum(x)")).lines] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("start", "end", "period_s"), [(10, 10, None), (20, 10, None), (0, LONGEST_S + 1, None), (0, 10, 0)]
)
async def test_a_time_that_is_none_is_refused(
    metrics: Metrics, start: float, end: float, period_s: int | None
) -> None:
    with pytest.raises(Invalid):
        await metrics.query("1", start, end, period_s, None)


async def test_a_mistake_is_found_before_anything_is_read(store: MemoryMetrics, metrics: Metrics) -> None:
    with pytest.raises(BadExpression):
        await ask(metrics, "sum(x")
    assert store.finds == 0


async def test_search_by_name_and_dimension(store: MemoryMetrics, metrics: Metrics) -> None:
    store.put("instance_cpu_percent", [1], project="shop", environment="prod", instance="i-1")
    store.put("instance_cpu_percent", [1, 2], project="shop", environment="prod", instance="i-2")
    store.put("instance_memory_bytes", [1], project="hidden", environment="prod", instance="i-3")
    store.put("machine_cpu_percent", [1])

    async def names(name: str, visible: frozenset[str] | None, **dimensions: str) -> list[str]:
        found = await metrics.search(name, dimensions, visible)
        return [f"{each.key.name} {each.key.get('instance')}" for each in found]

    cpu = ["instance_cpu_percent i-2", "instance_cpu_percent i-1"]  # heard of last: first
    assert await names("*", frozenset({"shop"})) == [*cpu, "machine_cpu_percent None"]
    assert await names("instance_*", None) == [*cpu, "instance_memory_bytes i-3"]
    assert await names("*", None, instance="i-?", project="shop") == cpu
    assert await names("*", frozenset({"shop"}), project="hidden") == []
    assert await names("*", frozenset()) == ["machine_cpu_percent None"]


async def test_what_is_recorded_can_be_asked(store: MemoryMetrics, metrics: Metrics) -> None:
    await metrics.record(20, 10, [Sample(SeriesKey.of("x"), Kind.COUNT, 4.0)])
    await metrics.record(20, 10, [Sample(SeriesKey.of("x"), Kind.COUNT, 3.0)])
    assert (await ask(metrics, "sum(x)")).lines[0].values == [None, None, 7, None]
    now = metrics.evaluate_now(parse("sum(x) * 2"), 20, 30, 10, None)
    assert now.lines[0].values == [14]


class SlowStore(MemoryMetrics):
    """Answers once it is let go; counts how many wait."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.lock = threading.Lock()
        self.waiting = 0
        self.most = 0
        self.loop = asyncio.get_running_loop()
        self.began = asyncio.Event()

    def read(self, *arguments: object, **named: object) -> Read:
        with self.lock:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
        self.loop.call_soon_threadsafe(self.began.set)
        assert self.gate.wait(20)
        with self.lock:
            self.waiting -= 1
        return super().read(*arguments, **named)  # type: ignore[arg-type]


async def test_the_event_loop_goes_on_while_the_store_reads(clock: ManualClock) -> None:
    store = SlowStore()
    store.put("x", [1])
    metrics = Metrics(store, clock)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask(metrics, "sum(x)")) for _ in range(5)]
        await store.began.wait()  # the loop turns although a read is under way
        assert not any(task.done() for task in asked)
        store.gate.set()
    assert [task.result().lines[0].values[0] for task in asked] == [1] * 5
    assert store.most <= 2
