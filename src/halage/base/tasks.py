"""Named tasks that belong to a service, and controllers that advance rows when they are woken."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from contextvars import Context
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import structlog

from halage.base.origin import own_context

K = TypeVar("K", bound=Hashable)
log = structlog.get_logger()

RETRY_AFTER_S = 1.0
"""How long a controller waits before it looks again at a row whose step raised."""


class Tasks:
    """One task group of named tasks; leaving it cancels what still runs. A failing task fails it."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[Any]] = set()
        self._is_leaving = False

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_leaving = True
        for task in tuple(self._running):
            task.cancel()
        await self._group.__aexit__(kind, error, trace)

    def start(
        self, work: Coroutine[Any, Any, Any], name: str, context: Context | None = None
    ) -> asyncio.Task[Any]:
        """Run `work` as a task of this group; what the clean-up of another one starts ends at once.

        Without a `context` it runs in a copy of the caller's.
        """
        try:
            task = self._group.create_task(work, name=name, context=context)
        except RuntimeError:  # the group ends because a task failed
            work.close()
            raise asyncio.CancelledError from None
        if self._is_leaving:
            task.cancel()
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


class Controller(Generic[K]):
    """Calls `advance(key)` for each key that is woken, one call at a time for each key.

    A wake during a call leads to one more call after it. `advance` returns None (nothing to do
    until the next wake) or a number of seconds after which it wants to be called again. Waiting
    keys cost nothing but a timer. What raises is logged and tried again after a second, so one
    bad row never stops the others.
    """

    def __init__(
        self,
        name: str,
        advance: Callable[[K], Awaitable[float | None]],
        *,
        tasks: Tasks,
    ) -> None:
        self._name = name
        self._advance = advance
        self._tasks = tasks
        self._busy: set[K] = set()
        self._turns: dict[K, asyncio.Task[None]] = {}
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._has_stopped = False

    def wake(self, key: K) -> None:
        """Look at `key` now; safe to call from any code on the event loop."""
        if self._has_stopped:
            return
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        if key in self._busy:
            self._again.add(key)
            return
        self._busy.add(key)
        # Who woke it (a request, perhaps) is not who does what is decided now.
        turn = self._turn(key)
        self._turns[key] = self._tasks.start(turn, name=f"{self._name} {key}", context=own_context())

    async def settled(self, key: K) -> None:
        """Return once no call for `key` is under way."""
        while (turn := self._turns.get(key)) is not None:
            await asyncio.wait({turn})

    async def _turn(self, key: K) -> None:
        delay: float | None = None
        try:
            while True:
                self._again.discard(key)
                delay = await self._step(key)
                if key not in self._again or self._has_stopped:
                    break
        finally:
            self._busy.discard(key)
            self._turns.pop(key, None)
        if delay is not None and not self._has_stopped:
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(delay, self.wake, key)

    async def _step(self, key: K) -> float | None:
        try:
            return await self._advance(key)
        except Exception:
            log.exception("controller step failed", action=f"{self._name}:Advance", subject=str(key))
            return RETRY_AFTER_S

    def stop(self) -> None:
        """Begin nothing more and forget every timer; called before the task group is left."""
        self._has_stopped = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
