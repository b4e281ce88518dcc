"""Units whose input and output are in the hands of who started them, as real processes."""

import asyncio
import os
from pathlib import Path

import pytest

from halage.compute.driver import Attached
from halage.compute.drivers.process import ProcessDriver
from halage.compute.model import Stream, TerminalSize
from tests.components.compute.units import PROJECT_ACCOUNT, processes_with, unit_of


async def everything(ends: Attached, stream: Stream = Stream.OUTPUT) -> bytes:
    """All that comes until the end."""
    found = b""
    while piece := await ends.read(stream):
        found += piece
    return found


async def until(ends: Attached, text: bytes) -> bytes:
    """What comes, up to the piece that holds the text."""
    found = b""
    while text not in found:
        piece = await ends.read(Stream.OUTPUT)
        assert piece, f"it ended with {found!r}"
        found += piece
    return found


async def test_input_and_both_outputs_are_apart(driver: ProcessDriver) -> None:
    spec = unit_of('cat; echo "an error" >&2; exit 3')
    ends = await driver.attach(spec)
    await ends.write(b"some input")
    ends.end_input()
    output, errors = await asyncio.gather(everything(ends), everything(ends, Stream.ERRORS))
    assert (output, errors) == (b"some input", b"an error\n")
    assert (await driver.wait(spec.id)).code == 3
    ends.close()


async def test_much_goes_through_both_ways(driver: ProcessDriver) -> None:
    data = bytes(range(256)) * 8192
    spec = unit_of("exec cat")
    ends = await driver.attach(spec)

    async def feed() -> None:
        await ends.write(data)
        ends.end_input()

    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        reading = group.create_task(everything(ends))
    assert reading.result() == data
    ends.close()


async def test_what_nobody_reads_of_the_input_holds_nobody_up(driver: ProcessDriver) -> None:
    spec = unit_of("exec true")
    ends = await driver.attach(spec)
    await ends.write(bytes(1024 * 1024))
    assert await everything(ends) == b""
    ends.close()


async def test_outputs_can_be_opened_again_by_name(driver: ProcessDriver) -> None:
    spec = unit_of("echo one > /dev/stdout; echo two > /dev/stderr")
    ends = await driver.attach(spec)
    assert await everything(ends) == b"one\n"
    assert await everything(ends, Stream.ERRORS) == b"two\n"
    ends.close()


async def test_the_output_ends_with_the_unit_whatever_it_left_behind(driver: ProcessDriver) -> None:
    spec = unit_of("sleep 61.25 & echo done")
    ends = await driver.attach(spec)
    assert await everything(ends) == b"done\n"
    assert processes_with("61.25") == []
    ends.close()


async def test_a_terminal_has_a_size_that_changes(driver: ProcessDriver) -> None:
    script = "trap 'stty size' WINCH; stty size; tty; echo ready; while :; do sleep 0.02; done"
    spec = unit_of(script)
    ends = await driver.attach(spec, TerminalSize(columns=132, rows=43))
    shown = await until(ends, b"ready")
    assert shown.startswith(b"43 132\r\n/dev/pts/")
    ends.resize(TerminalSize(columns=90, rows=20))
    await until(ends, b"20 90")
    await driver.stop(spec.id, 0.0)
    ends.close()


async def test_ctrl_c_interrupts_what_runs_in_the_foreground(driver: ProcessDriver) -> None:
    spec = unit_of("exec bash --norc -i", environment={"PS1": "ready> ", "TERM": "xterm"})
    ends = await driver.attach(spec, TerminalSize())
    await until(ends, b"ready> ")
    # Told by what is in the foreground itself: a moment earlier the shell would be interrupted.
    await ends.write(b"sh -c \"echo be''gun; exec sleep 61.5\"\r")
    await until(ends, b"begun")
    await ends.write(b"\x03")
    await until(ends, b"ready> ")
    await ends.write(b"echo $?; exit 5\r")
    await until(ends, b"130")
    assert (await driver.wait(spec.id)).code == 5
    assert await everything(ends) is not None
    ends.close()


async def test_a_terminal_that_is_let_go_hangs_up(driver: ProcessDriver) -> None:
    spec = unit_of("exec bash --norc -i", environment={"PS1": "ready> "})
    ends = await driver.attach(spec, TerminalSize())
    await until(ends, b"ready> ")
    ends.close()
    assert (await driver.wait(spec.id)).code == 129


@pytest.mark.skipif(PROJECT_ACCOUNT is None, reason="only root has other accounts")
async def test_it_runs_as_its_account_and_its_environment_is_in_no_argument(driver: ProcessDriver) -> None:
    assert PROJECT_ACCOUNT is not None
    spec = unit_of("id -u; printenv SECRET; exec sleep 61.75", environment={"SECRET": "sesame-61"})
    ends = await driver.attach(spec)
    assert await until(ends, b"sesame") == f"{PROJECT_ACCOUNT.uid}\nsesame-61\n".encode()
    assert processes_with("sesame-61") == []
    await driver.stop(spec.id, 0.0)
    ends.close()


async def test_it_has_no_descriptor_but_its_three(driver: ProcessDriver) -> None:
    left_open = os.open("/", os.O_RDONLY)
    os.set_inheritable(left_open, True)  # as one that whoever started the server forgot to close
    try:
        spec = unit_of("ls /proc/$$/fd")
        ends = await driver.attach(spec)
        # A shell may hold one of its own.
        assert {int(word) for word in (await everything(ends)).split()} <= {0, 1, 2, 10}
        ends.close()
    finally:
        os.close(left_open)


async def test_a_guest_lives_in_the_group_of_its_host_and_ends_with_it(driver: ProcessDriver) -> None:
    host = unit_of("exec sleep 62.25")
    await driver.start(host)
    guest = unit_of("echo $$; exec sleep 62.5")
    ends = await driver.attach(guest, host=host.id)
    pid = int((await ends.read(Stream.OUTPUT)).decode())
    if driver.abilities.processes:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
        assert host.id in groups
        assert guest.id not in groups
        await driver.stop(host.id, 5.0)
        assert (await driver.wait(guest.id)).code is not None
        assert processes_with("62.5") == []
    ends.close()


async def test_the_end_of_a_guest_ends_nothing_of_its_host(driver: ProcessDriver) -> None:
    host = unit_of("exec sleep 62.75")
    await driver.start(host)
    guest = unit_of("exec sleep 63.25")
    ends = await driver.attach(guest, host=host.id)
    await driver.stop(guest.id, 5.0)
    ends.close()
    await driver.remove(guest.id)
    assert [unit.is_running for unit in await driver.list()] == [True]
    assert len(processes_with("62.75")) == 1


async def test_one_that_outlived_its_control_plane_is_found_and_ended(units: Path) -> None:
    spec = unit_of("exec sleep 63.5")
    async with ProcessDriver(units) as first:
        ends = await first.attach(spec)
        ends.close()
    async with ProcessDriver(units) as second:
        (found,) = await second.list()
        assert found.is_running
        await second.stop(spec.id, 0.0)
        await second.remove(spec.id)
    assert processes_with("63.5") == []
