"""Reads lines of StatsD, with the tags of DogStatsD. Pure.

Sources: https://github.com/statsd/statsd/blob/master/docs/metric_types.md and
https://docs.datadoghq.com/developers/dogstatsd/datagram_shell (several values in a line, `|#tags`).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from halage.monitor.intake.errors import Refusal
from halage.monitor.intake.model import Reason
from halage.monitor.intake.rules import shortened
from halage.monitor.metrics.model import Kind

KEY_TAG = "key"
"""The tag that names the environment, where the name does not begin with its key."""
LEAST_RATE = 1e-6

_LINE = re.compile(r"([A-Za-z0-9_.\-/ ]+):([^|\n]+)\|(c|g|ms|h|d|s)((?:\|[^|\n]*)*)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]", re.ASCII)
_KINDS = {
    "c": Kind.COUNT,
    "g": Kind.GAUGE,
    "s": Kind.GAUGE,
    "ms": Kind.DISTRIBUTION,
    "h": Kind.DISTRIBUTION,
    "d": Kind.DISTRIBUTION,
}


@dataclass(frozen=True, slots=True)
class StatsdLine:
    """What one line says."""

    key: str | None
    """Of which environment it says to be: what stands before the name's first dot, or in the tag `key`."""
    name: str
    kind: Kind
    numbers: tuple[float, ...]
    """Empty for a set."""
    members: tuple[str, ...]
    """Of a set."""
    changes: tuple[bool, ...]
    """For each number, whether it was written with a sign: then it changes a gauge."""
    rate: float
    """Which part of what happened was sent: from 0.1 follows that each line stands for ten."""
    tags: Mapping[str, str]


def parse_line(text: str) -> StatsdLine:
    """Read one line. Raises Refusal (malformed)."""
    match = _LINE.fullmatch(text)
    if match is None:
        raise _malformed(text, "it is not NAME:VALUE|TYPE, TYPE one of c, g, ms, h, d, s")
    name, values, type_, rest = match.groups()
    rate, tags = _parse_fields(text, rest)
    key, name = _split_name(name, tags)
    texts = (values,) if type_ == "s" else tuple(values.split(":"))
    is_set = type_ == "s"
    return StatsdLine(
        key=key,
        name=_NO_NAME.sub("_", name),
        kind=_KINDS[type_],
        numbers=() if is_set else tuple(_parse_number(text, each) for each in texts),
        members=texts if is_set else (),
        changes=() if is_set else tuple(each[0] in "+-" for each in texts),
        rate=rate,
        tags=tags,
    )


def _split_name(name: str, tags: dict[str, str]) -> tuple[str | None, str]:
    if (key := tags.pop(KEY_TAG, None)) is not None:
        return key, name
    first, dot, rest = name.partition(".")
    return (first, rest) if dot else (None, name)


def _parse_fields(text: str, rest: str) -> tuple[float, dict[str, str]]:
    """The sample rate and the tags; other extensions (a container, a time stamp) say nothing here."""
    rate, tags = 1.0, {}
    for part in rest.split("|")[1:]:
        if part.startswith("@"):
            rate = _parse_number(text, part[1:])
            if not LEAST_RATE <= rate <= 1:
                raise _malformed(text, f"a sample rate is from {LEAST_RATE:g} to 1")
        elif part.startswith("#"):
            for tag in part[1:].split(","):
                name, colon, value = tag.partition(":")
                if name:
                    tags[name if name == KEY_TAG else _NO_NAME.sub("_", name)] = value if colon else "true"
    return rate, tags


def _parse_number(text: str, number: str) -> float:
    if not _NUMBER.fullmatch(number):
        raise _malformed(text, f"{shortened(number)!r} is no number")
    value = float(number)
    if not math.isfinite(value):
        raise _malformed(text, f"{shortened(number)!r} is too large")
    return value


def _malformed(text: str, why: str) -> Refusal:
    # The line may hold a key: what stands before its first dot is not repeated.
    shown = text.partition(".")[2] if "." in text else text
    shown = re.sub(rf"\b{KEY_TAG}:[^,|]*", f"{KEY_TAG}:…", shown)
    return Refusal(Reason.MALFORMED, "", f"The line {shortened(shown)!r} cannot be read: {why}.")
