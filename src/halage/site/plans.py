"""From the tables of halage.toml to plans, and from plans to the values as they are written there."""

import math
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any

from halage.site.environment_tables import EnvironmentTable, GroupTable, HealthTable
from halage.site.flow import GUARDED_BY_DEFAULT
from halage.site.model import EnvironmentPlan, HealthPlan
from halage.site.settings import Batch, HealthRules, ProcessKind, ScalingPlan
from halage.site.values import duration

_INSTANCES = {"prod": 2}
_SECONDS = "_s"
OF_THE_FILE = frozenset({"branch", "approval", "env"})
"""What an environment's table says that is no setting: it belongs to the flow, or is a variable."""


def plan_of(
    name: str,
    table: EnvironmentTable,
    said: Collection[str],
    procfile: Mapping[str, str],
    types: Collection[str],
) -> EnvironmentPlan:
    """The plan of one environment from its table, of which `said` are the settings that were given."""
    standard = EnvironmentTable.model_fields["type"].default
    scaling: ScalingPlan = _made(table.scaling)
    return EnvironmentPlan(
        name=name,
        instances=_instances(name, scaling) if table.instances is None else table.instances,
        type=table.type if table.type in types else next(iter(sorted(types)), standard),
        health=_from(HealthPlan, table.health),
        domains=tuple(table.domains),
        approval=name in GUARDED_BY_DEFAULT if table.approval is None else table.approval,
        variables=dict(table.env),
        detailed_monitoring=table.detailed_monitoring,
        scaling=scaling,
        processes=tuple(
            _from(ProcessKind, each, name=kind, command=each.command or procfile.get(kind))
            for kind, each in table.processes.items()
        ),
        logs=_made(table.logs),
        deployments=_made(table.deployments),
        balancer=_made(table.balancer),
        network=_made(table.network),
        health_rules=_from(HealthRules, table.health),
        notifications=tuple(_made(each) for each in table.notifications),
        schedule=_made(table.schedule),
        said=tuple(said),
    )


def _instances(name: str, scaling: ScalingPlan) -> int:
    """The number by default, within the limits that are given."""
    least, most = max(1, scaling.minimum or 1), scaling.maximum or math.inf
    return int(min(max(_INSTANCES.get(name, 1), least), most))


def _made(table: GroupTable) -> Any:
    return _from(table.makes, table)


def _from(plan: type, table: GroupTable | HealthTable, **known: Any) -> Any:
    """A plan of that class from a table that has its fields, durations without their unit."""
    values = {
        field.name: _plain(getattr(table, key_of(field.name)))
        for field in fields(plan)
        if field.name not in known and key_of(field.name) in type(table).model_fields
    }
    return plan(**values, **known)


def _plain(value: Any) -> Any:
    if isinstance(value, GroupTable):
        return _made(value)
    return tuple(_plain(each) for each in value) if isinstance(value, list) else value


def key_of(field: str) -> str:
    """The key of a plan's field in halage.toml: durations are written with their unit there."""
    return field.removesuffix(_SECONDS)


def settings_of(plan: EnvironmentPlan) -> dict[str, Any]:
    """Every setting of an environment by its path, as it is written; None where it has no value."""
    health = {**written_form(plan.health), **written_form(plan.health_rules)}
    raw = {
        "scaling": written_form(plan.scaling),
        "instances": plan.instances,
        "type": plan.type,
        "processes": {each.name: _process(each) for each in plan.processes},
        "logs": written_form(plan.logs),
        "deployments": written_form(plan.deployments),
        "balancer": written_form(plan.balancer),
        "domains": list(plan.domains),
        "network": written_form(plan.network),
        "health": health,
        "detailed_monitoring": plan.detailed_monitoring,
        "notifications": written_form(plan.notifications),
        "schedule": written_form(plan.schedule),
    }
    return flat(raw)


def _process(kind: ProcessKind) -> dict[str, Any]:
    found: dict[str, Any] = written_form(kind)
    del found["name"]
    if kind.scaling is None:
        del found["scaling"]
    return found


def written_form(value: Any, field: str = "") -> Any:
    """A value of a plan as it is written in halage.toml, in the types of JSON."""
    if isinstance(value, Batch):
        return value.count if value.count is not None else f"{value.percent:g}%"
    if is_dataclass(value):
        return {
            key_of(each.name): written_form(getattr(value, each.name), each.name) for each in fields(value)
        }
    if isinstance(value, list | tuple):
        return [_entry(each) for each in value]
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, float):
        return duration(value) if field.endswith(_SECONDS) else _number(value)
    return value


def _entry(value: Any) -> Any:
    """One of a list; of a table, what is not as it is by default."""
    if not is_dataclass(value):
        return written_form(value)
    said = [each for each in fields(value) if getattr(value, each.name) != each.default]
    return {key_of(each.name): written_form(getattr(value, each.name), each.name) for each in said}


def _number(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def flat(raw: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested tables as values by their path, `deployments.canary.percent`."""
    found: dict[str, Any] = {}
    for key, value in raw.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Values by their path as nested tables. Raises ValueError with the path that leads through a value."""
    raw: dict[str, Any] = {}
    for path, value in settings.items():
        *tables, key = path.split(".")
        table = raw
        for name in tables:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise ValueError(path)
        if isinstance(table.get(key), dict):
            raise ValueError(path)
        table[key] = value
    return raw


def said_in(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths of the settings that an environment's table in halage.toml gives."""
    return tuple(sorted(flat({key: value for key, value in raw.items() if key not in OF_THE_FILE})))
