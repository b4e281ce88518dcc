"""The access log: every visit is counted exactly once, whatever happens; every line goes to the logs."""

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halage.balancer.drivers.memory import MemoryBalancer
from halage.monitor.collect.access_log import MOST_SLICES, AccessLog
from halage.monitor.collect.visits import VisitTally
from tests.clock import ManualClock
from tests.services.monitor.collect.keeper import MemoryKeeper, MemorySink

START = 1_000_000_000
SHOP, BLOG = "shop.prod", "blog.prod"


class Rig:
    """A balancer, a store and a clock that outlive the reader."""

    def __init__(self) -> None:
        self.clock = ManualClock(float(START))
        self.balancer = MemoryBalancer()
        self.keeper = MemoryKeeper(self.clock)
        self.sink = MemorySink()
        self.log = self.make()

    def make(self) -> AccessLog:
        """Make the reader anew, as after a SIGKILL."""
        self.log = AccessLog(self.balancer, self.keeper, self.sink, self.clock)
        return self.log

    def visit(
        self, at: float, route: str | None = SHOP, target: str | None = "i-1", status: int = 200
    ) -> None:
        self.balancer.log_visit(START + at, route, target, status, response_ms=5)

    def keep(self, resolution_s: int = 10, *, before: int | None = None, at_most: int = 10**9) -> None:
        """Keep what has ended, as the collector does."""
        limit = int(self.clock.now()) // resolution_s * resolution_s if before is None else START + before
        for entry in self.log.slices(resolution_s, limit)[:at_most]:
            cursor = self.log.cursor_of(resolution_s, entry)
            self.keeper.write(entry.at, resolution_s, entry.tally.samples(resolution_s), cursor=cursor)
            self.log.kept(resolution_s, entry)

    def requests(self, resolution_s: int = 10, **dimensions: str) -> dict[int, float]:
        found = self.keeper.sum("environment_requests", resolution_s, **dimensions)
        return {at - START: number for at, number in found.items() if number}


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_visits_count_in_the_tick_in_which_they_ended(rig: Rig) -> None:
    for at in (0.0, 9.999, 10.0, 31.5):
        rig.visit(at)
    rig.clock.jump(40)
    await rig.log.follow(())
    rig.keep()
    assert rig.requests() == {0: 2, 10: 1, 30: 1}


async def test_an_open_tick_waits_for_its_end(rig: Rig) -> None:
    rig.visit(5)
    rig.clock.jump(8)
    await rig.log.follow(())
    rig.keep()
    assert rig.requests() == {}
    rig.visit(9)
    rig.clock.jump(2)
    await rig.log.follow(())
    rig.keep()
    assert rig.requests() == {0: 2}


async def test_a_restart_counts_what_was_logged_meanwhile_into_its_ticks(rig: Rig) -> None:
    rig.visit(1)
    rig.clock.jump(12)
    await rig.log.follow(())
    rig.keep()
    rig.visit(11)
    rig.visit(25)
    rig.clock.jump(1000)
    rig.make()
    await rig.log.follow(())
    rig.keep()
    assert rig.requests() == {0: 1, 10: 1, 20: 1}


async def test_what_is_more_than_an_hour_late_is_in_the_log_alone(rig: Rig) -> None:
    rig.visit(1)
    rig.visit(5000)
    rig.clock.jump(5003)
    await rig.log.follow(())
    rig.clock.jump(10)
    rig.keep()
    assert rig.requests() == {5000: 1}
    assert rig.log.late_visits == 1
    assert len(rig.sink.texts("shop.prod/access", "i-1")) == 2
    rig.make()
    await rig.log.follow(())
    assert rig.log.slices(10, START + 10**6) == []


async def test_a_line_that_is_a_little_late_counts_with_its_neighbours(rig: Rig) -> None:
    for at in (10.2, 9.9, 10.3):
        rig.visit(at)
    rig.clock.jump(20)
    await rig.log.follow(())
    assert [entry.tally.count for entry in rig.log.slices(10, START + 20)] == [3]


async def test_a_clock_that_was_set_back_does_not_stop_the_log(rig: Rig) -> None:
    rig.visit(4)
    rig.clock.jump(12)
    await rig.log.follow(())
    rig.clock.jump(-3600)
    rig.visit(-3580)
    rig.clock.jump(25)
    await rig.log.follow(())
    rig.keep()
    assert rig.requests() == {0: 1, -3580: 1}
    # Written before the clock was set back, read after it: it counts now.
    rig.visit(7)
    await rig.log.follow(())
    rig.clock.jump(10)
    rig.keep()
    assert rig.requests() == {0: 1, -3580: 1, -3570: 1}


async def test_detailed_routes_count_every_second_and_only_there(rig: Rig) -> None:
    for at in (0.5, 1.5, 1.6):
        rig.visit(at)
        rig.visit(at, BLOG)
    rig.clock.jump(12)
    await rig.log.follow({BLOG})
    rig.keep(1)
    rig.keep(10)
    assert rig.requests(1) == {0: 1, 1: 2}
    assert rig.requests(10) == {0: 3}
    assert rig.requests(1, project="blog") == rig.requests(1)


async def test_a_kill_between_the_second_and_the_ten_counts_nothing_twice(rig: Rig) -> None:
    for at in (0.5, 3.5, 11.5):
        rig.visit(at, BLOG)
        rig.visit(at)
    rig.clock.jump(20)
    await rig.log.follow({BLOG})
    rig.keep(1, before=11)  # and then it is killed
    assert rig.requests(1) == {0: 1, 3: 1}
    rig.make()
    await rig.log.follow({BLOG})
    rig.keep(1)
    rig.keep(10)
    assert rig.requests(1) == {0: 1, 3: 1, 11: 1}
    assert rig.requests(10) == {0: 2, 10: 1}


async def test_a_route_that_becomes_detailed_is_counted_once(rig: Rig) -> None:
    rig.visit(1)
    rig.clock.jump(2)
    await rig.log.follow(())
    rig.visit(3)
    rig.clock.jump(3)
    await rig.log.follow({SHOP})
    rig.visit(7)
    rig.clock.jump(10)
    await rig.log.follow(())
    rig.keep(1)
    rig.keep(10)
    assert rig.requests(1) == {3: 1}
    assert rig.requests(10) == {0: 2}


async def test_lines_go_to_their_group_and_stream_with_their_time(rig: Rig) -> None:
    rig.visit(1)
    rig.visit(2, target=None, status=503)
    rig.visit(3, BLOG, "i-9")
    rig.visit(4, None, None, 404)
    rig.clock.jump(7)
    rig.balancer.log_visit(None)
    await rig.log.follow(())
    found = {place: [line.at - START for line in lines] for place, lines in rig.sink.lines.items()}
    assert found == {
        ("shop.prod/access", "i-1"): [1],
        ("shop.prod/access", "balancer"): [2],
        ("blog.prod/access", "i-9"): [3],
        ("halage", "balancer"): [4, 7],
    }
    assert rig.sink.texts("shop.prod/access", "balancer") == [rig.balancer.access_log[1]]
    assert rig.log.unreadable_lines == 1


async def test_lines_that_cannot_be_read_move_the_place(rig: Rig) -> None:
    rig.balancer.log_visit(None)
    rig.clock.jump(20)
    await rig.log.follow(())
    rig.clock.jump(10)
    rig.keep()
    rig.make()
    await rig.log.follow(())
    assert len(rig.sink.texts("halage", "balancer")) == 1
    assert rig.requests() == {}


async def test_a_mark_says_what_was_lost(rig: Rig) -> None:
    for at in range(5):
        rig.visit(at)
    rig.balancer.give_back(3)
    rig.clock.jump(20)
    await rig.log.follow(())
    rig.keep()
    assert rig.requests() == {0: 2}
    assert rig.log.lost_bytes == 3
    assert rig.sink.texts("halage", "balancer") == [
        b"[Halage: 3 bytes of the access log were lost before they were read]"
    ]


async def test_only_what_was_kept_is_given_back(rig: Rig) -> None:
    rig.visit(1)
    rig.visit(11)
    rig.clock.jump(12)
    await rig.log.follow(())
    assert rig.balancer.released.offset == 0
    rig.keep()
    assert rig.balancer.released.offset == 1


async def test_nothing_more_is_read_while_much_waits_to_be_kept(rig: Rig) -> None:
    for number in range(100):
        rig.visit(number * 10)
        rig.balancer.access_log[-1] = b"x" * 70_000
    rig.clock.jump(1000)
    rig.balancer._visits = [v._replace(text=b"x" * 70_000) for v in rig.balancer._visits]
    await rig.log.follow(())
    assert len(rig.log.slices(10, START + 10**6)) == MOST_SLICES
    while rig.log.slices(10, START + 1000):
        rig.keep()
        await rig.log.follow(())
    assert sum(rig.requests().values()) == 100


class ForgetfulSink(MemorySink):
    """Logs that write what waits when they are told to, and lose the rest when they are killed."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], None]] = []

    def append_placed(self, *told: Any) -> None:
        self.waiting.append(functools.partial(super().append_placed, *told))

    def note_place(self, source: str, place: int) -> None:
        if "access-log:" in source and " " in source:  # of one stream: in the moment of writing
            super().note_place(source, place)
        else:
            self.waiting.append(functools.partial(super().note_place, source, place))

    def write(self, at_most: int = 10**9) -> None:
        for each in self.waiting[:at_most]:
            each()
        del self.waiting[:at_most]


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("visit"), st.floats(0, 2), st.sampled_from([SHOP, BLOG, None])),
            st.tuples(st.just("pass"), st.floats(0.1, 25), st.none()),
            st.tuples(st.just("read"), st.none(), st.none()),
            st.tuples(st.just("keep"), st.integers(0, 3), st.sampled_from([1, 10])),
            st.tuples(st.just("write"), st.integers(0, 5), st.none()),
            st.tuples(st.just("kill"), st.none(), st.none()),
        ),
        max_size=60,
    )
)
async def test_every_visit_is_counted_exactly_once_whenever_it_is_killed(
    steps: list[tuple[str, float | None, str | int | None]],
) -> None:
    rig = Rig()
    rig.sink = sink = ForgetfulSink()
    rig.make()
    written: Counter[str | int | None] = Counter()
    for verb, number, which in steps:
        if verb == "visit":
            assert number is not None
            rig.visit(rig.clock.now() - START - number, which if isinstance(which, str) else None)
            written[which] += 1
        elif verb == "pass":
            assert number is not None
            rig.clock.jump(number)
        elif verb == "read":
            await rig.log.follow({BLOG})
        elif verb == "keep":
            if which == 10:  # the finer one first, as the collector does
                rig.keep(1)
            rig.keep(int(which or 1), at_most=int(number or 0))
        elif verb == "write":
            sink.write(int(number or 0))
        else:
            sink.waiting.clear()
            rig.make()
        # What was given back to the disk is in the metrics and in the logs.
        assert rig.balancer.released.offset <= sink.places.get("access-log:1", 0)
    rig.clock.jump(30)
    await rig.log.follow({BLOG})
    sink.write()
    await rig.log.follow({BLOG})
    rig.keep(1)
    rig.keep(10)
    assert sum(rig.requests(10, project="shop").values()) == written[SHOP]
    assert sum(rig.requests(1, project="blog").values()) == written[BLOG]
    assert sum(rig.requests(10).values()) == written[SHOP]
    for route, name in ((SHOP, "shop.prod/access"), (BLOG, "blog.prod/access"), (None, "halage")):
        assert len(sink.texts(name, "i-1")) == written[route], "each line is in the logs once"


def test_an_empty_tally_tells_nothing() -> None:
    assert VisitTally().samples(10) == []
