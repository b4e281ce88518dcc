"""How Halage's series are called and written in Prometheus' data model. Pure.

Conventions: https://prometheus.io/docs/practices/naming/ (base units, `_total` for counters). Own
metrics follow them; a site's metrics keep the names that it gave them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from halage.monitor.metrics.model import OWN_PREFIXES, Kind
from halage.monitor.outlet.accumulator import Histogram, Standing

Labels = tuple[tuple[str, str], ...]
Point = tuple[str, Labels, float]
"""A sample's name, its labels and its value."""

_TYPES = {Kind.GAUGE: "gauge", Kind.COUNT: "counter", Kind.DISTRIBUTION: "histogram"}
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "gauge": ("",), "counter": ("",)}
_BASE_UNITS = {"_ms": ("_seconds", 0.001), "_days": ("_seconds", 86400.0)}
_HELP_OF_SITES = "A metric of sites' own, as they sent it."
_HELP_UNKNOWN = "A metric of Halage."


@dataclass(frozen=True, slots=True)
class ExposedFamily:
    """What is written under one name."""

    name: str
    type: str
    help: str
    points: list[Point] = field(default_factory=list)


def exposed_name(name: str, kind: Kind) -> tuple[str, float]:
    """The name in Prometheus, and what values are multiplied with: its own metrics are in base units."""
    factor = 1.0
    if name.startswith(OWN_PREFIXES):
        for suffix, (unit, scale) in _BASE_UNITS.items():
            if name.endswith(suffix):
                name, factor = name.removesuffix(suffix) + unit, scale
    if kind is Kind.COUNT and not name.endswith("_total"):
        name += "_total"
    return name, factor


def families_of(standing: Iterable[Standing], help_of: Callable[[str], str | None]) -> list[ExposedFamily]:
    """The families, sorted by name. Two that would write the same name are told apart by their type."""
    grouped: dict[tuple[str, Kind], list[Standing]] = {}
    for each in standing:
        grouped.setdefault((each.key.name, each.kind), []).append(each)
    families: dict[str, ExposedFamily] = {}
    claimed: set[str] = set()
    for (name, kind), members in sorted(grouped.items()):
        exposed, factor = exposed_name(name, kind)
        exposed = _free_name(exposed, _TYPES[kind], claimed)
        family = ExposedFamily(exposed, _TYPES[kind], _help(name, help_of))
        for member in sorted(members, key=lambda each: each.key.dimensions):
            family.points.extend(_points(exposed, member, factor))
        families[exposed] = family
    return [families[name] for name in sorted(families)]


def _free_name(name: str, type_: str, claimed: set[str]) -> str:
    while True:
        names = {name, *(name + suffix for suffix in _SUFFIXES[type_])}
        if not names & claimed:
            claimed |= names
            return name
        name += f"_{type_}"


def _help(name: str, help_of: Callable[[str], str | None]) -> str:
    if name.startswith(OWN_PREFIXES):
        return help_of(name) or _HELP_UNKNOWN
    return _HELP_OF_SITES


def _points(name: str, member: Standing, factor: float) -> Iterator[Point]:
    labels, value = member.key.dimensions, member.value
    if not isinstance(value, Histogram):
        yield name, labels, value * factor
        return
    for bound, count in zip(value.bounds, value.cumulative, strict=True):
        yield f"{name}_bucket", (*labels, ("le", f"{bound * factor:.6g}")), count
    yield f"{name}_bucket", (*labels, ("le", "+Inf")), value.count
    yield f"{name}_sum", labels, value.total * factor
    yield f"{name}_count", labels, value.count
