"""Dashboards in a browser: made, and looked at."""

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from halage.monitor.dashboards.model import Layout, MetricLine, Widget, WidgetKind
from tests.browser.served import Served
from tests.browser.visitor import Visitor

GRAPHS = "/projects/boutique/environments/prod/graphs"
LATER = "const now = Date.now; Date.now = () => now() + arguments[0] * 1000;"
"""Sets the page's clock forward by so many seconds."""

# Something is drawn: some pixel of the canvas has the colour of the first line.
_IS_DRAWN = """
const canvas = document.querySelector(arguments[0] + " canvas");
if (!canvas) return false;
const wanted = getComputedStyle(document.documentElement).getPropertyValue("--series-1").trim();
const rgb = [1, 3, 5].map((at) => parseInt(wanted.slice(at, at + 2), 16));
const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
for (let i = 0; i < data.length; i += 4) {
  if (data[i + 3] > 200 && rgb.every((part, at) => Math.abs(data[i + at] - part) < 24)) return true;
}
return false;
"""


def a_widget(id_: str, x: int, y: int, **changes: Any) -> Widget:
    line = MetricLine("sum(requests)", "requests")
    return replace(Widget(id_, WidgetKind.LINE, x, y, 6, 4, id_.capitalize(), (line,)), **changes)


def make(served: Served, *widgets: Widget) -> str:
    layout = Layout("Sales", widgets, environment="prod")
    return served.do(served.sample.services.dashboards.create("boutique", layout, actor="paul")).id


def stored(served: Served, id_: str) -> dict[str, tuple[int, int, int, int]]:
    """The places of the widgets as they are kept."""
    shown = served.do(served.sample.services.dashboards.show(id_))
    return {each.id: (each.x, each.y, each.width, each.height) for each in shown.layout.widgets}


def query_of(visitor: Visitor) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(visitor.driver.current_url).query).items()}


def is_drawn(visitor: Visitor, selector: str) -> bool:
    return bool(visitor.run(_IS_DRAWN, selector))


def await_answers(visitor: Visitor) -> None:
    """Wait until no graph waits for an answer."""
    visitor.wait(lambda: visitor.run("return document.querySelector('[aria-busy]') === null"))


def said(visitor: Visitor) -> str:
    return visitor.find("#said").get_attribute("textContent") or ""


def is_at(visitor: Visitor, id_: str) -> dict[str, float]:
    return dict(
        visitor.run(f"return document.getElementById('widget-{id_}').getBoundingClientRect().toJSON()")
    )
