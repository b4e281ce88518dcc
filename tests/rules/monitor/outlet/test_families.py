"""How Halage's series are called and written for Prometheus."""

import pytest

from halage.monitor.metrics.model import Kind, SeriesKey
from halage.monitor.outlet.accumulator import Histogram, Standing
from halage.monitor.outlet.exposition import render
from halage.monitor.outlet.families import exposed_name, families_of


@pytest.mark.parametrize(
    ("name", "kind", "exposed"),
    [
        ("environment_requests", Kind.COUNT, ("environment_requests_total", 1.0)),
        ("environment_response_time_ms", Kind.DISTRIBUTION, ("environment_response_time_seconds", 0.001)),
        ("environment_certificate_days", Kind.GAUGE, ("environment_certificate_seconds", 86400.0)),
        ("instance_memory_bytes", Kind.GAUGE, ("instance_memory_bytes", 1.0)),
        ("orders_total", Kind.COUNT, ("orders_total", 1.0)),
        ("orders", Kind.COUNT, ("orders_total", 1.0)),
        ("checkout_ms", Kind.GAUGE, ("checkout_ms", 1.0)),
    ],
)
def test_own_metrics_are_in_base_units_and_a_site_s_keep_their_names(
    name: str, kind: Kind, exposed: tuple[str, float]
) -> None:
    assert exposed_name(name, kind) == exposed


def _text(*standing: Standing) -> str:
    return render(families_of(standing, {"machine_load_1m": "Load.\nOf a \\minute."}.get))


def _standing(name: str, kind: Kind, value: float | Histogram, **dimensions: str) -> Standing:
    return Standing(SeriesKey.of(name, **dimensions), kind, value)


def test_text_is_escaped_as_the_format_wants() -> None:
    text = _text(
        _standing("machine_load_1m", Kind.GAUGE, 0.25),
        _standing("orders", Kind.COUNT, 12.0, path='a"b\\c\nd é'),
    )
    assert text == (
        "# HELP machine_load_1m Load.\\nOf a \\\\minute.\n"
        "# TYPE machine_load_1m gauge\n"
        "machine_load_1m 0.25\n"
        "# HELP orders_total A metric of sites' own, as they sent it.\n"
        "# TYPE orders_total counter\n"
        'orders_total{path="a\\"b\\\\c\\nd é"} 12\n'
    )


def test_a_distribution_is_a_histogram_in_seconds() -> None:
    histogram = Histogram((10.0, 20.0), (1, 4), 5, 100.0)
    text = _text(_standing("instance_response_time_ms", Kind.DISTRIBUTION, histogram, instance="i-1"))
    assert text.splitlines()[1:] == [
        "# TYPE instance_response_time_seconds histogram",
        'instance_response_time_seconds_bucket{instance="i-1",le="0.01"} 1',
        'instance_response_time_seconds_bucket{instance="i-1",le="0.02"} 4',
        'instance_response_time_seconds_bucket{instance="i-1",le="+Inf"} 5',
        'instance_response_time_seconds_sum{instance="i-1"} 0.1',
        'instance_response_time_seconds_count{instance="i-1"} 5',
    ]


def test_names_that_would_be_the_same_are_told_apart_by_their_type() -> None:
    """Two projects may call different things the same; Prometheus takes a name once."""
    text = _text(
        _standing("x", Kind.DISTRIBUTION, Histogram((), (), 0, 0.0), project="a"),
        _standing("x", Kind.GAUGE, 1.0, project="b"),
        _standing("x_count", Kind.GAUGE, 2.0, project="b"),
        _standing("y", Kind.COUNT, 1.0, project="a"),
        _standing("y_total", Kind.COUNT, 1.0, project="a"),
        _standing("y_total", Kind.GAUGE, 1.0, project="b"),
    )
    types = [line.removeprefix("# TYPE ") for line in text.splitlines() if line.startswith("# TYPE")]
    names = [type_.split()[0] for type_ in types]
    assert len(names) == len(set(names)) == 6
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))
