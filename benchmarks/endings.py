"""How soon things end and come back: process trees, the server at SIGTERM, HAProxy after SIGKILL.

A tree that ignores SIGTERM, with children that left its session, is stopped with a grace of half a
second; the figure is the time from the grace's end until none of it lives. The peer is what a script
can do: SIGTERM to the process group, a pause, SIGKILL (it leaves the children that left the group,
which is counted). Then a real server with a deployed site: every process of HAProxy is killed, and
the figure is the time until a visitor is answered; the peer is a shell that starts a minimal HAProxy
again whenever it ends. At last the server is stopped, several times. Own and peer alternate.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import harness

from halage.compute.drivers.process import ProcessDriver
from halage.compute.model import Limits, UnitSpec

TREES = 15
KILLS = 10
STOPS = 5
GRACE_S = 0.5
STUBBORN = (
    "setsid sh -c 'trap \"\" TERM; sleep {mark} & wait' & "
    "trap '' TERM; sleep {mark} & echo ready; while :; do sleep {mark}; done"
)
TOML = """\
kind = "python"
[run]
start = "python3 app.py"
[test]
commands = []
[flow]
main = ["test", "live"]
[environments.live]
"""
MINIMAL = """\
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
frontend visitors
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain string one
"""


def main() -> None:
    """Measure and report."""
    own, peer, left = asyncio.run(measure_trees())
    with harness.running_server() as server, tempfile.TemporaryDirectory(prefix="halage-endings-") as made:
        deploy(server, Path(made) / "copy")
        back, peer_back = measure_kills(server, Path(made))
    stops = [stop_a_server() for _ in range(STOPS)]
    harness.report(
        tree_end_p50_ms=harness.median(own) * 1000,
        tree_end_max_ms=max(own) * 1000,
        script_tree_end_p50_ms=harness.median(peer) * 1000,
        script_left_alive=left,
        haproxy_back_p50_ms=harness.median(back) * 1000,
        haproxy_back_max_ms=max(back) * 1000,
        shell_haproxy_back_p50_ms=harness.median(peer_back) * 1000,
        server_stop_p50_s=harness.median(stops),
        server_stop_max_s=max(stops),
    )


# -- trees


async def measure_trees() -> tuple[list[float], list[float], int]:
    """Seconds past the grace, ours and the script's, and how many processes the script left."""
    own, peer, left = [], [], 0
    with tempfile.TemporaryDirectory(prefix="halage-endings-") as made:
        Path(made).chmod(0o711)
        async with ProcessDriver(Path(made) / "units") as driver:
            for number in range(TREES):
                own.append(await stop_unit(driver, number))
                took, alive = await asyncio.to_thread(stop_by_script, number)
                peer.append(took)
                left += alive
    harness.say(f"{TREES} trees ended")
    return own, peer, left


async def stop_unit(driver: ProcessDriver, number: int) -> float:
    """A unit's end, in seconds past its grace."""
    mark = f"8{os.getpid()}{number:03}"
    script = STUBBORN.format(mark=mark)
    spec = UnitSpec(f"tree-{number}", ("/bin/sh", "-c", script), "/tmp", dict(os.environ), Limits(1.0, 2**28))
    await driver.start(spec)
    while len(sleepers(mark)) < 3:  # noqa: ASYNC110 - they tell nobody
        await asyncio.sleep(0.005)
    began = time.perf_counter()
    await driver.stop(spec.id, GRACE_S)
    took = time.perf_counter() - began
    if sleepers(mark):
        raise harness.Failure(f"processes outlived their unit: {sleepers(mark)}")
    await driver.remove(spec.id)
    return took - GRACE_S


def stop_by_script(number: int) -> tuple[float, int]:
    """The same by hand: seconds past the grace, and how many lived on."""
    mark = f"9{os.getpid()}{number:03}"
    process = subprocess.Popen(
        ("/bin/sh", "-c", STUBBORN.format(mark=mark)), stdout=subprocess.DEVNULL, start_new_session=True
    )
    while len(sleepers(mark)) < 3:
        time.sleep(0.005)
    began = time.perf_counter()
    os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    took = time.perf_counter() - began
    alive = sleepers(mark)
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return took - GRACE_S, len(alive)


def sleepers(mark: str) -> list[int]:
    """The processes `sleep MARK`."""
    return [pid for pid, command in commands() if command == f"sleep\0{mark}\0"]


def commands() -> Iterator[tuple[int, str]]:
    """Every process with its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_text()


# -- HAProxy


def deploy(server: harness.Server, directory: Path) -> None:
    """A site in production."""
    server.call("POST", "projects", {"name": "site"})
    copy = harness.WorkingCopy(directory)
    copy.commit({"app.py": harness.SITE.replace("VERSION", "one"), "halage.toml": TOML}, "One")
    copy.push(server.remote("site"))
    server.wait_for_run("site")


def measure_kills(server: harness.Server, directory: Path) -> tuple[list[float], list[float]]:
    """Seconds until a visitor is answered again: Halage's HAProxy, and one that a shell starts again."""
    own, peer = [], []
    port = harness.free_port()
    file = directory / "minimal.cfg"
    file.write_text(MINIMAL.format(port=port))
    loop = f"while :; do /usr/sbin/haproxy -db -f {file}; done"
    shell = subprocess.Popen(
        ("/bin/sh", "-c", loop), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(KILLS):
            own.append(kill_and_wait(str(server.directory), server.visitors_port))
            peer.append(kill_and_wait(str(file), port))
            time.sleep(0.5)  # Halage's starts of a HAProxy that dies again and again are spaced
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    harness.say(f"{KILLS} deaths of HAProxy")
    return own, peer


def kill_and_wait(mark: str, port: int) -> float:
    """Kill every HAProxy that names the mark; seconds until its port answers."""
    visitor = harness.Visitor(port, "live.site.localhost")
    visitor.wait_for("one")
    for pid, command in commands():
        if command.startswith("/usr/sbin/haproxy") and mark in command:
            with contextlib.suppress(ProcessLookupError):  # a worker goes with its master
                os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    return harness.Visitor(port, "live.site.localhost").wait_for("one") - began


# -- the server


def stop_a_server() -> float:
    """Seconds from SIGTERM to the end of a server that serves a stream."""
    with harness.running_server() as server:
        deploy(server, server.directory / "copy")
        follower = subprocess.Popen(
            [harness.HALAGE, "events", "--follow"],
            env={**os.environ, "HALAGE_URL": f"http://127.0.0.1:{server.port}", "HALAGE_TOKEN": server.token},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(1.0)
        server.call("DELETE", "projects/site")
        took = timed(lambda: end(server.process))
        follower.kill()
        follower.wait()
    return took


def end(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM, and wait."""
    process.terminate()
    process.wait(60)


def timed(work: Callable[[], None]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
