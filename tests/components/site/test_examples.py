"""Each example passes its own tests by the commands in force, and is served."""

import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from halage.site.model import Site
from halage.site.read import read_site
from halage.site.serving import SYSTEM_PATH, Place, job_environment, release_step
from halage.site.templates import template_files, template_names
from halage.site.tree import DirectoryTree
from tests.components.site.conftest import STRANGER, TYPES, Sites

EXAMPLES = Path(__file__).parents[3] / "examples"
COMMIT = "0123456789" * 4
HEADLINES = {
    "laravel": "Everything for the towpath",
    "python": "Which lock is open?",
    "node": "The next boat leaves soon",
    "static": "Tie up here for a while",
}


def _checked_out(sites: Sites, name: str) -> tuple[Path, Site]:
    release = sites.directory / "release"
    for path, content in template_files(name).items():
        (release / path).parent.mkdir(parents=True, exist_ok=True)
        (release / path).write_bytes(content)
    return release, read_site(DirectoryTree(release), types=TYPES)


def _run(commands: tuple[str, ...], release: Path, environment: dict[str, str]) -> None:
    for command in commands:
        done = subprocess.run(
            ["sh", "-ec", command],
            cwd=release,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def _build_and_test(release: Path, site: Site) -> None:
    environment = {
        **_to_registries(),
        **job_environment(site, str(release)),
        "HOME": str(release.parent),
        "HALAGE_PROJECT": "ferry",
        "HALAGE_COMMIT": COMMIT,
    }
    _run((*site.build.commands, *site.test.commands), release, environment)


def _to_registries() -> dict[str, str]:
    """How this machine reaches the package registries, where it is behind a proxy or a mirror."""
    prefixes = ("pip_", "npm_config_", "http_proxy", "https_proxy", "no_proxy", "ssl_cert", "requests_ca")
    return {name: value for name, value in os.environ.items() if name.lower().startswith(prefixes)}


def _reported(release: Path, site: Site) -> int:
    cases = 0
    for pattern in site.test.reports:
        for report in release.glob(pattern):
            cases += len(list(ElementTree.parse(report).getroot().iter("testcase")))
    return cases


def test_the_examples_are_the_templates() -> None:
    entries = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
    assert entries == template_names() == sorted(HEADLINES)
    for name in entries:
        assert (EXAMPLES / name / "halage.toml").is_file()
        assert {".gitignore", "README.md", "halage.toml"} <= template_files(name).keys()


@pytest.mark.parametrize("name", sorted(HEADLINES))
def test_an_example_is_tested_and_served(sites: Sites, name: str) -> None:
    release, site = _checked_out(sites, name)
    _build_and_test(release, site)
    assert _reported(release, site) >= 8
    shutil.rmtree(release / ".halage" / "test", ignore_errors=True)
    uid = STRANGER if os.geteuid() == 0 else None
    facts: dict[str, Any] = {
        "project": "ferry",
        "environment": "preprod",
        "release_number": 7,
        "commit": COMMIT,
    }
    place = Place(release, sites.directory, "127.0.0.1", 1, **facts)
    step = release_step(site, place)
    if step is not None:
        _run((step.command[2],), release, step.environment | {"PATH": SYSTEM_PATH})
    instance = sites.start(release, uid=uid, **facts)
    home = instance.get("/")
    assert home.status_code == 200
    assert HEADLINES[name] in home.text
    assert COMMIT[:7] in home.text
    assert "ferry" in home.text.lower()
    assert name == "static" or 'aria-current="step"' in home.text
    assert instance.get("/app.css").headers["content-type"].startswith("text/css")
    assert instance.get("/favicon.svg").status_code == 200
    assert instance.get("/nowhere").status_code == 404
    assert instance.get("/halage.toml").status_code == 404
    assert instance.members()
    assert instance.stop() == 0
    assert instance.members() == []


def test_the_shop_keeps_its_database_and_its_key(sites: Sites) -> None:
    release, site = _checked_out(sites, "laravel")
    place = Place(release, sites.directory, "127.0.0.1", 1)
    step = release_step(site, place)
    assert step is not None
    _run((step.command[2],), release, step.environment)
    instance = sites.start(release)
    assert "78.00 €" in instance.get("/").text
    assert "set-cookie" not in instance.get("/").headers
    kept = {path.name for path in (release / "storage" / "app").iterdir()}
    assert {"database.sqlite", "key"} <= kept
    assert (release / "storage" / "app" / "key").stat().st_mode & 0o777 == 0o600
