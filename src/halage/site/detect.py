"""What kind a site is, and what that kind does by default, read from the files in its root."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from halage.site.model import Kind
from halage.site.tree import Tree

REPORTS = (".halage/reports/*.xml", "junit.xml")
PYTHON_PACKAGES = ".halage/python"
TEST_PACKAGES = ".halage/test"
PHP_SESSIONS = ".halage/sessions"
NPM_PLACEHOLDER = "no test specified"

_SIGNS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (Kind.PHP, ("composer.json", "index.php", "public/index.php")),
    (Kind.PYTHON, ("pyproject.toml", "requirements.txt", "setup.py", "manage.py", "wsgi.py", "asgi.py")),
    (Kind.NODE, ("package.json", "server.js")),
    (Kind.STATIC, ("index.html", "public/index.html")),
)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a site does where its halage.toml says nothing."""

    build: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    start: str | None = None
    release_command: str | None = None
    persistent: tuple[str, ...] = ()
    document_root: str = "."
    reports: tuple[str, ...] = field(default=REPORTS)
    processes: Mapping[str, str] = field(default_factory=dict)
    """What the Procfile names beside `web` and `release`."""


def detect_kind(tree: Tree) -> Kind | None:
    """The kind that the files tell of; None when they tell of none."""
    names = tree.names()
    if {"composer.json", "artisan"} <= names:
        return Kind.LARAVEL
    for kind, signs in _SIGNS:
        if any(_has(tree, names, sign) for sign in signs):
            return kind
    return None


def signs_of_kinds() -> str:
    """The files that tell a kind, in words."""
    signs = ["composer.json and artisan (laravel)"]
    signs += [f"{' or '.join(files)} ({kind})" for kind, files in _SIGNS]
    return ", ".join(signs)


def defaults_of(kind: Kind, tree: Tree) -> Defaults:
    """What a site of this kind, with these files, does by default. A Procfile wins over the kind."""
    of_kind = {
        Kind.LARAVEL: _laravel,
        Kind.PHP: _php,
        Kind.PYTHON: _python,
        Kind.NODE: _node,
        Kind.STATIC: _static,
    }[kind](tree)
    processes = _procfile(tree)
    return Defaults(
        build=of_kind.build,
        test=of_kind.test,
        start=processes.get("web", of_kind.start),
        release_command=processes.get("release", of_kind.release_command),
        persistent=of_kind.persistent,
        document_root=of_kind.document_root,
        processes={name: line for name, line in processes.items() if name not in ("web", "release")},
    )


def _has(tree: Tree, names: frozenset[str], path: str) -> bool:
    top = path.partition("/")[0]
    return top in names and ("/" not in path or tree.read(path) is not None)


def _procfile(tree: Tree) -> dict[str, str]:
    lines = (tree.read("Procfile") or "").splitlines()
    matches = (re.fullmatch(r"([A-Za-z0-9_-]+):\s*(\S.*)", line.strip()) for line in lines)
    return {match[1]: match[2] for match in matches if match}


def _laravel(tree: Tree) -> Defaults:
    return Defaults(
        build=_composer(tree),
        test=_phpunit(tree),
        release_command="php artisan migrate --force",
        persistent=("storage",),
        document_root="public",
    )


def _php(tree: Tree) -> Defaults:
    root = "public" if tree.read("public/index.php") is not None else "."
    return Defaults(build=_composer(tree), test=_phpunit(tree), document_root=root)


def _composer(tree: Tree) -> tuple[str, ...]:
    wanted = _table(tree, "composer.json")
    packages = {**_mapping(wanted, "require"), **_mapping(wanted, "require-dev")}
    # `php`, `ext-json` and the like are requirements on the machine: they have no slash.
    if not any("/" in name for name in packages) or tree.read("vendor/autoload.php") is not None:
        return ()
    missing = "composer is not installed on this server; install it with: apt install composer"
    return (
        f"command -v composer >/dev/null || {{ echo '{missing}' >&2; exit 1; }}",
        "composer install --no-interaction --no-progress --prefer-dist --optimize-autoloader",
    )


def _phpunit(tree: Tree) -> tuple[str, ...]:
    if not {"phpunit.xml", "phpunit.xml.dist"} & tree.names():
        return ()
    return ("phpunit --log-junit .halage/reports/phpunit.xml",)


def _python(tree: Tree) -> Defaults:
    names = tree.names()
    pip = "python3 -m pip install --disable-pip-version-check --no-input --upgrade"
    build: tuple[str, ...] = ()
    if "requirements.txt" in names:
        build = (f"{pip} --target {PYTHON_PACKAGES} -r requirements.txt",)
    elif _mapping(_toml(tree, "pyproject.toml"), "project") or "setup.py" in names:
        build = (f"{pip} --target {PYTHON_PACKAGES} .",)
    return Defaults(build=build, test=_python_tests(tree, pip))


def _python_tests(tree: Tree, pip: str) -> tuple[str, ...]:
    names = tree.names()
    extra = [name for name in ("requirements-dev.txt", "requirements-test.txt") if name in names]
    asked = [tree.read(name) or "" for name in ("requirements.txt", *extra, "pyproject.toml")]
    install = tuple(f"{pip} --target {TEST_PACKAGES} -r {name}" for name in extra)
    if any(re.search(r"\bpytest\b", text) for text in asked):
        return (*install, "python3 -m pytest --junit-xml=.halage/reports/pytest.xml")
    if "tests" in names or any(re.fullmatch(r"test_.*\.py", name) for name in names):
        top = " --start-directory tests --top-level-directory ." if "tests" in names else ""
        return (*install, f"python3 -m unittest discover{top}")
    return ()


def _node(tree: Tree) -> Defaults:
    package = _table(tree, "package.json")
    scripts = _mapping(package, "scripts")
    build = _node_build(tree, package, scripts)
    test = scripts.get("test")
    has_test = isinstance(test, str) and NPM_PLACEHOLDER not in test
    return Defaults(build=build, test=("npm test",) if has_test else (), start=_node_start(tree, scripts))


def _node_build(tree: Tree, package: dict[str, Any], scripts: dict[str, Any]) -> tuple[str, ...]:
    has_packages = any(
        _mapping(package, key) for key in ("dependencies", "devDependencies", "optionalDependencies")
    )
    build: list[str] = []
    if has_packages and {"package-lock.json", "npm-shrinkwrap.json"} & tree.names():
        build.append("npm ci --no-audit --no-fund")
    elif has_packages:
        build.append("npm install --no-audit --no-fund")
    if "build" in scripts:
        build.append("npm run build")
    return tuple(build)


def _node_start(tree: Tree, scripts: dict[str, Any]) -> str | None:
    # npm would stand between the instance and its signals; only pre- and post-scripts need it.
    if {"prestart", "poststart"} & scripts.keys():
        return "npm start"
    start = scripts.get("start")
    if isinstance(start, str) and start.strip():
        return start.strip()
    return "node server.js" if "server.js" in tree.names() else None


def _static(tree: Tree) -> Defaults:
    root = "." if "index.html" in tree.names() else "public"
    return Defaults(document_root=root)


def _table(tree: Tree, name: str) -> dict[str, Any]:
    """A JSON file as a table; empty when there is none, or none that the tool itself would read."""
    try:
        found = json.loads(tree.read(name) or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _toml(tree: Tree, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(tree.read(name) or "")
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _mapping(table: dict[str, Any], key: str) -> dict[str, Any]:
    found = table.get(key)
    return found if isinstance(found, dict) else {}
