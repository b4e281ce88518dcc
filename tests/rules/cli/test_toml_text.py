"""Settings as TOML: what is written is read again."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halage.base.toml import parse_value, plain_text, toml_value
from halage.cli.toml_text import settings_in, toml_of

_TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
_SCALARS = st.one_of(
    _TEXTS,
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(_VALUES)
def test_a_value_is_read_as_it_was(value: Any) -> None:
    if not _holds_lists_in_tables(value):
        assert tomllib.loads(f"value = {toml_value(value)}")["value"] == value


def _holds_lists_in_tables(value: Any) -> bool:
    """An inline table must stand on one line, and a list of tables does not."""
    return (
        isinstance(value, dict)
        and any(isinstance(each, dict | list) and "\n" in toml_value(each) for each in value.values())
    ) or (isinstance(value, list) and any(_holds_lists_in_tables(each) for each in value))


def test_tables_by_path() -> None:
    settings = {
        "instances": 3,
        "deployments.batch": "25%",
        "processes.worker.command": "x",
        "run.start": "go",
    }
    text = toml_of("prod", settings)
    assert text.startswith('[run]\nstart = "go"\n\n[environments.prod]\ninstances = 3\n')
    assert settings_in(text, "prod") == settings
    assert settings_in(text, "another") == settings


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("true", True), ('"x"', "x"), ("canary", "canary"), ("25%", "25%"), ("", ""), ("[1]", [1]),
     ("{ a = 1 }", {"a": 1}), ("0 9 * * *", "0 9 * * *"), ("1\nb = 2", "1\nb = 2")],
)  # fmt: skip
def test_what_a_person_writes(text: str, value: Any) -> None:
    assert parse_value(text) == value


@given(_TEXTS)
def test_what_a_person_is_shown_is_read_as_it_was(text: str) -> None:
    assert parse_value(plain_text(text).strip()) == text
