"""Deployments by each policy under load: 4 instances, 500 requests per second in open model.

Each policy: a release serves, the load runs for a while (before), the next release is deployed while it
runs on (during); three times, and for a while after that. Counted: every request that got no good
answer; the p99 during a deployment over that of the time before it, the median of the three; and the
time by phase as Halage reports it, the median again.

Beside it, where a Docker engine runs, the same site as a Swarm service of 4 replicas under
`docker service update --update-order start-first`.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import harness
from parts import swarm
from parts.load import Load, Request

POLICIES = ("all_at_once", "rolling", "rolling_additional", "immutable", "canary", "blue_green")
RATE = 500
REPEATS = 3
WARM_S = 1.0
"""At first everything that is asked warms up."""
BEFORE_S = 5.0
"""Longer than instances of the last deployment are kept: they are gone."""
AFTER_S = 2.0

CONFIGURATION = """\
kind = "python"
[run]
start = "exec python3 app.py"
drain_timeout = 5
[test]
commands = []
[flow]
main = ["test", "live"]
[environments.live]
instances = 4
[environments.live.deployments]
policy = "POLICY"
keep_old = 3
canary = { percent = 10, duration = 4 }
"""


def main() -> None:
    """Deploy by each policy under load, and print the figures."""
    requests = failed = 0
    ratios: dict[str, float] = {}
    phases: dict[str, dict[str, float]] = {}
    with harness.running_server() as server, tempfile.TemporaryDirectory(prefix="halage-sites-") as name:
        for policy in POLICIES:
            sent, ratios[policy], phases[policy] = _measure(server, Path(name) / policy, policy)
            bad = [each for each in sent if each.failed]
            requests, failed = requests + len(sent), failed + len(bad)
            harness.say(
                f"{policy}: {len(bad)} of {len(sent)} failed, p99 {ratios[policy]:.2f} times that before, "
                + ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in phases[policy].items())
            )
    harness.report(
        failed_total=failed,
        requests_total=requests,
        p99_ratio_max=max(ratios.values()),
        p99_ratios={policy: round(ratio, 2) for policy, ratio in ratios.items()},
        phases_s=phases,
        **_beside(),
    )


def _measure(
    server: harness.Server, directory: Path, policy: str
) -> tuple[Sequence[Request], float, dict[str, float]]:
    """All requests; the median of how many times the p99 of before it was during a deployment; the phases."""
    project = policy.replace("_", "-")
    server.call("POST", "projects", {"name": project})
    copy = harness.WorkingCopy(directory)
    _deploy(server, copy, project, policy, "version 0")
    with Load(server.visitors_port, f"live.{project}.localhost", RATE) as load:
        time.sleep(WARM_S)
        moments = [time.monotonic()]
        for number in range(1, REPEATS + 1):
            time.sleep(BEFORE_S)
            _deploy(server, copy, project, policy, f"version {number}")
            moments.append(time.monotonic())
        time.sleep(AFTER_S)
        sent = load.stop()
    path = f"projects/{project}/environments/live/deployments?limit={REPEATS}"
    ratios, phases = [], []
    for calm_since, deployment in zip(moments, reversed(server.call("GET", path)), strict=False):
        began, ended = _on_monotonic(deployment["started_at"]), _on_monotonic(deployment["finished_at"])
        ratios.append(_ratio(sent, calm_since, began, ended))
        phases.append(_seconds(server.call("GET", f"deployments/{deployment['id']}/report")["phases"]))
    server.call("DELETE", f"projects/{project}")
    seconds = {name: statistics.median(each.get(name, 0.0) for each in phases) for name in phases[-1]}
    return sent, statistics.median(ratios), seconds


def _ratio(sent: Sequence[Request], calm_since: float, began: float, ended: float) -> float:
    """The p99 of the requests of a deployment over that of those between `calm_since` and it."""
    before = [each.latency_ms for each in sent if calm_since <= each.due_at < began]
    during = [each.latency_ms for each in sent if began <= each.due_at < ended]
    return harness.percentile(during, 0.99) / harness.percentile(before, 0.99)


def _seconds(phases: Sequence[dict[str, Any]]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for phase in phases:
        seconds[phase["phase"]] = round(seconds.get(phase["phase"], 0.0) + phase["duration_s"], 2)
    return seconds


def _deploy(
    server: harness.Server, copy: harness.WorkingCopy, project: str, policy: str, version: str
) -> None:
    files = {
        "app.py": harness.SITE.replace("VERSION", version),
        "halage.toml": CONFIGURATION.replace("POLICY", policy),
    }
    copy.commit(files, version)
    copy.push(server.remote(project))
    server.wait_for_run(project)


def _on_monotonic(moment: str) -> float:
    """A moment of the API on the clock of the load."""
    return datetime.fromisoformat(moment).timestamp() - time.time() + time.monotonic()


# -- the peer


def _beside() -> dict[str, object]:
    """The figures of Docker Swarm; none where no engine runs."""
    if not swarm.is_there():
        harness.say("no Docker engine runs here: nothing is measured beside it")
        return {}
    with tempfile.TemporaryDirectory(prefix="halage-swarm-") as name:
        Path(name).chmod(0o755)
        (Path(name) / "app.py").write_text(harness.SITE.replace("VERSION", "version 1"))
        with swarm.running_service(Path(name)) as port, Load(port, "localhost", RATE) as load:
            time.sleep(BEFORE_S)
            began = time.monotonic()
            swarm.update()
            ended = time.monotonic()
            time.sleep(AFTER_S)
            sent = load.stop()
    failed = [each for each in sent if each.failed]
    ratio = _ratio(sent, sent[0].due_at + WARM_S, began, ended)
    harness.say(
        f"Docker Swarm, start-first: {len(failed)} of {len(sent)} failed, p99 {ratio:.2f} times that before,"
        f" {ended - began:.1f} s"
    )
    return {
        "swarm_failed": len(failed),
        "swarm_requests": len(sent),
        "swarm_p99_ratio": round(ratio, 2),
        "swarm_update_s": round(ended - began, 1),
    }


if __name__ == "__main__":
    main()
