"""The two git hooks, and the server's end of the line that they talk on.

The line is a socket that the hooks inherit (descriptor 8). It needs no file, and it ends by
itself when either side dies: a hook whose server was killed reads the end of the line and lets
the push through, to be found when the refs are compared at the next start. In a push that does
not come through the server (by file path) there is no line, and the hooks do nothing.

Hook to server, one a line: the hook's name, `ref OLD NEW REF` for each ref, `options`, the push
options, `end`. Options come last because nothing after them is trusted: what a pusher writes there
cannot pass for a ref. Server to hook: `|TEXT` to print, then `.` (go on) or `!` (refuse).
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

import structlog

from halage.source.model import PushAnswer, RefChange
from halage.source.rules import MAX_CHANGES, parse_change, printable

log = structlog.get_logger()

MAX_OPTIONS = 20

_TALK = """\
#!/bin/sh
# Written by Halage at each start: changes are lost. It does nothing outside of `halage serve`.
[ "$HALAGE_PUSH" = 8 ] || exit 0
trap '' PIPE
{
    echo %s
    while read -r old new ref; do printf 'ref %%s %%s %%s\\n' "$old" "$new" "$ref"; done
    echo options
    i=0
    while [ "$i" -lt "${GIT_PUSH_OPTION_COUNT:-0}" ]; do
        eval "printf '%%s\\n' \\"\\$GIT_PUSH_OPTION_$i\\""
        i=$((i + 1))
    done
    echo end
} >&8 2>/dev/null || exit 0
while IFS= read -r line <&8; do
    case $line in
        '|'*) printf '%%s\\n' "${line#?}" ;;
        .) exit 0 ;;
        !) exit 1 ;;
    esac
done
exit 0
"""

HOOKS = {name: _TALK % name for name in ("pre-receive", "post-receive")}
"""File name and text of each hook."""


class PushReceiver(Protocol):
    """Who decides on a push and is told of it."""

    def refuse(self, changes: Sequence[RefChange]) -> list[str]:
        """Why the push is refused; empty when it is accepted. Nothing is changed yet."""
        ...

    async def receive(self, changes: Sequence[RefChange], options: tuple[str, ...]) -> list[PushAnswer]:
        """Record the push, whose refs are changed. It is not stopped half way by whoever calls it."""
        ...


class HookLine:
    """The server's end of the line, for one push."""

    def __init__(self, receiver: PushReceiver) -> None:
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._ours = ours
        self._receiver = receiver
        self._is_handed_over = False
        self._waiting: asyncio.Timeout | None = None
        self._farewell: str | None = None
        self.has_received = False
        """Whether the push was heard of; what happens to its git processes is of no importance then."""

    async def talk(self) -> None:
        """Answer the hooks until the last has hung up."""
        self._is_handed_over = True
        reader, writer = await asyncio.open_unix_connection(sock=self._ours)
        try:
            while name := (await reader.readline()).strip():
                changes, options = await _read_report(reader)
                if name == b"pre-receive":
                    sentences = self._receiver.refuse(changes)
                    await _send(writer, sentences, "!" if sentences else ".")
                else:
                    await self._hear(writer, changes, options)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError) as error:
            log.debug("hook hung up", action="source:Push", reason=str(error))
        finally:
            writer.close()

    async def _hear(
        self, writer: asyncio.StreamWriter, changes: list[RefChange], options: tuple[str, ...]
    ) -> None:
        self.has_received = True
        answers = await self._receiver.receive(changes, options)
        await _send(writer, [line for answer in answers for line in answer.lines])
        if "wait" in options:
            await self._show_progress(writer, answers)
        await _send(writer, [], ".")

    async def _show_progress(self, writer: asyncio.StreamWriter, answers: Sequence[PushAnswer]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as self._waiting:
                for answer in answers if self._farewell is None else ():
                    await _send_progress(writer, answer)
        self._waiting = None
        if self._farewell:
            await _send(writer, [self._farewell])

    def stop_waiting(self, farewell: str = "") -> None:
        """Show no more progress; the hook ends, now or once the push is recorded."""
        self._farewell = farewell
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(asyncio.get_running_loop().time())

    def close(self) -> None:
        """Close what was not handed on; idempotent."""
        self.theirs.close()
        if not self._is_handed_over:
            self._ours.close()


async def _read_report(reader: asyncio.StreamReader) -> tuple[list[RefChange], tuple[str, ...]]:
    changes: list[RefChange] = []
    options: list[str] = []
    while (line := await _read_line(reader)) != "options":
        change = parse_change(line.removeprefix("ref "))
        if change is None:
            raise ValueError(f"not a ref: {printable(line)}")
        # One more than is allowed, so that the refusal has something to count.
        if len(changes) <= MAX_CHANGES:
            changes.append(change)
    while (line := await _read_line(reader)) != "end":
        if len(options) < MAX_OPTIONS:
            options.append(line)
    return changes, tuple(options)


async def _read_line(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\n"))[:-1].decode(errors="replace")


async def _send(writer: asyncio.StreamWriter, lines: Sequence[str], end: str = "") -> None:
    shown = [f"|{printable(part)}\n" for line in lines for part in line.splitlines() or [""]]
    writer.write("".join([*shown, f"{end}\n" if end else ""]).encode())
    await writer.drain()


async def _send_progress(writer: asyncio.StreamWriter, answer: PushAnswer) -> None:
    if answer.progress is None:
        return
    try:
        async for line in answer.progress:
            await _send(writer, [line])
    finally:
        if isinstance(answer.progress, AsyncGenerator):
            await answer.progress.aclose()
