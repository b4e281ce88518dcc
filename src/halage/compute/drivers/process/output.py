"""A unit's output: one file that all its processes append to, rotated without losing a byte.

The command writes straight into `output` (O_APPEND), with nobody in between who could die. Once
the file holds more than `hot_bytes`, its oldest part is copied into compressed segments,
`output.FIRST-LAST.zst` (byte offsets), each fsynced before that part of the file is given back to
the file system (fallocate PUNCH_HOLE). The file keeps its length, so offsets stay true for ever
and no writer notices. Where the file system cannot punch holes nothing is rotated.
"""

import contextlib
import ctypes
import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from halage.base.files import sync_directory
from halage.compute.model import MIB, Account, Output

_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02
_LEVEL = 3
# ioctl(2) numbers of <linux/fs.h> for 64-bit longs, and the append-only attribute of chattr(1).
_GET_FLAGS, _SET_FLAGS, _APPEND_ONLY = 0x80086601, 0x40086602, 0x20

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How much of a unit's output is kept: `hot_bytes` as they are, then compressed segments."""

    hot_bytes: int = 16 * MIB
    segment_bytes: int = 1 * MIB
    kept_segments: int = 64


@dataclass(frozen=True, slots=True)
class _Segment:
    path: Path
    first: int
    end: int

    def read(self) -> bytes:
        return zstandard.ZstdDecompressor().decompress(
            self.path.read_bytes(), max_output_size=self.end - self.first
        )


class Log:
    """The output of one unit. `read` and `rotate` may run at the same time, in different threads."""

    def __init__(self, path: Path, limits: LogLimits) -> None:
        self._path = path
        self._limits = limits
        self._rotating = threading.Lock()
        self._is_released = False
        self._segments = _find_segments(path)
        self._hot_start = self._segments[-1].end if self._segments else 0

    def create(self, account: Account | None) -> int:
        """Make the file and return a descriptor to append to it.

        A script's `> /dev/stderr` would empty it. Where we may (root, most file systems) it is
        therefore append-only and owned by the account, so that programs that append to
        /dev/stderr by name go on; elsewhere it cannot be opened for writing again at all.
        """
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        if account is not None and os.geteuid() == 0:
            os.fchown(handle, account.uid, account.gid)
        _lock(handle)
        return handle

    def release(self) -> None:
        """Let the file be deleted: a rotation under way is finished first, and none begins any more."""
        with self._rotating:
            self._is_released = True
            with contextlib.suppress(FileNotFoundError), _opened(self._path, os.O_RDONLY) as handle:
                _unlock(handle)

    @property
    def end(self) -> int:
        """The offset after its last byte."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, offset: int, limit: int) -> Output:
        """A piece from `offset` (negative: from the end), skipping what is no longer kept."""
        end = self.end
        at = max(0, end + offset) if offset < 0 else offset
        while at < end:
            if at >= self._hot_start:
                data = self._read_hot(at, limit)
                if at >= self._hot_start:  # else it was rotated away while we read: look again
                    return Output(data, at, at + len(data))
                continue
            segment = next((s for s in self._segments if s.end > at), None)
            if segment is None:
                continue
            at = max(at, segment.first)
            with contextlib.suppress(FileNotFoundError):  # dropped meanwhile: the next one then
                data = segment.read()[at - segment.first :][:limit]
                return Output(data, at, at + len(data))
        return Output(b"", at, at)

    @property
    def is_full(self) -> bool:
        """Whether it is time to rotate."""
        return self.end - self._hot_start > self._limits.hot_bytes

    def rotate(self) -> None:
        """Move the oldest part of a full log into segments, and drop the oldest segments.

        Raises OSError, and then nothing is lost.
        """
        with self._rotating:
            if not self._is_released:
                with _unlocked(self._path) as handle:
                    self._move_oldest_to_segments()
                    # From the start: a predecessor may have died between its segment and its hole.
                    punch_hole(handle, 0, self._hot_start)
                    self._drop_old()

    def _move_oldest_to_segments(self) -> None:
        size, hot_bytes = self._limits.segment_bytes, self._limits.hot_bytes
        # What is written meanwhile waits for the next time: a flood that is faster than we are must not
        # keep its hole from appearing, and so fill the disk.
        end = self.end
        # What would only be dropped again is not compressed first.
        first = max(self._hot_start, end - hot_bytes - self._limits.kept_segments * size)
        while end - first > max(size, hot_bytes // 2):
            segment = self._write_segment(first, self._read_hot(first, size))
            # Readers go to the segment from here on, so the hole may appear.
            self._segments = [*self._segments, segment]
            self._hot_start = first = segment.end

    def _write_segment(self, first: int, data: bytes) -> _Segment:
        end = first + len(data)
        path = self._path.with_name(f"{self._path.name}.{first:020}-{end:020}.zst")
        temporary = path.with_suffix(".new")
        with temporary.open("wb") as file:
            file.write(zstandard.ZstdCompressor(level=_LEVEL).compress(data))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
        return _Segment(path, first, end)

    def _drop_old(self) -> None:
        surplus = self._segments[: -self._limits.kept_segments]
        self._segments = self._segments[len(surplus) :]
        for segment in surplus:
            segment.path.unlink(missing_ok=True)

    def _read_hot(self, offset: int, limit: int) -> bytes:
        try:
            with _opened(self._path, os.O_RDONLY) as handle:
                return os.pread(handle, limit, offset)
        except FileNotFoundError:
            return b""


def punch_hole(handle: int, offset: int, length: int) -> None:
    """Give a part of a file back to the file system; it reads as zeros. Raises OSError."""
    if _libc.fallocate(handle, _KEEP_SIZE | _PUNCH_HOLE, offset, length) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def can_punch_holes(directory: Path) -> bool:
    """Whether the file system of that directory lets logs be rotated."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDWR | os.O_TMPFILE, 0o600)
        try:
            os.write(handle, bytes(8192))
            punch_hole(handle, 0, 4096)
            return True
        finally:
            os.close(handle)
    return False


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    handle = os.open(path, flags)
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def _unlocked(path: Path) -> Iterator[int]:
    """A descriptor that may punch holes."""
    with _opened(path, os.O_RDONLY) as reader:
        _unlock(reader)
        try:
            with _opened(path, os.O_RDWR) as handle:
                yield handle
        finally:
            _lock(reader)


def _lock(handle: int) -> None:
    if not _set_append_only(handle, True):
        os.fchmod(handle, 0o400)


def _unlock(handle: int) -> None:
    if not _set_append_only(handle, False):
        os.fchmod(handle, 0o600)


def _set_append_only(handle: int, is_wanted: bool) -> bool:
    """Set or clear chattr(1)'s `a`; False where only root may or the file system has no such thing."""
    if os.geteuid() != 0:
        return False
    try:
        flags = struct.unpack("i", fcntl.ioctl(handle, _GET_FLAGS, struct.pack("i", 0)))[0]
        flags = flags | _APPEND_ONLY if is_wanted else flags & ~_APPEND_ONLY
        fcntl.ioctl(handle, _SET_FLAGS, struct.pack("i", flags))
    except OSError:
        return False
    return True


def _find_segments(path: Path) -> list[_Segment]:
    found = []
    for entry in path.parent.glob(f"{path.name}.*.zst"):
        first, _, end = entry.name.removeprefix(f"{path.name}.").removesuffix(".zst").partition("-")
        found.append(_Segment(entry, int(first), int(end)))
    return sorted(found, key=lambda segment: segment.first)
