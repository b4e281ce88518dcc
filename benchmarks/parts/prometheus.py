"""Debian's Prometheus, as the peer of a benchmark: it is written to, asked, and looked at."""

import contextlib
import http.client
import json
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from harness import Failure, free_port
from parts.process import cpu_s, memory_mib

from halage.monitor.metrics.model import Sample, SeriesKey
from halage.monitor.metrics.sketch import Sketch
from halage.monitor.outlet.wire import field, snappy_block, varint

START_TIMEOUT_S = 30.0
_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
Tick = tuple[int, Sequence[Sample]]
"""The beginning of a tick (seconds, epoch) and its samples."""


class Prometheus:
    """A running one."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, directory: Path) -> None:
        self.process = process
        self._directory = directory
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._labels: dict[SeriesKey, bytes] = {}

    @property
    def cpu_s(self) -> float:
        """Processor time so far (seconds)."""
        return cpu_s(self.process.pid)

    def memory_mib(self, what: str = "VmRSS") -> float:
        """Its resident memory (MiB)."""
        return memory_mib(self.process.pid, what)

    def get(self, path: str) -> bytes:
        """The body of an answer. Raises Failure for any but a good one."""
        return self._ask("GET", path, None, {})

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next request opens another
            raise
        if not 200 <= answer.status < 300:
            raise Failure(f"prometheus: {method} {path}: {answer.status} {content[:300]!r}")
        return content

    def write(self, ticks: Sequence[Tick]) -> None:
        """Hand over the samples of some ticks by remote write, each series once."""
        times = [b"\x10" + varint(at * 1000) for at, _ in ticks]
        columns: dict[SeriesKey, bytearray] = {}
        for time_, (_, samples) in zip(times, ticks, strict=True):
            for sample in samples:
                if not isinstance(sample.value, Sketch):
                    point = b"\x09" + struct.pack("<d", sample.value) + time_
                    columns.setdefault(sample.key, bytearray()).extend(field(2, point))
        body = bytearray()
        for key, points in columns.items():
            body += field(1, self._labels_of(key) + points)
        self._ask("POST", "/api/v1/write", snappy_block(bytes(body)), _HEADERS)

    def _labels_of(self, key: SeriesKey) -> bytes:
        known = self._labels.get(key)
        if known is None:
            pairs = sorted((("__name__", key.name), *key.dimensions))
            known = b"".join(
                field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in pairs
            )
            self._labels[key] = known
        return known

    def ask(
        self, query: str, start: float, end: float, step_s: int
    ) -> tuple[float, float, list[list[float]]]:
        """A range query: how long it took (ms) from here and by its own account, and its values."""
        wanted = urlencode({"query": query, "start": start, "end": end, "step": step_s, "stats": "all"})
        begun = time.perf_counter()
        content = self.get(f"/api/v1/query_range?{wanted}")
        took_ms = (time.perf_counter() - begun) * 1000
        found = json.loads(content)["data"]
        own_ms = found["stats"]["timings"]["execTotalTime"] * 1000
        return took_ms, own_ms, [[float(value) for _, value in each["values"]] for each in found["result"]]

    def value(self, query: str) -> float | None:
        """The value of an instant query with one result, None where it has none."""
        found = json.loads(self.get(f"/api/v1/query?query={quote(query)}"))["data"]["result"]
        return float(found[0]["value"][1]) if found else None

    def figure(self, name: str) -> float:
        """The sum over one of its own metrics, from its exposition."""
        lines = self.get("/metrics").decode().splitlines()
        found = [line for line in lines if line.partition("{")[0].partition(" ")[0] == name]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def settle(self, timeout_s: float = 120.0) -> None:
        """Wait until it has nothing to do any more: it compacts by itself, after what it was written."""
        deadline = time.monotonic() + timeout_s
        quiet = 0
        while quiet < 3 and time.monotonic() < deadline:
            before_s = self.cpu_s
            time.sleep(1)
            quiet = quiet + 1 if self.cpu_s - before_s < 0.05 else 0

    def blocks(self) -> tuple[int, int, int]:
        """Bytes of the chunks in its blocks, of the blocks as a whole, and the samples in them."""
        chunks = everything = samples = 0
        for meta in self._directory.glob("tsdb/*/meta.json"):
            samples += json.loads(meta.read_text())["stats"]["numSamples"]
            sizes = {path: path.stat().st_size for path in meta.parent.rglob("*") if path.is_file()}
            everything += sum(sizes.values())
            chunks += sum(size for path, size in sizes.items() if path.parent.name == "chunks")
        return chunks, everything, samples


@contextlib.contextmanager
def running_prometheus(directory: Path, rules: dict[str, Any] | None = None) -> Iterator[Prometheus]:
    """One with an empty store in that directory, which receives remote writes; ended on leaving.

    `rules` is a file of rules, evaluated every ten seconds.
    """
    program = shutil.which("prometheus")
    if program is None:
        raise Failure("Prometheus is not installed: tools/setup run test python")
    directory.mkdir()
    configuration: dict[str, Any] = {"global": {"evaluation_interval": "10s"}}
    if rules is not None:
        (directory / "rules.json").write_text(json.dumps(rules))  # JSON is YAML
        configuration["rule_files"] = ["rules.json"]
    (directory / "prometheus.yml").write_text(json.dumps(configuration))
    port = free_port()
    command = [program, f"--config.file={directory / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={directory / 'tsdb'}", "--storage.tsdb.retention.time=500d"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"]
    command += ["--query.max-samples=100000000", "--log.level=error"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        served = Prometheus(process, port, directory)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError, Failure, http.client.HTTPException):
                served.get("/-/ready")
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failure("prometheus did not start")
            time.sleep(0.1)
        yield served
    finally:
        process.terminate()
        process.wait()
