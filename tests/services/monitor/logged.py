"""What the tests of logs share: an inventory by hand, a writer that remembers, logs around both."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from halage.base.clock import Clock
from halage.base.database import Database
from halage.base.journal import Journal
from halage.base.schema import metadata
from halage.compute.driver import ComputeDriver
from halage.compute.model import STANDARD_TYPES, Limits, UnitSpec
from halage.monitor.inventory import WatchedEnvironment, WatchedInstance, Workload
from halage.monitor.logs.keeper import Surroundings
from halage.monitor.logs.model import KeptLine, Search
from halage.monitor.logs.service import Logs
from halage.monitor.logs.store import KeepLimits
from halage.monitor.metrics.model import Sample

GROUP = "shop.prod/instances"


def spec_of(unit_id: str) -> UnitSpec:
    return UnitSpec(unit_id, ("serve",), "/", {}, Limits(1, 1))


@dataclass
class ByHand:
    """The environment `prod` of `shop` as a test says it is; samples are remembered."""

    instances: list[str] = field(default_factory=list)
    """Units that run: the instance is what is before the last dot."""
    ended: list[str] = field(default_factory=list)
    secrets: tuple[str, ...] = ()
    samples: list[tuple[float, Sample]] = field(default_factory=list)

    async def environments(self) -> Sequence[WatchedEnvironment]:
        return [
            WatchedEnvironment(
                project="shop",
                name="prod",
                wanted=len(self.instances),
                instances=tuple(_instance(unit) for unit in self.instances),
                ended_units=tuple((unit.rpartition(".")[0], unit) for unit in self.ended),
                is_detailed=False,
                metrics_path=None,
                domains=(),
                is_deploying=False,
                secrets=self.secrets,
            )
        ]

    async def workload(self) -> Workload:
        return Workload(0, 0, 0, 0)

    def write(self, at: float, resolution_s: int, samples: Sequence[Sample]) -> None:
        self.samples += [(at, sample) for sample in samples]

    def seal(self, text: str) -> str:
        return text

    def open(self, sealed: str) -> str:
        return sealed


def _instance(unit: str) -> WatchedInstance:
    name = unit.rpartition(".")[0]
    return WatchedInstance("shop", "prod", name, unit, STANDARD_TYPES["micro"], "127.1.0.1", 8000, True, 0)


@asynccontextmanager
async def keeping(
    directory: Path, clock: Clock, compute: ComputeDriver, by_hand: ByHand, limits: KeepLimits | None = None
) -> AsyncIterator[Logs]:
    """Logs over a directory; their rounds are the test's."""
    database = Database(f"sqlite:///{directory}/halage.db", clock=clock, journal=Journal())
    metadata.create_all(database.engine)
    around = Surroundings(directory / "logs", clock, compute, by_hand, limits or KeepLimits())
    try:
        async with Logs(around, database, by_hand, by_hand) as logs:
            yield logs
    finally:
        database.close()


async def lines_of(logs: Logs, group: str = GROUP, search: Search | None = None) -> list[KeptLine]:
    """All lines, oldest first."""
    page = await logs.search([group], search or Search(), limit=100_000)
    assert page.problems == ()
    return list(reversed(page.lines))


async def texts_of(logs: Logs, group: str = GROUP) -> list[str]:
    """Their texts."""
    return [line.words for line in await lines_of(logs, group)]
