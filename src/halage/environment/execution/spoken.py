"""A command as it may be written down: what is secret in it, or looks so, is left out."""

import re
import shlex
from collections.abc import Iterable, Sequence

from halage.monitor.logs.masking import MASK, Mask
from halage.site.values import looks_secret

_HIDDEN = MASK.decode()
_SETTING = re.compile(r"(?P<name>[A-Za-z_][\w.-]*)=(?P<value>'[^']*'|\"[^\"]*\"|[^\s'\";&|]+)")
_IN_ADDRESS = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s/@]+@")


def spoken(words: Sequence[str], secrets: Iterable[str]) -> str:
    """The command on one line, for the journal.

    Hidden are the `secrets` that are known, values of what is called like a secret (`NAME=VALUE`,
    `--name=VALUE`, `--name VALUE`, also within a word of shell), and passwords in addresses. A secret
    that has no name and that nobody told is not known as one.
    """
    mask = Mask(secrets)
    told = [_masked(mask, word) for word in words]
    for index, word in enumerate(words[:-1]):
        if word.startswith("-") and "=" not in word and looks_secret(word.replace("-", "_")):
            told[index + 1] = _HIDDEN
    return shlex.join(told).replace(f"'{_HIDDEN}'", _HIDDEN)


def _masked(mask: Mask, word: str) -> str:
    known = mask.apply(word.encode(errors="replace")).decode(errors="replace")
    named = _SETTING.sub(_hide_value, known)
    return _IN_ADDRESS.sub(lambda found: f"{found['before']}:{_HIDDEN}@", named)


def _hide_value(found: re.Match[str]) -> str:
    if looks_secret(found["name"].replace("-", "_")):
        return f"{found['name']}={_HIDDEN}"
    return found[0]
