"""The templates that a new site can start from, as they lie in the package."""

from importlib import resources
from importlib.resources.abc import Traversable

from halage.base.errors import NotFound

_PLACE = ("project", "templates")


class NoSuchTemplate(NotFound):
    """There is no such template."""


def template_names() -> list[str]:
    """Every template."""
    root = _root()
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []


def template_files(template: str) -> dict[str, bytes]:
    """Content by path of each file of a template. Raises NoSuchTemplate."""
    if template not in template_names():
        known = ", ".join(template_names()) or "none"
        raise NoSuchTemplate(f"There is no template {template}; there are: {known}.")
    found: dict[str, bytes] = {}
    _collect(_root() / template, "", found)
    return found


def _collect(directory: Traversable, prefix: str, found: dict[str, bytes]) -> None:
    for entry in directory.iterdir():
        if entry.is_dir():
            if entry.name != "__pycache__":
                _collect(entry, f"{prefix}{entry.name}/", found)
        else:
            found[prefix + entry.name] = entry.read_bytes()


def _root() -> Traversable:
    return resources.files("halage").joinpath(*_PLACE)
