"""Dashboards: the list, one of them with its widgets, an environment's own, new ones, documents."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from halage.access.rules import check, visible_projects
from halage.base.errors import Invalid, NotFound
from halage.monitor.alarms.model import Alarm
from halage.monitor.dashboards.levels import levels_of
from halage.monitor.dashboards.model import Dashboard, Layout, Unit, Widget, WidgetKind
from halage.monitor.dashboards.rules import in_reading_order, place_of, to_document
from halage.web.api.dashboards import seen_dashboards
from halage.web.api.requests_dashboards import LayoutFields
from halage.web.console.console import Console, Form, Visitor, add, see, status_of
from halage.web.console.language import Language
from halage.web.console.live import Page, at_each_change, live
from halage.web.console.ranges import PRESETS, read_range

_LABELS = {
    "requests": "made_line.requests",
    "read": "made_line.read",
    "written": "made_line.write",
    "restarts": "made_line.restarts",
    "failed checks": "made_line.failed_checks",
    "in flight": "made_line.in_flight",
    "queue": "made_line.queue",
    "wanted": "made_line.wanted",
    "serving": "made_line.serving",
    "memory": "made_line.memory",
    "swap": "made_line.swap",
    "used": "made_line.used",
    "in": "made_line.incoming",
    "out": "made_line.outgoing",
    "runs": "made_line.runs",
    "queued jobs": "made_line.queued_jobs",
    "deployments": "made_line.deployments",
}
"""Sentences for the labels of the made-by-itself dashboards."""


class DashboardPages:
    """The list of dashboards, and each of them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services
        self._dashboards = console.services.dashboards

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        add(router, "/dashboards", get=self.list, post=self.create)
        add(router, "/dashboards/import", post=self.take)
        add(router, "/dashboards/{dashboard}", get=self.show)
        add(router, "/dashboards/{dashboard}/live", get=self.follow)
        add(router, "/dashboards/{dashboard}/document.json", get=self.download)
        add(router, "/dashboards/{dashboard}/delete", post=self.delete)
        add(router, "/projects/{project}/environments/{environment}/graphs", get=self.show_of_environment)

    async def list(self, request: Request) -> Response:
        """Every dashboard that the visitor may see."""
        visitor = await self._console.visitor(request)
        return await self._list_page(request, visitor)

    async def create(self, request: Request) -> Response:
        """Make an empty one, and go on to its first widget."""
        visitor = await self._console.visitor(request)
        form = await self._console.form(request, visitor)
        project = await self._project_of(visitor, form)
        try:
            made = await self._dashboards.create(
                project, Layout(form.text("name")), actor=visitor.principal.name
            )
        except Invalid as error:
            return await self._list_page(request, visitor, status_of(error), problem=error.message)
        return see(f"/dashboards/{made.id}?edit=yes")

    async def take(self, request: Request) -> Response:
        """Make one from a document."""
        visitor = await self._console.visitor(request)
        form = await self._console.form(request, visitor)
        project = await self._project_of(visitor, form)
        text = form.get("document", "")
        try:
            layout = _read_layout(text)
            made = await self._dashboards.create(project, layout, actor=visitor.principal.name)
        except Invalid as error:
            return await self._list_page(
                request, visitor, status_of(error), problem=error.message, document=text
            )
        return see(f"/dashboards/{made.id}")

    async def show(self, request: Request, dashboard: str) -> Response:
        """One dashboard."""
        visitor, shown = await self._seen(request, dashboard)
        facts = await self._facts(request, visitor, shown)
        return self._console.page(request, "dashboard.html", **facts)

    async def show_of_environment(self, request: Request, project: str, environment: str) -> Response:
        """The dashboard that an environment has, among its other pages."""
        visitor, shown = await self._seen(request, f"{project}.{environment}")
        facts = await self._facts(request, visitor, shown)
        facts["environment"] = await self._services.environments.show(project, environment)
        others = [
            each
            for each in await self._dashboards.list(frozenset({project}))
            if each.project == project and place_of(each.id) is None
        ]
        return self._console.page(request, "environment_graphs.html", **facts, others=others)

    async def follow(self, request: Request, dashboard: str) -> Response:
        """The states of the alarms that it shows, as they change."""
        _, first = await self._seen(request, dashboard)

        async def source(page: Page) -> None:
            async def look() -> None:
                # What the visitor may see changes, and so does what the dashboard has.
                visitor, shown = await self._seen(request, dashboard)
                alarms = await self._alarms(visitor, shown)
                parts = {
                    f"alarms-{each.id}": self._console.render(
                        request, "widget_alarms.html", alarms=_alarms_of(shown, each, alarms)
                    )
                    for each in shown.layout.widgets
                    if each.kind is WidgetKind.ALARM
                }
                await page.show(**parts)

            await at_each_change(self._services.journal, first.project, look)

        return live(self._services, source, still_allowed=lambda: self._seen(request, dashboard))

    async def download(self, request: Request, dashboard: str) -> Response:
        """The layout as a JSON document, for this or another server."""
        _, shown = await self._seen(request, dashboard)
        text = json.dumps(to_document(shown.layout), indent=2, ensure_ascii=False) + "\n"
        headers = {"Content-Disposition": f'attachment; filename="dashboard-{shown.id}.json"'}
        return Response(text, media_type="application/json", headers=headers)

    async def delete(self, request: Request, dashboard: str) -> Response:
        """Delete it; a place has its made-by-itself one again."""
        visitor, shown = await self._seen(request, dashboard, "monitor:SetDashboard")
        await self._console.form(request, visitor)
        await self._dashboards.delete(dashboard, actor=visitor.principal.name)
        return see("/dashboards" if place_of(shown.id) is None else f"/dashboards/{shown.id}")

    async def _seen(
        self, request: Request, id_: str, action: str = "monitor:Show"
    ) -> tuple[Visitor, Dashboard]:
        """The visitor and the dashboard, if the one may do this to the other. Raises NotFound, NotAllowed."""
        place = place_of(id_)
        if place is not None and place.project is not None:
            visitor = await self._console.visitor_of(request, place.project, action)
            await self._services.environments.show(place.project, place.environment or "")
            return visitor, await self._dashboards.show(id_)
        visitor = await self._console.visitor(request)
        shown = await self._dashboards.show(id_)
        if shown.project is not None and not visitor.may("project:Show", f"project/{shown.project}"):
            raise NotFound(f"There is no dashboard {id_}, or you may not see it.")
        self._check(visitor, action, shown.project)
        return visitor, shown

    async def _project_of(self, visitor: Visitor, form: Form) -> str | None:
        """Whose dashboard the form is of. Raises NotFound, NotAllowed."""
        project = form.optional("project")
        if project is not None and not visitor.may("project:Show", f"project/{project}"):
            raise NotFound(f"There is no project {project}, or you may not see it.", project=project)
        self._check(visitor, "monitor:SetDashboard", project)
        if project is not None:
            await self._services.projects.show(project)  # to administrators any name looks like one
        return project

    def _check(self, visitor: Visitor, action: str, project: str | None) -> None:
        if project is not None:
            check(visitor.principal, action, f"project/{project}")
        else:
            is_show = action == "monitor:Show"
            check(visitor.principal, "monitor:ShowMachine" if is_show else action, "server")

    async def _facts(self, request: Request, visitor: Visitor, shown: Dashboard) -> dict[str, Any]:
        layout = shown.layout
        if shown.is_made:
            layout = _worded(layout, self._console.language(request))
        alarms = await self._alarms(visitor, shown)
        widgets = in_reading_order(layout.widgets)
        resource = "server" if shown.project is None else f"project/{shown.project}"
        return {
            "dashboard": shown,
            "project": shown.project,
            "widgets": [
                (widget, document, _alarms_of(shown, widget, alarms), _levels(shown, widget, alarms))
                for widget, document in zip(widgets, _documents(layout), strict=True)
            ],
            "alarms": alarms,
            "range": read_range(request.query_params, layout.range_s),
            "presets": PRESETS,
            "kept_query": "",
            "kinds": list(WidgetKind),
            "units": list(Unit),
            "may_change": visitor.may("monitor:SetDashboard", resource),
            "has_alarms": any(each.kind is WidgetKind.ALARM for each in widgets),
        }

    async def _alarms(self, visitor: Visitor, shown: Dashboard) -> Sequence[Alarm]:
        """Those of the dashboard's project, or of the server, that the visitor may see."""
        of_server = replace(visitor.alarms, visible=frozenset())
        of_project = replace(visitor.alarms, project=shown.project)
        return await self._services.alarms.page(of_server if shown.project is None else of_project)

    async def _list_page(
        self,
        request: Request,
        visitor: Visitor,
        status: int = 200,
        *,
        problem: str | None = None,
        document: str = "",
    ) -> Response:
        visible = visible_projects(visitor.principal)
        found = await seen_dashboards(self._services, visible)
        projects = [
            each.name
            for each in await self._services.projects.list(visible)
            if visitor.may("monitor:SetDashboard", f"project/{each.name}")
        ]
        return self._console.page(
            request,
            "dashboards.html",
            status,
            by_themselves=[each for each in found if place_of(each.id) is not None],
            made=[each for each in found if place_of(each.id) is None],
            projects=projects,
            may_make=bool(projects) or visitor.may("monitor:SetDashboard", "server"),
            problem=problem,
            document=document,
        )


def _documents(layout: Layout) -> list[dict[str, Any]]:
    ordered = replace(layout, widgets=in_reading_order(layout.widgets))
    return list(to_document(ordered)["widgets"])


def _worded(layout: Layout, language: Language) -> Layout:
    """A made-by-itself layout with its labels in the visitor's language (its titles: in the template)."""

    def worded(widget: Widget) -> Widget:
        lines = [
            replace(line, label=language.say(_LABELS[line.label]) if line.label in _LABELS else line.label)
            for line in widget.lines
        ]
        return replace(widget, lines=tuple(lines))

    return replace(layout, widgets=tuple(worded(widget) for widget in layout.widgets))


def _alarms_of(shown: Dashboard, widget: Widget, alarms: Sequence[Alarm]) -> list[Alarm]:
    """Those that an alarm widget shows: the chosen ones, else all of the dashboard's place."""
    if widget.kind is not WidgetKind.ALARM:
        return []
    if widget.alarms:
        return [each for each in alarms if each.id in widget.alarms]
    return [each for each in alarms if shown.environment in (None, each.definition.environment)]


def _levels(shown: Dashboard, widget: Widget, alarms: Sequence[Alarm]) -> list[dict[str, Any]]:
    """The thresholds of alarms that a graph draws, as its script takes them."""
    here = [each for each in alarms if each.definition.project == shown.project]
    return [asdict(level) | {"operator": str(level.operator)} for level in levels_of(widget, here)]


def _read_layout(text: str) -> Layout:
    """The layout of a document that a person brought. Raises Invalid."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise Invalid(
                "The document is not a dashboard: it must be a JSON object with a name and widgets."
            )
        known = {key: document[key] for key in document if key in LayoutFields.model_fields}
        return LayoutFields.model_validate(known).layout()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Invalid(f"The document is not a dashboard: {where}: {first['msg']}.") from error
    except RecursionError as error:
        raise Invalid("The document is not a dashboard: it is nested too deeply.") from error
    except ValueError as error:
        raise Invalid(f"The document is not JSON: {error}.") from error
