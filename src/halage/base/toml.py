"""Writes values as TOML (the standard library only reads it), and reads what people write as values. Pure."""

import json
import re
import tomllib
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


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
        inner = ", ".join(f"{key_text(key)} = {toml_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return repr(value)


def key_text(key: str) -> str:
    """A key as it is written."""
    return key if _BARE.fullmatch(key) else toml_value(key)


def parse_value(text: str) -> Any:
    """What a person writes after the `=`: TOML where it is that, else text as it is."""
    try:
        found = tomllib.loads(f"value = {text}") if text.strip() else {}
        return found["value"] if len(found) == 1 else text
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def plain_text(value: Any) -> str:
    """A value as a person would write it: text without quotes where it is read as the same text again."""
    if isinstance(value, str) and value == value.strip() and parse_value(value) == value:
        return value
    return toml_value(value)
