"""Lines of logs: searched, counted over time, paged through, followed; of any place or one environment."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response

from halage.access.rules import check
from halage.base.errors import Invalid, NotFound
from halage.monitor.logs.model import Counts, Group, GroupSummary, KeptLine, Page, Search
from halage.web.console.console import Console, Visitor, add, status_of
from halage.web.console.live import LOOK_AGAIN_S, live
from halage.web.console.live import Page as LivePage
from halage.web.console.log_choice import KINDS, LogChoice, period_for
from halage.web.console.log_lines import bars_of, shown_lines
from halage.web.console.ranges import PRESETS

AT_ONCE = 100
GATHER_S = 0.25
"""Lines that come within that time are sent to a page together."""
MOST_GATHERED = 200
"""So many of them are shown: what floods leaves its last lines, and how many there were."""
_SHARE = 20
"""Counting anew may take one part in so many of the time."""
_ENVIRONMENT = "/projects/{project}/environments/{environment}/logs"


@dataclass(slots=True)
class Gathered:
    """The last lines of a moment, and how many came before them."""

    lines: deque[KeptLine] = field(default_factory=lambda: deque(maxlen=MOST_GATHERED))
    left_out: int = 0

    def add(self, line: KeptLine) -> None:
        """One more."""
        self.left_out += len(self.lines) == MOST_GATHERED
        self.lines.append(line)


class LogPages:
    """The page of logs, and the same among the pages of an environment."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services
        self._logs = console.services.logs

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        add(router, "/logs", get=self.show)
        add(router, "/logs/live", get=self.follow)
        add(router, _ENVIRONMENT, get=self.show_of_environment)
        add(router, f"{_ENVIRONMENT}/live", get=self.follow_of_environment)

    async def show(self, request: Request) -> Response:
        """Lines of the chosen place; without a choice, of the first one that has some."""
        visitor = await self._console.visitor(request)
        groups = await self._groups(visitor)
        place = request.query_params.get("place")
        if place is None:
            if not groups:
                return self._console.page(request, "logs_none.html")
            place = groups[0].name.partition("/")[0] if groups[0].project else ""
        choice = _choice_of(request, place)
        await self._allowed(request, choice)
        return await self._page(request, choice, groups, "logs.html", "/logs")

    async def show_of_environment(self, request: Request, project: str, environment: str) -> Response:
        """Lines of one environment."""
        choice = _choice_of(request, f"{project}.{environment}")
        visitor = await self._allowed(request, choice)
        shown = await self._services.environments.show(project, environment)
        groups = [each for each in await self._groups(visitor) if each.project == project]
        base = _ENVIRONMENT.format(project=project, environment=environment)
        return await self._page(request, choice, groups, "environment_logs.html", base, environment=shown)

    async def follow(self, request: Request, place: str = "", after: int = 0) -> Response:
        """New lines of the chosen place, and their counts."""
        return await self._follow(request, _choice_of(request, place), after, "/logs")

    async def follow_of_environment(
        self, request: Request, project: str, environment: str, after: int = 0
    ) -> Response:
        """The same of one environment."""
        choice = _choice_of(request, f"{project}.{environment}")
        base = _ENVIRONMENT.format(project=project, environment=environment)
        return await self._follow(request, choice, after, base)

    # -- a page

    async def _page(
        self,
        request: Request,
        choice: LogChoice,
        groups: list[GroupSummary],
        template: str,
        base: str,
        **facts: Any,
    ) -> Response:
        now = self._services.clock.now()
        last_id = await self._logs.last_id()  # first: what comes in meanwhile is followed
        page, counts, problem, status = Page((), None, False), None, None, 200
        try:
            page, counts = await self._find(choice, now)
        except Invalid as error:
            problem, status = error.message, status_of(error)
        chosen = [each for each in groups if choice.has(Group.named(each.name))]
        return self._console.page(
            request,
            template,
            status,
            **self._count_facts(choice, counts, base),
            project=choice.project,
            page=page,
            lines=self._shown(choice, list(reversed(page.lines))),
            left_out=0,
            after=max([last_id, *(line.id for line in page.lines[:1])]),
            places=_places(groups, choice.place),
            groups=groups,
            streams=sorted({name for each in chosen for name in each.streams}),
            kinds=KINDS,
            presets=PRESETS,
            problem=problem,
            export=choice.api_query(now),
            **facts,
        )

    async def _find(self, choice: LogChoice, now: float) -> tuple[Page, Counts]:
        """The lines and their counts, which are looked for at once. Raises Invalid, Unavailable."""
        search = choice.search(now)
        page, counts = await asyncio.gather(
            self._logs.search(choice.groups, search, limit=AT_ONCE, before=choice.before),
            self._count(choice, search, now),
        )
        return page, counts

    async def _count(self, choice: LogChoice, search: Search, now: float) -> Counts:
        start, end = choice.span(now)
        period_s = period_for(end - start)
        return await self._logs.count(choice.groups, search, start=start, end=end, period_s=period_s)

    def _count_facts(self, choice: LogChoice, counts: Counts | None, base: str) -> dict[str, Any]:
        bars = [] if counts is None else bars_of(counts)
        return {"choice": choice, "base_address": base, "counts": counts, "bars": bars}

    def _shown(self, choice: LogChoice, lines: list[KeptLine]) -> Any:
        # Ids are in the order in which lines came in, an instance after the other; people read by time.
        by_time = sorted(lines, key=lambda line: line.at)
        return shown_lines(by_time, names_environments=choice.environment is None)

    async def _groups(self, visitor: Visitor) -> list[GroupSummary]:
        def is_visible(group: Group) -> bool:
            return visitor.may("monitor:ReadLogs", f"project/{group.project}" if group.project else "server")

        return await self._logs.groups(is_visible)

    async def _allowed(self, request: Request, choice: LogChoice) -> Visitor:
        """The visitor, if they may read the lines. Raises NotFound, NotAllowed."""
        if choice.project is None:
            visitor = await self._console.visitor(request)
            check(visitor.principal, "monitor:ReadLogs", "server")
            return visitor
        resource = f"project/{choice.project}"
        if choice.environment is not None:
            resource += f"/environment/{choice.environment}"
        return await self._console.visitor_of(request, choice.project, "monitor:ReadLogs", resource)

    # -- live

    async def _follow(self, request: Request, choice: LogChoice, after: int, base: str) -> Response:
        await self._allowed(request, choice)
        wanted = choice.timeless
        last_seen = request.headers.get("last-event-id", "")
        start = int(last_seen) if last_seen.isdecimal() and len(last_seen) < 17 else after

        async def lines(page: LivePage) -> None:
            gathered, has_some = Gathered(), asyncio.Event()

            async def gather() -> None:
                async for line in self._logs.follow(choice.groups, wanted, start):
                    gathered.add(line)
                    has_some.set()

            async def send() -> None:
                nonlocal gathered
                while True:
                    await has_some.wait()
                    await asyncio.sleep(GATHER_S)
                    await self._allowed(request, choice)
                    some, gathered = gathered, Gathered()
                    has_some.clear()
                    html = self._rows(request, choice, some, base)
                    await page.append("lines", html, some.lines[-1].id)

            async with asyncio.TaskGroup() as group:
                group.create_task(gather(), name="log lines of a live page")
                group.create_task(send(), name="live page of logs")

        async def counts(page: LivePage) -> None:
            while True:
                began = self._services.clock.monotonic()
                await self._allowed(request, choice)
                now = self._services.clock.now()
                found = await self._count(choice, choice.search(now), now)
                facts = self._count_facts(choice, found, base)
                await page.show(counts=self._console.render(request, "log_counts.html", **facts))
                took = self._services.clock.monotonic() - began
                await asyncio.sleep(max(LOOK_AGAIN_S, _SHARE * took))

        return live(self._services, lines, counts, still_allowed=lambda: self._allowed(request, choice))

    def _rows(self, request: Request, choice: LogChoice, some: Gathered, base: str) -> str:
        return self._console.render(
            request,
            "log_rows.html",
            choice=choice,
            base_address=base,
            lines=self._shown(choice, list(some.lines)),
            left_out=some.left_out,
        )


def _choice_of(request: Request, place: str) -> LogChoice:
    """What the address chooses. Raises NotFound: a mistyped place is not the server's own log."""
    choice = LogChoice.of(request.query_params, place)
    if choice.place != place:
        raise NotFound(f"There is no place {place}: write PROJECT or PROJECT.ENVIRONMENT.")
    return choice


def _places(groups: list[GroupSummary], chosen: str) -> dict[str, list[tuple[str, str]]]:
    """Places by project, each with what is called there: an environment, or empty for the whole project."""
    places: dict[str, dict[str, str]] = {}
    for place in [*(each.name.partition("/")[0] for each in groups if each.project), chosen]:
        project, _, environment = place.partition(".")
        if project:
            found = places.setdefault(project, {project: ""})
            if environment:
                found[place] = environment
    return {project: sorted(found.items()) for project, found in sorted(places.items())}
