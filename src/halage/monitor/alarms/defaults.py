"""The alarms that come with each environment, and with the server. Pure.

Each is made once. People may change, disable or delete them; what they did stays.
"""

from collections.abc import Mapping
from dataclasses import replace

from halage.monitor.alarms.model import Definition, LowSamples, Missing, Operator, Tell

_EVERYONE = (Tell(),)
"""Those whom the setting `messages.to` names."""
_PLAIN = Definition(name="", on_alarm=_EVERYONE, on_ok=_EVERYONE)


def environment_defaults(project: str, environment: str) -> Mapping[str, Definition]:
    """The alarms of an environment, by a word that stays the same over versions."""
    where = f'{{project="{project}",environment="{environment}"}}'
    plain = replace(_PLAIN, project=project, environment=environment, missing=Missing.NOT_BREACHING)
    alarms = {
        "errors": replace(
            plain,
            description="Of the requests, more than 5% were answered with a status of 500 or more.",
            expression=f"sum(environment_responses_5xx{where}) / sum(environment_requests{where}) * 100",
            operator=Operator.ABOVE,
            threshold=5.0,
            periods=5,
            breaching=3,
            mute_while_deploying=True,
        ),
        "latency": replace(
            plain,
            description="One request in twenty takes longer than a second.",
            expression=f"p95(environment_response_time_ms{where})",
            operator=Operator.ABOVE,
            threshold=1000.0,
            periods=5,
            breaching=5,
            low_samples=LowSamples.IGNORE,
            mute_while_deploying=True,
        ),
        "no-healthy-instance": replace(
            plain,
            description="Instances shall serve, and none does.",
            # Nothing wanted gives 0 / 0, which is missing; wanted and none serving gives 0.
            expression=f"maximum(environment_instances_serving{where})"
            f" / minimum(environment_instances_wanted{where})",
            operator=Operator.AT_MOST,
            threshold=0.0,
            period_s=10,
            periods=6,
            breaching=6,
        ),
        "certificate": replace(
            plain,
            description="A certificate ends in less than 14 days.",
            expression=f"lowest(minimum(environment_certificate_days{where}))",
            operator=Operator.BELOW,
            threshold=14.0,
            period_s=3600,
        ),
    }
    return {word: replace(alarm, name=f"{environment}-{word}") for word, alarm in alarms.items()}


def server_defaults() -> Mapping[str, Definition]:
    """The alarms of the server, by a word that stays the same over versions."""
    alarms = {
        "disk": replace(
            _PLAIN,
            description="A disk is more than 90% full.",
            expression="highest(maximum(machine_disk_used_percent))",
            operator=Operator.ABOVE,
            threshold=90.0,
            periods=3,
            breaching=3,
        ),
        "memory": replace(
            _PLAIN,
            description="More than 95% of the machine's memory is in use.",
            expression="minimum(machine_memory_percent)",
            operator=Operator.ABOVE,
            threshold=95.0,
            periods=5,
            breaching=5,
        ),
        "loop-delay": replace(
            _PLAIN,
            description="Halage itself is slow: its event loop is late by more than half a second.",
            expression="p99(halage_loop_delay_ms)",
            operator=Operator.ABOVE,
            threshold=500.0,
            periods=5,
            breaching=5,
        ),
        # A rule: while metrics are not kept, no metric could tell of it.
        "metrics-paused": replace(
            _PLAIN, description="Metrics are not kept: their disk is full.", rule="METRICS_PAUSED"
        ),
    }
    return {word: replace(alarm, name=f"server-{word}") for word, alarm in alarms.items()}
