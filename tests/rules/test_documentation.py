"""The documentation hangs together: no link leads nowhere, no page is hidden."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```|^ {4}[^\n]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _links(page: Path) -> Iterator[str]:
    for link in _LINK.findall(_CODE.sub("", page.read_text())):
        if "://" not in link:
            yield link


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", _CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert not broken, f"{_name(page)}: {', '.join(broken)}"


def test_the_index_leads_to_every_page() -> None:
    indexed = {(DOCS / link.partition("#")[0]).resolve() for link in _links(DOCS / "README.md")}
    folders = ("tutorial", "how-to", "reference", "explanation")
    hidden = [
        _name(path)
        for folder in folders
        for path in sorted((DOCS / folder).rglob("*"))
        if path.is_file() and path.resolve() not in indexed
    ]
    assert not hidden, f"docs/README.md does not lead to {', '.join(hidden)}"


def test_every_decision_is_listed() -> None:
    listed = set(_links(DOCS / "decisions" / "README.md"))
    records = {path.name for path in (DOCS / "decisions").glob("[0-9]*.md")}
    assert listed == records
