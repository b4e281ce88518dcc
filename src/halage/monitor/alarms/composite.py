"""Rules over other alarms: `ALARM("errors") AND NOT DEPLOYING`. Pure.

    rule   = term { "OR" term }
    term   = factor { "AND" factor }
    factor = "NOT" factor | "(" rule ")" | STATE "(" name in quotes ")" | "DEPLOYING" | "METRICS_PAUSED"
    STATE  = "ALARM" | "OK" | "INSUFFICIENT_DATA"

Words may be written in lower case as well. A name in quotes is that of an alarm of the same project.
"""

import graphlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn, TypeAlias

from halage.monitor.alarms.errors import BadAlarm
from halage.monitor.alarms.model import State

DEEPEST = 40
"""Parentheses within parentheses, at most."""
_TOKEN = re.compile(r"\s*(?:(?P<name>\"[^\"]*\"|'[^']*')|(?P<word>[A-Za-z_]+)|(?P<sign>[()]))")


@dataclass(frozen=True, slots=True)
class Is:
    """An alarm is in a state."""

    state: State
    name: str


@dataclass(frozen=True, slots=True)
class Deploying:
    """A deployment runs in the alarm's environment (in any of its project, where it names none)."""


@dataclass(frozen=True, slots=True)
class MetricsPaused:
    """No samples are kept because the disk that holds the metrics is full."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a rule may speak of beside other alarms."""

    is_deploying: bool = False
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    """The inner rule does not hold."""

    inner: "Rule"


@dataclass(frozen=True, slots=True)
class Both:
    """All of them hold."""

    parts: "tuple[Rule, ...]"


@dataclass(frozen=True, slots=True)
class Either:
    """One of them holds."""

    parts: "tuple[Rule, ...]"


Rule: TypeAlias = Is | Deploying | MetricsPaused | Not | Both | Either


@lru_cache(4096)
def parse_rule(text: str) -> Rule:
    """The rule that a text says. Raises BadAlarm, which says where it cannot be read."""
    return _Reader(text).read()


def names_in(rule: Rule) -> Iterator[str]:
    """The alarms that a rule names."""
    return (leaf.name for leaf in _leaves(rule) if isinstance(leaf, Is))


def _leaves(rule: Rule) -> Iterator[Rule]:
    match rule:
        case Not(inner):
            yield from _leaves(inner)
        case Both(parts) | Either(parts):
            for part in parts:
                yield from _leaves(part)
        case _:
            yield rule


def holds(rule: Rule, states: Mapping[str, State], now: Circumstances) -> bool:
    """Whether a rule holds. An alarm that is not there is in no state."""
    match rule:
        case Is(state, name):
            return states.get(name) is state
        case Deploying():
            return now.is_deploying
        case MetricsPaused():
            return now.is_paused
        case Not(inner):
            return not holds(inner, states, now)
        case Both(parts):
            return all(holds(part, states, now) for part in parts)
        case Either(parts):
            return any(holds(part, states, now) for part in parts)


def cycle_from(name: str, named: Mapping[str, Iterable[str]]) -> list[str] | None:
    """The path from an alarm back to itself, such as ["a", "b", "a"]; None where there is none.

    `named`: the alarms that each alarm with a rule names.
    """
    paths = [[name]]
    seen: set[str] = set()
    while paths:
        path = paths.pop()
        for other in named.get(path[-1], ()):
            if other == name:
                return [*path, name]
            if other not in seen:
                seen.add(other)
                paths.append([*path, other])
    return None


def check_names(name: str, text: str, rules: Mapping[str, Iterable[str]], others: Collection[str]) -> None:
    """Return when an alarm may have this rule. Raises BadAlarm for what it names and does not find, and for a
    way that leads back to the alarm itself. `rules`: what the rules of the other alarms name.
    """
    named = list(dict.fromkeys(names_in(parse_rule(text))))
    problem = None
    if missing := [each for each in named if each != name and each not in others]:
        problem = f"{missing[0]!r}", f"the name of an alarm of the same project: {_few(others)}"
    elif path := cycle_from(name, {**rules, name: named}):
        problem = f"{path_in_words(path)}", "a rule that does not lead back to its own alarm"
    if problem is not None:
        found, allowed = problem
        raise BadAlarm(
            f"rule: it names {found}, allowed is {allowed}",
            errors=[{"location": "rule", "found": found, "allowed": allowed}],
        )


def _few(names: Collection[str]) -> str:
    shown = sorted(names)[:10]
    return (", ".join(shown) + (", ..." if len(names) > len(shown) else "")) or "there is none yet"


def in_order(named: Mapping[str, Iterable[str]]) -> list[str]:
    """The alarms with a rule, each after those that it names. There must be no cycle."""
    order = graphlib.TopologicalSorter({name: sorted(set(others)) for name, others in sorted(named.items())})
    return [name for name in order.static_order() if name in named]


class _Reader:
    """Reads one rule from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._at = 0
        self._depth = 0

    def _split(self) -> Iterator[tuple[str, str, int]]:
        at = 0
        while self._text[at:].strip():
            match = _TOKEN.match(self._text, at)
            if match is None:
                self._refuse(at, "a word, a name in quotes or a parenthesis")
            kind = str(match.lastgroup)
            yield kind, match[kind], match.start(kind)
            at = match.end()

    def read(self) -> Rule:
        rule = self._either()
        if self._at < len(self._tokens):
            self._refuse_here("AND, OR or the end")
        return rule

    def _either(self) -> Rule:
        parts = self._joined("OR", self._both)
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Rule:
        parts = self._joined("AND", self._factor)
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _joined(self, word: str, read: Callable[[], Rule]) -> list[Rule]:
        parts = [read()]
        while self._take("word", word):
            parts.append(read())
        return parts

    def _factor(self) -> Rule:
        self._depth += 1
        if self._depth > DEEPEST:
            self._refuse_here(f"at most {DEEPEST} levels of NOT and parentheses")
        try:
            if self._take("word", "NOT"):
                return Not(self._factor())
            if self._take("sign", "("):
                inner = self._either()
                self._must("sign", ")", "a closing parenthesis")
                return inner
            if self._take("word", "DEPLOYING"):
                return Deploying()
            if self._take("word", "METRICS_PAUSED"):
                return MetricsPaused()
            for state in State:
                if self._take("word", state.value):
                    return Is(state, self._name_of(state))
            self._refuse_here('ALARM("..."), OK("..."), INSUFFICIENT_DATA("..."), DEPLOYING, NOT or "("')
        finally:
            self._depth -= 1

    def _name_of(self, state: State) -> str:
        self._must("sign", "(", f'a name, as in {state}("errors")')
        kind, text, _ = self._token()
        if kind != "name" or not text[1:-1].strip():
            self._refuse_here("the name of an alarm in quotes")
        self._at += 1
        self._must("sign", ")", "a closing parenthesis")
        return text[1:-1]

    def _token(self) -> tuple[str, str, int]:
        if self._at < len(self._tokens):
            return self._tokens[self._at]
        return "end", "", len(self._text)

    def _take(self, kind: str, text: str) -> bool:
        found_kind, found, _ = self._token()
        if found_kind == kind and found.upper() == text:
            self._at += 1
            return True
        return False

    def _must(self, kind: str, text: str, allowed: str) -> None:
        if not self._take(kind, text):
            self._refuse_here(allowed)

    def _refuse_here(self, allowed: str) -> NoReturn:
        self._refuse(self._token()[2], allowed)

    def _refuse(self, at: int, allowed: str) -> NoReturn:
        found = repr(self._text[at : at + 20]) if at < len(self._text) else "the end"
        raise BadAlarm(
            f"rule: at character {at + 1} there is {found}, allowed is {allowed}",
            errors=[{"location": "rule", "found": found, "allowed": allowed}],
        )


def explain(rule: Rule, text: str, states: Mapping[str, State], now: Circumstances) -> str:
    """Why a rule holds or not: the states of the alarms that it names."""
    told = [f"{name} is {states.get(name, 'not there')}" for name in dict.fromkeys(names_in(rule))]
    leaves = set(_leaves(rule))
    if Deploying() in leaves:
        told.append("a deployment runs" if now.is_deploying else "no deployment runs")
    if MetricsPaused() in leaves:
        told.append("metrics are paused" if now.is_paused else "metrics are kept")
    verb = "holds" if holds(rule, states, now) else "does not hold"
    return f"{text} {verb}: {', '.join(told)}"


def path_in_words(path: Sequence[str]) -> str:
    """`a -> b -> a`."""
    return " -> ".join(path)
