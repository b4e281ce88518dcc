"""What is done with lines beside keeping them: filters that count in metrics, outlets that send them on."""

import re
from typing import Any

from fastapi import APIRouter, Request, Response

from halage.access.rules import check, visible_projects
from halage.base.errors import Conflict, Invalid, NotFound
from halage.monitor.logs.errors import NoSuchLogFilter
from halage.monitor.logs.model import FieldTest, Group, LogFilter, Search
from halage.web.console.console import Console, Form, Visitor, add, see, status_of

_LONGEST = 1000
_SET = "monitor:SetLogFilter"


class LogSettingPages:
    """Filters of the projects that the visitor sees; outlets, for administrators of the server."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services
        self._filters = console.services.logs.filters
        self._outlets = console.services.logs.outlets

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        add(router, "/logs/filters", get=self.show_filters, post=self.create_filter)
        add(router, "/logs/filters/{number}", post=self.change_filter)
        add(router, "/logs/filters/{number}/delete", post=self.delete_filter)
        add(router, "/logs/outlets", get=self.show_outlets, post=self.create_outlet)
        add(router, "/logs/outlets/{number}/{action}", post=self.act_on_outlet)

    # -- filters

    async def show_filters(self, request: Request) -> Response:
        """The filters; a form for a new one, filled with what the address says."""
        visitor = await self._console.visitor(request)
        return await self._filter_page(request, visitor, dict(request.query_params))

    async def create_filter(self, request: Request) -> Response:
        """Count what a search finds."""
        visitor = await self._console.visitor(request)
        form = await self._console.form(request, visitor)
        try:
            group = _group_of(form.text("group"))
            await self._check(request, group.project or "")
            await self._filters.create(
                group, form.text("metric"), _search_of(form), actor=visitor.principal.name
            )
        except (Invalid, Conflict) as error:
            return await self._filter_page(request, visitor, dict(form), status_of(error), error.message)
        return see("/logs/filters")

    async def change_filter(self, request: Request, number: int) -> Response:
        """Count what another search finds."""
        visitor, found = await self._filter(request, number)
        form = await self._console.form(request, visitor)
        try:
            await self._filters.change(found.id, _search_of(form), actor=visitor.principal.name)
        except Invalid as error:
            return await self._filter_page(request, visitor, {}, status_of(error), error.message)
        return see("/logs/filters")

    async def delete_filter(self, request: Request, number: int) -> Response:
        """Count no more."""
        visitor, found = await self._filter(request, number)
        await self._console.form(request, visitor)
        await self._filters.delete(found.id, actor=visitor.principal.name)
        return see("/logs/filters")

    async def _filter(self, request: Request, number: int) -> tuple[Visitor, LogFilter]:
        """The visitor and a filter that they may set. Raises NotFound, NotAllowed."""
        visitor = await self._console.visitor(request)
        found = await self._filters.get(number)
        if not visitor.may("project:Show", f"project/{found.project}"):
            raise NoSuchLogFilter(f"There is no filter {number}, or you may not see it.")
        check(visitor.principal, _SET, f"project/{found.project}")
        return visitor, found

    async def _check(self, request: Request, project: str) -> None:
        await self._console.visitor_of(request, project, _SET)

    async def _filter_page(
        self,
        request: Request,
        visitor: Visitor,
        typed: dict[str, str],
        status: int = 200,
        problem: str | None = None,
    ) -> Response:
        visible = visible_projects(visitor.principal)
        projects = [each.name for each in await self._services.projects.list(visible)]
        found = [each for each in await self._filters.list() if visible is None or each.project in visible]
        return self._console.page(
            request,
            "log_filters.html",
            status,
            filters=sorted(found, key=lambda each: (each.project, each.group, each.metric)),
            settable={
                project: await self._groups_of(project)
                for project in projects
                if visitor.may(_SET, f"project/{project}")
            },
            typed=Form(typed),
            problem=problem,
        )

    async def _groups_of(self, project: str) -> list[str]:
        environments = await self._services.environments.list(project)
        names = [f"{project}.{each.name}/{kind}" for each in environments for kind in ("instances", "access")]
        return [*names, f"{project}/builds"]

    # -- outlets

    async def show_outlets(self, request: Request) -> Response:
        """The outlets, how each does, and a form for a new one."""
        await self._administrator(request)
        return await self._outlet_page(request, Form())

    async def create_outlet(self, request: Request) -> Response:
        """Send lines on from now on."""
        visitor = await self._administrator(request)
        form = await self._console.form(request, visitor)
        header = form.text("header")
        try:
            await self._outlets.create(
                form.text("name"),
                form.text("address"),
                form.text("groups").split(),
                {header: form.text("value")} if header else {},
                actor=visitor.principal.name,
            )
        except (Invalid, Conflict) as error:
            return await self._outlet_page(request, form, status_of(error), error.message)
        return see("/logs/outlets")

    async def act_on_outlet(self, request: Request, number: int, action: str) -> Response:
        """Pause, resume or delete one."""
        visitor = await self._administrator(request)
        await self._console.form(request, visitor)
        actor = visitor.principal.name
        if action == "pause":
            await self._outlets.pause(number, actor=actor)
        elif action == "resume":
            await self._outlets.resume(number, actor=actor)
        elif action == "delete":
            await self._outlets.delete(number, actor=actor)
        else:
            raise NotFound
        return see("/logs/outlets")

    async def _administrator(self, request: Request) -> Visitor:
        visitor = await self._console.visitor(request)
        check(visitor.principal, "monitor:SetOutlet", "server")
        return visitor

    async def _outlet_page(
        self, request: Request, typed: Form, status: int = 200, problem: str | None = None
    ) -> Response:
        facts: dict[str, Any] = {"outlets": await self._outlets.list(), "typed": typed, "problem": problem}
        return self._console.page(request, "log_outlets.html", status, **facts)


def _group_of(name: str) -> Group:
    """A group of a project. Raises Invalid."""
    try:
        group = Group.named(name)
    except ValueError as error:
        raise Invalid(f"{error}: choose one of the list.") from error
    if group.project is None:
        raise Invalid("A filter counts lines of a project: choose a group of one.")
    return group


def _search_of(form: Form) -> Search:
    """What the form's fields look for; its fields of JSON lines stand one a line. Raises Invalid."""
    try:
        lines = form.get("field", "").splitlines()
        fields = tuple(FieldTest.parse(each.strip()) for each in lines if each.strip())
    except ValueError as error:
        raise Invalid(
            f"A field cannot be looked for: {error}. Write level=error, or path~checkout."
        ) from error
    return Search(
        text=_line_of(form, "text"),
        not_text=_line_of(form, "not_text"),
        ignores_case=form.text("ignore_case") == "true",
        fields=fields,
        stream=form.optional("stream"),
    )


def _line_of(form: Form, name: str) -> str:
    return re.sub(r"[\x00\r\n]", "", form.get(name, ""))[:_LONGEST]
