import asyncio
import io
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
import uvicorn

from halage.cli import terminal
from halage.cli.main import main
from tests.services.web.world import World, make_world


@dataclass
class Served:
    """The small world of tests/services/web behind a real port."""

    world: World
    url: str


@dataclass
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


Halage = Callable[..., Result]


class _Server(threading.Thread):
    def __init__(self, directory: Path) -> None:
        super().__init__(daemon=True)
        self._directory = directory
        self.port = 0
        self.ready = threading.Event()
        self.world: World | None = None
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.world = await make_world(self._directory)
        config = uvicorn.Config(self.world.app, port=0, log_config=None, lifespan="off")
        self._server = uvicorn.Server(config)
        original = self._server.startup

        async def startup(sockets: list[socket.socket] | None = None) -> None:
            await original(sockets)
            assert self._server is not None
            self.port = self._server.servers[0].sockets[0].getsockname()[1]
            self.ready.set()

        self._server.startup = startup  # type: ignore[method-assign]
        await self._server.serve()
        await self.world.services.logs.close()
        self.world.services.database.close()

    def stop(self) -> None:
        assert self._server and self._loop and self.world
        self._loop.call_soon_threadsafe(self.world.services.stopping.set)
        self._server.should_exit = True
        self.join(10)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The world, served to all tests of a module."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # stdout is the command's
    server = _Server(tmp_path_factory.mktemp("server"))
    server.start()
    assert server.ready.wait(30)
    assert server.world is not None
    yield Served(server.world, f"http://127.0.0.1:{server.port}")
    server.stop()
    structlog.reset_defaults()


@pytest.fixture
def served(server: Served) -> Served:
    """The same, as it was at first."""
    world = server.world
    for part in (world.builds, world.pipeline, world.environments, world.projects):
        vars(part).update(vars(type(part)()))
    return server


@pytest.fixture
def halage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Halage:
    """`halage("run", "list", "shop")`: run the command line in this process, in a directory of its own."""
    home = tmp_path / "home"
    home.mkdir()
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name in list(os.environ):
        if name.startswith(("HALAGE_", "GIT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))

    def run(*arguments: str, stdin: str = "") -> Result:
        terminal.forget_terminals()
        monkeypatch.setattr(sys, "argv", ["halage", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run


@pytest.fixture
def as_dev(served: Served, halage: Halage, monkeypatch: pytest.MonkeyPatch) -> Halage:
    """The command line of the developer of `shop`."""
    monkeypatch.setenv("HALAGE_URL", served.url)
    monkeypatch.setenv("HALAGE_TOKEN", served.world.tokens["dev"])
    return halage


@pytest.fixture
def as_admin(served: Served, halage: Halage, monkeypatch: pytest.MonkeyPatch) -> Halage:
    """The command line of the server's administrator."""
    monkeypatch.setenv("HALAGE_URL", served.url)
    monkeypatch.setenv("HALAGE_TOKEN", served.world.tokens["admin"])
    return halage
