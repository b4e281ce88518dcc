"""Any metric, as a graph: what there is to see, and an expression over it."""

from fastapi import APIRouter, Request, Response

from halage.access.rules import visible_projects
from halage.monitor.dashboards.model import COLUMNS, Layout, MetricLine, Unit, Widget, WidgetKind
from halage.monitor.dashboards.rules import to_document
from halage.web.console.console import Console, add
from halage.web.console.ranges import PRESETS, read_range

_AT_MOST = 500
_KINDS = (WidgetKind.LINE, WidgetKind.STACKED, WidgetKind.BAR, WidgetKind.TABLE)
_LONGEST = 2000


class MetricPages:
    """The page on which one looks for a metric and at it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services

    def serve(self, router: APIRouter) -> None:
        """Add the page to a router."""
        add(router, "/explore", get=self.show)

    async def show(self, request: Request) -> Response:
        """An expression as a graph, and the metrics whose name is like what was searched for."""
        visitor = await self._console.visitor(request)
        query = request.query_params
        expression, search = query.get("expression", "")[:_LONGEST].strip(), query.get("search", "").strip()
        kind = next((each for each in _KINDS if each == query.get("kind")), WidgetKind.LINE)
        unit = next((each for each in Unit if each == query.get("unit")), Unit.NONE)
        visible = visible_projects(visitor.principal)
        found = await self._services.metrics.search(f"*{search}*" if search else "*", {}, visible)
        widget = Widget("explored", kind, 0, 0, COLUMNS, 6, expression, (MetricLine(expression),), unit=unit)
        names: dict[str, int] = {}
        for series in found:
            names[series.key.name] = names.get(series.key.name, 0) + 1
        return self._console.page(
            request,
            "explore.html",
            expression=expression,
            search=search,
            widget=widget,
            document=to_document(Layout("explored", (widget,)))["widgets"][0],
            names=sorted(names.items())[:_AT_MOST],
            kinds=_KINDS,
            units=list(Unit),
            range=read_range(query, PRESETS[1]),
            presets=PRESETS,
        )
