"""Pushes that are cut off: by the client, by the death of the server, by a full disk."""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.components.source.rig import Client, Rig, running

BIG_BYTES = 40 * 1024 * 1024


@pytest.fixture
async def rig(data_directory: Path, tmp_path: Path, free_port: int) -> AsyncIterator[Rig]:
    async with running(data_directory, tmp_path / "home", free_port) as one:
        yield one


async def until(is_so: Callable[[], object], within_s: float = 15.0) -> None:
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.003)


def processes_of_pushes(data: Path) -> list[str]:
    """Command lines of git processes that work for the server of this data directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (process / "environ").read_bytes()
            if b"HALAGE_PUSH=" in environment and str(data).encode() in environment:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.extend([line] if line else [])
    return found


def garbage(data: Path) -> list[Path]:
    repository = data / "repositories" / "boutique.git"
    walked = os.walk(repository)  # which does not mind that git removes what it comes to
    locks = [Path(path, name) for path, _, names in walked for name in names if name.endswith(".lock")]
    return [*locks, *repository.glob("objects/tmp_*")]


def quarantine_is_filling(data: Path) -> bool:
    packs = (data / "repositories" / "boutique.git").glob("objects/tmp_objdir-*/pack/tmp_pack_*")
    with contextlib.suppress(FileNotFoundError):
        return any(pack.stat().st_size > 1024 * 1024 for pack in packs)
    return False


async def commit_big(client: Client) -> str:
    (client.path / "big").write_bytes(secrets.token_bytes(BIG_BYTES))
    # Several objects, so that git keeps the pack while it comes instead of unpacking it.
    return await client.commit({f"f{n}": str(n) for n in range(150)}, "Big")


async def begin_big_push(client: Client, data: Path) -> asyncio.subprocess.Process:
    """A push that stands still half way."""
    await client.git("config", "core.compression", "0")
    await client.git("config", "pack.window", "0")
    process = await client.start("push", "origin", "main")
    await until(lambda: quarantine_is_filling(data))
    os.killpg(process.pid, signal.SIGSTOP)
    return process


async def end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.communicate()


async def test_a_push_that_is_cut_off_half_way_leaves_everything_as_it_was(rig: Rig) -> None:
    before = await rig.client.init()
    await rig.client.git("push", "origin", "main")
    after = await commit_big(rig.client)
    process = await begin_big_push(rig.client, rig.data)
    assert processes_of_pushes(rig.data)
    await end(process)
    await until(lambda: not processes_of_pushes(rig.data) and not garbage(rig.data))
    assert await rig.source.refs("boutique") == {"refs/heads/main": before}
    assert len(rig.consumer.pushes) == 1
    await rig.client.git("push", "origin", "main")
    assert await rig.source.refs("boutique") == {"refs/heads/main": after}
    assert len(rig.consumer.pushes) == 2


async def test_a_server_that_is_told_to_stop_ends_a_push_half_way(rig: Rig) -> None:
    await rig.client.init()
    await commit_big(rig.client)
    process = await begin_big_push(rig.client, rig.data)
    rig.door.stop()
    await until(lambda: not processes_of_pushes(rig.data) and not garbage(rig.data), 2)
    await end(process)
    assert await rig.source.refs("boutique") == {}


async def _start_server(data: Path, port: int, home: Path) -> asyncio.subprocess.Process:
    (data / "ready").unlink(missing_ok=True)
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.source.server", str(data), str(port), str(home)
    )
    await until((data / "ready").exists)
    return server


def _told(data: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return (data / "told").read_text().splitlines()
    return []


async def test_a_server_killed_while_a_push_arrives(
    data_directory: Path, tmp_path: Path, free_port: int
) -> None:
    client = Client(tmp_path / "home", free_port)
    server = await _start_server(data_directory, free_port, client.home)
    try:
        await client.init()
        sha = await commit_big(client)
        process = await begin_big_push(client, data_directory)
        server.kill()
        await server.wait()
        await end(process)
        await until(lambda: not processes_of_pushes(data_directory))
        server = await _start_server(data_directory, free_port, client.home)
        assert garbage(data_directory) == []
        assert _told(data_directory) == []
        await client.git("push", "origin", "main")
        assert _told(data_directory) == [f"refs/heads/main {'0' * 40} {sha} ada"]
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()
        await server.wait()


async def test_a_server_killed_before_it_recorded_the_push(
    data_directory: Path, tmp_path: Path, free_port: int
) -> None:
    client = Client(tmp_path / "home", free_port)
    server = await _start_server(data_directory, free_port, client.home)
    try:
        sha = await client.init()
        (data_directory / "hang").touch()
        process = await client.start("push", "origin", "main")
        await until((data_directory / "begun").exists)
        server.kill()
        await server.wait()
        await process.communicate()
        await until(lambda: not processes_of_pushes(data_directory), 2)
        (data_directory / "hang").unlink()
        for _ in range(2):
            server = await _start_server(data_directory, free_port, client.home)
            assert _told(data_directory) == [f"refs/heads/main {'0' * 40} {sha} halage"]
            server.kill()
            await server.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()
        await server.wait()


async def test_an_orphan_that_ends_after_the_restart_is_told(
    data_directory: Path, tmp_path: Path, free_port: int
) -> None:
    async with running(data_directory, tmp_path / "home", free_port) as rig:
        sha = await rig.client.init()
        # What a killed server leaves: a process that still holds the lock, and changes a ref later.
        lock = data_directory / "run" / "pushes" / "server-old.lock"
        orphan = subprocess.Popen(  # noqa: ASYNC220
            ["flock", "--shared", str(lock), "sleep", "60"], start_new_session=True
        )
        await until(lambda: "sleep" in _commands_of(orphan.pid))
        assert await rig.source.reconcile() == []
        await rig.client.git("push", str(rig.repository), "main")
        await asyncio.sleep(0.05)
        assert rig.consumer.pushes == []
        os.killpg(orphan.pid, signal.SIGKILL)
        orphan.wait()
        await rig.consumer.wait_for(1)
        assert rig.consumer.pushes[0].new == sha
        await until(lambda: not lock.exists())


def _commands_of(parent: int) -> str:
    found = ""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"PPid:\t{parent}\n" in (process / "status").read_text():
                found += (process / "cmdline").read_text()
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip("no small file system can be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


async def test_a_disk_that_fills_up_during_a_push(small_disk: Path, tmp_path: Path, free_port: int) -> None:
    async with running(small_disk, tmp_path / "home", free_port) as rig:
        before = await rig.client.init()
        await rig.client.git("push", "origin", "main")
        await commit_big(rig.client)
        output = await rig.client.try_git("push", "origin", "main")
        assert output.code != 0
        assert "No space left on device" in output.text
        await until(lambda: not garbage(small_disk))
        assert await rig.source.refs("boutique") == {"refs/heads/main": before}
        await rig.client.git("push", "origin", f"{before}:refs/heads/small")
        assert [push.ref for push in rig.consumer.pushes] == ["refs/heads/main", "refs/heads/small"]
