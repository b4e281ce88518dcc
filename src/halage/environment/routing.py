"""Which host names lead to which environment, and when the balancer may reload.

Targets come and go at run time, without a reload. A new environment or a changed health check
needs one; it waits until no deployment runs, and a deployment that needs one waits for it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

import structlog

from halage.balancer.driver import BalancerDriver
from halage.balancer.model import Applied, Certificate, HealthCheck, Https, Route, Target, Timeouts
from halage.balancer.rules import secured_hosts
from halage.environment.certificates.keeper import CONSOLE, Certificates
from halage.environment.tables.store import Place
from halage.site.model import EnvironmentPlan
from halage.site.settings import Algorithm, AllUnhealthy

PRODUCTION = "prod"
CONSOLE_CHECK = "/api/v1/health"
log = structlog.get_logger()


def route_name(place: Place) -> str:
    """The balancer's name of an environment."""
    return f"{place[0]}.{place[1]}"


def own_host(place: Place, domain: str) -> str:
    """The host name that an environment has by itself: PROJECT.DOMAIN or ENVIRONMENT.PROJECT.DOMAIN."""
    project, environment = place
    return f"{project}.{domain}" if environment == PRODUCTION else f"{environment}.{project}.{domain}"


def route_of(place: Place, plan: EnvironmentPlan, domain: str, certificate: Certificate | None) -> Route:
    """The route of an environment with that plan."""
    check, traffic = plan.health, plan.balancer
    https = Https(traffic.https.value)
    return Route(
        name=route_name(place),
        hosts=hosts_of(place, plan, domain),
        health=HealthCheck(check.path, check.interval_s, check.timeout_s, check.rise, check.fall),
        algorithm=_ALGORITHMS[traffic.algorithm],
        timeouts=Timeouts(
            traffic.connect_timeout_s,
            traffic.request_timeout_s,
            traffic.idle_timeout_s,
            traffic.queue_timeout_s,
        ),
        is_sticky=traffic.stickiness,
        slow_start_s=traffic.slow_start_s,
        most_connections=traffic.most_connections,
        fails_open=traffic.all_unhealthy is AllUnhealthy.FAIL_OPEN,
        allowed=plan.network.allowed,
        https=https,
        certificate=certificate if https is not Https.OFF else None,
    )


def hosts_of(place: Place, plan: EnvironmentPlan, domain: str) -> tuple[str, ...]:
    """Every host name that leads to an environment with that plan."""
    return (own_host(place, domain), *plan.domains)


_ALGORITHMS = {
    Algorithm.ROUND_ROBIN: "roundrobin",
    Algorithm.LEAST_CONNECTIONS: "leastconn",
    Algorithm.SOURCE: "source",
}


@dataclass(frozen=True, slots=True)
class ConsoleDoor:
    """A host name at which visitors reach the console, the API and git, and where those listen."""

    host: str
    https: Https
    address: str
    port: int


def console_route(door: ConsoleDoor, certificate: Certificate | None) -> Route:
    """The route of the console. What it answers with may take long to begin: git, streams."""
    return Route(
        name=CONSOLE,
        hosts=(door.host,),
        timeouts=Timeouts(request_s=900.0),
        https=door.https,
        certificate=certificate if door.https is not Https.OFF else None,
    )


class Routing:
    """Keeps the balancer's routes; lets deployments and reloads take turns."""

    def __init__(
        self,
        balancer: BalancerDriver,
        domain: str,
        certificates: Certificates,
        https_port: int | None = None,
        console: ConsoleDoor | None = None,
    ) -> None:
        """`https_port`: where visitors come by HTTPS, if they can."""
        self._balancer = balancer
        self._domain = domain
        self._https_port = https_port
        self.certificates = certificates
        self._plans: dict[Place, EnvironmentPlan] = {}
        self._routes: dict[Place, Route] = {}
        self.console = console
        self._console_route: Route | None = None
        self._refused: Mapping[str, str] = {}
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

    def knows(self, place: Place) -> bool:
        """Whether there is a route of that environment."""
        return place in self._plans

    def secured_hosts(self, place: Place | None) -> tuple[str, ...]:
        """Those of them (None: the console's) that are served by HTTPS."""
        route = self._console_route if place is None else self._routes.get(place)
        return secured_hosts(route) if route is not None and route.name not in self._refused else ()

    def certificate_ends(self, place: Place) -> tuple[tuple[str, float], ...]:
        """When the certificate of each host name ends that is served by HTTPS."""
        kept = self.certificates.find(route_name(place))
        if kept is None:
            return ()
        return tuple((host, kept.certificate.ends_at) for host in self.secured_hosts(place))

    def urls(self, place: Place, http_port: int) -> tuple[str, ...]:
        """Where visitors reach the environment: by HTTPS where they can."""
        secured = self.secured_hosts(place)
        return tuple(
            f"https://{host}{_port(self._https_port, 443)}/"
            if host in secured
            else f"http://{host}{_port(http_port, 80)}/"
            for host in self.hosts(place)
        )

    def refused(self, place: Place | None) -> str:
        """Why the balancer does not take the route as it is wanted; empty when it does."""
        return self._refused.get(CONSOLE if place is None else route_name(place), "")

    async def load(self, plans: Mapping[Place, EnvironmentPlan]) -> None:
        """Make these the routes: at the start of the control plane."""
        self._plans = dict(plans)
        await self.certificates.load()
        await self._secure(plans)
        await self._secure_console()
        self._routes = {place: self._route(place, plan) for place, plan in self._plans.items()}
        await self._apply()
        if (door := self.console) is not None and CONSOLE not in self._refused:
            target = Target(CONSOLE, door.address, door.port, check_path=CONSOLE_CHECK)
            await self._balancer.add(CONSOLE, target)

    async def change(self, plans: Mapping[Place, EnvironmentPlan | None]) -> dict[str, str]:
        """Set (or with None remove) routes; returns refused route names with the reason.

        Waits for the deployments under way if, and only if, the balancer has to reload for it.
        """
        for place, plan in plans.items():  # before anything is awaited: two changes at once must not lose one
            if plan is None:
                self._plans.pop(place, None)
            else:
                self._plans[place] = plan
        await self._secure(plans)
        self.certificates.forget(route_name(place) for place, plan in plans.items() if plan is None)
        return await self.bring(plans)

    async def bring(self, places: Iterable[Place] = ()) -> dict[str, str]:
        """Bring the balancer to the plans and certificates of now; returns what `change` returns."""
        routes = dict(self._routes)
        for place in places:
            if (plan := self._plans.get(place)) is not None:
                routes[place] = self._route(place, plan)
            else:
                routes.pop(place, None)
        console = self._find_console_route()
        if routes == self._routes and console == self._console_route:
            return {}
        self._routes = routes
        applied = await self._apply(allow_reload=False)
        if applied.waiting:
            async with self._alone():
                applied = await self._apply()
        return applied.refused

    async def secure(self, place: Place | None) -> None:
        """See to it that there is a certificate where HTTPS is on."""
        if place is None:
            await self._secure_console()
        else:
            await self._secure({place: self._plans.get(place)})

    async def take_up(self, place: Place | None) -> str:
        """Show visitors the certificate of now; why the balancer refuses, empty when it does not."""
        await self.bring([place] if place is not None else [])
        return self.refused(place)

    async def renew(self) -> bool:
        """Make those certificates anew that end soon and show them to visitors; whether there were any."""
        before = dict(self._routes), self._console_route
        await self._secure(self._plans)
        await self._secure_console()
        await self.bring(tuple(self._plans))
        return before != (self._routes, self._console_route)

    async def _secure(self, plans: Mapping[Place, EnvironmentPlan | None]) -> None:
        for place, plan in tuple(plans.items()):
            if plan is not None and Https(plan.balancer.https.value) is not Https.OFF:
                await self.certificates.ensure(route_name(place), hosts_of(place, plan, self._domain))

    async def _secure_console(self) -> None:
        if self.console is not None and self.console.https is not Https.OFF:
            await self.certificates.ensure(CONSOLE, [self.console.host])

    def _find_console_route(self) -> Route | None:
        kept = self.certificates.find(CONSOLE)
        certificate = kept.certificate if kept is not None else None
        return console_route(self.console, certificate) if self.console is not None else None

    def _route(self, place: Place, plan: EnvironmentPlan) -> Route:
        kept = self.certificates.find(route_name(place))
        return route_of(place, plan, self._domain, kept.certificate if kept is not None else None)

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
        self._console_route = self._find_console_route()
        own = [self._console_route] if self._console_route is not None else []
        # The console's is first: no site takes its host name.
        applied = await self._balancer.apply([*own, *self._routes.values()], allow_reload=allow_reload)
        self._refused = applied.refused
        for name, reason in applied.refused.items():
            log.warning("route refused", action="balancer:Apply", subject=name, reason=reason)
        return applied


def _port(port: int | None, usual: int) -> str:
    return "" if port in (None, usual) else f":{port}"
