"""`halage serve` as it is, but for its instances: they are simulated, and one other process answers for all.

    simulated_server.py DIRECTORY LISTEN HTTP      the server
    simulated_server.py answer                     what answers: `+ PORT` and `- PORT` on its standard input

The other process answers HAProxy's checks, the probes and the visitors, so that what the server's own
process uses is what a real one uses, without a thousand processes on the machine.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

from halage.assembly import product
from halage.assembly.server import serve
from halage.assembly.settings_sources import load_settings
from halage.compute.driver import SiteDriver
from halage.compute.drivers.memory import MemoryDriver, Script
from halage.compute.drivers.process import ProcessSettings
from halage.compute.model import Exit, UnitSpec, UnitStatus
from halage.environment.control.watcher import HealthChange, HealthWatcher

LOOKS = "looks"
"""The file, beside the data, with what each look of the health watcher took: processor time in ms."""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class SimulatedSites(MemoryDriver):
    """Instances that are a port of the answering process; jobs are done as soon as they begin."""

    def __init__(self, orders: IO[bytes]) -> None:
        super().__init__()
        self._orders = orders
        self._ports: dict[str, str] = {}
        self.script_for = lambda spec: Script(exit_code=None if spec.id.startswith("i-") else 0)

    async def start(self, spec: UnitSpec) -> UnitStatus:
        """Start it; an instance is answered for."""
        if spec.id.startswith("i-") and spec.id not in self._ports:
            self._ports[spec.id] = spec.environment["PORT"]
            self._order("+", spec.id)
        return await super().start(spec)

    async def stop(self, unit_id: str, grace_s: float = 10.0) -> Exit | None:
        """End it; nobody answers for it any more."""
        if unit_id in self._ports:
            self._order("-", unit_id)
            del self._ports[unit_id]
        return await super().stop(unit_id, grace_s)

    def _order(self, sign: str, unit_id: str) -> None:
        self._orders.write(f"{sign} {self._ports[unit_id]}\n".encode())
        self._orders.flush()


@contextmanager
def answering() -> Iterator[IO[bytes]]:
    """The answering process' ear; it ends with us."""
    with subprocess.Popen([sys.executable, __file__, "answer"], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        with process.stdin:
            yield process.stdin


async def answer() -> None:
    """Answer at every port that is named, until nobody names any more."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    servers: dict[str, asyncio.Server] = {}
    while line := (await reader.readline()).decode():
        sign, port = line.split()
        if sign == "+":
            servers[port] = await asyncio.start_server(_answer_one, "0.0.0.0", int(port))
        elif (server := servers.pop(port, None)) is not None:
            server.close()


async def _answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
    writer.close()


class TimedWatcher(HealthWatcher):
    """Notes what each look takes. At rest nothing else runs in between that counts."""

    notes: IO[str]

    async def look(self) -> list[HealthChange]:
        """Look once."""
        before_s = time.thread_time()
        changes = await super().look()
        self.notes.write(f"{(time.thread_time() - before_s) * 1000:.2f}\n")
        self.notes.flush()
        return changes


def run_server(data: str, listen: str, http: str) -> None:
    """Serve until SIGTERM. A thousand instances have more series than a server keeps by default."""
    config = Path(data).with_name("settings.toml")
    config.write_text("[metrics]\nseries = 100000\n")
    flags = {"config": config, "data": Path(data), "listen": listen, "http": http, "domain": None}
    # The only place that makes one; nothing of it is changed.
    vars(product)["HealthWatcher"] = TimedWatcher
    with answering() as orders, Path(data).with_name(LOOKS).open("w") as TimedWatcher.notes:

        @asynccontextmanager
        async def open_compute(directory: Path, settings: ProcessSettings) -> AsyncIterator[SiteDriver]:
            yield SimulatedSites(orders)

        serve(load_settings(flags, os.environ), lambda started: None, open_compute)


if __name__ == "__main__":
    if sys.argv[1] == "answer":
        asyncio.run(answer())
    else:
        run_server(*sys.argv[1:4])
