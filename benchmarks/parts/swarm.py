"""The same site as a service of Docker Swarm: 4 replicas with a health check, behind a HAProxy of its own.

Nothing is downloaded: the image is empty, and programs of this machine are mounted into it. The HAProxy
finds the replicas by the DNS of Swarm (`endpoint-mode dnsrr`), checks them often and tries again, which
is kinder than Swarm's own routing mesh, and works where the kernel has no IPVS.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import harness

NAME = "halage-peer"
BALANCER = f"{NAME}-balancer"
REPLICAS = 4
PYTHON = f"{sys.base_prefix}/bin/python3"
MOUNTS = {
    "/usr": "/usr",
    "/usr/bin": "/bin",
    "/usr/lib": "/lib",
    "/usr/lib64": "/lib64",
    sys.base_prefix: sys.base_prefix,
}
CONFIGURATION = """\
global
    log stderr format raw daemon
defaults
    mode http
    option redispatch 1
    retries 2
    retry-on conn-failure empty-response response-timeout
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout queue 10s
resolvers swarm
    nameserver docker 127.0.0.11:53
    hold valid 100ms
    hold obsolete 0s
    timeout resolve 200ms
    timeout retry 200ms
frontend visitors
    bind :8080
    default_backend site
backend site
    balance leastconn
    option httpchk GET /
    default-server check inter 200ms fall 2 rise 1 init-addr none
    server-template instance 12 tasks.SERVICE:8000 resolvers swarm
"""


def is_there() -> bool:
    """Whether a Docker engine runs here."""
    return shutil.which("docker") is not None and _state() is not None


@contextmanager
def running_service(directory: Path) -> Iterator[int]:
    """The service, with the site in `directory`; the port at which it is reached."""
    port = harness.free_port()
    has_swarm = _state() == "active"
    if not has_swarm:
        _docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    try:
        _docker("import", "-", NAME, content=b"\0" * 10240)  # a tar without a file
        _docker("network", "create", "--driver", "overlay", NAME)
        _create_site(directory)
        _create_balancer(directory, port)
        harness.Visitor(port, "localhost").wait_for("version 1")
        yield port
    finally:
        for clean_up in (
            ("service", "rm", NAME, BALANCER),
            ("network", "rm", NAME),
            *([] if has_swarm else [("swarm", "leave", "--force")]),
            ("rmi", "--force", NAME),
        ):
            subprocess.run(["docker", *clean_up], capture_output=True)


def update() -> None:
    """Replace all replicas, one by one, the new one first; returns when Swarm says that it is done."""
    _docker("service", "update", "--quiet", "--detach=false", "--force", NAME)


def _create_site(directory: Path) -> None:
    question = f"{PYTHON} -c 'import urllib.request; urllib.request.urlopen(\"http://127.0.0.1:8000\")'"
    _create(
        directory,
        *("--name", NAME, "--endpoint-mode", "dnsrr", "--replicas", str(REPLICAS)),
        *("--env", "HOST=0.0.0.0", "--env", "PORT=8000"),
        *("--update-order", "start-first", "--update-parallelism", "1", "--stop-grace-period", "5s"),
        *("--health-cmd", question, "--health-interval", "1s", "--health-retries", "2"),
        command=(PYTHON, "/site/app.py"),
    )


def _create_balancer(directory: Path, port: int) -> None:
    (directory / "haproxy.cfg").write_text(CONFIGURATION.replace("SERVICE", NAME))
    _create(
        directory,
        *("--name", BALANCER, "--publish", f"mode=host,published={port},target=8080"),
        command=(shutil.which("haproxy") or "/usr/sbin/haproxy", "-W", "-db", "-f", "/site/haproxy.cfg"),
    )


def _create(directory: Path, *options: str, command: tuple[str, ...]) -> None:
    mounts = [
        f"--mount=type=bind,source={source},target={target},readonly"
        for source, target in {**MOUNTS, str(directory): "/site"}.items()
    ]
    known = ("--quiet", "--detach=false", "--no-resolve-image", "--network", NAME)
    _docker("service", "create", *known, *mounts, *options, NAME, *command)


def _state() -> str | None:
    """Of the Swarm: `active`, `inactive` ...; None where no engine answers."""
    ask = ["docker", "info", "--format", "{{json .Swarm.LocalNodeState}}"]
    found = subprocess.run(ask, capture_output=True, text=True)
    return str(json.loads(found.stdout)) if found.returncode == 0 else None


def _docker(*arguments: str, content: bytes | None = None) -> None:
    done = subprocess.run(["docker", *arguments], capture_output=True, input=content, timeout=120)
    if done.returncode != 0:
        raise harness.Failure(f"docker {' '.join(arguments[:2])}: {done.stderr.decode().strip()}")
