"""Outlets: places outside that lines are sent on to, each from its own durable position on.

Each outlet has a task of its own: one that hangs holds up nobody. A position moves only when what
is before it was delivered, so every line is sent at least once, as long as it is kept.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from halage.base.bell import Bell
from halage.base.clock import Clock
from halage.base.database import Database, Transaction
from halage.base.errors import HalageError
from halage.base.tasks import Tasks
from halage.monitor.logs.collector import HttpChannel
from halage.monitor.logs.errors import BadOutlet, NameTaken, NoSuchOutlet
from halage.monitor.logs.model import KeptLine, Outlet, OutletState
from halage.monitor.logs.reader import LogReader
from halage.monitor.logs.rules import check_outlet
from halage.monitor.logs.syslog import DatagramChannel, StreamChannel
from halage.monitor.logs.tables import log_outlets_table as table

LINES_AT_ONCE, BYTES_AT_ONCE = 1000, 512 * 1024
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
"""Between tries: doubled each time."""
LOST = "lines were removed by age or size before they could be sent"
log = structlog.get_logger()


class Sealer(Protocol):
    """Keeps headers unreadable in the database."""

    def seal(self, text: str) -> str:
        """The text, encrypted."""
        ...

    def open(self, sealed: str) -> str:
        """The text again. Raises a HalageError."""
        ...


class Channel(Protocol):
    """Delivers lines to one place."""

    async def send(self, lines: Sequence[KeptLine]) -> None:
        """Return once they are delivered; within a time limit. Raises NotDelivered."""
        ...

    async def close(self) -> None:
        """Let go of what is open. Idempotent."""
        ...


def kind_of(address: str) -> str:
    """`syslog` or `http`, by the address. Raises BadOutlet."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme in ("http", "https") and parts.hostname and not parts.username:
        return "http"
    if parts.scheme in ("udp", "tcp", "tls") and parts.hostname and port and not parts.path.strip("/"):
        return "syslog"
    raise BadOutlet(
        f"Logs cannot be sent to {address!r}: write udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT "
        "for syslog, http://... or https://... (without a password in it) for a collector of JSON lines.",
        address=address,
    )


def open_channel(address: str, headers: dict[str, str]) -> Channel:
    """The way to an address that `kind_of` knows."""
    if kind_of(address) == "http":
        return HttpChannel(address, headers)
    parts = urlsplit(address)
    assert parts.hostname is not None and parts.port is not None
    if parts.scheme == "udp":
        return DatagramChannel(parts.hostname, parts.port)
    return StreamChannel(parts.hostname, parts.port, tls=parts.scheme == "tls")


@dataclass(slots=True)
class _Delivery:
    """One outlet at work."""

    row: Any
    task: asyncio.Task[None] | None = None
    cursor: int = 0
    error: str = ""
    most: int = LINES_AT_ONCE
    waits: float = field(default=FIRST_WAIT_S)


class LogOutlets:
    """All outlets, and the tasks that serve them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        reader: LogReader,
        news: Bell[None],
        *,
        channel_to: Callable[[str, dict[str, str]], Channel] = open_channel,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._reader = reader
        self._news = news
        self._channel_to = channel_to
        self._at_work: dict[int, _Delivery] = {}
        self._changed = asyncio.Event()

    # -- what people set

    async def list(self) -> list[Outlet]:
        """All outlets, by name."""
        rows = await self._database.run(_read)
        return [await self._view(row) for row in rows]

    async def get(self, outlet_id: int) -> Outlet:
        """One outlet. Raises NoSuchOutlet."""
        return await self._view(await self._row(outlet_id))

    async def create(
        self, name: str, address: str, groups: Sequence[str], headers: dict[str, str], *, actor: str
    ) -> Outlet:
        """Send lines on from now on. Raises BadOutlet, NameTaken, KeyUnusable."""
        kind = kind_of(address)
        check_outlet(name, groups, headers)
        if headers and kind != "http":
            raise BadOutlet("Headers are for collectors at http:// and https:// addresses alone.")
        values = {
            "name": name,
            "kind": kind,
            "address": address,
            "sealed_headers": self._sealer.seal(json.dumps(headers)) if headers else None,
            "groups": list(groups),
            "cursor": await asyncio.to_thread(self._reader.last_id),
            "is_paused": False,
            "state": OutletState.OK.value,
            "error": "",
            "created_by": actor,
        }
        try:
            number = await self._database.run(_create, values, sorted(headers))
        except IntegrityError as error:
            raise NameTaken(f"There is an outlet {name} already.", name=name) from error
        self._changed.set()
        return await self.get(number)

    async def pause(self, outlet_id: int, *, actor: str) -> Outlet:
        """Send nothing for now; lines wait. Idempotent. Raises NoSuchOutlet."""
        return await self._set_paused(outlet_id, True, actor)

    async def resume(self, outlet_id: int, *, actor: str) -> Outlet:
        """Go on where it stopped; a failing one is tried at once. Idempotent. Raises NoSuchOutlet."""
        return await self._set_paused(outlet_id, False, actor)

    async def delete(self, outlet_id: int, *, actor: str) -> None:
        """Send no more. Raises NoSuchOutlet."""
        row = await self._row(outlet_id)
        await self._database.run(_delete, row, self._header_names(row), actor)
        self._changed.set()

    async def _set_paused(self, outlet_id: int, is_paused: bool, actor: str) -> Outlet:
        row = await self._row(outlet_id)
        await self._database.run(_pause, row, is_paused, actor)
        self._changed.set()
        return await self.get(outlet_id)

    async def _row(self, outlet_id: int) -> Any:
        rows = await self._database.run(_read)
        for row in rows:
            if row.id == outlet_id:
                return row
        raise NoSuchOutlet(f"There is no outlet {outlet_id}.")

    async def _view(self, row: Any) -> Outlet:
        backlog = await asyncio.to_thread(self._reader.backlog, row.groups, row.cursor)
        return Outlet(
            row.id,
            row.name,
            row.address,
            tuple(row.groups),
            tuple(self._header_names(row)),
            OutletState.PAUSED if row.is_paused else OutletState(row.state),
            row.error,
            backlog.lines,
            row.created_at,
            row.created_by,
        )

    # -- sending

    async def run(self) -> None:
        """Serve the outlets that there are, for ever."""
        async with Tasks() as tasks:
            while True:
                self._changed.clear()
                wanted = {row.id: row for row in await self._database.run(_read) if not row.is_paused}
                for gone in [number for number in self._at_work if number not in wanted]:
                    self._end(gone)
                for number, row in wanted.items():
                    if number not in self._at_work or self._at_work[number].error:
                        self._end(number)
                        delivery = _Delivery(row, cursor=row.cursor, error=row.error)
                        self._at_work[number] = delivery
                        delivery.task = tasks.start(self._serve(delivery), f"outlet {row.name}")
                await self._changed.wait()

    def _end(self, number: int) -> None:
        delivery = self._at_work.pop(number, None)
        if delivery is not None and delivery.task is not None:
            delivery.task.cancel()

    async def _serve(self, delivery: _Delivery) -> None:
        """Send what comes, for ever."""
        row = delivery.row
        channel: Channel | None = None
        try:
            with self._news.listen(None) as news:
                while True:
                    try:
                        if channel is None:
                            channel = self._channel_to(row.address, self._headers(row))
                        await self._send_all(delivery, channel, news)
                    except HalageError as error:
                        await self._note(delivery, error.message)
                        if error.facts.get("status") == 413:  # too large for it: less at once
                            delivery.most = max(1, delivery.most // 2)
                        await self._clock.sleep(delivery.waits)
                        delivery.waits = min(delivery.waits * 2, LONGEST_WAIT_S)
        finally:
            if channel is not None:
                await channel.close()

    def _header_names(self, row: Any) -> Sequence[str]:
        try:
            return sorted(self._headers(row))
        except HalageError:  # a lost key: sending says so, the list stays readable
            return ()

    def _headers(self, row: Any) -> dict[str, str]:
        return dict(json.loads(self._sealer.open(row.sealed_headers))) if row.sealed_headers else {}

    async def _send_all(self, delivery: _Delivery, channel: Channel, news: asyncio.Event) -> None:
        """Send everything past the position, then wait for news. Raises NotDelivered, Unavailable."""
        row = delivery.row
        news.clear()
        backlog = await asyncio.to_thread(self._reader.backlog, row.groups, delivery.cursor)
        reading = await asyncio.to_thread(
            self._reader.read_after, row.groups, delivery.cursor, delivery.most, BYTES_AT_ONCE
        )
        if reading.lines:
            await channel.send(reading.lines)
        delivery.cursor = reading.next_after
        if reading.lines:
            await self._database.insist(_advance, row.id, reading.next_after)
        delivery.waits = FIRST_WAIT_S
        trouble = "; ".join([*reading.problems, *([LOST] if backlog.is_incomplete else [])])
        await self._note(delivery, "", trouble)
        if not reading.lines:
            await news.wait()

    async def _note(self, delivery: _Delivery, error: str, remark: str = "") -> None:
        """Show how it does, when that changed."""
        if error == delivery.error and not remark:
            return
        row = delivery.row
        if error and not delivery.error:
            log.warning("outlet fails", action="monitor:SendLogs", subject=row.name, reason=error)
        elif delivery.error and not error:
            log.info("outlet works again", action="monitor:SendLogs", subject=row.name)
        if remark:
            log.warning("outlet missed lines", action="monitor:SendLogs", subject=row.name, reason=remark)
        delivery.error = error
        state = OutletState.FAILING if error else OutletState.OK
        await self._database.insist(_set_state, row.id, state.value, error or remark)


def _read(tx: Transaction) -> Sequence[Any]:
    return tx.execute(select(table).order_by(table.c.name)).all()


def _create(tx: Transaction, values: dict[str, Any], header_names: Sequence[str]) -> int:
    number = tx.insert(insert(table).values(created_at=tx.now, **values))
    after = _in_words(values["address"], values["groups"], header_names)
    tx.record(
        "monitor:SetOutlet", actor=values["created_by"], subject=f"outlet {values['name']}", after=after
    )
    return number


def _pause(tx: Transaction, row: Any, is_paused: bool, actor: str) -> None:
    tx.change(update(table).where(table.c.id == row.id).values(is_paused=is_paused))
    tx.record(
        "monitor:PauseOutlet" if is_paused else "monitor:ResumeOutlet",
        actor=actor,
        subject=f"outlet {row.name}",
        before={"is_paused": row.is_paused},
        after={"is_paused": is_paused},
    )


def _delete(tx: Transaction, row: Any, header_names: Sequence[str], actor: str) -> None:
    tx.change(delete(table).where(table.c.id == row.id))
    before = _in_words(row.address, row.groups, header_names)
    tx.record("monitor:DeleteOutlet", actor=actor, subject=f"outlet {row.name}", before=before)


def _in_words(address: str, groups: Sequence[str], header_names: Sequence[str]) -> dict[str, Any]:
    """What the journal shows of an outlet: nothing that may be secret, such as what follows a `?`."""
    place, _, query = address.partition("?")
    shown = f"{place}?***" if query else place
    return {"address": shown, "groups": list(groups), "headers": list(header_names)}


def _advance(tx: Transaction, outlet_id: int, cursor: int) -> None:
    tx.change(update(table).where(table.c.id == outlet_id).values(cursor=cursor))


def _set_state(tx: Transaction, outlet_id: int, state: str, error: str) -> None:
    tx.change(update(table).where(table.c.id == outlet_id).values(state=state, error=error))
