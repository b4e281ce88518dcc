"""The language: what it reads, what it refuses, and how it says so."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halage.monitor.metrics.errors import BadExpression
from halage.monitor.metrics.expression import MAX_DEPTH, MAX_LENGTH, MAX_PARTS, parse
from halage.monitor.metrics.model import Selector
from halage.monitor.metrics.syntax import (
    Aggregate,
    Arithmetic,
    Ask,
    Fill,
    Fold,
    Folded,
    Negate,
    Node,
    Number,
    Rate,
    asks_of,
)

A = Ask(Aggregate.SUM, Selector("a"))
B = Ask(Aggregate.SUM, Selector("b"))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("1", Number(1.0)),
        (" .5e1 ", Number(5.0)),
        ("-2", Number(-2.0)),
        ("sum(a)", A),
        ("sum ( a )", A),
        ("sum(a{})", A),
        ("average(my.app-1:x)", Ask(Aggregate.AVERAGE, Selector("my.app-1:x"))),
        ("minimum(a*_?)", Ask(Aggregate.MINIMUM, Selector("a*_?"))),
        ("samples(by by by)", Ask(Aggregate.SAMPLES, Selector("by"), ("by",))),
        ("sum(a by ())", Ask(Aggregate.SUM, Selector("a"), ())),
        ("sum(a by x, y, x)", Ask(Aggregate.SUM, Selector("a"), ("x", "y"))),
        ("sum(a by (x, y))", Ask(Aggregate.SUM, Selector("a"), ("x", "y"))),
        (
            """maximum(a{x="1",y='it\\'s "2"',})""",
            Ask(Aggregate.MAXIMUM, Selector("a", {"x": "1", "y": 'it\'s "2"'})),
        ),
        ('sum(a{x="a\\\\b\\nc"})', Ask(Aggregate.SUM, Selector("a", {"x": "a\\b\nc"}))),
        ("p99.9(a)", Ask(Aggregate.PERCENTILE, Selector("a"), None, 99.9)),
        ("p0(a)", Ask(Aggregate.PERCENTILE, Selector("a"), None, 0.0)),
        ("sum(a) + sum(b) * 2", Arithmetic("+", A, Arithmetic("*", B, Number(2.0)))),
        ("(sum(a) + sum(b)) * 2", Arithmetic("*", Arithmetic("+", A, B), Number(2.0))),
        ("sum(a) - sum(b) - 2", Arithmetic("-", Arithmetic("-", A, B), Number(2.0))),
        ("sum(a) / sum(b) * 100", Arithmetic("*", Arithmetic("/", A, B), Number(100.0))),
        ("sum(a)--1", Arithmetic("-", A, Number(-1.0))),
        ("-sum(a)*2", Arithmetic("*", Negate(A), Number(2.0))),
        ("rate(sum(a))", Rate(A)),
        ("fill(sum(a), 0)", Fill(A, 0.0)),
        ("fill(sum(a), -1.5)", Fill(A, -1.5)),
        ("fill(sum(a), previous)", Fill(A, "previous")),
        ("fill(sum(a)\n, linear)", Fill(A, "linear")),
        ("total(sum(a) + 1)", Folded(Fold.TOTAL, Arithmetic("+", A, Number(1.0)))),
        ("highest(p95(a))", Folded(Fold.HIGHEST, Ask(Aggregate.PERCENTILE, Selector("a"), None, 95.0))),
    ],
)
def test_what_is_read(text: str, node: Node) -> None:
    assert parse(text).root == node
    assert parse(text).text == text.strip()


@pytest.mark.parametrize(
    ("text", "column", "found", "says", "nearest"),
    [
        ("", 1, "", "There is no expression", None),
        ("averge(x)", 1, "averge", "no statistic and no function", "average"),
        ("avg(x)", 1, "avg", "no statistic and no function", "average"),
        ("1 + max(x)", 5, "max", "no statistic and no function", "maximum"),
        ("median(x)", 1, "median", "no statistic and no function", "p50"),
        ("p95(x) + heighest(p9(x))", 10, "heighest", "no statistic and no function", "highest"),
        ("cpu + 1", 1, "cpu", "a metric without a statistic: write average(cpu)", None),
        ("average", 8, "", "`average` has no brackets", None),
        ("sum()", 5, ")", "The name of a metric is missing", None),
        ("sum(x", 6, "", "`)` is missing", None),
        ("sum(x) by y", 8, "by", "`by` stands within the brackets", None),
        ("sum(x by )", 10, ")", "The name of a dimension is missing", None),
        ("sum(sum(x))", 5, "sum", "a statistic of lines is a function", None),
        ("sum(1)", 5, "1", "The name of a metric is missing", None),
        ("sum(x{y})", 8, "}", "`=` is missing", None),
        ("sum(x{y=z})", 9, "z", "The value of y is missing", None),
        ('sum(x{y="z})', 9, '"', "The value of y is missing", None),
        ('sum(x{y=~"z"})', 8, "=", "Dimensions are compared by = alone", None),
        ('sum(x{y="1",y="2"})', 13, "y", "named twice", None),
        ('sum(x{y="1" z="2"})', 13, "z", "`}` is missing", None),
        ("p101(x)", 1, "p101", "There is no percentile 101", None),
        ("mean(p95(x))", 1, "mean", "neither averaged nor added", None),
        ("total(p95(x) / 2)", 1, "total", "neither averaged nor added", None),
        ("rate(average(x))", 1, "rate", "of what was counted", None),
        ("rate(5)", 1, "rate", "nothing to work on", None),
        ("fill(sum(x), zero)", 14, "zero", "What `fill` shall write is missing", None),
        ("fill(sum(x), prev)", 14, "prev", "What `fill` shall write is missing", "previous"),
        ("fill(sum(x), -linear)", 15, "linear", "What `fill` shall write is missing", "linear"),
        ("fill(sum(x))", 12, ")", "`,` is missing", None),
        ("5m", 2, "m", "A number has no unit here", None),
        ("1e999", 1, "1e999", "The number is too large", None),
        ("1 1", 3, "1", "goes on where it could end", None),
        ("sum(x) > 5", 8, ">", "goes on where it could end", None),
        ("(1", 3, "", "`)` is missing", None),
        ("1 +", 4, "", "A value is missing", None),
        ("sum(x\0)", 6, "\0", "`)` is missing", None),
    ],
)
def test_what_is_refused_names_the_place(
    text: str, column: int, found: str, says: str, nearest: str | None
) -> None:
    with pytest.raises(BadExpression) as caught:
        parse(text)
    error = caught.value
    assert error.message.startswith(f"Column {column}: ")
    assert says in error.message
    assert error.facts["position"] == column - 1
    assert error.facts["found"] == found
    assert error.facts["nearest"] == nearest
    assert error.facts["allowed"]
    if nearest:
        assert f"Did you mean `{nearest}`?" in error.message
    _, shown, carets = error.message.split("\n")
    assert carets == " " * (4 + column - 1) + "^" * max(1, len(found))
    assert shown[4:] == re.sub(r"\s", " ", text)


def test_a_mistake_in_the_third_line_shows_that_line() -> None:
    with pytest.raises(BadExpression) as caught:
        parse("sum(a)\n  / sum(b)\n  * avg(c)")
    first, shown, carets = caught.value.message.split("\n")
    assert first.startswith("Line 3, column 5: `avg`")
    assert (shown, carets) == ("      * avg(c)", "        ^^^")


def test_of_a_long_line_the_surroundings_are_shown() -> None:
    with pytest.raises(BadExpression) as caught:
        parse("1 + " * 40 + "avg(c)" + " + 1" * 40)
    _, shown, carets = caught.value.message.split("\n")
    assert len(shown) <= 130
    assert shown[carets.index("^") :].startswith("avg(c)")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1" * (MAX_LENGTH + 1), f"it may have {MAX_LENGTH}"),
        ("(" * (MAX_DEPTH + 1) + "1" + ")" * (MAX_DEPTH + 1), "too many brackets"),
        ("-" * (MAX_DEPTH + 1) + "1", "too many brackets"),
        ("(" * 4000, "too many brackets"),
        ("+".join("1" for _ in range(MAX_PARTS + 1)), "too many parts"),
        ("*".join("1" for _ in range(2000)), "too many parts"),
    ],
)
def test_there_are_limits(text: str, says: str) -> None:
    with pytest.raises(BadExpression, match=says):
        parse(text)


def test_up_to_the_limits_is_allowed() -> None:
    parse("(" * (MAX_DEPTH - 1) + "1" + ")" * (MAX_DEPTH - 1))
    parse("+".join("1" for _ in range(MAX_PARTS)))
    parse("1" + " " * (MAX_LENGTH - 1))


names = st.from_regex(r"[a-z_*][a-z0-9_:.*-]{0,8}", fullmatch=True)
dimensions = st.from_regex(r"[a-z_][a-z0-9_.-]{0,5}", fullmatch=True)
numbers = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False).map(lambda value: value + 0.0)
percents = st.sampled_from([0.0, 50.0, 99.9, 100.0])
asks = st.builds(
    lambda aggregate, selector, by, percent: Ask(
        aggregate, selector, by, percent if aggregate is Aggregate.PERCENTILE else 0.0
    ),
    st.sampled_from(Aggregate),
    st.builds(Selector, names, st.dictionaries(dimensions, st.text(max_size=5), max_size=3)),
    st.none() | st.lists(dimensions, unique=True, max_size=3).map(tuple),
    percents,
)


def _folded(fold: Fold, operand: Node) -> Node:
    percentiles = any(ask.aggregate is Aggregate.PERCENTILE for ask in asks_of(operand))
    return Folded(Fold.HIGHEST if percentiles else fold, operand)


def _larger(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    with_metric = nodes.filter(lambda node: any(True for _ in asks_of(node)))
    counted = asks.filter(lambda ask: ask.aggregate in (Aggregate.SUM, Aggregate.SAMPLES))
    return st.one_of(
        st.builds(Arithmetic, st.sampled_from("+-*/"), nodes, nodes),
        st.builds(Negate, nodes.filter(lambda node: not isinstance(node, Number))),
        st.builds(Fill, with_metric, st.sampled_from(["previous", "linear"]) | numbers),
        st.builds(_folded, st.sampled_from(Fold), with_metric),
        st.builds(Rate, counted),
    )


@given(st.recursive(asks | numbers.map(Number), _larger, max_leaves=8))
@settings(max_examples=50, derandomize=True, deadline=None)
def test_what_is_written_is_read_back(node: Node) -> None:
    assert parse(str(node)).root == node


@given(st.text(alphabet="sumavergp95()ab{}=\"',*+-/ by.01\n", max_size=40))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_whatever_comes_is_read_or_refused_at_a_place_in_it(text: str) -> None:
    try:
        parse(text)
    except BadExpression as error:
        assert 0 <= error.facts["position"] <= len(text)
