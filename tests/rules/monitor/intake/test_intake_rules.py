"""Names, dimensions and values that a site may send, and how much of it."""

import math

import pytest

from halage.monitor.intake.errors import Refusal
from halage.monitor.intake.model import Reason
from halage.monitor.intake.quota import LIVE_S, SAY_EVERY_S, Quota
from halage.monitor.intake.rules import check_value, series_key, usable_dimensions
from halage.monitor.intake.tally import Tally
from halage.monitor.metrics.model import Kind, Sample, Series, SeriesKey

PROD = ("shop", "prod")
NOW = 1_000_000.0


def _key(name: str, **dimensions: str) -> SeriesKey:
    return series_key(PROD, name, dimensions)


def test_a_series_is_named_by_its_environment() -> None:
    key = series_key(PROD, "orders", {"channel": "web"}, instance="i-1")
    assert str(key) == 'orders{channel="web",environment="prod",instance="i-1",project="shop"}'


@pytest.mark.parametrize(
    ("name", "dimensions", "reason", "words"),
    [
        ("", {}, Reason.NAME, "cannot be called ''"),
        ("9lives", {}, Reason.NAME, "begin with a digit"),
        ("page.views", {}, Reason.NAME, "'page.views'"),
        ("x" * 129, {}, Reason.NAME, "1 to 128"),
        ("naïve", {}, Reason.NAME, "letters, digits"),
        ("orders\n", {}, Reason.NAME, "cannot be called"),
        ("instance_cpu_percent", {}, Reason.NAME, "'instance_' are Halage's own"),
        ("environment_requests", {}, Reason.NAME, "'environment_'"),
        ("machine_load_1m", {}, Reason.NAME, "'machine_'"),
        ("halage_open_runs", {}, Reason.NAME, "'halage_'"),
        ("orders", {"project": "bank"}, Reason.DIMENSION, "given by Halage"),
        ("orders", {"environment": "dev"}, Reason.DIMENSION, "given by Halage"),
        ("orders", {"instance": "i-9"}, Reason.DIMENSION, "given by Halage"),
        ("orders", {"le": "1"}, Reason.DIMENSION, "Prometheus"),
        ("orders", {"quantile": "1"}, Reason.DIMENSION, "Prometheus"),
        ("orders", {"__name__": "x"}, Reason.DIMENSION, "two underscores"),
        ("orders", {"a-b": "x"}, Reason.DIMENSION, "'a-b'"),
        ("orders", {"a": ""}, Reason.DIMENSION, "1 to 200"),
        ("orders", {"a": "x" * 201}, Reason.DIMENSION, "1 to 200"),
        ("orders", {"a": "\x1b[31m"}, Reason.DIMENSION, "printable"),
        ("orders", {"a": "\ud800"}, Reason.DIMENSION, "printable"),
        ("orders", {f"d{n}": "x" for n in range(11)}, Reason.DIMENSION, "11 dimensions; 10 at most"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    name: str, dimensions: dict[str, str], reason: Reason, words: str
) -> None:
    with pytest.raises(Refusal) as refused:
        series_key(PROD, name, dimensions)
    assert refused.value.reason is reason
    assert words in refused.value.message


def test_an_unusual_value_of_a_dimension_is_kept_as_it_is() -> None:
    assert _key("orders", path='/a"b\\c {é}').get("path") == '/a"b\\c {é}'


def test_a_program_s_dimensions_are_renamed_as_prometheus_does() -> None:
    sent = {"instance": "web-1", "project": "bank", "empty": "", "a": "b"}
    assert usable_dimensions(sent) == {"exported_instance": "web-1", "exported_project": "bank", "a": "b"}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.GAUGE, math.nan),
        (Kind.GAUGE, math.inf),
        (Kind.GAUGE, -1e101),
        (Kind.DISTRIBUTION, math.inf),
        (Kind.COUNT, -1.0),
        (Kind.COUNT, 2e15),
    ],
)
def test_a_value_that_cannot_be_kept_is_refused(kind: Kind, value: float) -> None:
    with pytest.raises(Refusal) as refused:
        check_value("orders", kind, value)
    assert refused.value.reason is Reason.VALUE


def test_past_the_limit_new_series_are_refused_and_the_old_ones_go_on() -> None:
    quota = Quota(PROD, 3)
    for number in range(3):
        quota.admit(_key("orders", shop=str(number)), Kind.COUNT, NOW)
    with pytest.raises(Refusal) as refused:
        quota.admit(_key("visits"), Kind.COUNT, NOW)
    assert refused.value.reason is Reason.SERIES_LIMIT
    for word in ("shop.prod", "3", "visits", "metrics.series_per_environment"):
        assert word in refused.value.message
    quota.admit(_key("orders", shop="1"), Kind.COUNT, NOW)


def test_a_million_values_of_a_dimension_cost_no_memory() -> None:
    quota = Quota(PROD, 100)
    for number in range(20_000):
        try:
            quota.admit(_key("orders", visitor=str(number)), Kind.COUNT, NOW)
        except Refusal as refusal:
            quota.refuse(refusal, NOW)
    state = quota.state
    assert state.series == 100
    (refused,) = state.refused
    assert (refused.reason, refused.count, refused.metric) == (Reason.SERIES_LIMIT, 19_900, "orders")


def test_a_series_counts_for_a_day_after_its_last_sample() -> None:
    quota = Quota(PROD, 1)
    quota.admit(_key("orders"), Kind.COUNT, NOW)
    quota.forget(NOW + LIVE_S - 1, frozenset())
    assert quota.series == 1
    quota.forget(NOW + LIVE_S + 60, frozenset())
    quota.admit(_key("orders", shop="new"), Kind.GAUGE, NOW + LIVE_S + 60)


def test_series_of_an_instance_count_while_there_is_the_instance() -> None:
    quota = Quota(PROD, 10)
    for instance in ("i-1", "i-2"):
        quota.admit(series_key(PROD, "orders", {}, instance=instance), Kind.COUNT, NOW)
    quota.forget(NOW + 1, {"i-2"})
    assert quota.series == 1


def test_series_from_before_a_restart_count() -> None:
    quota = Quota(PROD, 1)
    series = Series(1, _key("orders"), Kind.COUNT, 10, NOW, NOW)
    own = Series(2, SeriesKey.of("environment_requests"), Kind.COUNT, 10, NOW, NOW)
    quota.remember([series, own])
    with pytest.raises(Refusal):
        quota.admit(_key("visits"), Kind.COUNT, NOW)
    quota.admit(_key("orders"), Kind.COUNT, NOW)


def test_a_metric_has_one_kind_in_its_environment() -> None:
    quota = Quota(PROD, 10)
    quota.admit(_key("orders", shop="a"), Kind.COUNT, NOW)
    with pytest.raises(Refusal, match=r"is a count in shop\.prod") as refused:
        quota.admit(_key("orders", shop="b"), Kind.GAUGE, NOW)
    assert refused.value.reason is Reason.KIND


def test_refusals_are_said_once_an_hour_at_most_and_only_when_there_are_new_ones() -> None:
    quota = Quota(PROD, 0)
    refusal = Refusal(Reason.VALUE, "orders", "no")
    assert quota.to_say(NOW) is None
    quota.refuse(refusal, NOW)
    said = quota.to_say(NOW)
    assert said is not None and said.count == 1
    quota.refuse(refusal, NOW + 1)
    assert quota.to_say(NOW + SAY_EVERY_S - 1) is None
    assert quota.to_say(NOW + SAY_EVERY_S) is not None
    assert quota.to_say(NOW + 3 * SAY_EVERY_S) is None


def test_a_tally_adds_up_what_a_tick_brings() -> None:
    tally = Tally(100)
    tally.set_level(_key("queue"), 3)
    tally.set_level(_key("queue"), 5)
    tally.count(_key("orders"), 2)
    tally.count(_key("orders"), 0.5)
    for value in (10.0, 20.0):
        tally.add_value(_key("time_ms"), value, 3)
    for member in ("ada", "lea", "ada"):
        tally.add_member(_key("visitors"), member)
    samples = {sample.key.name: sample for sample in tally}
    assert samples["queue"] == Sample(_key("queue"), Kind.GAUGE, 5)
    assert samples["orders"] == Sample(_key("orders"), Kind.COUNT, 2.5)
    assert samples["visitors"] == Sample(_key("visitors"), Kind.GAUGE, 2.0)
    sketch = samples["time_ms"].value
    assert not isinstance(sketch, float) and (sketch.count, sketch.total) == (6, 90.0)


def test_a_tally_keeps_so_many_values_apart_and_no_more() -> None:
    tally = Tally(100)
    refused = 0
    for number in range(1000):
        try:
            tally.add_value(_key("time_ms"), 1.03**number)
            tally.add_member(_key("visitors"), str(number))
        except Refusal as refusal:
            assert refusal.reason is Reason.VALUE_LIMIT
            refused += 1
    assert refused > 800
    (sketch,) = (sample.value for sample in tally if sample.kind is Kind.DISTRIBUTION)
    assert not isinstance(sketch, float) and len(sketch.bins) <= 100
