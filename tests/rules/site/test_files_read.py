"""What loads a commit's files before it reads the site must know all of them."""

import contextlib
import itertools

from halage.site.errors import SiteInvalid
from halage.site.read import read_site
from halage.site.tree import SITE_FILES

_SIGNS = (
    "artisan",
    "composer.json",
    "index.html",
    "index.php",
    "package.json",
    "public",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements.txt",
    "tests",
    "vendor",
)


class RecordingTree:
    """A tree with these names in its root, that remembers which files were asked for."""

    def __init__(self, names: frozenset[str], contents: dict[str, str]) -> None:
        self._names = names
        self._contents = contents
        self.asked: set[str] = set()

    def names(self) -> frozenset[str]:
        return self._names

    def read(self, path: str) -> str | None:
        self.asked.add(path)
        return self._contents.get(path)


def test_no_other_file_is_read_whatever_a_site_looks_like() -> None:
    asked: set[str] = set()
    contents = {"composer.json": '{"require": {"a/b": "1"}}', "package.json": '{"dependencies": {"a": "1"}}'}
    for count in range(5):
        for names in itertools.combinations(_SIGNS, count):
            tree = RecordingTree(frozenset(names), contents)
            with contextlib.suppress(SiteInvalid):
                read_site(tree, types=("micro",))
            asked |= tree.asked
    assert "public/index.php" in asked
    assert asked == set(SITE_FILES) - {"requirements-test.txt"}
