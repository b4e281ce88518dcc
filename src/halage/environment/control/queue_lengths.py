"""Asks for the lengths of queues that triggers scale by: a command in the release, or a URL.

What is told is kept as the metric `environment_queue_length`, which the trigger then looks at like any other:
what cannot be asked has no value, and a metric without a value takes no instance away.
"""

import asyncio
import math
import re
from collections.abc import Sequence
from typing import Any

import httpx
import structlog

from halage.base.database import Transaction
from halage.base.errors import HalageError
from halage.base.ids import new_id
from halage.base.tasks import Tasks
from halage.environment.control.autoscaler import Subject
from halage.environment.control.measures import Measures
from halage.environment.instances.launch import process_of, unit_of
from halage.environment.instances.seats import take_seat
from halage.environment.machinery import Machinery
from halage.environment.routing import route_name
from halage.environment.tables import store
from halage.environment.tables.store import Place
from halage.site.settings import Trigger, TriggerKind

PATIENCE_S = 8.0
"""For one answer: less than a tick."""
UNIT = "q-"
"""What the units begin with that ask for lengths."""
_GRACE_S = 1.0
_MOST_BYTES = 4096
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
log = structlog.get_logger()
Key = tuple[Place, str]


class Queues:
    """Asks once for each tick, each queue by itself; one that does not answer holds up no other."""

    def __init__(self, machinery: Machinery, measures: Measures, *, tasks: Tasks) -> None:
        self._m = machinery
        self._measures = measures
        self._tasks = tasks
        self._asked: set[Key] = set()
        self._troubles: dict[Key, str] = {}
        self._client = httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=PATIENCE_S)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def clear(self) -> None:
        """End what a control plane that was cut off left asking."""
        for unit in await self._m.compute.list():
            if unit.id.startswith(UNIT):
                await self._m.compute.stop(unit.id, _GRACE_S)
                await self._m.compute.remove(unit.id)

    def problem(self, place: Place, trigger: str) -> str:
        """Why the length of a trigger's queue is not known, in words; empty when it is."""
        return self._troubles.get((place, trigger), "")

    def ask(self, subjects: Sequence[Subject], at: float) -> None:
        """Begin to ask for those that are not being asked for; returns at once."""
        for subject in subjects:
            for trigger in subject.plan.triggers:
                key = (subject.place, trigger.name)
                if trigger.kind is TriggerKind.QUEUE and key not in self._asked:
                    self._asked.add(key)
                    work = self._ask(subject, trigger, at)
                    self._tasks.start(work, f"queue {trigger.name} {route_name(subject.place)}")

    async def _ask(self, subject: Subject, trigger: Trigger, at: float) -> None:
        key = (subject.place, trigger.name)
        try:
            async with asyncio.timeout(PATIENCE_S):
                length = await self._length(subject, trigger)
            await asyncio.to_thread(self._measures.note_queue, subject.place, trigger.name, at, length)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, HalageError, OSError) as error:
            self._begin_trouble(key, _words_of(error))
        else:
            self._end_trouble(key)
        finally:
            self._asked.discard(key)

    async def _length(self, subject: Subject, trigger: Trigger) -> float:
        if trigger.url is not None:
            answer = await self._client.get(trigger.url, headers={"user-agent": "halage-queue"})
            if answer.status_code != 200:
                raise NoLength(f"it answered {answer.status_code}")
            return number_in(answer.text[:_MOST_BYTES])
        if trigger.command is not None:
            return await self._run(subject, trigger.command)
        raise NoLength("it names no command and no url")

    async def _run(self, subject: Subject, command: str) -> float:
        """Run the command in the release that is current, and read the number that it prints last."""
        release = await self._m.database.run(_current, subject.place)
        if release is None:
            raise NoLength("nothing is deployed")
        unit_id = new_id("q")
        seat = await take_seat(self._m, subject.place, unit_id, release, process=subject.process)
        # Settings may have made a release without a deployment: then it is unpacked only now.
        persistent = seat.configuration.site.run.persistent
        number, digest = release.number, release.bundle_digest
        await self._m.places.unpack(subject.place, number, digest, persistent, seat.account)
        serving = process_of(seat, self._m.sealer, command)
        try:
            await self._m.places.make_private(subject.place, unit_id, serving.files, seat.account)
            await self._m.compute.start(unit_of(unit_id, seat, serving))
            exit_ = await self._m.compute.wait(unit_id)
            output = await self._m.compute.read(unit_id, offset=-_MOST_BYTES, limit=_MOST_BYTES)
        finally:
            await asyncio.shield(self._m.compute.stop(unit_id, _GRACE_S))
            await asyncio.shield(self._m.compute.remove(unit_id))
            self._m.places.forget_private(subject.place, unit_id)
        if exit_.code != 0:
            raise NoLength(f"its command {exit_}")
        return number_in(output.data.decode(errors="replace"))

    def _begin_trouble(self, key: Key, reason: str) -> None:
        if key not in self._troubles:
            log.warning(
                "queue not read", action="environment:Queue", subject=route_name(key[0]), reason=reason
            )
        self._troubles[key] = reason

    def _end_trouble(self, key: Key) -> None:
        if self._troubles.pop(key, None) is not None:
            log.info("queue read again", action="environment:Queue", subject=route_name(key[0]))


class NoLength(HalageError):
    """The length of the queue is not known."""


def number_in(text: str) -> float:
    """The number on the last line that is not empty. Raises NoLength where that is something else."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or not _NUMBER.fullmatch(lines[-1]) or not math.isfinite(float(lines[-1])):
        raise NoLength("what it says last is no number")
    return float(lines[-1])


def _current(tx: Transaction, place: Place) -> Any | None:
    environment = store.environment_row(tx, place)
    if environment is None or environment.current_release_id is None:
        return None
    return store.release_row(tx, environment.current_release_id)


def _words_of(error: BaseException) -> str:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return f"no answer within {PATIENCE_S:g} s"
    return str(error) or type(error).__name__
