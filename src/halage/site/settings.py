"""The settings of an environment in nine groups, as the domains above use them. Times in seconds.

`halage.toml` says them ([environments.NAME.GROUP]), people may set others over that on the server,
and a release keeps the ones that it was made with.
"""

from dataclasses import dataclass
from enum import StrEnum

# -- 1. scaling


class TriggerKind(StrEnum):
    """What a trigger is."""

    STEP = "step"
    """Adds and takes away so many instances while a metric is over or under a threshold."""
    TARGET = "target"
    """Keeps a metric at a value, by proportion."""
    QUEUE = "queue"
    """Keeps the length of a queue, told by a command or a URL, at so many a worker."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A reason to change the number of instances. What does not belong to its kind is left as it is."""

    name: str
    kind: TriggerKind
    expression: str = ""
    """Of a step and a target: an expression over metrics, in the environment's own dimensions; or one of the
    words `requests`, `in_flight`, `queue`, `cpu`, `memory`, `latency`."""
    period_s: float = 60.0
    breach_s: float = 60.0
    """How long a threshold must be passed without a break before it counts."""
    upper: float | None = None
    lower: float | None = None
    add: int = 1
    remove: int = 1
    target: float | None = None
    per_instance: bool = True
    """Of a target: whether it is what one instance takes of an amount of all (requests a second, requests in
    flight), or a level that all have in common (CPU in per cent, latency). A preset knows it by itself."""
    command: str | None = None
    url: str | None = None
    """Of a queue: what prints, or answers with, its length as a number."""


@dataclass(frozen=True, slots=True)
class ScheduledSize:
    """Limits and a number that hold from a moment on, by cron and time zone, until the next one says else."""

    name: str
    cron: str
    timezone: str = "UTC"
    minimum: int | None = None
    maximum: int | None = None
    instances: int | None = None


@dataclass(frozen=True, slots=True)
class ScalingPlan:
    """How many instances there are, and what changes that."""

    minimum: int | None = None
    maximum: int | None = None
    """None: the number of instances that the environment says."""
    triggers: tuple[Trigger, ...] = ()
    sizes: tuple[ScheduledSize, ...] = ()
    cool_down_out_s: float = 60.0
    cool_down_in_s: float = 300.0
    warm_up_s: float = 60.0
    """For so long after it began to serve, an instance counts in no metric."""
    suspended: tuple[str, ...] = ()
    """`out`, `in`, `schedule`, `replace`: what is not done for now."""

    def within(self, instances: int) -> int:
        """A number of instances within the limits that are set; the minimum counts before the maximum."""
        number = instances if self.maximum is None else min(instances, self.maximum)
        return number if self.minimum is None else max(number, self.minimum)


# -- 2. instances (the type and the number stay in EnvironmentPlan)


@dataclass(frozen=True, slots=True)
class ProcessKind:
    """A kind of process of the site: `web` gets requests, others (workers) get none."""

    name: str
    command: str | None = None
    """None: the line of that name in the Procfile."""
    instances: int = 1
    type: str | None = None
    scaling: ScalingPlan | None = None

    @property
    def planned(self) -> int:
        """How many there are unless something else was asked for: the number, within its limits."""
        return self.instances if self.scaling is None else self.scaling.within(self.instances)


# -- 3. software (the commands stay in RunPlan)


@dataclass(frozen=True, slots=True)
class LogPlan:
    """How long the lines that its instances print and its access log are kept: whichever is reached first."""

    keep_days: float | None = None
    keep_mib: int | None = None
    """Compressed, both together. None: the server's limits alone, which hold beside these."""


# -- 4. deployments


class Policy(StrEnum):
    """How an environment goes from one release to the next."""

    ALL_AT_ONCE = "all_at_once"
    ROLLING = "rolling"
    ROLLING_ADDITIONAL = "rolling_additional"
    IMMUTABLE = "immutable"
    CANARY = "canary"
    BLUE_GREEN = "blue_green"


@dataclass(frozen=True, slots=True)
class Batch:
    """How many instances at a time: a number, or a share (per cent) of those wanted, rounded up."""

    count: int | None = None
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class CanaryPlan:
    """The share of requests (per cent) that a new release gets for a time, and what it is judged by."""

    percent: float = 10.0
    duration_s: float = 300.0
    most_errors_percent: float = 1.0
    """More 5xx than the old release has, by that many per cent of requests, sends it back."""
    slowest_ratio: float = 1.5
    """A p95 over that many times the old release's sends it back."""
    least_requests: int = 50
    """With fewer, it is judged by its health alone, and the report says so."""


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """How a release takes the place of another."""

    policy: Policy = Policy.ROLLING_ADDITIONAL
    batch: Batch = Batch(count=1)
    pause_s: float = 0.0
    """Between two batches."""
    deadline_s: float | None = None
    """Of the whole deployment; None: the server's."""
    healthy_percent: float = 100.0
    """Of a batch that must serve before the next begins."""
    rollback: bool = True
    """Whether a failure returns to the old release by itself; else it stops, red, and a person decides."""
    keep_old_s: float = 300.0
    """How long the old instances of immutable and blue/green stay out of the balancer, to go back at once."""
    canary: CanaryPlan = CanaryPlan()
    maximum: int | None = None
    """Instances at once on the way, old and new together; None: as many as an environment may have (100)."""


# -- 5. balancer


class Algorithm(StrEnum):
    """Which instance gets the next request."""

    ROUND_ROBIN = "round_robin"
    LEAST_CONNECTIONS = "least_connections"
    SOURCE = "source"
    """By the visitor's address."""


class Https(StrEnum):
    """What HTTPS an environment has."""

    OFF = "off"
    ON = "on"
    REDIRECT = "redirect"
    """HTTP is sent on to HTTPS."""


class AllUnhealthy(StrEnum):
    """What visitors get when no instance passes its check."""

    ERROR_PAGE = "error_page"
    FAIL_OPEN = "fail_open"
    """Requests go to all of them as if they were well."""


@dataclass(frozen=True, slots=True)
class BalancerPlan:
    """How requests reach the instances."""

    algorithm: Algorithm = Algorithm.LEAST_CONNECTIONS
    https: Https = Https.OFF
    stickiness: bool = False
    """A cookie leads a visitor to the same instance while it serves."""
    connect_timeout_s: float = 2.0
    request_timeout_s: float = 60.0
    """How long an instance may take to begin its answer, and be silent within it."""
    idle_timeout_s: float = 3600.0
    """How long both sides of a WebSocket may be silent."""
    slow_start_s: float = 0.0
    """For so long an instance that comes gets less than its share, more and more."""
    queue_timeout_s: float = 10.0
    """How long a request may wait for an instance."""
    most_connections: int = 0
    """To one instance at once; more wait in the queue. 0: no limit."""
    all_unhealthy: AllUnhealthy = AllUnhealthy.FAIL_OPEN


# -- 6. network


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """Who may reach the environment."""

    allowed: tuple[str, ...] = ()
    """Addresses and ranges (CIDR) whose requests are answered; empty: all."""
    private_range: str = "127.64.0.0/10"
    """Where instances get their addresses."""
    public_instances: bool = False
    """Whether an instance may be reached from outside past the balancer."""


# -- 7. health (the check itself stays in HealthPlan)


@dataclass(frozen=True, slots=True)
class HealthRules:
    """From when on the environment is said to be unwell."""

    warn_errors_percent: float = 1.0
    degrade_errors_percent: float = 10.0
    warn_p95_ms: float | None = None
    degrade_p95_ms: float | None = None
    warn_client_errors_percent: float | None = None
    """4xx are the visitors' own by default and warn of nothing."""
    warn_cpu_percent: float = 90.0
    warn_memory_percent: float = 90.0
    least_requests: int = 20
    """In the last minute; with fewer, shares and percentiles say nothing."""
    replace_after_s: float = 60.0
    """An instance that fails its check for so long is replaced."""


# -- 8. notifications


@dataclass(frozen=True, slots=True)
class Notification:
    """Who (addresses in apprise's form) is told of what."""

    to: tuple[str, ...]
    on: tuple[str, ...] = ("failed", "rolled_back", "degraded", "recovered")
    """Of: started, succeeded, failed, rolled_back, scaled, degraded, recovered."""


# -- 9. schedule


@dataclass(frozen=True, slots=True)
class Window:
    """A span of the week in which deployments may begin, or may not."""

    cron: str
    duration_s: float
    timezone: str = "UTC"
    allows: bool = True


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """When deployments may begin. Without an allowing window, at any time that no other one forbids."""

    windows: tuple[Window, ...] = ()
    frozen: bool = False
    """Nothing is deployed until a person thaws it; a rollback always may."""
    frozen_reason: str = ""
