"""Kinds and their defaults."""

import json

import pytest

from halage.site.errors import SiteInvalid
from halage.site.model import Kind
from halage.site.read import read_site
from tests.rules.site.trees import TYPES, MemoryTree

START = {"halage.toml": '[run]\nstart = "serve"'}


def _read(files: dict[str, str]):  # type: ignore[no-untyped-def]
    return read_site(MemoryTree(files), types=TYPES)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"composer.json": "{}", "artisan": "", "package.json": "{}"}, Kind.LARAVEL),
        ({"composer.json": "{}"}, Kind.PHP),
        ({"index.php": "", "index.html": ""}, Kind.PHP),
        ({"public/index.php": ""}, Kind.PHP),
        ({"pyproject.toml": "", "package.json": "{}"}, Kind.PYTHON),
        ({"requirements.txt": ""}, Kind.PYTHON),
        ({"package.json": "{}", "index.html": ""}, Kind.NODE),
        ({"index.html": ""}, Kind.STATIC),
        ({"public/index.html": ""}, Kind.STATIC),
        ({"index.html": "", "halage.toml": "kind = 'php'"}, Kind.PHP),
    ],
)
def test_the_files_tell_the_kind(files: dict[str, str], kind: Kind) -> None:
    assert _read(START | files).kind is kind


def test_nothing_that_tells_is_an_error_that_says_what_would() -> None:
    with pytest.raises(SiteInvalid, match=r'Allowed: "laravel", .*index\.html'):
        _read({"README.md": ""})


def test_laravel() -> None:
    site = _read({"composer.json": '{"require": {"php": "^8.1"}}', "artisan": "", "phpunit.xml": ""})
    assert site.build.commands == ()
    assert site.test.commands == ("phpunit --log-junit .halage/reports/phpunit.xml",)
    assert site.run.start is None
    assert site.run.release_command == "php artisan migrate --force"
    assert (site.run.persistent, site.run.document_root) == (("storage",), "public")


def test_composer_installs_what_is_required_and_says_when_it_is_missing() -> None:
    composer = {"composer.json": '{"require-dev": {"phpunit/phpunit": "^9"}}'}
    check, install = _read(composer).build.commands
    assert "apt install composer" in check
    assert install.startswith("composer install ")
    assert _read(composer | {"vendor/autoload.php": ""}).build.commands == ()


def test_php_keeps_its_sessions_whatever_the_site_keeps() -> None:
    site = _read({"index.php": "", "halage.toml": "[run]\npersistent = ['uploads']"})
    assert site.run.persistent == ("uploads", ".halage/sessions")
    assert _read({"public/index.php": ""}).run.document_root == "public"


@pytest.mark.parametrize(
    ("files", "commands"),
    [
        ({"requirements-dev.txt": "pytest"}, "pip pytest"),
        ({"pyproject.toml": "[tool.pytest.ini_options]"}, "pytest"),
        ({"tests/test_a.py": ""}, "unittest"),
        ({"test_a.py": ""}, "unittest"),
        ({}, ""),
    ],
)
def test_python_tests(files: dict[str, str], commands: str) -> None:
    test = _read(START | {"requirements.txt": "flask"} | files).test
    names = [
        word for command in test.commands for word in ("pip", "pytest", "unittest") if f"-m {word}" in command
    ]
    assert " ".join(names) == commands


def test_python_builds_from_its_requirements_or_its_project() -> None:
    assert "-r requirements.txt" in _read(START | {"requirements.txt": ""}).build.commands[0]
    assert _read(START | {"pyproject.toml": "[project]\nname='a'"}).build.commands[0].endswith(" .")
    assert _read(START | {"pyproject.toml": "[tool.ruff]"}).build.commands == ()
    assert _read(START | {"pyproject.toml": "broken ["}).build.commands == ()


def test_python_without_a_start_command_is_told_what_to_write() -> None:
    with pytest.raises(SiteInvalid, match=r"\[run\] start: found nothing.*gunicorn --bind \$HOST:\$PORT"):
        _read({"requirements.txt": ""})


def test_a_procfile_wins_for_the_start_and_halage_toml_over_it() -> None:
    files = {"requirements.txt": "", "Procfile": "release: migrate\n# no\nweb:  serve --fast\nworker: x"}
    site = _read(files)
    assert (site.run.start, site.run.release_command) == ("serve --fast", "migrate")
    assert _read(files | START).run.start == "serve"


def _node(**package: object) -> dict[str, str]:
    return {"package.json": json.dumps(package)}


def test_node_runs_its_start_script_itself_so_that_signals_arrive() -> None:
    assert _read(_node(scripts={"start": "node a.js"})).run.start == "node a.js"
    assert _read(_node(scripts={"start": "node a.js", "prestart": "x"})).run.start == "npm start"
    assert _read(_node() | {"server.js": ""}).run.start == "node server.js"
    with pytest.raises(SiteInvalid, match=r'a "start" script in package\.json'):
        _read(_node())


def test_node_installs_and_tests_only_what_there_is() -> None:
    start = {"start": "node a.js"}
    assert _read(_node(scripts=start)).build.commands == ()
    packages = _node(scripts=start | {"build": "vite"}, dependencies={"vite": "1"})
    assert _read(packages).build.commands == ("npm install --no-audit --no-fund", "npm run build")
    assert _read(packages | {"package-lock.json": ""}).build.commands[0].startswith("npm ci")
    placeholder = 'echo "Error: no test specified" && exit 1'
    assert _read(_node(scripts=start | {"test": placeholder})).test.commands == ()
    assert _read(_node(scripts=start | {"test": "node --test"})).test.commands == ("npm test",)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{broken", "[" * 100000, '{"scripts": []}', '{"scripts": 1}']
)
def test_a_broken_package_json_is_no_crash(text: str) -> None:
    assert _read(START | {"package.json": text}).kind is Kind.NODE
