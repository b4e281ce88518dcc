"""The house keeps its own rules: sizes, names, places."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "halage"
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "lib"}
FORBIDDEN_ENDINGS = ("Manager", "Handler", "Data", "Info", "Util", "Utils", "Helper")
LONGEST_FILE = 500
LONGEST_FUNCTION = 60
GENERATED = {"migrations"}


def _sources() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if not GENERATED & set(path.parts)]


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", _sources(), ids=_name)
def test_a_file_stays_readable(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") < LONGEST_FILE, f"{_name(path)} is too long: split it by what it does"
    long = [
        f"{node.name} ({_lines(node)} lines)"
        for node in _functions(ast.parse(text))
        if _lines(node) >= LONGEST_FUNCTION
    ]
    assert not long, f"{_name(path)}: split {', '.join(long)}"


@pytest.mark.parametrize("path", _sources(), ids=_name)
def test_names_say_what_a_thing_is(path: Path) -> None:
    assert not FORBIDDEN_NAMES & {part.removesuffix(".py") for part in path.relative_to(PACKAGE).parts}
    classes = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
    vague = [name for name in classes if name.endswith(FORBIDDEN_ENDINGS)]
    assert not vague, f"{_name(path)}: {', '.join(vague)}"


def test_a_domain_has_at_most_eight_errors_of_its_own() -> None:
    for path in PACKAGE.rglob("errors.py"):
        classes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
        assert len(classes) <= 8, f"{_name(path)} has {len(classes)} error classes"
        missing = [node.name for node in classes if not ast.get_docstring(node)]
        assert not missing, f"{_name(path)}: the docstring is the message: {', '.join(missing)}"


def test_every_domain_has_its_place_among_the_layers() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["id"] == "layers")["layers"]
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(layers)


def test_every_domain_says_what_it_is_for() -> None:
    for path in PACKAGE.glob("*/__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), f"{_name(path)} has no docstring"


def test_the_glossary_is_sorted_and_says_each_word_once() -> None:
    text = (ROOT / "docs" / "reference" / "glossary.md").read_text()
    words = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert len(words) >= 20
    assert words == sorted(set(words), key=str.casefold)


def test_decisions_are_numbered_without_gaps_and_say_their_state() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        text = path.read_text()
        for heading in ("## Context", "## Decision", "## Consequences"):
            assert heading in text, f"{path.name} lacks {heading}"
