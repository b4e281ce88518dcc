"""Asks for the lengths of queues that triggers scale by: a command in the release, or a URL.

What is told is kept as the metric `environment_queue_length`, which the trigger then looks at like any other:
what cannot be asked has no value, and a metric without a value takes no instance away.
"""

import asyncio
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import httpx
import structlog

from halage.base.database import Transaction
from halage.base.errors import HalageError
from halage.base.ids import new_id
from halage.base.tasks import Tasks
from halage.environment.control.autoscaler import Subject
from halage.environment.control.measures import Measures
from halage.environment.instances.launch import Seat, process_of, unit_of
from halage.environment.instances.seats import take_seat
from halage.environment.machinery import Machinery
from halage.environment.records import orders
from halage.environment.routing import route_name
from halage.environment.tables import store
from halage.environment.tables.store import Place
from halage.monitor.logs.masking import Mask
from halage.site.settings import Trigger, TriggerKind

PATIENCE_S = 8.0
"""For one answer: less than a tick."""
UNIT = "q-"
"""What the units begin with that ask for lengths."""
_GRACE_S = 1.0
_MOST_BYTES = 4096
"""Of an answer, or of what a command printed last."""
_TOLD_LINES, _TOLD_CHARACTERS = 3, 300
"""Of what a command printed last, when it tells no length."""
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
log = structlog.get_logger()
Key = tuple[Place, str, str]
"""Whose queue: the environment, the kind of process, the trigger."""


class Queues:
    """Asks once for each tick, each queue by itself; one that does not answer holds up no other."""

    def __init__(
        self, machinery: Machinery, measures: Measures, *, tasks: Tasks, patience_s: float = PATIENCE_S
    ) -> None:
        self._m = machinery
        self._patience_s = patience_s
        self._measures = measures
        self._tasks = tasks
        self._asked: set[Key] = set()
        self._troubles: dict[Key, str] = {}
        self._client = httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=patience_s)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def clear(self) -> None:
        """End what a control plane that was cut off left asking."""
        for unit in await self._m.compute.list():
            if unit.id.startswith(UNIT):
                await self._m.compute.stop(unit.id, _GRACE_S)
                await self._m.compute.remove(unit.id)

    def problem(self, place: Place, process: str, trigger: str) -> str:
        """Why the length of a trigger's queue is not known, in words; empty when it is."""
        return self._troubles.get((place, process, trigger), "")

    def keep_only(self, subjects: Iterable[Subject]) -> None:
        """Forget the troubles of all but these."""
        there = {_key(each, trigger) for each in subjects for trigger in each.plan.triggers}
        self._troubles = {key: words for key, words in self._troubles.items() if key in there}

    def ask(self, subjects: Sequence[Subject], at: float) -> None:
        """Begin to ask for those that are not being asked for; returns at once."""
        for subject in subjects:
            for trigger in subject.plan.triggers:
                key = _key(subject, trigger)
                if trigger.kind is TriggerKind.QUEUE and key not in self._asked:
                    self._asked.add(key)
                    work = self._ask(subject, trigger, at)
                    self._tasks.start(work, f"queue {trigger.name} {route_name(subject.place)}")

    async def _ask(self, subject: Subject, trigger: Trigger, at: float) -> None:
        key = _key(subject, trigger)
        try:
            async with asyncio.timeout(self._patience_s):
                length = await self._length(subject, trigger)
            await asyncio.to_thread(self._measures.note_queue, *key, at, length)
        except Exception as error:  # whatever a site's own command or URL brings about stops nothing else
            self._begin_trouble(key, self._words_of(error))
        else:
            self._end_trouble(key)
        finally:
            self._asked.discard(key)

    async def _length(self, subject: Subject, trigger: Trigger) -> float:
        if trigger.url is not None:
            return await self._get(trigger.url)
        if trigger.command is not None:
            return await self._run(subject, trigger.command)
        raise NoLength("it names no command and no url")

    async def _get(self, url: str) -> float:
        """Read the number of an answer of a few bytes; of a longer one no more is taken in than that."""
        async with self._client.stream("GET", url, headers={"user-agent": "halage-queue"}) as answer:
            if answer.status_code != 200:
                raise NoLength(f"it answered {answer.status_code}")
            body = b""
            async for part in answer.aiter_raw(_MOST_BYTES):
                body += part
                if len(body) > _MOST_BYTES:
                    raise NoLength(f"it answers more than {_MOST_BYTES} bytes, which is no number")
        # What it says is not told: that it is no number could be all that one may know of this address.
        return number_in(body.decode(errors="replace"))

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
            raise NoLength(f"its command {exit_}{await self._told(subject.place, seat, output.data)}")
        try:
            return number_in(output.data.decode(errors="replace"))
        except NoLength as error:
            told = await self._told(subject.place, seat, output.data)
            raise NoLength(f"{error.message}{told}") from error

    async def _told(self, place: Place, seat: Seat, output: bytes) -> str:
        """Its last lines, without the secrets of its release and of now."""
        sealed = {each.value for each in seat.configuration.variables.values() if each.is_secret}
        sealed |= set(await self._m.database.run(orders.secrets_of, place[0]))
        # Whole lines, before they are cut: half a secret would not be found any more.
        if len(output) >= _MOST_BYTES:
            output = output.partition(b"\n")[2]
        hidden = Mask(self._m.sealer.open(each) for each in sealed).apply(output)
        lines = [line.strip() for line in hidden.decode(errors="replace").splitlines() if line.strip()]
        told = " | ".join(lines[-_TOLD_LINES:])[-_TOLD_CHARACTERS:]
        return f": {told}" if told else ""

    def _words_of(self, error: BaseException) -> str:
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            return f"no answer within {self._patience_s:g} s"
        return str(error) or type(error).__name__

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


def _key(subject: Subject, trigger: Trigger) -> Key:
    return subject.place, subject.process, trigger.name


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
