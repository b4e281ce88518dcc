"""What there is to watch: told by the domains above, through one method."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from halage.compute.model import InstanceType


def place_name(project: str, environment: str | None = None) -> str:
    """A project or one environment of it in one word: `shop`, `shop.prod`."""
    return project if environment is None else f"{project}.{environment}"


def place_names(project: str | None, environment: str | None) -> tuple[str, ...]:
    """The names of a project and of an environment of it, as far as something has them."""
    if project is None:
        return ()
    return (project,) if environment is None else (project, place_name(project, environment))


@dataclass(frozen=True, slots=True)
class WatchedInstance:
    """An instance that exists now."""

    project: str
    environment: str
    id: str
    """Also its target's id in the balancer."""
    unit_id: str
    """The present attempt, as compute knows it."""
    type: InstanceType
    address: str
    port: int
    is_serving: bool
    restarts: int
    """How often it was started again after it died."""


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How long lines of an environment are kept, and how much of them; None: the server's limits alone."""

    keep_s: float | None = None
    keep_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class WatchedEnvironment:
    """An environment that exists now."""

    project: str
    name: str
    wanted: int
    """Instances that shall serve; 0 before the first release."""
    instances: tuple[WatchedInstance, ...]
    ended_units: tuple[tuple[str, str], ...]
    """(instance id, unit id) of ended copies whose output is still kept."""
    is_detailed: bool
    """Sampled every second instead of every 10."""
    metrics_path: str | None
    """Where its instances answer in Prometheus' text format."""
    domains: tuple[str, ...]
    """Its own host names, whose certificates are looked at."""
    is_deploying: bool
    has_release: bool = True
    """A release was deployed here or is on its way; before that there is nothing to measure."""
    certificate_ends: tuple[tuple[str, float], ...] = ()
    """(host name, seconds since the epoch) of those that Halage itself serves by HTTPS: nobody need ask."""
    log_limits: LogLimits = LogLimits()
    secrets: tuple[str, ...] = ()
    """Values that are masked in what its instances print."""

    def __repr__(self) -> str:
        return f"WatchedEnvironment({self.project}.{self.name})"


@dataclass(frozen=True, slots=True)
class Workload:
    """How much Halage itself has to do."""

    open_runs: int
    queued_jobs: int
    running_jobs: int
    open_deployments: int


class Inventory(Protocol):
    """Tells what there is. Called every second or so: cheap, and a copy that nobody changes."""

    async def environments(self) -> Sequence[WatchedEnvironment]:
        """Every environment of every project."""
        ...

    async def workload(self) -> Workload:
        """What waits and what is under way."""
        ...
