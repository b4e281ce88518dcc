"""A balancer without a balancer, for tests: it holds callers to the order of calls."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from halage.balancer.errors import BalancerDown, BalancerRefused, NoSuchRoute
from halage.balancer.model import (
    AccessPart,
    Applied,
    BalancerFigures,
    LogPlace,
    Route,
    RouteStatus,
    Target,
    TargetState,
    TargetStatus,
    Visit,
)
from halage.balancer.rules import find_target_problem, judge


@dataclass(slots=True)
class _Held:
    target: Target
    state: TargetState = TargetState.UP
    sessions: int = 0
    requests: int = 0
    last_check: str = "not checked yet"
    counts: dict[str, int] = field(default_factory=dict)


class MemoryBalancer:
    """A BalancerDriver in memory; tests say what happens to it and read what it was told."""

    def __init__(self) -> None:
        self.is_down = False
        """Set it, and every call raises BalancerDown."""
        self.unusable: dict[str, str] = {}
        """Route names that it refuses, with the reason."""
        self.needs_reload: set[str] = set()
        """Names of new routes that it takes only with a reload."""
        self.reloads = 0
        self.calls: list[tuple[str, str, str]] = []
        """What it was told: verb, route, target id."""
        self.access_log: list[bytes] = []
        """Its lines; a place is the number of a line."""
        self.released = LogPlace(1, 0)
        """What the reader of the access log has done with."""
        self._visits: list[Visit] = []
        self._given_back = 0
        self._counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._routes: dict[str, Route] = {}
        self._targets: dict[str, dict[str, _Held]] = {}
        self._has_started = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def routes(self) -> dict[str, Route]:
        """The routes that it serves."""
        return dict(self._routes)

    def serving(self, route: str) -> list[Target]:
        """The targets that a visitor of the route may reach now."""
        held = self._targets.get(route, {}).values()
        return [entry.target for entry in held if entry.state is TargetState.UP]

    def set_check(self, route: str, target_id: str, *, is_healthy: bool, words: str = "") -> None:
        """Let the running check of a target succeed or fail."""
        held = self._targets[route][target_id]
        if held.state is not TargetState.DRAINING:
            held.state = TargetState.UP if is_healthy else TargetState.DOWN
        held.last_check = words or ("L7OK/200 in 1 ms" if is_healthy else "L4CON in 0 ms")

    def set_sessions(self, route: str, target_id: str, sessions: int) -> None:
        """Let a target have that many requests under way."""
        held = self._targets[route][target_id]
        held.requests += max(sessions - held.sessions, 0)
        held.sessions = sessions

    def count(self, route: str, target_id: str | None = None, **counts: int) -> None:
        """Add to what is counted for a target, or for a route: `retries=1, bytes_in=300`."""
        mine = self._counts[route] if target_id is None else self._targets[route][target_id].counts
        for name, number in counts.items():
            mine[name] = mine.get(name, 0) + number

    def log_visit(
        self,
        at: float | None,
        route: str | None = None,
        target: str | None = None,
        status: int = 200,
        *,
        target_ms: int | None = None,
        response_ms: int | None = None,
    ) -> None:
        """Write a line of the access log; None for a line that nobody can read."""
        text = f"{at} {route} {target} {status}".encode()
        self.access_log.append(text)
        end = len(self.access_log)
        self._visits.append(Visit(at, route, target, status, target_ms, response_ms, text, end))

    def give_back(self, lines: int) -> None:
        """Lose the first lines of the access log, read or not."""
        self._given_back = lines

    async def apply(self, routes: Iterable[Route], *, allow_reload: bool = True) -> Applied:
        """Make these the routes."""
        await self._answer(is_first=True)
        self._has_started = True
        wanted = list(routes)
        verdict = judge([route for route in wanted if route.name not in self.unusable], self._routes)
        unusable = {name: why for name, why in self.unusable.items() if name in {r.name for r in wanted}}
        refused = {**verdict.refused, **unusable}
        accepted = {route.name: route for route in verdict.accepted}
        accepted.update({name: self._routes[name] for name in unusable if name in self._routes})
        reloading = {name for name in self.needs_reload & accepted.keys() if name not in self._routes}
        waiting = () if allow_reload else tuple(sorted(reloading))
        for name in waiting:
            del accepted[name]
        self.reloads += bool(reloading and allow_reload)
        self._routes = accepted
        self._targets = {name: self._targets.get(name, {}) for name in accepted}
        return Applied(bool(reloading and allow_reload), refused, waiting)

    async def add(self, route: str, target: Target) -> None:
        """Send requests to a healthy target."""
        await self._answer()
        if (problem := find_target_problem(target)) is not None:
            raise BalancerRefused(f"{target.id} cannot be added to {route}: {problem}")
        if route not in self._routes:
            raise NoSuchRoute(f"the balancer has no route {route}", route=route)
        self.calls.append(("add", route, target.id))
        held = self._targets[route].setdefault(target.id, _Held(target))
        held.target = target
        if held.state is TargetState.DRAINING:
            held.state = TargetState.UP

    async def drain(self, route: str, target_id: str) -> None:
        """Send it no new request."""
        await self._answer()
        self.calls.append(("drain", route, target_id))
        if (held := self._targets.get(route, {}).get(target_id)) is not None:
            held.state = TargetState.DRAINING

    async def remove(self, route: str, target_id: str) -> None:
        """Take it out."""
        await self._answer()
        self.calls.append(("remove", route, target_id))
        self._targets.get(route, {}).pop(target_id, None)

    async def status(self, route: str | None = None) -> list[TargetStatus]:
        """Every target (of one route)."""
        await self._answer()
        return [
            _status_of(name, held)
            for name in (self._targets if route is None else (route,))
            for held in self._targets.get(name, {}).values()
        ]

    async def figures(self) -> BalancerFigures:
        """All counts in one look."""
        routes = [
            RouteStatus(
                name,
                sum(held.sessions for held in self._targets[name].values()),
                **{count: self._counts[name].get(count, 0) for count in _ROUTE_COUNTS},
            )
            for name in self._routes
        ]
        return BalancerFigures(await self.status(), routes)

    def read_access_log(self, place: LogPlace | None, limit_bytes: int) -> AccessPart:
        """The next lines from a place."""
        begin = place.offset if place is not None and place.file == 1 else 0
        lost = max(self._given_back - begin, 0)
        visits, size = [], 0
        for visit in self._visits[begin + lost :]:
            visits.append(visit)
            size += len(visit.text)
            if size >= limit_bytes:
                break
        end = begin + lost + len(visits)
        return AccessPart(visits, LogPlace(1, end), lost, is_all=end == len(self._visits))

    def release_access_log(self, place: LogPlace) -> None:
        """What is before this place is not needed any more."""
        self.released = place

    async def close(self) -> None:
        """Let go of it."""

    async def stop(self) -> None:
        """End it: until the next `apply` it does not answer."""
        self._has_started = False

    async def _answer(self, *, is_first: bool = False) -> None:
        await asyncio.sleep(0)
        if self.is_down:
            raise BalancerDown("the balancer is down: the test wants it so")
        if not is_first and not self._has_started:
            raise BalancerDown("the balancer was not started: `apply` comes first")


_ROUTE_COUNTS = ("queue", "bytes_in", "bytes_out", "connections", "retries")


def _status_of(route: str, held: _Held) -> TargetStatus:
    counts = {"responses_5xx": 0, "bytes_in": 0, "bytes_out": 0, **held.counts}
    return TargetStatus(
        route=route,
        target=replace(held.target),
        state=held.state,
        sessions=held.sessions,
        requests=held.requests,
        last_check=held.last_check,
        **counts,
    )
