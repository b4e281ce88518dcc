"""`halage metric` against a server."""

import csv
import io
import json
import re
import time
from pathlib import Path

import pytest

from tests.services.cli.conftest import Halage, Served

CPU = "average(instance_cpu_percent)"


@pytest.fixture(autouse=True)
def _measured(served: Served) -> None:
    now = time.time()
    for instance, values in (("i-1", [10, 20, 40]), ("i-2", [4000, None, 3000])):
        served.world.metrics.put(
            "instance_cpu_percent",
            values,
            at=now - 60,
            project="shop",
            environment="prod",
            instance=instance,
        )
    served.world.metrics.put("instance_cpu_percent", [1], at=now - 60, project="hidden", instance="i-9")
    served.world.metrics.put("evil", [1], at=now - 60, project="shop", page="\x1b[31mred")


def test_list(as_dev: Halage) -> None:
    table = as_dev("metric", "list", "instance_*", "--project", "shop", "--environment", "prod")
    assert table.code == 0, table.err
    assert re.search(
        r"^instance_cpu_percent +environment=prod instance=i-1 project=shop +gauge +percent +20",
        table.out,
        re.MULTILINE,
    )
    assert "i-9" not in as_dev("metric", "list").out
    one = as_dev("metric", "list", "--dimension", "instance=i-2", "-o", "json")
    assert [each["dimensions"]["instance"] for each in json.loads(one.out)["series"]] == ["i-2"]
    assert "1 of 2:" in as_dev("metric", "list", "instance_*", "--limit", "1").err
    assert as_dev("metric", "list", "nothing").err == "Nothing that matches was measured yet.\n"
    wrong = as_dev("metric", "list", "--dimension", "instance")
    assert (wrong.code, "NAME=VALUE" in wrong.err) == (2, True)
    assert as_dev("metric", "list", "--project", "hidden").code == 4


def test_a_table_has_a_graph_for_each_line(as_dev: Halage) -> None:
    shown = as_dev("metric", "query", CPU, "--since", "5m", "--period", "10s")
    assert shown.code == 0, shown.err
    head, columns, first, second = shown.out.splitlines()
    assert head.endswith("a value for each 10 s")
    assert columns.split() == ["line", "graph", "last", "lowest", "highest"]
    assert re.fullmatch(r"i-1 +▂▄█ +40 +10 +40", first)
    assert re.fullmatch(r"i-2 +█ ▆ +3,000 +3,000 +4,000", second)


def test_a_single_line_is_a_picture(as_dev: Halage) -> None:
    shown = as_dev("metric", "query", f"highest({CPU}) / 100", "--since", "5m")
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert len(lines) == 11
    assert re.match(r"40 │ +█$", lines[1])
    assert re.match(r" 0 │.*█", lines[8])
    assert "highest(average(instance_cpu_percent)) / 100" in lines[10]


def test_other_forms(as_dev: Halage) -> None:
    answer = json.loads(as_dev("metric", "query", CPU, "--since", "1h", "-o", "json").out)
    assert [line["label"] for line in answer["lines"]] == ["i-1", "i-2"]
    text = as_dev("metric", "query", CPU, "--period", "1m", "--csv", "-").out
    assert next(csv.reader(io.StringIO(text))) == ["at", "i-1", "i-2"]
    written = as_dev("metric", "query", CPU, "--csv", "cpu.csv")
    assert (written.out, written.err) == ("", "Wrote cpu.csv.\n")
    assert Path("cpu.csv").read_bytes().startswith(b"at,i-1,i-2\r\n20")
    assert as_dev("metric", "query", CPU, "--csv", "no/such/folder").code == 2


def test_times(as_dev: Halage) -> None:
    none = as_dev("metric", "query", CPU, "--from", "2020-01-01", "--to", "2020-01-02 12:00")
    assert (none.code, none.out) == (0, "")
    assert "No values at that time." in none.err
    assert "No series matches instance_cpu_percent at that time." in none.err
    for wrong in (
        ("--since", "yesterday"),
        ("--since", "1d", "--from", "2020-01-01"),
        ("--from", "soon"),
        ("--period", "0.5s"),
        ("--from", "2020-01-02", "--to", "2020-01-01"),
    ):
        assert as_dev("metric", "query", CPU, *wrong).code == 2, wrong


def test_a_mistake_is_shown_at_its_place(as_dev: Halage) -> None:
    refused = as_dev("metric", "query", "1 + averge(x)")
    assert refused.code == 2
    assert refused.err.endswith("    1 + averge(x)\n        ^^^^^^\n")


def test_nothing_that_a_site_sends_steers_the_terminal(as_dev: Halage) -> None:
    assert "\x1b" not in as_dev("metric", "list", "evil").out
    assert "\x1b" not in as_dev("metric", "query", "sum(evil by page) + sum(evil)").out
