"""A balancer without a balancer, for tests: it holds callers to the order of calls."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from halage.balancer.errors import BalancerDown, BalancerRefused, NoSuchRoute
from halage.balancer.model import Applied, Route, Target, TargetState, TargetStatus
from halage.balancer.rules import find_target_problem, judge


@dataclass(slots=True)
class _Held:
    target: Target
    state: TargetState = TargetState.UP
    sessions: int = 0
    requests: int = 0
    last_check: str = "not checked yet"


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
            TargetStatus(
                name, replace(held.target), held.state, held.sessions, held.requests, 0, 0, 0, held.last_check
            )
            for name, targets in self._targets.items()
            if route in (None, name)
            for held in targets.values()
        ]

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
