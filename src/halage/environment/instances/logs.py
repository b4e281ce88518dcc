"""What the instances of an environment print, as lines."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from halage.base.clock import Clock
from halage.compute.driver import ComputeDriver
from halage.compute.errors import NoSuchUnit
from halage.environment.model import LogLine

POLL_S = 0.2
"""How often a followed output is looked at; nothing is looked at when nobody follows."""


class UnitLog:
    """Reads one unit's output line by line; an unfinished last line waits for its end."""

    def __init__(self, compute: ComputeDriver, unit_id: str, offset: int = 0) -> None:
        self._compute = compute
        self._unit_id = unit_id
        self._offset = offset
        self._rest = b""

    async def lines(self) -> list[LogLine]:
        """The lines since the last call; none for a unit that is gone."""
        lines: list[LogLine] = []
        try:
            while (output := await self._compute.read(self._unit_id, self._offset)).data:
                self._offset = output.next_offset
                *whole, self._rest = (self._rest + output.data).split(b"\n")
                name = self._unit_id.rpartition(".")[0]
                lines += [LogLine(name, text.decode(errors="replace").rstrip("\r")) for text in whole]
        except NoSuchUnit:
            pass
        return lines


async def last_lines(compute: ComputeDriver, units: Sequence[str], lines: int) -> list[LogLine]:
    """The last lines of each unit, unit after unit, at most `lines` in all."""
    found: list[LogLine] = []
    for unit_id in units:
        found += (await UnitLog(compute, unit_id, offset=-64 * 1024).lines())[-lines:]
    return found[-lines:]


async def follow_lines(
    compute: ComputeDriver, clock: Clock, units_now: Callable[[], Awaitable[Sequence[str]]]
) -> AsyncIterator[LogLine]:
    """Lines as they come, of the units that there are now and of those that come later."""
    logs = {unit_id: UnitLog(compute, unit_id, offset=-4096) for unit_id in await units_now()}
    while True:
        for unit_id in await units_now():
            if unit_id not in logs:
                logs[unit_id] = UnitLog(compute, unit_id)
        for log in logs.values():
            for line in await log.lines():
                yield line
        await clock.sleep(POLL_S)
