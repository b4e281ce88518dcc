"""Which routes can be served together: pure, so that one bad route never stops another."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from halage.balancer.model import Certificate, HealthCheck, Https, Route, Target

ALGORITHMS = frozenset({"roundrobin", "leastconn", "source"})
LONGEST_S = 86400.0
SOONER = 8
"""Checks of a target that has just failed one, or has not passed enough, come that many times as often."""
SOONEST_S = 0.1
"""But not more often than so."""
SPREAD = 0.05
"""The time between two checks is up to that share longer or shorter, so that they do not all come at once."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,126}")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_PATH = re.compile(r"/[A-Za-z0-9._~/%?&=+,:@!$*-]{0,1000}")
_ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:]{2,39}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Routes that can be served together, and the refused ones by name with the reason."""

    accepted: tuple[Route, ...]
    refused: Mapping[str, str]


def judge(routes: Iterable[Route], known: Mapping[str, Route], *, no_https: str = "") -> Verdict:
    """The routes that may be served; a refused one that was served before stays as it was.

    A host name belongs to one route. Of two that want it, it goes to one that is no environment's
    (its name has no dot), else the one that is served already keeps it, else the first in the
    order given. `no_https`: why no route can be served by HTTPS; empty
    when they can.
    """
    wanted = list(routes)
    wanted.sort(key=lambda route: (not is_own(route), route.name not in known))
    accepted: dict[str, Route] = {}
    refused: dict[str, str] = {}
    holders: dict[str, str] = {}
    for route in map(normalised, wanted):
        problem = _problem_beside(route, accepted, holders)
        if problem is None and route.https is not Https.OFF:
            problem = no_https or None
        if problem is not None:
            refused[route.name] = problem
            if route.name not in known or route.name in accepted:
                continue
            former = known[route.name]
            route = replace(former, hosts=tuple(host for host in former.hosts if host not in holders))
        accepted[route.name] = route
        holders.update(dict.fromkeys(route.hosts, route.name))
    return Verdict(tuple(accepted.values()), refused)


def is_own(route: Route) -> bool:
    """Whether it leads to Halage itself, and to no environment."""
    return "." not in route.name


def normalised(route: Route) -> Route:
    """The route with host names in lower case, without a final dot, each once."""
    hosts = dict.fromkeys(host.lower().removesuffix(".") for host in route.hosts)
    return replace(route, hosts=tuple(hosts))


def find_route_problem(route: Route) -> str | None:
    """Why this route cannot be served, whatever the others are; None when it can."""
    if not _NAME.fullmatch(route.name):
        return f"the route's name {route.name!r} may hold letters, digits, dots and hyphens only"
    for host in route.hosts:
        if not _HOST.fullmatch(host):
            return f"{host!r} is not a host name (letters, digits, hyphens and dots, without a port)"
    if route.algorithm not in ALGORITHMS:
        return f"the algorithm {route.algorithm!r} is not one of {', '.join(sorted(ALGORITHMS))}"
    return (
        _find_check_problem(route.health)
        or _find_time_problem(route)
        or _find_source_problem(route)
        or _find_certificate_problem(route)
    )


def covers(certificate: Certificate, host: str) -> bool:
    """Whether the certificate is good for a host name (in lower case), as browsers see it (RFC 9525)."""
    label, _, parent = host.partition(".")
    return host in certificate.names or (bool(label and parent) and f"*.{parent}" in certificate.names)


def secured_hosts(route: Route) -> tuple[str, ...]:
    """The route's host names that are served by HTTPS."""
    if route.https is Https.OFF or route.certificate is None:
        return ()
    certificate = route.certificate
    return tuple(host for host in route.hosts if covers(certificate, host))


def share_sources(allowed: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """From what each name allows: each range with all names that allow it.

    A look-up of an address finds the narrowest range alone, so each range holds the names of those around it.
    """
    nets = {name: [ipaddress.ip_network(each) for each in ranges] for name, ranges in allowed.items()}
    shared = {}
    for net in {net for each in nets.values() for net in each}:
        shared[str(net)] = tuple(
            name
            for name, mine in nets.items()
            if any(net.version == other.version and net.subnet_of(other) for other in mine)  # type: ignore[arg-type]
        )
    return shared


def sooner_s(check: HealthCheck) -> float:
    """Seconds until the next check of a target that has just failed one, or has not passed enough."""
    return min(check.interval_s, max(check.interval_s / SOONER, SOONEST_S))


def out_within_s(check: HealthCheck, connect_s: float) -> float:
    """The longest that a target which answers nothing may stay: it failed just behind a check that it passed.

    Each check then ends by its time-out, or where not even a connection comes about by the shorter of
    the interval and the time-out of connections; that is how HAProxy does it (`timeout check`).
    """
    longest_s = max(check.timeout_s, min(check.interval_s, connect_s))
    pauses_s = check.interval_s + (check.fall - 1) * sooner_s(check)
    return pauses_s * (1 + SPREAD) + check.fall * longest_s


def find_target_problem(target: Target) -> str | None:
    """Why this target cannot be used; None when it can."""
    if not _NAME.fullmatch(target.id):
        return f"the target's id {target.id!r} may hold letters, digits, dots and hyphens only"
    if not _ADDRESS.fullmatch(target.address):
        return f"{target.address!r} is not an IP address"
    if not 0 < target.port < 65536:
        return f"{target.port} is not a port (1 to 65535)"
    if target.check_path is not None and not _PATH.fullmatch(target.check_path):
        return f"the path {target.check_path!r} of its check is not one"
    if not 0 <= target.weight <= 256:
        return f"the weight {target.weight} is not between 0 and 256"
    if target.share is not None and not 0 < target.share <= 100:
        return f"the share of {target.share:g}% is not over 0% and at most 100%"
    return None


def _find_check_problem(check: HealthCheck) -> str | None:
    if not _PATH.fullmatch(check.path):
        return f"the health check's path {check.path!r} is not a plain path that starts with /"
    for name, seconds in (("interval", check.interval_s), ("timeout", check.timeout_s)):
        if not 0.05 <= seconds <= 3600:
            return f"the health check's {name} of {seconds} s is not between 0.05 and 3600 s"
    for name, count in (("rise", check.rise), ("fall", check.fall)):
        if not 1 <= count <= 100:
            return f"the health check's {name} of {count} is not between 1 and 100"
    return None


def _find_time_problem(route: Route) -> str | None:
    times = route.timeouts
    for name, seconds in (
        ("connect", times.connect_s),
        ("request", times.request_s),
        ("idle", times.idle_s),
    ):
        if not 0.05 <= seconds <= LONGEST_S:
            return f"the {name} time-out of {seconds:g} s is not between 0.05 and {LONGEST_S:g} s"
    if not 0 <= times.queue_s <= LONGEST_S:
        return (
            f"the queue time-out of {times.queue_s:g} s is not between 0 (nobody waits) and {LONGEST_S:g} s"
        )
    if not 0 <= route.slow_start_s <= 3600:
        return f"the slow start of {route.slow_start_s:g} s is not between 0 and 3600 s"
    if not 0 <= route.most_connections <= 1_000_000:
        return f"{route.most_connections} connections to a target are not between 0 (no limit) and 1000000"
    return None


def _find_source_problem(route: Route) -> str | None:
    for source in route.allowed:
        try:
            ipaddress.ip_network(source)
        except ValueError as error:
            return f"{source!r} is not an address or range such as 192.0.2.7 or 192.0.2.0/24: {error}"
    return None


def _find_certificate_problem(route: Route) -> str | None:
    if route.https is Https.OFF:
        return None
    if route.certificate is None:
        return "HTTPS is on and there is no certificate"
    if not secured_hosts(route):
        names = ", ".join(route.certificate.names) or "no host name"
        return f"the certificate is good for {names}, and for none of its hosts: {', '.join(route.hosts)}"
    return None


def _problem_beside(route: Route, accepted: Mapping[str, Route], holders: Mapping[str, str]) -> str | None:
    if route.name in accepted:
        return f"the route {route.name} is given twice"
    for host in route.hosts:
        if host in holders:
            return f"the host name {host} belongs to {holders[host]}"
    return find_route_problem(route)
