"""A deployment by each policy under load: 4 instances, 500 requests per second in open model.

Each policy: a release serves, the load runs for a while (before), a second release is deployed while
it runs on (during), and for a while after that. Counted: every request that got no good answer, the
p99 during the deployment over that before it, and the time by phase as Halage reports it.

Beside it, where a Docker engine runs, the same site as a Swarm service of 4 replicas under
`docker service update --update-order start-first`, asked through its published port.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import harness
from parts.load import Load, Request

POLICIES = ("all_at_once", "rolling", "rolling_additional", "immutable", "canary", "blue_green")
RATE = 500
BEFORE_S = 10.0
AFTER_S = 3.0
IMAGE = "python:3-alpine"

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
keep_old = 5
canary = { percent = 10, duration = 10 }
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
    project = policy.replace("_", "-")
    server.call("POST", "projects", {"name": project})
    copy = harness.WorkingCopy(directory)
    _deploy(server, copy, project, policy, "version 1")
    with Load(server.visitors_port, f"live.{project}.localhost", RATE) as load:
        time.sleep(BEFORE_S)
        _deploy(server, copy, project, policy, "version 2")
        time.sleep(AFTER_S)
        sent = load.stop()
    (deployment, *_) = server.call("GET", f"projects/{project}/environments/live/deployments?limit=1")
    report = server.call("GET", f"deployments/{deployment['id']}/report")
    began, ended = _on_monotonic(deployment["started_at"]), _on_monotonic(deployment["finished_at"])
    before = [each.latency_ms for each in sent if each.due_at < began]
    during = [each.latency_ms for each in sent if began <= each.due_at < ended]
    seconds: dict[str, float] = {}
    for phase in report["phases"]:
        seconds[phase["phase"]] = round(seconds.get(phase["phase"], 0.0) + phase["duration_s"], 2)
    server.call("DELETE", f"projects/{project}")
    # The first second warms everything up that is asked.
    ratio = harness.percentile(during, 0.99) / harness.percentile(before[RATE:], 0.99)
    return sent, ratio, seconds


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
    ask = "docker info --format '{{json .Swarm.LocalNodeState}}'"
    engine = subprocess.run(["sh", "-c", ask], capture_output=True)
    if engine.returncode != 0:
        harness.say("no Docker engine runs here: nothing is measured beside it")
        return {}
    with tempfile.TemporaryDirectory(prefix="halage-swarm-") as name:
        (Path(name) / "app.py").write_text(harness.SITE.replace("VERSION", "version 1"))
        is_active = json.loads(engine.stdout) == "active"
        with _swarm(Path(name), is_active) as port, Load(port, "localhost", RATE) as load:
            time.sleep(BEFORE_S)
            began = time.monotonic()
            _docker("service", "update", "--detach=false", "--force", "halage-peer")
            ended = time.monotonic()
            time.sleep(AFTER_S)
            sent = load.stop()
    before = [each.latency_ms for each in sent if each.due_at < began]
    during = [each.latency_ms for each in sent if began <= each.due_at < ended]
    return {
        "swarm_failed": sum(each.failed for each in sent),
        "swarm_requests": len(sent),
        "swarm_p99_ratio": harness.percentile(during, 0.99) / harness.percentile(before[RATE:], 0.99),
        "swarm_update_s": ended - began,
    }


@contextmanager
def _swarm(directory: Path, is_active: bool) -> Iterator[int]:
    """A service of 4 replicas of the site; its published port."""
    port = harness.free_port()
    if not is_active:
        _docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    try:
        _docker(
            *("service", "create", "--detach=false", "--name", "halage-peer", "--replicas", "4"),
            *("--publish", f"{port}:8000", "--env", "HOST=0.0.0.0", "--env", "PORT=8000"),
            *("--update-order", "start-first", "--update-parallelism", "1"),
            *("--mount", f"type=bind,source={directory},target=/site,readonly"),
            *(IMAGE, "python3", "/site/app.py"),
        )
        harness.Visitor(port, "localhost").wait_for("version 1")
        yield port
    finally:
        subprocess.run(["docker", "service", "rm", "halage-peer"], capture_output=True)
        if not is_active:
            subprocess.run(["docker", "swarm", "leave", "--force"], capture_output=True)


def _docker(*arguments: str) -> None:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise harness.Failure(f"docker {' '.join(arguments[:2])}: {done.stderr.strip()}")


if __name__ == "__main__":
    main()
