"""A clock that stands still until a test moves it."""

import asyncio
import heapq
import itertools


class ManualClock:
    """A Clock that stands still until a test moves it; sleepers wake in the order of their deadlines."""

    def __init__(self, now: float = 1_000_000_000.0) -> None:
        self._now = now
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Seconds since the Unix epoch (UTC), as far as this clock knows."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that `advance` has added so far; a jump does not change it."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Return once `advance` has passed that many seconds."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move on, wake who is due in order, and let each of them run before the next is woken."""
        end = self._elapsed + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            self._move(due - self._elapsed)
            if not woken.done():
                woken.set_result(None)
            await _settle()
        self._move(end - self._elapsed)
        await _settle()

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody sleeps: who does other work would miss that the clock moves."""
        return bool(self._sleepers)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an administrator or NTP would; no sleeper notices."""
        self._now += seconds

    def _move(self, seconds: float) -> None:
        self._now += seconds
        self._elapsed += seconds


async def _settle() -> None:
    # Tasks woken by a future often need several turns of the loop before they sleep again.
    for _ in range(20):
        await asyncio.sleep(0)
