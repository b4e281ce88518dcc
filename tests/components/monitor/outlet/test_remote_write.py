"""Remote write: into the real Prometheus, and to receivers that refuse, fail and hang."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from halage.base.clock import Clock, SystemClock
from halage.monitor.metrics.errors import MetricsFull
from halage.monitor.metrics.model import Kind, Sample, SeriesKey
from halage.monitor.outlet.accumulator import Accumulator
from halage.monitor.outlet.exposition import Exposition
from halage.monitor.outlet.remote_write import RemoteWrite, RemoteWriteLimits
from halage.monitor.outlet.wire import snappy_block, write_request
from tests.clock import ManualClock
from tests.components.monitor.intake.endpoints import (
    Endpoint,
    breaks_off,
    drips,
    endpoint,
    hangs,
    says,
    speaks_no_http,
)
from tests.components.monitor.outlet.prometheus import prometheus
from tests.components.monitor.outlet.samples import a_tick
from tests.services.monitor.intake.stage import MemoryStore

ORDERS = SeriesKey.of("orders", project="shop", environment="prod")


class Outlet:
    """What there is to send, and the store that the sender writes about itself into."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.store = MemoryStore()
        self.accumulator = Accumulator(MemoryStore(), clock, limit=5000)

    def count(self, times: float = 1.0) -> None:
        at = self.clock.now() // 10 * 10
        self.accumulator.write(at, 10, [Sample(ORDERS, Kind.COUNT, times)])

    def sender(self, url: str, **limits: float) -> RemoteWrite:
        exposition = Exposition(self.accumulator)
        bounds = RemoteWriteLimits(**{"timeout_s": 5.0, **limits})  # type: ignore[arg-type]
        return RemoteWrite(url, exposition, self.clock, self.store, bounds)


@pytest.fixture
def outlet(clock: ManualClock) -> Outlet:
    return Outlet(clock)


async def _eventually(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not look():  # noqa: ASYNC110 - it is asked from outside
            await asyncio.sleep(0.005)


@asynccontextmanager
async def _sending(outlet: Outlet, receiver: Endpoint, **limits: float) -> AsyncIterator[RemoteWrite]:
    url = f"http://halage:s%40cret@127.0.0.1:{receiver.port}/api/v1/write?tenant=key"
    async with outlet.sender(url, **limits) as sender:
        yield sender


async def test_the_real_prometheus_takes_it_and_answers_with_the_right_values(
    tmp_path: Path, free_port: int
) -> None:
    outlet = Outlet(SystemClock())
    now = SystemClock().now() // 10 * 10
    outlet.accumulator.write(now - 10, 10, a_tick())
    options = ("--web.enable-remote-write-receiver",)
    async with (
        prometheus(tmp_path, free_port, "", *options) as reader,
        outlet.sender(f"{reader.url}/api/v1/write") as sender,
    ):
        await sender.collect()
        place = '{project="shop",environment="prod"}'
        assert await reader.value(f"environment_requests_total{place}") == 12
        assert await reader.value('orders_total{path="/a\\"b\\\\c\\n"}') == 12
        assert await reader.value("temperature_celsius") == -3.5
        assert await reader.value('instance_cpu_percent{instance="i-1"}') == 12
        median = f"histogram_quantile(0.5, environment_response_time_seconds_bucket{place})"
        assert 0.04 < await reader.value(median) < 0.06
        outlet.accumulator.write(now - 10, 10, a_tick())
        await sender.collect()
        async with asyncio.timeout(20):
            while await reader.value(f"environment_requests_total{place}") != 24:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        state = sender.state
        assert (state.dropped, state.problem, state.queued) == (0, None, 0)
        assert state.sent > 200


async def test_each_tick_is_sent_by_itself(outlet: Outlet, clock: ManualClock) -> None:
    async with endpoint(says("")) as receiver, _sending(outlet, receiver) as sender:
        outlet.count()
        await clock.advance(30)
        await _eventually(lambda: sender.state.sent >= 1)
        head = receiver.requests[0]
        assert head.startswith("POST /api/v1/write?tenant=key HTTP/1.1")
        for line in (
            "content-encoding: snappy",
            "content-type: application/x-protobuf",
            "x-prometheus-remote-write-version: 0.1.0",
            "authorization: Basic aGFsYWdlOnNAY3JldA==",
        ):
            assert line in head.lower().replace("basic agfsywdlonnay3jlda==", "Basic aGFsYWdlOnNAY3JldA==")


async def test_a_password_is_never_shown(outlet: Outlet, clock: ManualClock) -> None:
    with structlog.testing.capture_logs() as logs:
        async with (
            endpoint(says("", status="503 Service Unavailable")) as receiver,
            _sending(outlet, receiver) as sender,
        ):
            outlet.count()
            await sender.collect()
            await _eventually(lambda: sender.state.problem is not None)
            shown = f"{sender.state} {sender.__dict__['_url']} {logs}"
            assert "cret" not in shown
            assert sender.state.receiver == f"http://127.0.0.1:{receiver.port}/api/v1/write"
    assert [each["event"] for each in logs] == ["remote write fails"]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (says("down", status="500 Internal Server Error"), "it answered 500: down"),
        (says("", status="503 Service Unavailable"), "it answered 503"),
        (says("slower", status="429 Too Many Requests"), "it answered 429: slower"),
        (speaks_no_http, "Server disconnected"),
        (hangs, "no whole answer within 0.3 s"),
        (breaks_off, None),
    ],
)
async def test_what_may_succeed_later_is_tried_again_with_patience(
    outlet: Outlet, clock: ManualClock, answer: Callable[..., object], problem: str | None
) -> None:
    async with endpoint(answer) as receiver, _sending(outlet, receiver, timeout_s=0.3) as sender:  # type: ignore[arg-type]
        outlet.count()
        await sender.collect()
        if problem is None:
            # Only the beginning of an answer is read: the status has said it all.
            await _eventually(lambda: sender.state.sent == 1)
            return
        for tries, wait_s in ((1, 1), (2, 2), (3, 4)):
            await _eventually(lambda tries=tries: sender._failures == tries)  # type: ignore[misc]
            assert problem in (sender.state.problem or "")
            await clock.advance(wait_s - 0.1)
            await asyncio.sleep(0.02)
            assert len(receiver.requests) == tries, "not before its time"
            if tries == 3:
                receiver.answer = says("", status="204 No Content")
            await clock.advance(0.1)
        await _eventually(lambda: sender.state.sent == 1)
        assert (sender.state.dropped, sender.state.problem) == (0, None)


async def test_a_receiver_says_when_to_come_back(outlet: Outlet, clock: ManualClock) -> None:
    busy = says("", status="429 Too Many Requests", headers="retry-after: 7\r\n")
    async with endpoint(busy) as receiver, _sending(outlet, receiver) as sender:
        outlet.count()
        await sender.collect()
        await _eventually(lambda: sender._failures == 1)
        receiver.answer = says("")
        await clock.advance(6.9)
        assert len(receiver.requests) == 1
        await clock.advance(0.2)
        await _eventually(lambda: sender.state.sent == 1)


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "302 Found", "404 Not Found"])
async def test_what_is_refused_is_dropped_and_counted(outlet: Outlet, status: str) -> None:
    no = says("out of order sample", status=status, headers="location: http://127.0.0.1:1/\r\n")
    async with endpoint(no) as receiver, _sending(outlet, receiver) as sender:
        outlet.count()
        await sender.collect()
        await _eventually(lambda: sender.state.dropped == 1)
        assert sender.state.problem == f"it answered {status[:3]}: out of order sample"
        receiver.answer = says("")
        await sender.collect()
        await _eventually(lambda: sender.state.sent == 1)
        await sender.collect()
    assert outlet.store.total("halage_remote_write_sent") == 1
    assert outlet.store.total("halage_remote_write_dropped") == 1
    assert outlet.store.total("halage_remote_write_failures") == 1


async def test_a_receiver_that_is_away_costs_old_samples_and_no_memory(
    outlet: Outlet, clock: ManualClock
) -> None:
    async with endpoint(hangs) as receiver, _sending(outlet, receiver, queue_bytes=1000) as sender:
        outlet.count()
        for _ in range(100):
            await sender.collect()
        assert sender._queued_bytes <= 1000
        state = sender.state
        assert 0 < state.queued < 20
        assert state.sent == 0
        assert state.queued + state.dropped in (99, 100), "one may be on its way"


async def test_a_receiver_that_drips_is_cut_off(outlet: Outlet) -> None:
    async def slow_head(writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" * 1000:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.02)

    async with endpoint(slow_head) as receiver, _sending(outlet, receiver, timeout_s=0.3) as sender:
        outlet.count()
        await sender.collect()
        await _eventually(lambda: "no whole answer" in (sender.state.problem or ""))
    async with endpoint(drips) as receiver, _sending(outlet, receiver, timeout_s=0.3) as sender:
        await sender.collect()
        await _eventually(lambda: sender.state.sent == 1)


async def test_many_series_go_in_several_requests(outlet: Outlet) -> None:
    keys = [SeriesKey.of("visits", page=str(number)) for number in range(4500)]
    at = outlet.clock.now() // 10 * 10
    outlet.accumulator.write(at, 10, [Sample(key, Kind.COUNT, 1.0) for key in keys])
    async with endpoint(says("")) as receiver, _sending(outlet, receiver) as sender:
        await sender.collect()
        await _eventually(lambda: sender.state.sent == 4500)
        assert len(receiver.requests) == 3


async def test_a_full_store_does_not_stop_the_sending(outlet: Outlet) -> None:
    async with endpoint(says("")) as receiver, _sending(outlet, receiver) as sender:
        outlet.store.error = MetricsFull()
        outlet.count()
        await sender.collect()
        await _eventually(lambda: sender.state.sent == 1)


def test_a_block_of_snappy_holds_what_was_put_in() -> None:
    """Read back by the format's description: a length, then literals."""
    for size in (0, 1, 127, 128, 65_536, 65_537, 200_000):
        plain = bytes(number % 251 for number in range(size))
        block = snappy_block(plain)
        length = shift = at = 0
        while True:
            length |= (block[at] & 0x7F) << shift
            shift += 7
            at += 1
            if not block[at - 1] & 0x80:
                break
        found = b""
        while at < len(block):
            assert block[at] == 61 << 2
            part = int.from_bytes(block[at + 1 : at + 3], "little") + 1
            found += block[at + 3 : at + 3 + part]
            at += 3 + part
        assert (length, found) == (size, plain)


def test_a_message_is_what_protobuf_says() -> None:
    message = write_request([("a", (("b", "c"),), 1.0)], 5)
    labels = b"\x0a\x0d\x0a\x08__name__\x12\x01a" + b"\x0a\x06\x0a\x01b\x12\x01c"
    sample = b"\x12\x0b\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x05"
    assert message == b"\x0a" + bytes((len(labels + sample),)) + labels + sample
