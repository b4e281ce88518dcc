"""Prometheus' text format and OpenMetrics, and what they say of the time since the last scrape."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from halage.monitor.intake.exposition import BadExposition, parse_exposition
from halage.monitor.intake.increase import MOST_REMEMBERED, Counters, Measured, sketch_of
from halage.monitor.metrics.model import Kind
from halage.monitor.metrics.sketch import ALPHA, Sketch


def _samples(text: str) -> dict[str, float]:
    families, _ = parse_exposition(text)
    found = {}
    for family in families:
        for sample in family.samples:
            inner = ",".join(f"{name}={value}" for name, value in sample.labels)
            found[f"{family.type} {sample.name}{{{inner}}}"] = sample.value
    return found


TEXT = """
# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3
# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\\\DIR\\\\FILE.TXT",error="Not found:\\n\\"FILE.TXT\\""} 1.458e9
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by } zero",} +Inf -3982045
# TYPE rpc summary
rpc{quantile="0.5"} 4773
rpc_sum 1.7560473e+07
rpc_count 2693
# TYPE open_metrics counter
open_metrics_total{a="b"} 17.0 1520879607.789 # {trace_id="KOO5S4vxi0o"} 0.67
open_metrics_created{a="b"} 1520430000.123
untyped_total 4
not_a_number NaN
# EOF
"""


def test_every_part_of_the_format_is_read() -> None:
    samples = _samples(TEXT)
    assert math.isnan(samples.pop("untyped not_a_number{}"))
    assert samples == {
        "counter http_requests_total{code=200,method=post}": 1027,
        "counter http_requests_total{code=400,method=post}": 3,
        'untyped msdos_file_access_time_seconds{error=Not found:\n"FILE.TXT",'
        "path=C:\\DIR\\FILE.TXT}": 1.458e9,
        "untyped metric_without_timestamp_and_labels{}": 12.47,
        "untyped something_weird{problem=division by } zero}": math.inf,
        "summary rpc{quantile=0.5}": 4773,
        "summary rpc_sum{}": 1.7560473e07,
        "summary rpc_count{}": 2693,
        "counter open_metrics_total{a=b}": 17,
        "counter untyped_total{}": 4,
    }


@pytest.mark.parametrize(
    "line", ["a{b} 1", 'a{b="c} 1', "a", "a b", "1a 1", 'a{b="1",b="2"} 1', 'a{b="c"', "a 1_000", "{} 1"]
)
def test_a_line_that_cannot_be_read_is_counted_and_the_others_are_kept(line: str) -> None:
    families, bad = parse_exposition(f"good 1\n{line}\nbetter 2\n")
    assert [family.name for family in families] == ["good", "better"]
    assert bad == 1


def test_what_is_no_such_text_is_refused() -> None:
    with pytest.raises(BadExposition, match="not in Prometheus' text format"):
        parse_exposition("<!doctype html>\n<title>Welcome</title>\n")
    with pytest.raises(BadExposition, match="more than 10000 samples"):
        parse_exposition("\n".join(f'a{{b="{number}"}} 1' for number in range(10_001)))


@given(some.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        families, _ = parse_exposition(text)
    except BadExposition:
        return
    list(Counters().measure(families))


def _measure(counters: Counters, text: str) -> dict[str, Measured]:
    families, bad = parse_exposition(text)
    assert bad == 0
    return {measured.name: measured for measured in counters.measure(families)}


def test_a_counter_says_its_increase_and_begins_anew_with_its_process() -> None:
    counters = Counters()
    text = "# TYPE orders_total counter\norders_total {}\n"
    assert _measure(counters, text.format(100)) == {}
    for standing, increase in ((107, 7), (107, 0), (3, 3), (4.5, 1.5)):
        measured = _measure(counters, text.format(standing))["orders_total"]
        assert (measured.kind, measured.value) == (Kind.COUNT, increase)


def test_a_counter_that_appears_later_began_at_zero() -> None:
    counters = Counters()
    _measure(counters, 'x_total{code="200"} 5\n')
    families, _ = parse_exposition('x_total{code="200"} 6\nx_total{code="500"} 2\n')
    assert [(m.labels, m.value) for m in counters.measure(families)] == [
        ((("code", "200"),), 1),
        ((("code", "500"),), 2),
    ]


def test_a_counter_that_was_away_for_a_scrape_goes_on() -> None:
    counters = Counters()
    _measure(counters, "x_total 5\n")
    _measure(counters, "y 1\n")
    assert _measure(counters, "x_total 6\n")["x_total"].value == 1


def test_a_series_that_was_refused_does_not_come_back_with_its_whole_past() -> None:
    counters = Counters()
    _measure(counters, "x_total 5\n")
    _measure(counters, 'x_total 6\nx_total{code="500"} 900\n')
    counters.forget({("x_total", (("code", "500"),))})
    families, _ = parse_exposition('x_total 7\nx_total{code="500"} 1000\n')
    assert [(m.labels, m.value) for m in counters.measure(families)] == [((), 1)]


def test_label_values_that_come_and_go_are_forgotten() -> None:
    counters = Counters()

    def churn(scrape: int) -> str:
        return "".join(f'hits_total{{user="{scrape}-{number}"}} 7\n' for number in range(6000))

    for scrape in range(8):
        families, _ = parse_exposition(f"steady_total {scrape}\n" + churn(scrape))
        measured = list(counters.measure(families))
        counters.forget({(each.name, each.labels) for each in measured if each.name == "hits_total"})
    assert counters.remembered <= MOST_REMEMBERED
    families, _ = parse_exposition("steady_total 9\n" + churn(0))
    assert [(each.name, each.value) for each in counters.measure(families)] == [("steady_total", 2)], (
        "what was forgotten does not come back with its whole past"
    )


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1"])
def test_a_counter_that_lies_says_nothing(value: str) -> None:
    counters = Counters()
    _measure(counters, "x_total 5\n")
    assert _measure(counters, f"x_total {value}\n") == {}
    assert _measure(counters, "x_total 6\n")["x_total"].value == 1


def test_gauges_and_summaries() -> None:
    counters = Counters()
    text = """
# TYPE temperature gauge
temperature 21.5
# TYPE rpc summary
rpc{quantile="0.5"} 4773
rpc_sum %d
rpc_count %d
"""
    assert set(_measure(counters, text % (100, 10))) == {"temperature", "rpc"}
    second = _measure(counters, text % (130, 14))
    assert {name: (each.kind, each.value) for name, each in second.items()} == {
        "temperature": (Kind.GAUGE, 21.5),
        "rpc": (Kind.GAUGE, 4773.0),
        "rpc_sum": (Kind.COUNT, 30.0),
        "rpc_count": (Kind.COUNT, 4.0),
    }


def _histogram(*cumulative: int, total: float) -> str:
    bounds = ("0.1", "0.5", "+Inf")
    lines = [
        f'd_bucket{{le="{le}"}} {count}'
        for le, count in zip(bounds[-len(cumulative) :], cumulative, strict=True)
    ]
    return "\n".join(["# TYPE d histogram", *lines, f"d_sum {total}", f"d_count {cumulative[-1]}", ""])


def _sketch(measured: Measured) -> Sketch:
    assert isinstance(measured.value, Sketch)
    return measured.value


def test_a_histogram_becomes_a_distribution_of_what_came_since() -> None:
    counters = Counters()
    assert _measure(counters, _histogram(10, 10, 10, total=0.5)) == {}
    sketch = _sketch(_measure(counters, _histogram(20, 30, 30, total=4.0))["d"])
    assert sketch.count == 20
    assert sketch.total == pytest.approx(3.5), "the sum is exact"
    # Half in (0, 0.1], half in (0.1, 0.5]: ranks spread evenly, as histogram_quantile has them.
    for quantile, value in ((0.25, 0.045), (0.5, 0.095), (0.75, 0.28), (1.0, 0.48)):
        found = sketch.quantile(quantile)
        assert found is not None and abs(found - value) <= value * ALPHA * 1.1
    anew = _sketch(_measure(counters, _histogram(1, 2, 2, total=0.4))["d"])
    assert anew.count == 2, "the process began anew"
    assert anew.total == pytest.approx(0.4)


def test_a_histogram_with_other_buckets_than_before_says_nothing_once() -> None:
    counters = Counters()
    _measure(counters, _histogram(10, 12, total=1))
    assert _measure(counters, _histogram(5, 11, 13, total=1)) == {}
    assert _sketch(_measure(counters, _histogram(6, 12, 14, total=1.2))["d"]).count == 1


def test_a_histogram_that_lies_is_bounded() -> None:
    counters = Counters()
    _measure(counters, _histogram(0, 0, 0, total=0))
    assert _measure(counters, _histogram(1, 1, 10**300, total=1)) == {}
    sketch = _sketch(_measure(counters, _histogram(9, 4, 2, total=1e308))["d"])
    assert 0 <= sketch.count <= 9


def test_values_above_the_last_bound_count_as_that_bound() -> None:
    sketch = sketch_of([1.0, 2.0, math.inf], [0, 0, 7])
    assert (sketch.count, sketch.minimum, sketch.maximum) == (7, 2.0, 2.0)
