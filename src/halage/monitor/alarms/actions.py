"""What alarms can do to environments: a contract that the domain above keeps."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Standing:
    """How an environment is now, as far as an alarm wants to change it."""

    wanted: int
    """Instances that shall serve."""
    release: int | None
    """The number of the release that is current; None before the first one."""
    deployed_at: float | None
    """When a deployment (no rollback, no restart) last succeeded here; None: never, or it is not known."""


class Actuator(Protocol):
    """Changes environments. Each change is decided and recorded first, so doing it twice does no more.

    Methods may be called at any time and in any order, one at a time for an environment. They raise a
    HalageError when the environment does not allow the change now; the alarm tries again later.
    """

    async def look(self, project: str, environment: str) -> Standing:
        """How it is now. Raises NotFound."""
        ...

    async def scale(self, project: str, environment: str, to: int, reason: str) -> None:
        """Let `to` instances serve; nothing to do when so many are wanted already."""
        ...

    async def rollback(self, project: str, environment: str, leaving: int, reason: str) -> None:
        """Return from release `leaving` to the last good one; nothing to do when another is current."""
        ...
