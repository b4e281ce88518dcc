"""Which thresholds of alarms a graph draws."""

from dataclasses import replace
from typing import Any

import pytest

from halage.monitor.alarms.defaults import environment_defaults, server_defaults
from halage.monitor.alarms.model import Alarm, Band, Definition, Operator, State
from halage.monitor.dashboards.levels import Level, levels_of
from halage.monitor.dashboards.made import made_dashboard
from halage.monitor.dashboards.model import MetricLine, Place, Widget, WidgetKind

P95 = 'p95(environment_response_time_ms{project="shop",environment="prod"})'


def an_alarm(number: int, **changes: Any) -> Alarm:
    definition = replace(
        Definition(f"alarm-{number}", "shop", "prod", expression=P95, threshold=1000.0), **changes
    )
    return Alarm(number, definition, False, State.OK, "", 0.0, False, None, 0.0, 0.0, "ada")


def a_widget(*expressions: str, **changes: Any) -> Widget:
    lines = tuple(MetricLine(each) for each in expressions)
    return replace(
        Widget("one", WidgetKind.LINE, 0, 0, 6, 4, lines=lines, shows_alarm_thresholds=True), **changes
    )


@pytest.mark.parametrize(
    "written",
    [
        P95,
        "p95( environment_response_time_ms { environment='prod', project='shop' } )",
    ],
)
def test_without_a_choice_it_is_those_on_its_expressions(written: str) -> None:
    other = an_alarm(2, expression="sum(orders)", threshold=5.0)
    found = levels_of(a_widget("sum(x)", written), [an_alarm(1), other])
    assert found == (Level(1, "alarm-1", Operator.ABOVE, 1000.0),)


def test_a_choice_is_kept_whatever_they_watch() -> None:
    other = an_alarm(2, expression="sum(orders)", threshold=5.0, operator=Operator.AT_MOST)
    found = levels_of(a_widget(P95, alarms=(2, 99)), [an_alarm(1), other])
    assert found == (Level(2, "alarm-2", Operator.AT_MOST, 5.0),)


def test_what_has_no_threshold_has_no_level() -> None:
    banded = an_alarm(1, threshold=None, band=Band(2.0))
    ruled = an_alarm(2, expression=None, threshold=None, rule="ALARM(x)")
    assert levels_of(a_widget(P95), [banded, ruled]) == ()
    assert levels_of(a_widget(P95, shows_alarm_thresholds=False), [an_alarm(1)]) == ()


def test_an_expression_that_cannot_be_read_is_no_reason_to_fail() -> None:
    assert levels_of(a_widget("sum("), [an_alarm(1)]) == ()


@pytest.mark.parametrize(
    ("place", "definitions", "drawn"),
    [
        (
            Place("shop", "prod"),
            environment_defaults("shop", "prod"),
            {"errors-now": ["prod-errors"], "latency-now": ["prod-latency"], "latency": ["prod-latency"]},
        ),
        (
            Place(),
            server_defaults(),
            {
                "memory-now": ["server-memory"],
                "disk-now": ["server-disk"],
                "loop": ["server-loop-delay"],
            },
        ),
    ],
)
def test_made_dashboards_draw_the_alarms_that_come_with_their_place(
    place: Place, definitions: dict[str, Definition], drawn: dict[str, list[str]]
) -> None:
    alarms = [
        replace(an_alarm(number), definition=each) for number, each in enumerate(definitions.values(), 1)
    ]
    found = {
        widget.id: [level.label for level in levels_of(widget, alarms)]
        for widget in made_dashboard(place).layout.widgets
        if levels_of(widget, alarms)
    }
    assert found == drawn
