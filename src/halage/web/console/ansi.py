"""Terminal output as safe HTML: colours become classes, everything else of a terminal is dropped."""

import re

from markupsafe import Markup, escape

_SEQUENCE = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]*)m"  # colours and weights
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # other control sequences: cursor, erase
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # operating system commands, such as titles
    r"|\x1b[ -/]*[0-~]"  # two-character escapes
    r"|\x1b"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


def strip_terminal(text: str) -> str:
    """Plain text: no escape sequence, no control character; of an overwritten line, what stayed."""
    shown = text.rstrip("\r").rpartition("\r")[2]
    return _CONTROL.sub("", _SEQUENCE.sub("", shown))


def terminal_to_html(text: str) -> Markup:
    """One line of terminal output with its colours as `<span class="ansi-red">`, safely escaped."""
    shown = text.rstrip("\r").rpartition("\r")[2]
    parts: list[str] = []
    classes: frozenset[str] = frozenset()
    position = 0
    for match in _SEQUENCE.finditer(shown):
        parts.append(_span(shown[position : match.start()], classes))
        position = match.end()
        if match["sgr"] is not None:
            classes = _apply(match["sgr"], classes)
    parts.append(_span(shown[position:], classes))
    return Markup("").join(parts)


def _span(text: str, classes: frozenset[str]) -> Markup:
    plain = escape(_CONTROL.sub("", text))
    if not classes or not plain:
        return plain
    return Markup('<span class="{}">{}</span>').format(" ".join(sorted(classes)), plain)


def _apply(parameters: str, classes: frozenset[str]) -> frozenset[str]:
    codes = [int(part) if part else 0 for part in re.split("[;:]", parameters)]
    while codes:
        code = codes.pop(0)
        if code == 0:
            classes = frozenset()
        elif code in (1, 2, 3, 4):
            classes |= {f"ansi-{('bold', 'dim', 'italic', 'underline')[code - 1]}"}
        elif code in (38, 48):  # 256 and true colours: their parameters are not codes of their own
            del codes[: 2 if codes[:1] == [5] else 4]
        elif 30 <= code <= 37 or 90 <= code <= 97 or code == 39:
            classes = frozenset(name for name in classes if name.removeprefix("ansi-") not in _COLOURS)
            if code != 39:
                classes |= {f"ansi-{_COLOURS[code % 10]}"}
    return classes
