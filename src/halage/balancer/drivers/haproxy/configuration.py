"""HAProxy's files from a layout: the configuration, the maps and the pages. Pure.

Two sources of truth would differ one day, so nothing here is edited by hand or at run time: the
maps that change at run time are written again from the layout for the next start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from halage.balancer.drivers.haproxy import pages
from halage.balancer.drivers.haproxy.layout import Layout, Placed, Slot
from halage.balancer.model import HealthCheck, Route

CONFIGURATION = "haproxy.cfg"
SERVERS_STATE = "servers.state"
HOSTS_MAP = "hosts.map"
"""Host name to slot."""
PATHS_MAP = "paths.map"
"""Target to the path that its health check asks for."""
NAMES_MAP = "names.map"
"""Slot to the host name that its health check gives."""
ROUTES_MAP = "routes.map"
"""Slot to its route's name, which the access log gives: a slot may pass to another route."""
MASTER_SOCKET = "master.sock"
SOONER = 8
"""Checks of a target that has just failed one, or has not passed enough, come that many times as often."""
SOONEST_MS = 100
"""But not more often than so."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where HAProxy runs. `account` is the user and group that it drops to, as names."""

    host: str
    port: int
    account: tuple[str, str] | None = None
    threads: int | None = None
    """By default one for each core."""


def admin_socket(generation: int) -> str:
    """The runtime socket of a generation: whoever connects to it talks to no other."""
    return f"admin-{generation}.sock"


def render_files(layout: Layout, place: Place) -> dict[str, str]:
    """Every file that HAProxy reads, by name in its directory."""
    files = {CONFIGURATION: render_configuration(layout, place)}
    for name, entries in render_maps(layout).items():
        files[name] = "".join(f"{key} {value}\n" for key, value in entries.items())
    return files | pages.PAGES


def render_maps(layout: Layout) -> dict[str, dict[str, str]]:
    """The maps by file name; what a running HAProxy is brought to as well."""
    hosts, paths, names = {}, {}, {}
    for name, route in layout.routes.items():
        slot = layout.places[name]
        hosts.update(dict.fromkeys(route.hosts, slot))
        for target_id, placed in layout.targets.get(name, {}).items():
            paths[target_id] = placed.target.check_path or route.health.path
        names[slot] = route.hosts[0] if route.hosts else "localhost"
    routes = {slot: name for name, slot in layout.places.items()}
    return {PATHS_MAP: paths, NAMES_MAP: names, ROUTES_MAP: routes, HOSTS_MAP: hosts}


def render_configuration(layout: Layout, place: Place) -> str:
    """The text of haproxy.cfg; paths in it are relative to the directory that it lives in."""
    sections = [_render_global(layout, place), _DEFAULTS, _render_frontend(place), _UNKNOWN]
    sections += [_render_slot(slot, layout) for slot in layout.slots.values()]
    return "\n".join(sections)


def check_parameters(check: HealthCheck) -> str:
    """What `server` and `add server` take for the check.

    After one that failed, and before one is up again, the next comes sooner. Visitors' requests are
    watched as well: five 5xx in a row bring the next check forward, they judge nobody.
    """
    inter = round(check.interval_s * 1000)
    sooner = min(inter, max(inter // SOONER, SOONEST_MS))
    passive = "observe layer7 error-limit 5 on-error fastinter"
    return f"check inter {inter}ms fastinter {sooner}ms fall {check.fall} rise {check.rise} {passive}"


def _render_global(layout: Layout, place: Place) -> str:
    lines = [
        "# Written by Halage. Changes are lost: Halage writes this file from what it knows.",
        "global",
        # noreuseport: a second balancer on the same port shall fail, not take half of the visitors.
        "    noreuseport",
        f"    stats socket unix@{admin_socket(layout.generation)} mode 600 level admin",
        "    stats timeout 10s",
        f"    server-state-file {SERVERS_STATE}",
        "    log stdout len 2048 format raw daemon info",
        "    hard-stop-after 15m",
        # Without it memory is set aside for as many connections as the file limit allows.
        "    fd-hard-limit 65536",
        "    spread-checks 5",
    ]
    if place.threads is not None:
        lines.append(f"    nbthread {place.threads}")
    if place.account is not None:
        lines += [f"    user {place.account[0]}", f"    group {place.account[1]}"]
    return "\n".join([*lines, ""])


_DEFAULTS = f"""\
defaults
    mode http
    option idle-close-on-response
    option redispatch 1
    retries 2
    retry-on conn-failure empty-response response-timeout
    load-server-state-from-file global
    timeout connect 2s
    timeout client 60s
    timeout server 120s
    timeout queue 10s
    timeout http-request 10s
    timeout http-keep-alive 30s
    timeout client-fin 30s
    timeout tunnel 1h
    http-error status 502 content-type "{pages.TYPE}" hdr Cache-Control no-store lf-file {pages.FAILED}
    http-error status 503 content-type "{pages.TYPE}" hdr Cache-Control no-store hdr Retry-After 5 \
lf-file {pages.UNAVAILABLE}
    http-error status 504 content-type "{pages.TYPE}" hdr Cache-Control no-store lf-file {pages.LATE}
"""

# The parts of a line: when it ended (ms), request id, client, route, its slot, target, method, status,
# bytes, times (ms) to read the request, in queues, to connect, to the head of the answer, and in all,
# termination, host, path. The query stays out: it holds secrets. What visitors choose comes last.
_LOG_FORMAT = (
    "%[date(0,ms)] %ID %ci %[var(txn.route)] %b %s %HM %ST %B %TR %Tw %Tc %Tr %Ta %ts "
    "%{+Q}[var(txn.host)] %{+Q}HPO"
)


def _render_frontend(place: Place) -> str:
    host = f"[{place.host}]" if ":" in place.host else place.host
    return f"""\
frontend visitors
    bind {host}:{place.port}
    log global
    unique-id-format %{{+X}}o%Ts-%pid-%rt
    log-format "{_LOG_FORMAT}"
    http-request set-var(txn.host) req.hdr(host),host_only,rtrim(.),lower
    http-request set-var(txn.slot) var(txn.host),map_str({HOSTS_MAP})
    http-request set-var(txn.route) var(txn.slot),map_str({ROUTES_MAP})
    http-request disable-l7-retry if !{{ method GET HEAD OPTIONS PUT DELETE }}
    http-request set-header X-Request-ID %[unique-id]
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    use_backend %[var(txn.slot)] if {{ var(txn.slot) -m found }}
    default_backend unknown
"""


_UNKNOWN = f"""\
backend unknown
    http-request return status 404 content-type "{pages.TYPE}" file {pages.NOT_FOUND}
"""


def _render_slot(slot: Slot, layout: Layout) -> str:
    route = layout.route_in(slot.name)
    title = f"# {route.name}" if route else "# free"
    lines = [
        title,
        f"backend {slot.name}",
        f"    balance {slot.algorithm}",
        f"    timeout check {round(slot.timeout_s * 1000)}ms",
        "    option httpchk",
        f"    http-check send meth GET uri-lf %[srv_name,map_str({PATHS_MAP},/)] ver HTTP/1.1 "
        f"hdr Host %[be_name,map_str({NAMES_MAP},localhost)] hdr User-Agent Halage-check",
        "    http-check expect status 200-399",
    ]
    if route is not None:
        lines += [_render_server(route, placed) for placed in layout.in_slot(slot.name).values()]
    return "\n".join([*lines, ""])


def _render_server(route: Route, placed: Placed) -> str:
    target = placed.target
    # A draining target has nothing under way in a HAProxy that starts: it only must get nothing new.
    disabled = " disabled" if placed.is_draining else ""
    return (
        f"    server {target.id} {authority(target.address, target.port)} "
        f"{check_parameters(route.health)} weight {target.weight}{disabled}"
    )


def authority(address: str, port: int) -> str:
    """`ADDRESS:PORT`, with brackets where HAProxy needs them."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def narrowed(layout: Layout, route: str) -> Layout:
    """The layout with one route alone, to find out whether it is the one that HAProxy refuses."""
    slot = layout.places[route]
    only: Mapping[str, str] = {route: slot}
    targets = {route: layout.targets.get(route, {})}
    return replace(
        layout,
        slots={slot: layout.slots[slot]},
        routes={route: layout.routes[route]},
        places=only,
        targets=targets,
    )
