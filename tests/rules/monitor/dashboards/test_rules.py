"""What a dashboard may hold."""

from dataclasses import replace
from typing import Any

import pytest

from halage.base.errors import Invalid
from halage.monitor.dashboards.errors import DashboardInvalid
from halage.monitor.dashboards.made import made_dashboard
from halage.monitor.dashboards.model import Layout, MetricLine, Place, Threshold, Unit, Widget, WidgetKind
from halage.monitor.dashboards.rules import (
    check,
    from_document,
    in_reading_order,
    meet,
    place_of,
    to_document,
)


def accept(_expression: str) -> None:
    """Takes everything for an expression."""


def refuse(expression: str) -> None:
    raise Invalid(f"{expression} is no expression.")


def a_widget(id_: str = "one", **changes: Any) -> Widget:
    widget = Widget(id_, WidgetKind.LINE, 0, 0, 6, 4, "Requests", (MetricLine("sum(requests)"),))
    return replace(widget, **changes)


def layout_of(*widgets: Widget) -> Layout:
    return Layout("Shop", widgets)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x": 7}, "Widget one: it must lie within the 12 columns"),
        ({"x": -1}, "within the 12 columns"),
        ({"width": 0}, "within the 12 columns"),
        ({"height": 0}, "height 1 to 20"),
        ({"height": 21}, "height 1 to 20"),
        ({"y": -1}, "y is 0 to 1000"),
        ({"y": 1001}, "y is 0 to 1000"),
        ({"lines": ()}, "line needs 1 to 20 expressions, and has 0"),
        ({"lines": (MetricLine("sum(a)"),) * 21}, "and has 21"),
        ({"minimum": 5.0, "maximum": 5.0}, "minimum must be below its maximum"),
        ({"maximum": float("inf")}, "must be finite"),
        ({"thresholds": (Threshold(float("nan")),)}, "must be finite"),
        ({"id": "Not an id"}, "The widget id 'Not an id' cannot be used"),
    ],
)
def test_a_widget_at_fault_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DashboardInvalid) as caught:
        check(layout_of(a_widget(**changes)), accept)
    assert said in caught.value.message


def test_what_is_no_expression_is_said_with_its_widget() -> None:
    with pytest.raises(
        DashboardInvalid, match=r"Widget one: sum\(requests\): sum\(requests\) is no expression"
    ):
        check(layout_of(a_widget()), refuse)


def test_words_and_alarms_need_no_expression() -> None:
    check(
        layout_of(
            a_widget("words", kind=WidgetKind.TEXT, lines=(), text="Hello"),
            a_widget("alarms", kind=WidgetKind.ALARM, lines=(), x=6),
        ),
        refuse,
    )


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "two\nlines"])
def test_a_name_is_one_line(name: str) -> None:
    with pytest.raises(DashboardInvalid, match="name of 1 to 100 characters"):
        check(Layout(name), accept)


@pytest.mark.parametrize("range_s", [0, 59, 455 * 86400 + 1])
def test_a_range_is_a_minute_to_what_is_kept(range_s: int) -> None:
    with pytest.raises(DashboardInvalid, match="range_s is 60"):
        check(Layout("Shop", range_s=range_s), accept)


def test_widgets_lie_apart_and_have_an_id_each() -> None:
    check(layout_of(a_widget("one"), a_widget("two", x=6), a_widget("three", y=4)), accept)
    with pytest.raises(DashboardInvalid, match="one and two lie on top of each other"):
        check(layout_of(a_widget("one"), a_widget("two", x=5)), accept)
    with pytest.raises(DashboardInvalid, match="the same id: one"):
        check(layout_of(a_widget("one"), a_widget("one", x=6)), accept)
    with pytest.raises(DashboardInvalid, match="60 widgets at most, not 61"):
        check(layout_of(*(a_widget(f"w{n}", y=4 * n) for n in range(61))), accept)


@pytest.mark.parametrize(
    ("x", "y", "is_met"), [(0, 0, True), (5, 3, True), (6, 0, False), (0, 4, False), (-6, 0, False)]
)
def test_two_widgets_meet_when_they_share_a_cell(x: int, y: int, is_met: bool) -> None:
    assert meet(a_widget(), a_widget("two", x=x, y=y)) is is_met
    assert meet(a_widget("two", x=x, y=y), a_widget()) is is_met


def test_the_reading_order_is_from_the_top_then_from_the_left() -> None:
    widgets = (a_widget("c", y=4), a_widget("b", x=6), a_widget("a"))
    assert [each.id for each in in_reading_order(widgets)] == ["a", "b", "c"]


def test_a_document_goes_round() -> None:
    layout = Layout(
        "Shop",
        (
            a_widget(
                unit=Unit.PERCENT,
                thresholds=(Threshold(80.0, "much"),),
                alarms=(3, 4),
                minimum=0.0,
                period_s=60,
                shows_week_before=True,
            ),
        ),
        3600,
        "prod",
    )
    document = to_document(layout)
    assert type(document["widgets"][0]["kind"]) is str
    assert from_document(document) == layout


def test_what_a_document_leaves_out_is_as_usual() -> None:
    bare = {"id": "a", "kind": "text", "x": 0, "y": 0, "width": 3, "height": 2}
    layout = from_document({"name": "Shop", "widgets": [bare]})
    assert layout == Layout("Shop", (Widget("a", WidgetKind.TEXT, 0, 0, 3, 2),))


@pytest.mark.parametrize(
    ("id_", "place"),
    [
        ("machine", Place()),
        ("shop.prod", Place("shop", "prod")),
        ("7", None),
        ("shop", None),
        ("shop.prod.x", None),
        ("Shop.prod", None),
        (".prod", None),
    ],
)
def test_which_ids_are_places(id_: str, place: Place | None) -> None:
    assert place_of(id_) == place
    assert place is None or place.id == id_


@pytest.mark.parametrize("place", [Place(), Place("shop", "prod")])
def test_a_made_dashboard_is_one_that_could_be_saved(place: Place) -> None:
    made = made_dashboard(place)
    check(made.layout, accept)
    assert (made.version, made.is_made, made.id) == (0, True, place.id)
    assert all(widget.title for widget in made.layout.widgets)
    assert WidgetKind.ALARM in {widget.kind for widget in made.layout.widgets}


def test_an_environments_dashboard_shows_that_environment_only() -> None:
    made = made_dashboard(Place("shop", "prod"))
    assert (made.project, made.environment) == ("shop", "prod")
    expressions = [line.expression for widget in made.layout.widgets for line in widget.lines]
    selectors = [part for text in expressions for part in text.split("(") if "{" in part]
    assert selectors and all('{project="shop",environment="prod"' in part for part in selectors)
