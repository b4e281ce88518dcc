"""Objects of a repository, read through one `git cat-file` process."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from halage.source.errors import FileTooBig, GitFailed
from halage.source.git import Git, end_process


class ObjectReader:
    """Reads objects by name, one after the other; links inside a commit are followed."""

    def __init__(self, git: Git, repository: Path) -> None:
        self._git = git
        self._repository = repository

    async def __aenter__(self) -> Self:
        self._process = await self._git.start(
            self._repository, "cat-file", "--batch", "--follow-symlinks", stdin=asyncio.subprocess.PIPE
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await end_process(self._process)

    async def read(
        self, name: str, what: str, limit_bytes: int, *, kind: str = "blob", may_cut: bool = False
    ) -> bytes | None:
        """The object's content; None when there is none of this kind or it is a link to nowhere.

        Past the limit it is cut, if it may be; else this raises FileTooBig, which calls the object
        `what`, and the reader is of no use any more.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{name}\n".encode())
            await self._process.stdin.drain()
            found, content = await _read_answer(self._process.stdout, what, limit_bytes, may_cut)
            return content if found == kind else None
        except (asyncio.IncompleteReadError, ConnectionError, RuntimeError) as error:
            # RuntimeError: some event loops' word for a pipe that was closed.
            raise GitFailed(f"git cat-file ended early while it read {what}.") from error


async def _read_answer(
    stream: asyncio.StreamReader, what: str, limit_bytes: int, may_cut: bool
) -> tuple[str, bytes]:
    header = await stream.readuntil(b"\n")
    words = header.split()
    if words[0] in (b"symlink", b"dangling", b"loop", b"notdir"):
        await stream.readexactly(int(words[1]) + 1)
        return "nothing", b""
    if words[-1] in (b"missing", b"ambiguous"):
        return "nothing", b""
    size_bytes = int(words[-1])
    if size_bytes > limit_bytes and not may_cut:
        raise FileTooBig(
            f"{what} holds {size_bytes} bytes; Halage reads it only up to {limit_bytes} bytes.",
            size_bytes=size_bytes,
            limit_bytes=limit_bytes,
        )
    content = await stream.readexactly(min(size_bytes, limit_bytes))
    await _skip(stream, size_bytes - len(content) + 1)
    return words[1].decode(), content


async def _skip(stream: asyncio.StreamReader, size_bytes: int) -> None:
    while size_bytes > 0:
        size_bytes -= len(await stream.readexactly(min(size_bytes, 64 * 1024)))
