"""Reads JUnit XML, as PHPUnit, pytest, Node.js and most others write it."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree.ElementTree import ParseError

from junitparser import JUnitXml, JUnitXmlError, TestSuite
from junitparser import TestCase as JUnitCase

from halage.build.model import TestCase, TestReport

MOST_BYTES = 50 * 1024 * 1024
KEPT_FAILURES = 100
KEPT_SLOWEST = 5
MESSAGE_LIMIT = 4000


def read_reports(root: Path, patterns: Iterable[str]) -> tuple[TestReport | None, list[str]]:
    """The sum of all reports below `root` that the globs match, and a warning for each unusable one.

    None when there is no report. Symbolic links are not followed: the tree was written by the site.
    """
    cases: list[TestCase] = []
    warnings: list[str] = []
    found = False
    for path in _matching(root, patterns):
        name = path.relative_to(root)
        try:
            cases += _cases_of(path)
            found = True
        except (JUnitXmlError, ParseError, ValueError, RecursionError, OSError) as error:
            warnings.append(f"test report {name} could not be read: {error}")
    return (_sum(cases) if found else None), warnings


def _matching(root: Path, patterns: Iterable[str]) -> Iterator[Path]:
    real_root = root.resolve()
    seen: set[Path] = set()
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            is_inside = path.resolve().is_relative_to(real_root)
            if is_inside and path.is_file() and not path.is_symlink() and path not in seen:
                seen.add(path)
                yield path


def _cases_of(path: Path) -> list[TestCase]:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // 1024 // 1024} MiB")
    if b"<!DOCTYPE" in data[:4096] or b"<!ENTITY" in data:
        raise ValueError("it declares entities, which a report does not need")
    parsed: object = JUnitXml.fromstring(data)
    # Iterating over a suite gives the cases of the suites in it too (PHPUnit nests them).
    suites: list[TestSuite] = [parsed] if isinstance(parsed, TestSuite) else list(parsed)  # type: ignore[call-overload]
    return [_case(case) for suite in suites for case in suite if isinstance(case, JUnitCase)]


def _case(case: JUnitCase) -> TestCase:
    outcome, message = "passed", ""
    for result in case.result:
        kind = type(result).__name__.lower()
        outcome = {"failure": "failed", "error": "error", "skipped": "skipped"}.get(kind, outcome)
        message = "\n".join(filter(None, (result.message, result.text))).strip()
    return TestCase(
        case.name or "", case.classname or "", outcome, float(case.time or 0), message[:MESSAGE_LIMIT]
    )


def _sum(cases: list[TestCase]) -> TestReport:
    failures = [case for case in cases if case.outcome in ("failed", "error")]
    skipped = sum(case.outcome == "skipped" for case in cases)
    slowest = sorted(cases, key=lambda case: -case.duration_s)[:KEPT_SLOWEST]
    return TestReport(
        passed=len(cases) - len(failures) - skipped,
        failed=len(failures),
        skipped=skipped,
        duration_s=sum(case.duration_s for case in cases),
        failures=tuple(failures[:KEPT_FAILURES]),
        slowest=tuple(slowest),
    )
