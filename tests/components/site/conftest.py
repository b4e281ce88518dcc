"""Starts what `serving` says, as a real process group, and asks it over HTTP."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from halage.site.model import Site
from halage.site.read import read_site
from halage.site.serving import Place, Serving, serving
from halage.site.tree import DirectoryTree

TYPES = ("nano", "micro", "small", "medium")
STRANGER = 214748


@dataclass
class Instance:
    """A site that runs."""

    process: subprocess.Popen[bytes]
    place: Place
    url: str
    output: Path
    seen: set[int] = field(default_factory=set)

    def get(self, path: str = "/", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with httpx.Client(trust_env=False) as client:
            return client.get(self.url + path, headers=named, timeout=10)

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def members(self) -> list[int]:
        """Its processes that live, with those that were seen before and have lost their parent."""
        listing = subprocess.run(
            ["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
        )
        rows = [line.split() for line in listing.stdout.splitlines()]
        alive = {int(pid): int(parent) for pid, parent, state in rows if state[0] != "Z"}
        family = {self.process.pid, *self.seen}
        while more := {pid for pid, parent in alive.items() if parent in family and pid not in family}:
            family |= more
        self.seen = family & alive.keys()
        return sorted(self.seen)

    def named(self, name: str) -> int:
        """The oldest process of its group whose command holds this name."""
        for pid in self.members():
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            if name in command and "serve.sh" not in command:
                return pid
        raise LookupError(f"no {name} among {self.members()}")


class Sites:
    """Makes sites in a directory that any user may pass through, and runs them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._running: list[Instance] = []

    def release(self, files: dict[str, str]) -> Path:
        root = self.directory / f"release-{len(list(self.directory.iterdir()))}"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    def start(
        self,
        release: Path,
        *,
        uid: int | None = None,
        change: Callable[[Site], Site] = lambda site: site,
        before: Callable[[Place], object] = lambda place: None,
        **place: object,
    ) -> Instance:
        site = change(read_site(DirectoryTree(release), types=TYPES))
        private = self.directory / f"private-{len(list(self.directory.iterdir()))}"
        private.mkdir(mode=0o700)
        known: dict[str, object] = {
            "project": "boutique",
            "environment": "dev",
            "release_number": 3,
            "commit": "abc1234",
        }
        where = Place(release, private, "127.0.0.1", free_port(), **(known | place))  # type: ignore[arg-type]
        before(where)
        instance = self._run(serving(site, where), where, uid)
        self._running.append(instance)
        wait_until_it_answers(instance)
        return instance

    def _run(self, what: Serving, where: Place, uid: int | None) -> Instance:
        for name, text in what.files.items():
            (where.private / name).write_text(text)
        if uid is not None:
            for path in (where.release, where.private):
                subprocess.run(["chown", "-R", f"{uid}:{uid}", str(path)], check=True)
        # As the compute driver does: a file that only the server may open.
        output = self.directory / f"{where.private.name}.log"
        descriptor = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        user = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
        process = subprocess.Popen(
            what.command,
            cwd=where.release,
            env=what.environment,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            **user,  # type: ignore[call-overload]
        )
        os.close(descriptor)
        return Instance(process, where, f"http://{where.address}:{where.port}", output)

    def end(self) -> None:
        for instance in self._running:
            for pid in instance.members():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            instance.process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_it_answers(instance: Instance) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if instance.process.poll() is not None:
            raise AssertionError(f"exited with {instance.process.returncode}:\n{instance.text()}")
        try:
            if instance.get("/").status_code != 502:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"never answered:\n{instance.text()}")


@pytest.fixture
def sites() -> Iterator[Sites]:
    directory = Path(tempfile.mkdtemp(prefix="halage-site-"))
    directory.chmod(0o711)
    made = Sites(directory)
    yield made
    made.end()
    shutil.rmtree(directory)


def development_server(site: Site) -> Site:
    return replace(site, run=replace(site.run, php_development_server=True))
