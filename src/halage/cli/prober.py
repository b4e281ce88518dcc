"""Requests at a fixed rate while something else happens: how many were sent, how many failed.

Open model: each request has a moment at which it is due, whatever became of those before it, and its
latency counts from that moment. A server that stalls therefore shows.
"""

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from halage.base.tasks import Tasks

TIMEOUT_S = 15.0


@dataclass
class ProbeReport:
    """What became of the requests. Moments are of `time.monotonic`."""

    sent: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    """How often a request failed, by why."""
    latencies_s: list[float] = field(default_factory=list)
    first_new_at: float | None = None
    """When the awaited text was first seen in an answer."""

    @property
    def failed(self) -> int:
        """How many failed in any way."""
        return sum(self.causes.values())

    def latency_ms(self, fraction: float) -> float:
        """The latency that this fraction of the answers did not exceed; 0 without any."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))] * 1000 if ordered else 0.0


class Prober:
    """GETs one page at a rate, in a thread of its own, from `start` to `stop`."""

    def __init__(self, host: str, port: int, *, site: str, rate: float, path: str = "/") -> None:
        """Take the balancer's address, the site's host name, and requests per second."""
        self._address = (host, port)
        self._rate = rate
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {site}\r\nUser-Agent: halage-prober\r\nConnection: close\r\n\r\n"
        ).encode()
        self._awaited: bytes | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)
        self.report = ProbeReport()

    def await_text(self, text: str) -> None:
        """Note when this text is first in an answer."""
        self._awaited = text.encode()

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> ProbeReport:
        """Send no more, wait for the last answers, and return what became of all."""
        self._stopping.set()
        self._thread.join()
        return self.report

    def _run(self) -> None:
        asyncio.run(self._send_all())

    async def _send_all(self) -> None:
        started = time.monotonic()
        async with Tasks() as tasks:
            running = []
            while not self._stopping.is_set():
                due_at = started + self.report.sent / self._rate
                await asyncio.sleep(max(0.0, due_at - time.monotonic()))
                running.append(tasks.start(self._send(due_at), "probe"))
                running = [task for task in running if not task.done()]
                self.report.sent += 1
            await asyncio.gather(*running)

    async def _send(self, due_at: float) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, body = await self._get()
        except TimeoutError:
            self.report.causes[f"no answer within {TIMEOUT_S:.0f} s"] += 1
            return
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            self.report.causes[f"{type(error).__name__}: {error}"] += 1
            return
        self.report.latencies_s.append(time.monotonic() - due_at)
        if not 200 <= status < 400:
            self.report.causes[f"status {status}"] += 1
        if self._awaited and self.report.first_new_at is None and self._awaited in body:
            self.report.first_new_at = time.monotonic()

    async def _get(self) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(self._request)
            await writer.drain()
            answer = await reader.read(-1)
        finally:
            writer.close()
        head, separator, body = answer.partition(b"\r\n\r\n")
        words = head.split(b" ", 2)
        if not separator or len(words) < 2 or not words[1].isdigit():
            raise ValueError("the connection was closed before a whole answer came")
        length = _content_length(head)
        if length is not None and len(body) < length:
            raise ValueError(f"the answer was cut off: {len(body)} of {length} bytes")
        return int(words[1]), body


def _content_length(head: bytes) -> int | None:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return None
