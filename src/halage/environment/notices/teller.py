"""Tells people what happens to environments, by the notifications of their settings.

It reads the journal, so that whatever changes an environment need not know of it; the last entry that
was told is kept, so that a restart neither forgets one nor tells it twice but for the one it died in.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import delete, insert, select

from halage.base.clock import Clock
from halage.base.database import Database, Transaction
from halage.base.journal import Journal, journal_table
from halage.environment.configuration import Configuration, Sealer
from halage.environment.notices.words import ACTIONS, Notice, notice_of, place_of
from halage.environment.settings.addresses import opened_address, shown_address
from halage.environment.tables import store
from halage.environment.tables.settings_tables import cursor_table
from halage.environment.tables.store import Place
from halage.monitor.alarms.carriers import in_thread_of_its_own
from halage.monitor.alarms.errors import NotDelivered
from halage.monitor.alarms.message import Message
from halage.monitor.alarms.messenger import Messenger
from halage.site.effective import resolved, told_of

log = structlog.get_logger()
RETRIES_S = (2.0, 10.0)
"""Waits before another attempt."""
PATIENCE_S = 30.0
"""For one attempt."""
OLDEST_S = 3600.0
"""What happened longer ago, while the server was away, is no news."""
_ACTOR = "halage"


@dataclass(frozen=True, slots=True)
class _Errand:
    """One entry with who is told of it: what is shown of each address, and the address."""

    entry_id: int
    place: Place
    notice: Notice | None
    addresses: tuple[tuple[str, str], ...] = ()


class Notices:
    """Tells of one entry after the other; those who are told of one are told side by side."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        messenger: Messenger,
        sealer: Sealer,
        clock: Clock,
        *,
        public_url: str,
    ) -> None:
        self._database = database
        self._journal = journal
        self._messenger = messenger
        self._sealer = sealer
        self._clock = clock
        self._public_url = public_url

    async def run(self) -> None:
        """Tell of everything from now on, and of what happened since it was told last; until cancelled."""
        while True:
            with self._journal.follow() as news:
                await self._catch_up()
                async for entry in news:
                    if entry.action in ACTIONS:
                        await self._catch_up()

    async def _catch_up(self) -> None:
        while errands := await self._database.run(_next_errands, self._sealer):
            for errand in errands:
                if errand.notice is not None and errand.addresses:
                    await self._tell(errand, errand.notice)
                await self._database.run(_remember, errand.entry_id)

    async def _tell(self, errand: _Errand, notice: Notice) -> None:
        project, environment = errand.place
        address = f"{self._public_url}/projects/{project}/environments/{environment}"
        message = Message(notice.title, f"{notice.body}\n\nLook: {address}")
        problems = await asyncio.gather(*(self._send(to, message) for _, to in errand.addresses))
        for (shown, _), problem in zip(errand.addresses, problems, strict=True):
            await self._database.run(_note, errand, notice.event, shown, problem)

    async def _send(self, address: str, message: Message) -> str | None:
        """Why it could not be sent, in words without the address; None when it was."""
        problem: str | None = None
        for wait_s in (0.0, *RETRIES_S):
            await self._clock.sleep(wait_s)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await in_thread_of_its_own(lambda: self._messenger.send(address, message))
            except NotDelivered as error:
                problem = error.message
            except TimeoutError:
                problem = f"no answer within {PATIENCE_S:g} s"
            else:
                return None
        return problem


def _next_errands(tx: Transaction, sealer: Sealer) -> list[_Errand]:
    """The next entries that somebody may be told of, and who that is."""
    told_until = tx.execute(select(cursor_table.c.told_until)).scalar()
    columns = journal_table.c
    if told_until is None:
        newest = tx.execute(select(columns.id).order_by(columns.id.desc()).limit(1)).scalar()
        _remember(tx, newest or 0)
        return []
    query = select(journal_table).where(
        columns.id > told_until, columns.at > tx.now - OLDEST_S, columns.action.in_(ACTIONS)
    )
    return [_errand(tx, row, sealer) for row in tx.execute(query.order_by(columns.id).limit(50))]


def _errand(tx: Transaction, entry: Any, sealer: Sealer) -> _Errand:
    place = place_of(entry.subject)
    configuration = _configuration(tx, place, entry)
    notice = notice_of(entry)
    if notice is None or configuration is None:
        return _Errand(entry.id, place, None)
    addresses = told_of(configuration.plan(place[1]).notifications, notice.event)
    variables = configuration.environment(place[1], sealer)
    pairs = [(shown_address(each), found) for each in addresses for found in resolved([each], variables)]
    opened = tuple((shown, opened_address(each, sealer)) for shown, each in pairs)
    return _Errand(entry.id, place, notice, opened)


def _configuration(tx: Transaction, place: Place, entry: Any) -> Configuration | None:
    """That of the deployment's release, else of the one that serves."""
    deployment_id = entry.details.get("id") if isinstance(entry.details.get("id"), int) else None
    deployment = store.deployment_row(tx, deployment_id) if deployment_id is not None else None
    environment = store.environment_row(tx, place)
    release_id = deployment.release_id if deployment is not None else None
    if release_id is None and environment is not None:
        release_id = environment.current_release_id
    if release_id is None:
        return None
    return Configuration.from_document(store.release_row(tx, release_id).configuration)


def _remember(tx: Transaction, entry_id: int) -> None:
    tx.execute(delete(cursor_table))
    tx.execute(insert(cursor_table).values(told_until=entry_id))


def _note(tx: Transaction, errand: _Errand, event: str, shown: str, problem: str | None) -> None:
    project, environment = errand.place
    if problem is not None:
        log.warning("notice not sent", action="environment:NotTold", subject=shown, reason=problem)
    tx.record(
        "environment:Told" if problem is None else "environment:NotTold",
        actor=_ACTOR,
        subject=f"project/{project}/environment/{environment}",
        project=project,
        event=event,
        to=shown,
        of=errand.entry_id,
        reason=problem or "",
    )
