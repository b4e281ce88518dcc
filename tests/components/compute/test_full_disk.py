"""A disk that is full: the start says so and leaves nothing, and what runs still ends with its code."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from halage.compute.drivers.process import ProcessDriver
from halage.compute.errors import StartFailed
from tests.components.compute.units import IS_ROOT, unit_of


@pytest.fixture
def small_disk(units: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if not IS_ROOT:
        pytest.skip("mounting a small file system needs root")
    units.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", "size=256k,mode=711", "tmpfs", str(units))
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("a file system cannot be mounted here")
    yield units
    subprocess.run(("umount", str(units)), check=True)


def _fill(directory: Path) -> Path:
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


async def test_a_start_on_a_full_disk_says_so_and_leaves_nothing(small_disk: Path) -> None:
    async with ProcessDriver(small_disk) as driver:
        filler = _fill(small_disk)
        unit = unit_of("true")
        with pytest.raises(StartFailed, match="disk is full"):
            await driver.start(unit)
        assert list(small_disk.iterdir()) == [filler]
        filler.unlink()
        await driver.start(unit)
        assert (await driver.wait(unit.id)).code == 0
        await driver.remove(unit.id)


async def test_a_disk_that_fills_up_costs_neither_the_unit_nor_its_code(small_disk: Path) -> None:
    async with ProcessDriver(small_disk) as driver:
        unit = unit_of("read -r line < go; seq 1 20000; exit 3", directory=str(small_disk))
        os.mkfifo(small_disk / "go")
        (small_disk / "go").chmod(0o666)
        await driver.start(unit)
        _fill(small_disk)
        with (small_disk / "go").open("w") as go:
            go.write("go\n")
        assert (await driver.wait(unit.id)).code == 3
    async with ProcessDriver(small_disk) as driver:
        (status,) = await driver.list()
        assert status.exit is not None
        assert status.exit.code == 3
        await driver.remove(unit.id)
