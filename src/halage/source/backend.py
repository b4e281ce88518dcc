"""One `git http-backend` process and what it started, in a process group of their own."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from typing import Self

from halage.source.errors import GitFailed
from halage.source.pipes import PipeReader, PipeWriter

HOOK_DESCRIPTOR = 8
"""Where the hooks find their line to the server: one digit, because dash knows no more."""
LOCK_DESCRIPTOR = 9
"""A lock that is held as long as one process of the push lives."""

GRACE_S = 3.0
_COMPLAINT_BYTES = 4096


class Backend:
    """A running `git http-backend`; always `end` it."""

    def __init__(self, pid: int, stdin: PipeWriter, stdout: PipeReader, stderr: PipeReader) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.complaint = b""
        """The last lines that it wrote to its standard error."""
        self._stderr = stderr
        self._pidfd = os.pidfd_open(pid)
        self._is_reaped = False

    @classmethod
    def start(cls, environment: Mapping[str, str], inherited: Mapping[int, int]) -> Self:
        """Start it; `inherited` maps descriptors of its own to ours. Raises GitFailed.

        posix_spawn, because it places descriptors at given numbers, without the cost and the
        dangers of running Python between fork and exec.
        """
        ends = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
        (stdin, feed), (output, stdout), (errors, stderr) = ends
        try:
            pid = _spawn(environment, {0: stdin, 1: stdout, 2: stderr, **inherited})
        except OSError as error:
            for descriptor in (feed, output, errors):
                os.close(descriptor)
            raise GitFailed(f"git cannot be started: {error.strerror}. Is it installed?") from error
        finally:
            for descriptor in (stdin, stdout, stderr):
                os.close(descriptor)
        return cls(pid, PipeWriter(feed), PipeReader(output), PipeReader(errors))

    def terminate(self) -> None:
        """Ask the whole group to end: git then drops what it had not finished."""
        self._signal(signal.SIGTERM)

    async def listen(self) -> None:
        """Keep the last of what it complains of, until all of the group are gone."""
        while chunk := await self._stderr.read():
            self.complaint = (self.complaint + chunk)[-_COMPLAINT_BYTES:]

    async def end(self, *, at_once: bool) -> int:
        """Return its exit code (negative: the signal that ended it), and leave no process behind.

        Unless `at_once`, it is given three seconds to end by itself. Afterwards it is
        terminated and, three seconds later, killed.
        """
        self.stdin.close()
        if at_once or not await self._is_gone_within(GRACE_S):
            self.terminate()
            await self._is_gone_within(GRACE_S)
        # Until it is reaped, its id cannot name another group.
        self._signal(signal.SIGKILL)
        await self._is_gone_within(None)
        self.stdout.close()
        self._stderr.close()
        os.close(self._pidfd)
        self._is_reaped = True
        _, status = os.waitpid(self.pid, 0)  # noqa: ASYNC222 (it has exited: this returns at once)
        return os.waitstatus_to_exitcode(status)

    async def _is_gone_within(self, timeout_s: float | None) -> bool:
        """Whether the leader has exited, and the others have let go of its standard error."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._exited()
                if timeout_s is not None:
                    await self.listen()
        except TimeoutError:
            return False
        return True

    async def _exited(self) -> None:
        loop = asyncio.get_running_loop()
        exited = loop.create_future()
        loop.add_reader(self._pidfd, _wake, exited)
        try:
            await exited
        finally:
            loop.remove_reader(self._pidfd)

    def _signal(self, number: signal.Signals) -> None:
        if not self._is_reaped:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)


def _spawn(environment: Mapping[str, str], descriptors: Mapping[int, int]) -> int:
    program = shutil.which("git", path=environment["PATH"]) or "git"
    # Copies with high numbers, so that no placement overwrites the source of another one.
    copies = {
        target: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, 10) for target, source in descriptors.items()
    }
    actions: Sequence[tuple[int, int, int]] = [
        (os.POSIX_SPAWN_DUP2, copy, target) for target, copy in copies.items()
    ]
    try:
        return os.posix_spawn(
            program,
            ["git", "http-backend"],
            environment,
            file_actions=actions,
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXFSZ],
        )
    finally:
        for copy in copies.values():
            os.close(copy)


def _wake(exited: asyncio.Future[None]) -> None:
    if not exited.done():
        exited.set_result(None)
