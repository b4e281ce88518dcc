"""Units outlive the control plane and are found again, whatever moment it died at."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from halage.compute.drivers.process import ProcessDriver, ProcessSettings
from halage.compute.drivers.process.identity import Identity, identify, open_process
from halage.compute.drivers.process.shim import script_for, spawn
from tests.components.compute.units import processes_with, unit_of

NURSERY = """
import asyncio, json, logging, os, sys
from pathlib import Path
import structlog
from halage.compute.drivers.process import ProcessDriver
from halage.compute.model import Limits, UnitSpec

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

async def serve(units, *scripts):
    async with ProcessDriver(Path(units)) as driver:
        for number, script in enumerate(scripts):
            await driver.start(UnitSpec(f"u{number}", ("sh", "-c", script), "/",
                                        {"PATH": "/usr/bin:/bin"}, Limits(1.0, 2**26)))
        print("started", flush=True)
        await asyncio.sleep(600)

for line in sys.stdin:
    if line == "reap\\n":
        os.waitpid(pid, 0)
        print("reaped", flush=True)
    elif pid := os.fork():
        print(pid, flush=True)
    else:
        asyncio.run(serve(*json.loads(line)))
"""


class Servers:
    """Makes control planes quickly (each a fork of one that has everything imported) and kills them."""

    def __init__(self) -> None:
        self._nursery = subprocess.Popen(
            (sys.executable, "-c", NURSERY), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._pid = 0

    def _say(self, line: str) -> None:
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(line + "\n")
        self._nursery.stdin.flush()

    def _hear(self) -> str:
        assert self._nursery.stdout is not None
        return self._nursery.stdout.readline().strip()

    def start(self, units: Path, *scripts: str) -> None:
        """Start a control plane that starts these units, and return before it has."""
        self._say(json.dumps([str(units), *scripts]))
        self._pid = int(self._hear())

    def wait_until_started(self) -> None:
        """Return once all units were started."""
        assert self._hear() == "started"

    def kill(self) -> None:
        """SIGKILL the control plane."""
        os.kill(self._pid, signal.SIGKILL)
        self._say("reap")
        while self._hear() != "reaped":
            pass

    def close(self) -> None:
        """End the nursery."""
        self._nursery.communicate("")


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


async def test_after_a_sigkill_of_the_server_all_goes_on(units: Path, servers: Servers) -> None:
    mark = f"95{time.monotonic_ns() % 10**7}"
    servers.start(units, f"exec sleep {mark}", "sleep 0.2; echo late; exit 9", "echo early; exit 8")
    servers.wait_until_started()
    servers.kill()
    while len(processes_with(f"sleep\0{mark}")) != 1:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    async with ProcessDriver(units) as driver:
        statuses = {unit.id: unit for unit in await driver.list()}
        assert statuses["u0"].is_running
        assert (await driver.wait("u1")).code == 9
        assert (await driver.wait("u2")).code == 8
        assert (await driver.read("u1")).data == b"late\n"
        waiting = asyncio.gather(driver.wait("u0"))
        await asyncio.sleep(0)
        os.kill(processes_with(f"sleep\0{mark}")[0], signal.SIGKILL)
        async with asyncio.timeout(20):
            ((exit_),) = await waiting
        assert exit_.code == 137
        for unit in await driver.list():
            await driver.remove(unit.id)
        assert processes_with(f"sleep\0{mark}") == []


async def _until_all_have_begun(driver: ProcessDriver, command: str) -> list[str]:
    """Units that run, once there are just as many processes: one that was cut off late is about to begin."""
    async with asyncio.timeout(30):
        while True:
            known = [unit.id for unit in await driver.list() if unit.is_running]
            if len(processes_with(command)) == len(known):
                return known
            await asyncio.sleep(0.01)


async def test_at_no_moment_of_starts_is_a_unit_lost_or_doubled(units: Path, servers: Servers) -> None:
    """SIGKILL at many moments; what runs is always what the next driver knows, and no more."""
    for delay_ms in (0, 2, 4, 6, 9, 13, 18, 25, 40):
        mark = f"94{time.monotonic_ns() % 10**7}"
        servers.start(units, *[f"exec sleep {mark}"] * 8)
        while not units.exists() or not any(units.iterdir()):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.0005)
        await asyncio.sleep(delay_ms / 1000)
        servers.kill()
        await asyncio.sleep(0.05)
        async with ProcessDriver(units) as driver:
            known = await _until_all_have_begun(driver, f"sleep\0{mark}")
            for unit_id in known:
                await driver.stop(unit_id, 0.0)
            for unit in await driver.list():
                await driver.remove(unit.id)
        assert processes_with(f"sleep\0{mark}") == []
        assert list(units.iterdir()) == []


def test_a_leader_whose_script_is_cut_off_runs_nothing(tmp_path: Path) -> None:
    script = script_for("/", {}, ("touch", str(tmp_path / "ran")))
    for length in (0, 1, len(script) // 2, len(script) - 2):
        leader = spawn("cut-off", None, output=os.open(os.devnull, os.O_WRONLY), exit_file=2)
        os.write(leader.script, script[:length])
        os.close(leader.script)
        os.waitpid(leader.pid, 0)
        assert not (tmp_path / "ran").exists()


@pytest.fixture
def bystander() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is nobody's unit."""
    process = subprocess.Popen(("sleep", "60"), start_new_session=True)
    yield process
    process.kill()
    process.wait()


def _identity_of(process: "subprocess.Popen[bytes]") -> Identity:
    identity = identify(process.pid)
    assert identity is not None
    return identity


async def test_a_reused_process_number_is_not_taken_for_the_unit(
    units: Path, bystander: "subprocess.Popen[bytes]"
) -> None:
    settings = ProcessSettings(use_cgroups=False)
    async with ProcessDriver(units, settings) as driver:
        unit = unit_of("exec sleep 60", account=None)
        await driver.start(unit)
        await driver.stop(unit.id, 1.0)
    (units / unit.id / "end.json").unlink()
    record = units / unit.id / "unit.json"
    document = json.loads(record.read_text())
    document["leader"]["pid"] = bystander.pid
    # Both may have been started within one tick of 10 ms.
    document["leader"]["start_ticks"] = _identity_of(bystander).start_ticks - 1
    record.write_text(json.dumps(document))
    async with ProcessDriver(units, settings) as driver:
        (status,) = await driver.list()
        assert not status.is_running
        await driver.remove(unit.id)
    assert bystander.poll() is None


def test_an_identity_is_of_one_boot() -> None:
    mine = identify(os.getpid())
    assert mine is not None
    handle = open_process(mine)
    assert handle is not None
    os.close(handle)
    assert open_process(Identity(mine.pid, mine.start_ticks, "another boot")) is None
    assert open_process(Identity(mine.pid, mine.start_ticks + 1, mine.boot_id)) is None


async def test_a_full_disk_does_not_lose_the_exit_code(units: Path) -> None:
    # The room for the code is laid out at the start: it is written over, never appended.
    async with ProcessDriver(units) as driver:
        unit = unit_of("exit 3")
        await driver.start(unit)
        await driver.wait(unit.id)
        text = (units / unit.id / "exit").read_bytes()
        assert (len(text), int(text)) == (16, 3)
        await driver.remove(unit.id)


async def test_starting_lets_the_loop_run(units: Path) -> None:
    async with ProcessDriver(units) as driver:
        for _ in range(20):
            start = asyncio.ensure_future(driver.start(unit_of("exec sleep 60")))  # noqa: TID251
            turns = 0
            while not start.done():
                await asyncio.sleep(0.001)
                turns += 1
            assert turns > 1, "the loop was held while the unit was started"
        for unit_status in await driver.list():
            await driver.stop(unit_status.id, 0.0)
            await driver.remove(unit_status.id)
