"""StatsD over real datagrams: whose they are, what they become, and what a flood does."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest
import structlog

from halage.monitor.intake.errors import StatsdAddressInUse
from halage.monitor.intake.model import IntakeLimits, Reason
from halage.monitor.intake.service import Intake
from halage.monitor.metrics.errors import MetricsFull
from halage.monitor.metrics.model import Kind
from tests.clock import ManualClock
from tests.services.monitor.intake.stage import KEYS, Stage, an_environment, an_instance

PROD = KEYS.key_of(("shop", "prod"))
DEV = KEYS.key_of(("shop", "dev"))
ANY = ("127.0.0.1", 0)


@pytest.fixture
def stage(clock: ManualClock) -> Stage:
    stage = Stage(clock)
    stage.inventory.there = [an_environment(an_instance()), an_environment(name="dev")]
    return stage


@pytest.fixture
async def sender() -> AsyncIterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        yield sender


async def _eventually(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not look():  # noqa: ASYNC110 - it is asked from outside
            await asyncio.sleep(0.005)


async def _send(sender: socket.socket, intake: Intake, *datagrams: str | bytes) -> None:
    """Send, and return once the lines have been read."""
    lines = sum(len([line for line in _bytes(each).split(b"\n") if line]) for each in datagrams)
    before = intake.state(lambda project: True).statsd.lines
    assert intake.statsd_address is not None
    for datagram in datagrams:
        sender.sendto(_bytes(datagram), intake.statsd_address)
    await _eventually(lambda: intake.state(lambda project: True).statsd.lines == before + lines)


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


async def test_a_tick_is_added_up_and_written_at_its_end(stage: Stage, sender: socket.socket) -> None:
    async with stage.intake(statsd=ANY) as intake:
        await _send(
            sender,
            intake,
            f"{PROD}.orders:1|c\n{PROD}.orders:3|c|@0.5",
            f"{PROD}.queue:9|g\n{PROD}.queue:-2|g\n{PROD}.queue:+1|g",
            f"{PROD}.render.time:10:20|ms|@0.1",
            f"{PROD}.visitors:ada|s\n{PROD}.visitors:lea|s\n{PROD}.visitors:ada|s",
            f"orders:2|c|#key:{DEV},channel:web,project:bank",
        )
        assert stage.store.own() == []
        await stage.clock.advance(9)
        assert stage.store.own() == [], "the tick is not over"
        await stage.clock.advance(2)
        await _eventually(lambda: len(stage.store.own()) == 5)
    store = stage.store
    assert {at for at, _ in store.kept("orders")} == {1_000_000_000}
    by_key = {str(sample.key): sample.value for _, sample in store.kept("orders")}
    assert by_key == {
        'orders{environment="prod",project="shop"}': 7,
        'orders{channel="web",environment="dev",exported_project="bank",project="shop"}': 2,
    }
    assert store.values("queue") == [8]
    assert (store.values("render_time"), store.kinds("render_time")) == ([20], {Kind.DISTRIBUTION})
    assert (store.values("visitors"), store.kinds("visitors")) == ([2], {Kind.GAUGE})


async def test_a_change_of_a_gauge_counts_from_an_earlier_tick(stage: Stage, sender: socket.socket) -> None:
    async with stage.intake(statsd=ANY) as intake:
        await _send(sender, intake, f"{PROD}.queue:5|g")
        await stage.clock.advance(11)
        await _send(sender, intake, f"{PROD}.queue:+2|g")
    assert stage.store.values("queue") == [5, 7], "the end writes what is left"


async def test_a_site_cannot_write_into_another_s_series(stage: Stage, sender: socket.socket) -> None:
    """Neither the tags nor the sender's address say whose a line is: both are the sender's choice."""
    async with stage.intake(statsd=ANY) as intake:
        sender.bind(("127.64.0.9", 0))
        stage.inventory.there = [
            an_environment(an_instance(address="127.64.0.9")),
            an_environment(name="dev"),
        ]
        await _send(
            sender,
            intake,
            "orders:1|c",
            "orders:1|c|#project:shop,environment:prod",
            f"{PROD[:-1]}.orders:1|c",
            f"orders:1|c|#key:{DEV}",
        )
        await stage.clock.advance(11)
        state = intake.state(lambda project: True).statsd
        assert (state.lines, state.strangers) == (4, 3)
    assert [sample.key.get("environment") for sample in stage.store.own()] == ["dev"]


async def test_what_cannot_be_read_is_counted_and_stops_nothing(stage: Stage, sender: socket.socket) -> None:
    async with stage.intake(statsd=ANY) as intake:
        await _send(
            sender,
            intake,
            b"\xff\xfe\x00|||",
            f"{PROD}.orders:x|c\n{PROD}.orders:1|c",
            b"\n\n" + b"a" * 60_000,
            f"{PROD}.orders:1|c|#name:\x07",
            f"{PROD}.halage_lies:1|c",
        )
        await stage.clock.advance(21)
        state = intake.state(lambda project: True)
        assert state.statsd.malformed == 3
        prod = next(each for each in state.environments if each.environment == "prod")
        reasons = {refused.reason: refused.count for refused in prod.refused}
        assert reasons == {Reason.MALFORMED: 1, Reason.DIMENSION: 1, Reason.NAME: 1}
        assert not any(PROD in refused.message for refused in prod.refused), "the key is no message"
        await _eventually(lambda: stage.store.total("halage_statsd_malformed") == 3)
        assert stage.store.total("halage_statsd_lines") == 6
        assert stage.store.total("halage_metrics_refused") == 3
    assert stage.store.values("orders") == [1]


async def test_a_metric_with_a_million_values_of_a_dimension(stage: Stage, sender: socket.socket) -> None:
    """(A part of the million: what is bounded is bounded after the first hundred.)"""
    async with stage.intake(IntakeLimits(series=100), statsd=ANY) as intake:
        for start in range(0, 20_000, 500):
            lines = "\n".join(f"{PROD}.hits:1|c|#visitor:{number}" for number in range(start, start + 500))
            await _send(sender, intake, lines)
        await _send(sender, intake, f"{PROD}.hits:1|c|#visitor:7", f"{DEV}.hits:1|c|#visitor:999999")
        with structlog.testing.capture_logs() as logs:
            await stage.clock.advance(200)
        state = intake.state(lambda project: True)
        prod, dev = sorted(state.environments, key=lambda each: each.series, reverse=True)
        assert (prod.series, prod.limit) == (100, 100)
        assert [(each.reason, each.count) for each in prod.refused] == [(Reason.SERIES_LIMIT, 19_900)]
        assert dev.series == 1, "the other environment goes on"
    assert stage.store.total("hits") == 102
    said = [each for each in logs if each["event"] == "metrics refused"]
    assert len(said) == 1, "a line an hour"
    assert said[0]["subject"] == "shop.prod" and "hits" in said[0]["message"]


async def test_a_flood_takes_its_turns_and_the_kernel_drops_the_rest(
    stage: Stage, sender: socket.socket
) -> None:
    async with stage.intake(statsd=ANY) as intake:
        assert intake.statsd_address is not None
        line = f"{PROD}.orders:1|c".encode()
        count = 50_000
        for _ in range(count):
            sender.sendto(line, intake.statsd_address)  # the loop has no turn meanwhile
        state = intake.state(lambda project: True).statsd
        assert state.lines == 0
        # Each turn is bounded, so others come in between; what did not fit was dropped and is counted.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert intake.state(lambda project: True).statsd.lines <= 16 * 1024 / 64
        quiet = -1
        async with asyncio.timeout(30):
            while (lines := intake.state(lambda project: True).statsd.lines) != quiet or not lines:
                quiet = lines
                await asyncio.sleep(0.1)
        await _send(sender, intake, line)
        state = intake.state(lambda project: True).statsd
        assert state.dropped > 0
        assert state.lines + state.dropped == count + 1


async def test_a_full_disk_loses_samples_visibly_and_nothing_else(
    stage: Stage, sender: socket.socket
) -> None:
    async with stage.intake(statsd=ANY) as intake:
        stage.store.error = MetricsFull()
        await _send(sender, intake, f"{PROD}.orders:1|c")
        await stage.clock.advance(11)

        def refused() -> list[Reason]:
            states = intake.state(lambda project: True).environments
            return [each.reason for state in states for each in state.refused]

        await _eventually(lambda: refused() == [Reason.STORE])
        stage.store.error = None
        await _send(sender, intake, f"{PROD}.orders:4|c")
    assert stage.store.values("orders") == [4]


async def test_a_clock_that_goes_back_keeps_nothing_waiting(stage: Stage, sender: socket.socket) -> None:
    async with stage.intake(statsd=ANY) as intake:
        await _send(sender, intake, f"{PROD}.orders:1|c")
        stage.clock.jump(-3600)
        await stage.clock.advance(2)
        await _eventually(lambda: stage.store.values("orders") == [1])


async def test_an_address_in_use_is_named(stage: Stage) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(ANY)
        with pytest.raises(StatsdAddressInUse, match=str(other.getsockname()[1])):
            async with stage.intake(statsd=other.getsockname()):
                pass


async def test_a_site_is_told_where_and_with_which_key(stage: Stage) -> None:
    async with stage.intake(statsd=ANY) as intake:
        address = intake.statsd_address
        assert address is not None
        assert intake.site_variables("shop", "prod") == {
            "HALAGE_STATSD_HOST": "127.0.0.1",
            "HALAGE_STATSD_PORT": str(address[1]),
            "HALAGE_STATSD_KEY": PROD,
        }
    async with stage.intake() as intake:
        assert intake.site_variables("shop", "prod") == {}
