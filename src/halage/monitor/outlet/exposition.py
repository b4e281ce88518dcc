"""Prometheus' text format 0.0.4: what stands now, as `GET /metrics` answers it.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from collections.abc import Callable, Iterable

from halage.monitor.metrics.model import SeriesKey
from halage.monitor.outlet.accumulator import Accumulator
from halage.monitor.outlet.families import ExposedFamily, Labels, families_of

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def _no_help(_name: str) -> str | None:
    return None


class Exposition:
    """What stands now, in Prometheus' names. `help_of` says what one of Halage's own metrics means."""

    def __init__(self, accumulator: Accumulator, *, help_of: Callable[[str], str | None] = _no_help) -> None:
        self._accumulator = accumulator
        self._help_of = help_of

    def families(self, visible: frozenset[str] | None = None) -> list[ExposedFamily]:
        """Everything of these projects (None: of all), and what belongs to no project. From any thread."""

        def is_wanted(key: SeriesKey) -> bool:
            if visible is None:
                return True
            project = key.get("project")
            return project is None or project in visible

        return families_of(self._accumulator.standing(is_wanted), self._help_of)

    def text(self, visible: frozenset[str] | None = None) -> str:
        """The same as text. Takes some milliseconds for each thousand series: call it in a thread."""
        return render(self.families(visible))


def render(families: Iterable[ExposedFamily]) -> str:
    """Families in the text format."""
    lines = []
    for family in families:
        help_ = family.help.replace("\\", r"\\").replace("\n", r"\n")
        lines.append(f"# HELP {family.name} {help_}")
        lines.append(f"# TYPE {family.name} {family.type}")
        lines.extend(f"{name}{_labels(labels)} {_number(value)}" for name, labels, value in family.points)
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Labels) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
