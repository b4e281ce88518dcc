"""Environments, releases, deployments and instances."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from halage.compute.model import TerminalSize
from halage.monitor.collect.model import Requests


class Colour(StrEnum):
    """The health of an environment at a glance."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    GREY = "grey"


class HealthStatus(StrEnum):
    """What the colour stands for, the gravest first; the last three say that there is nothing to judge."""

    SEVERE = "severe"
    """It does not serve: no instance is up, the balancer is silent, most requests fail."""
    DEGRADED = "degraded"
    """It serves less than half of what it should, or too many requests fail or are slow."""
    WARNING = "warning"
    """It serves; something is not as it should be."""
    INFO = "info"
    """All is well, and there is something to know: a deployment, an instance that was taken out."""
    OK = "ok"
    NO_DATA = "no_data"
    """Nothing has been deployed, so there is nothing to say."""
    SUSPENDED = "suspended"
    """Nothing serves because people want it so."""
    UNKNOWN = "unknown"
    """It has not been looked at yet."""

    @property
    def colour(self) -> Colour:
        """At a glance."""
        return _COLOURS[self.value]


_COLOURS = {
    "severe": Colour.RED,
    "degraded": Colour.RED,
    "warning": Colour.YELLOW,
    "info": Colour.GREEN,
    "ok": Colour.GREEN,
    "no_data": Colour.GREY,
    "suspended": Colour.GREY,
    "unknown": Colour.GREY,
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for a status: in words, with its numbers, and the instance that is to blame, if any."""

    kind: str
    """`balancer`, `none_up`, `failing`, `starting`, `missing`, `flapping`, `worker`, `errors`,
    `client_errors`, `latency`, `cpu`, `memory`, `release`, `deployment`, `taken_out`."""
    status: HealthStatus
    """What it alone would make of the environment."""
    text: str
    instance: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    """`share_percent`, `requests`, `for_s`, `value`, `threshold` ...: those that the words hold."""


@dataclass(frozen=True, slots=True)
class Health:
    """How an environment is, and why: the gravest cause first."""

    status: HealthStatus
    summary: str
    """One sentence."""
    causes: tuple[Cause, ...] = ()

    @property
    def colour(self) -> Colour:
        """At a glance."""
        return self.status.colour


class DeploymentState(StrEnum):
    """Where a deployment stands. The last four are final."""

    WAITING = "waiting"
    RUNNING = "running"
    ROLLING_BACK = "rolling_back"
    SUCCEEDED = "succeeded"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    SUPERSEDED = "superseded"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self in _FINAL


_FINAL = frozenset({"succeeded", "rolled_back", "failed", "superseded"})


class InstanceState(StrEnum):
    """Where an instance stands in its life."""

    STARTING = "starting"
    """Recorded; its process is being started or has not answered its probe yet."""
    READY = "ready"
    """Answered its probe; not in the balancer yet."""
    SERVING = "serving"
    """In the balancer."""
    TAKEN_OUT = "taken_out"
    """Out of the balancer because a person wants to look at it; its process goes on, it counts nowhere."""
    DRAINING = "draining"
    """Gets no new request; those under way go on."""
    KEPT = "kept"
    """Of the release before: gets no requests and runs on, so that it can be returned to at once."""
    STOPPING = "stopping"
    """Out of the balancer; its process is being ended."""
    STOPPED = "stopped"
    BROKEN = "broken"
    """Exited or never answered; `reason` says how."""


@dataclass(frozen=True, slots=True)
class Release:
    """A bundle plus the configuration of its environment at that moment; never changes."""

    id: int
    number: int
    """1, 2, 3 ... in its environment: people say `v7`."""
    project: str
    environment: str
    bundle_digest: str
    commit: str
    title: str
    """First line of the commit's message."""
    state: str
    """`new`, `current`, `good` (served and was replaced by a newer one), `left` (people rolled back
    from it), `failed`, `superseded` (never begun), `retired` (too old to return to)."""
    created_at: float
    created_by: str


@dataclass(frozen=True, slots=True)
class TakenOut:
    """That a person takes an instance out of the balancer to look at it."""

    by: str
    at: float
    replace: bool
    """Whether another one serves in its place, and serves before this one leaves."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One running copy of a release."""

    id: str
    project: str
    environment: str
    release_id: int
    release_number: int
    state: InstanceState
    attempt: int
    """1 at first, one more at each restart after it died."""
    address: str
    port: int
    started_at: float | None
    ready_at: float | None
    reason: str
    check: str = ""
    """The balancer's last check in words; empty when it is not in the balancer."""
    is_up: bool = False
    """Whether the balancer sends it requests now."""
    requests: int = 0
    process: str = "web"
    """Its kind: `web` gets requests, others are workers and get none."""
    is_protected: bool = False
    """Scaling does not take it away."""
    taken_out: TakenOut | None = None
    """Who wants to look at it; it may still be on its way out of the balancer."""
    cpu_percent: float | None = None
    """Of its type's processors, over the last minute."""
    memory_percent: float | None = None
    """Of its type's memory."""
    recent: Requests | None = None
    """Of the last minute; None: not known."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Time that one phase of a deployment took: prepare, release command, boot, route, drain, stop."""

    name: str
    duration_s: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class Deployment:
    """The change of an environment from one release to another."""

    id: int
    project: str
    environment: str
    kind: str
    """`deploy`, `rollback`, `restart`, `swap`."""
    state: DeploymentState
    release: Release
    previous_release: Release | None
    reason: str
    """What it waits for, or how it ended, in words."""
    done: int
    wanted: int
    """Instances that serve the release, and that shall."""
    phases: tuple[Phase, ...]
    created_at: float
    started_at: float | None
    finished_at: float | None
    deadline_at: float | None
    created_by: str
    run_id: int | None
    log_tail: str = ""
    """Last lines of the instance that failed it."""
    policy: str | None = None
    """By which it goes; None before it begins."""
    phase: str = ""
    """Where it stands while it is under way: one of `rollout.phases.PHASES`; else empty."""
    batch: int = 0
    batches: int = 0
    """The batch under way, and how many there are; 0 when that is not known."""


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable set by people. The value of a secret one is never read back."""

    name: str
    value: str | None
    is_secret: bool
    updated_at: float
    updated_by: str


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment as it is now: one source for every door."""

    project: str
    name: str
    colour: Colour
    cause: str
    """Why it has that colour, in words."""
    type: str
    wanted: int
    serving: int
    release: Release | None
    deployment: Deployment | None
    """The one under way, else the last one."""
    instances: tuple[Instance, ...]
    urls: tuple[str, ...]
    variables: tuple[Variable, ...] = ()
    configuration: dict[str, Any] = field(default_factory=dict)
    planned: int = 1
    """How many instances halage.toml says."""
    scaled: int | None = None
    """The number that people or an alarm scaled it to, which counts instead; None: what halage.toml says."""
    health: Health = Health(HealthStatus.UNKNOWN, "")
    """What the colour and the cause are taken from."""
    recent: Requests | None = None
    """Its requests of the last minute; None: not known."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that an instance wrote."""

    instance: str
    text: str


@dataclass(frozen=True, slots=True)
class ExecutionWish:
    """A command that somebody wants to run once in an environment."""

    command: tuple[str, ...] = ()
    """Its words; none: a shell."""
    instance: str | None = None
    """The instance to run it in; None: a fresh one of the running release, which gets no requests."""
    terminal: TerminalSize | None = None
    """None: without a terminal, its input and both outputs are apart."""
    terminal_kind: str = "xterm-256color"
    """What programs are told of the terminal (TERM)."""
    limit_s: float | None = None
    """After so long it is ended; None: the server's limit, which is the longest."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended: its exit code (128 + N for signal N), and why where not by itself."""

    exit_code: int | None
    reason: str = ""
