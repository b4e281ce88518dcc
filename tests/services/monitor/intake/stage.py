"""What an intake stands on in tests: an inventory by hand and a store in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from halage.compute.model import STANDARD_TYPES
from halage.monitor.intake.keys import SiteKeys
from halage.monitor.intake.model import IntakeLimits
from halage.monitor.intake.service import Intake, Ports
from halage.monitor.inventory import WatchedEnvironment, WatchedInstance, Workload
from halage.monitor.metrics.model import Cursor, Kind, Read, Sample, Selector, Series
from halage.monitor.metrics.sketch import Sketch
from tests.clock import ManualClock

KEYS = SiteKeys(b"k" * 32)


def an_instance(
    id_: str = "i-1", *, port: int = 20000, address: str = "127.0.0.1", attempt: int = 1
) -> WatchedInstance:
    type_ = STANDARD_TYPES["micro"]
    return WatchedInstance("shop", "prod", id_, f"{id_}.{attempt}", type_, address, port, True, 0)


def an_environment(
    *instances: WatchedInstance, name: str = "prod", project: str = "shop", path: str | None = None
) -> WatchedEnvironment:
    return WatchedEnvironment(
        project, name, len(instances), instances, (), False, path, (), is_deploying=False
    )


@dataclass
class HandInventory:
    """Tells what the test put into it."""

    there: list[WatchedEnvironment] = field(default_factory=lambda: [an_environment(an_instance())])

    async def environments(self) -> Sequence[WatchedEnvironment]:
        return tuple(self.there)

    async def workload(self) -> Workload:
        return Workload(0, 0, 0, 0)

    def scrape(self, path: str, *instances: WatchedInstance) -> None:
        self.there = [replace(an_environment(*instances), metrics_path=path)]


@dataclass
class MemoryStore:
    """A store in memory: one sample for each series and tick, as the contract of MetricWriter says."""

    error: Exception | None = None
    known: list[Series] = field(default_factory=list)
    writes: list[tuple[float, int, list[Sample]]] = field(default_factory=list)

    @property
    def version(self) -> int:
        return len(self.known)

    def cursor(self, name: str) -> int | None:
        return None

    def compact(self, now: float, most: int | None = None) -> bool:
        return False

    def write(
        self, at: float, resolution_s: int, samples: Sequence[Sample], *, cursor: Cursor | None = None
    ) -> None:
        if self.error is not None:
            raise self.error
        self.writes.append((at, resolution_s, list(samples)))

    def find(self, selector: Selector) -> Sequence[Series]:
        return [series for series in self.known if selector.matches(series.key)]

    def read(self, *_args: object, **_named: object) -> Read:
        raise NotImplementedError

    def kept(self, name: str) -> list[tuple[float, Sample]]:
        """Samples of a metric with their ticks, in the order of their writing."""
        return [
            (at, sample) for at, _, samples in self.writes for sample in samples if sample.key.name == name
        ]

    def values(self, name: str) -> list[float]:
        """The numbers of a metric; of a distribution, how many values."""
        return [
            float(sample.value.count) if isinstance(sample.value, Sketch) else sample.value
            for _, sample in self.kept(name)
        ]

    def own(self) -> list[Sample]:
        """Everything that sites sent."""
        return [
            sample for _, _, samples in self.writes for sample in samples if "halage_" not in sample.key.name
        ]

    def total(self, name: str) -> float:
        return sum(self.values(name))

    def kinds(self, name: str) -> set[Kind]:
        return {sample.kind for _, sample in self.kept(name)}


@dataclass
class Stage:
    """An intake with what it stands on."""

    clock: ManualClock
    inventory: HandInventory = field(default_factory=HandInventory)
    store: MemoryStore = field(default_factory=MemoryStore)

    def intake(
        self,
        limits: IntakeLimits | None = None,
        statsd: tuple[str, int] | None = None,
        scrape_timeout_s: float = 5.0,
    ) -> Intake:
        ports = Ports(self.inventory, self.store, self.store, self.clock)
        return Intake(ports, limits or IntakeLimits(), KEYS, statsd=statsd, scrape_timeout_s=scrape_timeout_s)
