"""The dashboards that are there by themselves: of each environment, and of the machine. Pure.

Their titles are English here; the console has a sentence for each widget's id in every language.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from halage.monitor.alarms.defaults import environment_defaults, server_defaults
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
_ALARMS = (3, 4)


def made_dashboard(place: Place) -> Dashboard:
    """The dashboard of a place as it is until somebody changes it."""
    if place.project is None or place.environment is None:
        return Dashboard(place.id, None, _machine(), version=0)
    return Dashboard(place.id, place.project, _environment(place.project, place.environment), version=0)


def _environment(project: str, environment: str) -> Layout:
    where = f'{{project="{project}",environment="{environment}"}}'
    graphs = (*_environment_requests(where), *_environment_instances(where))
    widgets = _laid_out(_environment_numbers(project, environment, where), graphs)
    return Layout(f"{project} {environment}", widgets, environment=environment)


def _environment_numbers(project: str, environment: str, where: str) -> Sequence[Widget]:
    alarms = environment_defaults(project, environment)
    # What the alarm watches, word for word: so its threshold, which people may change, is drawn as well.
    errors = _Make("errors-now", "Failed requests", WidgetKind.NUMBER, _SMALL, Unit.PERCENT)(
        alarms["errors"].expression or ""
    )
    latency = _Make("latency-now", "Response time, p95", WidgetKind.NUMBER, _SMALL, Unit.MILLISECONDS)(
        alarms["latency"].expression or ""
    )
    return (
        _Make("requests-now", "Requests per second", WidgetKind.NUMBER, _SMALL, Unit.PER_SECOND)(
            f"rate(sum(environment_requests{where}))"
        ),
        replace(errors, shows_alarm_thresholds=True),
        replace(latency, shows_alarm_thresholds=True),
        _Make("instances-now", "Instances", WidgetKind.NUMBER, _SMALL)(
            MetricLine(f"minimum(environment_instances_serving{where})", "serving"),
            MetricLine(f"maximum(environment_instances_wanted{where})", "wanted"),
        ),
        _Make("instance-cpu-now", "CPU, highest", WidgetKind.NUMBER, _SMALL, Unit.PERCENT)(
            f"highest(average(instance_cpu_percent{where}))"
        ),
        _Make("instance-memory-now", "Memory, highest", WidgetKind.NUMBER, _SMALL, Unit.PERCENT)(
            f"highest(average(instance_memory_percent{where}))"
        ),
    )


def _environment_requests(where: str) -> Sequence[Widget]:
    def responses(family: str) -> MetricLine:
        return MetricLine(f"rate(sum(environment_responses_{family}{where}))", family)

    percentiles = tuple(
        MetricLine(f"{each}(environment_response_time_ms{where})", each) for each in ("p50", "p95", "p99")
    )
    families = tuple(responses(family) for family in ("2xx", "3xx", "4xx", "5xx"))
    requests = _Make("requests", "Requests", WidgetKind.LINE, _HALF, Unit.PER_SECOND)(
        MetricLine(f"rate(sum(environment_requests{where}))", "requests")
    )
    latency = _Make("latency", "Response time", WidgetKind.LINE, _HALF, Unit.MILLISECONDS)(*percentiles)
    return (
        replace(requests, shows_week_before=True, shows_deployments=True, minimum=0.0),
        replace(latency, shows_deployments=True, shows_alarm_thresholds=True, minimum=0.0),
        replace(
            _Make("responses", "Responses by status", WidgetKind.BAR, _HALF, Unit.PER_SECOND)(*families),
            shows_deployments=True,
        ),
        replace(
            _Make("waiting", "In flight and waiting", WidgetKind.STACKED, _HALF)(
                MetricLine(f"maximum(environment_in_flight{where})", "in flight"),
                MetricLine(f"maximum(environment_queue{where})", "queue"),
            ),
            shows_deployments=True,
        ),
    )


def _environment_instances(where: str) -> Sequence[Widget]:
    cpu = _Make("instance-cpu", "CPU of each instance", WidgetKind.LINE, _HALF, Unit.PERCENT)(
        f"average(instance_cpu_percent{where})"
    )
    memory = _Make("instance-memory", "Memory of each instance", WidgetKind.LINE, _HALF, Unit.PERCENT)(
        f"average(instance_memory_percent{where})"
    )
    instances = _Make("instances", "Instances, wanted and serving", WidgetKind.LINE, _HALF)(
        MetricLine(f"maximum(environment_instances_wanted{where})", "wanted"),
        MetricLine(f"minimum(environment_instances_serving{where})", "serving"),
    )
    return (
        replace(cpu, minimum=0.0, shows_deployments=True, shows_alarm_thresholds=True),
        replace(memory, minimum=0.0, thresholds=(Threshold(100.0),), shows_deployments=True),
        replace(instances, minimum=0.0, shows_deployments=True),
        _Make("instance-disk", "Disk of each instance", WidgetKind.LINE, _HALF, Unit.BYTES_PER_SECOND)(
            MetricLine(f"rate(sum(instance_disk_read_bytes{where}))", "read"),
            MetricLine(f"rate(sum(instance_disk_write_bytes{where}))", "written"),
        ),
        _Make("restarts", "Restarts and failed checks", WidgetKind.TABLE, (COLUMNS, 3))(
            MetricLine(f"sum(instance_restarts{where})", "restarts"),
            MetricLine(f"sum(instance_failed_checks{where})", "failed checks"),
        ),
    )


def _machine() -> Layout:
    return Layout("The machine", _laid_out(_machine_now(), (*_machine_over_time(), *_halage_over_time())))


def _machine_now() -> Sequence[Widget]:
    alarms = server_defaults()
    cpu = _gauge("cpu-now", "CPU", "average(machine_cpu_percent)")
    return (
        replace(cpu, thresholds=(Threshold(90.0),)),
        _gauge("memory-now", "Memory", alarms["memory"].expression or ""),
        _gauge("disk-now", "Fullest disk", alarms["disk"].expression or ""),
        _Make("load-now", "Load", WidgetKind.NUMBER, _SMALL)("average(machine_load_1m)"),
        _Make("work-now", "Under way", WidgetKind.NUMBER, _SMALL)(
            MetricLine("maximum(halage_open_runs)", "runs"),
            MetricLine("maximum(halage_queued_jobs)", "queued jobs"),
        ),
        _Make("halage-cpu-now", "CPU of Halage", WidgetKind.NUMBER, _SMALL, Unit.PERCENT)(
            "average(halage_cpu_percent)"
        ),
    )


def _machine_over_time() -> Sequence[Widget]:
    cpu = _Make("cpu", "CPU", WidgetKind.LINE, _HALF, Unit.PERCENT)(
        MetricLine("average(machine_cpu_percent)", "CPU")
    )
    load = _Make("load", "Load", WidgetKind.LINE, _HALF)(
        *(MetricLine(f"average(machine_load_{span})", span) for span in ("1m", "5m", "15m"))
    )
    disk = _Make("disk", "Disk, used", WidgetKind.LINE, _HALF, Unit.PERCENT)(
        MetricLine("maximum(machine_disk_used_percent)", "used")
    )
    return (
        replace(cpu, minimum=0.0, maximum=100.0),
        replace(load, minimum=0.0),
        _Make("memory", "Memory in use", WidgetKind.STACKED, _HALF, Unit.BYTES)(
            MetricLine("average(machine_memory_bytes)", "memory"),
            MetricLine("average(machine_swap_bytes)", "swap"),
        ),
        replace(disk, minimum=0.0, maximum=100.0),
        _Make("network", "Network", WidgetKind.LINE, _HALF, Unit.BYTES_PER_SECOND)(
            MetricLine("total(rate(sum(machine_network_in_bytes)))", "in"),
            MetricLine("total(rate(sum(machine_network_out_bytes)))", "out"),
        ),
        _Make("disk-traffic", "Disk, read and written", WidgetKind.LINE, _HALF, Unit.BYTES_PER_SECOND)(
            MetricLine("total(rate(sum(machine_disk_read_bytes)))", "read"),
            MetricLine("total(rate(sum(machine_disk_write_bytes)))", "written"),
        ),
    )


def _halage_over_time() -> Sequence[Widget]:
    loop = _Make("loop", "Delay of Halage's loop", WidgetKind.LINE, _HALF, Unit.MILLISECONDS)(
        MetricLine("p50(halage_loop_delay_ms)", "p50"), MetricLine("p99(halage_loop_delay_ms)", "p99")
    )
    return (
        _Make("work", "Runs and deployments under way", WidgetKind.STACKED, _HALF)(
            MetricLine("maximum(halage_open_runs)", "runs"),
            MetricLine("maximum(halage_queued_jobs)", "queued jobs"),
            MetricLine("maximum(halage_open_deployments)", "deployments"),
        ),
        _Make("push", "From a push to its first command", WidgetKind.LINE, _HALF, Unit.MILLISECONDS)(
            MetricLine("p95(halage_push_to_first_command_ms)", "p95")
        ),
        replace(loop, shows_alarm_thresholds=True),
        _Make("halage-memory", "Memory of Halage", WidgetKind.LINE, _HALF, Unit.BYTES)(
            MetricLine("average(halage_memory_bytes)", "memory")
        ),
    )


def _gauge(id_: str, title: str, expression: str) -> Widget:
    widget = _Make(id_, title, WidgetKind.GAUGE, _SMALL, Unit.PERCENT)(expression)
    return replace(widget, minimum=0.0, maximum=100.0, shows_alarm_thresholds=True)


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


def _laid_out(numbers: Sequence[Widget], graphs: Sequence[Widget]) -> tuple[Widget, ...]:
    """What is at first glance above (alarms at the left, over both rows of numbers), graphs below."""
    alarms = _Make("alarms", "Alarms", WidgetKind.ALARM, _ALARMS)()
    width, height = _ALARMS
    return (alarms, *_placed(numbers, left=width), *_placed(graphs, top=height))


def _placed(widgets: Sequence[Widget], *, left: int = 0, top: int = 0) -> tuple[Widget, ...]:
    """Side by side from column `left` and row `top` on, a new row where one does not fit."""
    placed, x, y, tallest = [], left, top, 0
    for widget in widgets:
        if x + widget.width > COLUMNS:
            x, y, tallest = left, y + tallest, 0
        placed.append(replace(widget, x=x, y=y))
        x, tallest = x + widget.width, max(tallest, widget.height)
    return tuple(placed)
