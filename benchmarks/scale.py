"""Large fleets: what the control plane costs, how promptly it answers, and whether its cost grows evenly.

Part one: the server as it is, with its HAProxy and all of monitoring, but for its instances, which are
simulated (one other process answers for all): 40 projects with five environments of five instances are
deployed by real pushes. Then, with everything at rest, the server's processor time is read from /proc
over half a minute; and people look at lists, environments, deployments, metrics, alarms and logs, in an
open model: each request has its planned moment, and its time counts from there.

Part two: the real controllers in virtual time, over drivers in memory (tests/simulation.py): a day of
100 environments and one of 1,000, with ten instances each, and in each the same share of deaths, crash
loops, broken releases, aborts, rollbacks, changes of scale, and two `kill -9` of the control plane.
Each day ends with a look that no instance is lost or doubled. The figure is the processor time of an
environment in the large fleet over that in the small one: of the control plane, the drivers and the
simulation together. SCALE_DAY_S is the length of the day (86,400 s unless it is set).
"""

import http.client
import json
import math
import os
import subprocess
import sys
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import harness
from parts.process import cpu_s, memory_mib

ROOT = Path(__file__).parent.parent
SIMULATED = (sys.executable, str(ROOT / "benchmarks/parts/simulated_server.py"))
PROJECTS, INSTANCES = 40, 5
ENVIRONMENTS = ("dev", "preprod", "live", "north", "south")
SETTLE_S, MEASURE_S = 15.0, 30.0
REQUESTS, REQUESTS_PER_S, VISITORS = 600, 20, 16
STEP = 11
"""From one request's path to the next one's. It has no divisor in common with the number of paths, so that
all come up."""
SMALL, LARGE, OF_EACH = 100, 1000, 10
CONFIGURATION = f"""\
kind = "python"
[run]
start = "python3 app.py"
[test]
commands = []
[flow]
main = {json.dumps(["test", *ENVIRONMENTS])}
""" + "".join(
    f'[environments.{name}]\ninstances = {INSTANCES}\ntype = "nano"\n'
    f'[environments.{name}.health]\ninterval = "10s"\n'
    for name in ENVIRONMENTS
)


def main() -> None:
    """Measure both, and print the figures."""
    figures: dict[str, Any] = {}
    with harness.running_server(SIMULATED) as server:
        names = [f"site-{number:02}" for number in range(PROJECTS)]
        with ThreadPoolExecutor(2) as pool:
            for name in pool.map(lambda name: _deploy(server, name), names):
                harness.say(f"{name} is deployed")
        figures["instances"] = _serving(server, names)
        figures |= _rest(server) | _ask(server, names)
    small, large = _live_a_day(SMALL), _live_a_day(LARGE)
    harness.report(
        **figures,
        cpu_growth_ratio=large["cpu_ms_per_environment"] / small["cpu_ms_per_environment"],
        environment_day_small_cpu_ms=small["cpu_ms_per_environment"],
        environment_day_large_cpu_ms=large["cpu_ms_per_environment"],
        instances_started=large["starts"],
    )


# -- part one: the server


def _deploy(server: harness.Server, name: str) -> str:
    server.call("POST", "projects", {"name": name})
    copy = harness.WorkingCopy(server.directory / "copies" / name)
    copy.commit({"app.py": harness.SITE.replace("VERSION", name), "halage.toml": CONFIGURATION}, "First")
    copy.push(server.remote(name))
    server.wait_for_run(name, timeout_s=600)
    return name


def _serving(server: harness.Server, names: list[str]) -> int:
    """How many instances answer; all of them must."""
    wanted = PROJECTS * len(ENVIRONMENTS) * INSTANCES
    deadline = time.monotonic() + 60
    while True:
        serving = sum(
            int(each["serving"])
            for name in names
            for each in server.call("GET", f"projects/{name}/environments")
        )
        if serving == wanted:
            return serving
        if time.monotonic() > deadline:
            raise harness.Failure(f"only {serving} of {wanted} instances serve")
        time.sleep(1)


def _rest(server: harness.Server) -> dict[str, float]:
    """What it uses while nobody asks for anything."""
    time.sleep(SETTLE_S)
    begin, before_s = time.monotonic(), cpu_s(server.process.pid)
    time.sleep(MEASURE_S)
    busy_s = cpu_s(server.process.pid) - before_s
    percent = 100 * busy_s / (time.monotonic() - begin)
    return {"cpu_percent": percent, "rss_mib": memory_mib(server.process.pid)}


def _ask(server: harness.Server, names: list[str]) -> dict[str, float]:
    """How long requests take, from the moment that each was planned for."""
    paths = [path for name in names for path in _paths_of(name)]
    assert math.gcd(STEP, len(paths)) == 1
    lock, taken, times, failed = threading.Lock(), iter(range(REQUESTS)), list[float](), list[str]()
    begin, before_s = time.monotonic() + 0.2, cpu_s(server.process.pid)

    def visit() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        while True:
            with lock:
                number = next(taken, None)
            if number is None:
                return
            planned = begin + number / REQUESTS_PER_S
            time.sleep(max(planned - time.monotonic(), 0.0))
            path = paths[number * STEP % len(paths)]
            connection.request("GET", f"/api/v1/{path}", headers={"Authorization": f"Bearer {server.token}"})
            answer = connection.getresponse()
            answer.read()
            times.append((time.monotonic() - planned) * 1000)
            if answer.status != 200:
                failed.append(f"{path}: {answer.status}")

    visitors = [threading.Thread(target=visit) for _ in range(VISITORS)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    if failed or len(times) != REQUESTS:
        raise harness.Failure(f"{len(times)} of {REQUESTS} requests were answered; {failed[:3]}")
    busy_s = cpu_s(server.process.pid) - before_s
    return {
        "api_p50_ms": harness.median(times),
        "api_p99_ms": harness.percentile(times, 0.99),
        "api_cpu_ms": busy_s * 1000 / REQUESTS,
    }


def _paths_of(project: str) -> list[str]:
    environment = f"projects/{project}/environments/live"
    expression = f'average(instance_memory_percent{{project="{project}",environment="live"}})'
    return [
        "projects",
        f"projects/{project}",
        f"projects/{project}/environments",
        environment,
        f"{environment}/deployments",
        f"{environment}/releases",
        f"{environment}/health",
        f"{environment}/scaling",
        f"{environment}/settings",
        f"projects/{project}/runs",
        f"alarms?project={project}",
        f"metrics/query?{urllib.parse.urlencode({'expression': expression})}",
        f"logs/search?{urllib.parse.urlencode({'group': f'{project}.live/instances'})}",
    ]


# -- part two: the controllers


def _live_a_day(environments: int) -> dict[str, Any]:
    harness.say(f"a day of {environments} environments with {OF_EACH} instances each")
    day_s = os.environ.get("SCALE_DAY_S", "86400")
    command = [sys.executable, "-m", "tests.simulation", str(environments), str(OF_EACH), day_s]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise harness.Failure(f"{environments} environments did not live well:\n{done.stderr[-2000:]}")
    harness.say(done.stdout.strip())
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


if __name__ == "__main__":
    main()
