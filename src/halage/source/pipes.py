"""Pipes to a process, read and written without a buffer of our own: memory stays bounded."""

import asyncio
import contextlib
import os

CHUNK_BYTES = 64 * 1024


class PipeReader:
    """The end of a pipe that we read from."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor

    async def read(self) -> bytes:
        """What has come, at most 64 KiB; empty at the end."""
        # One turn of the loop for each chunk: a pipe that is always full must not starve others.
        await asyncio.sleep(0)
        while self._descriptor >= 0:
            try:
                return os.read(self._descriptor, CHUNK_BYTES)
            except BlockingIOError:
                await self._readable()
        return b""

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        loop.add_reader(self._descriptor, _wake, woken)
        try:
            await woken
        finally:
            if self._descriptor >= 0:
                loop.remove_reader(self._descriptor)

    def close(self) -> None:
        """Close it; idempotent. Nobody may be reading."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class PipeWriter:
    """The end of a pipe that we write to."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor

    async def write(self, content: bytes) -> None:
        """Return once all of it is in the pipe. Raises BrokenPipeError when nobody reads any more."""
        await asyncio.sleep(0)
        rest = memoryview(content)
        while rest:
            if self._descriptor < 0:
                raise BrokenPipeError
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                await self._writable()

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        loop.add_writer(self._descriptor, _wake, woken)
        try:
            await woken
        finally:
            if self._descriptor >= 0:
                loop.remove_writer(self._descriptor)

    def close(self) -> None:
        """Tell the reader that this was all; idempotent. Nobody may be writing."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
