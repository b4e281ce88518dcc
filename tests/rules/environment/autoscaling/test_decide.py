"""Decisions about the number of instances, as tables; what holds for all of them, as properties."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halage.environment.autoscaling.model import Cause, Decision, Kind, Memory, Reading, Standing
from halage.environment.autoscaling.rules import decide, is_active, remember
from halage.environment.autoscaling.words import reason_of
from halage.site.settings import ScalingPlan, ScheduledSize, Trigger, TriggerKind

NOW = 1_700_000_000.0
CPU = Trigger("cpu", TriggerKind.STEP, "cpu", upper=70, lower=30, add=2, remove=1)
REQUESTS = Trigger("load", TriggerKind.TARGET, "requests", target=100)
LATENCY = Trigger("slow", TriggerKind.TARGET, "latency", target=200)
JOBS = Trigger("jobs", TriggerKind.QUEUE, command="jobs", target=50)


def plan_of(*triggers: Trigger, minimum: int = 1, maximum: int = 10, **more: Any) -> ScalingPlan:
    return replace(ScalingPlan(minimum, maximum, triggers), **more)


def standing_of(wanted: int, **readings: float | tuple[float | None, ...] | None) -> Standing:
    values = {name: Reading(v if isinstance(v, tuple) else (v,)) for name, v in readings.items()}
    return Standing(NOW, wanted, wanted, 0, readings=values)


def judge(plan: ScalingPlan, standing: Standing, memory: Memory = Memory()) -> Decision:  # noqa: B008
    return decide(plan, 2, memory, standing)


@pytest.mark.parametrize(
    ("trigger", "value", "wanted", "after"),
    [
        (CPU, 71, 2, 4),
        (CPU, 70, 2, 2),
        (CPU, 30, 2, 2),
        (CPU, 29, 2, 1),
        (CPU, 99, 9, 10),
        (CPU, 1, 1, 1),
        (REQUESTS, 401, 4, 5),
        (REQUESTS, 400, 4, 4),
        (REQUESTS, 800, 2, 8),
        (REQUESTS, 271, 4, 4),  # at 3 it would be over nine tenths of the target
        (REQUESTS, 270, 4, 3),
        (REQUESTS, 0, 4, 1),
        (LATENCY, 300, 4, 6),
        (LATENCY, 200, 4, 4),
        (LATENCY, 90, 4, 2),
        (JOBS, 149, 2, 3),
        (JOBS, 0, 2, 1),
    ],
)
def test_one_trigger(trigger: Trigger, value: float, wanted: int, after: int) -> None:
    decision = judge(plan_of(trigger), standing_of(wanted, **{trigger.name: value}))
    assert decision.after == after
    kind = {True: Kind.OUT, False: Kind.IN}[after > wanted] if after != wanted else decision.kind
    assert decision.kind is kind
    assert f"{trigger.name} {value:g}" in reason_of(decision)


def test_a_breach_counts_once_it_has_lasted() -> None:
    plan = plan_of(replace(CPU, period_s=10, breach_s=30))
    assert judge(plan, standing_of(2, cpu=(80.0, 80.0, 80.0))).after == 4
    assert judge(plan, standing_of(2, cpu=(60.0, 80.0, 80.0))).after == 2
    assert judge(plan, standing_of(2, cpu=(80.0, 80.0))).after == 2, "not measured for long enough"
    assert judge(plan, standing_of(2, cpu=(80.0, None, 80.0))).after == 2, "a gap is no breach"
    assert judge(plan, standing_of(2, cpu=(20.0, None, 20.0))).after == 2
    assert judge(plan, standing_of(2, cpu=(99.0, 20.0, 20.0, 20.0))).after == 1, "older ones do not count"


def test_a_quiet_moment_takes_nothing_away() -> None:
    plan = plan_of(replace(REQUESTS, period_s=10, breach_s=30))
    assert judge(plan, standing_of(5, load=(440.0, 10.0, 440.0))).after == 5
    assert judge(plan, standing_of(5, load=(100.0, 250.0, 100.0))).after == 3


def test_out_if_any_asks_and_the_largest_wins() -> None:
    plan = plan_of(CPU, REQUESTS)
    assert judge(plan, standing_of(2, cpu=80.0, load=50.0)).after == 4
    decision = judge(plan, standing_of(2, cpu=80.0, load=650.0))
    assert (decision.after, decision.by) == (7, "load")
    assert judge(plan, standing_of(2, cpu=None, load=650.0)).after == 7, "a lost metric does not keep others"


def test_in_only_if_all_agree_and_the_largest_wins() -> None:
    plan = plan_of(CPU, REQUESTS)
    assert judge(plan, standing_of(5, cpu=10.0, load=450.0)).after == 5
    assert judge(plan, standing_of(5, cpu=50.0, load=10.0)).after == 5
    decision = judge(plan, standing_of(5, cpu=10.0, load=10.0))
    assert (decision.kind, decision.after, decision.by) == (Kind.IN, 4, "cpu")
    only_out = plan_of(replace(CPU, lower=None), REQUESTS)
    assert judge(only_out, standing_of(5, cpu=10.0, load=10.0)).after == 1, "it says nothing about fewer"


def test_a_lost_metric_takes_nothing_away_and_is_told() -> None:
    lost = replace(standing_of(5, load=10.0), readings={"load": Reading((10.0,)), "cpu": Reading((), "gone")})
    decision = judge(plan_of(CPU, REQUESTS), lost)
    assert (decision.kind, decision.after) == (Kind.NO_DATA, 5)
    assert "cpu" in reason_of(decision) and "gone" in reason_of(decision)
    assert judge(plan_of(CPU), standing_of(5)).kind is Kind.NO_DATA, "never measured is lost as well"
    assert judge(plan_of(CPU), standing_of(5, cpu=float("nan"))).kind is Kind.NO_DATA


def test_cool_downs_are_apart() -> None:
    plan = plan_of(CPU, cool_down_out_s=60, cool_down_in_s=300)
    out, down = standing_of(4, cpu=90.0), standing_of(4, cpu=10.0)
    held = judge(plan, out, Memory(out_at=NOW - 59))
    assert (held.kind, held.cause, held.until) == (Kind.HELD, Cause.COOL_DOWN, NOW + 1)
    assert judge(plan, out, Memory(out_at=NOW - 60)).after == 6
    assert judge(plan, out, Memory(in_at=NOW - 1)).after == 6, "fewer lately is no reason against more"
    assert judge(plan, down, Memory(in_at=NOW - 299)).kind is Kind.HELD
    assert judge(plan, down, Memory(out_at=NOW - 299)).kind is Kind.HELD
    assert judge(plan, down, Memory(out_at=NOW - 300, in_at=NOW - 300)).after == 3
    assert judge(plan, out, Memory(out_at=NOW + 3600)).after == 6, "a clock set back holds nothing up"


def test_what_warms_up_counts_as_added_already() -> None:
    plan = plan_of(CPU, cool_down_out_s=0)
    held = judge(plan, replace(standing_of(4, cpu=90.0), warm=2, warming=2))
    assert (held.kind, held.cause, held.after) == (Kind.HELD, Cause.WARM_UP, 4)
    assert "2 warming up" in reason_of(held)
    assert judge(plan, replace(standing_of(4, cpu=90.0), warm=3, warming=1)).after == 5
    assert judge(plan, replace(standing_of(4, cpu=90.0), warm=3, warming=0)).after == 6, "a dead one is none"
    assert judge(plan, replace(standing_of(4, cpu=10.0), warm=3, warming=1)).cause is Cause.WARM_UP
    latency = plan_of(LATENCY, cool_down_out_s=0)
    assert judge(latency, replace(standing_of(4, slow=300.0), warm=2, warming=2)).after == 4


def test_limits_are_kept_whatever_triggers_say() -> None:
    plan = plan_of(CPU, minimum=3, maximum=5)
    low = judge(plan, standing_of(2, cpu=50.0), Memory(out_at=NOW))
    assert (low.kind, low.cause, low.after) == (Kind.OUT, Cause.MINIMUM, 3), "no cool-down holds it"
    assert judge(plan, standing_of(7, cpu=99.0)).after == 5
    most = judge(plan, standing_of(5, cpu=99.0))
    assert (most.kind, most.cause, most.asked) == (Kind.HELD, Cause.MAXIMUM, 7)
    assert judge(plan, standing_of(3, cpu=1.0)).cause is Cause.MINIMUM
    assert judge(ScalingPlan(), standing_of(2)).after == 2
    assert judge(ScalingPlan(maximum=4), standing_of(1)).after == 2, "else what halage.toml says"
    quiet = decide(plan_of(REQUESTS, minimum=0), 2, Memory(), standing_of(3, load=0.0), 1)
    assert (quiet.after, judge(plan_of(REQUESTS, minimum=0), standing_of(3, load=0.0)).after) == (1, 0)
    assert judge(ScalingPlan(minimum=6, maximum=4), standing_of(2)).after == 6, "visitors before cost"


def test_suspended_processes() -> None:
    out, down = standing_of(4, cpu=90.0), standing_of(4, cpu=10.0)
    held = judge(plan_of(CPU, suspended=("out",)), out)
    assert (held.kind, held.cause, held.after) == (Kind.HELD, Cause.SUSPENDED, 4)
    assert judge(plan_of(CPU, suspended=("out",)), down).after == 3
    assert judge(plan_of(CPU, suspended=("in",)), down).cause is Cause.SUSPENDED
    assert judge(plan_of(CPU, suspended=("in",)), out).after == 6
    assert judge(plan_of(CPU, minimum=6, suspended=("out",)), out).after == 4


def test_protected_instances_and_deployments_hold_scaling_in() -> None:
    down = standing_of(4, load=1.0)
    assert judge(plan_of(REQUESTS), replace(down, protected=3)).after == 3
    held = judge(plan_of(REQUESTS), replace(down, protected=4))
    assert (held.kind, held.cause) == (Kind.HELD, Cause.PROTECTED)
    assert judge(plan_of(REQUESTS), replace(down, is_deploying=True)).cause is Cause.DEPLOYMENT
    assert judge(plan_of(CPU), replace(standing_of(4, cpu=90.0), is_deploying=True)).after == 6


def test_places_that_are_empty_on_purpose_do_not_work_and_are_not_filled() -> None:
    def with_one_out(trigger: Trigger, wanted: int, value: float) -> Decision:
        standing = replace(standing_of(wanted, **{trigger.name: value}), warm=wanted - 1, held=1)
        return judge(plan_of(trigger), standing)

    assert with_one_out(LATENCY, 4, 200).after == 4, "three are enough, and the place stays empty"
    assert with_one_out(LATENCY, 4, 300).after == 6, "half as many again as the three"
    assert with_one_out(REQUESTS, 4, 400).after == 5, "four of them shall serve"
    assert with_one_out(REQUESTS, 4, 1).after == 2
    last = with_one_out(CPU, 2, 1)
    assert (last.kind, last.cause, last.after) == (Kind.HELD, Cause.PROTECTED, 2), "else nobody would serve"


def test_the_schedule_sets_a_number_once() -> None:
    nine = ScheduledSize("open", "0 9 * * *", instances=6, minimum=2, maximum=8)
    plan = replace(plan_of(CPU), sizes=(nine,))
    at = 1_700_000_000 // 86400 * 86400 + 9 * 3600.0
    standing = replace(standing_of(2, cpu=50.0), now=at + 5)
    first = judge(plan, standing, Memory(sized_at=at - 86400))
    assert (first.kind, first.cause, first.after, first.by) == (Kind.OUT, Cause.SCHEDULE, 6, "open")
    memory = remember(Memory(sized_at=at - 86400), first, at + 5)
    assert memory == Memory(out_at=at + 5, sized_at=at)
    later = judge(plan, replace(standing_of(6, cpu=10.0), now=at + 3600), memory)
    assert (later.kind, later.after) == (Kind.IN, 5), "from then on triggers may change it"
    assert judge(plan, replace(standing_of(9, cpu=50.0), now=at + 3600), memory).after == 8
    asleep = replace(plan, suspended=("schedule",))
    assert judge(asleep, standing, Memory(sized_at=at - 86400)).after == 2


def test_a_clock_that_is_set_back_does_not_stop_the_schedule() -> None:
    hourly = ScheduledSize("hour", "0 * * * *", instances=6)
    plan = replace(plan_of(), sizes=(hourly,))
    at = 1_700_000_000 // 3600 * 3600.0
    for back_s in (3600.0, 400 * 86400.0):
        standing = replace(standing_of(2), now=at + 5 - back_s)
        again = judge(plan, standing, Memory(sized_at=at))
        assert (again.cause, again.after) == (Cause.SCHEDULE, 6)
        assert remember(Memory(sized_at=at), again, standing.now).sized_at == at - back_s
    corrected = replace(standing_of(2), now=at - 0.5)
    assert judge(plan, corrected, Memory(sized_at=at)).after == 2, "half a second is no new hour"


def test_what_is_active() -> None:
    assert not is_active(ScalingPlan())
    assert is_active(ScalingPlan(maximum=3)) and is_active(plan_of(CPU))


numbers = st.integers(0, 30)
values = st.one_of(st.none(), st.floats(0, 5000, allow_nan=False))
triggers = st.sampled_from([CPU, REQUESTS, LATENCY, JOBS, replace(CPU, name="more", lower=None)])


@st.composite
def cases(draw: st.DrawFn) -> tuple[ScalingPlan, Memory, Standing]:
    chosen = draw(st.lists(triggers, unique_by=lambda each: each.name, max_size=4))
    minimum = draw(st.integers(0, 10))
    plan = ScalingPlan(
        minimum,
        draw(st.integers(minimum, 20)),
        tuple(chosen),
        suspended=tuple(draw(st.sets(st.sampled_from(["in", "out"])))),
    )
    ago = st.one_of(st.none(), st.floats(-100, 1000).map(lambda s: NOW - s))
    wanted = draw(numbers)
    warming = draw(st.integers(0, wanted))
    readings = {each.name: Reading((draw(values),)) for each in chosen if draw(st.booleans())}
    protected = draw(st.integers(0, wanted))
    held = draw(st.integers(0, wanted - warming))
    warm = wanted - warming - held
    standing = Standing(NOW, wanted, warm, warming, protected, held, draw(st.booleans()), readings)
    return plan, Memory(draw(ago), draw(ago)), standing


@given(cases())
def test_whatever_happens(case: tuple[ScalingPlan, Memory, Standing]) -> None:
    plan, memory, standing = case
    decision = decide(plan, 2, memory, standing)
    assert reason_of(decision)
    assert decision.before == standing.wanted
    if decision.after == standing.wanted:
        return
    assert plan.minimum is not None and plan.maximum is not None
    assert decision.kind.value not in plan.suspended
    assert decision.kind is (Kind.OUT if decision.after > standing.wanted else Kind.IN)
    assert plan.minimum <= decision.after <= plan.maximum
    if decision.kind is Kind.IN and decision.cause is Cause.TRIGGER:
        assert not standing.is_deploying and not standing.warming
        assert decision.after >= standing.protected
        assert not standing.held or decision.after > standing.held, "nobody would serve"
        for trigger in plan.triggers:
            reading = standing.readings.get(trigger.name)
            assert reading is not None and reading.values[-1] is not None, "a lost metric took something away"
