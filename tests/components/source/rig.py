"""A git server on loopback with a real Source, and a real git client for it."""

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from halage.access.errors import BadCredential
from halage.access.model import Principal, Role
from halage.access.rules import check
from halage.base.clock import SystemClock
from halage.base.database import Database
from halage.base.journal import Journal
from halage.base.schema import metadata
from halage.base.tasks import Tasks
from halage.source.http import GitDoor
from halage.source.model import Push, PushAnswer
from halage.source.service import Source

PEOPLE = {
    "ada": Principal("ada", False, {"boutique": Role.DEVELOPER}, "git"),
    "victor": Principal("victor", False, {"boutique": Role.VIEWER}, "git"),
    "eve": Principal("eve", False, {}, "git"),
    "root": Principal("root", True, {}, "git"),
}
SECRET = "s3cret"


async def authenticate(user: str, secret: str) -> Principal:
    if user not in PEOPLE or secret != SECRET:
        raise BadCredential
    return PEOPLE[user]


class Recorder:
    """A PushConsumer that keeps what it was told."""

    def __init__(self) -> None:
        self.pushes: list[Push] = []
        self._changed = asyncio.Condition()
        self.answer: Callable[[Push], Awaitable[PushAnswer]] | None = None

    async def pushed(self, push: Push) -> PushAnswer:
        answer = PushAnswer((f"run for {push.ref}",)) if self.answer is None else await self.answer(push)
        self.pushes.append(push)
        async with self._changed:
            self._changed.notify_all()
        return answer

    async def wait_for(self, count: int, within_s: float = 10.0) -> None:
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(lambda: len(self.pushes) >= count)


@dataclass
class Output:
    code: int
    text: str


@dataclass
class Client:
    """Runs git as a user would, in directories below `home`."""

    home: Path
    port: int = 0
    user: str | None = "ada"
    secret: str = SECRET
    path: Path = field(init=False)

    def __post_init__(self) -> None:
        self.path = self.home / "work"

    def url(self, project: str = "boutique") -> str:
        who = f"{self.user}:{self.secret}@" if self.user else ""
        return f"http://{who}127.0.0.1:{self.port}/git/{project}.git"

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.com",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.com",
            "LC_ALL": "C.UTF-8",
        }

    async def start(self, *arguments: str, cwd: Path | None = None) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            "git",
            *arguments,
            cwd=cwd or self.path,
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )

    async def try_git(self, *arguments: str, cwd: Path | None = None) -> Output:
        process = await self.start(*arguments, cwd=cwd)
        async with asyncio.timeout(90):
            text, _ = await process.communicate()
        assert process.returncode is not None
        return Output(process.returncode, text.decode(errors="replace"))

    async def git(self, *arguments: str, cwd: Path | None = None) -> str:
        output = await self.try_git(*arguments, cwd=cwd)
        assert output.code == 0, output.text
        return output.text

    async def init(self, files: dict[str, str] | None = None) -> str:
        self.path.mkdir()
        await self.git("init", "--quiet", "--initial-branch=main")
        await self.git("remote", "add", "origin", self.url())
        return await self.commit(files or {"index.html": "<h1>Halage</h1>\n"}, "First")

    async def commit(self, files: dict[str, str], title: str) -> str:
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        await self.git("add", "--all")
        await self.git("commit", "--quiet", "--allow-empty", "-m", title)
        return (await self.git("rev-parse", "HEAD")).strip()


@dataclass
class Rig:
    """Everything that a test needs."""

    source: Source
    door: GitDoor
    consumer: Recorder
    database: Database
    client: Client
    data: Path
    server: uvicorn.Server

    @property
    def repository(self) -> Path:
        return self.data / "repositories" / "boutique.git"

    def garbage(self) -> list[Path]:
        """Locks and quarantines in the repository."""
        walked = os.walk(self.repository)  # which does not mind that git removes what it comes to
        locks = [Path(path, name) for path, _, names in walked for name in names if name.endswith(".lock")]
        return [*locks, *self.repository.glob("objects/tmp_*")]


def open_database(data: Path) -> Database:
    database = Database(f"sqlite:///{data / 'halage.db'}", clock=SystemClock(), journal=Journal())
    metadata.create_all(database.engine)
    return database


@contextlib.asynccontextmanager
async def running(data: Path, home: Path, port: int, *, reserve_bytes: int = 0) -> AsyncIterator[Rig]:
    """A server with an empty repository `boutique`, stopped and cleaned up at the end."""
    database = open_database(data)
    consumer = Recorder()
    source = Source(data / "repositories", data / "run", database, SystemClock(), consumer)
    async with source, Tasks() as tasks:
        if not source.repositories.exists("boutique"):
            await source.create_repository("boutique")
        door = GitDoor(source, authenticate=authenticate, check=check, reserve_bytes=reserve_bytes)
        app = Starlette(routes=[Mount("/git", app=door)])
        config = uvicorn.Config(app, port=port, lifespan="off", log_level="warning", access_log=False)
        server = uvicorn.Server(config)
        serving = tasks.start(serve(server), "uvicorn")
        while not server.started:
            assert not serving.done()
            await asyncio.sleep(0.005)
        home.mkdir(exist_ok=True)
        yield Rig(source, door, consumer, database, Client(home, port), data, server)
        door.stop()
        server.should_exit = True
        await serving
    database.close()


async def serve(server: uvicorn.Server) -> None:
    with contextlib.suppress(AttributeError):
        # Signals belong to the test runner.
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    await server._serve()


async def raw_get(port: int, path: str) -> int:
    """The status of a GET of exactly this path, which an HTTP library would tidy up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    credential = base64.b64encode(f"root:{SECRET}".encode()).decode()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credential}\r\n\r\n".encode())
    status = await reader.readline()
    writer.close()
    return int(status.split()[1])
