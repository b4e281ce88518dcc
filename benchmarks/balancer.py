"""Visitors through Halage's HAProxy with everything on, beside a minimal HAProxy with the same backends.

Both run for the whole time; rounds alternate (the order turns each time) and each figure is the
median of the rounds' ratios, so that what else the machine does weighs on both. A small answer is
the hardest case for the balancer, and gives the figures; a page of 16 KiB is measured beside it.
The client (wrk), the backends (nginx) and both balancers share the machine's cores.
"""

import asyncio
import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import Failure, free_port, report, say

from halage.balancer.drivers.haproxy import HAProxyDriver
from halage.balancer.model import Route, Target

ROUNDS = 12
ROUND_S = 1
CONNECTIONS = 64
HOST = "shop.localhost"
PAGE_BYTES = 16 * 1024

NGINX = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    open_file_cache max=10;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{first};
        listen 127.0.0.1:{second};
        location = / {{ return 200 "hello\\n"; }}
        location = /page {{ alias {directory}/page.html; }}
    }}
}}
"""

MINIMAL = """\
global
    nbthread {threads}
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 120s
frontend visitors
    bind 127.0.0.1:{port}
    default_backend site
backend site
    server one 127.0.0.1:{first}
    server two 127.0.0.1:{second}
"""


@dataclass(frozen=True)
class Round:
    """What wrk saw in one round, and the CPU that the balancer took."""

    rate: float
    p99_ms: float
    cpu_us: float


@dataclass(frozen=True)
class Balancer:
    """One of the two: its port and its processes."""

    port: int
    pids: tuple[int, ...]

    def cpu_s(self) -> float:
        """Seconds of CPU that it has used."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids]
        return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and report."""
    for program in ("wrk", "nginx", "haproxy"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            sys.exit(f"{program} is missing: apt install wrk nginx haproxy")
    directory = Path(tempfile.mkdtemp(prefix="halage-balancer-"))
    directory.chmod(0o711)
    try:
        asyncio.run(measure(directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def measure(directory: Path) -> None:
    """Run both balancers, compare, print the figures."""
    first, second, halage, minimal = (free_port() for _ in range(4))
    with running_nginx(directory, first, second), running_minimal(directory, minimal, first, second) as peer:
        async with HAProxyDriver(directory / "balancer", ("127.0.0.1", halage)) as driver:
            try:
                await driver.apply([Route("shop.prod", (HOST,))])
                await driver.add("shop.prod", Target("one", "127.0.0.1", first))
                await driver.add("shop.prod", Target("two", "127.0.0.1", second))
                ours = Balancer(halage, haproxies(directory / "balancer"))
                small = await compare(ours, peer, "/")
                page = await compare(ours, peer, "/page")
                served = sum(status.requests for status in await driver.status())
                logged = (directory / "balancer" / "access.log").stat().st_size
            finally:
                await driver.stop()
    figures = summary(*small)
    figures |= {f"page_{key}": value for key, value in summary(*page).items()}
    report(**figures, requests_counted=served, access_log_bytes=logged, rounds=ROUNDS)


async def compare(ours: Balancer, peer: Balancer, path: str) -> tuple[list[Round], list[Round]]:
    """Rounds of both, alternated."""
    taken: dict[int, list[Round]] = {ours.port: [], peer.port: []}
    for turn in range(ROUNDS + 1):
        for balancer in (ours, peer) if turn % 2 else (peer, ours):
            result = await asyncio.to_thread(load, balancer, path)
            if turn:  # the first warms up
                taken[balancer.port].append(result)
    say(f"{path}: " + describe(taken[ours.port], taken[peer.port]))
    return taken[ours.port], taken[peer.port]


def load(balancer: Balancer, path: str) -> Round:
    """One round of wrk."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_S}s", "--latency", "-H", f"Host: {HOST}"]
    before = balancer.cpu_s()
    output = subprocess.run(
        [*command, f"http://127.0.0.1:{balancer.port}{path}"], capture_output=True, text=True, check=False
    ).stdout
    cpu_s = balancer.cpu_s() - before
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    count = re.search(r"(\d+) requests in", output)
    if not (rate and p99 and count) or "Non-2xx" in output or "Socket errors" in output:
        raise Failure(f"wrk on {balancer.port}{path}: {output}")
    scale = {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]
    return Round(float(rate[1]), float(p99[1]) * scale, cpu_s * 1e6 / int(count[1]))


def summary(ours: list[Round], peer: list[Round]) -> dict[str, float]:
    """The figures: ratios over 1 are in our favour."""
    pairs = list(zip(ours, peer, strict=True))
    return {
        "balancer_ratio": round(statistics.median(a.rate / b.rate for a, b in pairs), 3),
        "p99_ratio": round(statistics.median(b.p99_ms / a.p99_ms for a, b in pairs), 3),
        "rate": round(statistics.median(each.rate for each in ours)),
        "minimal_rate": round(statistics.median(each.rate for each in peer)),
        "p99_ms": round(statistics.median(each.p99_ms for each in ours), 2),
        "minimal_p99_ms": round(statistics.median(each.p99_ms for each in peer), 2),
        "cpu_us": round(statistics.median(each.cpu_us for each in ours), 1),
        "minimal_cpu_us": round(statistics.median(each.cpu_us for each in peer), 1),
    }


def describe(ours: list[Round], peer: list[Round]) -> str:
    """The figures as a line for a person."""
    values = summary(ours, peer)
    return (
        f"{values['rate']:.0f}/s against {values['minimal_rate']:.0f}/s ({values['balancer_ratio']}), p99 "
        f"{values['p99_ms']} ms against {values['minimal_p99_ms']} ms ({values['p99_ratio']}), CPU a request "
        f"{values['cpu_us']} us against {values['minimal_cpu_us']} us"
    )


@contextlib.contextmanager
def running_nginx(directory: Path, first: int, second: int) -> Iterator[None]:
    """Two fast backends."""
    (directory / "page.html").write_text("x" * PAGE_BYTES)
    file = directory / "nginx.conf"
    file.write_text(NGINX.format(directory=directory, first=first, second=second))
    process = subprocess.Popen(["nginx", "-c", str(file)], env=environment(), stderr=subprocess.DEVNULL)
    with ended(process, first):
        yield


@contextlib.contextmanager
def running_minimal(directory: Path, port: int, first: int, second: int) -> Iterator[Balancer]:
    """The HAProxy that a person would write in two minutes."""
    file = directory / "minimal.cfg"
    file.write_text(MINIMAL.format(port=port, first=first, second=second, threads=os.cpu_count()))
    process = subprocess.Popen(["haproxy", "-f", str(file)], env=environment(), stderr=subprocess.DEVNULL)
    with ended(process, port):
        yield Balancer(port, (process.pid,))


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes], port: int) -> Iterator[None]:
    """Wait until it listens; end it after the block."""
    try:
        wait_for(port)
        yield
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int) -> None:
    """Return as soon as something listens on the port."""
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise Failure(f"nothing listens on port {port}")


def haproxies(directory: Path) -> tuple[int, ...]:
    """The processes of Halage's HAProxy."""
    mark = os.fsencode(directory.resolve())
    return tuple(
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and mark in command_line(entry)
    )


def command_line(process: Path) -> list[bytes]:
    """The words of a process's command; none when it has just ended."""
    with contextlib.suppress(OSError):
        return (process / "cmdline").read_bytes().split(b"\0")
    return []


def environment() -> dict[str, str]:
    """The environment, with the place where Debian keeps nginx and haproxy."""
    return {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}


if __name__ == "__main__":
    main()
