"""Statuses of targets and routes from HAProxy's statistics. Pure."""

from collections.abc import Iterable, Mapping

from halage.balancer.drivers.haproxy.configuration import OPEN
from halage.balancer.drivers.haproxy.figures import BACKEND, Figures, Key
from halage.balancer.drivers.haproxy.layout import Layout, Placed
from halage.balancer.model import RouteStatus, TargetState, TargetStatus

_NOT_THERE = "not in HAProxy yet"


def statuses_of(
    layout: Layout,
    route: str | None,
    rows: Iterable[Mapping[str, str]],
    finishing: Mapping[Key, int],
    figures: Figures,
) -> list[TargetStatus]:
    """The status of every target (of one route); `finishing` are sessions of former workers."""
    by_key = {(row["pxname"], row["svname"]): row for row in rows}
    opened = {key: row for key, row in by_key.items() if key[1].endswith(OPEN)}
    statuses = []
    for name, targets in layout.targets.items():
        if route is not None and name != route:
            continue
        for placed in targets.values():
            key = (layout.places[name], placed.target.id)
            row = by_key.get(key, {})
            total = figures.total(key)
            second = opened.get((key[0], f"{key[1]}{OPEN}"), {})
            statuses.append(
                TargetStatus(
                    route=name,
                    target=placed.target,
                    state=_state(placed, row),
                    sessions=_count(row, "scur") + _count(second, "scur") + finishing.get(key, 0),
                    requests=total.requests,
                    responses_5xx=total.responses_5xx,
                    bytes_in=total.bytes_in,
                    bytes_out=total.bytes_out,
                    last_check=last_check(row),
                    connections=total.connections,
                    retries=total.retries,
                    failed_checks=total.failed_checks,
                    queue=_count(row, "qcur") + _count(second, "qcur"),
                )
            )
    return statuses


def routes_of(
    layout: Layout,
    rows: Iterable[Mapping[str, str]],
    finishing: Mapping[Key, int],
    figures: Figures,
) -> list[RouteStatus]:
    """The status of every route. What waits for one target alone waits for the route as well."""
    present: dict[str, int] = {}
    waiting: dict[str, int] = {}
    for row in rows:
        slot = row["pxname"]
        waiting[slot] = waiting.get(slot, 0) + _count(row, "qcur")
        if row["svname"] == BACKEND:
            present[slot] = _count(row, "scur")
    statuses = []
    for name, slot in layout.places.items():
        key = (slot, BACKEND)
        total = figures.total(key)
        statuses.append(
            RouteStatus(
                route=name,
                in_flight=present.get(slot, 0) + finishing.get(key, 0),
                queue=waiting.get(slot, 0),
                bytes_in=total.bytes_in,
                bytes_out=total.bytes_out,
                connections=total.connections,
                retries=total.retries,
            )
        )
    return statuses


def _count(row: Mapping[str, str], name: str) -> int:
    return int(row.get(name) or 0)


def _state(placed: Placed, row: Mapping[str, str]) -> TargetState:
    if placed.is_draining:
        return TargetState.DRAINING
    # "UP 1/3" is still up, "DOWN 1/2" still down.
    return TargetState.UP if row.get("status", "").startswith(("UP", "no check")) else TargetState.DOWN


def last_check(row: Mapping[str, str]) -> str:
    """The last check in words: `L7OK/200 in 1 ms`."""
    if not row:
        return _NOT_THERE
    status = row.get("check_status", "").removeprefix("* ")
    if status in ("", "INI", "UNK", "no check"):
        return "not checked yet"
    code = f"/{row['check_code']}" if row.get("check_code") else ""
    duration = f" in {row['check_duration']} ms" if row.get("check_duration") else ""
    return f"{status}{code}{duration}"
