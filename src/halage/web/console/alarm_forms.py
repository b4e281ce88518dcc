"""The pages on which an alarm is made and changed."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from halage.access.rules import check
from halage.base.errors import Conflict, Invalid, NotFound
from halage.monitor.alarms.documents import Document
from halage.monitor.alarms.model import Alarm, AlarmFilter, Definition, State, Tell
from halage.web.api.requests_alarms import AlarmDefinition, AlarmId, AlarmWanted
from halage.web.console.alarm_form import (
    LOW_SAMPLES,
    METHODS,
    MISSING,
    OPERATORS,
    PERIODS_S,
    SIDES,
    AlarmForm,
    Problem,
    Problems,
    Reading,
)
from halage.web.console.alarms import SET, seen_alarm
from halage.web.console.console import Console, Visitor, add, see, status_of

_NEW = Definition("", on_alarm=(Tell(),), on_ok=(Tell(),))
"""What a new alarm does unless something else is chosen: it tells those of the setting `messages.to`."""


class AlarmFormPages:
    """A new alarm, and another definition for one that there is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services
        self._alarms = console.services.alarms

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router; before that of one alarm, whose address is like theirs."""
        add(router, "/alarms/new", get=self.ask_new, post=self.create)
        add(router, "/alarms/{alarm}/edit", get=self.ask, post=self.change)

    async def ask_new(self, request: Request) -> Response:
        """The empty form, once it is known whose the alarm shall be; before that, the question."""
        query = request.query_params
        if "project" not in query:
            return await self._ask_project(request)
        project = query["project"] or None
        await self._may_make(request, project)
        values = {**AlarmForm.of(_NEW).values, "environment": query.get("environment", "")}
        values["expression"] = query.get("expression", "")[:4096]
        return await self._page(request, project, None, AlarmForm(values))

    async def create(self, request: Request) -> Response:
        """Make it, and go to its page."""
        project = request.query_params.get("project") or None
        visitor = await self._may_make(request, project)
        form = AlarmForm(await self._console.form(request, visitor))
        reading = Reading(form, self._console.language(request))
        status, made = await self._try(reading, project, None, visitor)
        if made is None:
            return await self._refused(request, project, None, reading, status)
        return see(f"/alarms/{made.id}")

    async def ask(self, request: Request, alarm: AlarmId) -> Response:
        """The form with the present definition; what is secret in it is masked."""
        _, shown = await seen_alarm(self._console, request, alarm, SET)
        return await self._page(request, shown.definition.project, shown, AlarmForm.of(shown.definition))

    async def change(self, request: Request, alarm: AlarmId) -> Response:
        """Give it the definition of the form."""
        visitor, before = await seen_alarm(self._console, request, alarm, SET)
        form = AlarmForm(await self._console.form(request, visitor))
        reading = Reading(form, self._console.language(request))
        project = before.definition.project
        status, changed = await self._try(reading, project, before, visitor)
        if changed is None:
            return await self._refused(request, project, before, reading, status)
        return see(f"/alarms/{alarm}")

    async def _may_make(self, request: Request, project: str | None) -> Visitor:
        if project is not None:
            visitor = await self._console.visitor_of(request, project, SET)
            await self._services.projects.show(project)  # to administrators any name looks like one
            return visitor
        visitor = await self._console.visitor(request)
        check(visitor.principal, SET, "server")
        return visitor

    async def _try(
        self, reading: Reading, project: str | None, before: Alarm | None, visitor: Visitor
    ) -> tuple[int, Alarm | None]:
        """Define the alarm; None, with what is wrong in `reading`, where it cannot be so."""
        document = reading.document()
        if reading.problems:
            return 422, None
        try:
            await self._must_exist(reading, project, document)
            if reading.problems:
                return 422, None
            actor = visitor.principal.name
            if before is None:
                wanted = AlarmWanted.model_validate({**document, "project": project})
                return 200, await self._alarms.create(wanted.model_dump(), actor=actor)
            definition = AlarmDefinition.model_validate(document)
            return 200, await self._alarms.set(before.id, definition.model_dump(), actor=actor)
        except ValidationError as error:
            reading.blame(error)
            return 422, None
        except (Invalid, Conflict) as error:
            reading.blame(error)
            return status_of(error), None

    async def _must_exist(self, reading: Reading, project: str | None, document: Document) -> None:
        environment = document["environment"]
        if project is None or environment is None:
            return
        try:
            await self._services.environments.show(project, environment)
        except NotFound as error:
            reading.problems["environment"] = Problem(error.message)

    async def _ask_project(self, request: Request) -> Response:
        visitor = await self._console.visitor(request)
        projects = await self._services.projects.list(visitor.alarms.visible)
        names = [each.name for each in projects if visitor.may(SET, f"project/{each.name}")]
        may_server = visitor.may(SET, "server")
        if not names and not may_server:
            check(visitor.principal, SET, "server")
        return self._console.page(request, "alarm_new.html", projects=names, may_server=may_server)

    async def _refused(
        self, request: Request, project: str | None, before: Alarm | None, reading: Reading, status: int
    ) -> Response:
        problems = {**reading.form.forgotten(reading.language), **reading.problems}
        form = reading.form.without_secrets()
        return await self._page(request, project, before, form, problems, status)

    async def _page(
        self,
        request: Request,
        project: str | None,
        before: Alarm | None,
        form: AlarmForm,
        problems: Problems | None = None,
        status: int = 200,
    ) -> Response:
        facts: dict[str, Any] = {"operators": OPERATORS, "sides": SIDES, "missing_modes": MISSING}
        facts |= {"low_sample_modes": LOW_SAMPLES, "methods": METHODS, "states": tuple(State)}
        own = form.text("period_s")
        is_period = own.isascii() and own.isdecimal() and len(own) < 6
        periods = {*PERIODS_S, *([int(own)] if is_period else [])}
        return self._console.page(
            request,
            "alarm_form.html",
            status,
            alarm=before,
            project=project,
            form=form,
            problems=problems or {},
            environments=await self._environments(project),
            neighbours=await self._neighbours(project, before),
            periods=sorted(periods),
            **facts,
        )

    async def _environments(self, project: str | None) -> list[str]:
        if project is None:
            return []
        return [each.name for each in await self._services.environments.list(project)]

    async def _neighbours(self, project: str | None, before: Alarm | None) -> list[str]:
        """The names that a rule may hold."""
        of_server = AlarmFilter(visible=frozenset())
        wanted = of_server if project is None else AlarmFilter(project=project)
        found = await self._alarms.page(wanted, is_urgent_first=False, limit=200)
        return [each.definition.name for each in found if before is None or each.id != before.id]
