"""Which host names lead to which environment, and when the balancer may reload.

Targets come and go at run time, without a reload. A new environment or a changed health check
needs one; it waits until no deployment runs, and a deployment that needs one waits for it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import structlog

from halage.balancer.driver import BalancerDriver
from halage.balancer.model import Applied, HealthCheck, Route
from halage.environment.store import Place
from halage.site.model import EnvironmentPlan

PRODUCTION = "prod"
log = structlog.get_logger()


def route_name(place: Place) -> str:
    """The balancer's name of an environment."""
    return f"{place[0]}.{place[1]}"


def own_host(place: Place, domain: str) -> str:
    """The host name that an environment has by itself: PROJECT.DOMAIN or ENVIRONMENT.PROJECT.DOMAIN."""
    project, environment = place
    return f"{project}.{domain}" if environment == PRODUCTION else f"{environment}.{project}.{domain}"


def route_of(place: Place, plan: EnvironmentPlan, domain: str) -> Route:
    """The route of an environment with that plan."""
    check = plan.health
    health = HealthCheck(check.path, check.interval_s, check.timeout_s, check.rise, check.fall)
    return Route(route_name(place), (own_host(place, domain), *plan.domains), health)


class Routing:
    """Keeps the balancer's routes; lets deployments and reloads take turns."""

    def __init__(self, balancer: BalancerDriver, domain: str) -> None:
        self._balancer = balancer
        self._domain = domain
        self._routes: dict[Place, Route] = {}
        self._deploying = 0
        self._waiting = 0
        self._turn = asyncio.Condition()

    def host(self, place: Place) -> str:
        """The environment's own host name."""
        return own_host(place, self._domain)

    def hosts(self, place: Place) -> tuple[str, ...]:
        """Every host name that leads to the environment now."""
        route = self._routes.get(place)
        return route.hosts if route else (self.host(place),)

    async def load(self, plans: Mapping[Place, EnvironmentPlan]) -> None:
        """Make these the routes: at the start of the control plane."""
        self._routes = {place: route_of(place, plan, self._domain) for place, plan in plans.items()}
        await self._apply()

    async def change(self, plans: Mapping[Place, EnvironmentPlan | None]) -> dict[str, str]:
        """Set (or with None remove) routes; returns refused route names with the reason.

        Waits for the deployments under way if, and only if, the balancer has to reload for it.
        """
        routes = dict(self._routes)
        for place, plan in plans.items():
            if plan is None:
                routes.pop(place, None)
            else:
                routes[place] = route_of(place, plan, self._domain)
        if routes == self._routes:
            return {}
        self._routes = routes  # before anything is awaited: two changes at once must not lose one
        applied = await self._apply(allow_reload=False)
        if applied.waiting:
            async with self._alone():
                applied = await self._apply()
        return applied.refused

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        async with self._turn:
            self._waiting += 1
            try:
                await self._turn.wait_for(lambda: self._deploying == 0)
                yield
            finally:
                self._waiting -= 1
                self._turn.notify_all()

    async def enter(self) -> None:
        """A deployment begins: no reload until it has left."""
        async with self._turn:
            await self._turn.wait_for(lambda: self._waiting == 0)
            self._deploying += 1

    async def leave(self) -> None:
        """A deployment has ended."""
        async with self._turn:
            self._deploying -= 1
            self._turn.notify_all()

    async def _apply(self, *, allow_reload: bool = True) -> Applied:
        applied = await self._balancer.apply(list(self._routes.values()), allow_reload=allow_reload)
        for name, reason in applied.refused.items():
            log.warning("route refused", action="balancer:Apply", subject=name, reason=reason)
        return applied
