"""The contract of everything that can balance."""

from collections.abc import Iterable
from typing import Protocol

from halage.balancer.model import (
    AccessPart,
    Applied,
    BalancerFigures,
    LogPlace,
    Route,
    Target,
    TargetStatus,
)


class BalancerDriver(Protocol):
    """Sends visitors to targets, and outlives the control plane.

    Order of calls: `apply` first (it starts the balancer, or adopts the one that runs), then for
    each target `add`, `drain`, `remove`. Calls may run at the same time. All are idempotent.
    Every method raises BalancerDown when the balancer does not answer. A balancer that dies is
    started again by the driver within a second, with the routes and targets that it had.
    """

    async def apply(self, routes: Iterable[Route], *, allow_reload: bool = True) -> Applied:
        """Make these the routes; each is validated alone and a bad one stops no other.

        Targets of routes that stay are kept; a route that is gone is removed with its targets.
        Changes that the balancer cannot take at run time need a reload, which loses no request;
        nothing is reloaded when nothing of that kind changed. Without `allow_reload` (while a
        deployment runs) such changes wait, are named in the answer, and are made by the next
        `apply` that may reload; all others are made. A refused or waiting route that was served
        before is served as before. A host name belongs to one route: the one that has it keeps it.
        """
        ...

    async def add(self, route: str, target: Target) -> None:
        """Send requests to a target that is known to be healthy: it takes part at once, checked from then on.

        Adding a draining target again brings it back; one that is there already keeps its health.
        Raises NoSuchRoute, BalancerRefused.
        """
        ...

    async def drain(self, route: str, target_id: str) -> None:
        """Send it no new request; those under way go on. Unknown targets are ignored."""
        ...

    async def remove(self, route: str, target_id: str) -> None:
        """Take it out, cutting what is still under way. Unknown targets are ignored."""
        ...

    async def status(self, route: str | None = None) -> list[TargetStatus]:
        """Every target (of one route) with its state and figures."""
        ...

    async def close(self) -> None:
        """Let go of the balancer without stopping it."""
        ...

    async def stop(self) -> None:
        """End the balancer: visitors are refused from now on. For a removal of the product and for tests."""
        ...


class HasFigures(Protocol):
    """The optional ability to count what goes through targets and routes."""

    async def figures(self) -> BalancerFigures:
        """All counts in one look. They only grow, through reloads as well, for as long as the target or
        the route is there; after a death of the balancer what it counted since the last look is missing.

        Raises BalancerDown.
        """
        ...


class WritesAccessLog(Protocol):
    """The optional ability to tell of each request that ended, also of those while nobody listened.

    The log outlives the control plane. One reader: it keeps its place, reads from it, and releases
    what it has done with.
    """

    def read_access_log(self, place: LogPlace | None, limit_bytes: int) -> AccessPart:
        """The next lines from a place (None, or one in a file that is gone: the beginning). Blocks shortly.

        What was cut off or given back is skipped, and told as lost. Raises OSError.
        """
        ...

    def release_access_log(self, place: LogPlace) -> None:
        """What is before this place is not needed any more: the disk may have it back.

        What is behind it is kept up to four times the limit of the log, come what may.
        """
        ...
