"""Lines to a syslog collector: messages of RFC 5424 over UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425).

Over TCP and TLS messages are framed by octet counting. Syslog has no acknowledgement: there lines
count as delivered once the collector's machine has taken them (Linux tells how many bytes it has
not), over UDP once they were sent.
"""

import asyncio
import contextlib
import fcntl
import re
import socket
import ssl
import struct
import termios
from collections.abc import Sequence

from halage.monitor.logs.collector import moment_of
from halage.monitor.logs.errors import NotDelivered
from halage.monitor.logs.matching import read_json
from halage.monitor.logs.model import KeptLine

TIMEOUT_S = 10.0
LARGEST_DATAGRAM = 60_000
"""What is longer is cut off over UDP."""
_LOCAL0 = 16
_SEVERITIES = {
    "critical": 2, "fatal": 2, "error": 3, "err": 3, "warning": 4, "warn": 4, "notice": 5, "debug": 7,
}  # fmt: skip
_INFO = 6
_UNPRINTABLE = re.compile(r"[^!-~]")
_LOOK_S = 0.02


def message_of(line: KeptLine, host: str) -> bytes:
    """One line as a message: APP-NAME is the project or environment, PROCID the stream, MSGID the kind."""
    place, _, kind = line.group.partition("/")
    head = (
        f"<{_LOCAL0 * 8 + _severity(line.text)}>1 {moment_of(line)} {_word(host, 255)} {_word(place, 48)} "
        f"{_word(line.stream, 128)} {_word(kind or 'server', 32)} - "
    )
    return head.encode() + line.text


def _word(text: str, longest: int) -> str:
    return _UNPRINTABLE.sub("_", text)[:longest] or "-"


def _severity(text: bytes) -> int:
    document = read_json(text) if text.startswith(b"{") else None
    level = (document or {}).get("level")
    return _SEVERITIES.get(level.lower(), _INFO) if isinstance(level, str) else _INFO


class DatagramChannel:
    """Sends each line as a datagram."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._host_name = socket.gethostname()
        self._transport: asyncio.DatagramTransport | None = None

    async def send(self, lines: Sequence[KeptLine]) -> None:
        """Send lines. Raises NotDelivered where the address cannot be resolved."""
        if self._transport is None or self._transport.is_closing():
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    self._transport, _ = await loop.create_datagram_endpoint(
                        asyncio.DatagramProtocol, remote_addr=self._address
                    )
            except (OSError, TimeoutError) as error:
                raise NotDelivered(f"{self._address[0]}: {str(error) or 'no answer'}") from error
        for line in lines:
            self._transport.sendto(message_of(line, self._host_name)[:LARGEST_DATAGRAM])
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Let go of the socket."""
        if self._transport is not None:
            self._transport.close()


class StreamChannel:
    """Sends lines over one connection, which is opened again when it broke."""

    def __init__(self, host: str, port: int, *, tls: bool, timeout_s: float = TIMEOUT_S) -> None:
        self._host, self._port = host, port
        self._context = ssl.create_default_context() if tls else None
        self._timeout_s = timeout_s
        self._host_name = socket.gethostname()
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, lines: Sequence[KeptLine]) -> None:
        """Send lines and wait until the collector's machine has them. Raises NotDelivered."""
        messages = (message_of(line, self._host_name) for line in lines)
        data = b"".join(b"%d %s" % (len(message), message) for message in messages)
        try:
            async with asyncio.timeout(self._timeout_s):
                writer = await self._connected()
                writer.write(data)
                await writer.drain()
                await _until_taken(writer)
        except (OSError, TimeoutError, ssl.SSLError) as error:
            await self.close()
            what = str(error) or f"it took nothing for {self._timeout_s:g} s"
            raise NotDelivered(f"{self._host}:{self._port}: {what}") from error

    async def _connected(self) -> asyncio.StreamWriter:
        if self._open is not None and (self._open[0].at_eof() or self._open[1].is_closing()):
            await self.close()
        if self._open is None:
            self._open = await asyncio.open_connection(self._host, self._port, ssl=self._context)
            self._open[1].transport.set_write_buffer_limits(0)  # drain: all of it is the kernel's
        return self._open[1]

    async def close(self) -> None:
        """Let go of the connection."""
        if self._open is not None:
            writer, self._open = self._open[1], None
            writer.transport.abort()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()


async def _until_taken(writer: asyncio.StreamWriter) -> None:
    """Return once the other machine has acknowledged every byte. Raises OSError when the connection broke."""
    connection = writer.get_extra_info("socket")
    while True:
        if writer.transport.is_closing():
            raise ConnectionResetError("the connection broke")
        waiting = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
        if waiting == 0:
            return
        await asyncio.sleep(_LOOK_S)
