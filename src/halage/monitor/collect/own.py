"""Halage itself: what it uses, how prompt it is, what it has to do and has done."""

import os
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from halage.base.clock import Clock
from halage.base.journal import Entry, Journal
from halage.monitor.collect.model import Tick
from halage.monitor.collect.rules import Growth
from halage.monitor.collect.samples import count, distribution, gauge, percent
from halage.monitor.inventory import Inventory
from halage.monitor.metrics.model import Sample, SeriesKey
from halage.monitor.metrics.sketch import Sketch

LOOP_LOOK_S = 0.1
"""How often the event loop is asked for its delay: 10 samples a second cost 0.05 % of a core."""
_PUSHES = 1000
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

RUN_ENDS = {
    "pipeline:Succeeded": "succeeded",
    "pipeline:Failed": "failed",
    "pipeline:Cancelled": "cancelled",
    "pipeline:Cancel": "cancelled",
    "pipeline:Superseded": "superseded",
}
"""The journal's actions that end a run, and the state that it is in then."""
DEPLOYMENT_ENDS = {
    "environment:Deployed": "succeeded",
    "environment:RolledBack": "rolled_back",
    "environment:DeploymentFailed": "failed",
}


class OwnSource:
    """Halage's own figures. Its `watch` follows the journal, `watch_loop` the event loop."""

    name = "halage"

    def __init__(
        self,
        clock: Clock,
        inventory: Inventory,
        journal: Journal,
        *,
        cpu_s: Callable[[], float] = time.process_time,
    ) -> None:
        """`cpu_s` tells the CPU time of this process."""
        self._clock = clock
        self._inventory = inventory
        self._journal = journal
        self._cpu_s = cpu_s
        self._growth = Growth()
        self._loop_delays = Sketch()
        self._first_commands = Sketch()
        self._pushes: OrderedDict[str, float] = OrderedDict()
        self._ended: Counter[SeriesKey] = Counter()

    async def collect(self, tick: Tick) -> Sequence[Sample]:
        """What happened since the last call, and how things stand now."""
        samples = self._usage()
        work = await self._inventory.workload()
        for name in ("open_runs", "queued_jobs", "running_jobs", "open_deployments"):
            samples.append(gauge(f"halage_{name}", (), getattr(work, name)))
        # Taken at the end, in one go: what a source that is cut off has taken would be lost.
        ended, self._ended = self._ended, Counter()
        samples += [count(key.name, key.dimensions, number) for key, number in ended.items()]
        delays, self._loop_delays = self._loop_delays, Sketch()
        commands, self._first_commands = self._first_commands, Sketch()
        named = (("halage_loop_delay_ms", delays), ("halage_push_to_first_command_ms", commands))
        return samples + [distribution(name, (), sketch) for name, sketch in named if sketch.count]

    def _usage(self) -> list[Sample]:
        now = self._clock.monotonic()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
        samples = [
            gauge("halage_memory_bytes", (), resident),
            gauge("halage_open_files", (), sum(1 for _ in Path("/proc/self/fd").iterdir())),
        ]
        if (grown := self._growth.since("cpu", self._cpu_s(), now)) is not None:
            samples.append(percent("halage_cpu_percent", (), grown[0] / grown[1] * 100))
        return samples

    async def watch_loop(self) -> None:
        """Ask the event loop again and again how late it is."""
        while True:
            before = self._clock.monotonic()
            await self._clock.sleep(LOOP_LOOK_S)
            self._loop_delays.add(max(self._clock.monotonic() - before - LOOP_LOOK_S, 0.0) * 1000)

    async def watch(self) -> None:
        """Take note of what the journal tells."""
        while True:  # it cuts a follower off that is 1,000 entries behind; these are not counted then
            with self._journal.follow() as entries:
                async for entry in entries:
                    self.note(entry)

    def note(self, entry: Entry) -> None:
        """Take note of a push that starts a run, and of the end of a run or a deployment."""
        if entry.action == "pipeline:Start" and not entry.details.get("is_reconciled"):
            self._pushes[_last_word(entry.subject)] = entry.at
            if len(self._pushes) > _PUSHES:  # runs without commands never take theirs away
                self._pushes.popitem(last=False)
        elif (state := RUN_ENDS.get(entry.action)) is not None:
            key = SeriesKey.of("halage_runs_ended", project=entry.project or "", state=state)
            self._ended[key] += 1
        elif (state := DEPLOYMENT_ENDS.get(entry.action)) is not None:
            place = {"project": entry.project or "", "environment": _last_word(entry.subject)}
            self._ended[SeriesKey.of("halage_deployments_ended", state=state, **place)] += 1

    def first_command(self, run_id: int, at: float) -> None:
        """The first command of a run's build began at that moment; told once for each start of a job."""
        if (pushed_at := self._pushes.pop(str(run_id), None)) is not None:
            self._first_commands.add(max(at - pushed_at, 0.0) * 1000)


class StoreSource:
    """What the metric store itself holds and is handed."""

    name = "metric store"

    def __init__(self, count_series: Callable[[], int], count_samples: Callable[[], int]) -> None:
        """`count_samples`: since the start."""
        self._count_series = count_series
        self._count_samples = count_samples
        self._counted = 0

    async def collect(self, tick: Tick) -> Sequence[Sample]:
        """How many series there are, and how many samples came since the last call."""
        before, self._counted = self._counted, self._count_samples()
        return [
            gauge("halage_metric_series", (), self._count_series()),
            count("halage_metric_points", (), self._counted - before),
        ]


def _last_word(subject: str) -> str:
    return subject.rpartition("/")[2]


class LoopWatcher:
    """The half of OwnSource that watches the event loop, as a Watcher of its own."""

    def __init__(self, own: OwnSource) -> None:
        self._own = own

    async def watch(self) -> None:
        """Look until cancelled."""
        await self._own.watch_loop()
