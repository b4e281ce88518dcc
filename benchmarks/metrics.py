"""What the metric store costs and how soon it answers, beside Debian's Prometheus fed the same samples.

Part one: 100 instances of 14 metrics every 10 s, nine hours of them up to the evening (when numbers
vary most), as fast as they can be taken in. Nothing is left out: each tick is a transaction, each
hour is compacted. The figure is the processor time against the nine hours that it was for. Halage
and Prometheus take turns, three hours each; the median counts. The store runs in a process of its
own (parts/metric_store.py); its memory is what that process has above an empty interpreter, all
that it imports included.

Part two: thirty days of one instance's 14 metrics, taken in the same way; then what the ladder keeps
longer than thirty days is filled with copies of these days' chunks and all of it is copied to 200
series, so that the file has its true size, and three more hours of all 200 are taken in. Then
questions, in turns with Prometheus; each answer is held to the numbers that were written. Halage's go
through Metrics.query, those to Prometheus through its HTTP API; what Prometheus says of the time that
it took inside stands beside it. A figure is the slowest of three metrics, and of average and p95.
"""

import contextlib
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import Failure, median, percentile, report, say
from parts.fleet import DAY_S, HOUR_S, METRICS, TICK_S, Instance, measure_all
from parts.process import memory_mib
from parts.prometheus import Prometheus, Tick, running_prometheus

INSTANCES = 100
ROUNDS, ROUND_S = 3, 3 * HOUR_S
WRITTEN_DAYS = 30
LADDER_SERIES = 200
LADDER_INSTANCES = -(-LADDER_SERIES // METRICS)
ASKED = ("instance_cpu_percent", "instance_memory_bytes", "instance_network_out_bytes")
"""One that varies within hundreds of steps, one that hardly does, one that is all noise."""
TURNS = 15
FIRST = (
    *("ingest_cpu_percent", "raw_bytes_per_sample", "ladder_mib_200_series"),
    *("day_query_ms", "month_query_ms", "rss_mib"),
)
P95_ERROR = 0.011
"""How far a percentile of a sketch may be from the sample at its rank."""
STORE = Path(__file__).parent / "parts" / "metric_store.py"


class Store:
    """The process of the metric store."""

    def __init__(self, directory: Path, instances: int, start: int) -> None:
        command = [sys.executable, str(STORE), str(directory), str(instances), str(start)]
        search = {"PYTHONPATH": str(STORE.parent.parent)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=search
        )

    def do(self, order: str, **arguments: object) -> dict[str, Any]:
        """What it answers to an order."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": order, **arguments}).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"the store's process ended at {order}: run {STORE.name} by hand")
        found: dict[str, Any] = json.loads(line)
        return found


@contextlib.contextmanager
def running_store(directory: Path, instances: int, start: int) -> Iterator[Store]:
    """A store's process, ended on leaving."""
    store = Store(directory, instances, start)
    try:
        yield store
    finally:
        store.process.kill()
        store.process.communicate()


@dataclass(frozen=True, slots=True)
class Exact:
    """The numbers of one series as they were written, and where they begin."""

    start: int
    numbers: list[float]

    def within(self, start: int, end: int, period_s: int) -> Iterator[list[float]]:
        """Those of each period."""
        for begin in range(start, end, period_s):
            first = (begin - self.start) // TICK_S
            yield self.numbers[first : first + period_s // TICK_S]


def main() -> None:
    """Both parts, and the figures."""
    evening = int(time.time()) // DAY_S * DAY_S - DAY_S + 18 * HOUR_S
    with tempfile.TemporaryDirectory(prefix="halage-metrics-") as name:
        taken = take_in(Path(name), evening - ROUNDS * ROUND_S)
        asked = ask(Path(name), evening)
    figures = {**taken, **asked}
    report(**{key: figures.pop(key) for key in FIRST}, **figures)


# -- part one: taking in


def take_in(directory: Path, start: int) -> dict[str, float]:
    """Nine hours of 1,400 series, in turns."""
    fleet = [Instance(number) for number in range(INSTANCES)]
    empty_mib = _empty_interpreter_mib()
    mine: list[dict[str, float]] = []
    theirs: list[float] = []
    with (
        running_store(directory / "taken", INSTANCES, start) as store,
        running_prometheus(directory / "prometheus-taken") as peer,
    ):
        for number in range(ROUNDS):
            mine.append(store.do("ingest", ticks=ROUND_S // TICK_S, instances=INSTANCES))
            begun_s = peer.cpu_s
            for at in range(start + number * ROUND_S, start + (number + 1) * ROUND_S, TICK_S):
                peer.write([(at, measure_all(fleet, at))])
            peer.settle()
            theirs.append(peer.cpu_s - begun_s)
            say(f"{(number + 1) * ROUND_S // HOUR_S} hours: {mine[-1]}, prometheus {theirs[-1]:.1f} s")
        sizes = store.do("sizes")
        rss_mib = memory_mib(store.process.pid, "VmHWM") - empty_mib
        now_mib = memory_mib(store.process.pid)
        peer_rss_mib = peer.memory_mib()
        chunks, everything, samples = peer.blocks()
        times = store.do("ingest", ticks=2 * HOUR_S // TICK_S, instances=INSTANCES, with_times=True)
    cpu = [100 * (each["write_s"] + each["compact_s"]) / ROUND_S for each in mine]
    held = sizes["chunk_hours"] * HOUR_S / TICK_S
    peer_cpu = 100 * median(theirs) / ROUND_S
    return {
        "ingest_cpu_percent": median(cpu),
        "raw_bytes_per_sample": sizes["chunk_pages_bytes"] / held,
        "raw_payload_bytes_per_sample": sizes["chunk_bytes"] / held,
        "rss_mib": rss_mib,
        "process_rss_mib": now_mib,
        "cpu_percent_with_response_times": 50 * (times["write_s"] + times["compact_s"]) / HOUR_S,
        "prometheus_cpu_percent": peer_cpu,
        "prometheus_bytes_per_sample": everything / samples,
        "prometheus_chunk_bytes_per_sample": chunks / samples,
        "prometheus_rss_mib": peer_rss_mib,
        "ingest_cpu_ratio": peer_cpu / median(cpu),
        "bytes_ratio": everything / samples / (sizes["chunk_pages_bytes"] / held),
        "rss_ratio": peer_rss_mib / now_mib,
    }


def _empty_interpreter_mib() -> float:
    program = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = memory_mib(process.pid, "VmHWM")
        process.communicate()
    return found


# -- part two: questions


def ask(directory: Path, end: int) -> dict[str, float]:
    """Thirty days of 14 series, the whole ladder of 200, and questions in turns."""
    last = end - 3 * HOUR_S
    start = last // DAY_S * DAY_S - WRITTEN_DAYS * DAY_S
    with (
        running_store(directory / "asked", LADDER_INSTANCES, start) as store,
        running_prometheus(directory / "prometheus-asked") as peer,
    ):
        store.do("ingest", ticks=(last - start) // TICK_S, instances=1)
        say(f"{WRITTEN_DAYS} days are written")
        store.do("spread", series=LADDER_SERIES, written_days=WRITTEN_DAYS)
        ticks = (end - last) // TICK_S
        store.do("ingest", ticks=ticks, instances=LADDER_INSTANCES, series=LADDER_SERIES)
        sizes = store.do("sizes")
        say(f"the ladder: {sizes}")
        written = _fill(peer, start, end)
        peer.settle()
        say(f"prometheus has them as well, in {peer.blocks()[2]} samples of its blocks")
        day = _questions(store, peer, written, end - DAY_S, end, 300)
        month = _questions(
            store, peer, written, last // DAY_S * DAY_S - 29 * DAY_S, end // HOUR_S * HOUR_S, HOUR_S
        )
        rss_mib = memory_mib(store.process.pid)
    return {
        "ladder_mib_200_series": sizes["file_bytes"] / 1024**2,
        "day_query_ms": max(day["average"], day["p95"]),
        "month_query_ms": month["p95"],
        **{f"day_{name}_ms": value for name, value in day.items()},
        **{f"month_{name}_ms": value for name, value in month.items()},
        "day_query_ratio": day["prometheus_p95"] / day["p95"],
        "month_query_ratio": month["prometheus_p95"] / month["p95"],
        "rss_after_questions_mib": rss_mib,
    }


def _fill(peer: Prometheus, start: int, end: int) -> dict[str, Exact]:
    """The same for Prometheus, an hour a request; the numbers of the series that are asked for."""
    one = Instance(0)
    kept = {name: Exact(start, []) for name in ASKED}
    for hour in range(start, end, HOUR_S):
        ticks: list[Tick] = [(at, one.measure(at)) for at in range(hour, hour + HOUR_S, TICK_S)]
        peer.write(ticks)
        for _, samples in ticks:
            for sample in samples:
                if sample.key.name in kept and isinstance(sample.value, float):
                    kept[sample.key.name].numbers.append(sample.value)
    return kept


def _questions(
    store: Store, peer: Prometheus, written: dict[str, Exact], start: int, end: int, period_s: int
) -> dict[str, float]:
    """The median of average and p95 over one series, of the slowest of three metrics (ms)."""
    found: dict[str, float] = {}
    for name, exact in written.items():
        periods = list(exact.within(start, end, period_s))
        for statistic in ("average", "p95"):
            mine, theirs, own = _in_turns(store, peer, (name, statistic), (start, end, period_s), periods)
            slowest = max((mine, theirs, own), (found.get(statistic, 0.0), 0.0, 0.0))
            if slowest[0] == mine:
                found[statistic], found[f"prometheus_{statistic}"] = mine, theirs
                found[f"prometheus_{statistic}_inside"] = own
            asked = f"{statistic}({name}) {len(periods)} x {period_s} s"
            say(f"{asked}: {mine:.2f} ms, prometheus {theirs:.2f} ({own:.2f})")
    return found


def _in_turns(
    store: Store,
    peer: Prometheus,
    what: tuple[str, str],
    span: tuple[int, int, int],
    periods: Sequence[Sequence[float]],
) -> tuple[float, float, float]:
    (name, statistic), (start, end, period_s) = what, span
    expression = f'{statistic}({name}{{project="shop",environment="prod",instance="i-0"}})'
    function = "avg_over_time(" if statistic == "average" else "quantile_over_time(0.95, "
    query = f'{function}{name}{{instance="i-0"}}[{period_s}s])'
    mine: list[float] = []
    theirs: list[float] = []
    own: list[float] = []
    for _ in range(TURNS):
        answer = store.do("ask", expression=expression, start=start, end=end, period_s=period_s, times=1)
        # Prometheus looks back from a moment, both ends included: one millisecond less is the period.
        took, inside, values = peer.ask(query, start + period_s - 0.001, end - 0.001, period_s)
        mine, theirs, own = [*mine, *answer["ms"]], [*theirs, took], [*own, inside]
    _check(f"{expression} of Halage", answer["values"], statistic, periods)
    if statistic == "average":
        _check(f"{query} of Prometheus", values, statistic, periods)
    return median(mine[1:]), median(theirs[1:]), median(own[1:])


def _check(what: str, lines: list[list[float]], statistic: str, periods: Sequence[Sequence[float]]) -> None:
    """Hold an answer to the numbers that were written."""
    if len(lines) != 1 or len(lines[0]) != len(periods):
        raise Failure(f"{what}: {[len(line) for line in lines]} values, not {len(periods)}")
    for value, numbers in zip(lines[0], periods, strict=True):
        exact = sum(numbers) / len(numbers) if statistic == "average" else percentile(numbers, 0.95)
        error = 1e-9 if statistic == "average" else P95_ERROR
        if not math.isclose(value, exact, rel_tol=error, abs_tol=1e-9):
            raise Failure(f"{what} says {value} where {exact} is true")


if __name__ == "__main__":
    main()
