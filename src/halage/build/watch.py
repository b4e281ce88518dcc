"""Watches one running job: its output becomes console lines, its time limits are kept."""

import asyncio
from collections.abc import Callable

from halage.base.clock import Clock
from halage.build.console import Console
from halage.build.rules import PHASE_MARK
from halage.compute.driver import ComputeDriver
from halage.compute.model import Exit
from halage.site.model import Site

FIRST_LOOK_S, LONGEST_LOOK_S = 0.02, 0.2
STOP_GRACE_S = 2.0


class Watch:
    """Reads a unit's output from its beginning until its end."""

    def __init__(
        self,
        compute: ComputeDriver,
        clock: Clock,
        unit_id: str,
        site: Site,
        console: Console,
        started_at: float,
    ) -> None:
        self._compute = compute
        self._clock = clock
        self._unit_id = unit_id
        self._console = console
        self._started_at = started_at
        self._limits = {"build": site.build.timeout_s, "test": site.test.timeout_s}
        self._deadline_at = started_at + max(self._limits.values())
        self._phase = "build"
        self._offset = 0
        self._rest = b""
        self.command = ""
        """The command that ran last."""
        self.timed_out: str | None = None
        """Which time limit ended it, in words."""

    async def until_end(self, on_lines: Callable[[], None], cancelled: asyncio.Event) -> Exit:
        """Follow the unit to its end; ends it itself when it is cancelled or a time limit is over."""
        async with asyncio.TaskGroup() as group:
            ended = group.create_task(self._compute.wait(self._unit_id), name=f"wait for {self._unit_id}")
            look = FIRST_LOOK_S
            while not ended.done():
                look = FIRST_LOOK_S if await self._read(on_lines) else min(look * 1.5, LONGEST_LOOK_S)
                await asyncio.wait({ended}, timeout=look)
                if self._must_stop(cancelled) and not ended.done():
                    await self._compute.stop(self._unit_id, STOP_GRACE_S)
        while await self._read(on_lines):
            pass
        if self._rest:
            self._line(self._rest)
        return ended.result()

    def _must_stop(self, cancelled: asyncio.Event) -> bool:
        if self._clock.now() >= self._deadline_at:
            limit = self._limits[self._phase]
            self.timed_out = f"time limit of {limit:g} s for [{self._phase}] is over"
        return cancelled.is_set() or self.timed_out is not None

    async def _read(self, on_lines: Callable[[], None]) -> bool:
        output = await self._compute.read(self._unit_id, self._offset)
        if not output.data:
            return False
        self._offset = output.next_offset
        *lines, self._rest = (self._rest + output.data).split(b"\n")
        for line in lines:
            self._line(line)
        self._console.flush()
        on_lines()
        return True

    def _line(self, line: bytes) -> None:
        at_s = self._clock.now() - self._started_at
        text = line.decode(errors="replace").rstrip("\r")
        if not text.startswith(PHASE_MARK):
            self._console.write(at_s, text)
            return
        kind, _, rest = text[1:].partition(" ")
        if kind == "phase" and rest in self._limits:
            self._phase = rest
            self._deadline_at = self._clock.now() + self._limits[rest]
        elif kind == "command":
            self.command = rest
            self._console.write(at_s, f"$ {rest}")
