"""Halage's own metrics: one table, and a reference that says the same."""

import re
from pathlib import Path

import pytest

from halage.monitor.metrics.catalogue import OWN_METRICS, find_metric
from halage.monitor.metrics.expression import parse
from halage.monitor.metrics.model import OWN_PREFIXES, Kind

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
EC2 = {
    *("CPUUtilization", "DiskReadOps", "DiskWriteOps", "DiskReadBytes", "DiskWriteBytes"),
    *("NetworkIn", "NetworkOut", "NetworkPacketsIn", "NetworkPacketsOut"),
    *("CPUCreditUsage", "CPUCreditBalance"),
    *("StatusCheckFailed", "StatusCheckFailed_Instance", "StatusCheckFailed_System"),
}


def _rows(title: str, page: str = "metrics.md") -> list[list[str]]:
    """The cells of the tables below a title."""
    text = (REFERENCE / page).read_text()
    section = re.split(r"^## ", text.split(f"## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def test_every_name_is_there_once_with_a_prefix_of_its_own() -> None:
    names = [metric.name for metric in OWN_METRICS]
    assert len(names) == len(set(names))
    assert all(name.startswith(OWN_PREFIXES) and re.fullmatch(r"[a-z0-9_]+", name) for name in names)
    assert find_metric("instance_cpu_percent") in OWN_METRICS
    assert find_metric("orders") is None


@pytest.mark.parametrize("metric", OWN_METRICS, ids=lambda metric: metric.name)
def test_a_name_says_its_unit(metric: object) -> None:
    metric_ = next(each for each in OWN_METRICS if each is metric)
    for ending, unit in (("_percent", "percent"), ("_bytes", "bytes"), ("_ms", "ms"), ("_days", "days")):
        if metric_.name.endswith(ending):
            assert metric_.unit == unit
    assert (metric_.kind is Kind.DISTRIBUTION) == metric_.name.endswith("_ms")
    assert metric_.meaning.endswith(".")
    parse(f"sum({metric_.name} by {', '.join(metric_.dimensions) or '()'})")


@pytest.mark.parametrize(
    ("title", "prefix"),
    [
        ("Of each instance", "instance_"),
        ("Of each environment", "environment_"),
        ("Of the machine", "machine_"),
        ("Of Halage itself", "halage_"),
    ],
)
def test_the_reference_says_what_the_catalogue_says(title: str, prefix: str) -> None:
    expected = [
        [
            f"`{metric.name}`",
            metric.kind.value,
            metric.unit or "-",
            ", ".join(metric.dimensions) or "-",
            metric.meaning,
        ]
        for metric in OWN_METRICS
        if metric.name.startswith(prefix)
    ]
    assert _rows(title) == expected


def test_all_names_of_ec2_are_mapped_onto_metrics_that_exist() -> None:
    rows = {row[0].strip("`"): row[1] for row in _rows("Names of EC2")}
    assert set(rows) >= EC2
    for row in (*_rows("Names of EC2"), *_rows("Names of ELB and ALB")):
        expressions = re.findall(r"`([^`]+)`", row[1])
        assert expressions or row[1].startswith("none"), row
        for expression in expressions:
            for ask in parse(expression).asks():
                assert find_metric(ask.selector.name), (row, ask)


def test_every_expression_of_the_documentation_can_be_read() -> None:
    pages = [REFERENCE / "expressions.md", REFERENCE.parent / "how-to" / "ask-for-a-metric.md"]
    blocks = [
        block for page in pages for block in re.findall(r"```expression\n(.*?)```", page.read_text(), re.S)
    ]
    expressions = [line.split("  #")[0] for block in blocks for line in block.splitlines()]
    commands = re.findall(r"metric query '([^']+)'", "".join(page.read_text() for page in pages))
    assert len(expressions) >= 10
    assert len(commands) >= 3
    for expression in (*expressions, *commands):
        parse(expression)
