"""A site as Halage understands it: what its halage.toml says over the defaults of its kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from halage.site.settings import (
    BalancerPlan,
    DeploymentPlan,
    HealthRules,
    LogPlan,
    NetworkPlan,
    Notification,
    ProcessKind,
    ScalingPlan,
    SchedulePlan,
)


class Kind(StrEnum):
    """What a site is written in; decides how it is built, tested and served by default."""

    LARAVEL = "laravel"
    PHP = "php"
    PYTHON = "python"
    NODE = "node"
    STATIC = "static"


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """Commands that make the site ready to run, in order, each a line of shell."""

    commands: tuple[str, ...] = ()
    network: bool = True
    timeout_s: float = 900.0


@dataclass(frozen=True, slots=True)
class TestPlan:
    """Commands that test it after the build, and where their JUnit XML reports are (globs)."""

    commands: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    timeout_s: float = 900.0
    required: bool = False
    """Refuse a commit that has no tests (else the run says in yellow that nothing was tested)."""

    __test__ = False


@dataclass(frozen=True, slots=True)
class RunPlan:
    """How an instance is run. `start` None means: served by the template of the kind."""

    start: str | None = None
    release_command: str | None = None
    """Runs once for each release and environment before an instance starts (migrations)."""
    persistent: tuple[str, ...] = ()
    """Paths, relative to the root of the site, that live outside the release."""
    document_root: str = "."
    php_development_server: bool = False
    """Serve by `php -S` in place of php-fpm and nginx; only because the site asks for it."""
    boot_timeout_s: float = 60.0
    drain_timeout_s: float = 30.0
    stop_timeout_s: float = 10.0
    metrics: str | None = None
    """Path at which each instance answers in Prometheus' text format, to be scraped."""


@dataclass(frozen=True, slots=True)
class HealthPlan:
    """How an instance shows that it is well: an HTTP GET answered with 2xx or 3xx."""

    path: str = "/"
    interval_s: float = 0.8
    timeout_s: float = 0.9
    rise: int = 2
    fall: int = 2


@dataclass(frozen=True, slots=True)
class EnvironmentPlan:
    """One environment of the site."""

    name: str
    instances: int = 1
    type: str = "micro"
    health: HealthPlan = HealthPlan()
    domains: tuple[str, ...] = ()
    approval: bool = False
    variables: Mapping[str, str] | None = None
    detailed_monitoring: bool = False
    """Sampled every second instead of every 10."""
    scaling: ScalingPlan = ScalingPlan()
    processes: tuple[ProcessKind, ...] = ()
    """Kinds of processes beside `web`, which the environment's own type and number are of."""
    logs: LogPlan = LogPlan()
    deployments: DeploymentPlan = DeploymentPlan()
    balancer: BalancerPlan = BalancerPlan()
    network: NetworkPlan = NetworkPlan()
    health_rules: HealthRules = HealthRules()
    notifications: tuple[Notification, ...] = ()
    schedule: SchedulePlan = SchedulePlan()
    said: tuple[str, ...] = ()
    """The paths of the settings that halage.toml gives; the others are defaults."""


@dataclass(frozen=True, slots=True)
class FlowRule:
    """Where a branch goes: `pattern` (`feature/*`) and its stages: `test`, `approval`, environment names."""

    pattern: str
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that one commit says about how it is built, tested, run and where it goes."""

    kind: Kind
    build: BuildPlan
    test: TestPlan
    run: RunPlan
    variables: Mapping[str, str]
    environments: Mapping[str, EnvironmentPlan]
    flow: tuple[FlowRule, ...]
    warnings: tuple[str, ...] = ()
    procfile: Mapping[str, str] = field(default_factory=dict)
    """Kinds of processes that the Procfile names beside `web` and `release`, with their commands."""
