"""The socket that the server listens on."""

import asyncio
import socket

from halage.assembly.server import _listen


async def test_an_answer_is_not_kept_back_until_the_client_has_acknowledged_its_head(free_port: int) -> None:
    """Nagle's algorithm beside delayed acknowledgements costs 40 ms for each answer of a kept connection."""
    listener = _listen("127.0.0.1", free_port)
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        told.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(answer, sock=listener):
        _, writer = await asyncio.open_connection("127.0.0.1", free_port)
        assert await told != 0
        writer.close()
        await writer.wait_closed()
