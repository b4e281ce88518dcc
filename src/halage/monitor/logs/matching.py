"""Whether a line is what is searched for, and what a block must hold to have such a line. Pure."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from halage.monitor.logs.errors import BadSearch
from halage.monitor.logs.grams import grams_of
from halage.monitor.logs.model import Comparison, FieldTest, Search

MOST_CONDITIONS = 20
_PLAIN = re.compile(rb"[A-Za-z0-9_.+-]+")
"""Characters that JSON writes as they are."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """A search, made ready."""

    needles: tuple[bytes, ...]
    """What the text of every line that matches holds (all of them, folded if `ignores_case`)."""
    grams: tuple[int, ...]
    """The bits that a block's filter must have."""
    ignores_case: bool
    is_plain: bool
    """Whether the first needle alone decides."""
    matches: Callable[[bytes], bool]
    """Whether a line's text is what is searched for."""


def make_matcher(search: Search) -> Matcher:
    """The matcher of a search's text and fields; its time and stream are the block's affair.

    Raises BadSearch.
    """
    if len(search.fields) > MOST_CONDITIONS:
        raise BadSearch(f"A search has at most {MOST_CONDITIONS} fields, not {len(search.fields)}.")
    for each in (search.text, search.not_text):
        if "\n" in each:
            raise BadSearch("A search looks at one line at a time: leave the line break out.")
    text, not_text = _encode(search.text), _encode(search.not_text)
    if search.ignores_case:
        text, not_text = text.lower(), not_text.lower()
    wanted = [text] if text else []
    wanted += [needle for field in search.fields for needle in _needles_of(field)]
    if search.ignores_case:
        wanted = [needle.lower() for needle in wanted]
    grams = {gram for needle in wanted for gram in grams_of(needle)}
    tests = _tests(text, not_text, search)
    return Matcher(
        needles=tuple(wanted),
        grams=tuple(sorted(grams)),
        ignores_case=search.ignores_case,
        is_plain=not search.fields and not not_text,
        matches=lambda line: all(test(line) for test in tests),
    )


def _tests(text: bytes, not_text: bytes, search: Search) -> list[Callable[[bytes], bool]]:
    fold: Callable[[bytes], bytes] = bytes.lower if search.ignores_case else bytes
    tests: list[Callable[[bytes], bool]] = []
    if text:
        tests.append(lambda line: text in fold(line))
    if not_text:
        tests.append(lambda line: not_text not in fold(line))
    if search.fields:
        tests.append(lambda line: _has_fields(line, search.fields, search.ignores_case))
    return tests


def _encode(text: str) -> bytes:
    return text.encode(errors="replace")


def _needles_of(field: FieldTest) -> Iterable[bytes]:
    """What a line must hold to have the field: the longest run of plain characters of name and value."""
    for text in (field.name.rpartition(".")[2], field.value):
        if runs := _PLAIN.findall(_encode(text)):
            yield max(runs, key=len)


def _has_fields(line: bytes, fields: tuple[FieldTest, ...], ignores_case: bool) -> bool:
    document = read_json(line)
    if document is None:
        return False
    return all(_has_field(document, field, ignores_case) for field in fields)


def read_json(line: bytes) -> dict[str, Any] | None:
    """The object that a JSON line holds; None for any other line."""
    stripped = line.strip()
    if not stripped.startswith(b"{") or not stripped.endswith(b"}"):
        return None
    try:
        # Numbers stay as they are written: 1.50 is found as 1.50, 12345678901234567890 whole.
        document = json.loads(stripped, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _has_field(document: dict[str, Any], field: FieldTest, ignores_case: bool) -> bool:
    found = [_as_text(value) for value in _values(document, field.name)]
    want = field.value
    if ignores_case:
        found, want = [text.lower() for text in found], want.lower()
    if field.comparison is Comparison.EQUALS:
        return want in found
    return any(want in text for text in found)


def _values(document: dict[str, Any], name: str) -> list[Any]:
    """What the name may mean: a field with dots in its name, or a field of a field."""
    if name in document:
        return [document[name]]
    for at in (match.start() for match in re.finditer(r"\.", name)):
        inner = document.get(name[:at])
        if isinstance(inner, dict) and (values := _values(inner, name[at + 1 :])):
            return values
    return []


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return {True: "true", False: "false", None: "null"}[value] if _is_word(value) else json.dumps(value)


def _is_word(value: Any) -> bool:
    return value is None or isinstance(value, bool)
