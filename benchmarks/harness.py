"""What the benchmarks share: a real server in a directory of its own, a git client, a visitor, figures."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HALAGE = Path(sys.executable).parent / "halage"
START_TIMEOUT_S = 30.0
FINAL = {"succeeded", "failed", "cancelled", "superseded"}

SITE = """\
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"VERSION"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Page).serve_forever()
"""
"""A small Python site that needs no build; VERSION is what it answers."""


class Failure(Exception):
    """The thing to measure did not work, so there is no figure."""


@dataclass(frozen=True)
class Server:
    """A running `halage serve`."""

    process: subprocess.Popen[bytes]
    directory: Path
    port: int
    visitors_port: int
    token: str

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The answer of the API under /api/v1; raises Failure with the problem that it tells of."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            raise Failure(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from error
        return json.loads(content) if content else None

    def remote(self, project: str) -> str:
        """The address of a project's repository, with the credential in it."""
        return f"http://admin:{self.token}@127.0.0.1:{self.port}/git/{project}.git"

    def newest_run(self, project: str) -> dict[str, Any]:
        """The project's newest run."""
        runs: list[dict[str, Any]] = self.call("GET", f"projects/{project}/runs?limit=1")
        if not runs:
            raise Failure(f"the push to {project} started no run")
        return runs[0]

    def wait_for_run(self, project: str, timeout_s: float = 120.0) -> dict[str, Any]:
        """The project's newest run once it is final; raises Failure when it is not green."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            run = self.newest_run(project)
            if run["state"] in FINAL:
                if run["state"] != "succeeded":
                    raise Failure(
                        f"run {run['id']} of {project}: {run['state']}: {json.dumps(run, indent=1)}"
                    )
                return run
            time.sleep(0.05)
        raise Failure(f"no run of {project} ended within {timeout_s:.0f} s")


@contextlib.contextmanager
def running_server(program: Sequence[str] = ()) -> Iterator[Server]:
    """A server with a fresh data directory on free ports; on leaving, nothing of it is left.

    `program`: what is run instead of `halage serve`, with the data directory and both addresses.
    """
    directory = Path(tempfile.mkdtemp(prefix="halage-bench-"))
    directory.chmod(0o711)
    try:
        with (directory / "server.log").open("wb") as log:
            process, port, visitors_port = _start(directory, log.fileno(), program)
        try:
            _wait_for_health(process, port, directory)
            token = (directory / "data" / "admin-token").read_text().strip()
            server = Server(process, directory, port, visitors_port, token)
            yield server
            if process.poll() is None:
                for project in server.call("GET", "projects"):
                    server.call("DELETE", f"projects/{project['name']}")
        except BaseException:
            print(_tail(directory / "server.log"), file=sys.stderr)
            raise
        finally:
            _stop(process)
    finally:
        end_all_of(directory)
        # As root, the server makes the output of instances append-only.
        subprocess.run(["chattr", "-R", "-f", "-a", str(directory)], check=False)
        shutil.rmtree(directory, ignore_errors=True)


def _start(directory: Path, log: int, program: Sequence[str]) -> tuple[subprocess.Popen[bytes], int, int]:
    port, visitors_port = free_port(), free_port()
    data, listen, http = str(directory / "data"), f"127.0.0.1:{port}", f"127.0.0.1:{visitors_port}"
    command = [str(HALAGE), "serve", "--data", data, "--listen", listen, "--http", http]
    if program:
        command = [*program, data, listen, http]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HALAGE_")}
    environment["HALAGE_CONFIG"] = os.devnull  # the machine's own settings are not what is measured
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=directory
    )
    return process, port, visitors_port


def _wait_for_health(process: subprocess.Popen[bytes], port: int, directory: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failure(f"halage serve ended with {process.returncode}")
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/health", timeout=5),
        ):
            return
        time.sleep(0.05)
    raise Failure(f"halage serve did not answer within {START_TIMEOUT_S:.0f} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def end_all_of(directory: Path) -> None:
    """Kill every process that has this directory in its command line or environment.

    The balancer and the instances outlive the server by design; a benchmark must not leave them.
    """
    mark = os.fsencode(directory)
    for _ in range(3):
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and int(process.name) != os.getpid() and _mentions(process, mark):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(int(process.name), signal.SIGKILL)
        time.sleep(0.05)


def _mentions(process: Path, mark: bytes) -> bool:
    with contextlib.suppress(OSError):
        if mark in (process / "cmdline").read_bytes():
            return True
        return mark in (process / "environ").read_bytes()
    return False


def _tail(path: Path, lines: int = 40) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_GIT_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Benchmark",
    "GIT_AUTHOR_EMAIL": "benchmark@localhost",
    "GIT_COMMITTER_NAME": "Benchmark",
    "GIT_COMMITTER_EMAIL": "benchmark@localhost",
}


class WorkingCopy:
    """A repository on the developer's side."""

    def __init__(self, directory: Path) -> None:
        """Make an empty repository on branch main, or open the one that is there."""
        self.directory = directory
        if not directory.exists():
            directory.mkdir(parents=True)
            self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        """The output of a git command; raises Failure with what it complained of."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.directory,
            env={**os.environ, **_GIT_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise Failure(f"git {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def commit(self, files: Mapping[str, str], title: str) -> None:
        """Write the files and commit them."""
        for name, content in files.items():
            (self.directory / name).write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", title)

    def start_push(self, remote: str, branch: str = "main") -> subprocess.Popen[bytes]:
        """A push that is under way."""
        return subprocess.Popen(
            ["git", "push", "-q", remote, f"HEAD:refs/heads/{branch}"],
            cwd=self.directory,
            env={**os.environ, **_GIT_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def push(self, remote: str, branch: str = "main") -> None:
        """Push and wait until git has done it."""
        self.git("push", "-q", remote, f"HEAD:refs/heads/{branch}")


class Visitor:
    """Asks one host name for its page, over one connection as long as it lasts."""

    def __init__(self, port: int, host: str) -> None:
        self._port = port
        self._host = host
        self._connection: http.client.HTTPConnection | None = None

    def ask(self) -> str | None:
        """The body of the answer; None when there was no good one."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            self._connection.request("GET", "/", headers={"Host": self._host})
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            return None
        return body.decode() if answer.status == 200 else None

    def wait_for(self, body: str, timeout_s: float = 60.0) -> float:
        """The moment (time.monotonic) at which that body was answered first; asks every 2 ms."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.ask() == body:
                return time.monotonic()
            time.sleep(0.002)
        raise Failure(f"{self._host} did not answer {body!r} within {timeout_s:.0f} s")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * round(share * 1000) // 1000))
    return ordered[rank - 1]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def report(**figures: object) -> None:
    """Print the figures as the last line: one JSON object."""
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}
    print(json.dumps(rounded), flush=True)


def say(text: str) -> None:
    """Show progress."""
    print(text, file=sys.stderr, flush=True)
