"""What a dashboard may hold, and how it is read from its JSON document and written as one. Pure."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

from halage.base.errors import Invalid
from halage.monitor.dashboards.errors import DashboardInvalid
from halage.monitor.dashboards.model import (
    COLUMNS,
    MACHINE,
    MAX_HEIGHT,
    MAX_LINES,
    MAX_WIDGETS,
    Layout,
    MetricLine,
    Place,
    Threshold,
    Unit,
    Widget,
    WidgetKind,
)

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PLACE = re.compile(r"([a-z][a-z0-9-]{0,62})\.([a-z][a-z0-9-]{0,62})")
_LOWEST_ROW = 1000
_SHORTEST_RANGE_S, _LONGEST_RANGE_S = 60, 455 * 86400

CheckExpression = Callable[[str], object]
"""Raises Invalid for what is no expression."""


def place_of(id_: str) -> Place | None:
    """The place whose dashboard has that id; None for the id of one that people made."""
    if id_ == MACHINE:
        return Place()
    match = _PLACE.fullmatch(id_)
    return Place(match[1], match[2]) if match else None


def check(layout: Layout, check_expression: CheckExpression) -> None:
    """Return when the layout can be shown; raise DashboardInvalid that names the widget at fault."""
    if not layout.name.strip() or len(layout.name) > 100 or not layout.name.isprintable():
        raise DashboardInvalid("A dashboard has a name of 1 to 100 characters on one line.")
    if not _SHORTEST_RANGE_S <= layout.range_s <= _LONGEST_RANGE_S:
        raise DashboardInvalid(
            f"range_s is {_SHORTEST_RANGE_S} (a minute) to {_LONGEST_RANGE_S} (455 days), "
            f"not {layout.range_s}."
        )
    if len(layout.widgets) > MAX_WIDGETS:
        raise DashboardInvalid(f"A dashboard has {MAX_WIDGETS} widgets at most, not {len(layout.widgets)}.")
    for widget in layout.widgets:
        _check_place(widget)
        _check_content(widget, check_expression)
    _check_apart(layout.widgets)


def _check_place(widget: Widget) -> None:
    if not _ID.fullmatch(widget.id):
        raise DashboardInvalid(
            f"The widget id {widget.id!r} cannot be used: 1 to 40 lower-case letters, digits, - and _."
        )
    if widget.x < 0 or widget.width < 1 or widget.x + widget.width > COLUMNS:
        raise _at_fault(widget, f"it must lie within the {COLUMNS} columns (x + width)")
    if not 0 <= widget.y <= _LOWEST_ROW or not 1 <= widget.height <= MAX_HEIGHT:
        raise _at_fault(widget, f"y is 0 to {_LOWEST_ROW}, height 1 to {MAX_HEIGHT}")


def _check_content(widget: Widget, check_expression: CheckExpression) -> None:
    if widget.kind.has_lines and not 1 <= len(widget.lines) <= MAX_LINES:
        raise _at_fault(
            widget, f"{widget.kind} needs 1 to {MAX_LINES} expressions, and has {len(widget.lines)}"
        )
    numbers = [widget.minimum, widget.maximum, *(each.value for each in widget.thresholds)]
    if any(number is not None and not math.isfinite(number) for number in numbers):
        raise _at_fault(widget, "its numbers must be finite")
    if widget.minimum is not None and widget.maximum is not None and widget.minimum >= widget.maximum:
        raise _at_fault(widget, "its minimum must be below its maximum")
    for line in widget.lines:
        try:
            check_expression(line.expression)
        except Invalid as error:
            # The first line says it; those after it draw the place.
            words, _, _ = error.message.partition("\n")
            raise _at_fault(widget, f"{line.expression}: {words.rstrip('.')}") from error


def _check_apart(widgets: Sequence[Widget]) -> None:
    ids = [each.id for each in widgets]
    if len(set(ids)) < len(ids):
        twice = sorted({id_ for id_ in ids if ids.count(id_) > 1})
        raise DashboardInvalid(f"Two widgets have the same id: {', '.join(twice)}.")
    for one, other in combinations(widgets, 2):
        if meet(one, other):
            raise DashboardInvalid(f"The widgets {one.id} and {other.id} lie on top of each other.")


def meet(one: Widget, other: Widget) -> bool:
    """Whether two widgets share a cell of the grid."""
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def _at_fault(widget: Widget, why: str) -> DashboardInvalid:
    return DashboardInvalid(f"Widget {widget.id}: {why}.", widget=widget.id)


def in_reading_order(widgets: Sequence[Widget]) -> tuple[Widget, ...]:
    """From the top down, then from the left: the order for the keyboard and on narrow screens."""
    return tuple(sorted(widgets, key=lambda widget: (widget.y, widget.x)))


def in_words(widget: Widget) -> str:
    """A widget on one line: what it is, where it lies, what it shows."""
    shown = [each.expression for each in widget.lines] or [widget.text or f"alarms {list(widget.alarms)}"]
    place = f"{widget.width} x {widget.height} at column {widget.x}, row {widget.y}"
    return (
        f"{widget.kind}, {place}: {': '.join([*([widget.title] if widget.title else []), '; '.join(shown)])}"
    )


def to_document(layout: Layout) -> dict[str, Any]:
    """The layout as plain JSON values."""
    document = asdict(layout)
    for widget in document["widgets"]:
        widget["kind"], widget["unit"] = str(widget["kind"]), str(widget["unit"])
    return document


def from_document(document: Mapping[str, Any]) -> Layout:
    """The layout of a document that `to_document` made, or that has its shape."""
    return Layout(
        name=document["name"],
        widgets=tuple(_widget(each) for each in document.get("widgets", ())),
        range_s=document.get("range_s", 3 * 3600),
        environment=document.get("environment"),
    )


def _widget(document: Mapping[str, Any]) -> Widget:
    nested = {
        "kind": WidgetKind(document["kind"]),
        "unit": Unit(document.get("unit", Unit.NONE)),
        "lines": tuple(MetricLine(**each) for each in document.get("lines", ())),
        "thresholds": tuple(Threshold(**each) for each in document.get("thresholds", ())),
        "alarms": tuple(document.get("alarms", ())),
    }
    return Widget(**{**document, **nested})
