"""The control database: short synchronous transactions, SQLite by default, PostgreSQL by one setting.

A store function takes a `Transaction` first and is called through `Database.run`. On SQLite it
runs on the event loop (a transaction lasts well under a millisecond and there is one writer);
on PostgreSQL the same function runs in a thread, one at a time as well. It must therefore touch nothing but
its arguments, and never await. docs/decisions/0002 has the measurements.
"""

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import CursorResult, Executable, create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, Result, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from halage.base.clock import Clock
from halage.base.errors import Unavailable
from halage.base.journal import Entry, Journal, shortened
from halage.base.origin import OWN, current_origin

P = ParamSpec("P")
T = TypeVar("T")
FULL_DISK_LOOK_S = 1.0
log = structlog.get_logger()


class StorageFull(Unavailable):
    """The disk that holds Halage's data is full: nothing was changed. Free some space, then try again."""


class Transaction:
    """One open transaction: executes statements and collects the journal entries of its change."""

    def __init__(self, connection: Connection, now: float, origin: str = OWN) -> None:
        self.connection = connection
        self.now = now
        """The moment that everything in this transaction is stamped with (seconds, epoch)."""
        self.origin = origin
        """Where the change comes from, for the journal."""
        self.entries: list[Entry] = []

    def execute(self, statement: Executable, parameters: Any = None) -> Result[Any]:
        """Run one SQLAlchemy statement."""
        return self.connection.execute(statement, parameters)

    def change(self, statement: Executable) -> int:
        """Run an INSERT, UPDATE or DELETE and return how many rows it changed."""
        result = self.connection.execute(statement)
        assert isinstance(result, CursorResult)
        return result.rowcount

    def insert(self, statement: Executable) -> int:
        """Run a one-row INSERT and return the integer primary key that it was given."""
        result = self.connection.execute(statement)
        assert isinstance(result, CursorResult) and result.inserted_primary_key is not None
        return int(result.inserted_primary_key[0])

    def record(
        self,
        action: str,
        *,
        actor: str,
        subject: str,
        project: str | None = None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        **details: Any,
    ) -> None:
        """Add a journal entry that is committed, or lost, together with the change it tells of.

        `before` and `after` are what was changed, as it was and as it is: small values of JSON, no
        secrets. None: there was nothing before, or there is nothing after.
        """
        self.entries.append(
            Entry(
                id=0,
                at=self.now,
                actor=actor,
                action=action,
                subject=subject,
                project=project,
                details=details,
                before=shortened(before),
                after=shortened(after),
                origin=self.origin,
            )
        )


class Database:
    """Runs store functions, each in a transaction of its own, and publishes what they recorded."""

    def __init__(self, url: str, *, clock: Clock, journal: Journal) -> None:
        """Open `sqlite:///PATH` or `postgresql+psycopg://...`; creates no table (see `migrate`)."""
        self.url = make_url(url)
        self._clock = clock
        self._journal = journal
        self._engine = (
            _sqlite_engine(self.url) if self.is_sqlite else create_engine(self.url, hide_parameters=True)
        )
        # One thread: transactions go one after the other, as on SQLite. A store function reads, decides
        # and writes; side by side two of them would take the same number or lose each other's change.
        self._threads = None if self.is_sqlite else ThreadPoolExecutor(1, "database")

    @property
    def is_sqlite(self) -> bool:
        """Whether transactions run on the event loop (SQLite) or in a thread (PostgreSQL)."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def engine(self) -> Engine:
        """For migrations and for tests that compare schemas."""
        return self._engine

    def migrate(self) -> None:
        """Bring the schema up to this version of Halage (Alembic, idempotent)."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    async def run(
        self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `work(tx, *args, **kwargs)` in one transaction; commit, publish its entries, return.

        Raises what `work` raises, after a roll-back, and StorageFull when the disk is full.
        """
        # Here, as the thread of PostgreSQL has no request's context.
        call = functools.partial(self._run_from, current_origin(), work, *args, **kwargs)
        if self._threads is None:
            result, entries = call()
        else:
            loop = asyncio.get_running_loop()
            result, entries = await loop.run_in_executor(self._threads, call)
        self._journal.publish(entries)
        return result

    async def insist(
        self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Like `run`, but while the disk is full it waits and tries again.

        For what has been done already and must be recorded, whenever that is possible.
        """
        while True:
            try:
                return await self.run(work, *args, **kwargs)
            except StorageFull:
                log.warning("disk is full", action="base:Record", subject=work.__name__)
                await self._clock.sleep(FULL_DISK_LOOK_S)

    def run_now(
        self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[T, Sequence[Entry]]:
        """Like `run`, at once and in this thread; leaves the publishing to its caller."""
        return self._run_from(current_origin(), work, *args, **kwargs)

    def _run_from(
        self,
        origin: str,
        work: Callable[Concatenate[Transaction, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> tuple[T, Sequence[Entry]]:
        try:
            with self._engine.begin() as connection:
                tx = Transaction(connection, self._clock.now(), origin)
                result = work(tx, *args, **kwargs)
                return result, self._journal.write(connection, tx.entries)
        except OperationalError as error:
            if "disk is full" in str(error.orig) or "No space left" in str(error.orig):
                raise StorageFull from error
            raise

    def close(self) -> None:
        """Close every connection; idempotent."""
        if self._threads is not None:
            self._threads.shutdown()
        self._engine.dispose()


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        poolclass=StaticPool,
        hide_parameters=True,  # an error's text must not hold what was to be written: hashes, secrets
        connect_args={"check_same_thread": False, "timeout": 5.0, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # Without the way through SQLAlchemy, which is longer than most transactions.
        driver: Any = connection.connection.dbapi_connection
        driver.execute("BEGIN IMMEDIATE")

    return engine
