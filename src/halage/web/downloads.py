"""Long answers that are no streams of events: they end with the right to them, and with the server."""

import asyncio
from collections.abc import Awaitable, Callable

from halage.base.errors import HalageError
from halage.web.caller import Caller


class BrokenOff(Exception):
    """An answer cannot go on: its connection is cut, so that nobody takes the half for the whole."""


def may_go_on(
    caller: Caller, stopping: asyncio.Event, must: Callable[[], object]
) -> Callable[[], Awaitable[None]]:
    """A check to be made again and again while the answer is written. Raises BrokenOff.

    `must` raises a HalageError once the caller may not have it any more.
    """
    still_allowed = caller.still_allowed()

    async def check() -> None:
        if stopping.is_set():
            raise BrokenOff("the server stops")
        try:
            await still_allowed()
            must()
        except HalageError as error:
            raise BrokenOff(error.message) from error

    return check
