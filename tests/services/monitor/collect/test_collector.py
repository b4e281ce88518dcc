"""Ticks: when they are collected, what a bad source costs, what happens when nothing can be kept."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from halage.balancer.drivers.memory import MemoryBalancer
from halage.base.tasks import Tasks
from halage.monitor.collect.access_log import AccessLog
from halage.monitor.collect.collector import Collector, Sources
from halage.monitor.collect.samples import count, gauge
from halage.monitor.metrics.errors import TooManySeries
from tests.services.monitor.collect.keeper import (
    Clock,
    Ears,
    MemoryInventory,
    MemoryKeeper,
    MemorySink,
    Scripted,
    environment,
    instance,
)

START = 1_000_000_000
"""A multiple of ten; the clock begins three seconds after it."""
PATIENCE_S = {1: 0.02, 10: 0.05}


class Rig:
    """A collector and all that it stands on."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.keeper = MemoryKeeper(self.clock)
        self.inventory = MemoryInventory([environment("shop", instance())])
        self.balancer = MemoryBalancer()
        self.sink = MemorySink()
        self.ears = Ears()
        self.source = Scripted("environments", [gauge("a", (), 1)])
        self.machine = Scripted("machine", [gauge("m", (), 1)])
        self.collector = self.make()

    def make(self) -> Collector:
        sources = Sources(
            (self.source,),
            (self.machine,),
            access_log=AccessLog(self.balancer, self.keeper, self.sink, self.clock),
        )
        self.collector = Collector(
            sources, self.inventory, self.keeper, self.ears, self.clock, patience_s=PATIENCE_S
        )
        return self.collector

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let it run."""
        async with Tasks() as tasks:
            tasks.start(self.collector.run(), "collect")
            await self.rest()
            yield

    async def rest(self) -> None:
        async with asyncio.timeout(10):
            while self.clock.asleep < 1:  # noqa: ASYNC110 - it works in a thread as well
                await asyncio.sleep(0.001)


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_ticks_are_the_wall_clocks_and_stamped_with_their_beginning(rig: Rig) -> None:
    async with rig.running():
        await rig.clock.pass_by(6)
        assert rig.keeper.writes == []
        await rig.clock.pass_by(1)
        assert rig.keeper.writes == [(START, 10)]
        await rig.clock.pass_by(30)
    assert rig.keeper.writes == [(START + 10 * number, 10) for number in range(4)]
    assert rig.ears.told == rig.keeper.writes
    assert rig.collector.state.last_tick_at == START + 30
    assert set(rig.keeper.level("a")) == set(rig.keeper.level("m")) == {START + 10 * n for n in range(4)}


async def test_a_turn_that_comes_late_does_not_move_the_next(rig: Rig) -> None:
    async with rig.running():
        await rig.clock.advance(6.4)
        await rig.rest()
        await rig.clock.pass_by(1)
        await rig.clock.pass_by(10)
    assert rig.keeper.writes == [(START, 10), (START + 10, 10)]
    assert [tick.at for tick in rig.source.ticks[1:]] == [START, START + 10]


async def test_detailed_environments_are_sampled_every_second_and_nobody_else(rig: Rig) -> None:
    rig.inventory.found = [environment("shop", instance()), environment("blog", is_detailed=True)]
    async with rig.running():
        await rig.clock.pass_by(8)
    asked = [(t.at, t.resolution_s, [e.project for e in t.environments]) for t in rig.source.ticks[1:]]
    assert asked == [
        *((START + second, 1, ["blog"]) for second in range(3, 9)),
        (START + 9, 1, ["blog"]),
        (START, 10, ["shop"]),
        (START + 10, 1, ["blog"]),
    ]
    assert [tick.resolution_s for tick in rig.machine.ticks[1:]] == [10]
    assert (START + 9, 1) in rig.ears.told


async def test_an_environment_without_a_release_is_not_asked_about(rig: Rig) -> None:
    rig.inventory.found = [environment("shop"), replace(environment("blog"), has_release=False)]
    async with rig.running():
        await rig.clock.pass_by(8)
    assert [each.project for each in rig.source.ticks[-1].environments] == ["shop"]


async def test_a_machine_that_slept_makes_up_for_nothing(rig: Rig) -> None:
    async with rig.running():
        await rig.clock.pass_by(7)
        rig.clock.jump(3600)
        await rig.clock.pass_by(1)
        assert rig.keeper.writes == [(START, 10), (START + 3600, 10)]
        await rig.clock.pass_by(9)
    assert rig.keeper.writes == [(START, 10), (START + 3600, 10), (START + 3610, 10)]


async def test_a_clock_that_is_set_back_goes_on_where_it_is(rig: Rig) -> None:
    async with rig.running():
        await rig.clock.pass_by(7)
        rig.clock.jump(-3600)
        await rig.clock.pass_by(10)
        rig.clock.jump(-0.7)
        await rig.clock.pass_by(10)
    assert rig.keeper.writes == [(START, 10), *((START - 3600 + 10 * n, 10) for n in (0, 1))]


async def test_a_source_that_raises_costs_its_own_samples_alone(rig: Rig) -> None:
    rig.source.error = ValueError("no such thing")
    with capture_logs() as logs:
        async with rig.running():
            await rig.clock.pass_by(27)
            state = rig.collector.state
            rig.source.error = None
            await rig.clock.pass_by(10)
    assert (state.troubles, state.failures) == (
        {"environments": "no such thing"},
        {"environments": 4, "machine": 0},
    )
    assert set(rig.keeper.level("a")) == {START + 30}
    assert set(rig.keeper.level("m")) == {START, START + 10, START + 20, START + 30}
    misses = rig.keeper.sum("halage_source_misses", source="environments")
    assert misses == {START: 2, START + 10: 1, START + 20: 1, START + 30: 0}
    assert rig.collector.state.troubles == {}
    assert [entry["event"] for entry in logs if entry.get("subject") == "environments"] == [
        "not collected",
        "collected again",
    ]


async def test_a_source_that_hangs_costs_its_own_samples_alone(rig: Rig) -> None:
    with capture_logs() as logs:
        async with rig.running():
            await rig.clock.pass_by(7)
            rig.source.answers.clear()
            await rig.clock.pass_by(30)
            assert set(rig.keeper.level("m")) == {START + 10 * n for n in range(4)}
            assert len(rig.source.ticks) == 3
            assert rig.collector.state.failures["environments"] == 3
            rig.source.answers.set()
            await rig.clock.pass_by(10)
    assert set(rig.keeper.level("a")) == {START, START + 40}
    assert sum(entry["event"] == "not collected" for entry in logs) == 1


async def test_a_call_that_never_comes_back_is_cut_off_at_last(rig: Rig) -> None:
    rig.inventory.found = [environment("blog", is_detailed=True)]
    async with rig.running():
        rig.source.answers.clear()
        await rig.clock.pass_by(20)
        assert len(rig.source.ticks) == 2
        await rig.clock.pass_by(20)
        assert len(rig.source.ticks) == 3
        rig.source.answers.set()
        await rig.clock.pass_by(2)
        assert rig.collector.state.troubles == {}


async def test_an_inventory_that_fails_is_asked_again_and_the_known_environments_go_on(rig: Rig) -> None:
    async with rig.running():
        rig.inventory.error = RuntimeError("database")
        await rig.clock.pass_by(7)
        assert rig.collector.state.troubles == {"inventory": "database"}
    assert [len(tick.environments) for tick in rig.source.ticks] == [1, 1]


async def test_a_full_disk_pauses_and_it_goes_on_by_itself_with_every_visit(rig: Rig) -> None:
    with capture_logs() as logs:
        async with rig.running():
            await rig.clock.pass_by(7)
            rig.keeper.is_full = True
            for _ in range(30):
                rig.balancer.log_visit(rig.clock.now(), "shop.prod", "i-shop-1")
                await rig.clock.pass_by(1)
            assert rig.collector.state.is_paused
            assert "full" in rig.collector.state.pause_reason
            # Alarms are told of ticks all the same: that nothing is kept is one of them.
            assert rig.ears.told == [(START + 10 * number, 10) for number in range(4)]
            rig.keeper.is_full = False
            await rig.clock.pass_by(10)
            state = rig.collector.state
            await rig.clock.pass_by(10)
    assert not state.is_paused and state.pause_reason == ""
    assert rig.keeper.sum("environment_requests") == {
        START: 0,
        START + 10: 10,
        START + 20: 10,
        START + 30: 10,
        START + 40: 0,
        START + 50: 0,
    }
    paused = rig.keeper.level("halage_metrics_paused")
    assert paused == {START: 0, START + 40: 1, START + 50: 0}
    assert sum(entry["event"] == "not collected" for entry in logs) == 1


async def test_a_long_pause_keeps_little_in_memory_and_reads_the_rest_from_the_log(rig: Rig) -> None:
    async with rig.running():
        rig.keeper.is_full = True
        for _ in range(60):
            rig.balancer.log_visit(rig.clock.now(), "shop.prod", "i-shop-1")
            await rig.clock.pass_by(10)
        assert len(rig.sink.texts("shop.prod/access", "i-shop-1")) < 40
        rig.keeper.is_full = False
        await rig.clock.pass_by(10)
    assert sum(rig.keeper.sum("environment_requests").values()) == 60
    assert len(rig.sink.texts("shop.prod/access", "i-shop-1")) == 60


async def test_too_many_series_are_told_and_the_rest_is_kept(rig: Rig) -> None:
    class Strict(MemoryKeeper):
        def write(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
            super().write(*args, **kwargs)
            raise TooManySeries("20000 are the limit")

    rig.keeper = Strict(rig.clock)
    rig.make()
    async with rig.running():
        rig.balancer.log_visit(rig.clock.now(), "shop.prod", "i-shop-1")
        await rig.clock.pass_by(17)
        assert rig.collector.state.troubles == {"series": "20000 are the limit"}
    assert rig.keeper.sum("environment_requests") == {START: 1, START + 10: 0}
    assert rig.ears.told == [(START, 10), (START + 10, 10)]


async def test_a_store_that_breaks_is_tried_again(rig: Rig) -> None:
    rig.keeper.error = OSError("disk on fire")
    async with rig.running():
        rig.balancer.log_visit(rig.clock.now(), "shop.prod", "i-shop-1")
        await rig.clock.pass_by(17)
        assert rig.collector.state.troubles == {"metrics": "disk on fire"}
        assert not rig.collector.state.is_paused
        rig.keeper.error = None
        await rig.clock.pass_by(1)
    assert rig.keeper.sum("environment_requests") == {START: 1}


async def test_a_consumer_that_raises_stops_nothing(rig: Rig) -> None:
    class Deaf(Ears):
        def on_tick(self, at: float, resolution_s: int) -> None:
            super().on_tick(at, resolution_s)
            raise ValueError

    rig.ears = Deaf()
    rig.make()
    async with rig.running():
        await rig.clock.pass_by(17)
    assert len(rig.ears.told) == 2


async def test_compaction_runs_when_the_hour_turns_in_pieces(rig: Rig) -> None:
    rig.keeper.pieces = 3
    async with rig.running():
        for _ in range(20):  # pieces are done in a thread, with a pause between
            await rig.clock.pass_by(1)
            await asyncio.sleep(0.01)
        assert len(rig.keeper.compactions) == 3
        rig.clock.jump(3600 - int(rig.clock.now()) % 3600 - 3)
        await rig.clock.pass_by(2)
        await asyncio.sleep(0.01)
        assert len(rig.keeper.compactions) == 3
        await rig.clock.pass_by(2)
        async with asyncio.timeout(10):
            while len(rig.keeper.compactions) < 4:  # noqa: ASYNC110 - it runs in a thread
                await asyncio.sleep(0.001)
    assert rig.keeper.compactions[3] % 3600 < 2


async def test_samples_of_all_sources_and_visits_are_one_write(rig: Rig) -> None:
    rig.machine.samples = [count("c", (), 2)]
    async with rig.running():
        rig.balancer.log_visit(rig.clock.now(), "shop.prod", "i-shop-1")
        await rig.clock.pass_by(7)
    assert rig.keeper.writes == [(START, 10)]
    assert rig.keeper.sum("c") == {START: 2}
    assert rig.keeper.sum("instance_requests", instance="i-shop-1") == {START: 1}
    assert list(rig.keeper.cursors.values()) == [1]
