"""Scaling: how soon a breach is answered by one more instance, and how fast a summer is replayed.

A real server runs a small site with one instance and a trigger on requests; then visitors come, four times
as many as an instance shall take. The figure is the time from the first of them until another instance has
answered one, and beside it that time without the instance's own boot (from its start until its probe is
answered): with the usual sampling by 10 s, and with detailed monitoring by 1 s. Then the recorded traffic of
the World Cup 1998 (benchmarks/traces) is replayed through the same rules beside a fleet that is sized for
its peak.
"""

import contextlib
import http.client
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import harness

from halage.cli.prober import Prober
from halage.environment.autoscaling.simulation import SimulatedSite, simulate
from halage.environment.autoscaling.trace import read_trace
from halage.site.settings import ScalingPlan, Trigger, TriggerKind

ROUNDS = 4
RATE = 200
TARGET = 50
PATIENCE_S = 60.0
TRACE = Path(__file__).parent / "traces" / "worldcup98_hourly.csv"
LIMIT_S = 15.0
SIMULATION_LIMIT_S = 10.0
TOML = """\
kind = "python"
[run]
start = "python3 app.py"
[test]
commands = []
[flow]
main = ["test", "live"]
[environments.live]
detailed_monitoring = {detailed}
[environments.live.scaling]
minimum = 1
maximum = 4
cool_down_out = "1s"
cool_down_in = "10m"
warm_up = "1s"
[[environments.live.scaling.triggers]]
name = "load"
kind = "target"
expression = "requests"
target = {target}
period = "{period}s"
breach = "{period}s"
"""
ANSWERS_WHO = harness.SITE.replace('b"VERSION"', 'os.environ["PORT"].encode()')


def main() -> None:
    """Measure and report."""
    figures: dict[str, float] = {}
    with harness.running_server() as server, tempfile.TemporaryDirectory(prefix="halage-scaling-") as made:
        for name, period in (("by_10_s", 10), ("by_1_s", 1)):
            total, alone = measure(server, name.replace("_", "-"), Path(made) / name, period)
            figures[f"breach_to_serving_{name}_s"] = round(statistics.median(total), 2)
            figures[f"breach_to_serving_{name}_most_s"] = round(max(total), 2)
            figures[f"without_boot_{name}_most_s"] = round(max(alone), 2)
    figures["breach_to_serving_s"] = figures["without_boot_by_10_s_most_s"]
    figures |= replay()
    harness.report(**figures)
    if figures["breach_to_serving_s"] > LIMIT_S or figures["simulation_s"] > SIMULATION_LIMIT_S:
        raise SystemExit(1)


def measure(
    server: harness.Server, project: str, copy: Path, period: int, rounds: int = ROUNDS
) -> tuple[list[float], list[float]]:
    """Seconds from the first of many requests to an answer of a new instance: whole, and without its boot."""
    server.call("POST", "projects", {"name": project})
    toml = TOML.format(detailed=str(period == 1).lower(), target=TARGET, period=period)
    working = harness.WorkingCopy(copy)
    working.commit({"halage.toml": toml, "app.py": ANSWERS_WHO}, "One")
    working.push(server.remote(project))
    server.wait_for_run(project)
    whole, alone = [], []
    for number in range(rounds):
        time.sleep(2.0 * period)  # what came before is in no period that counts any more
        _settle(server, project)
        # Rounds begin at different places of the tick.
        time.sleep(2.0 + number * 2.7)
        seconds, boot = _surge(server, project)
        whole.append(seconds)
        alone.append(seconds - boot)
        harness.say(f"{project}: {seconds:.2f} s, of which {boot:.2f} s boot")
    return whole, alone


def _settle(server: harness.Server, project: str) -> None:
    """One instance again."""
    place = f"projects/{project}/environments/live"
    server.call("POST", f"{place}/scale", {"instances": 1})
    deadline = time.monotonic() + PATIENCE_S
    while len(server.call("GET", place)["instances"]) != 1:
        if time.monotonic() > deadline:
            raise harness.Failure(f"{project} has not one instance again")
        time.sleep(0.1)


def _surge(server: harness.Server, project: str) -> tuple[float, float]:
    host = f"live.{project}.localhost"
    known = {_visit(server, host)}
    with _visitors(server, host):
        start = time.monotonic()
        while time.monotonic() - start < PATIENCE_S:
            if _visit(server, host) not in known:
                return time.monotonic() - start, _boot(server, project)
            time.sleep(0.01)
    raise harness.Failure(f"no other instance answered within {PATIENCE_S:.0f} s")


@contextlib.contextmanager
def _visitors(server: harness.Server, host: str) -> Iterator[None]:
    prober = Prober("127.0.0.1", server.visitors_port, site=host, rate=RATE)
    prober.start()
    try:
        yield
    finally:
        report = prober.stop()
        if report.failed:
            raise harness.Failure(f"{report.failed} of {report.sent} requests failed: {report.causes}")


def _visit(server: harness.Server, host: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.visitors_port, timeout=10)
    try:
        connection.request("GET", "/", headers={"Host": host})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _boot(server: harness.Server, project: str) -> float:
    """How long the new instances took from their start to their first answer, the fastest of them."""
    instances = server.call("GET", f"projects/{project}/environments/live")["instances"]
    spans = [
        (
            datetime.fromisoformat(each["ready_at"]) - datetime.fromisoformat(each["started_at"])
        ).total_seconds()
        for each in instances[1:]
        if each["ready_at"] is not None
    ]
    return min(spans)


def replay() -> dict[str, float]:
    """The World Cup, whole: seconds of computing, and what scaling saves and costs."""
    plan = ScalingPlan(2, 100, (Trigger("load", TriggerKind.TARGET, "requests", target=70),))
    trace = read_trace(TRACE.read_text())
    start = time.perf_counter()
    found = simulate(plan, 2, trace, SimulatedSite(100.0, boot_s=20.0))
    seconds = time.perf_counter() - start
    return {
        "simulation_s": round(seconds, 2),
        "simulated_requests": round(found.requests),
        "scaled_instance_hours": round(found.scaled.instance_hours),
        "static_instance_hours": round(found.static.instance_hours),
        "scaled_dropped_percent": round(100 * found.scaled.dropped / found.requests, 4),
    }


if __name__ == "__main__":
    main()
