"""Settings as the text of halage.toml, and back. Pure."""

import tomllib
from collections.abc import Mapping
from typing import Any

from halage.base.errors import Invalid
from halage.base.toml import key_text, toml_value

OF_THE_FILE = frozenset({"branch", "approval", "env"})
"""What an environment's table says that is no setting."""


def toml_of(environment: str, settings: Mapping[str, Any]) -> str:
    """Settings by path as the tables of one environment; those of [run] are a table of their own."""
    own = {path.removeprefix("run."): value for path, value in settings.items() if path.startswith("run.")}
    rest = {path: value for path, value in settings.items() if not path.startswith("run.")}
    parts = [*_tables(("run",), own), *_tables(("environments", environment), rest)]
    return "\n".join(parts)


def _tables(name: tuple[str, ...], settings: Mapping[str, Any]) -> list[str]:
    by_table: dict[tuple[str, ...], dict[str, Any]] = {}
    for path, value in settings.items():
        *inner, key = path.split(".")
        by_table.setdefault((*name, *inner), {})[key] = value
    found = []
    for table in sorted(by_table, key=len):
        lines = [f"{key_text(key)} = {toml_value(value)}" for key, value in by_table[table].items()]
        found.append("\n".join([f"[{'.'.join(map(key_text, table))}]", *lines, ""]))
    return found


def settings_in(text: str, environment: str) -> dict[str, Any]:
    """The settings by path that a file holds for an environment, else for its only one. Raises Invalid."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"The file is no TOML: {error}.") from error
    named = raw.get("environments", {})
    tables = named if isinstance(named, dict) else {}
    if environment not in tables and len(tables) > 1:
        raise Invalid(
            f"The file has no [environments.{environment}], but {', '.join(sorted(tables))}: "
            "keep the one that is meant."
        )
    table = tables.get(environment, next(iter(tables.values()), {}))
    if not isinstance(table, dict):
        raise Invalid(f"The file's [environments.{environment}] is no table.")
    kept = {key: value for key, value in table.items() if key not in OF_THE_FILE}
    run = raw.get("run", {})
    return flat({**kept, "run": run} if isinstance(run, dict) and run else kept)


def flat(raw: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested tables as values by their path."""
    found: dict[str, Any] = {}
    for key, value in raw.items():
        if isinstance(value, dict):
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found
