"""The files of a site, wherever they are: a directory here, a commit elsewhere."""

from pathlib import Path
from typing import Protocol

READ_LIMIT_BYTES = 1024 * 1024

SITE_FILES = (
    "halage.toml",
    "Procfile",
    "composer.json",
    "package.json",
    "public/index.html",
    "public/index.php",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements-test.txt",
    "requirements.txt",
    "vendor/autoload.php",
)
"""Every file that `read_site` may read: what loads files beforehand loads these."""


class Tree(Protocol):
    """Read access to the files of one site."""

    def names(self) -> frozenset[str]:
        """The names of the entries of the root."""
        ...

    def read(self, path: str) -> str | None:
        """The text of a regular file; None when there is none at this path.

        Bytes that are not UTF-8 come as U+FFFD.
        """
        ...


class DirectoryTree:
    """A working copy or a checkout."""

    def __init__(self, path: Path) -> None:
        self._root = path.resolve()

    def names(self) -> frozenset[str]:
        """The names of the entries of the root. Raises OSError when it is no directory."""
        return frozenset(entry.name for entry in self._root.iterdir())

    def read(self, path: str) -> str | None:
        """The text of a regular file in the tree, at most 1 MiB of it.

        A symbolic link is followed as long as it stays in the tree; what leads out of it, and what
        is no regular file (a FIFO would never end), is not there.
        """
        target = (self._root / path).resolve()
        if not target.is_relative_to(self._root) or not target.is_file():
            return None
        with target.open("rb") as file:
            return file.read(READ_LIMIT_BYTES).decode(errors="replace")
