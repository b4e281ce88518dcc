"""Settings as the text of halage.toml, and back: the standard library only reads TOML. Pure."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from halage.base.errors import Invalid

OF_THE_FILE = frozenset({"branch", "approval", "env"})
"""What an environment's table says that is no setting."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")


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
        lines = [f"{_key(key)} = {toml_value(value)}" for key, value in by_table[table].items()]
        found.append("\n".join([f"[{'.'.join(map(_key, table))}]", *lines, ""]))
    return found


def toml_value(value: Any) -> str:
    """A value as it is written in TOML, on one line but for lists of tables."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        if any(isinstance(each, dict) for each in value):
            return "[\n" + "".join(f"    {toml_value(each)},\n" for each in value) + "]"
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {toml_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return repr(value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else toml_value(key)


def parse_value(text: str) -> Any:
    """What a person writes after the `=`: TOML where it is that, else text as it is."""
    try:
        found = tomllib.loads(f"value = {text}") if text.strip() else {}
        return found["value"] if len(found) == 1 else text
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


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
