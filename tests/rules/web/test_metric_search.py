"""What is looked for on the page of metrics, and how what was found is drawn."""

import pytest

from halage.monitor.dashboards.model import Unit
from halage.monitor.metrics.expression import parse
from halage.monitor.metrics.model import Kind, Series, SeriesKey
from halage.web.console.metric_search import Found, Search, gather, group, read_search


@pytest.mark.parametrize(
    ("text", "search", "pattern"),
    [
        ("", Search("", {}), "*"),
        ("cpu", Search("cpu", {}), "*cpu*"),
        ("cpu environment=prod", Search("cpu", {"environment": "prod"}), "*cpu*"),
        (
            'response time instance="i-7*" project=shop',
            Search("response*time", {"instance": "i-7*", "project": "shop"}),
            "*response*time*",
        ),
        ("a= =b", Search("a=*=b", {}), "*a=*=b*"),
    ],
)
def test_words_are_of_the_name_and_pairs_are_dimensions(text: str, search: Search, pattern: str) -> None:
    assert read_search(text) == search
    assert search.pattern == pattern


@pytest.mark.parametrize(
    ("name", "kind", "expression", "unit"),
    [
        ("instance_cpu_percent", Kind.GAUGE, "average(instance_cpu_percent)", Unit.PERCENT),
        ("environment_requests", Kind.COUNT, "rate(sum(environment_requests))", Unit.PER_SECOND),
        ("machine_disk_read_bytes", Kind.COUNT, "rate(sum(machine_disk_read_bytes))", Unit.BYTES_PER_SECOND),
        ("halage_loop_delay_ms", Kind.DISTRIBUTION, "p95(halage_loop_delay_ms)", Unit.MILLISECONDS),
        ("upload_bytes", Kind.GAUGE, "average(upload_bytes)", Unit.BYTES),
        ("checkout_seconds", Kind.DISTRIBUTION, "p95(checkout_seconds)", Unit.SECONDS),
        ("orders", Kind.COUNT, "rate(sum(orders))", Unit.PER_SECOND),
    ],
)
def test_a_metric_is_drawn_as_one_wants_to_see_it(name: str, kind: Kind, expression: str, unit: Unit) -> None:
    found = Found(name, kind)
    assert (found.expression({}), found.unit) == (expression, unit)
    parse(found.expression({"path": 'a "quoted" \\ value', "project": "shop"}))


def test_series_are_gathered_by_name_and_grouped_by_whom_they_are_of() -> None:
    series = [
        Series(number, SeriesKey.of(name, **dimensions), Kind.GAUGE, 10, 0.0, 0.0)
        for number, (name, dimensions) in enumerate(
            [
                ("orders", {"project": "shop"}),
                ("machine_load_1m", {}),
                *(("instance_cpu_percent", {"instance": f"i-{index}"}) for index in range(6)),
            ]
        )
    ]
    found = gather(series)
    assert [(each.name, each.series) for each in found] == [
        ("instance_cpu_percent", 6),
        ("machine_load_1m", 1),
        ("orders", 1),
    ]
    assert found[0].dimensions == [("instance", ["i-0", "i-1", "i-2", "i-3"], 2)]
    assert "its type" in found[0].meaning and found[2].meaning == ""
    assert [name for name, _ in group(found)] == ["sites", "instance", "machine"]
