"""Sends messages: to one address in their order, to different addresses side by side."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from halage.base.clock import Clock
from halage.base.tasks import Tasks
from halage.monitor.alarms.carriers import in_thread_of_its_own
from halage.monitor.alarms.errors import NotDelivered
from halage.monitor.alarms.message import Message
from halage.monitor.alarms.messenger import Messenger

log = structlog.get_logger()
RETRIES_S = (2.0, 10.0)
"""Waits before another attempt."""
PATIENCE_S = 30.0
"""For one attempt; the first loads Apprise."""
MOST_AT_ONCE = 32
"""Attempts side by side. Only where more addresses than that hang do others wait, for PATIENCE_S."""
MOST_WAITING = 20
"""Messages to one address."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message on its way to somebody."""

    entry_id: int
    """The entry of the journal that it tells of."""
    number: int
    """Its place among those who are told of that entry: what is shown of two addresses may be the same."""
    shown: str
    """The address as it may be shown."""
    address: str
    message: Message


Settle = Callable[[Letter, str | None], Awaitable[None]]
"""Hears what became of a letter: why it could not be sent, in words without the address; None when it was."""


class Outbox:
    """An address that does not answer holds up what goes to itself, and nothing else."""

    def __init__(self, messenger: Messenger, clock: Clock, tasks: Tasks, settle: Settle) -> None:
        self._messenger = messenger
        self._clock = clock
        self._tasks = tasks
        self._settle = settle
        self._waiting: dict[str, deque[Letter]] = {}
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)

    async def put(self, letter: Letter) -> None:
        """Send it once those before it to the same address are settled."""
        waiting = self._waiting.get(letter.address)
        if waiting is None:
            self._waiting[letter.address] = deque([letter])
            self._tasks.start(self._deliver(letter.address), f"notices to {letter.shown}")
        elif len(waiting) < MOST_WAITING:
            waiting.append(letter)
        else:
            await self._settle(letter, f"{MOST_WAITING} messages wait for this address already")

    async def _deliver(self, address: str) -> None:
        waiting = self._waiting[address]
        while waiting:
            letter = waiting[0]
            await self._settle(letter, await self._send(letter))
            waiting.popleft()
        del self._waiting[address]

    async def _send(self, letter: Letter) -> str | None:
        problem: str | None = None
        for wait_s in (0.0, *RETRIES_S):
            await self._clock.sleep(wait_s)
            async with self._slots:
                problem = await self._try(letter)
            if problem is None:
                return None
        return problem

    async def _try(self, letter: Letter) -> str | None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await in_thread_of_its_own(lambda: self._messenger.send(letter.address, letter.message))
        except NotDelivered as error:
            return error.message
        except TimeoutError:
            return f"no answer within {PATIENCE_S:g} s"
        except Exception as error:  # of the other side's making: nobody else may miss their messages for it
            # The class alone: the text may quote the address.
            return f"it cannot be sent ({type(error).__name__})"
        return None
