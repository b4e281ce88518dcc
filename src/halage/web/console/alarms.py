"""Alarms: the list, one of them with its picture, its numbers and its history, and what can be done to it."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from halage.access.rules import check
from halage.base.errors import Conflict, Invalid, NotFound
from halage.monitor.alarms.documents import to_shown
from halage.monitor.alarms.model import Alarm, AlarmFilter, State, Trial
from halage.monitor.alarms.rules import judged_points
from halage.web.api.requests import Before
from halage.web.api.requests_alarms import AlarmId
from halage.web.caller import no_such
from halage.web.console.alarm_picture import (
    MOST_CHANGES,
    RANGES_S,
    Mark,
    Picture,
    draw,
    marks_of,
    usual_range,
)
from halage.web.console.console import Console, Visitor, add, see, status_of
from halage.web.console.live import Page, at_each_change, live
from halage.web.console.wording import figure

SHOW, SET = "monitor:Show", "monitor:SetAlarm"
DISABLED_FOR_S = (1800, 3600, 4 * 3600, 86400, 7 * 86400)
_AT_ONCE = 100
_CHANGES_AT_ONCE = 20
_TICK_S = 10
_PARTS = ("head", "controls", "course", "now", "history")
Seen = tuple[Visitor, Alarm]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which alarms the visitor chose, as the address says it."""

    path: str
    project: str | None
    environment: str | None
    state: State | None
    page: int

    @classmethod
    def of(cls, request: Request) -> "Choice":
        """The choice of an address; what cannot be read is left out."""
        query = request.query_params
        state = next((each for each in State if each == query.get("state")), None)
        page = query.get("page", "")
        is_number = page.isascii() and page.isdecimal() and len(page) < 6
        number = max(1, int(page)) if is_number else 1
        path = request.url.path.removesuffix("/live")
        return cls(path, query.get("project") or None, query.get("environment") or None, state, number)

    def address(self, state: State | None, page: int = 1) -> str:
        """The same list of the alarms in another state, or another page of it."""
        place = {"project": self.project, "environment": self.environment} if self.path == "/alarms" else {}
        fields = {**place, "state": state, "page": page if page > 1 else None}
        query = urlencode({name: value for name, value in fields.items() if value is not None})
        return f"{self.path}?{query}" if query else self.path

    @property
    def live_address(self) -> str:
        """Where the list comes from as it changes."""
        path, mark, query = self.address(self.state, self.page).partition("?")
        return f"{path}/live{mark}{query}"

    def among(self, seen: AlarmFilter) -> AlarmFilter:
        """The chosen ones among those that may be seen."""
        return replace(seen, project=self.project, environment=self.environment, state=self.state)


class AlarmPages:
    """The list of alarms, each of them, and its buttons."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services
        self._alarms = console.services.alarms

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        of_environment = "/projects/{project}/environments/{environment}/alarms"
        add(router, "/alarms", get=self.list)
        add(router, "/alarms/live", get=self.follow_list)
        add(router, of_environment, get=self.list_of_environment)
        add(router, f"{of_environment}/live", get=self.follow_environment)
        add(router, "/alarms/{alarm}", get=self.show)
        add(router, "/alarms/{alarm}/live", get=self.follow)
        add(router, "/alarms/{alarm}/test", post=self.test)
        add(router, "/alarms/{alarm}/disable", post=self.disable)
        add(router, "/alarms/{alarm}/enable", post=self.enable)
        add(router, "/alarms/{alarm}/delete", post=self.delete)

    # -- the list

    async def list(self, request: Request) -> Response:
        """All that the visitor may see, or some of them; those in alarm first."""
        choice = Choice.of(request)
        visitor = await self._allowed(request, choice.project)
        return self._console.page(request, "alarms.html", **await self._list_facts(visitor, choice))

    async def list_of_environment(self, request: Request, project: str, environment: str) -> Response:
        """Those of an environment, among its other pages."""
        visitor = await self._allowed(request, project)
        shown = await self._services.environments.show(project, environment)
        choice = replace(Choice.of(request), project=project, environment=environment)
        facts = await self._list_facts(visitor, choice)
        return self._console.page(request, "environment_alarms.html", **facts, environment=shown)

    async def follow_list(self, request: Request) -> Response:
        """The list as it changes."""
        return await self._follow_list(request, Choice.of(request))

    async def follow_environment(self, request: Request, project: str, environment: str) -> Response:
        """The list of an environment as it changes."""
        choice = replace(Choice.of(request), project=project, environment=environment)
        return await self._follow_list(request, choice)

    async def _follow_list(self, request: Request, choice: Choice) -> Response:
        await self._allowed(request, choice.project)

        async def source(page: Page) -> None:
            async def look() -> None:
                # Projects come and go, and so do the visitor's roles in them.
                visitor = await self._allowed(request, choice.project)
                facts = await self._list_facts(visitor, choice)
                parts = {"alarms": self._console.render(request, "alarm_rows.html", **facts)}
                if choice.project is not None:
                    place = (choice.project, facts["tab_environment"])
                    parts["alarm-count"] = self._console.alarm_count(request, *place)
                await page.show(**parts)

            await at_each_change(self._services.journal, choice.project, look)

        return live(self._services, source, still_allowed=lambda: self._allowed(request, choice.project))

    async def _allowed(self, request: Request, project: str | None) -> Visitor:
        if project is None:
            return await self._console.visitor(request)
        return await self._console.visitor_of(request, project, SHOW)

    async def _list_facts(self, visitor: Visitor, choice: Choice) -> dict[str, Any]:
        wanted = choice.among(visitor.alarms)
        counts = await self._alarms.counts(visitor.alarms)
        skip = (choice.page - 1) * _AT_ONCE
        found = await self._alarms.page(wanted, limit=_AT_ONCE + 1, skip=skip)
        places = [(project, environment) for project, environment, _ in counts.numbers]
        chosen = [each for each in places if choice.project in (None, each[0])]
        resource = "server" if choice.project is None else f"project/{choice.project}"
        return {
            "choice": choice,
            "tab_environment": choice.environment if choice.path != "/alarms" else None,
            "project": choice.project,
            "counts": counts,
            "states": (None, State.ALARM, State.INSUFFICIENT_DATA, State.OK),
            "alarms": found[:_AT_ONCE],
            "has_more": len(found) > _AT_ONCE,
            "mute": await self._alarms.muted_by_deployments(found),
            "projects": sorted({project for project, _ in places if project}),
            "environments": sorted({environment for _, environment in chosen if environment}),
            "may_make": visitor.may(SET, resource) or (choice.project is None and _may_make(visitor)),
        }

    # -- one alarm

    async def show(self, request: Request, alarm: AlarmId, before: Before = None) -> Response:
        """Everything about one alarm; `before`: older changes of it."""
        visitor, shown = await self._seen(request, alarm, SHOW)
        facts = await self._facts(request, visitor, shown, before=before)
        return self._console.page(request, "alarm.html", **facts)

    async def follow(self, request: Request, alarm: AlarmId) -> Response:
        """Its parts as they change; the picture and the numbers once in ten seconds."""
        _, shown = await self._seen(request, alarm, SHOW)
        kept: dict[str, Any] = {}

        async def source(page: Page) -> None:
            async def look() -> None:
                visitor, now = await self._seen(request, alarm, SHOW)
                version = (self._services.clock.now() // _TICK_S, now.state_at, now.updated_at)
                if kept.get("version") != version:
                    kept.update(await self._measured(request, now), version=version)
                facts = {**await self._plain(visitor, now, None), **kept}
                parts = {
                    name: self._console.render(request, f"alarm_{name}.html", **facts) for name in _PARTS
                }
                await page.show(**parts)

            await at_each_change(self._services.journal, shown.definition.project, look)

        return live(self._services, source, still_allowed=lambda: self._seen(request, alarm, SHOW))

    async def test(self, request: Request, alarm: AlarmId) -> Response:
        """What it would say and do now; a test message, where the form asks for it."""
        visitor, shown = await self._seen(request, alarm, SET)
        form = await self._console.form(request, visitor)
        send = form.text("send") == "yes"
        trial = await self._alarms.test(alarm, send=send, actor=visitor.principal.name)
        facts = await self._facts(request, visitor, shown, trial=trial, is_sent=send)
        return self._console.page(request, "alarm.html", **facts)

    async def disable(self, request: Request, alarm: AlarmId) -> Response:
        """Let it do nothing, until the moment of the form or until it is enabled."""
        visitor, shown = await self._seen(request, alarm, SET)
        form = await self._console.form(request, visitor)
        try:
            until = self._end_of(request, form.text("for"), form.text("until"))
            await self._alarms.disable(alarm, until=until, actor=visitor.principal.name)
        except Invalid as error:
            facts = await self._facts(request, visitor, shown)
            return self._console.page(request, "alarm.html", status_of(error), **facts, problem=error.message)
        return see(f"/alarms/{alarm}")

    def _end_of(self, request: Request, length: str, until: str) -> float | None:
        """The end of a disablement: a length from now, a moment in UTC, or none. Raises Invalid."""
        if length == "until":
            with contextlib.suppress(ValueError):
                at = datetime.fromisoformat(until)
                return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
            raise Invalid(self._console.language(request).say("alarm.until_needed"))
        if length in map(str, DISABLED_FOR_S):
            return self._services.clock.now() + int(length)
        return None

    async def enable(self, request: Request, alarm: AlarmId) -> Response:
        """Let it do again what it does."""
        visitor, _ = await self._seen(request, alarm, SET)
        await self._console.form(request, visitor)
        await self._alarms.enable(alarm, actor=visitor.principal.name)
        return see(f"/alarms/{alarm}")

    async def delete(self, request: Request, alarm: AlarmId) -> Response:
        """Delete it with its history."""
        visitor, shown = await self._seen(request, alarm, SET)
        await self._console.form(request, visitor)
        try:
            await self._alarms.delete(alarm, actor=visitor.principal.name)
        except Conflict as error:
            facts = await self._facts(request, visitor, shown)
            return self._console.page(request, "alarm.html", status_of(error), **facts, problem=error.message)
        return see(list_address(shown))

    async def _seen(self, request: Request, number: int, action: str) -> Seen:
        return await seen_alarm(self._console, request, number, action)

    async def _facts(
        self,
        request: Request,
        visitor: Visitor,
        alarm: Alarm,
        *,
        before: int | None = None,
        trial: Trial | None = None,
        is_sent: bool = False,
    ) -> dict[str, Any]:
        plain = await self._plain(visitor, alarm, before)
        return {**plain, **await self._measured(request, alarm), "trial": trial, "is_sent": is_sent}

    async def _plain(self, visitor: Visitor, alarm: Alarm, before: int | None) -> dict[str, Any]:
        """What is read from the database."""
        project = alarm.definition.project
        changes = await self._alarms.history(alarm.id, before=before, limit=_CHANGES_AT_ONCE + 1)
        return {
            "alarm": alarm,
            "project": project,
            "list_address": list_address(alarm),
            "document": to_shown(alarm.definition),
            "mute": await self._alarms.muted_by_deployments([alarm]),
            "changes": changes[:_CHANGES_AT_ONCE],
            "older": changes[_CHANGES_AT_ONCE - 1].id if len(changes) > _CHANGES_AT_ONCE else None,
            "is_first": before is None,
            "may_set": visitor.may(SET, _resource(alarm)),
            "lengths": DISABLED_FOR_S,
            "named": await self._alarms.named_by(alarm),
        }

    async def _measured(self, request: Request, alarm: Alarm) -> dict[str, Any]:
        """What is read from the metrics."""
        verdict = await self._alarms.look(alarm.id)
        seconds = self._range_of(request, alarm)
        return {
            "verdict": verdict,
            "periods": judged_points(alarm.definition, verdict.facts),
            "picture": await self._picture(request, alarm, seconds),
            "seconds": seconds,
            "ranges": RANGES_S,
            "marks": await self._deployments(alarm, seconds),
        }

    def _range_of(self, request: Request, alarm: Alarm) -> int:
        asked = request.query_params.get("range", "")
        return next((each for each in RANGES_S if str(each) == asked), usual_range(alarm.definition))

    def _window(self, seconds: int) -> tuple[float, float]:
        end = self._services.clock.now() // _TICK_S * _TICK_S
        return end - seconds, end

    async def _picture(self, request: Request, alarm: Alarm, seconds: int) -> tuple[Picture, str | None, int]:
        """The picture, why it has no values, and how long the time is that each value covers."""
        start, end = self._window(seconds)
        course = await self._alarms.course(alarm.id, start, end)
        changes = await self._alarms.history(alarm.id, limit=MOST_CHANGES)
        language = self._console.language(request)
        picture = draw(alarm, course, changes, start, end, lambda value: figure(language, value))
        return picture, course.problem, course.period_s

    async def _deployments(self, alarm: Alarm, seconds: int) -> Sequence[Mark]:
        project, environment = alarm.definition.project, alarm.definition.environment
        if project is None or environment is None:
            return ()
        with contextlib.suppress(NotFound):  # the environment may be gone
            found = await self._services.environments.deployments(project, environment, limit=50)
            return marks_of(
                [(each.finished_at or each.created_at, each.release.number) for each in found],
                *self._window(seconds),
            )
        return ()


async def seen_alarm(console: Console, request: Request, number: int, action: str) -> Seen:
    """The visitor and the alarm, if the one may do this to the other. Raises NotFound, NotAllowed."""
    visitor = await console.visitor(request)
    thing = f"alarm {number}"
    try:
        alarm = await console.services.alarms.show(number)
    except NotFound as error:
        raise no_such(thing) from error
    project = alarm.definition.project
    if project is not None and not visitor.may("project:Show", f"project/{project}"):
        raise no_such(thing)
    check(visitor.principal, action, _resource(alarm))
    return visitor, alarm


def list_address(alarm: Alarm) -> str:
    """Where the alarm stands among others."""
    definition = alarm.definition
    if definition.project is None:
        return "/alarms"
    if definition.environment is None:
        return f"/alarms?project={definition.project}"
    return f"/projects/{definition.project}/environments/{definition.environment}/alarms"


def _resource(alarm: Alarm) -> str:
    project = alarm.definition.project
    return "server" if project is None else f"project/{project}"


def _may_make(visitor: Visitor) -> bool:
    """Whether there is a project in which the visitor may make one."""
    return visitor.principal.is_admin or any(
        visitor.may(SET, f"project/{project}") for project in visitor.principal.roles
    )
