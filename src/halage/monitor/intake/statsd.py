"""StatsD over UDP: datagrams are read in turns, so that a flood takes its turn and nobody else's."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Self

from halage.monitor.intake.errors import StatsdAddressInUse

LARGEST_DATAGRAM = 65_535
TURN_BYTES = 16 * 1024
TURN_S = 0.01
"""One turn at a time, and no more than one in so long: some 1.6 MB/s, or 50,000 lines of usual length."""
BUFFER_BYTES = 1024 * 1024
"""Waits in the kernel meanwhile (as far as net.core.rmem_max lets it)."""
_OVERFLOW_OPTION = 40
"""SO_RXQ_OVFL of Linux: with each datagram comes how many were dropped before it (socket(7))."""


class StatsdListener:
    """Hands each datagram to `take`. Use it in `async with`; raises StatsdAddressInUse."""

    def __init__(self, host: str, port: int, take: Callable[[bytes], None]) -> None:
        self._wanted = (host, port)
        self._take = take
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.dropped = 0
        """Datagrams that the kernel dropped because they came too fast."""

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._socket is not None
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    async def __aenter__(self) -> Self:
        host, port = self._wanted
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            listening = socket.socket(family, kind, protocol)
        except OSError as error:
            raise self._in_use(error) from error
        try:
            listening.bind(address)
        except OSError as error:
            listening.close()
            raise self._in_use(error) from error
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        with contextlib.suppress(OSError):  # a kernel without it: then drops are not counted
            listening.setsockopt(socket.SOL_SOCKET, _OVERFLOW_OPTION, 1)
        self._socket = listening
        loop.add_reader(listening.fileno(), self._turn)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()

    def _turn(self) -> None:
        """Read until nothing waits or the turn is over; then pause, and the kernel keeps or drops."""
        assert self._socket is not None
        left = TURN_BYTES
        while left > 0:
            try:
                datagram, ancillary, _, _ = self._socket.recvmsg(LARGEST_DATAGRAM, socket.CMSG_SPACE(4))
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                break  # an error of the socket that is reported once; the next turn reads on
            for _level, type_, content in ancillary:
                if type_ == _OVERFLOW_OPTION and len(content) == 4:
                    self.dropped = struct.unpack("=I", content)[0]
            left -= max(len(datagram), 64)
            self._take(datagram)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket.fileno())
        self._timer = loop.call_later(TURN_S, self._resume)

    def _resume(self) -> None:
        assert self._socket is not None
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._turn)

    def _in_use(self, error: OSError) -> StatsdAddressInUse:
        host, port = self._wanted
        return StatsdAddressInUse(
            f"StatsD cannot listen on {host}:{port} (UDP): {error.strerror}; "
            "choose another address in the setting metrics.statsd."
        )
