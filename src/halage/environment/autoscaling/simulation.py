"""Replays a recorded traffic through the rules that run live, beside a fleet that stays as it is. Pure.

The site is a fluid: each instance works off `capacity` requests a second; what comes over that waits in the
balancer's queue for as long as the queue's timeout allows, and is dropped past it. Where nothing changes
from tick to tick, the ticks up to the next moment at which something may are taken together: the result
is the same, and a summer is replayed in seconds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from halage.base.errors import Invalid
from halage.environment.autoscaling import meters
from halage.environment.autoscaling.meters import TICK_S, Meter
from halage.environment.autoscaling.model import Memory, Standing
from halage.environment.autoscaling.presets import is_shared
from halage.environment.autoscaling.rules import decide, remember
from halage.environment.autoscaling.trace import Trace
from halage.environment.autoscaling.words import reason_of
from halage.site.settings import ScalingPlan, Trigger, TriggerKind

COLUMNS = 480
"""Points of the picture."""
MOST_CHANGES = 1000
"""Changes that are told one by one."""
LONGEST_S = 3 * 366 * 86400


@dataclass(frozen=True, slots=True)
class SimulatedSite:
    """What an instance of the site takes, and how long it takes to start."""

    capacity: float
    """Requests a second that one instance works off."""
    boot_s: float = 20.0
    """From its start to its first answer."""
    response_ms: float = 50.0
    """Of an instance that has little to do."""
    queue_s: float = 10.0
    """How long a request waits in the balancer before it is dropped."""


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that changed the number."""

    at: float
    before: int
    after: int
    reason: str


@dataclass(frozen=True, slots=True)
class Column:
    """One stretch of the picture: the highest of each in it."""

    at: float
    rate: float
    instances: int
    dropped: float


@dataclass(slots=True)
class Fleet:
    """What became of a fleet."""

    instance_hours: float = 0.0
    requests: float = 0.0
    dropped: float = 0.0
    over_target_s: float = 0.0
    """Time in which a trigger's metric was over its target or upper threshold."""
    least: int = 0
    most: int = 0
    changes_count: int = 0
    changes: list[Change] = field(default_factory=list)
    """The first MOST_CHANGES of them."""
    columns: list[Column] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Simulation:
    """A fleet that scales beside one that does not."""

    start: float
    end: float
    requests: float
    peak: float
    gaps: int
    scaled: Fleet
    static: Fleet


def simulate(
    plan: ScalingPlan,
    planned: int,
    trace: Trace,
    site: SimulatedSite,
    static: int | None = None,
    *,
    takes_each_tick: bool = False,
) -> Simulation:
    """What the plan would have done with that traffic, `planned` being the number that halage.toml says.

    `static` is the size of the other fleet; None: as many as the peak needs. `takes_each_tick` does without
    the short way over ticks in which nothing changes, to compare. Raises Invalid for a site that can serve
    nothing, NotSimulated, BadExpression.
    """
    if not site.capacity > 0:
        raise Invalid("capacity: an instance takes more than 0 requests a second")
    if trace.end - trace.start > LONGEST_S:
        raise Invalid(f"the trace is longer than {LONGEST_S // 86400} days")
    size = max(1, math.ceil(trace.peak / site.capacity)) if static is None else static
    still = replace(plan, minimum=size, maximum=size, sizes=())
    scaled, fixed = _Replay(plan, planned, trace, site), _Replay(still, size, trace, site, is_still=True)
    if takes_each_tick:
        scaled.window = fixed.window = math.inf
    return Simulation(
        start=trace.start,
        end=trace.end,
        requests=trace.requests,
        peak=trace.peak,
        gaps=trace.gaps,
        scaled=scaled.run(),
        static=fixed.run(),
    )


class _Replay:
    """One fleet under one trace."""

    def __init__(
        self, plan: ScalingPlan, planned: int, trace: Trace, site: SimulatedSite, *, is_still: bool = False
    ) -> None:
        self._plan, self._planned, self._trace, self._site = plan, planned, trace, site
        self._is_still = is_still
        self._meters = [Meter(trigger) for trigger in plan.triggers]
        self._goals = [_goal(trigger) for trigger in plan.triggers]
        self.window: float = max((meter.window_s for meter in self._meters), default=0) // TICK_S + 1
        """Equal ticks after which all that triggers look at is equal."""
        start = decide(plan, planned, Memory(), Standing(trace.start, planned, planned, 0), 1)
        self._ready: list[float] = [-math.inf] * start.after
        """When each instance serves."""
        self._memory = remember(Memory(), start, -math.inf)
        self._backlog = 0.0
        self._same = 0
        self._last: tuple[float, int, float] | None = None
        self._fleet = Fleet(least=start.after, most=start.after)
        self._picture = _Picture(trace.start, trace.end)

    def run(self) -> Fleet:
        """Replay it all."""
        now = math.floor(self._trace.start / TICK_S) * TICK_S
        for span in self._trace.spans:
            end = span.start + span.duration_s
            while now < end - TICK_S / 2:
                now = self._advance(now, end, span.rate)
        self._fleet.columns = self._picture.columns()
        return self._fleet

    def _advance(self, now: int, end: float, rate: float) -> int:
        """One tick, or as many equal ones as there are; returns where it got to."""
        serving = sum(ready <= now for ready in self._ready)
        measured, dropped, backlog = self._flow(serving, rate)
        state = (rate, len(self._ready), backlog)
        is_settled = serving == len(self._ready) and backlog == self._backlog and state == self._last
        self._same = self._same + 1 if is_settled else 0
        self._last, self._backlog = state, backlog
        self._count(now, 1, rate, dropped, measured, serving)
        for meter in self._meters:
            meter.tick(now + TICK_S, measured)
        now += TICK_S
        until = math.inf if self._is_still else self._decide(now)
        if self._same < self.window or self._last is None:
            return now
        ticks = math.ceil((end - now) / TICK_S - 0.5)
        if until < math.inf:  # the tick that ends there is taken by itself: it decides
            ticks = min(ticks, math.ceil((until - now) / TICK_S) - 1)
        if ticks > 1:
            self._count(now, ticks, rate, dropped, measured, serving)
            now += ticks * TICK_S
            for meter in self._meters:
                meter.skip(now, measured)
        return now

    def _flow(self, serving: int, rate: float) -> tuple[dict[str, float], float, float]:
        """What is measured in a tick, what is dropped in it, what waits at its end."""
        site = self._site
        flow = serving * site.capacity
        arrived, can = rate * TICK_S, flow * TICK_S
        there = self._backlog + arrived
        served = min(there, can)
        rest = there - served
        backlog = min(rest, flow * site.queue_s)
        used = served / can if can else 1.0
        latency = site.response_ms / (1 - min(used, 0.98)) + (1000 * backlog / flow if flow else 0.0)
        in_flight = served / TICK_S * latency / 1000
        share = 1 / serving if serving else 0.0
        measured = {
            meters.REQUESTS: arrived,
            meters.REQUESTS_PER_SECOND: rate,
            meters.LATENCY: latency,
            meters.IN_FLIGHT: in_flight + backlog,
            meters.QUEUE: backlog,
            meters.CPU: 100 * used,
            meters.INSTANCE_REQUESTS: served * share,
            meters.INSTANCE_IN_FLIGHT: in_flight * share,
        }
        return measured, rest - backlog, backlog

    def _count(
        self, now: int, ticks: int, rate: float, dropped: float, measured: dict[str, float], serving: int
    ) -> None:
        fleet, size = self._fleet, len(self._ready)
        fleet.instance_hours += size * TICK_S * ticks / 3600
        fleet.requests += rate * TICK_S * ticks
        fleet.dropped += dropped * ticks
        for meter, (goal, shared) in zip(self._meters, self._goals, strict=True):
            if meter.now(measured) / (max(serving, 1) if shared else 1) > goal + 1e-9:
                fleet.over_target_s += TICK_S * ticks
                break
        self._picture.add(now, ticks, rate, size, dropped)

    def _decide(self, now: int) -> float:
        """Decide as the live controller does after a tick; returns when time alone may change the answer."""
        size = len(self._ready)
        warm = sum(ready + self._plan.warm_up_s <= now for ready in self._ready)
        readings = {meter.name: meter.reading for meter in self._meters}
        standing = Standing(now, size, warm, size - warm, readings=readings)
        decision = decide(self._plan, self._planned, self._memory, standing, 1)
        self._memory = remember(self._memory, decision, now)
        if decision.after != size:
            self._resize(now, decision.after, reason_of(decision))
            return now
        if warm < size:
            return now
        ends = (decision.until, decision.limits.until)
        return min((end for end in ends if end is not None), default=math.inf)

    def _resize(self, now: int, after: int, reason: str) -> None:
        fleet, before = self._fleet, len(self._ready)
        if after > before:
            self._ready += [now + self._site.boot_s] * (after - before)
        else:
            del self._ready[after:]
        fleet.changes_count += 1
        if len(fleet.changes) < MOST_CHANGES:
            fleet.changes.append(Change(now, before, after, reason))
        fleet.least, fleet.most = min(fleet.least, after), max(fleet.most, after)
        self._same, self._last = 0, None


def _goal(trigger: Trigger) -> tuple[float, bool]:
    """What the trigger's metric shall not be over, and whether it is shared out among the instances."""
    if trigger.kind is TriggerKind.TARGET and trigger.target is not None:
        return trigger.target, is_shared(trigger)
    return (math.inf if trigger.upper is None else trigger.upper), False


class _Picture:
    """Gathers what is drawn, in COLUMNS stretches of the same length."""

    def __init__(self, start: float, end: float) -> None:
        self._start = start
        self._width = max((end - start) / COLUMNS, TICK_S)
        count = math.ceil((end - start) / self._width)
        self._rates = [0.0] * count
        self._sizes = [0] * count
        self._dropped = [0.0] * count

    def add(self, now: float, ticks: int, rate: float, size: int, dropped: float) -> None:
        last = len(self._rates) - 1
        first = min(last, max(0, int((now - self._start) / self._width)))
        to = min(last, max(0, int((now + (ticks - 1) * TICK_S - self._start) / self._width)))
        for column in range(first, to + 1):
            self._rates[column] = max(self._rates[column], rate)
            self._sizes[column] = max(self._sizes[column], size)
            self._dropped[column] += dropped * ticks / (to - first + 1)

    def columns(self) -> list[Column]:
        drawn: Sequence[tuple[float, int, float]] = list(
            zip(self._rates, self._sizes, self._dropped, strict=True)
        )
        return [Column(self._start + i * self._width, *each) for i, each in enumerate(drawn)]
