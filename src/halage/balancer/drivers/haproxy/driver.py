"""HAProxy as the balancer: brought to a layout that is on the disk first, and kept there."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from halage.balancer.drivers.haproxy import record
from halage.balancer.drivers.haproxy.access_log import keep_small, read_lines
from halage.balancer.drivers.haproxy.configuration import Place
from halage.balancer.drivers.haproxy.layout import Arrangement, Layout, Placed, arrange
from halage.balancer.drivers.haproxy.process import find_account, find_door_problem
from halage.balancer.drivers.haproxy.proxy import Proxy
from halage.balancer.errors import BalancerDown, BalancerRefused, NoSuchRoute
from halage.balancer.model import (
    AccessPart,
    Applied,
    BalancerFigures,
    LogPlace,
    Route,
    Target,
    TargetStatus,
)
from halage.balancer.rules import find_target_problem, judge
from halage.base.clock import Clock, SystemClock
from halage.base.tasks import Tasks

log = structlog.get_logger()

TIDY_UP_AFTER_S = 1.0
LOOK_AT_LOG_S = 60.0
NO_HTTPS = "HTTPS is wanted, and the server has no address for it: set `https` in its settings"
REVIVE_DELAYS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class HAProxyDriver:
    """A BalancerDriver; use it as `async with`. Leaving it lets HAProxy run on.

    Entering it takes over the HAProxy that an earlier driver left in the directory, or starts one
    again with the routes and targets that it had; the first one of all is started by `apply`.
    """

    def __init__(
        self,
        directory: Path,
        listen: tuple[str, int],
        *,
        https: tuple[str, int] | None = None,
        threads: int | None = None,
        log_bytes: int = 256 * 1024 * 1024,
        clock: Clock | None = None,
    ) -> None:
        """Keep HAProxy in `directory` (made if missing, 0700) and visitors' doors at `listen` and `https`.

        `threads` of HAProxy: by default one for each core. Of the access log about `log_bytes`
        are kept on the disk, and four times as much of what nobody has read yet.
        """
        self._directory = directory.resolve()
        self._proxy = Proxy(self._directory, Place(*listen, find_account(), threads, https))
        self._https = https
        self._log_bytes = log_bytes
        self._clock = clock or SystemClock()
        self._layout = Layout()
        # Commands that change HAProxy take turns: a reload must not miss what was changed beside it.
        # Each question under it has a time-out of its own.
        self._turn = asyncio.Lock()
        self._tasks = Tasks()
        self._released: LogPlace | None = None
        self._is_open = False
        self._is_wanted = False
        self._leftovers = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._layout, past = record.load(self._directory)
        self._proxy.figures.past.update(past)
        await self._tasks.__aenter__()
        self._is_open = True
        try:
            self._tasks.start(self._tidy_up(), "tidy up after the balancer")
            self._tasks.start(self._keep_log_small(), "keep access log small")
            async with self._turn:
                await self._take_over()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of HAProxy without stopping it."""
        if self._is_open:
            self._is_open = False
            try:
                await self._tasks.__aexit__(None, None, None)
            finally:
                self._proxy.let_go()

    async def apply(self, routes: Iterable[Route], *, allow_reload: bool = True) -> Applied:
        """Make these the routes. Raises BalancerDown, BalancerRefused when HAProxy cannot start at all."""
        started = self._clock.monotonic()
        async with self._turn:
            running = self._proxy.is_running
            verdict = judge(routes, self._layout.routes, no_https=self._find_door_problem())
            refused = dict(verdict.refused)
            accepted = {route.name: route for route in verdict.accepted}
            plan = arrange(self._layout, accepted.values(), allow_reload=allow_reload or not running)
            if late := await self._find_unusable(plan):
                refused |= late
                # What was served before is served as before.
                accepted |= {name: self._layout.routes[name] for name in late if name in self._layout.routes}
                usable = [
                    route
                    for name, route in accepted.items()
                    if name not in late or name in self._layout.routes
                ]
                plan = arrange(self._layout, usable, allow_reload=allow_reload or not running)
            reloads = running and plan.needs_reload and not plan.waiting
            if reloads:
                await self._reload(plan.layout)
            else:
                self._keep(plan.layout)
                await self._bring_about()
        log.info(
            "routes applied",
            action="balancer:Apply",
            subject=str(self._directory),
            routes=len(self._layout.routes),
            reloaded=reloads,
            refused=refused,
            waiting=plan.waiting,
            duration_s=round(self._clock.monotonic() - started, 3),
        )
        return Applied(reloads, refused, plan.waiting)

    async def add(self, route: str, target: Target) -> None:
        """Send requests to a healthy target; a known one that is not draining keeps its health."""
        if (problem := find_target_problem(target)) is not None:
            raise BalancerRefused(f"{target.id} cannot be added to {route}: {problem}")
        async with self._turn:
            if route not in self._layout.routes:
                raise NoSuchRoute(f"the balancer has no route {route}", route=route)
            self._keep(self._layout.with_target(route, Placed(target)))
            await self._bring_about(route)

    async def drain(self, route: str, target_id: str) -> None:
        """Send it no new request; those under way go on. Unknown targets are ignored."""
        async with self._turn:
            placed = self._layout.targets.get(route, {}).get(target_id)
            if placed is not None:
                self._keep(self._layout.with_target(route, replace(placed, is_draining=True)))
                await self._bring_about(route)

    async def remove(self, route: str, target_id: str) -> None:
        """Take it out, cutting what is still under way. Unknown targets are ignored."""
        async with self._turn:
            if target_id in self._layout.targets.get(route, {}):
                self._proxy.figures.forget((self._layout.places[route], target_id))
                self._keep(self._layout.without_target(route, target_id))
                await self._bring_about(route)

    async def status(self, route: str | None = None) -> list[TargetStatus]:
        """Every target (of one route) with its state and figures. Raises BalancerDown."""
        # In turn: what a worker says while it is being replaced would be counted twice.
        async with self._turn:
            try:
                return await self._proxy.status(self._layout, route)
            except BalancerDown:
                if not self._is_wanted:
                    raise
            await self._bring_about()
            return await self._proxy.status(self._layout, route)

    async def figures(self) -> BalancerFigures:
        """All counts in one look. Raises BalancerDown."""
        return await self._proxy.look(self._layout)

    def read_access_log(self, place: LogPlace | None, limit_bytes: int) -> AccessPart:
        """The next lines from a place. Blocks shortly. Raises OSError."""
        return read_lines(self._directory, place, limit_bytes)

    def release_access_log(self, place: LogPlace) -> None:
        """What is before this place is not needed any more."""
        self._released = place

    async def stop(self) -> None:
        """End HAProxy; `apply` starts it again, with the targets that it had."""
        async with self._turn:
            self._is_wanted = False
            await self._proxy.stop()

    async def _take_over(self) -> None:
        if await self._proxy.adopt():
            self._is_wanted = True
            log.info("balancer adopted", action="balancer:Adopt", subject=str(self._directory))
            self._watch()
            if not self._proxy.answers_for(self._layout):
                # We were killed between the decision to reload and the reload.
                await self._reload(self._layout)
            elif not self._proxy.is_up_to_date(self._layout):
                await self._renew()
            await self._bring_about()
        elif self._layout.routes:
            with contextlib.suppress(BalancerDown, BalancerRefused):
                await self._bring_about()
            if not self._proxy.is_running:
                self._tasks.start(self._revive(), "revive balancer")

    async def _renew(self) -> None:
        """Give a HAProxy that an earlier Halage started the configuration and the doors of this one."""
        try:
            await self._reload(self._layout)
        except (BalancerDown, BalancerRefused):
            # It serves as before; only what is new in the configuration is missing until it starts again.
            log.exception("balancer not renewed", action="balancer:Renew", subject=str(self._directory))

    async def _bring_about(self, route: str | None = None) -> None:
        """Bring HAProxy to the layout, starting it when it does not run or dies just now."""
        self._is_wanted = True
        for _ in range(2):
            if not self._proxy.is_running:
                self._layout = await self._proxy.start(self._layout)
                self._watch()
            try:
                if await self._proxy.converge(self._layout, route):
                    self._leftovers.set()
                return
            except BalancerDown:
                if not await self._proxy.has_died():
                    raise
        raise BalancerDown(f"HAProxy of {self._directory} died twice: its reasons are in haproxy.log there")

    async def _reload(self, layout: Layout) -> None:
        try:
            self._layout = await self._proxy.reload(layout)
            self._leftovers.set()
        except (BalancerDown, BalancerRefused):
            self._keep(self._layout)
            raise

    def _keep(self, layout: Layout) -> None:
        # On the disk before it is done: a HAProxy that dies now comes back with it.
        self._layout = layout
        record.save(self._directory, layout, self._proxy.figures.past)

    async def _find_unusable(self, plan: Arrangement) -> dict[str, str]:
        """Which of the changed routes HAProxy would not load, if any, with the reason."""
        if not plan.needs_reload or plan.waiting:
            return await self._proxy.load_certificates(plan.layout)
        if await self._proxy.find_problem(plan.layout) is None:
            return {}
        unusable = {}
        for name, route in plan.layout.routes.items():
            if self._layout.routes.get(name) != route:
                problem = await self._proxy.find_problem(plan.layout, name)
                if problem is not None:
                    unusable[name] = f"HAProxy refuses it: {problem}"
        return unusable

    def _find_door_problem(self) -> str:
        """Why nobody can come by HTTPS; empty when they can."""
        if self._https is None:
            return NO_HTTPS
        if self._layout.is_secure and self._proxy.is_running:
            return ""
        # Found out before: a HAProxy that cannot open one of its doors opens none.
        return find_door_problem(*self._https) or ""

    def _watch(self) -> None:
        self._tasks.start(self._watch_process(), "watch balancer")

    async def _watch_process(self) -> None:
        if await self._proxy.wait_end():
            log.error("balancer died", action="balancer:Revive", subject=str(self._directory))
            await self._revive()

    async def _revive(self) -> None:
        for attempt in itertools.count():
            async with self._turn:
                try:
                    if not self._proxy.is_running:
                        await self._bring_about()
                    log.info("balancer is back", action="balancer:Revive", subject=str(self._directory))
                    return
                except (BalancerDown, BalancerRefused, OSError):
                    log.exception(
                        "balancer does not start", action="balancer:Revive", subject=str(self._directory)
                    )
            await self._clock.sleep(REVIVE_DELAYS_S[min(attempt, len(REVIVE_DELAYS_S) - 1)])

    async def _tidy_up(self) -> None:
        """Look after what could not be done at once, while there is any of it.

        Servers that HAProxy would not delete for an idle connection to them; former workers.
        """
        while True:
            await self._leftovers.wait()
            await self._clock.sleep(TIDY_UP_AFTER_S)
            async with self._turn:
                with contextlib.suppress(BalancerDown):
                    await self._proxy.former.look(self._proxy.figures)
                    leftovers = self._proxy.is_running and await self._proxy.take_leftovers_away(self._layout)
                    if not leftovers and self._proxy.former.is_empty():
                        self._leftovers.clear()

    async def _keep_log_small(self) -> None:
        while True:
            keep_small(self._directory, self._log_bytes, self._released)
            await self._clock.sleep(LOOK_AT_LOG_S)
