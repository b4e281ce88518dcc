"""What a change of settings comes to. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from halage.environment.configuration import Configuration
from halage.environment.settings.addresses import shown_value
from halage.environment.settings.model import Difference, Origin, Setting, Wish
from halage.site.effective import all_settings, effective, group_of, is_live, said_by_file
from halage.site.errors import Problem, SettingsInvalid
from halage.site.model import EnvironmentPlan, RunPlan, Site
from halage.site.plans import flat
from halage.site.problems import nearest

NO_SITE_RUN = RunPlan()


def wanted_settings(held: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
    """What shall be set from now on, by path; tables stand for the values in them."""
    given = flat(wish.set)
    kept = {} if wish.is_whole else dict(held)
    for path in wish.unset:
        kept = {
            name: value for name, value in kept.items() if name != path and not name.startswith(f"{path}.")
        }
    return dict(sorted({**kept, **given}.items()))


def check_unset(paths: Iterable[str], known: Collection[str]) -> None:
    """That each is a setting or what settings begin with. Raises SettingsInvalid."""
    starts = {
        ".".join(path.split(".")[:length]) for path in known for length in range(1, path.count(".") + 2)
    }
    problems = [
        Problem(
            path,
            "a setting that is not known",
            "a path, or the beginning of one, as `halage env config show` prints it",
            file="",
            nearest=nearest(path, starts),
        )
        for path in paths
        if path not in starts
    ]
    if problems:
        raise SettingsInvalid(tuple(problems))


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What is another value, by path; values are shown as they may be."""
    found = []
    for path in dict.fromkeys((*before, *after)):
        old, new = before.get(path), after.get(path)
        if old != new:
            found.append(Difference(path, shown_value(path, old), shown_value(path, new), is_live(path)))
    return tuple(found)


def values_of(site: Site, name: str) -> dict[str, Any]:
    """Every setting of an environment of the site by path."""
    return all_settings(site.environments.get(name) or EnvironmentPlan(name), site.run)


def settings_view(
    base: Site, name: str, held: Mapping[str, Any], deployed: Configuration | None
) -> tuple[Setting, ...]:
    """Every setting with the value that holds and where it comes from. Raises SettingsInvalid."""
    plan = base.environments.get(name) or EnvironmentPlan(name)
    effective_plan, run = effective(plan, base.run, held, base.procfile)
    said, in_file = all_settings(plan, base.run), said_by_file(plan)
    serving = values_of(deployed.site, name) if deployed is not None else None
    found = []
    for path, value in all_settings(effective_plan, run).items():
        source = Origin.DEFAULT
        if path in held:
            source = Origin.SERVER
        elif path in in_file or (path.startswith("run.") and value is not None and _is_said(path, value)):
            source = Origin.FILE
        found.append(
            Setting(
                path=path,
                group=group_of(path),
                value=shown_value(path, value),
                source=source,
                said=shown_value(path, said.get(path)),
                is_pending=serving is None or serving.get(path) != value,
            )
        )
    return tuple(found)


def _is_said(path: str, value: Any) -> bool:
    """Whether a value of [run] is not that of the plan's default: it may also be that of the kind."""
    default = all_settings(EnvironmentPlan(""), NO_SITE_RUN).get(path)
    return bool(value != default)


def variables_view(
    site: Site, name: str, people: Iterable[tuple[str, str | None, bool]]
) -> tuple[Setting, ...]:
    """The variables as settings of the group software; the values of secret ones stay where they are."""
    plan = site.environments.get(name)
    of_file = {**site.variables, **((plan.variables if plan else None) or {})}
    found = {
        key: Setting(f"env.{key}", "software", value, Origin.FILE, value) for key, value in of_file.items()
    }
    for key, value, is_secret in people:
        found[key] = Setting(
            f"env.{key}", "software", value, Origin.SERVER, of_file.get(key), is_secret=is_secret
        )
    return tuple(found[key] for key in sorted(found))


def is_same_but_live(before: Configuration, after: Configuration, name: str) -> bool:
    """Whether going from one to the other needs no new instance: only live settings differ."""
    if before.variables != after.variables:
        return False
    old, new = before.site, after.site
    of_instances = ("kind", "variables", "procfile")
    if any(getattr(old, each) != getattr(new, each) for each in of_instances):
        return False
    if (old.run.persistent, old.run.document_root, old.run.php_development_server) != (
        new.run.persistent,
        new.run.document_root,
        new.run.php_development_server,
    ):
        return False
    if (old.environments.get(name) or EnvironmentPlan(name)).variables != (
        new.environments.get(name) or EnvironmentPlan(name)
    ).variables:
        return False
    return all(each.is_live for each in differences(values_of(old, name), values_of(new, name)))
