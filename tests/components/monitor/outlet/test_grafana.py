"""The Grafana dashboard of the how-to: it asks for what Halage exposes, in words that Prometheus takes."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from halage.base.clock import SystemClock
from halage.monitor.metrics.catalogue import OWN_METRICS, Metric
from halage.monitor.metrics.model import OWN_PREFIXES, Kind, Sample, SeriesKey
from halage.monitor.metrics.sketch import Sketch
from halage.monitor.outlet.accumulator import Accumulator
from halage.monitor.outlet.exposition import Exposition
from halage.monitor.outlet.families import exposed_name
from halage.monitor.outlet.remote_write import RemoteWrite
from tests.components.monitor.outlet.prometheus import prometheus
from tests.services.monitor.intake.stage import MemoryStore

FILE = Path(__file__).parents[4] / "docs" / "how-to" / "halage-grafana.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
VALUES = {"project": "shop", "environment": "prod", "instance": "i-1"}
_VARIABLE = {"$__rate_interval": "1m", "$project": "shop", "$environment": "prod"}
_OWN = re.compile(rf"\b(?:{'|'.join(OWN_PREFIXES)})[a-z0-9_]+")


def expressions() -> Iterator[tuple[str, str]]:
    """Each question of the dashboard, by what shows its answer."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        wanted = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert wanted is not None
        yield variable["name"], f"count by ({wanted[2]}) ({wanted[1]})"


def asked(expression: str) -> str:
    """As Grafana sends it, once its variables have values."""
    for name, value in _VARIABLE.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def exposed() -> set[str]:
    """Every name that Halage's own metrics have in Prometheus."""
    names = set()
    for metric in OWN_METRICS:
        name, _ = exposed_name(metric.name, metric.kind)
        suffixes = ("_bucket", "_sum", "_count") if metric.kind is Kind.DISTRIBUTION else ("",)
        names |= {name + suffix for suffix in suffixes}
    return names


def sample_of(metric: Metric) -> Sample:
    """One of each of Halage's own metrics, with the dimensions that the catalogue says."""
    key = SeriesKey.of(metric.name, **{name: VALUES.get(name, "x") for name in metric.dimensions})
    return Sample(key, metric.kind, Sketch.of([1.0, 2.0]) if metric.kind is Kind.DISTRIBUTION else 3.0)


@pytest.mark.parametrize(("title", "expression"), list(expressions()))
def test_every_name_is_one_that_halage_exposes(title: str, expression: str) -> None:
    names = set(_OWN.findall(expression))
    assert names, title
    assert names <= exposed(), names - exposed()


def test_it_is_a_dashboard_that_grafana_can_import() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    inputs = {f"${{{each['name']}}}" for each in DASHBOARD["__inputs"]}
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24 and not cells & taken, panel["title"]
        taken |= cells
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] in inputs
        assert [each["refId"] for each in panel.get("targets", ())] == [
            chr(ord("A") + number) for number in range(len(panel.get("targets", ())))
        ]


async def test_the_real_prometheus_answers_every_question_of_it(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    (port,) = free_ports(1)
    clock = SystemClock()
    accumulator = Accumulator(MemoryStore(), clock, limit=5000)
    options = ("--web.enable-remote-write-receiver",)
    async with prometheus(tmp_path, port, "", *options) as reader:
        sender = RemoteWrite(f"{reader.url}/api/v1/write", Exposition(accumulator), clock, MemoryStore())
        async with sender:
            for _ in range(2):  # twice: a rate needs two samples
                accumulator.write(clock.now() // 10 * 10, 10, [sample_of(each) for each in OWN_METRICS])
                sent = sender.state.sent
                await sender.collect()
                await reader.value("machine_load_1m")
                while sender.state.sent == sent:
                    await clock.sleep(0.02)
            assert sender.state.dropped == 0
        empty = [(title, text) for title, text in expressions() if not await reader.ask(asked(text))]
    assert empty == []
