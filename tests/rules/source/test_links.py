"""Symbolic links that leave the tree, and those that only look like it."""

import pytest

from halage.source.links import find_escape


@pytest.mark.parametrize(
    "links",
    [
        {},
        {"public/storage": "../storage/app/public"},
        {"a": "b", "b": "a"},
        {"a/b/c": "../../d"},
        {"a": "."},
        {"a": "./b/../c"},
        {"a": "missing/../b"},
        {"up": "a", "x": "up/../b"},
        {"a": ""},
    ],
)
def test_links_that_stay(links: dict[str, str]) -> None:
    assert find_escape(links) is None


@pytest.mark.parametrize(
    ("links", "path"),
    [
        ({"a": "/etc/passwd"}, "a"),
        ({"a": ".."}, "a"),
        ({"a/b": "../../x"}, "a/b"),
        ({"a": "b/../../x"}, "a"),
        ({"ok": "b", "z": "../z"}, "z"),
        # Lexically a/b/c/up/../.. is a/b; in truth up is a, and two steps up from it is outside.
        ({"a/b/c/up": "../..", "x": "a/b/c/up/../.."}, "x"),
        ({"b": "c", "c": "/"}, "b"),
    ],
)
def test_links_that_leave(links: dict[str, str], path: str) -> None:
    assert find_escape(links) == path
