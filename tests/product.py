"""The installed product as its users meet it: `halage serve`, a developer's working copy, visitors."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar

import pytest

from halage.client import Client, ServerUnreachable

T = TypeVar("T")
Document = dict[str, Any]

HALAGE = str(Path(sys.executable).parent / "halage")
PATIENCE_S = 60.0
"""For whatever is bound to come: long, because the machine may be busy with something else."""
FINAL = frozenset({"succeeded", "failed", "cancelled", "superseded"})
FINAL_DEPLOYMENT = frozenset({"succeeded", "rolled_back", "failed", "superseded"})


def eventually(look: Callable[[], T | None], what: str, *, within_s: float = PATIENCE_S) -> T:
    """The first true thing that `look` returns; fails naming `what` and what it returned last."""
    deadline = time.monotonic() + within_s
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"waited {within_s:.0f} s for {what}; at last: {found!r}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Output:
    """What a command printed, and how it ended."""

    code: int
    text: str


@dataclass(frozen=True)
class Answer:
    """What a visitor got. Status 0: no answer at all, and why is the body."""

    status: int
    body: str


class Product:
    """A server on ports and a data directory that stay the same over its restarts."""

    def __init__(
        self,
        directory: Path,
        port: int,
        visitors_port: int,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Start nothing yet. `directory` is one that other accounts can pass; `settings` are HALAGE_*."""
        self.directory = directory
        self.settings = settings or {}
        self.data = directory / "data"
        self.port = port
        self.visitors_port = visitors_port
        self.url = f"http://127.0.0.1:{port}"
        self.log = directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._client: Client | None = None

    # -- the server's life

    def serve_command(self, *, port: int | None = None) -> list[str]:
        """The command that starts the server, or (with another port) a second one."""
        where = ["--listen", f"127.0.0.1:{port or self.port}", "--http", f"127.0.0.1:{self.visitors_port}"]
        return [HALAGE, "serve", "--data", str(self.data), *where]

    def environment(self) -> dict[str, str]:
        """The environment of commands: nothing of the machine's own configuration."""
        # Without its bytecode every start of the server would compile all of it: seconds that no user waits.
        foreign = ("HALAGE_", "GIT_", "PYTHONDONTWRITEBYTECODE")
        mine = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        return {
            **mine,
            "HOME": str(home),
            "HALAGE_CONFIG": os.devnull,
            "XDG_CONFIG_HOME": str(home / ".config"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C.UTF-8",
            **{
                f"GIT_{role}_{key}": value
                for role in ("AUTHOR", "COMMITTER")
                for key, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com"))
            },
        }

    def begin(self) -> None:
        """Start the server and do not wait."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.serve_command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**self.environment(), **self.settings},
            )

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.begin()
        self.await_answer()

    def await_answer(self) -> None:
        """Wait until a server that was begun answers."""
        eventually(self._answers, "the server to answer")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"halage serve ended: {self.log_tail()}"
        with contextlib.suppress(ServerUnreachable), Client(self.url, None) as client:
            client.show_health()
            return True
        return False

    def kill(self) -> None:
        """SIGKILL the server."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM the server; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def log_tail(self) -> str:
        """The end of what the server wrote about itself."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    # -- its doors

    @property
    def token(self) -> str:
        """The administrator's."""
        return (self.data / "admin-token").read_text().strip()

    @property
    def client(self) -> Client:
        """The API, as the administrator."""
        if self._client is None:
            self._client = Client(self.url, self.token)
        return self._client

    def remote(self, project: str, user: str = "admin", secret: str | None = None) -> str:
        """The address of a project's repository with a credential in it."""
        return f"http://{user}:{secret or self.token}@127.0.0.1:{self.port}/git/{project}.git"

    def halage(self, *words: str, directory: Path | None = None) -> Output:
        """What a command of the CLI printed, as the administrator."""
        credential = {"HALAGE_URL": self.url, "HALAGE_TOKEN": self.token}
        environment = {**self.environment(), **credential}
        return run([HALAGE, *words], directory or self.directory, environment)

    def visit(self, host: str, path: str = "/") -> Answer:
        """What a visitor gets from the balancer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.visitors_port}{path}", headers={"Host": host, "Connection": "close"}
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode())
        except (OSError, HTTPException) as error:
            return Answer(0, str(error))

    # -- what becomes of things

    def run(self, project: str) -> Document:
        """The project's newest run."""
        return self.client.list_runs(project, limit=1)[0]

    def until_run(self, number: int, *states: str) -> Document:
        """The run once it is in one of these states (by default: once it has ended)."""

        def look() -> Document | None:
            run = self.client.show_run(number)
            return run if run["state"] in (states or FINAL) else None

        return eventually(look, f"run {number} to be {' or '.join(states) or 'over'}", within_s=90)

    def until_deployment(self, number: int) -> Document:
        """The deployment once it has ended."""

        def look() -> Document | None:
            deployment = self.client.show_deployment(number)
            return deployment if deployment["state"] in FINAL_DEPLOYMENT else None

        return eventually(look, f"deployment {number} to end", within_s=90)

    def console(self, run: Document) -> str:
        """The console of a run's first job."""
        job = next(stage["job_id"] for stage in run["stages"] if stage["job_id"] is not None)
        return "\n".join(line["text"] for line in self.client.read_console(job))

    def serving_units(self, project: str, environment: str = "prod") -> dict[str, int]:
        """Instance's unit ids and leaders' pids, by what the API says serves."""
        shown = self.client.show_environment(project, environment)["instances"]
        living = [each for each in shown if each["state"] == "serving"]
        leaders = self.leaders()
        ids = [f"{each['id']}.{each['attempt']}" for each in living]
        return {unit: leaders[unit] for unit in ids if unit in leaders}

    # -- what is on the machine

    @property
    def mark(self) -> str:
        """What the control groups of its units are called."""
        return "halage-" + hashlib.sha256(os.fsencode(self.data / "units")).hexdigest()[:12]

    def processes(self) -> dict[int, dict[str, str]]:
        """Every living process that belongs to this data directory, with its environment; not the server."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            if self.process is None or int(process.name) != self.process.pid:
                with contextlib.suppress(OSError):
                    if (environment := self._environment_if_mine(process)) is not None:
                        found[int(process.name)] = environment
        return found

    def _environment_if_mine(self, process: Path) -> dict[str, str] | None:
        directory = os.fsencode(self.data)
        environment = (process / "environ").read_bytes()
        is_mine = (
            directory in environment
            or directory in (process / "cmdline").read_bytes()
            or self.mark in (process / "cgroup").read_text()
        )
        # A zombie has no memory, so no command line and no environment either.
        if not is_mine or (process / "stat").read_text().rpartition(")")[2].split()[0] in "ZX":
            return None
        words = (part.partition("=") for part in environment.decode(errors="replace").split("\0"))
        return {name: value for name, _, value in words if name}

    def leaders(self) -> dict[str, int]:
        """The unit ids of everything that lives, with the pid of the first process of each session."""
        found: dict[str, int] = {}
        for pid, environment in self.processes().items():
            if "HALAGE_UNIT" in environment:
                with contextlib.suppress(ProcessLookupError):
                    found[environment["HALAGE_UNIT"]] = os.getsid(pid)
        return found

    def balancer_pids(self) -> list[int]:
        """The processes of HAProxy."""
        found = []
        for pid in self.processes():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if Path(f"/proc/{pid}/comm").read_text() == "haproxy\n":
                    found.append(pid)
        return found

    def teardown(self) -> None:
        """Stop the server, end what outlives it, and hold it to having left nothing."""
        if self._client is not None:
            self._client.close()
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
            done = run([HALAGE, "teardown", "--data", str(self.data)], self.directory, self.environment())
            assert done.code == 0, done.text
            eventually(lambda: not self.processes(), "every process to be gone", within_s=20)
            assert not list(Path("/sys/fs/cgroup").glob(f"**/{self.mark}"))
        finally:
            self._clear_up()

    def _clear_up(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # As root, the server makes the output of instances append-only.
        subprocess.run(["chattr", "-R", "-f", "-a", str(self.data)], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def product(
    port: int,
    visitors_port: int,
    *,
    disk_mib: int | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Product]:
    """A running server with nothing in it; at the end nothing of it is left, or the test fails.

    With `disk_mib` its data is on a disk of that size (skips the test where nothing can be mounted).
    """
    # Not below pytest's own directory, which other accounts cannot pass.
    directory = Path(tempfile.mkdtemp(prefix="halage-test-"))
    directory.chmod(0o711)
    one = Product(directory, port, visitors_port, settings)
    with _small_disk(one, disk_mib) if disk_mib is not None else contextlib.nullcontext():
        try:
            one.start()
            yield one
        except BaseException:
            print(one.log_tail())
            with contextlib.suppress(Exception):
                one.teardown()
            raise
        one.teardown()


@contextlib.contextmanager
def _small_disk(one: Product, mib: int) -> Iterator[None]:
    one.data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0711", "tmpfs", str(one.data)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        shutil.rmtree(one.directory)
        pytest.skip("no small file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(one.data)], check=True)
        shutil.rmtree(one.directory, ignore_errors=True)


def run(words: list[str], directory: Path, environment: Mapping[str, str]) -> Output:
    """A command's output (both streams) and its exit code."""
    done = subprocess.run(
        words,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    return Output(done.returncode, done.stdout.decode(errors="replace"))


class WorkingCopy:
    """A project on the server and the repository of its developer."""

    def __init__(self, server: Product, project: str, *, name: str | None = None) -> None:
        """Make the project (unless it exists) and an empty repository on branch main."""
        self.server = server
        self.project = project
        self.path = server.directory / (name or f"copy-{project}")
        self.path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        if project not in [each["name"] for each in server.client.list_projects()]:
            server.client.create_project(project)

    def try_git(self, *words: str) -> Output:
        """What git printed."""
        return run(["git", *words], self.path, self.server.environment())

    def git(self, *words: str) -> str:
        """What git printed, once it succeeded."""
        done = self.try_git(*words)
        assert done.code == 0, f"git {words[0]}: {done.text}"
        return done.text

    def commit(self, files: Mapping[str, str], title: str = "A change") -> str:
        """Write the files and commit all; the commit's id."""
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", title)
        return self.git("rev-parse", "HEAD").strip()

    def try_push(self, *options: str, branch: str = "main", remote: str | None = None) -> Output:
        """What git printed; `-o wait` and the like go before the remote."""
        where = remote or self.server.remote(self.project)
        return self.try_git("push", *options, where, f"HEAD:refs/heads/{branch}")

    def push(self, *options: str, branch: str = "main") -> Document:
        """Push; the run that this started."""
        before = [each["id"] for each in self.server.client.list_runs(self.project, limit=1)]
        done = self.try_push(*options, branch=branch)
        assert done.code == 0, done.text
        run = self.server.run(self.project)
        assert run["id"] not in before, f"the push started no run: {done.text}"
        return run

    def deploy(self, files: Mapping[str, str], title: str = "A change") -> Document:
        """Commit, push and wait: the run, which must be green."""
        self.commit(files, title)
        run = self.server.until_run(self.push()["id"])
        assert run["state"] == "succeeded", run
        return run
