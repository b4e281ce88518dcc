"""Traffic replayed through the live rules: what it comes to, and that the short way changes nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halage.base.errors import Invalid
from halage.environment.autoscaling.meters import NotSimulated
from halage.environment.autoscaling.simulation import SimulatedSite, Simulation, simulate
from halage.environment.autoscaling.trace import BadTrace, Trace, read_trace, trace_of
from halage.site.settings import ScalingPlan, ScheduledSize, Trigger, TriggerKind

LOAD = Trigger("load", TriggerKind.TARGET, "requests", target=80)
CPU = Trigger("cpu", TriggerKind.STEP, "cpu", period_s=30, breach_s=60, upper=85, lower=30, add=2)
LATENCY = Trigger(
    "slow", TriggerKind.TARGET, "p95(environment_response_time_ms)", target=200, per_instance=False
)
SITE = SimulatedSite(capacity=100, boot_s=20)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(0, 200_000), min_size=2, max_size=8),
    st.sampled_from([(LOAD,), (CPU,), (LATENCY,), (LOAD, CPU), ()]),
    st.integers(0, 600),
)
def test_the_short_way_over_equal_ticks_changes_nothing(
    counts: list[int], triggers: tuple[Trigger, ...], offset: int
) -> None:
    trace = trace_of([(1_700_000_000.0 + offset + i * 1200, count) for i, count in enumerate(counts)])
    sizes = (
        ScheduledSize("half", "*/20 * * * *", minimum=1),
        ScheduledSize("full", "7 * * * *", instances=3),
    )
    plan = ScalingPlan(1, 30, triggers, sizes, cool_down_in_s=240)
    short, long = (simulate(plan, 2, trace, SITE, takes_each_tick=each) for each in (False, True))
    for one, other in ((short.scaled, long.scaled), (short.static, long.static)):
        assert one.changes == other.changes
        assert one.dropped == pytest.approx(other.dropped)
        assert one.instance_hours == pytest.approx(other.instance_hours)
        assert one.over_target_s == other.over_target_s
        assert [(c.rate, c.instances) for c in one.columns] == [(c.rate, c.instances) for c in other.columns]


def _surge(plan: ScalingPlan, **site: float) -> Simulation:
    """A quiet hour, an hour of 1,000 a second, a quiet hour."""
    trace = trace_of([(0.0, 3600 * 50), (3600.0, 3600 * 1000), (7200.0, 3600 * 50), (10800.0, 0)])
    return simulate(plan, 2, trace, SimulatedSite(100, **site))


def test_a_longer_boot_drops_more() -> None:
    plan = ScalingPlan(1, 30, (Trigger("load", TriggerKind.TARGET, "requests", 10, 10, target=80),))
    quick, slow = _surge(plan, boot_s=5), _surge(plan, boot_s=300)
    assert 0 < quick.scaled.dropped < slow.scaled.dropped
    assert quick.scaled.most == 13
    assert [c.after for c in quick.scaled.changes][-1] == 1
    assert all("load" in change.reason for change in quick.scaled.changes)


def test_a_fleet_at_its_maximum_drops_what_is_over_it() -> None:
    found = _surge(ScalingPlan(5, 5, (LOAD,)))
    over = 500 * 3600
    assert found.scaled.dropped == pytest.approx(over, rel=0.01)
    assert found.scaled.over_target_s == 3600
    assert found.scaled.changes == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 rows"),
        ("time,requests\n", "0 rows"),
        ("2026-01-01 00:00:00,5\n", "1 rows"),
        ("2026-01-01,5,6\n2026-01-02,5,6", "line 1 of the trace has 3 columns"),
        ("a,b\nyesterday,5\n", "'yesterday' is no time"),
        ("a,b\n2026-01-01,many\n", "line 2 of the trace: 'many' is no number"),
        ("2026-01-01,-1\n2026-01-02,5", "'-1' is no number"),
        ("2026-01-02,1\n2026-01-01,5", "row 2 of the trace is not later"),
    ],
)
def test_what_is_no_trace(text: str, said: str) -> None:
    with pytest.raises(BadTrace, match=said):
        read_trace(text)


@pytest.mark.parametrize(
    ("metric", "target"),
    [("requests", 80), ("in_flight", 20), ("queue", 50), ("cpu", 60), ("latency", 200)],
)
def test_every_metric_of_requests_can_be_simulated(metric: str, target: float) -> None:
    found = _surge(ScalingPlan(1, 30, (Trigger(metric, TriggerKind.TARGET, metric, target=target),)))
    assert found.scaled.most > found.scaled.least >= 1
    assert all(metric in change.reason or "minimum" in change.reason for change in found.scaled.changes)


def test_memory_is_in_no_recording_and_is_refused_by_its_name() -> None:
    plan = ScalingPlan(1, 30, (Trigger("memory", TriggerKind.TARGET, "memory", target=60),))
    with pytest.raises(NotSimulated, match="trigger memory: a simulation does not know instance_memory"):
        _surge(plan)


def test_a_pause_in_the_recording_is_told() -> None:
    trace = read_trace("0,60\n60,60\n120,60\n600,60\n660,60\n")
    assert trace.gaps == 1
    assert (trace.requests, trace.end) == (300, 720)


def test_what_cannot_be_simulated() -> None:
    trace: Trace = trace_of([(0.0, 10.0), (60.0, 10.0)])
    own = Trigger("own", TriggerKind.TARGET, "average(shop_carts)", target=5)
    with pytest.raises(NotSimulated, match=r"trigger own: a simulation does not know shop_carts.*--target"):
        simulate(ScalingPlan(1, 2, (own,)), 1, trace, SITE)
    with pytest.raises(NotSimulated, match=r"a queue's length.*--target"):
        simulate(ScalingPlan(1, 2, (Trigger("q", TriggerKind.QUEUE, target=5),)), 1, trace, SITE)
    with pytest.raises(Invalid, match="capacity"):
        simulate(ScalingPlan(1, 2, (LOAD,)), 1, trace, SimulatedSite(0))
