"""Settings of an environment as people see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Origin(StrEnum):
    """Where the value of a setting comes from."""

    DEFAULT = "default"
    FILE = "halage.toml"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting with the value that holds."""

    path: str
    group: str
    value: Any
    """As it is written in halage.toml; None where it has none. What is secret in addresses is masked."""
    source: Origin
    said: Any = None
    """What would hold if nothing was set on the server."""
    is_pending: bool = False
    """Whether it is not in the release that serves: it waits for its deployment."""
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of an environment, in the order of the groups."""

    project: str
    environment: str
    release: int | None
    """The number of the release that they are compared with: that which serves, or the one asked for."""
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that a change makes another."""

    path: str
    before: Any
    after: Any
    is_live: bool
    """Whether it takes hold without new instances."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that somebody wants."""

    set: Mapping[str, Any] = field(default_factory=dict)
    """Values by path."""
    unset: tuple[str, ...] = ()
    """Paths that shall be as halage.toml says again."""
    is_whole: bool = False
    """Whether what `set` does not name is taken back too."""
    reason: str = ""
    is_preview: bool = False
    """Whether nothing is to be done yet."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a wish comes to."""

    differences: tuple[Difference, ...]
    deployment_id: int | None = None
    """The deployment that brings it; None for none: nothing is deployed, or nothing changes."""
    superseded_runs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PastChange:
    """A change of the settings on the server that was made."""

    id: int
    at: float
    by: str
    reason: str
    differences: tuple[Difference, ...]
    release: int | None
    """The number of the release that it was first in, once there is one."""
