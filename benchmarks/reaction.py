"""How fast Halage reacts: the four figures of it, in one run.

Switch: the site itself says at which moment it gave its first good answer to the probe; from there to
the first answer of the new version that a visitor gets, who asks every 2 ms. Rollback: 4 instances,
blue/green, from the call of `rollback` or `swap` to the first answer of the version before. An instance
that fails, in whichever way: until it is out of the balancer, the longest (benchmarks/health.py has each
way by itself). Breach to serving: without the new instance's own boot, the longest (benchmarks/scaling.py
has it by other periods as well).
"""

import tempfile
import time
from pathlib import Path

import harness
import health
import scaling

SWITCHES = 11
ROLLBACKS = 10
FAILURES = 2
BREACHES = 2

SITE = """\
import os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

asked_at = []


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if not asked_at:
            asked_at.append(time.monotonic())
        body = f"VERSION {asked_at[0]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Page).serve_forever()
"""

CONFIGURATION = """\
kind = "python"
[run]
start = "exec python3 app.py"
[test]
commands = []
[flow]
main = ["test", "live"]
[environments.live]
instances = INSTANCES
[environments.live.deployments]
policy = "POLICY"
"""


def main() -> None:
    """Measure and print the figures."""
    with harness.running_server() as server, tempfile.TemporaryDirectory(prefix="halage-sites-") as name:
        switches = _switches(server, Path(name) / "switch")
        rollbacks = _rollbacks(server, Path(name) / "back")
        failing = health.measure_all(server, Path(name) / "failing", FAILURES)
        _, breaches = scaling.measure(server, "breach", Path(name) / "breach", 10, BREACHES)
    harness.report(
        switch_p50_ms=harness.median(switches),
        switch_max_ms=max(switches),
        failing_out_ms=failing["failing_out_ms"],
        rollback_ms=harness.median(rollbacks),
        rollback_max_ms=max(rollbacks),
        breach_to_serving_s=max(breaches),
    )


def _switches(server: harness.Server, directory: Path) -> list[float]:
    """Milliseconds from the first answered probe to the first answer to a visitor."""
    server.call("POST", "projects", {"name": "switch"})
    copy, visitor = harness.WorkingCopy(directory), _visitor(server, "switch")
    found = []
    for number in range(SWITCHES + 1):
        copy.commit(_files(f"v{number}", 1, "rolling_additional"), f"v{number}")
        copy.push(server.remote("switch"))
        answered_at, ready_at = _until(visitor, f"v{number}")
        server.wait_for_run("switch")
        found.append(1000 * (answered_at - ready_at))
        harness.say(f"switch {number}: {found[-1]:.0f} ms")
    return found[1:]  # the first one makes the environment


def _rollbacks(server: harness.Server, directory: Path) -> list[float]:
    """Milliseconds from the command to the first answer of the version before."""
    server.call("POST", "projects", {"name": "back"})
    copy, visitor = harness.WorkingCopy(directory), _visitor(server, "back")
    for version in ("v1", "v2"):
        copy.commit(_files(version, 4, "blue_green"), version)
        copy.push(server.remote("back"))
        server.wait_for_run("back")
        _until(visitor, version)
    found = []
    for number in range(ROLLBACKS):
        verb = "rollback" if number == 0 else "swap"
        begin = time.monotonic()
        deployment = server.call("POST", f"projects/back/environments/live/{verb}")
        answered_at, _ = _until(visitor, "v1" if number % 2 == 0 else "v2")
        found.append(1000 * (answered_at - begin))
        _wait_for(server, deployment["id"])
        harness.say(f"{verb}: {found[-1]:.0f} ms")
    return found


def _files(version: str, instances: int, policy: str) -> dict[str, str]:
    toml = CONFIGURATION.replace("INSTANCES", str(instances)).replace("POLICY", policy)
    return {"app.py": SITE.replace("VERSION", version), "halage.toml": toml}


def _visitor(server: harness.Server, project: str) -> harness.Visitor:
    return harness.Visitor(server.visitors_port, f"live.{project}.localhost")


def _until(visitor: harness.Visitor, version: str, timeout_s: float = 60.0) -> tuple[float, float]:
    """The moment of the first answer of a version, and that of the first answer that its instance gave."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        words = (visitor.ask() or "").split()
        if words and words[0] == version:
            return time.monotonic(), float(words[1])
        time.sleep(0.002)
    raise harness.Failure(f"{version} did not answer within {timeout_s:.0f} s")


def _wait_for(server: harness.Server, deployment: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = server.call("GET", f"deployments/{deployment}")["state"]
        if state == "succeeded":
            return
        if state in ("failed", "rolled_back", "superseded"):
            raise harness.Failure(f"deployment {deployment} {state}")
        time.sleep(0.02)
    raise harness.Failure(f"deployment {deployment} did not end within 60 s")


if __name__ == "__main__":
    main()
