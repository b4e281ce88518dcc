"""HAProxy's files from a layout: the configuration, the maps and the pages. Pure.

Two sources of truth would differ one day, so nothing here is edited by hand or at run time: the
maps that change at run time are written again from the layout for the next start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from halage.balancer.drivers.haproxy import pages
from halage.balancer.drivers.haproxy.layout import Layout, Placed, Slot, certificate_name
from halage.balancer.model import HealthCheck, Route, Target, Timeouts
from halage.balancer.rules import SPREAD, secured_hosts, share_sources, sooner_s

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
HTTPS_MAP = "https.map"
"""Host name that is served by HTTPS to `on` or `redirect`."""
RESTRICTED_MAP = "restricted.map"
"""Slot that answers some visitors' addresses only."""
SOURCES_MAP = "sources.map"
"""Range of addresses to the slots that answer it: `/s0001/s0004/`."""
STICKY_MAP = "sticky.map"
"""Slot whose visitors come back to the same target."""
STUCK_MAP = "stuck.map"
"""Target that visitors may come back to, to its slot."""
SHARES_MAP = "shares.map"
"""Slot with targets that get a share by lot, to how many of all LOTS each of them holds."""
LOTS_MAP = "lots.map"
"""`SLOT/0`, `SLOT/1` ... to the targets of the slot that hold lots, in their order."""
LOTS = 1_000_000
"""For each request one of so many is drawn: a share is kept to a ten-thousandth of a percent."""
CERTIFICATES = "certificates.list"
"""Files of certificates with the host names that each is shown to."""
COOKIE = "halage_instance"
OPEN = ":open"
"""What the name of a target's second server ends in, of a route that fails open."""
MASTER_SOCKET = "master.sock"
SPREAD_PERCENT = round(SPREAD * 100)


@dataclass(frozen=True, slots=True)
class Place:
    """Where HAProxy runs. `account` is the user and group that it drops to, as names."""

    host: str
    port: int
    account: tuple[str, str] | None = None
    threads: int | None = None
    """By default one for each core."""
    https: tuple[str, int] | None = None
    """Host and port for visitors by HTTPS, who get in from the first route on that has it."""
    certificates: str = CERTIFICATES

    @property
    def doors(self) -> str:
        """Where visitors come in."""
        doors = [(self.host, self.port), *([self.https] if self.https is not None else [])]
        return " ".join(authority(*door) for door in doors)


def admin_socket(generation: int) -> str:
    """The runtime socket of a generation: whoever connects to it talks to no other."""
    return f"admin-{generation}.sock"


def render_files(layout: Layout, place: Place) -> dict[str, str]:
    """Every file that HAProxy reads, by name in its directory."""
    files = {CONFIGURATION: render_configuration(layout, place)}
    for name, entries in render_maps(layout).items():
        files[name] = "".join(f"{key} {value}\n" for key, value in entries.items())
    return files | render_certificates(layout, place) | pages.PAGES


def render_certificates(layout: Layout, place: Place) -> dict[str, str]:
    """The files of the certificates by name, each with its key, and their list."""
    files = {}
    listed = certificate_hosts(layout)
    for route in layout.routes.values():
        if (name := certificate_name(route)) is not None and route.certificate is not None:
            files[name] = route.certificate.chain + route.certificate.key
    lines = [f"{name} {' '.join(hosts)}\n" for name, hosts in listed.items()]
    return files | {place.certificates: "".join(lines)}


def certificate_hosts(layout: Layout) -> dict[str, tuple[str, ...]]:
    """Certificate by the name of its file to the host names that it is shown to.

    Not to all that it is good for: it would then be shown for the host names of other routes.
    """
    return {
        name: secured_hosts(route)
        for route in layout.routes.values()
        if (name := certificate_name(route)) is not None
    }


def render_maps(layout: Layout) -> dict[str, dict[str, str]]:
    """The maps by file name, in the order in which a running HAProxy is brought to them.

    What a check asks for is there before the server is; host names follow their servers.
    """
    maps: dict[str, dict[str, str]] = {name: {} for name in _MAPS}
    for name, route in layout.routes.items():
        slot = layout.places[name]
        maps[ROUTES_MAP][slot] = name
        maps[NAMES_MAP][slot] = route.hosts[0] if route.hosts else "localhost"
        maps[HOSTS_MAP].update(dict.fromkeys(route.hosts, slot))
        maps[HTTPS_MAP].update(dict.fromkeys(secured_hosts(route), route.https.value))
        if route.is_sticky:
            maps[STICKY_MAP][slot] = "1"
        if route.allowed:
            maps[RESTRICTED_MAP][slot] = "1"
        for target_id, placed in layout.targets.get(name, {}).items():
            maps[PATHS_MAP][target_id] = placed.target.check_path or route.health.path
            if route.is_sticky and not placed.is_draining:
                maps[STUCK_MAP][target_id] = slot
        for number, target in enumerate(_holders(layout.targets.get(name, {}))):
            maps[SHARES_MAP].setdefault(slot, str(max(round(LOTS * (target.share or 0) / 100), 1)))
            maps[LOTS_MAP][f"{slot}/{number}"] = target.id
    allowed = {layout.places[name]: route.allowed for name, route in layout.routes.items()}
    for source, slots in share_sources(allowed).items():
        maps[SOURCES_MAP][source] = f"/{'/'.join(slots)}/"
    return maps


def _holders(targets: Mapping[str, Placed]) -> list[Target]:
    """Those that get a share by lot."""
    each = (placed.target for placed in targets.values() if not placed.is_draining)
    return [target for target in each if target.share is not None]


_MAPS = (
    PATHS_MAP,
    NAMES_MAP,
    ROUTES_MAP,
    RESTRICTED_MAP,
    SOURCES_MAP,
    SHARES_MAP,
    LOTS_MAP,
    STUCK_MAP,
    STICKY_MAP,
    HTTPS_MAP,
    HOSTS_MAP,
)
TARGET_MAPS = (PATHS_MAP, SHARES_MAP, LOTS_MAP, STUCK_MAP)
"""Those that change with the targets of a route."""


def render_configuration(layout: Layout, place: Place) -> str:
    """The text of haproxy.cfg; paths in it are relative to the directory that it lives in."""
    sections = [_render_global(layout, place), _DEFAULTS, _render_frontend(layout, place), _UNKNOWN]
    sections += [_render_slot(slot, layout) for slot in layout.slots.values()]
    return "\n".join(sections)


def check_parameters(check: HealthCheck) -> str:
    """What `server` and `add server` take for the check.

    After one that failed, and before one is up again, the next comes sooner. Visitors' requests are
    watched as well: three that fail in a row (5xx, no connection) bring the next check forward. They
    judge nobody: else whoever asks for a broken page often enough would take a well site down.
    """
    times = f"inter {milliseconds(check.interval_s)} fastinter {milliseconds(sooner_s(check))}"
    passive = "observe layer7 error-limit 3 on-error fastinter"
    return f"check {times} fall {check.fall} rise {check.rise} {passive}"


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
        f"    spread-checks {SPREAD_PERCENT}",
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
    timeout server 60s
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


def _render_frontend(layout: Layout, place: Place) -> str:
    lines = [
        "frontend visitors",
        f"    bind {authority(place.host, place.port)}",
        *_render_door(layout, place),
        "    log global",
        "    unique-id-format %{+X}o%Ts-%pid-%rt",
        f'    log-format "{_LOG_FORMAT}"',
        "    http-request set-var(txn.host) req.hdr(host),host_only,rtrim(.),lower",
        f"    http-request set-var(txn.slot) var(txn.host),map_str({HOSTS_MAP})",
        f"    http-request set-var(txn.route) var(txn.slot),map_str({ROUTES_MAP})",
        *(_render_https(place.https) if layout.is_secure and place.https is not None else ()),
        "    http-request disable-l7-retry if !{ method GET HEAD OPTIONS PUT DELETE }",
        "    http-request set-header X-Request-ID %[unique-id]",
        "    http-request set-header X-Forwarded-For %[src]",
        "    http-request set-header X-Forwarded-Proto http if !{ ssl_fc }",
        "    http-request set-header X-Forwarded-Proto https if { ssl_fc }",
        "    http-request set-header X-Forwarded-Host %[req.hdr(host)]",
        "    use_backend %[var(txn.slot)] if { var(txn.slot) -m found }",
        "    default_backend unknown",
    ]
    return "\n".join([*lines, ""])


def _render_door(layout: Layout, place: Place) -> list[str]:
    if not layout.is_secure or place.https is None:
        return []
    # strict-sni: who asks for a host name that has no certificate is not shown another site's.
    return [
        f"    bind {authority(*place.https)} ssl crt-list {place.certificates} strict-sni "
        "ssl-min-ver TLSv1.2 alpn h2,http/1.1"
    ]


def _render_https(https: tuple[str, int]) -> list[str]:
    port = "" if https[1] == 443 else f":{https[1]}"
    return [
        f"    http-request set-var(txn.https) var(txn.host),map_str({HTTPS_MAP})",
        # 308: a form that was sent is sent again as it is.
        f'    http-request redirect code 308 location "https://%[var(txn.host)]{port}%[pathq]" '
        "if !{ ssl_fc } { var(txn.https) -m str redirect }",
        f'    http-request return status 421 content-type "{pages.TYPE}" file {pages.MISDIRECTED} '
        "if { ssl_fc } !{ var(txn.https) -m found }",
    ]


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
        # By address alone, and so that a target more moves as few visitors as can be.
        *(["    hash-type consistent"] if slot.algorithm == "source" else []),
        *_render_timeouts(slot.timeouts),
        f"    timeout check {milliseconds(slot.timeout_s)}",
        *(["    option allbackups"] if slot.fails_open else []),
        *_render_visit(slot.name),
        "    option httpchk",
        f"    http-check send meth GET uri-lf %[srv_name,map_str({PATHS_MAP},/)] ver HTTP/1.1 "
        f"hdr Host %[be_name,map_str({NAMES_MAP},localhost)] hdr User-Agent Halage-check",
        "    http-check expect status 200-399",
    ]
    if route is not None:
        servers = list_servers(route, layout.in_slot(slot.name))
        lines += [_render_server(name, server) for name, server in servers.items()]
    return "\n".join([*lines, ""])


def _render_timeouts(timeouts: Timeouts) -> list[str]:
    return [
        f"    timeout connect {milliseconds(timeouts.connect_s)}",
        f"    timeout server {milliseconds(timeouts.request_s)}",
        # 0 would be no limit to HAProxy.
        f"    timeout queue {milliseconds(max(timeouts.queue_s, 0.001))}",
        f"    timeout tunnel {milliseconds(timeouts.idle_s)}",
    ]


def _render_visit(slot: str) -> list[str]:
    """Who gets in, who draws a lot, and who comes back to which target.

    A visitor's cookie is `TARGET`, or `TARGET:DRAW` once a lot was drawn for it, which is done once:
    a draw is named after the first target that holds lots in it.
    """
    is_sticky = f"be_name,map_str({STICKY_MAP}) -m found"
    cookie = f'"{COOKIE}=%[var(txn.back)]; Path=/; HttpOnly; SameSite=Lax'
    is_back = "var(txn.cookie),strcmp(txn.back) eq 0"
    has_drawn = "var(txn.cookie),field(2,:),strcmp(txn.draw) eq 0"
    return [
        f'    http-request return status 403 content-type "{pages.TYPE}" hdr Cache-Control no-store '
        f"lf-file {pages.FORBIDDEN} if {{ be_name,map_str({RESTRICTED_MAP}) -m found }} "
        f"!{{ src,map_ip({SOURCES_MAP}) -m sub /{slot}/ }}",
        f"    http-request set-var(txn.cookie) req.cook({COOKIE}) if {{ {is_sticky} }}",
        "    http-request set-var(txn.instance) var(txn.cookie),field(1,:)",
        f"    http-request set-var(txn.share) be_name,map_str_int({SHARES_MAP})",
        f"    http-request set-var(txn.draw) be_name,concat(/0),map_str({LOTS_MAP})",
        f"    http-request set-var(txn.lot) rand({LOTS}),div(txn.share) "
        f"if {{ var(txn.share) -m found }} !{{ {has_drawn} }}",
        f"    http-request set-var(txn.drawn) be_name,concat(/,txn.lot),map_str({LOTS_MAP}) "
        "if { var(txn.lot) -m found }",
        "    use-server %[var(txn.drawn)] if { var(txn.drawn) -m found }",
        # HAProxy's own cookies are not for servers that come at run time.
        f"    use-server %[var(txn.instance)] if {{ var(txn.instance),map_str({STUCK_MAP}) -m str {slot} }}",
        "    http-response set-var(txn.mark) str(:),concat(,txn.draw) if { var(txn.draw) -m found }",
        "    http-response set-var-fmt(txn.back) %[srv_name,field(1,:)]%[var(txn.mark)]",
        f'    http-response add-header Set-Cookie {cookie}" '
        f"if {{ {is_sticky} }} !{{ {is_back} }} !{{ ssl_fc }}",
        f'    http-response add-header Set-Cookie {cookie}; Secure" '
        f"if {{ {is_sticky} }} !{{ {is_back} }} {{ ssl_fc }}",
    ]


@dataclass(frozen=True, slots=True)
class Listed:
    """A server that HAProxy shall have for a target."""

    placed: Placed
    parameters: str
    """What it takes when it is added, and keeps."""
    is_checked: bool = True


def list_servers(route: Route, targets: Mapping[str, Placed]) -> dict[str, Listed]:
    """The servers by name. Of a route that fails open each target has a second one, which is not checked
    and gets requests only while no first one is up: HAProxy then opens by itself, in the same moment."""
    limit = f" maxconn {route.most_connections}" if route.most_connections else ""
    slow = f" slowstart {milliseconds(route.slow_start_s)}" if route.slow_start_s else ""
    check = check_parameters(route.health)
    servers = {name: Listed(placed, f"{check}{limit}{slow}") for name, placed in targets.items()}
    if route.fails_open:
        for name, placed in targets.items():
            servers[f"{name}{OPEN}"] = Listed(placed, f"backup{limit}", is_checked=False)
    return servers


def target_of(server: str) -> str:
    """The target's id from a server's name."""
    return server.removesuffix(OPEN)


def _render_server(name: str, server: Listed) -> str:
    target = server.placed.target
    # A draining target has nothing under way in a HAProxy that starts: it only must get nothing new.
    disabled = " disabled" if server.placed.is_draining else ""
    return (
        f"    server {name} {authority(target.address, target.port)} "
        f"{server.parameters} weight {server.placed.weight}{disabled}"
    )


def milliseconds(seconds: float) -> str:
    """A duration as HAProxy writes it."""
    return f"{round(seconds * 1000)}ms"


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
