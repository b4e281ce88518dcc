"""Output is kept, rotated and read back without losing a byte."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from halage.compute.drivers.process import LogLimits, ProcessDriver, ProcessSettings
from halage.compute.drivers.process.output import Log, can_punch_holes
from halage.compute.model import Output
from tests.components.compute.units import unit_of

SMALL = LogLimits(hot_bytes=256 * 1024, segment_bytes=64 * 1024, kept_segments=10_000)


async def _everything(driver: ProcessDriver, unit_id: str) -> bytes:
    found, at = b"", 0
    while (output := await driver.read(unit_id, at)).data:
        assert output.offset == at
        found, at = found + output.data, output.next_offset
    return found


async def test_a_fast_writer_loses_nothing(units: Path) -> None:
    if not can_punch_holes(Path("/tmp")):
        pytest.skip("this file system cannot punch holes")
    settings = ProcessSettings(log_limits=SMALL, rotation_interval_s=0.01)
    async with ProcessDriver(units, settings) as driver:
        unit = unit_of("seq 1 400000; sleep 0.1")
        await driver.start(unit)
        await driver.wait(unit.id)
        expected = "".join(f"{number}\n" for number in range(1, 400_001)).encode()
        assert await _everything(driver, unit.id) == expected
        file = units / unit.id / "output"
        assert file.stat().st_size == len(expected)
        async with asyncio.timeout(30):  # the last rotation may follow the end
            while file.stat().st_blocks * 512 > SMALL.hot_bytes + 8192:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await _everything(driver, unit.id) == expected
        assert (await driver.read(unit.id, -7)).data == b"400000\n"
    async with ProcessDriver(units, settings) as driver:
        assert await _everything(driver, unit.id) == expected
        await driver.remove(unit.id)
        assert list(units.iterdir()) == []


async def test_a_live_reader_sees_every_byte_while_it_is_rotated(units: Path) -> None:
    settings = ProcessSettings(log_limits=SMALL, rotation_interval_s=0.005)
    async with ProcessDriver(units, settings) as driver:
        unit = unit_of("for i in 1 2 3 4 5 6 7 8 9 10; do seq 1 20000; sleep 0.02; done")
        await driver.start(unit)
        at, found = 0, b""
        while True:
            await driver.grown(unit.id, at)
            output = await driver.read(unit.id, at)
            assert output.offset == at
            if not output.data:
                break
            found, at = found + output.data, output.next_offset
            await asyncio.sleep(0.001)
        assert found == "".join(f"{number}\n" for number in range(1, 20_001)).encode() * 10
        await driver.remove(unit.id)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    made = Log(tmp_path / "output", LogLimits(8192, 4096, kept_segments=2))
    os.close(made.create(None))
    return made


def _append(path: Path, data: bytes) -> None:
    # Opened by a process of its own in life; here the lock of the file is opened for a moment.
    Log(path, LogLimits()).release()
    with path.open("ab") as file:
        file.write(data)


def test_what_is_no_longer_kept_is_skipped(log: Log, tmp_path: Path) -> None:
    data = os.urandom(40_000)
    _append(tmp_path / "output", data)
    was_full = log.is_full
    log.rotate()
    assert (was_full, log.is_full) == (True, False)
    first = log.read(0, 100)
    assert first.offset > 0
    assert first.data == data[first.offset :][:100]
    assert log.read(first.offset + 4000, 4096).data == data[first.offset + 4000 : first.offset + 4096]
    assert log.read(-10, 100) == Output(data[-10:], 39_990, 40_000)
    assert len(list(tmp_path.glob("*.zst"))) == 2
    log.release()


class OutpacedByItsWriter(Log):
    """A log whose instance writes as fast as it is rotated."""

    written = 0

    def _write_segment(self, first: int, data: bytes) -> Any:
        self.written += 1
        assert self.written < 100, "it never comes to an end"
        with self._path.open("ab") as file:
            file.write(bytes(len(data)))
        return super()._write_segment(first, data)


def test_a_flood_that_is_faster_than_the_rotation_does_not_fill_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "output"
    log = OutpacedByItsWriter(path, LogLimits(8192, 4096, kept_segments=2))
    os.close(log.create(None))
    _append(path, b"a" * 10_000_000 + b"z" * 20_000)
    log.rotate()
    assert log.written <= 4, "what would be dropped again is not compressed first"
    assert path.stat().st_blocks * 512 < 64 * 1024, "the rest was given back to the disk"
    first = log.read(0, 100)
    assert first.data == b"z" * 100, "a reader that was left behind goes on with what is kept"
    assert log.read(first.offset - 1, 100) == first
    log.release()


class RotatedWhileRead(Log):
    """A log that another thread rotates just before a read of it reaches the file."""

    is_disturbed = False

    def _read_hot(self, offset: int, limit: int) -> bytes:
        if not self.is_disturbed:
            self.is_disturbed = True
            self.rotate()
        return super()._read_hot(offset, limit)


def test_a_read_that_meets_a_rotation_sees_no_hole(tmp_path: Path) -> None:
    data = b"x" * 20_000
    path = tmp_path / "output"
    log = RotatedWhileRead(path, LogLimits(8192, 4096, kept_segments=99))
    os.close(log.create(None))
    _append(path, data)
    assert log.read(0, 100).data == data[:100]
    assert log.is_disturbed
    log.release()


class ReleasedWhileRotated(Log):
    """A log that is released by another thread while it is being rotated."""

    def _drop_old(self) -> None:
        self.releasing = threading.Thread(target=self.release)
        self.releasing.start()
        self.releasing.join(0.05)
        super()._drop_old()


def test_a_log_that_is_released_while_it_is_rotated_can_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "output"
    log = ReleasedWhileRotated(path, LogLimits(8192, 4096, kept_segments=99))
    os.close(log.create(None))
    _append(path, b"x" * 20_000)
    log.rotate()
    log.releasing.join()
    log.rotate()
    path.unlink()


def test_a_death_between_segment_and_hole_loses_nothing(log: Log, tmp_path: Path) -> None:
    data = os.urandom(20_000)
    path = tmp_path / "output"
    _append(path, data)
    log.rotate()
    reopened = Log(path, LogLimits(8192, 4096, kept_segments=99))
    kept = reopened.read(0, 1).offset
    found, at = b"", kept
    while (piece := reopened.read(at, 1000)).data:
        found, at = found + piece.data, piece.next_offset
    assert found == data[kept:]
    reopened.release()
