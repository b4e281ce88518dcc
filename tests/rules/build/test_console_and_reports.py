"""Consoles mask secrets and keep their limit; reports of real tools are read."""

from pathlib import Path

from halage.build.console import MASK, Console, Masker, read_console
from halage.build.reports import read_reports

PHPUNIT = """<?xml version="1.0"?><testsuites><testsuite name="all" tests="3">
<testsuite name="Tests\\Feature" tests="3">
<testcase name="test_a" classname="Tests.Feature.A" time="0.5"/>
<testcase name="test_b" classname="Tests.Feature.A" time="0.1">
<failure type="X">Expected 200, got 500</failure></testcase>
<testcase name="test_c" classname="Tests.Feature.A" time="0.0"><skipped/></testcase>
</testsuite></testsuite></testsuites>"""


def test_reports_are_summed_and_failures_kept(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(PHPUNIT)
    (tmp_path / "b.xml").write_text(
        '<testsuite name="t"><testcase name="ok" classname="m" time="1.5"/></testsuite>'
    )
    report, warnings = read_reports(tmp_path, ["*.xml"])
    assert report is not None and not warnings
    assert (report.passed, report.failed, report.skipped, report.total) == (2, 1, 1, 4)
    assert report.failures[0].name == "test_b"
    assert "Expected 200" in report.failures[0].message
    assert report.slowest[0].name == "ok"


def test_a_malformed_report_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<testsuite><oops")
    report, warnings = read_reports(tmp_path, ["*.xml"])
    assert report is None
    assert "a.xml could not be read" in warnings[0]


def test_a_report_that_leads_out_of_the_tree_is_not_read(tmp_path: Path) -> None:
    outside = tmp_path / "outside.xml"
    outside.write_text(PHPUNIT)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link.xml").symlink_to(outside)
    (tree / "dir").symlink_to(tmp_path)
    assert read_reports(tree, ["*.xml", "dir/*.xml"]) == (None, [])


def test_a_report_with_entities_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><testsuite/>')
    report, warnings = read_reports(tmp_path, ["*.xml"])
    assert report is None
    assert "entities" in warnings[0]


def test_console_masks_secrets_of_every_line(tmp_path: Path) -> None:
    console = Console(tmp_path / "console", Masker(["hunter22", "two\nlines!", "abc"]), 10_000)
    console.write(0.5, "password is hunter22, yes hunter22")
    console.write(1.25, "then lines! and abc")
    console.close()
    lines = read_console(tmp_path / "console")
    assert [line.text for line in lines] == [f"password is {MASK}, yes {MASK}", f"then {MASK} and abc"]
    assert lines[1].at_s == 1.25


def test_console_is_limited_with_a_clear_mark(tmp_path: Path) -> None:
    console = Console(tmp_path / "console", Masker([]), 100)
    for number in range(100):
        console.write(number, "x" * 30)
    console.close()
    lines = read_console(tmp_path / "console")
    assert len(lines) == 3
    assert "the console is full" in lines[-1].text


def test_console_is_read_from_any_line(tmp_path: Path) -> None:
    console = Console(tmp_path / "console", Masker([]), 10_000)
    for number in range(10):
        console.write(number, f"line {number}\twith a tab")
    console.close()
    lines = read_console(tmp_path / "console", first=7, limit=2)
    assert [(line.number, line.text) for line in lines] == [
        (7, "line 7\twith a tab"),
        (8, "line 8\twith a tab"),
    ]
