"""Expressions over metrics: what they are made of. `parse` (expression.py) reads them from text.

One language for graphs, alarms, the command line and the API: docs/reference/expressions.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from halage.monitor.metrics.model import Selector


class Aggregate(StrEnum):
    """What a statistic makes of the samples of a period."""

    AVERAGE = "average"
    SUM = "sum"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    SAMPLES = "samples"
    PERCENTILE = "p"


class Fold(StrEnum):
    """One line made of many, period by period."""

    TOTAL = "total"
    MEAN = "mean"
    HIGHEST = "highest"
    LOWEST = "lowest"


PREVIOUS = "previous"
"""`fill` with the last value before."""
LINEAR = "linear"
"""`fill` on a straight line between the values around."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number: the same in each period."""

    value: float

    def __str__(self) -> str:
        return write_number(self.value)


@dataclass(frozen=True, slots=True)
class Ask:
    """A statistic of the series that a selector means: a line for each, or for each group of `by`."""

    aggregate: Aggregate
    selector: Selector = field(hash=False)
    by: tuple[str, ...] | None = None
    """Dimensions that the series of a line agree in; () merges all; None merges none."""
    percent: float = 0.0
    """Of a PERCENTILE: from 0 to 100."""
    key: str = field(init=False, repr=False, compare=False)
    """The selector as text, which is looked up in thousands of evaluations a second."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", write_selector(self.selector))

    @property
    def statistic(self) -> str:
        """Its word: `average`, `p99.9`."""
        if self.aggregate is Aggregate.PERCENTILE:
            return f"p{write_number(self.percent)}"
        return self.aggregate.value

    def __str__(self) -> str:
        by = ""
        if self.by is not None:
            by = f" by {', '.join(self.by)}" if self.by else " by ()"
        return f"{self.statistic}({self.key}{by})"


@dataclass(frozen=True, slots=True)
class Negate:
    """Unary minus."""

    operand: "Node"

    def __str__(self) -> str:
        return f"-{_in_brackets(self.operand)}"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`+`, `-`, `*` or `/` between two expressions."""

    operator: str
    left: "Node"
    right: "Node"

    def __str__(self) -> str:
        left, right = str(self.left), str(self.right)
        if self.operator in "*/" and _is_sum(self.left):
            left = f"({left})"
        if _is_sum(self.right) or (self.operator in "*/" and isinstance(self.right, Arithmetic)):
            right = f"({right})"
        return f"{left} {self.operator} {right}"


@dataclass(frozen=True, slots=True)
class Rate:
    """What was counted, per second."""

    operand: "Node"

    def __str__(self) -> str:
        return f"rate({self.operand})"


@dataclass(frozen=True, slots=True)
class Fill:
    """A value where there is none: a number, PREVIOUS or LINEAR."""

    operand: "Node"
    how: float | str

    def __str__(self) -> str:
        how = self.how if isinstance(self.how, str) else write_number(self.how)
        return f"fill({self.operand}, {how})"


@dataclass(frozen=True, slots=True)
class Folded:
    """One line made of all lines of an expression, period by period."""

    fold: Fold
    operand: "Node"

    def __str__(self) -> str:
        return f"{self.fold.value}({self.operand})"


Node = Number | Ask | Negate | Arithmetic | Rate | Fill | Folded


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression as it was written, and what it is made of."""

    text: str
    root: Node

    def asks(self) -> Iterator[Ask]:
        """Each statistic in it, from left to right."""
        return asks_of(self.root)


def asks_of(node: Node) -> Iterator[Ask]:
    """Each statistic in a part of an expression, from left to right."""
    if isinstance(node, Ask):
        yield node
    elif isinstance(node, Arithmetic):
        yield from asks_of(node.left)
        yield from asks_of(node.right)
    elif not isinstance(node, Number):
        yield from asks_of(node.operand)


def write_selector(selector: Selector) -> str:
    """The selector as people write it; `parse` reads it back."""
    inner = ",".join(f"{name}={quote(value)}" for name, value in sorted(selector.dimensions.items()))
    return f"{selector.name}{{{inner}}}" if inner else selector.name


def quote(text: str) -> str:
    """The text in quotation marks, with what would end it escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def write_number(value: float) -> str:
    """`5`, `0.25`: the shortest text that reads back as the same number."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _is_sum(node: Node) -> bool:
    return isinstance(node, Arithmetic) and node.operator in "+-"


def _in_brackets(node: Node) -> str:
    return f"({node})" if isinstance(node, Arithmetic | Negate) else str(node)
