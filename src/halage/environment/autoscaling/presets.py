"""Metrics that a trigger may name by one word in place of an expression. Pure data."""

from dataclasses import dataclass
from types import MappingProxyType

from halage.environment.autoscaling.model import WEB
from halage.monitor.metrics.reading import read_expression
from halage.site.settings import Trigger, TriggerKind


@dataclass(frozen=True, slots=True)
class Preset:
    """A metric that many sites scale by."""

    expression: str
    is_shared: bool
    """Whether it is an amount that instances share (requests), or a level that they have in common (CPU)."""
    unit: str
    idle: str | None = None
    """An expression that is 0 when the lack of a value means that there was nothing to measure."""


PRESETS = MappingProxyType(
    {
        "requests": Preset("rate(sum(environment_requests by ()))", True, "requests/s"),
        "in_flight": Preset("average(environment_in_flight by ())", True, "requests"),
        "queue": Preset("average(environment_queue by ())", True, "requests"),
        "cpu": Preset("average(instance_cpu_percent by ())", False, "percent"),
        "memory": Preset("average(instance_memory_percent by ())", False, "percent"),
        "latency": Preset(
            "p95(environment_response_time_ms by ())", False, "ms", "sum(environment_requests by ())"
        ),
    }
)


def expression_of(trigger: Trigger, process: str = WEB) -> str:
    """The expression whose value the trigger of a kind of process looks at."""
    if trigger.kind is TriggerKind.QUEUE:
        own = f'process="{process}",trigger="{trigger.name}"'
        return f"average(environment_queue_length{{{own}}} by ())"
    preset = PRESETS.get(trigger.expression)
    return preset.expression if preset is not None else trigger.expression


def idle_of(trigger: Trigger) -> str | None:
    """The expression that tells that the trigger's metric is missing because nothing happened."""
    preset = PRESETS.get(trigger.expression)
    return preset.idle if preset is not None and trigger.kind is not TriggerKind.QUEUE else None


def is_shared(trigger: Trigger) -> bool:
    """Whether the target is what one instance takes of an amount of all, not a level that all have."""
    if trigger.kind is TriggerKind.QUEUE:
        return True
    preset = PRESETS.get(trigger.expression)
    return preset.is_shared if preset is not None else trigger.per_instance


def expression_problem(text: str) -> str | None:
    """What is wrong with the expression of a trigger, in words; None for a good one."""
    if text in PRESETS:
        return None
    return read_expression(text)
