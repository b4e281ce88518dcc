"""The ends of a unit's input and output that its caller holds: three pipes, or a terminal of its own.

The kernel's buffers are the only ones: what nobody reads holds the unit up, and what it does not
read holds the caller up.
"""

import asyncio
import errno
import fcntl
import os
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass

from halage.compute.model import Account, Stream, TerminalSize

_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Ends:
    """Descriptors: the unit's three (`inner`), and ours."""

    inner: tuple[int, int, int]
    input: int
    outputs: dict[Stream, int]
    has_terminal: bool

    def close_inner(self) -> None:
        """Let go of the unit's ends, which it has by now, or never will."""
        for handle in set(self.inner):
            os.close(handle)


def open_ends(terminal: TerminalSize | None, account: Account | None) -> Ends:
    """New ends; the unit's belong to its account, so that it may open them again by name. Raises OSError."""
    ends = _open_pipes() if terminal is None else _open_terminal(terminal)
    for handle in (ends.input, *ends.outputs.values()):
        os.set_blocking(handle, False)
    if account is not None and os.geteuid() == 0:
        for handle in ends.inner:
            os.fchown(handle, account.uid, account.gid)
    return ends


def _open_pipes() -> Ends:
    input_, output, errors = os.pipe(), os.pipe(), os.pipe()
    outputs = {Stream.OUTPUT: output[0], Stream.ERRORS: errors[0]}
    return Ends((input_[0], output[1], errors[1]), input_[1], outputs, has_terminal=False)


def _open_terminal(size: TerminalSize) -> Ends:
    ours, units = os.openpty()
    _set_size(ours, size)
    return Ends((units, units, units), ours, {Stream.OUTPUT: ours}, has_terminal=True)


def _set_size(handle: int, size: TerminalSize) -> None:
    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))


class Attachment:
    """An `Attached` over such ends."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._open = {ends.input, *ends.outputs.values()}
        self._waiting: dict[int, set[asyncio.Future[None]]] = {}

    async def read(self, stream: Stream) -> bytes:
        """The next bytes; none at the end."""
        handle = self._ends.outputs.get(stream)
        while handle is not None and handle in self._open:
            try:
                return os.read(handle, _PIECE)
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                await self._until(handle, loop.add_reader, loop.remove_reader)
            except OSError as error:
                if error.errno != errno.EIO:  # what a terminal says once nobody is on it any more
                    raise
                return b""
        return b""

    async def write(self, data: bytes) -> None:
        """Give it input; what nobody can take any more is dropped."""
        left = memoryview(data)
        while left and self._ends.input in self._open:
            try:
                left = left[os.write(self._ends.input, left) :]
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                await self._until(self._ends.input, loop.add_writer, loop.remove_writer)
            except BrokenPipeError:
                return
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                return

    def end_input(self) -> None:
        """There is no more input."""
        if not self._ends.has_terminal:
            self._close(self._ends.input)

    def resize(self, size: TerminalSize) -> None:
        """Its terminal has another size now; the kernel tells it (SIGWINCH)."""
        if self._ends.has_terminal and self._ends.input in self._open:
            _set_size(self._ends.input, size)

    def close(self) -> None:
        """Let go of all ends."""
        for handle in tuple(self._open):
            self._close(handle)

    def _close(self, handle: int) -> None:
        if handle not in self._open:
            return
        self._open.discard(handle)
        loop = asyncio.get_running_loop()
        loop.remove_reader(handle)
        loop.remove_writer(handle)
        os.close(handle)
        for waiting in self._waiting.pop(handle, ()):
            _wake(waiting)

    async def _until(self, handle: int, watch: Callable[..., None], unwatch: Callable[[int], bool]) -> None:
        """Return once the kernel says so, or the end was closed."""
        woken = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(handle, set())
        waiting.add(woken)
        watch(handle, _wake, woken)
        try:
            await woken
        finally:
            waiting.discard(woken)
            if handle in self._open:
                unwatch(handle)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
