"""The contract of everything that can balance."""

from collections.abc import Iterable
from typing import Protocol

from halage.balancer.model import Applied, Route, Target, TargetStatus


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
