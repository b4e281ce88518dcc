"""A command as it may be written down: what is secret in it, or looks so, is left out."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote, quote_plus

from halage.monitor.logs.masking import MASK, SHORTEST_SECRET, Mask
from halage.site.values import looks_secret

LONGEST = 4096
"""So many characters of a command are written down."""
_HIDDEN = MASK.decode()
_CUT = "…"
# Each begins where no longer match could: otherwise a long word takes the square of its length.
_SETTING = re.compile(r"(?<![\w.-])(?P<name>-*[A-Za-z_][\w.-]*)=(?P<value>'[^']*'|\"[^\"]*\"|[^\s'\";&|]+)")
_IN_ADDRESS = re.compile(r"(?<![a-z0-9+.-])(?P<before>[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s/@]+@")
_HEADER = re.compile(r"(?<![\w-])(?P<name>[A-Za-z][\w-]*):[ \t]*(?P<value>[^'\"\r\n]+)")
_OPTION = re.compile(r"--?[A-Za-z][\w-]*")
_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<next>[;&|()]+)|(?:'[^']*'|\"[^\"]*\"|\\.|[^\s;&|()'\"\\])+|.", re.DOTALL
)
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
_GLUED = {"mysql": "-p", "mariadb": "-p"}
"""Programs (those whose names begin so, too) that take a password right behind a letter."""
_APART = {"sshpass": ("-p",), "redis-cli": ("-a",), "curl": ("-u", "--user", "--proxy-user")}
"""And those that take one as the next word; curl has the user's name and a colon before it."""


def spoken(words: Sequence[str], secrets: Iterable[str]) -> str:
    """The command on one line, for the journal; what is longer than LONGEST is cut off.

    Hidden are the `secrets` that are known, wherever they are, also as addresses, shells and JSON
    write them; values of what is called like a secret (`NAME=VALUE`, `--name VALUE`, `Name: VALUE`);
    passwords in addresses; and those that clients such as mysql and curl take by a letter. Words with
    blanks are read as lines of shell. Any other secret that nobody told is not known as one.
    """
    known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
    mask = Mask(form for secret in known for form in _forms_of(secret))
    short = [_standing_alone(secret) for secret in known if len(secret.encode()) < SHORTEST_SECRET]

    def without_known(text: str) -> str:
        masked = mask.apply(text.encode(errors="replace")).decode(errors="replace")
        for pattern in short:
            masked = pattern.sub(lambda found: (found["option"] or "") + _HIDDEN, masked)
        return masked

    told = list(_cut([without_known(word) for word in words]))
    told = [_in_line(word) if re.search(r"\s", word) else word for word in told]
    told = [_in_word(word) for word in _in_sequence(told)]
    line = without_known(shlex.join(told)).replace(f"'{_HIDDEN}'", _HIDDEN)
    return line if len(line) <= LONGEST + len(_CUT) else line[:LONGEST] + _CUT


def _forms_of(secret: str) -> set[str]:
    """A secret as it is, and as it is written within an address, a word of shell, or JSON."""
    escaped = re.sub(r"([^\w@%+=:,./-])", r"\\\1", secret)
    quoted = re.sub(r'([$`"\\])', r"\\\1", secret)
    others = (escaped, quoted, secret.replace("'", "'\\''"), json.dumps(secret)[1:-1])
    return {secret, quote(secret, safe=""), quote_plus(secret), *others}


def _standing_alone(secret: str) -> re.Pattern[str]:
    """Where a short secret is a word of its own or stands behind an option's letter."""
    return re.compile(rf"(?<![A-Za-z0-9])(?P<option>-[A-Za-z])?{re.escape(secret)}(?![A-Za-z0-9])")


def _cut(words: Iterable[str]) -> Iterator[str]:
    left = LONGEST
    for word in words:
        if len(word) > left:
            yield word[:left] + _CUT
            return
        yield word
        left -= len(word) + 1


def _in_line(line: str) -> str:
    """A line of shell (or any text with blanks) without the passwords of the commands in it."""
    line = _HEADER.sub(_hide_header, line)
    pieces: list[str] = []
    command: list[int] = []
    for found in _TOKEN.finditer(line):
        pieces.append(found[0])
        if found["next"] is not None or found[0] == "\n":
            _hide_in(pieces, command)
            command = []
        elif found["space"] is None:
            command.append(len(pieces) - 1)
    _hide_in(pieces, command)
    return "".join(pieces)


def _hide_in(pieces: list[str], command: Sequence[int]) -> None:
    for at, word in zip(command, _in_sequence([pieces[at] for at in command]), strict=True):
        pieces[at] = word


def _in_sequence(words: Sequence[str]) -> list[str]:
    """A command's words without those that are secret by what stands before them."""
    told: list[str] = []
    program = ""
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        name = word.rpartition("/")[2]
        if name.startswith((*_GLUED, *_APART)):
            program = next(each for each in (*_GLUED, *_APART) if name.startswith(each))
        told.append(_by_place(word, before, program))
    return told


def _by_place(word: str, before: str, program: str) -> str:
    letter = _GLUED.get(program)
    if letter is not None and word.startswith(letter) and word != letter:
        return letter + _HIDDEN
    if before in _APART.get(program, ()):
        name, colon, _ = word.partition(":")
        return f"{name}:{_HIDDEN}" if program == "curl" and colon else _HIDDEN
    return _HIDDEN if _OPTION.fullmatch(before) and _names_secret(before) else word


def _in_word(word: str) -> str:
    return _IN_ADDRESS.sub(lambda found: f"{found['before']}:{_HIDDEN}@", _SETTING.sub(_hide_value, word))


def _hide_value(found: re.Match[str]) -> str:
    return f"{found['name']}={_HIDDEN}" if _names_secret(found["name"]) else found[0]


def _hide_header(found: re.Match[str]) -> str:
    is_secret = found["name"].lower() in _SECRET_HEADERS or _names_secret(found["name"])
    return f"{found['name']}: {_HIDDEN}" if is_secret else found[0]


def _names_secret(name: str) -> bool:
    return looks_secret(name.strip("-").replace("-", "_"))
