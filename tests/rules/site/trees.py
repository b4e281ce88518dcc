"""A site's files in memory."""

from halage.site.model import Site
from halage.site.read import read_site

TYPES = ("nano", "micro", "small", "medium")


class MemoryTree:
    """Files by path."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files

    def names(self) -> frozenset[str]:
        return frozenset(path.partition("/")[0] for path in self.files)

    def read(self, path: str) -> str | None:
        return self.files.get(path)


def site_of(toml: str = "", **files: str) -> Site:
    """The site of these files; `index_html` stands for `index.html`. A static one when none is given."""
    named = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
    return read_site(MemoryTree({"halage.toml": toml, **(named or {"index.html": ""})}), types=TYPES)
