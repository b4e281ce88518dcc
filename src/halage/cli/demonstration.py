"""The demo itself: a server of its own, a site from a template, two deployments, a report."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from halage.cli import terminal
from halage.cli.exits import DONE, FAILED, Failed
from halage.cli.prober import Prober, ProbeReport
from halage.cli.watch import watch_run
from halage.cli.words import duration, elapsed
from halage.client import Client, ServerUnreachable

PROJECT = "boutique"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
RUN_TIMEOUT_S = 20.0
_STOPPING = (signal.SIGTERM, signal.SIGHUP)
_NEW_TEXT = "Second version, shipped under load."
_HEADING = re.compile(r"(<h1[^>]*>)(.*?)(</h1>)", re.DOTALL)
_NOT_HOME = re.compile(r"^\.git/|test|error|404", re.IGNORECASE)
_PAGES = ("*.blade.php", "*.html", "*.php", "*.py", "*.js", "*.mjs")


@dataclass(frozen=True)
class Place:
    """Where the demo lives: one directory, two ports."""

    directory: Path
    api_port: int
    site_port: int

    @property
    def data(self) -> Path:
        """The server's data directory."""
        return self.directory / "data"

    @property
    def working_copy(self) -> Path:
        """The developer's working copy."""
        return self.directory / PROJECT

    @property
    def url(self) -> str:
        """Console, API and git."""
        return f"http://127.0.0.1:{self.api_port}"

    def environment(self) -> dict[str, str]:
        """The environment of the developer's commands: configuration of its own, no prompts."""
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        return {
            **os.environ,
            "HALAGE_URL": self.url,
            "HALAGE_TOKEN": (self.data / "admin-token").read_text().strip(),
            "XDG_CONFIG_HOME": str(home),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "user.name",
            "GIT_CONFIG_VALUE_0": "Ada",
            "GIT_CONFIG_KEY_1": "user.email",
            "GIT_CONFIG_VALUE_1": "ada@localhost",
        }


def run_demo(*, once: bool = False, rate: float = 25, template: str = "laravel") -> int:
    """The exit code: 0 when both versions went live and no request failed, else 1. Always cleans up.

    SIGTERM, and a terminal that is closed, end it as Ctrl-C does.
    """
    with _signals(_STOPPING, _interrupt):
        directory = Path(tempfile.mkdtemp(prefix="halage-demo-"))
        directory.chmod(0o711)  # the site's own user must reach its release below
        place = Place(directory, _free_port(), _free_port())
        try:
            with _server(place):
                return _show(place, once=once, rate=rate, template=template)
        except KeyboardInterrupt:
            with contextlib.suppress(OSError):  # the terminal may be gone
                terminal.print_note("Stopped.")
            return FAILED
        finally:
            # Whoever presses Ctrl-C again would leave the site running.
            with _signals((signal.SIGINT, *_STOPPING), _go_on):
                _clean_up(place)


@contextlib.contextmanager
def _signals(numbers: Sequence[int], handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Answer these signals so until the end of the block; programs that it starts do not inherit that."""
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _go_on(_number: int, _frame: FrameType | None) -> None:
    pass


def _clean_up(place: Place) -> None:
    with contextlib.ExitStack() as shown:
        with contextlib.suppress(OSError):  # the terminal may be gone
            shown.enter_context(terminal.waiting("Cleaning up"))
        _tear_down(place)


def _show(place: Place, *, once: bool, rate: float, template: str) -> int:
    with Client(place.url, (place.data / "admin-token").read_text().strip()) as client:
        _say(f"1. A new site from the {template} template")
        _command(place, ["halage", "project", "create", PROJECT, "--template", template], place.directory)
        _say("2. Push it, and see it go through its stages")
        first = _ship(place, client)
        _say("3. Production answers")
        _open(place)
        _say(f"4. A visible change, while {rate:g} requests a second come in")
        prober = Prober("127.0.0.1", place.site_port, site=f"{PROJECT}.localhost", rate=rate)
        _change(place)
        prober.await_text(_NEW_TEXT)
        prober.start()
        try:
            second = _ship(place, client)
            time.sleep(1.0)
        finally:
            report = prober.stop()
        _open(place)
        deployment = client.show_environment(PROJECT, "prod")["deployment"]
        _say("5. The report")
        is_good = _report(place, report, first, second, deployment)
    if not once:
        terminal.print_note("It stays up: press Ctrl-C to end it and clean up.")
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    return DONE if is_good else FAILED


def _ship(place: Place, client: Client) -> dict[str, Any]:
    """Push, watch, approve, watch: the run as it ended. Raises Failed."""
    before = [run["id"] for run in client.list_runs(PROJECT, limit=1)]
    _command(place, ["git", "push"], place.working_copy)
    number = _new_run(client, before)
    run = watch_run(client, number, until_approval=True)
    while run["state"] == "waiting":
        _command(place, ["halage", "approve", PROJECT, "--comment", "looks good"], place.working_copy)
        run = watch_run(client, number, console=False)
    if run["state"] != "succeeded":
        raise Failed(f"Run {number} {run['state']}: {run['reason']}")
    return run


def _new_run(client: Client, before: list[int]) -> int:
    deadline = time.monotonic() + RUN_TIMEOUT_S
    while time.monotonic() < deadline:
        runs = client.list_runs(PROJECT, limit=1)
        if runs and runs[0]["id"] not in before:
            return int(runs[0]["id"])
        time.sleep(0.05)
    raise Failed(f"The push started no run within {RUN_TIMEOUT_S:.0f} s.")


def _open(place: Place) -> None:
    host = f"{PROJECT}.localhost"
    command = ["curl", "--silent", "--show-error", "--fail", "--header", f"Host: {host}"]
    page = _command(place, [*command, f"http://127.0.0.1:{place.site_port}/"], place.directory, quiet=True)
    found = _HEADING.search(page)
    heading = re.sub(r"<[^>]+>|\s+", " ", found[2]).strip() if found else f"{len(page)} characters"
    terminal.print_line(f"  {heading}", "green")


def _change(place: Place) -> None:
    """Add to the first heading of the home page, and commit that. Raises Failed."""
    for pattern in _PAGES:
        for path in sorted(place.working_copy.rglob(pattern)):
            if _NOT_HOME.search(str(path.relative_to(place.working_copy))):
                continue
            text = path.read_text(errors="replace")
            changed, count = _HEADING.subn(rf"\g<1>\g<2> {_NEW_TEXT}\g<3>", text, count=1)
            if count:
                path.write_text(changed)
                _command(place, ["git", "commit", "--quiet", "--all", "-m", _NEW_TEXT], place.working_copy)
                return
    raise Failed("The template has no page with a heading to change.")


def _report(
    place: Place,
    probes: ProbeReport,
    first: dict[str, Any],
    second: dict[str, Any],
    deployment: dict[str, Any],
) -> bool:
    """Print what happened; whether it is what was promised."""
    phases = ", ".join(f"{each['name']} {duration(each['duration_s'])}" for each in deployment["phases"])
    is_good = probes.sent > 0 and probes.failed == 0 and probes.first_new_at is not None
    terminal.print_facts(
        [
            ("requests sent", str(probes.sent)),
            ("failed", terminal.plain(str(probes.failed), "bold green" if not probes.failed else "bold red")),
            *((f"  {cause}", str(count)) for cause, count in probes.causes.most_common(5)),
            ("latency", f"median {probes.latency_ms(0.5):.1f} ms, p99 {probes.latency_ms(0.99):.1f} ms"),
            ("first run", _stages(first)),
            ("second run", _stages(second)),
            ("production", phases),
            ("console", place.url),
            ("sign in", _login_hint(place)),
            ("site", f"http://{PROJECT}.localhost:{place.site_port}/"),
            ("dashboard", f"{place.url}/projects/{PROJECT}/environments/prod/graphs"),
        ]
    )
    if probes.first_new_at is None:
        terminal.print_error("The second version was never seen in an answer.")
    return is_good


def _stages(run: dict[str, Any]) -> str:
    return ", ".join(
        f"{stage['name']} {duration(elapsed(stage, time.time()) or 0.0)}"
        for stage in run["stages"]
        if stage["started_at"]
    )


def _login_hint(place: Place) -> str:
    """The one-time link that the server printed at its first start."""
    found = re.search(rf"{re.escape(place.url)}/login/\S+", (place.directory / "server.log").read_text())
    return found[0] if found else f"API token in {place.data / 'admin-token'}"


@contextlib.contextmanager
def _server(place: Place) -> Iterator[None]:
    """`halage serve` as a process of its own, from its first answer to the end of the block."""
    command = [sys.executable, "-m", "halage", "serve", "--data", str(place.data)]
    command += ["--listen", f"127.0.0.1:{place.api_port}", "--http", f"127.0.0.1:{place.site_port}"]
    log = place.directory / "server.log"
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is for the demo, which then ends the server in order.
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        with terminal.waiting("Starting a server"):
            _wait_for(place, server, log)
        yield
    except Failed:
        terminal.print_note("What the server's log says:")
        for line in _tail(log).splitlines():
            terminal.print_note(line)
        raise
    finally:
        server.terminate()
        try:
            server.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(place: Place, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    with Client(place.url, None) as client:
        while time.monotonic() < deadline:
            if server.poll() is not None:
                raise Failed(f"`halage serve` ended with code {server.returncode}.")
            try:
                client.show_health()
            except ServerUnreachable:
                time.sleep(0.05)
            else:
                return
    raise Failed(f"`halage serve` did not answer within {START_TIMEOUT_S:.0f} s.")


def _tear_down(place: Place) -> None:
    """End what outlives the server: the instances and the balancer; then remove the directory."""
    if place.data.exists():
        command = [sys.executable, "-m", "halage", "teardown", "--data", str(place.data)]
        # A session of its own: a Ctrl-C of the terminal does not end it halfway.
        done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
        if done.returncode != 0:
            # Its directory tells what is left: it must not go before that is ended.
            raise Failed(f"What runs under {place.data} could not be ended: {done.stderr}")
    shutil.rmtree(place.directory, ignore_errors=True)
    if place.directory.exists():
        terminal.print_note(f"Not all of {place.directory} could be removed.", "yellow")


def _command(place: Place, words: Sequence[str], directory: Path, *, quiet: bool = False) -> str:
    """Show a command, run it, show what it says, return its stdout. Raises Failed."""
    terminal.print_line(f"$ {shlex.join(words)}", "bold")
    real = [sys.executable, "-m", "halage", *words[1:]] if words[0] == "halage" else list(words)
    done = subprocess.run(
        real,
        cwd=directory,
        env=place.environment(),
        stdout=subprocess.PIPE,
        stderr=None if quiet else subprocess.STDOUT,
        text=True,
        check=False,
    )
    for line in () if quiet else done.stdout.splitlines():
        terminal.print_line(f"  {line.rstrip()}", "dim")
    if done.returncode != 0:
        raise Failed(f"`{shlex.join(words)}` ended with code {done.returncode}.")
    return done.stdout


def _say(text: str) -> None:
    terminal.print_line("")
    terminal.print_line(text, "bold cyan")


def _tail(log: Path) -> str:
    """What the server's log tells of problems, else its last lines."""
    lines = log.read_text(errors="replace").splitlines()
    problems = []
    for line in lines:
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if entry.get("level") in ("warning", "error", "critical"):
                problems.append(f"{entry.get('event')} {entry.get('exception', '')}")
    return "\n".join(dict.fromkeys(problems[-5:] or lines[-20:]))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
