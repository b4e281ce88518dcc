"""Lines of values and what is done with them: pairing, arithmetic, filling, folding. Pure."""

import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from halage.monitor.metrics.aggregates import Values
from halage.monitor.metrics.syntax import LINEAR, PREVIOUS, Ask, Fold

Open = tuple[tuple[str, str], ...]

NAME = "*"
"""Stands for the metric's name among the open dimensions, where a selector leaves the name open."""

_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul}


@dataclass(frozen=True, slots=True)
class Line:
    """Values by period, None where there is no data, and what they are of."""

    dimensions: Mapping[str, str]
    open: Open
    """What tells the lines of an expression apart: dimensions that its selector does not pin down."""
    values: Values

    @property
    def name(self) -> str | None:
        """The metric, where the expression means several."""
        return next((value for name, value in self.open if name == NAME), None)

    def paired(self, other: "Line", values: Values) -> "Line":
        """The line of both: of the dimensions those that they do not contradict each other in."""
        one, two = self.dimensions, other.dimensions
        dimensions = {
            name: value
            for name, value in {**two, **one}.items()
            if one.get(name, value) == two.get(name, value)
        }
        return Line(dimensions, tuple(sorted({*self.open, *other.open})), values)


def open_dimensions(ask: Ask, name: str, dimensions: Mapping[str, str]) -> Open:
    """Which of a line's dimensions its statistic leaves open, and the name if it does so."""
    pinned = {each for each, value in ask.selector.dimensions.items() if not _is_pattern(value)}
    opened = [each for each in dimensions.items() if each[0] not in pinned]
    if ask.by is None and _is_pattern(ask.selector.name):
        opened.append((NAME, name))
    return tuple(sorted(opened))


def told_apart_by(lines: Sequence[Line]) -> str:
    """In words: the open dimensions of these lines."""
    names = sorted({name if name != NAME else "the name" for line in lines for name, _ in line.open})
    return " and ".join(names) or "nothing"


def pair(left: Sequence[Line], right: Sequence[Line]) -> list[tuple[Line, Line]]:
    """Lines that belong together, the left one first.

    Those that agree in all open dimensions pair; one that has fewer of them pairs with each that
    agrees in those; a single line pairs with all that do not contradict it.
    """
    lefts, rights = _index(left), _index(right)
    pairs = [(one, other) for one in left if (other := _find(rights, one)) is not None]
    taken = {id(other) for _, other in pairs}
    pairs += [
        (one, other) for other in right if id(other) not in taken and (one := _find(lefts, other)) is not None
    ]
    if not pairs and 1 in (len(left), len(right)):
        pairs = [(one, other) for one in left for other in right if not _contradict(one.open, other.open)]
    return pairs


def combine(symbol: str, left: Values, right: Values) -> Values:
    """The arithmetic, value by value: missing where one is missing, or where it divides by zero."""
    if symbol == "/":
        return [a / b if b and a is not None else None for a, b in zip(left, right, strict=True)]
    compute = _OPERATORS[symbol]
    return [
        compute(a, b) if a is not None and b is not None else None for a, b in zip(left, right, strict=True)
    ]


def fill(values: Values, how: float | str) -> Values:
    """The values with those that are missing filled in, as far as there is something to fill from."""
    if how == PREVIOUS:
        filled: Values = []
        last: float | None = None
        for value in values:
            last = value if value is not None else last
            filled.append(last)
        return filled
    if how == LINEAR:
        return _straight(values)
    assert isinstance(how, float)
    return [how if value is None else value for value in values]


def fold(how: Fold, lines: Sequence[Line]) -> Line:
    """One line of all: of the dimensions those that all agree in. Values that are missing do not count."""
    values: Values = []
    for column in zip(*(line.values for line in lines), strict=True):
        present = [value for value in column if value is not None]
        values.append(_FOLDS[how](present) if present else None)
    first = lines[0].dimensions
    shared = {
        name: value
        for name, value in first.items()
        if all(line.dimensions.get(name) == value for line in lines)
    }
    return Line(shared, (), values)


def labels(lines: Sequence[Line], text: str) -> list[str]:
    """What each line is called in a legend: by what tells it from the others; a single one is the text."""
    whole = " ".join(text.split())
    if len(lines) < 2:
        return [whole for _ in lines]
    names = sorted({name for line in lines for name in line.dimensions})
    varying = [name for name in names if len({line.dimensions.get(name) for line in lines}) > 1]
    has_names = len({line.name for line in lines}) > 1
    found = []
    for line in lines:
        words = [line.name or ""] if has_names else []
        words += [line.dimensions[name] for name in varying if name in line.dimensions]
        found.append(" ".join(word for word in words if word) or whole)
    if len(set(found)) < len(found):  # absent here and there: the values alone are not clear
        found = [_described(line, whole) for line in lines]
    return found


def _described(line: Line, whole: str) -> str:
    parts = [f"{name}={value}" for name, value in sorted(line.dimensions.items())]
    return " ".join([*([line.name] if line.name else []), *parts]) or whole


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


_FOLDS: dict[Fold, Callable[[Sequence[float]], float]] = {
    Fold.TOTAL: sum,
    Fold.MEAN: _mean,
    Fold.HIGHEST: max,
    Fold.LOWEST: min,
}


def _straight(values: Values) -> Values:
    filled = list(values)
    known = [index for index, value in enumerate(values) if value is not None]
    for before, after in itertools.pairwise(known):
        low, high = values[before], values[after]
        assert low is not None
        assert high is not None
        for index in range(before + 1, after):
            filled[index] = low + (high - low) * (index - before) / (after - before)
    return filled


_Index = dict[tuple[str, ...], dict[tuple[str, ...], Line]]


def _index(lines: Sequence[Line]) -> _Index:
    """By the names of the open dimensions, most of them first; then by their values."""
    index: _Index = {}
    for line in lines:
        names = tuple(name for name, _ in line.open)
        index.setdefault(names, {}).setdefault(tuple(value for _, value in line.open), line)
    return dict(sorted(index.items(), key=lambda each: -len(each[0])))


def _find(index: _Index, line: Line) -> Line | None:
    """The line with as many of these open dimensions as possible, and no others."""
    own = dict(line.open)
    for names, by_values in index.items():
        if all(name in own for name in names):
            found = by_values.get(tuple(own[name] for name in names))
            if found is not None:
                return found
    return None


def _contradict(one: Open, other: Open) -> bool:
    mine = dict(one)
    return any(mine.get(name, value) != value for name, value in other)


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text
