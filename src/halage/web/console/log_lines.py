"""Lines of logs as people see them: cut to a length, with level, colour and the fields of JSON. Pure."""

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from halage.monitor.logs.matching import read_json
from halage.monitor.logs.model import Counts, KeptLine

LONGEST_SHOWN = 2000
"""Characters of a line (or of a field) that are shown; an export has all of them."""
_MOST_FIELDS = 100
_DEEPEST = 8
_COLOURS = 8
_WORDS = {
    **dict.fromkeys(("emergency", "alert", "critical", "crit", "fatal", "error", "err"), "error"),
    **dict.fromkeys(("warning", "warn"), "warning"),
    **dict.fromkeys(("debug", "trace"), "debug"),
}
_NUMBERS = {"10": "debug", "20": "debug", "40": "warning", "50": "error", "60": "error"}
"""Of pino and bunyan: https://getpino.io/#/docs/api?id=loggerlevel-string-gettersetter"""
_ANSWERS = {"5": "error", "4": "warning"}
"""By the first digit of an answer's status."""
_LEVEL_FIELDS = ("level", "severity", "levelname", "log.level", "lvl")
_IN_TEXT = re.compile(
    r"\b(EMERGENCY|ALERT|CRITICAL|FATAL|ERROR|WARNING|WARN|DEBUG|TRACE)\b"
    r"|[\[=](emerg|alert|crit|critical|fatal|error|err|warning|warn|debug|trace)\b"
)
_LOOKED_AT = 200
"""A level stands at the beginning of a line."""


@dataclass(frozen=True, slots=True)
class ShownField:
    """A field of a JSON line; a nested one is called `a.b`."""

    name: str
    value: str
    is_whole: bool
    """Whether the value can be looked for: it was not cut, and is no list."""


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line on the page."""

    id: int
    at: float
    environment: str
    """Where lines of several environments are shown together; else empty."""
    stream: str
    kind: str
    colour: int
    """Of its stream: 1 to 8."""
    level: str
    """`error`, `warning`, `debug`, or empty."""
    text: str
    missing: int
    """Characters that are not shown."""
    fields: tuple[ShownField, ...]


def shown_lines(lines: Sequence[KeptLine], *, names_environments: bool) -> list[ShownLine]:
    """Lines as the page shows them."""
    return [_shown(line, names_environments) for line in lines]


def _shown(line: KeptLine, names_environments: bool) -> ShownLine:
    place, _, kind = line.group.partition("/")
    document = read_json(line.text)
    text = line.words
    level = level_of(text, document, kind)
    if kind == "access" and document is not None:
        text = _request_of(document) or text
    return ShownLine(
        id=line.id,
        at=line.at,
        environment=place.partition(".")[2] if names_environments else "",
        stream=line.stream,
        kind=kind or place,
        colour=colour_of(line.stream),
        level=level,
        text=text[:LONGEST_SHOWN],
        missing=max(0, len(text) - LONGEST_SHOWN),
        fields=() if document is None else tuple(_fields(document, "", 0))[:_MOST_FIELDS],
    )


def _request_of(document: Mapping[str, Any]) -> str:
    """A line of the access log, shorter: `200 GET /path 33 ms`; its fields tell the rest."""
    status, method, path = (document.get(name) for name in ("status", "method", "path"))
    if not isinstance(method, str) or not isinstance(path, str):
        return ""
    took = document.get("response_ms")
    return f"{status or '-'} {method} {path}" + (f" {took} ms" if isinstance(took, str) else "")


def colour_of(stream: str) -> int:
    """The colour of a stream, always the same; those with numbers one behind the other differ."""
    number = re.search(r"([0-9]{1,9})$", stream)
    return (int(number[1]) if number else zlib.crc32(stream.encode(errors="replace"))) % _COLOURS + 1


def level_of(text: str, document: Mapping[str, Any] | None, kind: str) -> str:
    """`error`, `warning`, `debug`, or empty where a line says nothing of the kind."""
    if kind == "access" and document is not None:
        return _ANSWERS.get(str(document.get("status"))[:1], "")
    if document is not None:
        for name in _LEVEL_FIELDS:
            if isinstance(value := document.get(name), str):
                return _WORDS.get(value.lower(), _NUMBERS.get(value, ""))
        return ""
    found = _IN_TEXT.search(text[:_LOOKED_AT])
    return _WORDS.get((found[1] or found[2]).lower(), "error") if found else ""


def _fields(document: Mapping[str, Any], prefix: str, depth: int) -> list[ShownField]:
    found: list[ShownField] = []
    for key, value in document.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and depth < _DEEPEST:
            found += _fields(value, f"{name}.", depth + 1)
        else:
            written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            is_whole = len(written) <= LONGEST_SHOWN // 2 and not isinstance(value, list | dict)
            is_whole = is_whole and not set("=~\n\r\0") & set(name) and not set("\n\r\0") & set(written)
            found.append(ShownField(name, written[:LONGEST_SHOWN], is_whole and bool(name.strip())))
        if len(found) >= _MOST_FIELDS:
            break
    return found


@dataclass(frozen=True, slots=True)
class Bar:
    """How many lines a time has; places and sizes in per cent of the picture."""

    start: float
    end: float
    count: int
    x: float
    width: float
    height: float


def bars_of(counts: Counts) -> list[Bar]:
    """A bar for each time that has lines."""
    highest = max(counts.counts, default=0)
    width = 100 / max(1, len(counts.counts))
    return [
        Bar(
            start=counts.start + number * counts.period_s,
            end=counts.start + (number + 1) * counts.period_s,
            count=count,
            x=round(number * width, 3),
            width=round(width, 3),
            height=round(max(2.0, 100 * count / highest), 2),
        )
        for number, count in enumerate(counts.counts)
        if count
    ]
