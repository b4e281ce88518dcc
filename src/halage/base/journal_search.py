"""Looks through the whole journal, however long it is, and lets others get their turn meanwhile."""

import asyncio

from sqlalchemy import func, select

from halage.base.database import Database, Transaction
from halage.base.journal import EVERYTHING, Entry, EventFilter, journal_table, read_journal

WINDOW = 10_000
"""Ids that one transaction looks through: some 15 ms of the event loop for a text that stands nowhere
(300,000 entries took 0.4 s in one piece)."""


async def find_entries(
    database: Database,
    wanted: EventFilter = EVERYTHING,
    *,
    after: int | None = None,
    before: int | None = None,
    limit: int = 100,
    window: int = WINDOW,
) -> list[Entry]:
    """Entries, oldest first: the `limit` next ones past id `after`, else the last ones (before `before`).

    Like `read_journal`, in as many transactions as it takes. An entry that is written meanwhile may
    be missing; a follower hears of it.
    """
    first, last = await database.run(_bounds)
    found: list[Entry] = []
    if after is not None:
        low = max(after, first - 1)
        while low < last and len(found) < limit:
            high = min(low + window, last)
            found += await database.run(_read, wanted, low, high, limit - len(found), True)
            low = high
            await asyncio.sleep(0)
        return found
    high = last if before is None else min(before - 1, last)
    while high >= first and len(found) < limit:
        low = max(high - window, first - 1)
        found = await database.run(_read, wanted, low, high, limit - len(found), False) + found
        high = low
        await asyncio.sleep(0)
    return found


def _bounds(tx: Transaction) -> tuple[int, int]:
    """The first id and the last one; (1, 0) for an empty journal."""
    ids = journal_table.c.id
    first, last = (tx.execute(select(bound(ids))).scalar() for bound in (func.min, func.max))
    return (1, 0) if first is None or last is None else (int(first), int(last))


def _read(
    tx: Transaction, wanted: EventFilter, low: int, high: int, limit: int, is_forward: bool
) -> list[Entry]:
    within = (low, high)
    return read_journal(tx.connection, wanted, after=low if is_forward else None, limit=limit, within=within)
