"""Told by the kernel when a file grows: inotify, one descriptor for all files."""

import asyncio
import contextlib
import ctypes
import os
import struct
from pathlib import Path

_MODIFY, _ONESHOT = 0x2, 0x80000000
_HEADER = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Growth:
    """Wakes those who wait for a file to be written to. Costs nothing for files nobody waits for."""

    def __init__(self) -> None:
        self._handle: int | None = None
        self._waiting: dict[int, set[asyncio.Future[None]]] = {}

    def watch(self, path: Path) -> asyncio.Future[None]:
        """A future that is done at the next write. Cancel it when it is not needed any more.

        Raises OSError.
        """
        woken = asyncio.get_running_loop().create_future()
        # One event only, so that a chatty writer wakes us no more often than we ask.
        mark = _libc.inotify_add_watch(self._open(), os.fsencode(path), ctypes.c_uint32(_MODIFY | _ONESHOT))
        if mark < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
        self._waiting.setdefault(mark, set()).add(woken)
        woken.add_done_callback(lambda done: self._forget(mark, done))
        return woken

    def close(self) -> None:
        """Wake everybody and let go of the descriptor. Idempotent."""
        for waiting in list(self._waiting.values()):
            for woken in waiting:
                woken.cancel()
        if self._handle is not None:
            asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
            self._handle = None

    def _open(self) -> int:
        if self._handle is None:
            self._handle = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if self._handle < 0:
                number, self._handle = ctypes.get_errno(), None
                raise OSError(number, os.strerror(number))
            asyncio.get_running_loop().add_reader(self._handle, self._read)
        return self._handle

    def _read(self) -> None:
        assert self._handle is not None
        with contextlib.suppress(BlockingIOError):
            events = os.read(self._handle, 65536)
            at = 0
            while at < len(events):
                mark, _, _, name_length = _HEADER.unpack_from(events, at)
                at += _HEADER.size + name_length
                for woken in self._waiting.pop(mark, set()):
                    if not woken.done():
                        woken.set_result(None)

    def _forget(self, mark: int, woken: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(mark, set())
        waiting.discard(woken)
        if mark in self._waiting and not waiting:
            del self._waiting[mark]
            if self._handle is not None:
                _libc.inotify_rm_watch(self._handle, mark)
