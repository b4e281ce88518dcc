"""Routes and targets: which host names lead to which instances, and what went through them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The running check of the balancer: an HTTP GET of `path`, healthy when 2xx or 3xx answers."""

    path: str = "/"
    interval_s: float = 0.8
    timeout_s: float = 0.9
    """For the answer to a check; requests of visitors have `Timeouts.request_s`."""
    rise: int = 2
    fall: int = 2


@dataclass(frozen=True, slots=True)
class Target:
    """One instance, as the balancer sees it."""

    id: str
    address: str
    port: int
    weight: int = 100
    check_path: str | None = None
    """What its check asks for; None: the path of its route. Two releases may differ in it."""
    share: float | None = None
    """Percent of the route's requests that it gets by lot, whatever the algorithm; None: no lot, the
    algorithm has it in its turn. Those of a route that have one have the same. Where visitors come back
    to the same target, the lot falls once for each visitor."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long things may take, in seconds."""

    connect_s: float = 2.0
    request_s: float = 60.0
    """From the whole request to the head of the answer, and between two parts of the answer."""
    idle_s: float = 3600.0
    """A connection on which both sides are silent after it was handed over (WebSocket)."""
    queue_s: float = 10.0
    """For a target that is free."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a route shows to visitors who come by HTTPS, and the key that proves it."""

    chain: str
    """PEM: the certificate itself first, then those that lead from it to an authority."""
    key: str = field(repr=False)
    """PEM, without a password."""
    names: tuple[str, ...]
    """Host names that it is good for; `*.` at the beginning stands for one label."""
    ends_at: float


class Https(StrEnum):
    """What visitors of a route get by HTTPS."""

    OFF = "off"
    ON = "on"
    REDIRECT = "redirect"
    """HTTP is sent on to HTTPS, for the host names that the certificate is good for."""


@dataclass(frozen=True, slots=True)
class Route:
    """A set of targets behind host names. `name` is `PROJECT.ENVIRONMENT`."""

    name: str
    hosts: tuple[str, ...]
    health: HealthCheck = HealthCheck()
    algorithm: str = "leastconn"
    """`roundrobin`, `leastconn` or `source` (the same visitor's address to the same target)."""
    timeouts: Timeouts = Timeouts()
    is_sticky: bool = False
    """A cookie leads a visitor to the same target for as long as that may get requests."""
    slow_start_s: float = 0.0
    """A target that comes (back) gets its whole share after so long."""
    most_connections: int = 0
    """To one target at once; what is more waits. 0: no limit."""
    fails_open: bool = True
    """When no target passes its check, requests go to all of them; else the error page answers."""
    allowed: tuple[str, ...] = ()
    """Addresses and ranges (CIDR) that are answered; empty: all."""
    https: Https = Https.OFF
    certificate: Certificate | None = None


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
    connections: int = 0
    """Connections that were opened to it; each carries many requests."""
    retries: int = 0
    """Attempts to reach it that failed and were made again, here or at another target.

    HAProxy 2.6 counts one that was taken and answered with nothing twice."""
    failed_checks: int = 0
    queue: int = 0
    """Requests that wait for it alone."""


@dataclass(frozen=True, slots=True)
class RouteStatus:
    """What goes through a route, and its figures (they go on through a reload)."""

    route: str
    in_flight: int
    queue: int
    """Requests that wait for a target to be free."""
    bytes_in: int
    bytes_out: int
    connections: int
    retries: int


@dataclass(frozen=True, slots=True)
class BalancerFigures:
    """Everything that the balancer counts, looked at in one moment."""

    targets: Sequence[TargetStatus]
    routes: Sequence[RouteStatus]


class Visit(NamedTuple):
    """One request that ended, as the access log tells of it. A tuple: there may be 100,000 a second."""

    at: float | None
    """When it ended (seconds, epoch). None: the line cannot be read, and only `text` and `end` are told."""
    route: str | None
    """None when its host name belongs to no route."""
    target: str | None
    """None when no target got it: there was none, or the balancer answered by itself."""
    status: int
    """-1 when the visitor went away before there was one."""
    target_ms: int | None
    """From the moment that the target was reached to the head of its answer."""
    response_ms: int | None
    """The same from the moment that the request was read: with queueing and retries. Of an error of the

    balancer's own: to its end. None when there was no answer."""
    text: bytes
    """The line: a JSON object, or as it stands where it cannot be read. Without its break."""
    end: int
    """Where the next line begins in the file."""


@dataclass(frozen=True, slots=True)
class LogPlace:
    """A place in the access log that stays true: a new file has another `file`."""

    file: int
    offset: int


@dataclass(frozen=True, slots=True)
class AccessPart:
    """A piece of the access log: whole lines, oldest first; `place` is behind the last of them."""

    visits: Sequence[Visit]
    place: LogPlace
    lost_bytes: int = 0
    """What had been given back to the disk before it was read; the piece begins behind it."""
    is_all: bool = True
    """Whether there was no more at that moment."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply` did: whether it reloaded, and each route that was refused, with the reason."""

    reloaded: bool
    refused: dict[str, str]
    waiting: tuple[str, ...] = ()
    """Routes that need a reload that was not allowed: new ones are not served yet, others as before."""
