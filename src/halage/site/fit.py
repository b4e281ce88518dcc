"""What in an environment's settings does not go together, or cannot be kept by any server. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from halage.site.model import EnvironmentPlan
from halage.site.settings import (
    Batch,
    DeploymentPlan,
    HealthRules,
    Policy,
    ScalingPlan,
    ScheduledSize,
    Trigger,
    TriggerKind,
)

_OF_A_KIND = {
    TriggerKind.STEP: ("expression", "upper", "lower"),
    TriggerKind.TARGET: ("expression", "target"),
    TriggerKind.QUEUE: ("target", "command", "url"),
}
_KEPT_BY_ONE = "rolling_additional, immutable, canary, blue_green or all_at_once"


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing that does not fit: the setting's path, what was found, what is allowed."""

    path: tuple[str | int, ...]
    found: str
    allowed: str


def misfits(plan: EnvironmentPlan) -> list[Misfit]:
    """Everything in the plan that does not go together."""
    found = [
        *_scaling(plan.scaling, plan.instances, ("scaling",), ("instances",)),
        *_deployments(plan.deployments, plan.instances),
        *_health(plan.health_rules),
    ]
    for kind in plan.processes:
        path = ("processes", kind.name)
        if kind.command is None:
            allowed = f"a line of shell, or a line `{kind.name}:` in the Procfile"
            found.append(Misfit((*path, "command"), "nothing", allowed))
        if kind.scaling is not None:
            found += _scaling(kind.scaling, kind.instances, (*path, "scaling"), (*path, "instances"))
    return found


def instances_in(batch: Batch, wanted: int) -> int:
    """How many instances a batch is of so many, one at least."""
    if batch.count is not None:
        return min(batch.count, wanted)
    return max(1, math.ceil(wanted * (batch.percent or 0) / 100))


# -- scaling

Path = tuple[str | int, ...]


def _scaling(plan: ScalingPlan, instances: int, path: Path, count_path: Path) -> Iterator[Misfit]:
    least, most = plan.minimum, plan.maximum
    if least is not None and most is not None and least > most:
        yield Misfit((*path, "minimum"), f"{least}, over the maximum of {most}", f"at most {most}")
    elif (least is not None and instances < least) or (most is not None and instances > most):
        yield Misfit(
            count_path, str(instances), f"from {least or 1} to {most or 'any number'}, as scaling says"
        )
    if plan.triggers and most is None:
        yield Misfit(
            (*path, "maximum"), "nothing, beside triggers", "the most instances that they may ask for"
        )
    yield from _names(plan.triggers, (*path, "triggers"))
    yield from _names(plan.sizes, (*path, "sizes"))
    for number, trigger in enumerate(plan.triggers):
        yield from _trigger(trigger, (*path, "triggers", number))
    for number, size in enumerate(plan.sizes):
        yield from _size(size, (*path, "sizes", number))


def _names(named: Sequence[Trigger | ScheduledSize], path: Path) -> Iterator[Misfit]:
    names = [each.name for each in named]
    for number, name in enumerate(names):
        if name in names[:number]:
            yield Misfit((*path, number, "name"), f'"{name}" again', "each name once")


def _trigger(trigger: Trigger, path: Path) -> Iterator[Misfit]:
    given = {
        "expression": trigger.expression or None,
        "upper": trigger.upper,
        "lower": trigger.lower,
        "target": trigger.target,
        "command": trigger.command,
        "url": trigger.url,
    }
    own = _OF_A_KIND[trigger.kind]
    for key, value in given.items():
        if value is not None and key not in own:
            yield Misfit((*path, key), f"it in a {trigger.kind} trigger", f"there only {', '.join(own)}")
    if "expression" in own and given["expression"] is None:
        yield Misfit((*path, "expression"), "nothing", "an expression over metrics")
    if "target" in own and trigger.target is None:
        yield Misfit((*path, "target"), "nothing", "the value that is kept")
    if trigger.kind is TriggerKind.STEP:
        yield from _thresholds(trigger, path)
    if trigger.kind is TriggerKind.QUEUE and (trigger.command is None) == (trigger.url is None):
        found = "neither it nor a URL" if trigger.url is None else "it and a URL"
        yield Misfit((*path, "command"), found, "one of `command` and `url`")


def _thresholds(trigger: Trigger, path: Path) -> Iterator[Misfit]:
    if trigger.upper is None and trigger.lower is None:
        yield Misfit((*path, "upper"), "nothing, and no `lower`", "one of them at least")
    elif trigger.upper is not None and trigger.lower is not None and trigger.lower >= trigger.upper:
        found = f"{trigger.lower:g}, not under upper ({trigger.upper:g})"
        yield Misfit((*path, "lower"), found, f"less than {trigger.upper:g}")


def _size(size: ScheduledSize, path: Path) -> Iterator[Misfit]:
    least, most, count = size.minimum, size.maximum, size.instances
    if least is None and most is None and count is None:
        yield Misfit((*path, "minimum"), "nothing", "one at least of `minimum`, `maximum` and `instances`")
    if least is not None and most is not None and least > most:
        yield Misfit((*path, "minimum"), f"{least}, over the maximum of {most}", f"at most {most}")
    elif count is not None and not (least or 0) <= count <= (math.inf if most is None else most):
        allowed = f"from {least or 0} to {'any number' if most is None else most}, as this size says"
        yield Misfit((*path, "instances"), str(count), allowed)


# -- deployments and health


def _deployments(plan: DeploymentPlan, instances: int) -> Iterator[Misfit]:
    if plan.policy is Policy.ROLLING and instances_in(plan.batch, instances) >= instances:
        if instances == 1:
            yield Misfit(
                ("deployments", "policy"),
                '"rolling" with 1 instance, which nothing would stand in for',
                f"{_KEPT_BY_ONE}; or 2 instances at least",
            )
        else:
            batch = f"{plan.batch.count or ''}" or f'"{plan.batch.percent:g}%"'
            found = f"{batch}, which is all of {instances} instances: with rolling none would serve"
            yield Misfit(("deployments", "batch"), found, f"fewer than {instances}")
    if plan.deadline_s is None:
        return
    if plan.policy is Policy.CANARY and plan.canary.duration_s >= plan.deadline_s:
        found = f"{plan.canary.duration_s:g} s, as long as the deadline ({plan.deadline_s:g} s) or longer"
        yield Misfit(("deployments", "canary", "duration"), found, f"less than {plan.deadline_s:g} s")
    pauses = math.ceil(instances / instances_in(plan.batch, instances)) - 1
    is_in_batches = plan.policy in (Policy.ROLLING, Policy.ROLLING_ADDITIONAL)
    if is_in_batches and pauses * plan.pause_s >= plan.deadline_s:
        found = f"{plan.pause_s:g} s {pauses} times, over the deadline of {plan.deadline_s:g} s"
        yield Misfit(("deployments", "pause"), found, f"less than {plan.deadline_s / pauses:g} s")


def _health(rules: HealthRules) -> Iterator[Misfit]:
    pairs: tuple[tuple[str, float | None, float | None], ...] = (
        ("errors_percent", rules.warn_errors_percent, rules.degrade_errors_percent),
        ("p95_ms", rules.warn_p95_ms, rules.degrade_p95_ms),
    )
    for name, warn, degrade in pairs:
        if warn is not None and degrade is not None and warn > degrade:
            found = f"{warn:g}, over degrade_{name} ({degrade:g})"
            yield Misfit(("health", f"warn_{name}"), found, f"at most {degrade:g}")
