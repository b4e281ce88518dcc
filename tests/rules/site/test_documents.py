"""A site as a document, its schema and its reference page."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from halage.site.check import summary_of
from halage.site.document import site_from_document, site_to_document
from halage.site.problems import tables
from halage.site.schema import site_schema, site_schema_text
from halage.site.tree import DirectoryTree
from halage.site.values import duration
from tests.rules.site.trees import site_of

WRITE_ANEW = """write it anew: python -c 'from halage.site.schema import site_schema_text as text; \
print(text(), end="")' > docs/reference/halage-toml.schema.json"""
REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def test_a_document_makes_the_same_site() -> None:
    site = site_of("[environments.prod]\nhealth.path = '/up'\ndomains = 'a.org'\n[env]\nA = 1")
    assert site_from_document(json.loads(json.dumps(site_to_document(site)))) == site


def test_a_document_of_an_older_halage_gets_the_defaults() -> None:
    document = site_to_document(site_of())
    del document["run"]["php_development_server"]
    del document["run"]["metrics"]
    for plan in document["environments"].values():
        del plan["detailed_monitoring"]
    assert site_from_document(document) == site_of()


def test_the_schema_that_editors_read_is_up_to_date() -> None:
    path = REFERENCE / "halage-toml.schema.json"
    assert path.read_text() == site_schema_text(), WRITE_ANEW


def test_the_schema_knows_every_key_with_its_description() -> None:
    definitions = site_schema()["$defs"]
    for name in ("BuildTable", "TestTable", "RunTable", "HealthTable", "EnvironmentTable"):
        assert definitions[name]["additionalProperties"] is False
        for key, schema in definitions[name]["properties"].items():
            assert schema.get("description") or "$ref" in schema, f"{name}.{key}"


def test_every_key_is_documented() -> None:
    text = (REFERENCE / "halage-toml.md").read_text()
    first = {table: path for path, table in reversed(list(tables().items()))}  # scaling stands twice
    for table, path in first.items():
        section = "Top level" if not path else f"[{'.'.join(path)}]"
        part = _section(text, section)
        for key in table.model_fields:
            assert f"`{key}`" in part, f"{section} {key} is not in docs/reference/halage-toml.md"


def test_every_example_of_the_reference_is_valid() -> None:
    text = (REFERENCE / "halage-toml.md").read_text()
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(examples) >= 5
    for example in examples:
        tomllib.loads(example)
        site_of(example)


def _section(text: str, name: str) -> str:
    parts = re.split(r"^## ", text, flags=re.MULTILINE)
    names = (name, f"[{name}]")
    found = [part for part in parts if part.partition("\n")[0].strip().strip("`") in names]
    assert found, f"there is no section {name}"
    return found[0]


@pytest.mark.parametrize(
    ("seconds", "text"), [(90, "90s"), (300, "5m"), (0.5, "500ms"), (7200, "2h"), (0, "0s"), (1.5, "1.5s")]
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_summary_names_what_is_in_force() -> None:
    pairs = dict(
        summary_of(
            site_of(
                "[environments.prod]\ndomains = 'a.org'\ndetailed_monitoring = true\n[run]\nmetrics = '/m'\n"
                "[test]\nrequired = true\ncommands = 'true'"
            )
        )
    )
    assert pairs["kind"] == "static"
    assert pairs["start"] == "nginx from the root"
    assert pairs["test"].startswith("true")
    assert pairs["environment prod"].startswith("2 instances of type micro, after an approval")
    assert "also at a.org" in pairs["environment prod"]
    assert "measured every second" in pairs["environment prod"]
    assert pairs["metrics"] == "GET /m"
    assert pairs["branch main"] == "test → dev → preprod → approval → prod"


def test_a_directory_shows_nothing_from_outside(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    root = tmp_path / "site"
    root.mkdir()
    (root / "halage.toml").symlink_to(secret)
    (root / "index.html").write_text("home")
    (root / "alias").symlink_to("index.html")
    (root / "folder").mkdir()
    tree = DirectoryTree(root)
    assert tree.read("halage.toml") is None
    assert tree.read("../secret") is None
    assert tree.read("folder") is None
    assert tree.read("alias") == "home"
    assert tree.names() == {"halage.toml", "index.html", "alias", "folder"}
