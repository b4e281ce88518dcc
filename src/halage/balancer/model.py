"""Routes and targets: which host names lead to which instances."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The running check of the balancer: an HTTP GET of `path`, healthy when 2xx or 3xx answers."""

    path: str = "/"
    interval_s: float = 2.0
    timeout_s: float = 5.0
    rise: int = 2
    fall: int = 3


@dataclass(frozen=True, slots=True)
class Target:
    """One instance, as the balancer sees it."""

    id: str
    address: str
    port: int
    weight: int = 100
    check_path: str | None = None
    """What its check asks for; None: the path of its route. Two releases may differ in it."""


@dataclass(frozen=True, slots=True)
class Route:
    """A set of targets behind host names. `name` is `PROJECT.ENVIRONMENT`."""

    name: str
    hosts: tuple[str, ...]
    health: HealthCheck = HealthCheck()
    algorithm: str = "roundrobin"
    """`roundrobin` or `leastconn`."""


class TargetState(StrEnum):
    """What the balancer does with a target at this moment."""

    UP = "up"
    DOWN = "down"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """A target and its figures since it was added (they go on through a reload)."""

    route: str
    target: Target
    state: TargetState
    sessions: int
    requests: int
    responses_5xx: int
    bytes_in: int
    bytes_out: int
    last_check: str
    """The last check in words: `L7OK/200 in 1 ms`, `L4CON in 0 ms`."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply` did: whether it reloaded, and each route that was refused, with the reason."""

    reloaded: bool
    refused: dict[str, str]
    waiting: tuple[str, ...] = ()
    """Routes that need a reload that was not allowed: new ones are not served yet, others as before."""
