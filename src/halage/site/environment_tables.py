"""The models of one environment in halage.toml: its nine groups of settings. Keys are those of the plans
in `settings`, without the unit; the defaults are theirs.
"""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from halage.site import settings
from halage.site.amounts import (
    EVENTS,
    MOST_INSTANCES,
    Address,
    BatchSize,
    Cron,
    EventName,
    Expression,
    HttpUrl,
    Label,
    PrivateRange,
    Share,
    SourceRange,
    Suspendable,
    Zone,
    check_label,
)
from halage.site.values import (
    Branches,
    Command,
    Domains,
    Seconds,
    TypeName,
    UrlPath,
    Variables,
    as_list,
    refuse,
)

DAY_S = 86400.0
_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_RESERVED_KINDS = frozenset({"web", "release"})


def check_kinds(value: Any) -> Any:
    """Tables by the names of kinds of processes, but for those that are something else."""
    for name in value if isinstance(value, dict) else ():
        if name in _RESERVED_KINDS:
            raise refuse(
                'kinds other than "web" (that is the environment itself: its `instances` and `type`) '
                'and "release" ([run] release)'
            )
        check_label(name)
    return value


class Table(BaseModel):
    """A table of the file, in which a key that is not known is refused."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class GroupTable(Table):
    """A table that makes a plan of its own."""

    makes: ClassVar[type]


class TriggerTable(GroupTable):
    """A reason to change the number of instances."""

    makes = settings.Trigger
    name: Label
    """What decisions and graphs call it."""
    kind: settings.TriggerKind = Field(strict=False)
    """`step`: so many more or fewer past a threshold; `target`: keeps a metric at a value; `queue`: keeps the
    length of a queue at so many a worker."""
    expression: Expression = ""
    """Of a step and a target: what is measured, in the environment's own dimensions."""
    period: Seconds = Field(default=60.0, ge=1, le=3600)
    """The time that one value covers."""
    breach: Seconds = Field(default=60.0, ge=0, le=DAY_S)
    """How long a threshold must be passed without a break."""
    upper: float | None = None
    """Of a step: over it, instances are added."""
    lower: float | None = None
    """Of a step: under it, instances are taken away."""
    add: int = Field(default=1, ge=1, le=MOST_INSTANCES)
    """Of a step: how many are added."""
    remove: int = Field(default=1, ge=1, le=MOST_INSTANCES)
    """Of a step: how many are taken away."""
    target: float | None = Field(default=None, gt=0)
    """Of a target and a queue: the value that is kept."""
    per_instance: bool = True
    """Of a target: whether the value is that of one instance (requests) or of all (latency)."""
    command: Command | None = None
    """Of a queue: the line of shell that prints its length."""
    url: HttpUrl | None = None
    """Of a queue: the URL that answers with its length."""


class SizeTable(GroupTable):
    """Limits that hold from a moment on, until the next one says else."""

    makes = settings.ScheduledSize
    name: Label
    """What decisions and graphs call it."""
    cron: Cron
    """When it begins: minute, hour, day, month, weekday."""
    timezone: Zone = "UTC"
    """The time zone of `cron`."""
    minimum: int | None = Field(default=None, ge=0, le=MOST_INSTANCES)
    """The fewest instances from then on."""
    maximum: int | None = Field(default=None, ge=0, le=MOST_INSTANCES)
    """The most instances from then on."""
    instances: int | None = Field(default=None, ge=0, le=MOST_INSTANCES)
    """How many there are at that moment."""


class ScalingTable(GroupTable):
    """How many instances there are, and what changes that."""

    makes = settings.ScalingPlan
    minimum: int | None = Field(default=None, ge=0, le=MOST_INSTANCES)
    """The fewest instances, whatever triggers ask for."""
    maximum: int | None = Field(default=None, ge=1, le=MOST_INSTANCES)
    """The most instances, whatever triggers ask for."""
    triggers: list[TriggerTable] = []
    """What changes the number."""
    sizes: list[SizeTable] = []
    """Limits and numbers by the hour."""
    cool_down_out: Seconds = Field(default=60.0, ge=0, le=DAY_S)
    """After instances were added, none are added for so long."""
    cool_down_in: Seconds = Field(default=300.0, ge=0, le=DAY_S)
    """After the number was changed, none are taken away for so long."""
    warm_up: Seconds = Field(default=60.0, ge=0, le=3600)
    """For so long after it began to serve, an instance counts in no metric."""
    suspended: list[Suspendable] = []
    """What is not done for now: `out`, `in`, `schedule`, `replace`."""


class ProcessTable(GroupTable):
    """A kind of process beside `web`; it gets no requests."""

    makes = settings.ProcessKind
    command: Command | None = None
    """Line of shell that runs it, in the foreground; without one, the line of that name in the Procfile."""
    instances: int = Field(default=1, ge=0, le=MOST_INSTANCES)
    """How many there are."""
    type: TypeName | None = None
    """The size of each; without one, that of the environment."""
    scaling: ScalingTable | None = None
    """What changes their number."""


class CanaryTable(GroupTable):
    """What a canary gets, and is judged by."""

    makes = settings.CanaryPlan
    percent: Share = Field(default=10.0)
    """The share of requests that the new release gets."""
    duration: Seconds = Field(default=300.0, ge=1, le=DAY_S)
    """For how long."""
    most_errors_percent: Share = Field(default=1.0)
    """More 5xx than the old release has, by that many per cent of requests, sends it back."""
    slowest_ratio: float = Field(default=1.5, ge=1, le=100)
    """A p95 over that many times the old release's sends it back."""
    least_requests: int = Field(default=50, ge=0, le=1_000_000)
    """With fewer, it is judged by its health alone."""


class DeploymentTable(GroupTable):
    """How a release takes the place of another."""

    makes = settings.DeploymentPlan
    policy: settings.Policy = Field(default=settings.Policy.ROLLING_ADDITIONAL, strict=False)
    """`all_at_once`, `rolling`, `rolling_additional`, `immutable`, `canary` or `blue_green`."""
    batch: BatchSize = settings.Batch(count=1)
    """How many instances at a time: a number, or a share of those wanted, rounded up."""
    pause: Seconds = Field(default=0.0, ge=0, le=3600)
    """Between two batches."""
    deadline: Seconds | None = Field(default=None, ge=10, le=DAY_S)
    """Of the whole deployment; without one, the server's."""
    healthy_percent: Share = Field(default=100.0)
    """Of a batch that must serve before the next one begins."""
    rollback: bool = True
    """Whether a failure returns to the old release by itself."""
    keep_old: Seconds = Field(default=300.0, ge=0, le=DAY_S)
    """How long the old instances of `immutable` and `blue_green` stay, to go back at once."""
    canary: CanaryTable = CanaryTable()
    """What a canary gets, and is judged by."""
    maximum: int | None = Field(default=None, ge=1, le=100)
    """Instances at once on the way, old and new together; without one, 100."""


class BalancerTable(GroupTable):
    """How requests reach the instances."""

    makes = settings.BalancerPlan
    algorithm: settings.Algorithm = Field(default=settings.Algorithm.LEAST_CONNECTIONS, strict=False)
    """Which instance gets the next request: `round_robin`, `least_connections`, `source`."""
    https: settings.Https = Field(default=settings.Https.OFF, strict=False)
    """`off`, `on`, or `redirect`, which sends HTTP on to HTTPS."""
    stickiness: bool = False
    """A cookie leads a visitor to the same instance while it serves."""
    connect_timeout: Seconds = Field(default=2.0, ge=0.1, le=300)
    """How long a connection to an instance may take."""
    request_timeout: Seconds = Field(default=60.0, ge=0.1, le=3600)
    """How long an instance may take to begin its answer, and be silent within it."""
    idle_timeout: Seconds = Field(default=3600.0, ge=1, le=DAY_S)
    """How long both sides of a WebSocket may be silent."""
    slow_start: Seconds = Field(default=0.0, ge=0, le=3600)
    """How long a new instance takes until it gets its whole share of requests."""
    queue_timeout: Seconds = Field(default=10.0, ge=0, le=300)
    """How long a request may wait for an instance that has room."""
    most_connections: int = Field(default=0, ge=0, le=100_000)
    """To one instance at once; more wait in the queue. 0: no limit."""
    all_unhealthy: settings.AllUnhealthy = Field(default=settings.AllUnhealthy.FAIL_OPEN, strict=False)
    """When no instance passes its check: `fail_open` asks them all the same, `error_page` asks none."""


class LogTable(GroupTable):
    """How long its lines are kept: whichever is reached first, and never longer than on the server."""

    makes = settings.LogPlan
    keep_days: float | None = Field(default=None, ge=0.01, le=3650, strict=False)
    """Lines that are older go."""
    keep_mib: int | None = Field(default=None, ge=1, le=2**24)
    """With more, compressed, the oldest go; what its instances print and its access log together."""


class NetworkTable(GroupTable):
    """Who may reach the environment."""

    makes = settings.NetworkPlan
    allowed: Annotated[list[SourceRange], BeforeValidator(as_list), WithJsonSchema(_TEXTS)] = []
    """Addresses and ranges whose requests are answered; empty: all."""
    private_range: PrivateRange = "127.64.0.0/10"
    """Where instances get their addresses."""
    public_instances: bool = False
    """Whether an instance may be reached from outside past the balancer."""


class HealthTable(Table):
    """How an instance shows that it is well, and from when on the environment is said to be unwell."""

    path: UrlPath = "/"
    """Asked by GET; an answer of 2xx or 3xx is well."""
    interval: Seconds = Field(default=0.8, ge=0.1, le=300)
    """Time between two checks."""
    timeout: Seconds = Field(default=0.9, ge=0.1, le=300)
    """A check whose answer takes longer has failed; requests of visitors have `request_timeout`."""
    rise: int = Field(default=2, ge=1, le=20)
    """Passed checks in a row until it is well again."""
    fall: int = Field(default=2, ge=1, le=20)
    """Failed checks in a row until it is taken out."""
    warn_errors_percent: Share = Field(default=1.0)
    """The share of 5xx from which on the environment is yellow."""
    degrade_errors_percent: Share = Field(default=10.0)
    """The share of 5xx from which on it is red."""
    warn_p95_ms: float | None = Field(default=None, ge=1, le=3_600_000)
    """The p95 of answers, in milliseconds, from which on it is yellow."""
    degrade_p95_ms: float | None = Field(default=None, ge=1, le=3_600_000)
    """The p95 of answers, in milliseconds, from which on it is red."""
    warn_client_errors_percent: Share | None = Field(default=None)
    """The share of 4xx from which on it is yellow; by default they warn of nothing."""
    warn_cpu_percent: Share = Field(default=90.0)
    """The share of its processor that an instance may use."""
    warn_memory_percent: Share = Field(default=90.0)
    """The share of its memory that an instance may use."""
    least_requests: int = Field(default=20, ge=0, le=1_000_000)
    """In the last minute; with fewer, shares and percentiles say nothing."""
    replace_after: Seconds = Field(default=60.0, ge=1, le=DAY_S)
    """An instance that fails its check for so long is replaced."""


class NotificationTable(GroupTable):
    """Who is told of what."""

    makes = settings.Notification
    to: Annotated[
        list[Address], BeforeValidator(as_list), WithJsonSchema(_TEXTS), Field(min_length=1, max_length=20)
    ]
    """Addresses in Apprise's form, or `$NAME` of the secret variable that holds one."""
    on: Annotated[list[EventName], BeforeValidator(as_list), WithJsonSchema(_TEXTS), Field(min_length=1)] = [
        EVENTS[2],
        EVENTS[3],
        EVENTS[5],
        EVENTS[6],
    ]
    """Of `started`, `succeeded`, `failed`, `rolled_back`, `scaled`, `degraded`, `recovered`."""


class WindowTable(GroupTable):
    """A span of time in which deployments may begin, or may not."""

    makes = settings.Window
    cron: Cron
    """When it begins: minute, hour, day, month, weekday."""
    duration: Seconds = Field(ge=60, le=31 * DAY_S)
    """How long it lasts."""
    timezone: Zone = "UTC"
    """The time zone of `cron`."""
    allows: bool = True
    """Whether deployments may begin in it, or may not."""


class ScheduleTable(GroupTable):
    """When deployments may begin."""

    makes = settings.SchedulePlan
    windows: list[WindowTable] = Field(default=[], max_length=50)
    """Spans in which deployments may begin, or may not. Without an allowing one: whenever none forbids."""
    frozen: bool = False
    """Nothing is deployed until a person thaws it; a rollback always may."""
    frozen_reason: str = Field(default="", max_length=500, pattern=r"^[^\x00]*$")
    """Why it is frozen, for those who wait."""


class EnvironmentTable(Table):
    """One environment, such as dev, preprod or prod."""

    branch: Branches | None = None
    """The branch (or a list, or a pattern) that is deployed to it, in place of the default flow."""
    instances: int | None = Field(default=None, ge=1, le=50)
    """How many instances serve it."""
    type: TypeName = "micro"
    """The size of an instance."""
    health: HealthTable = HealthTable()
    """How an instance shows that it is well, and from when on the environment is said to be unwell."""
    domains: Domains = []
    """Host names of its own, besides the one that Halage gives."""
    approval: bool | None = None
    """Whether a person must approve each deployment to it."""
    env: Variables = {}
    """Variables of this environment only; they win over [env]."""
    detailed_monitoring: bool = False
    """Measure it every second instead of every 10."""
    scaling: ScalingTable = ScalingTable()
    """How many instances there are, and what changes that."""
    processes: Annotated[dict[str, ProcessTable], BeforeValidator(check_kinds)] = {}
    """Kinds of processes beside `web`, by name."""
    logs: LogTable = LogTable()
    """How long its lines are kept."""
    deployments: DeploymentTable = DeploymentTable()
    """How a release takes the place of another."""
    balancer: BalancerTable = BalancerTable()
    """How requests reach the instances."""
    network: NetworkTable = NetworkTable()
    """Who may reach the environment."""
    notifications: list[NotificationTable] = Field(default=[], max_length=50)
    """Who is told of what."""
    schedule: ScheduleTable = ScheduleTable()
    """When deployments may begin."""
