"""Where in a TOML text a key stands, for messages."""

import re
import tomllib
from collections import Counter

Location = tuple[str | int, ...]
_HEADER = re.compile(r"\s*\[(?P<of_many>\[)?(?P<keys>[^\[\]]+)\]\]?\s*(#.*)?")
_ENTRY = re.compile(r"""\s*(?P<keys>(?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def line_of(text: str, location: Location) -> int | None:
    """The line, from 1, of the key at this location, else of the closest table around it.

    A best effort that reads line by line: a key within an inline table or a multi-line value is
    given the line of that value's own key. None when not even the outermost table is found.
    """
    lines = _lines_by_key(text)
    for length in range(len(location), 0, -1):
        if location[:length] in lines:
            return lines[location[:length]]
    return None


def line_of_syntax_error(error: tomllib.TOMLDecodeError, text: str) -> int:
    """The line that the parser complains of; what it finds at the end is on the last one."""
    match = re.search(r"at line (\d+)", str(error))
    return int(match[1]) if match else max(1, len(text.splitlines()))


def _lines_by_key(text: str) -> dict[Location, int]:
    lines: dict[Location, int] = {}
    around: dict[Location, int] = {}
    table: Location = ()
    counts: Counter[Location] = Counter()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = _parts(header["keys"])
            lines.setdefault(table, number)
            for length in range(1, len(table)):
                around.setdefault(table[:length], number)
            if header["of_many"]:
                counts[table] += 1
                table = (*table, counts[table] - 1)
                lines[table] = number
        elif entry := _ENTRY.match(line):
            lines.setdefault(table + _parts(entry["keys"]), number)
    return {**around, **lines}


def _parts(keys: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(keys))
