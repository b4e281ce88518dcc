"""docs/reference/journal.md names every action that is ever recorded, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "halage"
PAGE = ROOT / "docs" / "reference" / "journal.md"
DOORS = {"web", "cli", "client", "assembly"}
"""They record nothing: what is done in them goes through a domain."""
PREFIXES = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} | {"alarm", "dashboard", "log"}
_ACTION = re.compile(r"[a-z_]+:[A-Z][A-Za-z]+")
_RIGHTS = {"check", "is_allowed", "_check", "may", "must", "must_in"}
"""Functions that are asked about rights, whose actions have the same form."""


def _sources() -> Iterator[Path]:
    for path in sorted(PACKAGE.rglob("*.py")):
        domain = path.relative_to(PACKAGE).parts[0]
        if domain not in DOORS and path != PACKAGE / "access" / "rules.py":
            yield path


def _called(call: ast.Call) -> tuple[str, str]:
    """The name of what is called, and of the thing that it is called on."""
    if isinstance(call.func, ast.Attribute):
        owner = call.func.value
        return call.func.attr, owner.id if isinstance(owner, ast.Name) else ""
    return (call.func.id if isinstance(call.func, ast.Name) else ""), ""


def actions_in(source: str) -> set[str]:
    """The actions that a module records: all that look like one, but in logs and questions about rights."""
    return set(_walk(ast.parse(source)))


def _walk(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        name, owner = _called(node)
        if owner == "log" or name in _RIGHTS:
            return
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _ACTION.fullmatch(node.value):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from _walk(child)


def made_up_in(source: str) -> list[str]:
    """Texts put together that begin like an action: nobody could look for them, nor this test."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _called(node)[1] == "log":
            for inner in ast.walk(node):
                inner._is_logged = True  # type: ignore[attr-defined]
        if isinstance(node, ast.JoinedStr) and not hasattr(node, "_is_logged"):
            first = node.values[0] if node.values else None
            if isinstance(first, ast.Constant) and str(first.value).removesuffix(":") in PREFIXES:
                found.append(ast.unparse(node))
    return found


def documented() -> set[str]:
    return set(re.findall(r"^\| `([a-z_]+:[A-Za-z]+)` \|", PAGE.read_text(), re.MULTILINE))


def test_every_recorded_action_is_documented() -> None:
    recorded = {action: path for path in _sources() for action in actions_in(path.read_text())}
    assert len(recorded) > 25
    missing = sorted(set(recorded) - documented())
    assert not missing, f"docs/reference/journal.md lacks {', '.join(missing)}"


def test_nothing_is_documented_that_is_never_recorded() -> None:
    recorded = {action for path in _sources() for action in actions_in(path.read_text())}
    assert documented() <= recorded, sorted(documented() - recorded)


@pytest.mark.parametrize("path", list(_sources()), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_an_action_is_written_out(path: Path) -> None:
    assert made_up_in(path.read_text()) == []


def test_every_line_says_what_is_before_and_after() -> None:
    for line in PAGE.read_text().splitlines():
        if re.match(r"\| `[a-z_]+:", line):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            assert len(cells) == 3 and all(cells), line


def test_this_test_finds_what_it_looks_for() -> None:
    source = """
tx.record("a:One", actor=x)
_note(tx, ENDS[state], row)
ENDS = {1: "a:Two"}
log.info("said", action="a:Logged")
check(principal, "a:Right", resource)
tx.record(f"pipeline:{verb}")
log.info("said", action=f"pipeline:{verb}")
"""
    assert actions_in(source) == {"a:One", "a:Two"}
    assert made_up_in(source) == ["f'pipeline:{verb}'"]
