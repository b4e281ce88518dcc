"""What expressions make of series: statistics, merging, pairing, filling, and what nobody may see."""

import math
import random
from collections.abc import Mapping

import pytest

from halage.monitor.metrics.errors import TooLarge
from halage.monitor.metrics.evaluate import Evaluation, Evaluator, Sizes, Visible, evaluate
from halage.monitor.metrics.expression import parse
from halage.monitor.metrics.lines import labels
from halage.monitor.metrics.model import SILENT_S, Kind
from tests.metrics import MemoryMetrics

X = None


@pytest.fixture
def store() -> MemoryMetrics:
    return MemoryMetrics()


def run(
    store: MemoryMetrics,
    text: str,
    *,
    start: float = 0,
    end: float = 40,
    period_s: int = 10,
    visible: Visible = None,
) -> Evaluation:
    return evaluate(parse(text), store, start, end, period_s, visible)


def values(found: Evaluation) -> list[list[float | None]]:
    return [line.values for line in found.lines]


def by(found: Evaluation, dimension: str) -> Mapping[str, list[float | None]]:
    return {line.dimensions[dimension]: line.values for line in found.lines}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("average(x)", [2.0, X, 5.0]),
        ("sum(x)", [4.0, X, 5.0]),
        ("minimum(x)", [1.0, X, 5.0]),
        ("maximum(x)", [3.0, X, 5.0]),
        ("samples(x)", [2.0, X, 1.0]),
        ("rate(sum(x))", [0.2, X, 0.25]),
        ("sum(x) + 1", [5.0, X, 6.0]),
        ("1 - sum(x)", [-3.0, X, -4.0]),
        ("-sum(x)", [-4.0, X, -5.0]),
        ("-sum(x) * -2", [8.0, X, 10.0]),
        ("2 * 3 + sum(x) / 2", [8.0, X, 8.5]),
        ("sum(x) / 0", None),
        ("sum(x) / (sum(x) - 4)", [X, X, 5.0]),
        ("(sum(x) - sum(x)) / 2", [0.0, X, 0.0]),
        ("sum(x) * 1e308 * 10", None),
        ("fill(sum(x), 0)", [4.0, 0.0, 5.0]),
        ("fill(sum(x), previous)", [4.0, 4.0, 5.0]),
        ("fill(sum(x), linear)", [4.0, 4.5, 5.0]),
        ("1 + 2", [3.0, 3.0, 3.0]),
        ("1 / 0", None),
    ],
)
def test_one_series(store: MemoryMetrics, text: str, expected: list[float | None] | None) -> None:
    store.put("x", [1, 3, X, X, 5])
    assert values(run(store, text, end=60, period_s=20)) == ([] if expected is None else [expected])


def test_filling_begins_and_ends_with_what_is_known(store: MemoryMetrics) -> None:
    store.put("x", [X, 1, X, 4, X])
    assert values(run(store, "fill(sum(x), previous)", end=50)) == [[X, 1, 1, 4, 4]]
    assert values(run(store, "fill(sum(x), linear)", end=50)) == [[X, 1, 2.5, 4, X]]


def test_percentiles_are_of_the_values_and_never_averaged(store: MemoryMetrics) -> None:
    chance = random.Random(7)
    fast = [chance.lognormvariate(2, 0.3) for _ in range(5000)]
    slow = [chance.lognormvariate(5, 0.3) for _ in range(500)]
    store.put("ms", [fast[:2500], fast[2500:]], instance="i-1")
    store.put("ms", [slow[:100], slow[100:]], instance="i-2")
    (merged,) = values(run(store, "p95(ms by ())", end=20, period_s=20))
    exact = sorted(fast + slow)[math.ceil(0.95 * 5500) - 1]
    assert merged[0] == pytest.approx(exact, rel=0.011)
    (mean,) = values(run(store, "average(ms by ())", end=20, period_s=20))
    assert mean[0] == pytest.approx(sum(fast + slow) / 5500)
    assert values(run(store, "samples(ms by ())", end=20, period_s=20)) == [[5500]]
    each = by(run(store, "p50(ms)", end=20, period_s=20), "instance")
    assert each["i-1"][0] == pytest.approx(sorted(fast)[2499], rel=0.011)
    assert each["i-2"][0] == pytest.approx(sorted(slow)[249], rel=0.011)


def test_merging_does_not_change_what_the_reader_gave(store: MemoryMetrics) -> None:
    for instance in ("i-1", "i-2", "i-3"):
        store.put("ms", [[1.0, 2.0], [3.0]], instance=instance)
    expression = parse("p100(ms by ())")
    evaluator = Evaluator(store)
    first = evaluator.evaluate(expression, 0, 20, 10, None)
    assert evaluator.evaluate(expression, 0, 20, 10, None) == first
    assert values(run(store, "samples(ms)", end=20)) == [[2, 1]] * 3


@pytest.mark.parametrize(
    ("statistic", "prod", "dev"),
    [
        ("average", [2.0, 5.0, 3.0, X], [9.0, X, X, X]),
        ("sum", [4.0, 5.0, 3.0, X], [9.0, X, X, X]),
        ("minimum", [1.0, 5.0, 3.0, X], [9.0, X, X, X]),
        ("maximum", [3.0, 5.0, 3.0, X], [9.0, X, X, X]),
        ("samples", [2.0, 1.0, 1.0, X], [1.0, X, X, X]),
        ("p100", [3.0, 5.0, 3.0, X], [9.0, X, X, X]),
    ],
)
def test_merged_by_a_dimension(
    store: MemoryMetrics, statistic: str, prod: list[float | None], dev: list[float | None]
) -> None:
    store.put("x", [1, X, 3], environment="prod", instance="i-1")
    store.put("x", [3, 5, X], environment="prod", instance="i-2")
    store.put("x", [9], environment="dev", instance="i-3")
    found = run(store, f"{statistic}(x by environment)")
    assert [dict(line.dimensions) for line in found.lines] == [
        {"environment": "prod"},
        {"environment": "dev"},
    ]
    assert values(found) == [
        [value and pytest.approx(value, rel=0.01) for value in each] for each in (prod, dev)
    ]


def test_by_nothing_merges_all_and_a_dimension_that_is_absent_is_a_group(store: MemoryMetrics) -> None:
    store.put("x", [1], a="1")
    store.put("x", [2], a="2", b="1")
    store.put("x", [4])
    assert values(run(store, "sum(x by ())", end=10)) == [[7]]
    found = run(store, "sum(x by a)", end=10)
    assert [(dict(line.dimensions), line.values) for line in found.lines] == [
        ({"a": "1"}, [1]),
        ({"a": "2"}, [2]),
        ({}, [4]),
    ]


def test_lines_are_folded_period_by_period(store: MemoryMetrics) -> None:
    store.put("x", [1, X, 3, X], environment="prod", instance="i-1")
    store.put("x", [3, 5, X, X], environment="prod", instance="i-2")
    for text, expected in (("total", [4, 5, 3, X]), ("mean", [2, 5, 3, X]), ("highest", [3, 5, 3, X])):
        found = run(store, f"{text}(average(x))")
        assert values(found) == [expected]
        assert found.lines[0].dimensions == {"environment": "prod"}
    assert values(run(store, "lowest(average(x))")) == [[1, 5, 3, X]]


def test_lines_pair_by_the_dimensions_that_the_selector_leaves_open(store: MemoryMetrics) -> None:
    store.put("errors", [1], project="shop", environment="prod", instance="i-1")
    for instance, value in (("i-1", 10), ("i-2", 5)):
        store.put("requests", [value], project="shop", environment="prod", instance=instance)
    # i-2 had no errors: its rate is missing, and not that of i-1.
    for narrow in ("", '{project="shop"}', '{project="sh*"}'):
        for other in ("", '{environment="prod",project="shop"}'):
            found = run(store, f"sum(errors{narrow}) / sum(requests{other}) * 100", end=10)
            assert by(found, "instance") == {"i-1": [10.0]}
    # Two that were named pair although they contradict each other.
    found = run(store, 'sum(requests{instance="i-1"}) - sum(requests{instance="i-2"})', end=10)
    assert values(found) == [[5.0]]
    assert found.lines[0].dimensions == {"project": "shop", "environment": "prod"}


def test_fewer_dimensions_pair_with_each_that_agrees(store: MemoryMetrics) -> None:
    for environment, wanted in (("prod", 4), ("dev", 2)):
        store.put("wanted", [wanted], environment=environment)
        for instance in ("1", "2"):
            store.put("cpu", [8], environment=environment, instance=f"{environment}-{instance}")
    for text in ("sum(cpu) / sum(wanted)", "1 / (sum(wanted) / sum(cpu))"):
        found = by(run(store, text, end=10), "instance")
        assert found == {"prod-1": [2], "prod-2": [2], "dev-1": [4], "dev-2": [4]}
    # A single one pairs with all.
    assert values(run(store, 'sum(cpu) + sum(wanted{environment="dev"})', end=10)) == [[10]] * 4
    store.put("machine", [1], mount="/")
    assert values(run(store, "sum(cpu) + sum(machine)", end=10)) == [[9]] * 4
    assert values(run(store, "sum(machine) + sum(cpu)", end=10)) == [[9]] * 4


def test_what_pairs_with_nothing_is_told(store: MemoryMetrics) -> None:
    for number in ("1", "2"):
        store.put("x", [1], instance=number)
        store.put("y", [1], mount=number)
    found = run(store, "sum(x) / sum(y)", end=10)
    assert found.lines == ()
    assert "by instance on the left and by mount on the right" in found.problems[0]


def test_several_metrics_at_once_keep_their_names(store: MemoryMetrics) -> None:
    store.put("net_in", [1], instance="i-1")
    store.put("net_out", [2], instance="i-1")
    found = run(store, "sum(net_*) / 2", end=10)
    assert [line.name for line in found.lines] == ["net_in", "net_out"]
    assert labels(found.lines, "-") == ["net_in", "net_out"]
    assert values(run(store, "sum(net_*) / sum(net_*)", end=10)) == [[1], [1]]
    assert values(run(store, "sum(net_* by instance)", end=10)) == [[3]]


def test_a_missing_value_stays_missing_in_arithmetic(store: MemoryMetrics) -> None:
    store.put("a", [1, X, 3, X])
    store.put("b", [1, 2, X, X])
    for operator in "+-*/":
        (found,) = values(run(store, f"sum(a) {operator} sum(b)"))
        assert found[1:] == [X, X, X]
        assert found[0] is not None


def test_lines_are_labelled_by_what_tells_them_apart(store: MemoryMetrics) -> None:
    store.put("x", [1], project="shop", environment="prod", instance="i-1")
    assert labels(run(store, "sum(x)", end=10).lines, "sum( x\n)") == ["sum( x )"]
    store.put("x", [1], project="shop", environment="prod", instance="i-2")
    assert labels(run(store, "sum(x)", end=10).lines, "") == ["i-1", "i-2"]
    store.put("x", [1], project="shop", environment="dev", instance="i-2")
    assert labels(run(store, "sum(x)", end=10).lines, "") == ["prod i-1", "prod i-2", "dev i-2"]
    store.put("y", [1], a="1")
    store.put("y", [1], b="1")
    assert labels(run(store, "sum(y)", end=10).lines, "") == ["a=1", "b=1"]


def test_nobody_reads_the_series_of_another_project(store: MemoryMetrics) -> None:
    store.put("x", [1], project="shop")
    store.put("x", [2], project="hidden")
    store.put("x", [4])
    for text, expected in (
        ("sum(x by ())", [5]),
        ('sum(x{project="*"} by ())', [1]),
        ("total(sum(x))", [5]),
    ):
        assert values(run(store, text, end=10, visible=frozenset({"shop"}))) == [expected]
    for text in (
        'sum(x{project="hidden"})',
        'sum(x{project="h*"} by ())',
        'fill(sum(x{project="hidden"}), 0)',
    ):
        found = run(store, text, end=10, visible=frozenset({"shop"}))
        assert found.lines == ()
        assert len(found.unmatched) == 1
    # What one caller was answered is not remembered for another.
    evaluator, expression = Evaluator(store), parse("sum(x by ())")
    found_by = [
        evaluator.evaluate(expression, 0, 10, 10, visible).lines[0].values[0]
        for visible in (None, frozenset({"shop"}), frozenset({"hidden"}), frozenset[str](), None)
    ]
    assert found_by == [7, 5, 6, 4, 7]


def test_the_period_is_whole_multiples_of_the_resolution(store: MemoryMetrics) -> None:
    store.put("x", [1, 2, 3, 4])
    assert run(store, "sum(x)", period_s=1).period_s == 10
    found = run(store, "sum(x)", period_s=15)
    assert (found.period_s, values(found)) == (20, [[3, 7]])
    store.put("fast", range(20), resolution_s=1)
    assert run(store, "sum(fast)", end=20, period_s=1).period_s == 1
    assert run(store, "sum(fast) + sum(x)", end=20, period_s=1).period_s == 10


def test_where_only_a_longer_period_is_kept_all_is_answered_by_that(store: MemoryMetrics) -> None:
    store.put("x", [1] * 12)
    store.finest_s = 60
    found = run(store, "sum(x) / sum(x) + 0", start=20, end=120)
    assert (found.start, found.period_s, values(found)) == (0, 60, [[1, 1]])


def test_the_time_is_widened_to_whole_periods(store: MemoryMetrics) -> None:
    store.put("x", [1] * 12)
    found = run(store, "sum(x)", start=59, end=61, period_s=60)
    assert (found.start, values(found)) == (0, [[6, 6]])


def test_lines_without_a_value_are_left_out(store: MemoryMetrics) -> None:
    store.put("x", [1], instance="gone")
    store.put("x", [1], at=100, instance="here")
    assert list(by(run(store, "sum(x)", start=90, end=120), "instance")) == ["here"]
    # `fill` speaks for those that were heard of within a day before.
    assert len(run(store, "fill(sum(x), 0)", start=90, end=120).lines) == 2
    later = SILENT_S + 60
    assert run(store, "fill(sum(x), 0)", start=later, end=later + 30).lines[0].dimensions == {
        "instance": "here"
    }


def test_problems_of_the_reader_are_told_once(store: MemoryMetrics) -> None:
    store.put("x", [1])
    store.problems = ("chunk 7 is corrupt",)
    assert run(store, "sum(x) / maximum(x)").problems == ("chunk 7 is corrupt",)


def test_which_series_are_meant_is_asked_anew_only_when_they_change(store: MemoryMetrics) -> None:
    store.put("x", [1] * 360, instance="i-1")
    evaluator, expression = Evaluator(store), parse("sum(x)")
    for tick in range(100):
        evaluator.evaluate(expression, tick * 10, tick * 10 + 50, 10, None)
    assert store.finds == 1
    store.put("x", [1] * 360, instance="i-2")
    assert len(evaluator.evaluate(expression, 1000, 1050, 10, None).lines) == 2
    assert store.finds == 2


def test_a_series_that_is_heard_of_again_after_days_is_seen_at_once(store: MemoryMetrics) -> None:
    store.put("x", [1], instance="sparse")
    store.put("x", [1] * 2, at=3 * SILENT_S, instance="other")
    evaluator, expression = Evaluator(store), parse("sum(x)")
    now = 3 * SILENT_S
    assert len(evaluator.evaluate(expression, now, now + 50, 10, None).lines) == 1
    store.put("x", [1], at=now + 60, instance="sparse")
    assert len(evaluator.evaluate(expression, now + 20, now + 70, 10, None).lines) == 1
    found = evaluator.evaluate(expression, now + 60, now + 110, 10, None)
    assert by(found, "instance") == {"sparse": [1, X, X, X, X]}


def test_a_question_about_the_past_does_not_hide_what_came_later(store: MemoryMetrics) -> None:
    store.put("x", [1], instance="early")
    store.put("x", [1], at=1000, instance="late")
    evaluator, expression = Evaluator(store), parse("sum(x)")
    assert len(evaluator.evaluate(expression, 0, 100, 10, None).lines) == 1
    assert len(evaluator.evaluate(expression, 0, 1100, 10, None).lines) == 2


def test_large_groups_are_read_in_parts(store: MemoryMetrics) -> None:
    for number in range(10):
        store.put("x", [number, X, 1], group=str(number % 2), instance=str(number))
    store.put("x", [100], group="small", instance="s")
    whole = {text: run(store, text) for text in ("sum(x by group)", "p100(x by group)", "sum(x)")}
    assert values(whole["sum(x by group)"]) == [[20, X, 5, X], [25, X, 5, X], [100, X, X, X]]
    for at_once in (1, 8, 12, 20):
        evaluator = Evaluator(store, Sizes(read_at_once=at_once, sketches_at_once=at_once))
        store.asked.clear()
        for text, expected in whole.items():
            assert evaluator.evaluate(parse(text), 0, 40, 10, None) == expected
        assert max(count for count, _, _ in store.asked) <= max(1, at_once // 4)


def test_an_answer_has_an_end(store: MemoryMetrics) -> None:
    with pytest.raises(TooLarge, match="Ask for a period of 10000 s"):
        run(store, "1", end=1e9, period_s=1)
    for number in range(1001):
        store.put("x", [1], kind=Kind.COUNT, instance=str(number))
    with pytest.raises(TooLarge, match="has 1001 lines; it may have 1000"):
        run(store, "sum(x)")
    assert values(run(store, "total(sum(x))", end=10)) == [[1001]]
    with pytest.raises(TooLarge, match="Ask for a period of 20 s or longer"):
        run(store, 'fill(sum(x{instance="9*"}), 0)', end=10000)
    with pytest.raises(TooLarge, match=r"sum\(x by \(\)\) means 1001 series of 1000 periods each"):
        run(store, "sum(x by ())", end=10000)
    with pytest.raises(TooLarge, match="at most 300000 are read"):
        run(store, "p95(x by ())", end=3000)
