"""Any metric, as a graph: what there is to see, and an expression over it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response

from halage.access.rules import visible_projects
from halage.base.errors import Invalid
from halage.monitor.dashboards.model import COLUMNS, Layout, MetricLine, Unit, Widget, WidgetKind
from halage.monitor.dashboards.rules import place_of, to_document
from halage.monitor.metrics.expression import parse
from halage.web.api.dashboards import seen_dashboards
from halage.web.console.console import Console, Visitor, add, see
from halage.web.console.metric_search import gather, group, read_search
from halage.web.console.ranges import PRESETS, read_range

_AT_MOST = 200
_KINDS = (WidgetKind.LINE, WidgetKind.STACKED, WidgetKind.BAR, WidgetKind.TABLE)
_LONGEST = 4096
_LONGEST_SEARCH = 200
_KEPT = ("expression", "kind", "unit", "search")
_EXAMPLES = (
    ("statistic", 'average(instance_cpu_percent{environment="prod"})'),
    ("percentile", 'p95(environment_response_time_ms{environment="prod"})'),
    ("by", "sum(environment_requests by project)"),
    ("rate", 'rate(sum(environment_requests{environment="prod"}))'),
    ("arithmetic", "sum(environment_responses_5xx) / sum(environment_requests) * 100"),
    ("fill", "fill(sum(environment_responses_5xx), 0)"),
    ("fold", "highest(average(instance_memory_percent))"),
    ("pattern", 'maximum(machine_disk_used_percent{mount="/*"})'),
)
"""What an expression is made of, by the sentence that says it."""


class MetricPages:
    """The page on which one looks for a metric and at it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services

    def serve(self, router: APIRouter) -> None:
        """Add the page to a router."""
        add(router, "/explore", get=self.show)
        add(router, "/explore/keep", get=self.keep)

    async def show(self, request: Request) -> Response:
        """An expression as a graph, and the metrics that are like what was searched for."""
        visitor = await self._console.visitor(request)
        query = request.query_params
        expression = query.get("expression", "")[:_LONGEST].strip()
        search = query.get("search", "").strip()[:_LONGEST_SEARCH]
        kind = next((each for each in _KINDS if each == query.get("kind")), WidgetKind.LINE)
        unit = next((each for each in Unit if each == query.get("unit")), Unit.NONE)
        widget = Widget("explored", kind, 0, 0, COLUMNS, 6, "", (MetricLine(expression),), unit=unit)
        mistake = _mistake_of(expression) if expression else None
        wanted = read_search(search)
        visible = visible_projects(visitor.principal)
        found = gather(await self._services.metrics.search(wanted.pattern, wanted.dimensions, visible))
        return self._console.page(
            request,
            "explore.html",
            422 if mistake else 200,
            expression=expression,
            mistake=mistake,
            search=search,
            wanted=wanted,
            widget=widget,
            document=to_document(Layout("explored", (widget,)))["widgets"][0],
            groups=group(found[:_AT_MOST]),
            more=max(0, len(found) - _AT_MOST),
            examples=_EXAMPLES,
            kinds=_KINDS,
            units=list(Unit),
            range=read_range(query, PRESETS[1]),
            presets=PRESETS,
            kept_query=_kept(query),
            boards=await self._boards(visitor) if expression and not mistake else (),
        )

    async def keep(self, request: Request) -> Response:
        """On to the dashboard that the graph shall be put on, with its dialog filled."""
        await self._console.visitor(request)
        query = request.query_params
        place = place_of(query.get("dashboard", ""))
        if place is not None and place.project is not None:
            address = f"/projects/{place.project}/environments/{place.environment}/graphs"
        else:
            address = f"/dashboards/{quote(query.get('dashboard', ''), safe='')}"
        added = {name: query[name] for name in _KEPT[:3] if query.get(name)}
        return see(f"{address}?{urlencode({'edit': 'yes', **added})}")

    async def _boards(self, visitor: Visitor) -> list[Any]:
        """The dashboards that the visitor may put a graph on."""
        found = await seen_dashboards(self._services, visible_projects(visitor.principal))
        return [
            each
            for each in found
            if visitor.may("monitor:SetDashboard", f"project/{each.project}" if each.project else "server")
        ]


def _mistake_of(expression: str) -> tuple[str, str] | None:
    """What is wrong with an expression, in words, and a picture of the place; None when it can be read."""
    try:
        parse(expression)
    except Invalid as error:
        words, _, place = error.message.partition("\n")
        return words, place
    return None


def _kept(query: Mapping[str, str]) -> str:
    """What of the address stays when another time is chosen, ready for what follows."""
    kept = urlencode({name: query[name] for name in _KEPT if query.get(name)})
    return f"{kept}&" if kept else ""
