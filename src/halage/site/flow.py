"""Where a branch goes: the default Git flow, and what a site says over it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from pydantic_core import PydanticCustomError

from halage.site.errors import Problem
from halage.site.model import FlowRule
from halage.site.problems import nearest, shown, written
from halage.site.values import RESERVED_STAGES, check_pattern

TEST = "test"
APPROVAL = "approval"
STANDARD_ENVIRONMENTS = ("dev", "preprod", "prod")
GUARDED_BY_DEFAULT = frozenset({"prod"})

_GIT_FLOW: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("main", ("dev", "preprod", "prod")),
    ("master", ("dev", "preprod", "prod")),
    ("develop", ("dev",)),
    ("release/*", ("preprod",)),
    ("hotfix/*", ("preprod",)),
    ("feature/*", ()),
    ("*", ()),
)


def stages_for(flow: Iterable[FlowRule], branch: str) -> tuple[str, ...]:
    """The stages of a branch, by the first rule whose pattern it matches; `test` when none does."""
    for rule in flow:
        if rule.pattern == branch or fnmatchcase(branch, rule.pattern):
            return rule.stages
    return (TEST,)


def compose_flow(
    given: Mapping[str, Sequence[str]],
    branches: Mapping[str, Sequence[str]],
    guarded: Collection[str],
) -> tuple[FlowRule, ...]:
    """The rules of a site, in the order in which they are tried.

    First what `[flow]` gives, then the branches that the environments name, each of these with
    exact names before patterns, then the default Git flow. An environment that names its branches
    gets nothing from the default flow. An environment of `guarded` has an approval before it.
    """
    ways: list[tuple[str, tuple[str, ...]]] = []
    ways += _exact_first({pattern: tuple(stages) for pattern, stages in given.items()})
    ways += _exact_first(_ways_of(branches))
    for pattern, environments in _GIT_FLOW:
        ways.append((pattern, (TEST, *(name for name in environments if name not in branches))))
    rules: dict[str, FlowRule] = {}
    for pattern, stages in ways:
        rules.setdefault(pattern, FlowRule(pattern, _with_approvals(stages, guarded)))
    return tuple(rules.values())


def check_flow(
    given: Mapping[str, object], branches: Mapping[str, Sequence[str]], declared: Collection[str]
) -> list[Problem]:
    """What is wrong with `[flow]`, given the environments that the file declares."""
    environments = {*STANDARD_ENVIRONMENTS, *declared}
    problems: list[Problem] = []
    for pattern, stages in given.items():
        key = written(("flow", pattern))
        named = sorted(name for name, patterns in branches.items() if pattern in patterns)
        if named:
            allowed = f"either this rule or `branch` in [environments.{named[0]}], not both"
            problems.append(Problem(key, f"a second way for {pattern}", allowed))
        problems += _check_pattern(key, pattern)
        if isinstance(stages, list) and all(isinstance(stage, str) for stage in stages):
            problems += _check_stages(key, stages, environments)
    return problems


def _check_pattern(key: str, pattern: str) -> list[Problem]:
    try:
        check_pattern(pattern)
    except PydanticCustomError as error:
        return [Problem(key, shown(pattern), str(error))]
    return []


def _check_stages(key: str, stages: list[str], environments: Collection[str]) -> list[Problem]:
    if stages[:1] != [TEST]:
        return [Problem(key, shown(stages), 'a list that starts with "test" (it builds as well)')]
    known = {TEST, APPROVAL, *environments}
    for stage in stages:
        if stage not in known:
            allowed = f"{', '.join(sorted(known))}; declare another one with [environments.{stage}]"
            return [Problem(key, shown(stage), allowed, nearest=nearest(stage, known))]
    pairs = zip(stages, [*stages[1:], APPROVAL], strict=True)
    if any(first == APPROVAL == second for first, second in pairs):
        return [Problem(key, shown(stages), 'an environment after each "approval"')]
    names = [stage for stage in stages if stage != APPROVAL]
    if len(set(names)) != len(names):
        return [Problem(key, shown(stages), "each environment once")]
    return []


def _exact_first(ways: Mapping[str, tuple[str, ...]]) -> list[tuple[str, tuple[str, ...]]]:
    return sorted(ways.items(), key=lambda way: any(sign in way[0] for sign in "*?"))


def _ways_of(branches: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    ways: dict[str, tuple[str, ...]] = {}
    for environment in sorted(branches, key=_position):
        for pattern in branches[environment]:
            ways[pattern] = (*ways.get(pattern, (TEST,)), environment)
    return ways


def _position(environment: str) -> int:
    # What a site adds (staging, review) comes after dev and before preprod and prod.
    places = {"dev": 0, "preprod": 2, "prod": 3}
    return places.get(environment, 1)


def _with_approvals(stages: tuple[str, ...], guarded: Collection[str]) -> tuple[str, ...]:
    result: list[str] = []
    for stage in stages:
        if stage in guarded and stage not in RESERVED_STAGES and result[-1:] != [APPROVAL]:
            result.append(APPROVAL)
        result.append(stage)
    return tuple(result)
