"""Decides how many instances there shall be. Pure: live and in a simulation the very same.

Several triggers may be there: out if any asks, and the largest number wins; in only if all agree, and
again the largest number wins. A trigger without data never agrees.
"""

from dataclasses import replace

from halage.environment.autoscaling.model import Cause, Decision, Kind, Limits, Memory, Standing, Way, Wish
from halage.environment.autoscaling.timetable import limits_at
from halage.environment.autoscaling.wishes import wish_of
from halage.site.settings import ScalingPlan

SET_BACK_S = 60.0
"""A clock that goes back by less is being corrected: nothing comes up again for that (seconds)."""


def is_active(plan: ScalingPlan) -> bool:
    """Whether there is anything that could change the number."""
    return bool(plan.triggers or plan.sizes) or plan.minimum is not None or plan.maximum is not None


def decide(plan: ScalingPlan, planned: int, memory: Memory, standing: Standing, least: int = 0) -> Decision:
    """What to do now. `planned` is the number of instances that halage.toml says, `least` the fewest."""
    limits = limits_at(plan, planned, standing.now, least)
    wishes = tuple(wish_of(trigger, standing) for trigger in plan.triggers)
    wanted = standing.wanted
    base = Decision(
        Kind.STAY,
        Cause.NOTHING,
        wanted,
        wanted,
        wanted,
        limits,
        wishes=wishes,
        warm=standing.warm,
        warming=standing.warming,
    )
    if (sized := _scheduled(limits, memory, standing.now)) is not None:
        if sized != wanted:
            return _go(plan, base, sized, sized, Cause.SCHEDULE, limits.size_name)
        base = replace(base, cause=Cause.SCHEDULE, by=limits.size_name)
    if wanted < limits.minimum:
        return _go(plan, base, limits.minimum, limits.minimum, Cause.MINIMUM)
    if wanted > limits.maximum:
        return _go(plan, base, limits.maximum, limits.maximum, Cause.MAXIMUM)
    return _triggered(plan, memory, standing, base)


def remember(memory: Memory, decision: Decision, now: float) -> Memory:
    """What is to be known at the next decision."""
    sized_at = memory.sized_at
    if decision.cause is Cause.SCHEDULE:
        sized_at = decision.limits.sized_at
    if decision.after > decision.before:
        return Memory(now, memory.in_at, sized_at)
    if decision.after < decision.before:
        return Memory(memory.out_at, now, sized_at)
    return memory if sized_at == memory.sized_at else replace(memory, sized_at=sized_at)


def _scheduled(limits: Limits, memory: Memory, now: float) -> int | None:
    """The number that the schedule sets now, once for each time that it comes up.

    What came up later than now did so before the clock was set back, and comes up again.
    """
    if limits.size is None or limits.sized_at is None:
        return None
    is_future = memory.sized_at is not None and memory.sized_at > now + SET_BACK_S
    if memory.sized_at is not None and limits.sized_at <= memory.sized_at and not is_future:
        return None
    return min(max(limits.size, limits.minimum), limits.maximum)


def _triggered(plan: ScalingPlan, memory: Memory, standing: Standing, base: Decision) -> Decision:
    wishes = base.wishes
    if out := [wish for wish in wishes if wish.way is Way.OUT]:
        return _out(plan, memory, standing, base, max(out, key=lambda wish: wish.instances))
    if lost := [wish for wish in wishes if wish.way is Way.NO_DATA]:
        return replace(base, kind=Kind.NO_DATA, cause=Cause.NO_DATA, by=lost[0].trigger)
    down = [wish for wish in wishes if wish.way is Way.IN]
    if not down or any(wish.way is Way.STAY for wish in wishes):
        return base
    return _in(plan, memory, standing, base, max(down, key=lambda wish: wish.instances))


def _out(plan: ScalingPlan, memory: Memory, standing: Standing, base: Decision, wish: Wish) -> Decision:
    asked = wish.instances
    after = min(asked, base.limits.maximum)
    base = replace(base, asked=asked, by=wish.trigger)
    if asked <= standing.wanted:
        return replace(base, kind=Kind.HELD, cause=Cause.WARM_UP)
    if after <= standing.wanted:
        return replace(base, kind=Kind.HELD, cause=Cause.MAXIMUM)
    until = _cool_until(memory.out_at, plan.cool_down_out_s, standing.now)
    if until is not None and "out" not in plan.suspended:
        return replace(base, kind=Kind.HELD, cause=Cause.COOL_DOWN, until=until)
    return _go(plan, base, asked, after, Cause.TRIGGER, wish.trigger)


def _in(plan: ScalingPlan, memory: Memory, standing: Standing, base: Decision, wish: Wish) -> Decision:
    asked = wish.instances
    base = replace(base, asked=asked, by=wish.trigger)
    # Beside empty places somebody serves.
    kept = standing.held + max(standing.protected, 1) if standing.held else standing.protected
    after = max(asked, base.limits.minimum, kept)
    if after >= standing.wanted:
        is_least = standing.wanted <= base.limits.minimum
        return replace(base, kind=Kind.HELD, cause=Cause.MINIMUM if is_least else Cause.PROTECTED)
    if standing.is_deploying:
        return replace(base, kind=Kind.HELD, cause=Cause.DEPLOYMENT)
    if standing.warming:
        return replace(base, kind=Kind.HELD, cause=Cause.WARM_UP)
    # After more were added, too, so that what was added is given the time to show what it does.
    last = max((at for at in (memory.out_at, memory.in_at) if at is not None), default=None)
    until = _cool_until(last, plan.cool_down_in_s, standing.now)
    if until is not None and "in" not in plan.suspended:
        return replace(base, kind=Kind.HELD, cause=Cause.COOL_DOWN, until=until)
    return _go(plan, base, asked, after, Cause.TRIGGER, wish.trigger)


def _cool_until(last: float | None, cool_down_s: float, now: float) -> float | None:
    """When the cool-down ends; None when it is over. A clock that was set back cuts it short."""
    if last is None or now < last or now >= last + cool_down_s:
        return None
    return last + cool_down_s


def _go(plan: ScalingPlan, base: Decision, asked: int, after: int, cause: Cause, by: str = "") -> Decision:
    kind = Kind.OUT if after > base.before else Kind.IN
    if kind.value in plan.suspended:
        return replace(base, kind=Kind.HELD, cause=Cause.SUSPENDED, asked=asked, by=by)
    return replace(base, kind=kind, cause=cause, asked=asked, after=after, by=by)
