"""Halage's own metrics: the one table that documentation, search, exposition and console use."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from halage.monitor.metrics.model import Kind

_INSTANCE = ("project", "environment", "instance")
_ENVIRONMENT = ("project", "environment")

GAUGE, COUNT, DISTRIBUTION = Kind.GAUGE, Kind.COUNT, Kind.DISTRIBUTION


@dataclass(frozen=True, slots=True)
class Metric:
    """What one metric is."""

    name: str
    kind: Kind
    unit: str
    """What a value counts: "percent", "bytes", "ms", "requests"; "" for a bare number."""
    dimensions: tuple[str, ...]
    meaning: str
    """One sentence, with its full stop."""


_PROCESSES = (
    ("cpu_percent", GAUGE, "percent", "Processor time, of what its type gives it."),
    (
        "cpu_throttled_percent",
        GAUGE,
        "percent",
        "Share of the time in which it wanted to run and its type's limit held it back.",
    ),
    ("memory_bytes", GAUGE, "bytes", "Memory in use, without what the system could take back."),
    ("memory_percent", GAUGE, "percent", "Memory in use, of what its type gives it."),
    ("disk_read_operations", COUNT, "operations", "Reads from disk."),
    ("disk_write_operations", COUNT, "operations", "Writes to disk."),
    ("disk_read_bytes", COUNT, "bytes", "Bytes read from disk."),
    ("disk_write_bytes", COUNT, "bytes", "Bytes written to disk."),
    ("network_in_bytes", COUNT, "bytes", "Bytes that it received."),
    ("network_out_bytes", COUNT, "bytes", "Bytes that it sent."),
    ("network_in_packets", COUNT, "packets", "Packets that it received, where they can be told apart."),
    ("network_out_packets", COUNT, "packets", "Packets that it sent, where they can be told apart."),
    ("processes", GAUGE, "processes", "Processes and threads that run in it."),
    ("open_files", GAUGE, "files", "Files and sockets that it holds open."),
    ("restarts", COUNT, "restarts", "Times that it was started again after it died."),
    (
        "status_check_failed",
        GAUGE,
        "",
        "1 when its process is gone or its last health check failed, else 0.",
    ),
    ("requests", COUNT, "requests", "Requests that the balancer sent to it."),
    ("responses_2xx", COUNT, "responses", "Its answers with a status from 200 to 299."),
    ("responses_3xx", COUNT, "responses", "Its answers with a status from 300 to 399."),
    ("responses_4xx", COUNT, "responses", "Its answers with a status from 400 to 499."),
    ("responses_5xx", COUNT, "responses", "Its answers with a status from 500 to 599."),
    ("connections", COUNT, "connections", "Connections that the balancer opened to it."),
    ("retries", COUNT, "retries", "Requests that were tried again after it failed to answer."),
    ("failed_checks", COUNT, "checks", "Health checks of the balancer that failed."),
    ("response_time_ms", DISTRIBUTION, "ms", "Time from the whole request to the end of its answer."),
    ("in_flight", GAUGE, "requests", "Requests that it works on."),
    ("queue", GAUGE, "requests", "Requests that wait for it in the balancer."),
)

_SITES = (
    ("requests", COUNT, "requests", "Requests of visitors, with those that no instance answered."),
    ("requests_per_second", GAUGE, "requests/s", "Requests of visitors per second."),
    ("responses_2xx", COUNT, "responses", "Answers with a status from 200 to 299."),
    ("responses_3xx", COUNT, "responses", "Answers with a status from 300 to 399."),
    ("responses_4xx", COUNT, "responses", "Answers with a status from 400 to 499."),
    (
        "responses_5xx",
        COUNT,
        "responses",
        "Answers with a status from 500 to 599, with those of the balancer itself.",
    ),
    (
        "response_time_ms",
        DISTRIBUTION,
        "ms",
        "Time from the whole request to the end of the answer, over all instances.",
    ),
    ("in_flight", GAUGE, "requests", "Requests under way."),
    ("queue", GAUGE, "requests", "Requests that wait in the balancer for an instance."),
    ("connections", COUNT, "connections", "Connections that visitors opened."),
    ("bytes_in", COUNT, "bytes", "Bytes that visitors sent."),
    ("bytes_out", COUNT, "bytes", "Bytes that visitors were sent."),
    ("retries", COUNT, "retries", "Requests that were tried again at another instance."),
    ("failed_checks", COUNT, "checks", "Health checks of instances that failed."),
    ("instances_wanted", GAUGE, "instances", "Instances that shall serve."),
    ("instances_serving", GAUGE, "instances", "Instances that serve."),
)

_MACHINE: tuple[tuple[str, Kind, str, tuple[str, ...], str], ...] = (
    ("cpu_percent", GAUGE, "percent", (), "Processor time of the machine, of all its cores."),
    ("load_1m", GAUGE, "", (), "Processes that run or want to, averaged over a minute by the system."),
    ("load_5m", GAUGE, "", (), "The same over 5 minutes."),
    ("load_15m", GAUGE, "", (), "The same over 15 minutes."),
    ("memory_percent", GAUGE, "percent", (), "Memory in use, without what the system could take back."),
    ("memory_bytes", GAUGE, "bytes", (), "The same in bytes."),
    ("swap_bytes", GAUGE, "bytes", (), "Memory that was moved to disk."),
    ("disk_used_percent", GAUGE, "percent", ("mount",), "How full a file system is."),
    ("disk_free_bytes", GAUGE, "bytes", ("mount",), "Space that is left on a file system."),
    ("disk_read_bytes", COUNT, "bytes", ("device",), "Bytes read from a disk."),
    ("disk_write_bytes", COUNT, "bytes", ("device",), "Bytes written to a disk."),
    ("disk_read_operations", COUNT, "operations", ("device",), "Reads from a disk."),
    ("disk_write_operations", COUNT, "operations", ("device",), "Writes to a disk."),
    ("network_in_bytes", COUNT, "bytes", ("interface",), "Bytes received by a network interface."),
    ("network_out_bytes", COUNT, "bytes", ("interface",), "Bytes sent by a network interface."),
    ("network_in_packets", COUNT, "packets", ("interface",), "Packets received by a network interface."),
    ("network_out_packets", COUNT, "packets", ("interface",), "Packets sent by a network interface."),
    ("processes", GAUGE, "processes", (), "Processes on the machine."),
    ("open_files", GAUGE, "files", (), "Files and sockets that are open on the machine."),
    (
        "status_check_failed",
        GAUGE,
        "",
        (),
        "1 when the machine could not be measured or its disk takes nothing, else 0.",
    ),
)

_HALAGE: tuple[tuple[str, Kind, str, tuple[str, ...], str], ...] = (
    ("cpu_percent", GAUGE, "percent", (), "Processor time of the control plane, of one core."),
    ("memory_bytes", GAUGE, "bytes", (), "Memory of the control plane."),
    ("open_files", GAUGE, "files", (), "Files and sockets that the control plane holds open."),
    ("loop_delay_ms", DISTRIBUTION, "ms", (), "How late the control plane's event loop was."),
    (
        "push_to_first_command_ms",
        DISTRIBUTION,
        "ms",
        (),
        "Time from the end of a push to the first command of its build.",
    ),
    ("open_runs", GAUGE, "runs", (), "Runs that have not ended."),
    ("queued_jobs", GAUGE, "jobs", (), "Jobs that wait for their turn."),
    ("running_jobs", GAUGE, "jobs", (), "Jobs under way."),
    ("open_deployments", GAUGE, "deployments", (), "Deployments that have not ended."),
    ("runs_ended", COUNT, "runs", ("project", "state"), "Runs that ended, by how."),
    (
        "deployments_ended",
        COUNT,
        "deployments",
        ("project", "environment", "state"),
        "Deployments that ended, by how.",
    ),
    ("metric_series", GAUGE, "series", (), "Series that the metrics' store knows."),
    ("metric_points", COUNT, "samples", (), "Samples that were taken in."),
    ("metrics_paused", GAUGE, "", (), "1 while no samples are taken in because the disk is full, else 0."),
    (
        "metrics_refused",
        COUNT,
        "samples",
        _ENVIRONMENT,
        "Samples of a site's own that were refused; `halage metric intake` says why.",
    ),
    (
        "source_misses",
        COUNT,
        "ticks",
        ("source",),
        "Ticks in which a source of measurements failed or was late.",
    ),
    ("statsd_lines", COUNT, "lines", (), "Lines that came over StatsD."),
    ("statsd_malformed", COUNT, "lines", (), "Those that cannot be read."),
    ("statsd_strangers", COUNT, "lines", (), "Those without the key of an environment."),
    ("statsd_dropped", COUNT, "datagrams", (), "Datagrams that came faster than they are read."),
    ("remote_write_sent", COUNT, "samples", (), "Samples that the receiver of remote write took."),
    (
        "remote_write_dropped",
        COUNT,
        "samples",
        (),
        "Samples that it refused, and those that waited too long for it.",
    ),
    ("remote_write_failures", COUNT, "requests", (), "Requests to it that failed and are tried again."),
    ("log_lines", COUNT, "lines", (), "Lines of logs that were taken in."),
    ("log_bytes", COUNT, "bytes", (), "Their bytes."),
    ("log_lines_dropped", COUNT, "lines", (), "Lines of logs that were not kept."),
    (
        "log_bytes_skipped",
        COUNT,
        "bytes",
        (),
        "Bytes of instances' output that were left out: they came faster than logs are kept.",
    ),
)

OWN_METRICS: tuple[Metric, ...] = (
    *(Metric(f"instance_{name}", kind, unit, _INSTANCE, text) for name, kind, unit, text in _PROCESSES),
    *(Metric(f"environment_{name}", kind, unit, _ENVIRONMENT, text) for name, kind, unit, text in _SITES),
    Metric(
        "environment_certificate_days",
        GAUGE,
        "days",
        (*_ENVIRONMENT, "domain"),
        "Days until the certificate of a domain name ends.",
    ),
    Metric(
        "environment_queue_length",
        GAUGE,
        "jobs",
        (*_ENVIRONMENT, "process", "trigger"),
        "Length of a queue that its workers are scaled by, as the trigger's command or URL tells it.",
    ),
    *(Metric(f"machine_{name}", kind, unit, own, text) for name, kind, unit, own, text in _MACHINE),
    *(Metric(f"halage_{name}", kind, unit, own, text) for name, kind, unit, own, text in _HALAGE),
)
"""Every metric that Halage measures by itself. Whatever has another name is a site's own."""


@functools.cache
def by_name() -> Mapping[str, Metric]:
    """The same, by name."""
    return MappingProxyType({metric.name: metric for metric in OWN_METRICS})


def find_metric(name: str) -> Metric | None:
    """What a metric of this name is; None for a site's own."""
    return by_name().get(name)
