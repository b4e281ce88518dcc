"""Workers that a reload replaced: they finish their requests, and are asked until they have."""

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from halage.balancer.drivers.haproxy.configuration import target_of
from halage.balancer.drivers.haproxy.figures import Figures, Key, read_counters
from halage.balancer.drivers.haproxy.runtime import ANSWER_WITHIN_S, SERVERS, connect, read_statistics
from halage.balancer.errors import BalancerDown

_PROMPT = b"\n> "
_FRONTEND = "show stat visitors 1 -1"
_CLOSES_WITHIN_S = 2.0
_LOOK_EVERY_S = 0.002
_LONGEST_ANSWER_BYTES = 16 * 1024 * 1024


class Line:
    """A connection to a worker that is held open: a worker does not end while it has one.

    So what it counts to its last request is not lost, and what is under way in it stays seen.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        # Questions on one connection take turns; each has a time-out.
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, directory: Path, name: str) -> Self:
        """A line to the worker behind a socket. Raises BalancerDown."""
        try:
            line = cls(*await connect(directory, name, limit=_LONGEST_ANSWER_BYTES))
        except OSError as error:
            raise BalancerDown(f"HAProxy does not answer on {directory / name}: {error}") from error
        # The worker is told to end after 15 minutes at the latest; until then silence is no end.
        await line.ask("prompt")
        await line.ask("set timeout cli 1200")
        return line

    async def ask(self, command: str) -> str:
        """The answer to one command. Raises BalancerDown."""
        try:
            async with self._turn, asyncio.timeout(ANSWER_WITHIN_S):
                self._writer.write(f"{command}\n".encode())
                return (await self._reader.readuntil(_PROMPT)).decode(errors="replace")
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise BalancerDown("a former worker of HAProxy has ended") from error

    async def until_closed(self) -> bool:
        """Return once the worker takes no new visitor; False when that took too long.

        It shares the port with its successor until the master has told it, a moment after the
        successor is ready: until then some visitors still meet the old routes.
        """
        with contextlib.suppress(BalancerDown):
            for _ in range(round(_CLOSES_WITHIN_S / _LOOK_EVERY_S)):
                rows = read_statistics(await self.ask(_FRONTEND))
                if all(row["status"] == "STOP" for row in rows):
                    return True
                await asyncio.sleep(_LOOK_EVERY_S)
            return False
        return True  # it has ended

    def close(self) -> None:
        """Let the worker end."""
        self._writer.close()


class FormerWorkers:
    """Former workers by generation, as long as they have something to finish."""

    def __init__(self) -> None:
        self._lines: dict[int, Line] = {}

    def take(self, generation: int, line: Line) -> None:
        """A worker became a former one."""
        self._lines[generation] = line

    async def look(self, figures: Figures) -> dict[Key, int]:
        """Requests under way by target; new counts go into the figures, finished workers may end."""
        sessions: dict[Key, int] = {}
        for generation, line in tuple(self._lines.items()):
            try:
                visitors = read_statistics(await line.ask(_FRONTEND))
                rows = read_statistics(await line.ask(SERVERS))
            except BalancerDown:
                self._let_go(generation, figures)
                continue
            figures.observe_finishing(generation, read_counters(rows))
            if _sum_sessions(visitors) == 0:
                self._let_go(generation, figures)
            for row in rows:
                key = (row["pxname"], target_of(row["svname"]))
                sessions[key] = sessions.get(key, 0) + int(row["scur"] or 0)
        return sessions

    def is_empty(self) -> bool:
        """Whether none has anything to finish."""
        return not self._lines

    def close(self) -> None:
        """Let all of them end by themselves."""
        for line in self._lines.values():
            with contextlib.suppress(OSError):
                line.close()
        self._lines.clear()

    def _let_go(self, generation: int, figures: Figures) -> None:
        if (line := self._lines.pop(generation, None)) is not None:
            line.close()
        figures.forget_finishing(generation)


def _sum_sessions(rows: Iterable[dict[str, str]]) -> int:
    return sum(int(row.get("scur") or 0) for row in rows)
