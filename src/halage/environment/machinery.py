"""Everything that environments are run with, in one frozen value that assembly fills."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from halage.balancer.driver import BalancerDriver
from halage.base.clock import Clock
from halage.base.database import Database
from halage.compute.accounts import Accounts
from halage.compute.driver import ComputeDriver
from halage.compute.model import InstanceType
from halage.environment.configuration import Sealer
from halage.environment.places import Places
from halage.environment.rollout.traffic import NO_TRAFFIC, Traffic
from halage.environment.routing import Routing


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator sets for all environments."""

    deadline_s: float = 900.0
    """For a whole deployment; a rollback gets as long again."""
    keep_releases: int = 5
    execution_s: float = 14400.0
    """For a command or a shell of a person: the longest, and what it gets unless it asks for less."""


@dataclass(frozen=True, slots=True)
class Machinery:
    """The services, drivers and settings that the domain works with."""

    database: Database
    clock: Clock
    compute: ComputeDriver
    balancer: BalancerDriver
    routing: Routing
    places: Places
    accounts: Accounts
    sealer: Sealer
    types: Mapping[str, InstanceType]
    limits: Limits
    traffic: Traffic = NO_TRAFFIC
    """What visitors got, as far as it was measured."""
    site_variables: Callable[[str, str], Mapping[str, str]] = lambda project, environment: {}
    """What the instances of an environment are told beside their own variables."""
