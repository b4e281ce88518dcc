"""What the documentation promises is shown by tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "what-cannot-happen.md"
NAMED = re.findall(r"`(tests/[\w/.]+)::(\w+)`", PAGE.read_text())


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_the_test_that_a_promise_names_exists(path: str, name: str) -> None:
    assert re.search(rf"def {name}\b", (ROOT / path).read_text())


def test_every_promise_names_one() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")][2:]
    assert all("::" in row for row in rows)
