"""The traffic of a whole summer through the live rules."""

from pathlib import Path

import pytest

from halage.environment.autoscaling.drawing import draw
from halage.environment.autoscaling.simulation import SimulatedSite, simulate
from halage.environment.autoscaling.trace import read_trace
from halage.site.settings import ScalingPlan, Trigger, TriggerKind

TRACES = Path(__file__).parents[3] / "benchmarks" / "traces"
LOAD = Trigger("load", TriggerKind.TARGET, "requests", target=80)
SITE = SimulatedSite(capacity=100, boot_s=20)


def test_the_whole_world_cup() -> None:
    trace = read_trace((TRACES / "worldcup98_hourly.csv").read_text())
    assert (round(trace.requests), len(trace.spans), trace.gaps) == (1_352_804_107, 2089, 0)
    found = simulate(ScalingPlan(2, 100, (LOAD,)), 2, trace, SITE)
    scaled, static = found.scaled, found.static
    assert round(scaled.requests) == round(static.requests) == 1_352_804_107
    assert (static.least, static.most, static.dropped) == (31, 31, 0)
    assert static.instance_hours == pytest.approx(31 * 2089)
    assert scaled.instance_hours < static.instance_hours / 4
    assert 0 < scaled.dropped < found.requests / 1000
    assert scaled.least == 2 and 38 <= scaled.most <= 42, "the peak at 80 an instance, and what waited"
    assert len(scaled.changes) == scaled.changes_count
    picture = draw(found)
    assert picture.startswith("<svg") and "1998-04-30" in picture and "1998-07-26" in picture
