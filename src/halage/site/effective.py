"""What holds for an environment: what people set on the server, over what its halage.toml says. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ValidationError

from halage.site.environment_tables import EnvironmentTable
from halage.site.errors import Problem, SettingsInvalid
from halage.site.file import RunTable
from halage.site.fit import misfits
from halage.site.model import EnvironmentPlan, RunPlan, Site
from halage.site.plans import OF_THE_FILE, nested, plan_of, settings_of, written_form
from halage.site.problems import problems_of
from halage.site.settings import Notification

RUN_FIELDS = {
    "start": "start",
    "release": "release_command",
    "boot_timeout": "boot_timeout_s",
    "drain_timeout": "drain_timeout_s",
    "stop_timeout": "stop_timeout_s",
    "metrics": "metrics",
}
"""What of [run] an environment may have of its own on the server, and the plan's field of it."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "scaling": ("scaling",),
    "instances": ("instances", "type", "processes"),
    "software": ("run", "env", "logs"),
    "deployments": ("deployments",),
    "balancer": ("balancer", "domains"),
    "network": ("network",),
    "health": ("health", "detailed_monitoring"),
    "notifications": ("notifications",),
    "schedule": ("schedule",),
}
"""The nine groups, and what paths of each begin with."""
_ELSEWHERE = {
    "branch": "it in halage.toml only, where the way of a branch is said",
    "approval": "it in halage.toml only, where the way of a branch is said",
    "env": "variables through `halage env set`",
}


_OF_THE_NUMBER = {"instances", "scaling.minimum", "scaling.maximum"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What settings are read with: the server's instance types (None: those that were allowed when they
    were set) and what is wrong with an expression over metrics.
    """

    types: Collection[str] | None = None
    read_expression: Callable[[str], str | None] | None = None


def group_of(path: str) -> str:
    """The group that a setting belongs to."""
    first = path.partition(".")[0]
    return next(name for name, starts in GROUPS.items() if first in starts)


def all_settings(plan: EnvironmentPlan, run: RunPlan) -> dict[str, Any]:
    """Every setting by its path, those of [run] among them, in the order of the groups."""
    own = {f"run.{key}": written_form(getattr(run, name), name) for key, name in RUN_FIELDS.items()}
    found = {**settings_of(plan), **own}
    order = [start for starts in GROUPS.values() for start in starts]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0].partition(".")[0])))


def with_settings(site: Site, name: str, settings: Mapping[str, Any], reading: Reading = Reading()) -> Site:
    """The site as it is in one environment with these settings by path. Raises SettingsInvalid."""
    if not settings:
        return site
    said = site.environments.get(name) or EnvironmentPlan(name)
    plan, run = effective(said, site.run, settings, site.procfile, reading)
    return replace(site, run=run, environments={**site.environments, name: plan})


def effective(
    plan: EnvironmentPlan,
    run: RunPlan,
    settings: Mapping[str, Any],
    procfile: Mapping[str, str],
    reading: Reading = Reading(),
) -> tuple[EnvironmentPlan, RunPlan]:
    """What halage.toml says of an environment, with these settings over it. Raises SettingsInvalid."""
    before, own = _apart(settings)
    said = said_by_file(plan)
    problems = _misplaced(settings)
    table = _read_table(plan, _over(said, before, problems), reading, problems)
    run = _read_run(run, own, problems)
    if problems or table is None:
        raise SettingsInvalid(tuple(problems))
    made = plan_of(plan.name, table, plan.said, procfile, (table.type,))
    made = replace(made, approval=plan.approval, variables=plan.variables)
    if not {*said, *settings} & _OF_THE_NUMBER:
        made = replace(made, instances=plan.instances)
    found = misfits(made)
    if found:
        raise SettingsInvalid(
            tuple(Problem(".".join(map(str, each.path)), each.found, each.allowed, file="") for each in found)
        )
    return made, run


def said_by_file(plan: EnvironmentPlan) -> dict[str, Any]:
    """What halage.toml says of an environment, by path.

    A release that an older Halage made does not tell: there, it is what is not as by default.
    """
    found = settings_of(plan)
    if plan.said:
        return {path: value for path, value in found.items() if path in plan.said}
    default = settings_of(EnvironmentPlan(plan.name))
    return {path: value for path, value in found.items() if value != default.get(path)}


def _apart(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of the environment, and those of [run] without that word."""
    own = {path.removeprefix("run."): value for path, value in settings.items() if path.startswith("run.")}
    return {path: value for path, value in settings.items() if not path.startswith("run.")}, own


def _misplaced(settings: Iterable[str]) -> list[Problem]:
    first = {path: path.partition(".")[0] for path in settings}
    return [
        Problem(path, "a setting that cannot be set on the server", _ELSEWHERE[start], file="")
        for path, start in first.items()
        if start in OF_THE_FILE
    ]


def _over(said: Mapping[str, Any], settings: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
    raw = {path: value for path, value in said.items() if value is not None}
    raw |= {path: value for path, value in settings.items() if path.partition(".")[0] not in OF_THE_FILE}
    try:
        return nested(raw)
    except ValueError as error:
        problems.append(Problem(str(error), "a value where there is a table", "one of its keys", file=""))
        return {}


def _read_table(
    plan: EnvironmentPlan, raw: dict[str, Any], reading: Reading, problems: list[Problem]
) -> EnvironmentTable | None:
    context = {"types": reading.types, "read_expression": reading.read_expression, "is_of_server": True}
    for path, value in (("type", plan.type), ("domains", list(plan.domains))):
        raw.setdefault(path, value)
    try:
        return EnvironmentTable.model_validate(raw, context=context)
    except ValidationError as error:
        problems += _by_path(error, ("environments", plan.name))
        return None


def _read_run(run: RunPlan, own: Mapping[str, Any], problems: list[Problem]) -> RunPlan:
    try:
        table = RunTable.model_validate(own)
    except ValidationError as error:
        problems += [replace(each, key=f"run.{each.key}") for each in _by_path(error, ("run",))]
        return run
    for key in own:
        if key not in RUN_FIELDS:
            allowed = ", ".join(RUN_FIELDS)
            problems.append(Problem(f"run.{key}", "it for one environment", f"there only {allowed}", file=""))
    fields = {RUN_FIELDS[key]: getattr(table, key) for key in own if key in RUN_FIELDS}
    return replace(run, **fields)


def _by_path(error: ValidationError, place: tuple[str, ...]) -> list[Problem]:
    """The problems of a table, named by the path of the setting."""
    paths = [".".join(str(part) for part in details["loc"] if part != "[key]") for details in error.errors()]
    found = problems_of(error, "", place)
    return [replace(each, key=path, file="", line=None) for each, path in zip(found, paths, strict=True)]


def choices_of(path: str) -> tuple[str, ...]:
    """The values that a setting may have, where they are few."""
    table: type[BaseModel] | None = EnvironmentTable
    *tables, key = path.split(".")
    for name in tables:
        kind = table.model_fields[name].annotation if table and name in table.model_fields else None
        table = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    kind = table.model_fields[key].annotation if table and key in table.model_fields else None
    if kind is bool:
        return ("true", "false")
    return tuple(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()


# -- what needs new instances


def is_live(path: str) -> bool:
    """Whether a setting takes hold without new instances: it is of the balancer, of rules, of numbers."""
    if path.startswith("processes."):
        return not path.endswith((".command", ".type"))
    return path not in _OF_INSTANCES


_OF_INSTANCES = frozenset({"type", "run.start", "run.release", "health.path", "network.private_range"})


def resolved(to: Iterable[str], variables: Mapping[str, str]) -> list[str]:
    """Addresses, with `$NAME` replaced by the variable of that name; those without a value are left out."""
    found = (variables.get(each[1:], "") if each.startswith("$") else each for each in to)
    return [each for each in found if each]


def told_of(notifications: Iterable[Notification], event: str) -> list[str]:
    """The addresses that are told of an event, each once."""
    return list(dict.fromkeys(each for one in notifications if event in one.on for each in one.to))
