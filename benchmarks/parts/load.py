"""Requests at a fixed rate from a process of its own, each with a connection of its own. Open model.

    python load.py PORT HOST RATE      runs until its stdin ends; prints a JSON line for each request:
                                       [due_at, latency_ms, status], moments of the monotonic clock

A request counts from the moment at which it is due. Status 0: no whole answer came.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 15.0


@dataclass(frozen=True)
class Request:
    """One request and what became of it."""

    due_at: float
    latency_ms: float
    status: int

    @property
    def failed(self) -> bool:
        """Whether the visitor got anything but a good answer."""
        return not 200 <= self.status < 400


class Load:
    """A load that runs from `__enter__` on, in a process of its own, until `stop`."""

    def __init__(self, port: int, host: str, rate: float) -> None:
        self._command = [sys.executable, str(Path(__file__)), str(port), host, str(rate)]

    def __enter__(self) -> "Load":
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> Sequence[Request]:
        """Send no more; every request, once all are answered."""
        output, _ = self._process.communicate(timeout=60)
        return [Request(*json.loads(line)) for line in output.splitlines()]


async def _send_all(port: int, host: str, rate: float) -> None:
    head = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.read)
    found: list[Request] = []
    begin, number = time.monotonic(), 0
    async with asyncio.TaskGroup() as requests:
        while not ended.done():
            due_at = begin + number / rate
            number += 1
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            requests.create_task(_send(port, head, due_at, found))
    for each in found:
        print(json.dumps([each.due_at, each.latency_ms, each.status]))


async def _send(port: int, head: bytes, due_at: float, found: list[Request]) -> None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            status = await _ask(port, head)
    except (OSError, ValueError, IndexError, TimeoutError):
        status = 0
    found.append(Request(due_at, 1000 * (time.monotonic() - due_at), status))


async def _ask(port: int, head: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head)
        answer = await reader.read(-1)
    finally:
        writer.close()
    top, separator, body = answer.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in top.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ),
        None,
    )
    if not separator or (length is not None and len(body) != length):
        return 0
    return int(top.split(b" ", 2)[1])


if __name__ == "__main__":
    asyncio.run(_send_all(int(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
