"""A tick with every metric that Halage has itself, and a site's own."""

from halage.monitor.metrics.model import Kind, Sample, SeriesKey
from halage.monitor.metrics.sketch import Sketch

_GAUGES = {
    "instance": "cpu_percent cpu_throttled_percent memory_bytes memory_percent processes open_files "
    "status_check_failed connections in_flight queue",
    "environment": "requests_per_second in_flight queue connections instances_wanted instances_serving",
    "machine": "cpu_percent load_1m load_5m load_15m memory_percent memory_bytes swap_bytes processes "
    "open_files status_check_failed",
    "halage": "cpu_percent memory_bytes open_files open_runs queued_jobs running_jobs open_deployments "
    "metric_series metrics_paused",
}
_COUNTS = {
    "instance": "disk_read_operations disk_write_operations disk_read_bytes disk_write_bytes "
    "network_in_bytes network_out_bytes restarts requests responses_2xx responses_3xx responses_4xx "
    "responses_5xx retries failed_checks",
    "environment": "requests responses_2xx responses_3xx responses_4xx responses_5xx bytes_in bytes_out "
    "retries failed_checks",
    "halage": "metric_points log_lines log_bytes log_lines_dropped statsd_lines statsd_malformed "
    "statsd_strangers statsd_dropped remote_write_sent remote_write_dropped remote_write_failures",
}
_DISTRIBUTIONS = {
    "instance": "response_time_ms",
    "environment": "response_time_ms",
    "halage": "loop_delay_ms push_to_first_command_ms",
}
_DEVICES = {
    "disk_used_percent": ("mount", "/", Kind.GAUGE),
    "disk_free_bytes": ("mount", "/", Kind.GAUGE),
    "disk_read_bytes": ("device", "sda", Kind.COUNT),
    "disk_write_bytes": ("device", "sda", Kind.COUNT),
    "disk_read_operations": ("device", "sda", Kind.COUNT),
    "disk_write_operations": ("device", "sda", Kind.COUNT),
    "network_in_bytes": ("interface", "eth0", Kind.COUNT),
    "network_out_bytes": ("interface", "eth0", Kind.COUNT),
    "network_in_packets": ("interface", "eth0", Kind.COUNT),
    "network_out_packets": ("interface", "eth0", Kind.COUNT),
}


def _dimensions(prefix: str, project: str) -> dict[str, str]:
    place = {"project": project, "environment": "prod"}
    return {"instance": {**place, "instance": "i-1"}, "environment": place}.get(prefix, {})


def a_tick(project: str = "shop") -> list[Sample]:
    """One sample of each; every count is 12, every distribution holds 100 values from 1 to 100."""
    samples = []
    values = [(names, Kind.GAUGE) for names in _GAUGES.items()]
    values += [(names, Kind.COUNT) for names in _COUNTS.items()]
    values += [(names, Kind.DISTRIBUTION) for names in _DISTRIBUTIONS.items()]
    for (prefix, names), kind in values:
        for name in names.split():
            key = SeriesKey.of(f"{prefix}_{name}", **_dimensions(prefix, project))
            is_sketch = kind is Kind.DISTRIBUTION
            samples.append(Sample(key, kind, Sketch.of(range(1, 101)) if is_sketch else 12.0))
    for name, (dimension, value, kind) in _DEVICES.items():
        samples.append(Sample(SeriesKey.of(f"machine_{name}", **{dimension: value}), kind, 12.0))
    place = _dimensions("environment", project)
    samples += [
        Sample(SeriesKey.of("environment_certificate_days", domain="a.test", **place), Kind.GAUGE, 30.0),
        Sample(SeriesKey.of("halage_runs_ended", project=project, state="failed"), Kind.COUNT, 12.0),
        Sample(SeriesKey.of("halage_deployments_ended", state="failed", **place), Kind.COUNT, 12.0),
        Sample(SeriesKey.of("halage_metrics_refused", **place), Kind.COUNT, 12.0),
        Sample(SeriesKey.of("orders", path='/a"b\\c\n', **place), Kind.COUNT, 12.0),
        Sample(SeriesKey.of("checkout_seconds", **place), Kind.DISTRIBUTION, Sketch.of([0.0, 0.5, 2.0])),
        Sample(SeriesKey.of("temperature_celsius", **place), Kind.GAUGE, -3.5),
    ]
    return samples
