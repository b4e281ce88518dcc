"""An event loop whose time jumps to the next timer as soon as nothing else is to be done.

Everything that waits by the loop (timers of controllers, `asyncio.sleep`, time-outs) waits in this
time, so a day passes as fast as it can be computed, in the order in which it would have happened.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Stuck(AssertionError):
    """Nothing is ready and nothing will ever be: somebody waits for what nobody does."""


class _Skipping(selectors.DefaultSelector):
    """Never waits: what it was to wait is told to `pass_by`, and is over."""

    pass_by: Callable[[float], None]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise Stuck("everything waits, and no timer is set")
            self.pass_by(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in virtual time. What would run in a thread runs at once: threads know no other time."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        selector = _Skipping()
        selector.pass_by = self._pass_by
        super().__init__(selector)

    def time(self) -> float:
        """Seconds that were skipped so far."""
        return self._elapsed

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """The result, now."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def _pass_by(self, seconds: float) -> None:
        self._elapsed += max(seconds, 0.0)


class VirtualClock:
    """The Clock of a VirtualLoop. Its wall clock can be set, as an administrator or NTP would."""

    def __init__(self, now: float = 1_000_000_000.0) -> None:
        self._begun = now

    def now(self) -> float:
        """Seconds since the Unix epoch (UTC), as far as this clock knows."""
        return self._begun + self.monotonic()

    def monotonic(self) -> float:
        """Seconds since the loop began."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of virtual time."""
        await asyncio.sleep(seconds)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back; no sleeper notices."""
        self._begun += seconds


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """The result of `main`, in a loop of virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
