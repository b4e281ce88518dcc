"""A file of 200 MB, pushed and cloned through a server that does not grow."""

import asyncio
import re
from pathlib import Path

from tests.components.source.rig import Client
from tests.faults.source.test_cut_off import _start_server

BIG_BYTES = 200 * 1024 * 1024
MAY_GROW_KIB = 6 * 1024


def _peak_kib(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def _write_noise(path: Path) -> None:
    with Path("/dev/urandom").open("rb") as noise, path.open("wb") as big:
        for _ in range(BIG_BYTES // (1 << 20)):
            big.write(noise.read(1 << 20))


async def test_200_mb_in_and_out(data_directory: Path, tmp_path: Path, free_port: int) -> None:
    client = Client(tmp_path / "home", free_port)
    server = await _start_server(data_directory, free_port, client.home)
    try:
        await client.init()
        await client.git("config", "core.compression", "0")
        await client.git("push", "origin", "main")
        await client.git("clone", client.url(), "small", cwd=client.home)
        before_kib = _peak_kib(server.pid)
        await asyncio.to_thread(_write_noise, client.path / "big")
        await client.commit({}, "Big")
        await client.git("push", "origin", "main")
        pushed_kib = _peak_kib(server.pid)
        await client.git("clone", "--no-checkout", client.url(), "big", cwd=client.home)
        cloned_kib = _peak_kib(server.pid)
        assert pushed_kib - before_kib < MAY_GROW_KIB
        assert cloned_kib - before_kib < MAY_GROW_KIB
        listing = await client.git("cat-file", "-s", "HEAD:big", cwd=client.home / "big")
        assert int(listing) == BIG_BYTES
    finally:
        server.kill()
        await server.wait()
