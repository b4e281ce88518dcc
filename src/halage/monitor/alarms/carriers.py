"""Does what alarms do: tells people, calls, scales, rolls back. One attempt each."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

import halage
from halage.base.errors import HalageError
from halage.monitor.alarms.actions import Actuator
from halage.monitor.alarms.errors import NotDelivered, NotNeeded
from halage.monitor.alarms.ledger import OpenDelivery
from halage.monitor.alarms.message import Message, body_of, message_of
from halage.monitor.alarms.messenger import Messenger
from halage.monitor.alarms.model import Action, Call, Rollback, Scale, Tell
from halage.monitor.alarms.sealing import Box

T = TypeVar("T")
_TIMEOUT_S = 60.0
"""The attempt as a whole has a shorter one."""
Decide = Callable[[Action], Awaitable[None]]
"""Records what an action comes to, before it is done."""


class Carriers:
    """Carries deliveries out. `actuator` None: environments cannot be changed here."""

    def __init__(self, box: Box, messenger: Messenger, actuator: Actuator | None, *, public_url: str) -> None:
        self._box = box
        self._messenger = messenger
        self._actuator = actuator
        self._public_url = public_url
        self._http = httpx.AsyncClient(
            headers={"User-Agent": f"halage/{halage.__version__}"}, follow_redirects=False, timeout=_TIMEOUT_S
        )

    async def close(self) -> None:
        """Close the connections; idempotent."""
        await self._http.aclose()

    def destination(self, delivery: OpenDelivery) -> str:
        """Where it goes: a place that hangs gets few attempts at a time, and others do not wait."""
        match delivery.action:
            case Tell((address, *_)):
                return self._box.open(address.secret)
            case Call(_, url, _):
                return urlsplit(self._box.open(url.secret)).netloc
        definition = delivery.alarm.definition
        return f"environment {definition.project} {definition.environment}"

    async def carry(self, delivery: OpenDelivery, decide: Decide) -> None:
        """One attempt. Raises NotDelivered (try again), NotNeeded (it need not be done any more)."""
        match delivery.action:
            case Tell((address, *_)):
                message = message_of(delivery.alarm.definition, delivery.change, self._public_url)
                await self.tell(self._box.open(address.secret), message)
            case Call() as call:
                await self._call(delivery, call)
            case Scale() as scale:
                await self._scale(delivery, scale, decide)
            case Rollback() as rollback:
                await self._roll_back(delivery, rollback, decide)

    async def tell(self, address: str, message: Message) -> None:
        """Send a message. Raises NotDelivered. A thread that hangs is left behind and holds up nobody."""
        await in_thread_of_its_own(partial(self._messenger.send, address, message))

    async def _call(self, delivery: OpenDelivery, call: Call) -> None:
        headers = {name: self._box.open(value.secret) for name, value in call.headers}
        headers["Idempotency-Key"] = delivery.key
        body = body_of(delivery.alarm.definition, delivery.change, self._public_url)
        url = self._box.open(call.url.secret)
        try:
            # The status is all that counts: the rest, however much it is, is not read.
            async with self._http.stream(call.method, url, headers=headers, json=body) as response:
                status, is_success = response.status_code, response.is_success
        except httpx.HTTPError as error:
            # `from None`, and the class alone: the text may quote the address.
            words = f"{call.url.shown} could not be reached ({type(error).__name__})"
            raise NotDelivered(words) from None
        except (httpx.InvalidURL, ValueError) as error:
            raise NotDelivered(f"{call.url.shown} cannot be called ({type(error).__name__})") from None
        if not is_success:
            raise NotDelivered(f"{call.url.shown} answered {status}")

    async def _scale(self, delivery: OpenDelivery, scale: Scale, decide: Decide) -> None:
        actuator, project, environment = self._at(delivery)
        if scale.to is None:
            standing = await _asking(actuator.look(project, environment))
            assert scale.by is not None
            to = min(max(standing.wanted + scale.by, scale.minimum), scale.maximum)
            if to == standing.wanted or (to > standing.wanted) != (scale.by > 0):
                raise NotNeeded(f"{standing.wanted} instances are wanted, its bound")
            scale = replace(scale, by=None, to=to)
            await decide(scale)
        assert scale.to is not None
        await _asking(actuator.scale(project, environment, scale.to, self._reason(delivery)))

    async def _roll_back(self, delivery: OpenDelivery, rollback: Rollback, decide: Decide) -> None:
        actuator, project, environment = self._at(delivery)
        if rollback.leaving is None:
            standing = await _asking(actuator.look(project, environment))
            self._must_be_new(standing.release, standing.deployed_at, rollback, delivery)
            rollback = replace(rollback, leaving=standing.release)
            await decide(rollback)
        assert rollback.leaving is not None
        await _asking(actuator.rollback(project, environment, rollback.leaving, self._reason(delivery)))

    def _must_be_new(
        self, release: int | None, deployed_at: float | None, rollback: Rollback, delivery: OpenDelivery
    ) -> None:
        """Raise NotNeeded unless the release that is current came just before the alarm."""
        changed_at = delivery.change.period_end
        if release is None or deployed_at is None or changed_at - deployed_at > rollback.within_s:
            raise NotNeeded(f"nothing was deployed in the {rollback.within_s / 60:g} min before the alarm")
        if deployed_at > changed_at:
            raise NotNeeded(f"v{release} was deployed after the alarm")

    def _at(self, delivery: OpenDelivery) -> tuple[Actuator, str, str]:
        definition = delivery.alarm.definition
        if self._actuator is None or definition.project is None or definition.environment is None:
            raise NotNeeded("there is no environment to change")
        return self._actuator, definition.project, definition.environment

    def _reason(self, delivery: OpenDelivery) -> str:
        return f"alarm {delivery.alarm.definition.name}: {delivery.change.reason}"


async def _asking(work: Awaitable[T]) -> T:
    try:
        return await work
    except HalageError as error:
        raise NotDelivered(error.message) from error


async def in_thread_of_its_own(work: Callable[[], None]) -> None:
    """Like asyncio.to_thread, but in a daemon thread: one that hangs takes no place of a pool from others,
    and does not keep the server from ending.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except Exception as raised:
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=run, name="alarm message", daemon=True).start()
    await done
