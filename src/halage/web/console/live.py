"""Live pages: server-sent events whose data are fragments of the page, rendered on the server."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Response

from halage.base.errors import HalageError
from halage.base.journal import Journal
from halage.web.services import Services
from halage.web.streams import Emit, Event, EventStream

END = "end"
"""The event after which the page closes its connection: nothing more will happen."""

LOOK_AGAIN_S = 3.0
"""How often a page looks again at what may change without an entry in the journal: health, requests."""

GATHER_S = 0.1
"""How long a page waits for more before it looks again, so that a burst costs one look."""


@dataclass(frozen=True)
class Fragment(Event):
    """An event whose body is a piece of HTML."""

    def encode(self) -> bytes:
        """The event on the wire: a `data:` line for each line of the HTML."""
        lines = [] if self.id is None else [f"id: {self.id}"]
        lines.append(f"event: {self.name}")
        lines.extend(f"data: {line}" for line in str(self.body).splitlines() or [""])
        return ("\n".join(lines) + "\n\n").encode()


class Page:
    """The page at the other end. A part of it is sent only when it differs from the time before."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._last: dict[str, str] = {}

    async def show(self, **parts: str) -> None:
        """Replace these parts of the page, but for those that already look like that."""
        for name, html in parts.items():
            if self._last.get(name) != html:
                self._last[name] = html
                await self._emit(Fragment(name, html))

    async def append(self, part: str, html: str, last_id: int | None = None) -> None:
        """Add to a part of the page; a browser that was cut off resumes after `last_id`."""
        await self._emit(Fragment(part, html, None if last_id is None else str(last_id)))

    async def end(self) -> None:
        """Tell the page that nothing more will happen."""
        await self._emit(Fragment(END, ""))


Source = Callable[[Page], Awaitable[None]]


def live(services: Services, *sources: Source, still_allowed: Callable[[], Awaitable[object]]) -> Response:
    """Runs the sources, which write to one page, until all have ended or the visitor has left.

    `still_allowed` is asked at each beat and raises once the visitor may no longer look.
    """

    async def produce(emit: Emit) -> None:
        page = Page(emit)
        try:
            async with asyncio.TaskGroup() as group:
                for source in sources:
                    group.create_task(_run(source, page), name="live page source")
        except ExceptionGroup as errors:
            raise _expected(errors) from errors
        await page.end()

    async def ask() -> None:
        await still_allowed()

    return EventStream(produce, stopping=services.stopping, still_allowed=ask)


def _expected(errors: ExceptionGroup) -> Exception:
    """The one error that the visitor is told of, such as that the thing is gone; else all of them."""
    told, others = errors.split(HalageError)
    if told is None or others is not None:
        return errors
    first: Exception = told
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return first


async def _run(source: Source, page: Page) -> None:
    await source(page)


async def at_each_change(journal: Journal, project: str | None, look: Callable[[], Awaitable[None]]) -> None:
    """Calls `look` now, at each entry (of the project, if one is given), and every 3 seconds; never returns.

    A burst of entries leads to one look.
    """
    due = asyncio.Event()

    async def listen() -> None:
        while True:
            with journal.follow() as entries:
                async for entry in entries:
                    if project is None or entry.project == project:
                        due.set()
            due.set()  # too slow, and cut off: there is something to see in any case

    async def watch() -> None:
        while True:
            due.clear()
            await look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(due.wait(), LOOK_AGAIN_S)
            await asyncio.sleep(GATHER_S)

    async with asyncio.TaskGroup() as group:
        group.create_task(listen(), name="live page journal")
        group.create_task(watch(), name="live page")
