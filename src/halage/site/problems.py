"""Turns what pydantic found wrong with halage.toml into problems that a person can act on."""

import difflib
import json
import types
import typing
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from halage.site.errors import Problem
from halage.site.file import SiteFile
from halage.site.lines import Location, line_of

_ALLOWED = {
    "missing": "a value, which must be there",
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": 'a list such as ["..."]',
    "dict_type": "a table",
    "model_type": "a table",
}
_SHOWN_CHARACTERS = 80


def problems_of(error: ValidationError, text: str, place: Location = ()) -> list[Problem]:
    """One problem for each thing that pydantic found in the file with this text.

    `place` is the path of the table that it looked at, where that is not the whole file.
    """
    return [_problem(details, text, place) for details in error.errors(include_url=False)]


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that this one is most like, if any is."""
    found = difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.6)
    return found[0] if found else None


def written(location: Location) -> str:
    """A location as it is written in the file: `[environments.prod.health] path`."""
    names = [str(part) for part in location if isinstance(part, str)]
    if len(names) < 2:
        return names[0] if names else ""
    table = ".".join(names[:-1])
    is_of_many = len(location) > 2 and isinstance(location[-2], int)
    return f"[[{table}]] {names[-1]}" if is_of_many else f"[{table}] {names[-1]}"


def shown(value: Any) -> str:
    """A value as it is found in the file, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."


def _problem(details: ErrorDetails, text: str, place: Location) -> Problem:
    location = (*place, *_in_file(details["loc"]))
    line = line_of(text, location)
    if details["type"] == "extra_forbidden":
        return _unknown_key(location, line)
    return Problem(written(location), shown(details["input"]), _allowed(details, location), line)


def _in_file(location: Location) -> Location:
    return tuple(part for part in location if part != "[key]")


def _allowed(details: ErrorDetails, location: Location) -> str:
    context = details.get("ctx", {})
    least, most = _bounds(location)
    if least is not None and most is not None and details["type"] in _NUMERIC:
        return f"from {least:g} to {most:g}"
    if "expected" in context:
        return str(context["expected"])
    return _ALLOWED.get(details["type"], details["msg"])


_NUMERIC = frozenset({"greater_than_equal", "less_than_equal", "int_type", "int_from_float"})


def _bounds(location: Location) -> tuple[float | None, float | None]:
    if not location:
        return None, None
    table = _table_at(location[:-1])
    field = table.model_fields.get(str(location[-1])) if table else None
    least: float | None = None
    most: float | None = None
    for rule in field.metadata if field else ():
        least = getattr(rule, "ge", least)
        most = getattr(rule, "le", most)
    return least, most


def _unknown_key(location: Location, line: int | None) -> Problem:
    name = str(location[-1])
    table = _table_at(location[:-1])
    known = tuple(table.model_fields) if table else ()
    elsewhere = [path for path in _paths_of(name) if path[:-1] != location[:-1]]
    allowed = ", ".join(known)
    meant = nearest(name, known)
    if meant is None and elsewhere:
        places = " or ".join(f"[{'.'.join(path[:-1])}]" for path in elsewhere)
        allowed = f"{allowed} ({name} belongs in {places})"
    return Problem(written(location), "a key that is not known", allowed, line, meant)


def _paths_of(name: str) -> list[tuple[str, ...]]:
    # A table that stands in several places (scaling) is named at the first one.
    first = {table: path for path, table in reversed(list(tables().items()))}
    return [
        (*path, name) for table, path in reversed(list(first.items())) if path and name in table.model_fields
    ]


def tables() -> Mapping[tuple[str, ...], type[BaseModel]]:
    """Every table of the file by its path; `NAME` stands for the name of an environment, `KIND` for a
    kind of process.
    """
    found: dict[tuple[str, ...], type[BaseModel]] = {}
    _collect((), SiteFile, found)
    return found


def _collect(path: tuple[str, ...], table: type[BaseModel], found: dict[tuple[str, ...], Any]) -> None:
    found[path] = table
    for name, field in table.model_fields.items():
        for inner in _models_in(field.annotation):
            is_named = typing.get_origin(field.annotation) is dict
            _collect((*path, name, _NAMED[name]) if is_named else (*path, name), inner, found)


_NAMED = {"environments": "NAME", "processes": "KIND"}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, types.GenericAlias | types.UnionType):
        return [model for part in typing.get_args(annotation) for model in _models_in(part)]
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return [annotation] if is_model else []


def _table_at(location: Location) -> type[BaseModel] | None:
    """The table at a location: the names and numbers of tables that are one of many are passed over."""
    table: type[BaseModel] = SiteFile
    parts = list(location)
    while parts:
        field = table.model_fields.get(str(parts.pop(0)))
        inner = _models_in(field.annotation) if field is not None else []
        if field is None or not inner:
            return None
        if typing.get_origin(field.annotation) in (dict, list) and parts:
            parts.pop(0)
        table = inner[0]
    return table
