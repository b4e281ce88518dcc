"""Tells people what happens to environments, by the notifications of their settings.

It reads the journal, so that whatever changes an environment need not know of it; the last entry that
was told is kept, so that a restart neither forgets one nor tells it twice but for those it died in.
"""

from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import delete, func, insert, select

from halage.base.clock import Clock
from halage.base.database import Database, Transaction
from halage.base.journal import Journal, journal_table
from halage.base.tasks import Tasks
from halage.environment.configuration import Configuration, Sealer
from halage.environment.notices.outbox import Letter, Outbox
from halage.environment.notices.words import ACTIONS, Notice, notice_of, place_of
from halage.environment.settings.addresses import opened_address, shown_address
from halage.environment.tables import store
from halage.environment.tables.settings_tables import cursor_table
from halage.environment.tables.store import Place
from halage.monitor.alarms.message import Message
from halage.monitor.alarms.messenger import Messenger
from halage.site.effective import resolved, told_of

log = structlog.get_logger()
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
    """Reads the journal in its order; how far people were told is kept up to the first that is under way."""

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
        self._read_until = 0
        self._open: dict[int, int] = {}
        """How many letters are under way, by the entry that they tell of."""
        self._events: dict[int, tuple[Place, str]] = {}
        self._told: set[tuple[int, int]] = set()
        """Entries with the number of each address that an earlier control plane told already."""

    async def run(self) -> None:
        """Tell of everything from now on, and of what happened since it was told last; until cancelled."""
        async with Tasks() as tasks:
            outbox = Outbox(self._messenger, self._clock, tasks, self._settle)
            self._read_until, self._told = await self._database.run(_where_it_stands)
            while True:
                with self._journal.follow() as news:
                    await self._catch_up(outbox)
                    async for entry in news:
                        if entry.action in ACTIONS:
                            await self._catch_up(outbox)

    async def _catch_up(self, outbox: Outbox) -> None:
        while errands := await self._database.run(_next_errands, self._sealer, self._read_until):
            for errand in errands:
                self._read_until = errand.entry_id
                for letter in self._letters(errand):
                    await outbox.put(letter)
            await self._remember()

    def _letters(self, errand: _Errand) -> list[Letter]:
        if errand.notice is None:
            return []
        project, environment = errand.place
        address = f"{self._public_url}/projects/{project}/environments/{environment}"
        message = Message(errand.notice.title, f"{errand.notice.body}\n\nLook: {address}")
        letters = [
            Letter(errand.entry_id, number, shown, to, message)
            for number, (shown, to) in enumerate(errand.addresses)
            if (errand.entry_id, number) not in self._told
        ]
        if letters:
            self._open[errand.entry_id] = len(letters)
            self._events[errand.entry_id] = (errand.place, errand.notice.event)
        return letters

    async def _settle(self, letter: Letter, problem: str | None) -> None:
        place, event = self._events[letter.entry_id]
        await self._database.run(_note, place, event, letter, problem)
        self._open[letter.entry_id] -= 1
        if not self._open[letter.entry_id]:
            del self._open[letter.entry_id], self._events[letter.entry_id]
            await self._remember()

    async def _remember(self) -> None:
        await self._database.run(_remember, min(self._open, default=self._read_until + 1) - 1)


def _where_it_stands(tx: Transaction) -> tuple[int, set[tuple[int, int]]]:
    """The last entry up to which everybody was told, and who was told of later ones."""
    columns = journal_table.c
    told_until = tx.execute(select(func.max(cursor_table.c.told_until))).scalar()
    if told_until is None:
        told_until = tx.execute(select(func.max(columns.id))).scalar() or 0
        _remember(tx, told_until)
    query = select(columns.details).where(
        columns.id > told_until, columns.action.in_(("environment:Told", "environment:NotTold"))
    )
    return told_until, {(each["of"], each.get("number", 0)) for each in tx.execute(query).scalars()}


def _next_errands(tx: Transaction, sealer: Sealer, after: int) -> list[_Errand]:
    """The next entries that somebody may be told of, and who that is."""
    columns = journal_table.c
    query = select(journal_table).where(
        columns.id > after, columns.at > tx.now - OLDEST_S, columns.action.in_(ACTIONS)
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
    """Keep the cursor, which never goes back, whoever else moves it."""
    tx.execute(delete(cursor_table).where(cursor_table.c.told_until < entry_id))
    if tx.execute(select(cursor_table.c.told_until)).first() is None:
        tx.execute(insert(cursor_table).values(told_until=entry_id))


def _note(tx: Transaction, place: Place, event: str, letter: Letter, problem: str | None) -> None:
    project, environment = place
    if problem is not None:
        log.warning("notice not sent", action="environment:NotTold", subject=letter.shown, reason=problem)
    tx.record(
        "environment:Told" if problem is None else "environment:NotTold",
        actor=_ACTOR,
        subject=f"project/{project}/environment/{environment}",
        project=project,
        event=event,
        to=letter.shown,
        of=letter.entry_id,
        number=letter.number,
        reason=problem or "",
    )
