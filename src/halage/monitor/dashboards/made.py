"""The dashboards that are there by themselves: of each environment, and of the machine. Pure.

Their titles are English here; the console has a sentence for each widget's id in every language.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from halage.monitor.dashboards.model import (
    COLUMNS,
    Dashboard,
    Layout,
    MetricLine,
    Place,
    Threshold,
    Unit,
    Widget,
    WidgetKind,
)

_SMALL = (3, 2)
_HALF = (6, 4)


def made_dashboard(place: Place) -> Dashboard:
    """The dashboard of a place as it is until somebody changes it."""
    if place.project is None or place.environment is None:
        return Dashboard(place.id, None, _machine(), version=0)
    return Dashboard(place.id, place.project, _environment(place.project, place.environment), version=0)


def _environment(project: str, environment: str) -> Layout:
    where = f'{{project="{project}",environment="{environment}"}}'
    widgets = (
        *_environment_numbers(where),
        *_environment_requests(where),
        *_environment_instances(where),
    )
    return Layout(f"{project} {environment}", _placed(widgets), environment=environment)


def _environment_numbers(where: str) -> Sequence[Widget]:
    errors = f"fill(sum(environment_responses_5xx{where}), 0) / sum(environment_requests{where}) * 100"
    return (
        _Make("alarms", "Alarms", WidgetKind.ALARM, _SMALL)(),
        _Make("requests-now", "Requests per second", WidgetKind.NUMBER, _SMALL, Unit.PER_SECOND)(
            f"rate(sum(environment_requests{where}))"
        ),
        _Make("latency-now", "Response time, p95", WidgetKind.NUMBER, _SMALL, Unit.MILLISECONDS)(
            f"p95(environment_response_time_ms{where})"
        ),
        replace(
            _Make("errors-now", "Requests that failed", WidgetKind.GAUGE, _SMALL, Unit.PERCENT)(errors),
            minimum=0.0,
            maximum=100.0,
            thresholds=(Threshold(5.0),),
        ),
    )


def _environment_requests(where: str) -> Sequence[Widget]:
    def responses(family: str) -> MetricLine:
        return MetricLine(f"sum(environment_responses_{family}{where})", family)

    percentiles = tuple(
        MetricLine(f"{each}(environment_response_time_ms{where})", each) for each in ("p50", "p95", "p99")
    )
    families = tuple(responses(family) for family in ("2xx", "3xx", "4xx", "5xx"))
    requests = _Make("requests", "Requests", WidgetKind.LINE, _HALF)(
        MetricLine(f"sum(environment_requests{where})", "requests")
    )
    latency = _Make("latency", "Response time", WidgetKind.LINE, _HALF, Unit.MILLISECONDS)(*percentiles)
    return (
        replace(requests, shows_week_before=True, shows_deployments=True, minimum=0.0),
        replace(latency, shows_deployments=True, minimum=0.0),
        replace(
            _Make("responses", "Responses by status", WidgetKind.BAR, _HALF)(*families),
            shows_deployments=True,
        ),
        _Make("waiting", "In flight and waiting", WidgetKind.STACKED, _HALF)(
            MetricLine(f"maximum(environment_in_flight{where})", "in flight"),
            MetricLine(f"maximum(environment_queue{where})", "queue"),
        ),
    )


def _environment_instances(where: str) -> Sequence[Widget]:
    cpu = _Make("instance-cpu", "CPU of each instance", WidgetKind.LINE, _HALF, Unit.PERCENT)(
        f"average(instance_cpu_percent{where})"
    )
    memory = _Make("instance-memory", "Memory of each instance", WidgetKind.LINE, _HALF, Unit.PERCENT)(
        f"average(instance_memory_percent{where})"
    )
    return (
        replace(cpu, minimum=0.0, shows_deployments=True),
        replace(memory, minimum=0.0, maximum=100.0, thresholds=(Threshold(100.0),), shows_deployments=True),
        _Make("instance-disk", "Disk of each instance", WidgetKind.LINE, _HALF, Unit.BYTES)(
            MetricLine(f"sum(instance_disk_read_bytes{where})", "read"),
            MetricLine(f"sum(instance_disk_write_bytes{where})", "written"),
        ),
        _Make("instances", "Instances, wanted and serving", WidgetKind.LINE, _HALF)(
            MetricLine(f"minimum(environment_instances_wanted{where})", "wanted"),
            MetricLine(f"minimum(environment_instances_serving{where})", "serving"),
        ),
        _Make("restarts", "Restarts and failed checks", WidgetKind.TABLE, (COLUMNS, 3))(
            MetricLine(f"sum(instance_restarts{where})", "restarts"),
            MetricLine(f"sum(instance_failed_checks{where})", "failed checks"),
        ),
    )


def _machine() -> Layout:
    cpu = _Make("cpu", "CPU", WidgetKind.LINE, _HALF, Unit.PERCENT)(
        MetricLine("average(machine_cpu_percent)", "CPU")
    )
    load = _Make("load", "Load", WidgetKind.LINE, _HALF)(
        *(MetricLine(f"average(machine_load_{span})", span) for span in ("1m", "5m", "15m"))
    )
    widgets = (
        _gauge("cpu-now", "CPU", "average(machine_cpu_percent)", 90.0),
        _gauge("memory-now", "Memory", "average(machine_memory_percent)", 90.0),
        _gauge("disk-now", "Fullest disk", "highest(maximum(machine_disk_used_percent))", 85.0),
        _Make("alarms", "Alarms", WidgetKind.ALARM, _SMALL)(),
        replace(cpu, minimum=0.0, maximum=100.0),
        replace(load, minimum=0.0),
        _Make("memory", "Memory in use", WidgetKind.STACKED, _HALF, Unit.BYTES)(
            MetricLine("average(machine_memory_bytes)", "memory"),
            MetricLine("average(machine_swap_bytes)", "swap"),
        ),
        _Make("disk", "Disk, used", WidgetKind.LINE, _HALF, Unit.PERCENT)(
            "maximum(machine_disk_used_percent)"
        ),
        _Make("network", "Network", WidgetKind.LINE, _HALF, Unit.PER_SECOND)(
            MetricLine("total(rate(sum(machine_network_in_bytes)))", "in"),
            MetricLine("total(rate(sum(machine_network_out_bytes)))", "out"),
        ),
        _Make("loop", "Delay of Halage's loop", WidgetKind.LINE, _HALF, Unit.MILLISECONDS)(
            MetricLine("p50(halage_loop_delay_ms)", "p50"), MetricLine("p99(halage_loop_delay_ms)", "p99")
        ),
        _Make("work", "Runs and deployments under way", WidgetKind.STACKED, _HALF)(
            MetricLine("maximum(halage_open_runs)", "runs"),
            MetricLine("maximum(halage_queued_jobs)", "queued jobs"),
            MetricLine("maximum(halage_open_deployments)", "deployments"),
        ),
        _Make("push", "From a push to its first command", WidgetKind.LINE, _HALF, Unit.MILLISECONDS)(
            MetricLine("p95(halage_push_to_first_command_ms)", "p95")
        ),
    )
    return Layout("The machine", _placed(widgets))


def _gauge(id_: str, title: str, expression: str, threshold: float) -> Widget:
    widget = _Make(id_, title, WidgetKind.GAUGE, _SMALL, Unit.PERCENT)(expression)
    return replace(widget, minimum=0.0, maximum=100.0, thresholds=(Threshold(threshold),))


@dataclass(frozen=True, slots=True)
class _Make:
    """A widget in the making; it gets its place from `_placed`."""

    id: str
    title: str
    kind: WidgetKind
    size: tuple[int, int]
    unit: Unit = Unit.NONE

    def __call__(self, *lines: MetricLine | str) -> Widget:
        width, height = self.size
        whole = tuple(MetricLine(line) if isinstance(line, str) else line for line in lines)
        return Widget(self.id, self.kind, 0, 0, width, height, self.title, whole, unit=self.unit)


def _placed(widgets: Sequence[Widget]) -> tuple[Widget, ...]:
    """Side by side from the left, a new row where one does not fit."""
    placed, x, y, tallest = [], 0, 0, 0
    for widget in widgets:
        if x + widget.width > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        placed.append(replace(widget, x=x, y=y))
        x, tallest = x + widget.width, max(tallest, widget.height)
    return tuple(placed)
