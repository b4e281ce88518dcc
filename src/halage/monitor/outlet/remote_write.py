"""Sends what stands at each tick to a receiver of Prometheus' remote write 1.0.

The queue between collecting and sending is bounded, so a receiver that is away or hangs costs old
samples, counted, and never memory or the collection.
"""

import asyncio
import logging
import math
from collections import deque
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import unquote

import httpx
import structlog

import halage
from halage.base.clock import Clock
from halage.base.errors import HalageError, cause_in_words
from halage.base.tasks import Tasks
from halage.monitor.metrics.model import TICK_S, Kind, MetricWriter, Sample, SeriesKey
from halage.monitor.outlet.exposition import Exposition
from halage.monitor.outlet.families import Point
from halage.monitor.outlet.wire import snappy_block, write_request

POINTS_PER_REQUEST = 2000
QUEUE_BYTES = 32 * 1024 * 1024
TIMEOUT_S = 30.0
"""For a whole request."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
_HEADERS = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
    "user-agent": f"halage/{halage.__version__}",
}
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RemoteWriteLimits:
    """Bounds of the sender."""

    queue_bytes: int = QUEUE_BYTES
    timeout_s: float = TIMEOUT_S


@dataclass(frozen=True, slots=True)
class RemoteWriteState:
    """How the sending goes, since Halage started."""

    receiver: str
    """Without user, password and query."""
    sent: int
    """Samples that the receiver took."""
    dropped: int
    """Samples that it refused, and those that found the queue full."""
    queued: int
    problem: str | None
    """Why the last request failed, None when it did not."""


@dataclass(frozen=True, slots=True)
class _Batch:
    body: bytes
    samples: int


class _Retry(HalageError):
    """The request may succeed later."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class _Refused(HalageError):
    """The receiver will never take this request."""


class RemoteWrite:
    """Use it in `async with`: it then sends each tick, and tries again what failed for a while."""

    def __init__(
        self,
        url: str,
        exposition: Exposition,
        clock: Clock,
        writer: MetricWriter,
        limits: RemoteWriteLimits | None = None,
    ) -> None:
        """Take the receiver's address; what it holds of user and password is sent as basic authentication."""
        self._url, self._auth = _split_url(url)
        self._exposition = exposition
        self._clock = clock
        self._writer = writer
        self._limits = limits or RemoteWriteLimits()
        self._queue: deque[_Batch] = deque()
        self._queued_bytes = 0
        self._has_some = asyncio.Event()
        self._sent = self._dropped = self._failures = 0
        self._counted = (0, 0, 0)
        self._problem: str | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._client = await stack.enter_async_context(
                httpx.AsyncClient(headers=_HEADERS, auth=self._auth, timeout=self._limits.timeout_s)
            )
            tasks = await stack.enter_async_context(Tasks())
            tasks.start(self._collect(), name="remote write: collect")
            tasks.start(self._send(), name="remote write: send")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @property
    def state(self) -> RemoteWriteState:
        """How it goes."""
        queued = sum(batch.samples for batch in self._queue)
        receiver = str(self._url.copy_with(query=None, fragment=None))
        return RemoteWriteState(receiver, self._sent, self._dropped, queued, self._problem)

    async def _collect(self) -> None:
        while True:
            now = self._clock.now()
            await self._clock.sleep(math.floor(now / TICK_S + 1) * TICK_S - now)
            try:
                await self.collect()
            except Exception:
                log.exception("remote write failed", action="monitor:RemoteWrite", subject="server")

    async def collect(self) -> None:
        """Put what stands now into the queue; the oldest goes where there is no room."""
        now = self._clock.now()
        for batch in await asyncio.to_thread(self._batches, round(now * 1000)):
            self._queue.append(batch)
            self._queued_bytes += len(batch.body)
        while self._queued_bytes > self._limits.queue_bytes:
            oldest = self._queue.popleft()
            self._queued_bytes -= len(oldest.body)
            self._dropped += oldest.samples
        if self._queue:
            self._has_some.set()
        await self._count(math.floor(now / TICK_S - 1) * TICK_S)

    def _batches(self, at_ms: int) -> list[_Batch]:
        points: list[Point] = [point for family in self._exposition.families() for point in family.points]
        return [
            _Batch(snappy_block(write_request(part, at_ms)), len(part))
            for start in range(0, len(points), POINTS_PER_REQUEST)
            if (part := points[start : start + POINTS_PER_REQUEST])
        ]

    async def _count(self, tick: float) -> None:
        """Say of oneself what came to pass since the last tick."""
        now = (self._sent, self._dropped, self._failures)
        names = ("sent", "dropped", "failures")
        samples = [
            Sample(SeriesKey.of(f"halage_remote_write_{name}"), Kind.COUNT, float(count - before))
            for name, count, before in zip(names, now, self._counted, strict=True)
        ]
        self._counted = now
        try:
            await asyncio.to_thread(self._writer.write, tick, TICK_S, samples)
        except HalageError:
            return  # the store is full, which it says itself; nothing is lost that could be kept

    async def _send(self) -> None:
        while True:
            await self._has_some.wait()
            if not self._queue:
                self._has_some.clear()
                continue
            batch = self._queue.popleft()
            self._queued_bytes -= len(batch.body)
            try:
                await self._deliver(batch)
            except Exception:
                # One batch that cannot be sent at all must not stop the others, nor the server.
                self._dropped += batch.samples
                log.exception("remote write failed", action="monitor:RemoteWrite", subject="server")

    async def _deliver(self, batch: _Batch) -> None:
        """Send until the receiver has taken or refused it."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                await self._post(batch.body)
            except _Retry as error:
                self._note(error.message)
                await self._clock.sleep(error.wait_s or wait_s)
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
            except _Refused as error:
                self._note(error.message)
                self._dropped += batch.samples
                return
            else:
                self._note(None)
                self._sent += batch.samples
                return

    async def _post(self, body: bytes) -> None:
        try:
            async with (
                asyncio.timeout(self._limits.timeout_s),
                self._client.stream("POST", self._url, content=body, follow_redirects=False) as answer,
            ):
                status = answer.status_code
                words = await _first_words(answer)
        except TimeoutError:
            raise _Retry(f"no whole answer within {self._limits.timeout_s:g} s") from None
        except (httpx.HTTPError, OSError) as error:
            raise _Retry(cause_in_words(error)) from error
        if 200 <= status < 300:
            return
        message = f"it answered {status}: {words}" if words else f"it answered {status}"
        if status == 429 or status >= 500:
            raise _Retry(message, _retry_after(answer.headers.get("retry-after", "")))
        raise _Refused(message)

    def _note(self, problem: str | None) -> None:
        """Remember how the last request ended, and write into the log when that changes."""
        if problem is not None:
            self._failures += 1
        if (problem is None) != (self._problem is None):
            event = "remote write works" if problem is None else "remote write fails"
            level = logging.INFO if problem is None else logging.WARNING
            log.log(level, event, action="monitor:RemoteWrite", subject=self._url.host, problem=problem)
        self._problem = problem


def _split_url(url: str) -> tuple[httpx.URL, httpx.BasicAuth | None]:
    """The address without user and password, and these."""
    parsed = httpx.URL(url)
    bare = parsed.copy_with(username=None, password=None)
    if not parsed.userinfo:
        return bare, None
    user, _, password = parsed.userinfo.decode().partition(":")
    return bare, httpx.BasicAuth(unquote(user), unquote(password))


async def _first_words(answer: httpx.Response) -> str:
    """The beginning of what a receiver says, on one line; no more of it is read."""
    async for chunk in answer.aiter_raw():
        return " ".join(chunk[:300].decode(errors="replace").split())
    return ""


def _retry_after(text: str) -> float | None:
    return min(float(text), 300.0) if text.isdecimal() and int(text) else None
