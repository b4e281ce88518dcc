"""Reads a site: its halage.toml over the defaults of its kind."""

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import ValidationError

from halage.site.detect import PHP_SESSIONS, Defaults, defaults_of, detect_kind, signs_of_kinds
from halage.site.environment_tables import EnvironmentTable
from halage.site.errors import FILE, Problem, SiteInvalid
from halage.site.file import RunTable, SiteFile
from halage.site.fit import misfits
from halage.site.flow import STANDARD_ENVIRONMENTS, check_flow, compose_flow
from halage.site.lines import line_of, line_of_syntax_error
from halage.site.model import (
    BuildPlan,
    EnvironmentPlan,
    FlowRule,
    Kind,
    RunPlan,
    Site,
    TestPlan,
)
from halage.site.plans import plan_of, said_in
from halage.site.problems import problems_of, shown, written
from halage.site.tree import Tree
from halage.site.values import looks_secret

_START_EXAMPLES = {
    Kind.PYTHON: 'start = "gunicorn --bind $HOST:$PORT app:application" or '
    'start = "uvicorn --host $HOST --port $PORT app:application"',
    Kind.NODE: 'start = "node server.js", or a "start" script in package.json',
}


def read_site(
    tree: Tree, *, types: Collection[str], read_expression: Callable[[str], str | None] | None = None
) -> Site:
    """The site that these files make, on a server with these instance types.

    `read_expression` says what is wrong with an expression over metrics, where that can be told.

    Raises SiteInvalid with every problem that was found, not only the first.
    """
    text = tree.read(FILE) or ""
    raw = _parse(text)
    problems = [
        *check_flow(_mapping(raw, "flow"), _branches_in(raw), _mapping(raw, "environments")),
        *_check_domains(raw),
    ]
    file: SiteFile | None = None
    try:
        file = SiteFile.model_validate(raw, context={"types": types, "read_expression": read_expression})
    except ValidationError as error:
        problems = [*problems_of(error, text), *problems]
    kind = detect_kind(tree) if file is None or file.kind is None else file.kind
    if kind is None and "kind" not in raw:
        problems.append(_no_kind())
    if file is not None and kind is not None:
        defaults = defaults_of(kind, tree)
        problems += _check_run(kind, file.run, defaults)
        problems += _check_tests(file, defaults)
        plans = _plans(file, raw, defaults, types)
        problems += _check_fit(plans, file, text)
        if not problems:
            return _compose(file, kind, defaults, plans)
    placed = [_placed(problem, text) for problem in problems]
    raise SiteInvalid(tuple(sorted(placed, key=lambda problem: problem.line or 0)))


def _parse(text: str) -> dict[str, Any]:
    if "�" in text:
        raise SiteInvalid((Problem("", "bytes that are not UTF-8", "a TOML file in UTF-8"),))
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = line_of_syntax_error(error, text)
        reason = re.sub(r" \(at .*\)$", "", str(error))
        raise SiteInvalid((Problem("", f"a syntax error ({reason})", "TOML", line),)) from error
    except RecursionError as error:
        raise SiteInvalid((Problem("", "values nested too deeply", "TOML"),)) from error


def _placed(problem: Problem, text: str) -> Problem:
    if problem.line is not None or not problem.key:
        return problem
    table, _, name = problem.key.removeprefix("[").partition("] ")
    location = (*table.split("."), name) if name else (table,)
    return Problem(
        problem.key, problem.found, problem.allowed, line_of(text, location), problem.nearest, problem.file
    )


def _mapping(table: dict[str, Any], key: str) -> dict[str, Any]:
    found = table.get(key)
    return found if isinstance(found, dict) else {}


def _branches_in(raw: dict[str, Any]) -> dict[str, list[str]]:
    environments = _mapping(raw, "environments")
    branches = {name: _texts(table.get("branch")) for name, table in environments.items() if _is(table)}
    return {name: patterns for name, patterns in branches.items() if patterns}


def _is(table: object) -> bool:
    return isinstance(table, dict)


def _texts(value: object) -> list[str]:
    texts = value if isinstance(value, list) else [value]
    return [text for text in texts if isinstance(text, str)]


def _check_domains(raw: dict[str, Any]) -> list[Problem]:
    owners: dict[str, str] = {}
    problems: list[Problem] = []
    for environment, table in _mapping(raw, "environments").items():
        for name in _texts(table.get("domains")) if _is(table) else []:
            domain = name.strip().lower()
            if domain in owners:
                key = written(("environments", environment, "domains"))
                problems.append(
                    Problem(key, shown(name), f"each domain once; [environments.{owners[domain]}] has it")
                )
            owners.setdefault(domain, environment)
    return problems


def _check_run(kind: Kind, run: RunTable, defaults: Defaults) -> list[Problem]:
    problems: list[Problem] = []
    if run.start is None and defaults.start is None and kind in _START_EXAMPLES:
        allowed = f"the command that serves the site on $HOST and $PORT: {_START_EXAMPLES[kind]}"
        problems.append(Problem(written(("run", "start")), "nothing", allowed))
    if run.php_development_server and kind not in (Kind.LARAVEL, Kind.PHP):
        key = written(("run", "php_development_server"))
        problems.append(Problem(key, f"true for a {kind} site", "it only for laravel and php sites"))
    root = run.document_root or defaults.document_root
    for path in run.persistent or ():
        others = [other for other in run.persistent or () if f"{path}/".startswith(f"{other}/")]
        if path == root or len(others) > 1:
            found = f"{shown(path)}, which is {'the document root' if path == root else f'in {others[0]}'}"
            problems.append(Problem(written(("run", "persistent")), found, "paths apart from each other"))
    return problems


def _check_tests(file: SiteFile, defaults: Defaults) -> list[Problem]:
    if not file.test.required or _chosen(file.test.commands, defaults.test):
        return []
    allowed = "false, or tests: commit some, or name their `commands` in [test]"
    return [Problem(written(("test", "required")), "true, and a commit without tests", allowed)]


def _no_kind() -> Problem:
    kinds = ", ".join(f'"{kind}"' for kind in Kind)
    return Problem(
        "kind", "no file that tells what the site is written in", f"{kinds}, or {signs_of_kinds()}"
    )


def _plans(
    file: SiteFile, raw: dict[str, Any], defaults: Defaults, types: Collection[str]
) -> dict[str, EnvironmentPlan]:
    """Those that are there without being named, and those of the file."""
    tables = {name: file.environments.get(name, EnvironmentTable()) for name in STANDARD_ENVIRONMENTS}
    tables |= file.environments
    said = _mapping(raw, "environments")
    return {
        name: plan_of(name, table, said_in(said.get(name, {})), defaults.processes, types)
        for name, table in tables.items()
    }


def _check_fit(plans: Mapping[str, EnvironmentPlan], file: SiteFile, text: str) -> list[Problem]:
    problems: list[Problem] = []
    for name in file.environments:
        for misfit in misfits(plans[name]):
            location = ("environments", name, *misfit.path)
            line = line_of(text, location)
            problems.append(Problem(written(location), misfit.found, misfit.allowed, line))
    return problems


def _compose(file: SiteFile, kind: Kind, defaults: Defaults, plans: Mapping[str, EnvironmentPlan]) -> Site:
    branches = {name: table.branch for name, table in file.environments.items() if table.branch}
    guarded = [name for name, plan in plans.items() if plan.approval]
    flow = compose_flow(file.flow, branches, guarded)
    reached = {stage for rule in flow for stage in rule.stages}
    environments = {name: plan for name, plan in plans.items() if name in reached | file.environments.keys()}
    return Site(
        kind=kind,
        build=BuildPlan(_chosen(file.build.commands, defaults.build), file.build.network, file.build.timeout),
        test=_test(file, defaults),
        run=_run(file.run, kind, defaults),
        variables=dict(file.env),
        environments=environments,
        flow=flow,
        warnings=tuple(_warnings(file, flow, environments, defaults)),
        procfile=dict(defaults.processes),
    )


def _chosen(given: list[str] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    return default if given is None else tuple(given)


def _test(file: SiteFile, defaults: Defaults) -> TestPlan:
    return TestPlan(
        commands=_chosen(file.test.commands, defaults.test),
        reports=_chosen(file.test.reports, defaults.reports),
        timeout_s=file.test.timeout,
        required=file.test.required,
    )


def _run(run: RunTable, kind: Kind, defaults: Defaults) -> RunPlan:
    persistent = _chosen(run.persistent, defaults.persistent)
    if kind is Kind.PHP and run.start is None and defaults.start is None:
        # Visitors keep their session whichever instance answers, and through a deployment.
        persistent = (*persistent, PHP_SESSIONS)
    return RunPlan(
        start=run.start or defaults.start,
        release_command=run.release or defaults.release_command,
        persistent=persistent,
        document_root=run.document_root or defaults.document_root,
        php_development_server=run.php_development_server,
        boot_timeout_s=run.boot_timeout,
        drain_timeout_s=run.drain_timeout,
        stop_timeout_s=run.stop_timeout,
        metrics=run.metrics,
    )


def _warnings(
    file: SiteFile, flow: tuple[FlowRule, ...], environments: Collection[str], defaults: Defaults
) -> list[str]:
    warnings: list[str] = []
    reached = {stage for rule in flow for stage in rule.stages}
    for name in environments:
        if name not in reached:
            warnings.append(f"Nothing is ever deployed to {name}: name its branch, or put it in [flow].")
    for kind in defaults.processes:
        if not any(kind in table.processes for table in file.environments.values()):
            warnings.append(f"Nothing runs {kind} of the Procfile: add [environments.NAME.processes.{kind}].")
    for name, table in file.environments.items():
        if any(_has_password(address) for each in table.notifications for address in each.to):
            warnings.append(
                f"A notification of {name} holds a password, and halage.toml is in the repository: "
                f"set the address as a secret variable of the environment and write $NAME."
            )
    for name, value in [*file.env.items(), *_all_variables(file)]:
        if value and looks_secret(name):
            warnings.append(
                f"{name} looks like a secret, and halage.toml is in the repository: "
                f"set it as a secret variable of the environment."
            )
    return warnings


def _all_variables(file: SiteFile) -> list[tuple[str, str]]:
    return [pair for table in file.environments.values() for pair in table.env.items()]


def _has_password(address: str) -> bool:
    """Whether an address names a user with a password; other secrets in addresses have no common form."""
    _, _, rest = address.partition("://")
    credentials, at, _ = rest.partition("@")
    return bool(at) and ":" in credentials
