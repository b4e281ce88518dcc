"""What somebody looks for on the page of metrics, and what was found, as it is drawn at one click. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from halage.monitor.dashboards.model import Unit
from halage.monitor.metrics.catalogue import find_metric
from halage.monitor.metrics.model import Kind, Selector, Series
from halage.monitor.metrics.syntax import write_selector

_MOST_VALUES = 4
_GROUPS = ("environment", "instance", "machine", "halage")
_UNITS = {"percent": Unit.PERCENT, "bytes": Unit.BYTES, "ms": Unit.MILLISECONDS}
_ENDINGS = {
    "_percent": Unit.PERCENT,
    "_bytes": Unit.BYTES,
    "_ms": Unit.MILLISECONDS,
    "_seconds": Unit.SECONDS,
}
"""How sites name theirs by custom; the catalogue knows Halage's own."""


@dataclass(frozen=True, slots=True)
class Search:
    """A part of a name, and dimensions by value."""

    name: str
    dimensions: Mapping[str, str]

    @property
    def pattern(self) -> str:
        """What the names are held against."""
        return f"*{self.name}*" if self.name else "*"


@dataclass(slots=True)
class Found:
    """A metric that was found."""

    name: str
    kind: Kind
    series: int = 0
    values: dict[str, set[str]] = field(default_factory=dict)
    """The values of each of its dimensions."""

    @property
    def meaning(self) -> str:
        """One sentence; nothing for a site's own."""
        metric = find_metric(self.name)
        return metric.meaning if metric is not None else ""

    @property
    def dimensions(self) -> list[tuple[str, list[str], int]]:
        """Each dimension with some of its values, and how many more there are."""
        shown = []
        for name, values in sorted(self.values.items()):
            ordered = sorted(values)
            shown.append((name, ordered[:_MOST_VALUES], max(0, len(ordered) - _MOST_VALUES)))
        return shown

    @property
    def unit(self) -> Unit:
        """How its graph's numbers are written."""
        metric = find_metric(self.name)
        if metric is not None:
            unit = _UNITS.get(metric.unit, Unit.NONE)
        else:
            unit = next((unit for end, unit in _ENDINGS.items() if self.name.endswith(end)), Unit.NONE)
        if self.kind is Kind.COUNT:
            return Unit.BYTES_PER_SECOND if unit is Unit.BYTES else Unit.PER_SECOND
        return unit

    def expression(self, dimensions: Mapping[str, str]) -> str:
        """What one wants to see of it: how often, how much, or how long for most."""
        selector = write_selector(Selector(self.name, dict(dimensions)))
        if self.kind is Kind.COUNT:
            return f"rate(sum({selector}))"
        return f"p95({selector})" if self.kind is Kind.DISTRIBUTION else f"average({selector})"


def read_search(text: str) -> Search:
    """`cpu environment=prod`: words are of the name, pairs are dimensions."""
    names, dimensions = [], {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if equals and name and value:
            dimensions[name] = value.strip("\"'")
        else:
            names.append(word)
    return Search("*".join(names), dimensions)


def group(found: Iterable[Found]) -> list[tuple[str, list[Found]]]:
    """The same by whom they are of: sites' own first, then those of Halage by their prefix."""
    groups: dict[str, list[Found]] = {name: [] for name in ("sites", *_GROUPS)}
    for each in found:
        prefix = each.name.partition("_")[0]
        groups[prefix if prefix in _GROUPS else "sites"].append(each)
    return [(name, members) for name, members in groups.items() if members]


def gather(series: Iterable[Series]) -> Sequence[Found]:
    """The metrics of these series, by name."""
    found: dict[str, Found] = {}
    for each in series:
        metric = found.setdefault(each.key.name, Found(each.key.name, each.kind))
        metric.series += 1
        for name, value in each.key.dimensions:
            metric.values.setdefault(name, set()).add(value)
    return sorted(found.values(), key=lambda metric: metric.name)
