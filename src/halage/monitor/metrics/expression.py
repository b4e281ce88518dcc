"""`parse`: from the text of an expression to what it is made of. Pure.

A parser by recursive descent, one method for each rule of the grammar:

    expression = term { ("+" | "-") term }
    term       = factor { ("*" | "/") factor }
    factor     = "-" factor | NUMBER | "(" expression ")" | call
    call       = STATISTIC "(" selector [ "by" ( names | "(" [ names ] ")" ) ] ")"
               | "rate" "(" expression ")" | "fill" "(" expression "," how ")"
               | ( "total" | "mean" | "highest" | "lowest" ) "(" expression ")"
    selector   = NAME [ "{" [ NAME "=" TEXT { "," NAME "=" TEXT } ] "}" ]
    how        = [ "-" ] NUMBER | "previous" | "linear"
"""

import difflib
import math
import re
from collections.abc import Callable, Collection
from typing import NoReturn

from halage.monitor.metrics.errors import BadExpression
from halage.monitor.metrics.model import Selector
from halage.monitor.metrics.syntax import (
    LINEAR,
    PREVIOUS,
    Aggregate,
    Arithmetic,
    Ask,
    Expression,
    Fill,
    Fold,
    Folded,
    Negate,
    Node,
    Number,
    Rate,
    asks_of,
)

__all__ = ["Expression", "parse"]

MAX_LENGTH = 4096
"""Characters of an expression."""
MAX_DEPTH = 32
"""Brackets within brackets."""
MAX_PARTS = 100
"""Numbers, statistics, functions and operators in all."""

STATISTICS = (*(each.value for each in Aggregate if each is not Aggregate.PERCENTILE), "p95")
FUNCTIONS = ("rate", "fill", *(each.value for each in Fold))
_OTHER_WORDS = {
    "avg": "average",
    "min": "minimum",
    "max": "maximum",
    "count": "samples",
    "sample_count": "samples",
    "median": "p50",
    "per_second": "rate",
    "max_over": "highest",
    "min_over": "lowest",
}
"""What other systems say."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAME = re.compile(r"[A-Za-z_:*?][A-Za-z0-9_:.*?-]*")
_DIMENSION = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_TEXT = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_PERCENTILE = re.compile(r"p([0-9]+(?:\.[0-9]+)?)")
_BLANKS = re.compile(r"\s*")
_SHOWN = 60
"""Characters that are shown on either side of a mistake."""


def parse(text: str) -> Expression:
    """The expression. Raises BadExpression, which shows the place."""
    return _Parser(text).read()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._parts = 0

    def read(self) -> Expression:
        if len(self._text) > MAX_LENGTH:
            raise BadExpression(
                f"The expression has {len(self._text)} characters; it may have {MAX_LENGTH}.",
                allowed=(f"at most {MAX_LENGTH} characters",),
            )
        if not self._text.strip():
            self._refuse("There is no expression", _BEGIN)
        root = self._expression()
        if self._peek():
            self._refuse_rest()
        return Expression(self._text.strip(), root)

    def _refuse_rest(self) -> NoReturn:
        if self._word() == "by":
            self._refuse("`by` stands within the brackets: sum(name by environment)", _AFTER)
        self._refuse("The expression goes on where it could end", _AFTER)

    def _expression(self) -> Node:
        node = self._term()
        while self._peek() in ("+", "-"):
            operator = self._take(1)
            node = Arithmetic(operator, node, self._term())
        return node

    def _term(self) -> Node:
        node = self._factor()
        while self._peek() in ("*", "/"):
            operator = self._take(1)
            node = Arithmetic(operator, node, self._factor())
        return node

    def _factor(self) -> Node:
        self._count_part()
        if self._peek() == "-":
            self._take(1)
            operand = self._deeper(self._factor)
            return Number(-operand.value) if isinstance(operand, Number) else Negate(operand)
        if self._peek() == "(":
            self._take(1)
            node = self._deeper(self._expression)
            self._expect(")", _INSIDE)
            return node
        if (number := self._number()) is not None:
            return Number(number)
        return self._call()

    def _call(self) -> Node:
        word = self._word()
        begin = self._at
        if word is None:
            self._refuse("A value is missing", _BEGIN)
        self._take(len(word))
        if self._peek() != "(":
            self._at = begin
            self._refuse_lonely(word)
        if (ask := self._statistic(begin, word)) is not None:
            return ask
        if word not in FUNCTIONS:
            self._at = begin
            self._refuse(f"`{word}` is no statistic and no function", (*STATISTICS, *FUNCTIONS), word)
        self._take(1)
        operand = self._deeper(self._expression)
        node = self._function(begin, word, operand)
        self._expect(")", _INSIDE)
        return node

    def _function(self, begin: int, word: str, operand: Node) -> Node:
        asks = tuple(asks_of(operand))
        if not asks:
            self._at = begin
            self._refuse(f"`{word}` has nothing to work on: there is no metric in its brackets", _METRICS)
        if word == "fill":
            self._expect(",", (*_INSIDE[:-1], ","))
            return Fill(operand, self._how())
        if word == "rate":
            if not all(ask.aggregate in (Aggregate.SUM, Aggregate.SAMPLES) for ask in asks):
                self._at = begin
                self._refuse("`rate` is of what was counted", ("rate(sum(NAME))", "rate(samples(NAME))"))
            return Rate(operand)
        fold = Fold(word)
        is_percentile = any(ask.aggregate is Aggregate.PERCENTILE for ask in asks)
        if is_percentile and fold in (Fold.TOTAL, Fold.MEAN):
            self._at = begin
            allowed = ("p95(NAME by environment), which is the percentile of all", "highest", "lowest")
            self._refuse("Percentiles are neither averaged nor added", allowed)
        return Folded(fold, operand)

    def _statistic(self, begin: int, word: str) -> Ask | None:
        percent = 0.0
        if match := _PERCENTILE.fullmatch(word):
            percent = float(match[1])
            if percent > 100:
                self._at = begin
                self._refuse(f"There is no percentile {match[1]}", ("p0 to p100, such as p99.9",))
            aggregate = Aggregate.PERCENTILE
        elif word in STATISTICS:
            aggregate = Aggregate(word)
        else:
            return None
        self._take(1)
        selector = self._selector()
        by = self._by()
        self._expect(")", ("{", "by", ")") if not selector.dimensions and by is None else (")",))
        return Ask(aggregate, selector, by, percent)

    def _selector(self) -> Selector:
        self._peek()
        begin = self._at
        name = self._match(_NAME)
        if name is None:
            self._refuse("The name of a metric is missing", ("a name such as instance_cpu_percent or my_*",))
        if self._peek() == "(":
            self._at = begin
            if name in STATISTICS or _PERCENTILE.fullmatch(name):
                self._refuse(
                    "In the brackets of a statistic stands a metric; a statistic of lines is a function",
                    tuple(each.value for each in Fold),
                )
            self._refuse("In the brackets of a statistic stands a metric", ("the name of a metric",))
        dimensions: dict[str, str] = {}
        if self._peek() == "{":
            self._take(1)
            while self._peek() != "}":
                self._dimension(dimensions)
                if self._peek() != ",":
                    break
                self._take(1)
            self._expect("}", (",", "}"))
        return Selector(name, dimensions)

    def _dimension(self, dimensions: dict[str, str]) -> None:
        name = self._match(_DIMENSION)
        if name is None:
            self._refuse("The name of a dimension is missing", ('a dimension such as environment="prod"',))
        if name in dimensions:
            self._at -= len(name)
            self._refuse(f"The dimension {name} is named twice", ("each dimension once",))
        if self._text[self._at : self._at + 2].strip() in ("!=", "=~", "!~"):
            self._refuse("Dimensions are compared by = alone", ('=, with * and ? in the text: "prod*"',))
        self._expect("=", ("=",))
        self._peek()
        text = _TEXT.match(self._text, self._at)
        if text is None:
            self._refuse(f"The value of {name} is missing", (f'a text in quotation marks: {name}="..."',))
        self._take(text.end() - self._at)
        dimensions[name] = _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], text[0][1:-1])

    def _by(self) -> tuple[str, ...] | None:
        if self._word() != "by":
            return None
        self._take(2)
        if self._peek() != "(":
            return self._names()
        self._take(1)
        names = () if self._peek() == ")" else self._names()
        self._expect(")", (",", ")"))
        return names

    def _names(self) -> tuple[str, ...]:
        names: list[str] = []
        while True:
            name = self._match(_DIMENSION)
            if name is None:
                self._refuse("The name of a dimension is missing", ("a name such as environment, or ()",))
            if name not in names:
                names.append(name)
            if self._peek() != ",":
                return tuple(names)
            self._take(1)

    def _how(self) -> float | str:
        sign = 1.0
        if self._peek() == "-":
            self._take(1)
            sign = -1.0
        if (number := self._number()) is not None:
            return sign * number
        word = self._word()
        if word is None or sign < 0 or word not in (PREVIOUS, LINEAR):
            self._refuse("What `fill` shall write is missing", ("a number", PREVIOUS, LINEAR), word)
        self._take(len(word))
        return word

    def _number(self) -> float | None:
        self._peek()
        begin = self._at
        text = self._match(_NUMBER)
        if text is None:
            return None
        value = float(text)
        if not math.isfinite(value):
            self._at = begin
            self._refuse("The number is too large", ("a number up to 1e308",))
        if (unit := self._word()) and not self._text[self._at - 1].isspace():
            self._refuse("A number has no unit here", ("a bare number",), unit)
        return value

    def _word(self) -> str | None:
        self._peek()
        match = _WORD.match(self._text, self._at)
        return match[0] if match else None

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        """What stands here, if it is that; it is passed."""
        self._peek()
        match = pattern.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[0]

    def _peek(self) -> str:
        """The next character that is no blank, "" at the end; blanks are passed."""
        match = _BLANKS.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return self._text[self._at : self._at + 1]

    def _take(self, count: int) -> str:
        taken = self._text[self._at : self._at + count]
        self._at += count
        return taken

    def _expect(self, character: str, allowed: Collection[str]) -> None:
        if self._peek() != character:
            self._refuse(f"`{character}` is missing", allowed)
        self._at += 1

    def _deeper(self, rule: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse("There are too many brackets within brackets", (f"{MAX_DEPTH} of them",))
        node = rule()
        self._depth -= 1
        return node

    def _count_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            self._peek()
            self._refuse(
                "The expression has too many parts", (f"{MAX_PARTS} numbers, metrics and functions",)
            )

    def _refuse_lonely(self, word: str) -> NoReturn:
        if word in STATISTICS or word in FUNCTIONS or _PERCENTILE.fullmatch(word):
            self._at += len(word)
            self._refuse(f"`{word}` has no brackets", ("(",))
        shown = f"average({word}) or sum({word})"
        self._refuse(f"`{word}` is a metric without a statistic: write {shown}", STATISTICS)

    def _refuse(self, what: str, allowed: Collection[str], word: str | None = None) -> NoReturn:
        """Raise BadExpression for what stands here."""
        self._peek()
        found = self._found()
        nearest = _nearest(word, allowed) if word else None
        sentences = [f"{_place(self._text, self._at)}: {what}."]
        if nearest:
            sentences.append(f"Did you mean `{nearest}`?")
        choice = ", ".join(f"`{each}`" if len(each) == 1 else each for each in allowed)
        sentences.append(f"Found {f'`{found}`' if found else 'the end'}; allowed: {choice}.")
        raise BadExpression(
            " ".join(sentences) + "\n" + _picture(self._text, self._at, len(found)),
            position=self._at,
            found=found,
            allowed=tuple(allowed),
            nearest=nearest,
        )

    def _found(self) -> str:
        for pattern in (_WORD, _NUMBER):
            if match := pattern.match(self._text, self._at):
                return match[0][:_SHOWN]
        return self._text[self._at : self._at + 1]


_METRICS = ("a statistic of a metric, such as sum(environment_requests)",)
_BEGIN = ("a number", "(", "-", *STATISTICS, *FUNCTIONS)
_AFTER = ("+", "-", "*", "/", "the end")
_INSIDE = ("+", "-", "*", "/", ")")


def _nearest(word: str, known: Collection[str]) -> str | None:
    if word.lower() in _OTHER_WORDS and _OTHER_WORDS[word.lower()] in (*known, "p50"):
        return _OTHER_WORDS[word.lower()]
    return next(iter(difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)), None)


def _place(text: str, at: int) -> str:
    line = text.count("\n", 0, at)
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return f"Line {line + 1}, column {column}" if "\n" in text.strip() else f"Column {column}"


def _picture(text: str, at: int, length: int) -> str:
    """The line with the mistake, and carets below the mistake."""
    begin = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[begin : end if end >= 0 else len(text)]
    left = max(0, at - begin - _SHOWN)
    shown = re.sub(r"\s", " ", line[left : at - begin + _SHOWN])
    return f"    {shown}\n    {' ' * (at - begin - left)}{'^' * max(1, length)}"
