"""`halage serve`: one process that listens, until it is told to stop."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

import structlog
import uvicorn

from halage.assembly.data import DataLock, prepare_data
from halage.assembly.errors import AddressInUse
from halage.assembly.logs import configure_logs
from halage.assembly.product import OpenCompute, Product, build_product
from halage.assembly.settings import Settings
from halage.base.clock import SystemClock
from halage.compute.drivers.process import ProcessDriver
from halage.monitor.logs.own import OwnLog

log = structlog.get_logger()
STOP_GRACE_S = 1
"""Seconds that requests under way get when the server stops; streams end at once."""
KEEP_ALIVE_S = 30
MESSAGE_BYTES = 1024 * 1024
"""The largest message of a WebSocket."""
SWITCH_INTERVAL_S = 0.0005
"""How long a thread that computes keeps others waiting; 5 ms is what Python does by itself."""
SILENCE_S = 900
"""After so long without an answer to a ping, the client of a WebSocket is taken for dead."""


@dataclass(frozen=True, slots=True)
class Started:
    """What the person who starts a server is told."""

    listen: str
    http: str
    data: str
    login_link: str | None
    """Only at the first start."""
    abilities: tuple[str, ...]
    """What holds for sites and builds on this machine, in sentences."""


def serve(
    settings: Settings, on_started: Callable[[Started], None], open_compute: OpenCompute = ProcessDriver
) -> None:
    """Run until SIGTERM or SIGINT. Raises DataInUse, AddressInUse and what a bad machine gives."""
    own_log = configure_logs(settings.log)
    # Threads compute too (metrics, logs): so long the event loop waits for each of its turns beside them.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    os.umask(0o077)  # what others may read gets its mode by name
    prepare_data(settings.data)
    lock = DataLock(settings.data)
    try:
        listener = _listen(settings.listen.host, settings.listen.port)
        with contextlib.closing(listener):
            asyncio.run(_serve(settings, listener, own_log, on_started, open_compute))
    finally:
        lock.release()


async def _serve(
    settings: Settings,
    listener: socket.socket,
    own_log: OwnLog,
    on_started: Callable[[Started], None],
    open_compute: OpenCompute,
) -> None:
    async with build_product(settings, SystemClock(), own_log, open_compute) as product:
        server = uvicorn.Server(
            uvicorn.Config(
                product.app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=STOP_GRACE_S,
                timeout_keep_alive=KEEP_ALIVE_S,
                # The balancer is one of those who reach us from there, and it says who asked.
                forwarded_allow_ips=["127.0.0.1", "::1", settings.listen.host],
                h11_max_incomplete_event_size=64 * 1024,
                ws="websockets-sansio",
                ws_max_size=MESSAGE_BYTES,
                ws_per_message_deflate=False,
                # A client whose own reader pauses answers no ping until that goes on.
                ws_ping_timeout=SILENCE_S,
            )
        )
        _stop_on_signals(server, product)
        on_started(_started(settings, product))
        log.info("server listens", action="server:Start", subject="server", listen=str(settings.listen))
        await server._serve([listener])
        log.info("server stopped", action="server:Stop", subject="server")


def _stop_on_signals(server: uvicorn.Server, product: Product) -> None:
    """The first signal ends streams and lets requests finish."""

    def stop() -> None:
        product.stopping.set()
        product.git_door.stop()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)


def _started(settings: Settings, product: Product) -> Started:
    first = product.first_start
    link = f"{settings.public_url}/login/{first.login_link_secret}" if first is not None else None
    return Started(
        listen=settings.public_url,
        http=f"http://{settings.http.host}:{settings.http.port}",
        data=str(settings.data),
        login_link=link,
        abilities=product.abilities,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said to be TCP, or asyncio does not know that it is, and leaves Nagle's algorithm on: then the second
    # half of an answer waits for the client's delayed acknowledgement, 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise AddressInUse(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another address with --listen"
        ) from error
    listener.listen(256)
    return listener
