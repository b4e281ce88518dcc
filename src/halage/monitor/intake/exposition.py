"""Reads Prometheus' text format 0.0.4, and OpenMetrics 1.0 as far as it is the same. Pure.

Sources: https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md. Time stamps,
exemplars and `_created` are read over.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from halage.base.errors import Invalid

MOST_SAMPLES = 10_000

_SAMPLE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?[ \t]*'
    r"([^ \t{}]+)(?:[ \t]+-?[0-9.eE+]+)?(?:[ \t]+#.*)?[ \t]*",
    re.ASCII,
)
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)', re.ASCII)
_TYPE = re.compile(r"#[ \t]+TYPE[ \t]+(\S+)[ \t]+(\S+)[ \t]*", re.ASCII)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", '"': '"', "\\": "\\"}
_SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
}

Labels = tuple[tuple[str, str], ...]


class BadExposition(Invalid):
    """What came is not in Prometheus' text format."""


@dataclass(frozen=True, slots=True)
class ScrapedSample:
    """One line."""

    name: str
    labels: Labels
    """Sorted by name."""
    value: float


@dataclass(frozen=True, slots=True)
class Family:
    """What belongs together: by name and type (`counter`, `gauge`, `histogram`, `summary`, or else)."""

    name: str
    type: str
    samples: list[ScrapedSample] = field(default_factory=list)


def parse_exposition(text: str) -> tuple[list[Family], int]:
    """The families, and how many lines could not be read (the others are kept).

    Raises BadExposition when there is no line that can be read, or more than MOST_SAMPLES.
    """
    types: dict[str, str] = {}
    families: dict[tuple[str, str], Family] = {}
    count = bad = 0
    for line in text.split("\n"):
        line = line.strip()
        if line.startswith("#"):
            if (declared := _TYPE.fullmatch(line)) is not None:
                types[declared[1]] = declared[2]
            continue
        if not line:
            continue
        sample = _parse_sample(line)
        if sample is None:
            bad += 1
            continue
        count += 1
        if count > MOST_SAMPLES:
            raise BadExposition(f"it has more than {MOST_SAMPLES} samples")
        if (key := _family_of(sample.name, types)) is not None:
            families.setdefault(key, Family(*key)).samples.append(sample)
    if bad and not count:
        raise BadExposition("it is not in Prometheus' text format")
    return list(families.values()), bad


def _parse_sample(line: str) -> ScrapedSample | None:
    match = _SAMPLE.fullmatch(line)
    if match is None:
        return None
    name, inner, number = match.groups()
    labels = _parse_labels(inner) if inner is not None else ()
    value = _parse_value(number)
    return None if labels is None or value is None else ScrapedSample(name, labels, value)


def _parse_labels(inner: str) -> Labels | None:
    """None when they cannot be read, or one comes twice."""
    labels, end = {}, 0
    while inner[end:].strip():
        match = _LABEL.match(inner, end)
        if match is None or match[1] in labels:
            return None
        value = match[2]
        labels[match[1]] = _ESCAPE.sub(_unescaped, value) if "\\" in value else value
        end = match.end()
    return tuple(sorted(labels.items()))


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPED.get(match[1], match[0])


def _parse_value(number: str) -> float | None:
    if "_" in number:
        return None  # float() takes them
    try:
        return float(number)
    except ValueError:
        return None


def _family_of(name: str, types: dict[str, str]) -> tuple[str, str] | None:
    """None for what says nothing of the site: when a counter was made."""
    if (known := types.get(name)) is not None:
        return name, known
    for suffix in ("_total", "_bucket", "_sum", "_count", "_created"):
        if name.endswith(suffix):
            family = name.removesuffix(suffix)
            if suffix == "_created" and family in types:
                return None
            type_ = types.get(family, "")
            if suffix in _SUFFIXES.get(type_, ()):
                return (name, type_) if type_ == "counter" else (family, type_)
    return name, "counter" if name.endswith("_total") else "untyped"


def without(labels: Labels, name: str) -> tuple[Labels, str | None]:
    """The labels without one of them, and its value."""
    value = next((value for label, value in labels if label == name), None)
    return tuple(each for each in labels if each[0] != name), value


def bound_of(text: str | None) -> float | None:
    """The upper bound of a bucket, None when it is none."""
    if text is None:
        return None
    bound = _parse_value(text)
    return None if bound is None or math.isnan(bound) else bound


def counters_of(family: Family) -> Iterator[tuple[str, Labels, float]]:
    """What of the family only grows, but for buckets: counters, sums and counts of summaries."""
    for sample in family.samples:
        is_part = family.type == "summary" and sample.name != family.name
        if family.type == "counter" or is_part:
            yield sample.name, sample.labels, sample.value
