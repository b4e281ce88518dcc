"""How soon an instance that fails is out of the balancer, and how soon that is known and why.

A real server with a site of three instances, default settings of the check, and visitors that ask
all the time. An instance begins to fail in one of four ways: its process is killed; it closes its
port and lives on; it answers 500 to its check and to everybody; it accepts and never answers. The
figure (`failing_out_ms`, the worst of all) is the time until the balancer sends it nothing more, as
the API tells it (asked every 20 ms); beside it how many of the visitors' requests failed meanwhile,
and the time until the history has the change with its cause.
"""

import contextlib
import http.client
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import harness

INSTANCES = 3
ROUNDS = 3
MODES = ("kill", "refuse", "error", "hang")
PLACE = "projects/site/environments/live"
TOML = f"""\
kind = "python"
[run]
start = "python3 app.py"
[test]
commands = []
[flow]
main = ["test", "live"]
[environments.live]
instances = {INSTANCES}
type = "small"
"""
SITE = """\
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODE = ["well"]


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/control/"):
            return self.control(self.path.rpartition("/")[2])
        if MODE[0] == "hang":
            time.sleep(3600)
        self.answer(500 if MODE[0] == "error" else 200, str(os.getpid()))

    def control(self, mode):
        MODE[0] = mode
        self.answer(200, str(os.getpid()))
        if mode == "refuse":
            server.socket.close()
            threading.Thread(target=time.sleep, args=(3600,)).start()

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


server = ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Page)
server.serve_forever()
"""


@dataclass
class Visits:
    """Visitors that ask all the time, and what they got."""

    port: int
    asked: int = 0
    failed: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask every 10 ms until it is over; what takes longer than 2 s has failed."""
        while not self.is_over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            try:
                connection.request("GET", "/", headers={"Host": "live.site.localhost"})
                self.failed += connection.getresponse().status != 200
            except (OSError, http.client.HTTPException):
                self.failed += 1
            finally:
                connection.close()
            self.asked += 1
            time.sleep(0.01)


@contextlib.contextmanager
def visitors(port: int, number: int = 3) -> Iterator[list[Visits]]:
    """Visitors at work."""
    all_of_them = [Visits(port) for _ in range(number)]
    threads = [threading.Thread(target=each.run) for each in all_of_them]
    for thread in threads:
        thread.start()
    try:
        yield all_of_them
    finally:
        for each in all_of_them:
            each.is_over.set()
        for thread in threads:
            thread.join()


def main() -> None:
    """Measure and report."""
    with harness.running_server() as server, tempfile.TemporaryDirectory(prefix="halage-health-") as made:
        harness.report(**measure_all(server, Path(made) / "copy"))


def measure_all(server: harness.Server, directory: Path, rounds: int = ROUNDS) -> dict[str, float]:
    """The figures, of so many instances that fail in each way."""
    deploy(server, directory)
    figures: dict[str, float] = {}
    outs: list[float] = []
    known: list[float] = []
    for mode in MODES:
        took = [measure(server, mode) for _ in range(rounds)]
        figures[f"{mode}_out_p50_ms"] = harness.median([each[0] for each in took]) * 1000
        figures[f"{mode}_out_max_ms"] = max(each[0] for each in took) * 1000
        figures[f"{mode}_failed_total"] = sum(each[2] for each in took)
        figures[f"{mode}_requests_total"] = sum(each[3] for each in took)
        outs += [each[0] for each in took]
        known += [each[1] for each in took if mode != "kill"]
        harness.say(f"{mode}: {json.dumps([[round(value, 2) for value in each] for each in took])}")
    return {"failing_out_ms": max(outs) * 1000, "recorded_after_out_max_ms": max(known) * 1000, **figures}


def deploy(server: harness.Server, directory: Path) -> None:
    """A site in production."""
    server.call("POST", "projects", {"name": "site"})
    copy = harness.WorkingCopy(directory)
    copy.commit({"app.py": SITE, "halage.toml": TOML}, "One")
    copy.push(server.remote("site"))
    server.wait_for_run("site")


def measure(server: harness.Server, mode: str) -> tuple[float, float, int, int]:
    """Seconds until one that fails is out, and from then until it is recorded; failed of all requests."""
    victim = wait_well(server)
    with visitors(server.visitors_port) as all_of_them:
        time.sleep(1.0)
        pid = control(victim, "well")
        began = time.monotonic()
        if mode == "kill":
            os.kill(pid, signal.SIGKILL)
        else:
            control(victim, mode)
        out = wait(lambda: not is_up(server, victim["id"]), 40.0) - began
        recorded = out if mode == "kill" else wait(lambda: is_recorded(server), 20.0) - began
        time.sleep(0.5)
    if mode == "refuse":
        with contextlib.suppress(ProcessLookupError):  # it comes back as its next attempt
            os.kill(pid, signal.SIGKILL)
    elif mode != "kill":
        control(victim, "well")
    asked = sum(each.asked for each in all_of_them)
    return out, recorded - out, sum(each.failed for each in all_of_them), asked


def wait_well(server: harness.Server) -> dict[str, Any]:
    """An instance of an environment that is well again, and recorded so."""
    health: dict[str, Any] = {}

    def is_well() -> bool:
        nonlocal health
        health = server.call("GET", f"{PLACE}/health")
        spans = server.call("GET", f"{PLACE}/health/history")
        return health["serving"] == INSTANCES and bool(spans) and spans[-1]["colour"] == "green"

    wait(is_well, 120.0)
    shown = server.call("GET", PLACE)
    # Who died often waits longer before it starts again.
    return dict(min(shown["instances"], key=lambda each: each["attempt"]))


def is_up(server: harness.Server, instance: str) -> bool:
    """Whether the balancer sends requests to an instance."""
    found = server.call("GET", f"{PLACE}/health")["instances"]
    return any(each["id"] == instance and each["is_up"] for each in found)


def is_recorded(server: harness.Server) -> bool:
    """Whether the history says that the environment is not well, with an instance to blame."""
    newest = server.call("GET", f"{PLACE}/health/history")[-1]
    return newest["colour"] != "green" and any(cause["instance"] for cause in newest["causes"])


def control(instance: dict[str, Any], mode: str) -> int:
    """Tell an instance how to be; its process id."""
    connection = http.client.HTTPConnection(instance["address"], instance["port"], timeout=5)
    connection.request("GET", f"/control/{mode}")
    pid = int(connection.getresponse().read())
    connection.close()
    return pid


def wait(look: Any, timeout_s: float) -> float:
    """The moment (time.monotonic) at which `look` was true first; asks every 20 ms."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if look():
            return time.monotonic()
        time.sleep(0.02)
    raise harness.Failure(f"waited {timeout_s:.0f} s in vain")


if __name__ == "__main__":
    main()
