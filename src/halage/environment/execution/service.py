"""Executions: commands and shells that people run in an environment, in a fresh instance or a chosen one.

An execution belongs to its client: it ends with it, or after its time, or with the server. It is
recorded before it begins and journalled at its begin and end; one that outlived a control plane
which was cut off is ended by the next one.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog

from halage.base.errors import HalageError, Invalid, Unavailable
from halage.base.ids import new_id
from halage.base.tasks import Tasks
from halage.compute.driver import Attached, RunsAttached
from halage.compute.errors import NoSuchUnit
from halage.compute.model import Exit, UnitSpec
from halage.environment.configuration import Configuration
from halage.environment.execution import ledger as execution_ledger
from halage.environment.execution.ledger import Aim, ExecutionRecord, UnderWay
from halage.environment.execution.spoken import spoken
from halage.environment.instances.fleet import copy_of
from halage.environment.instances.launch import Seat, one_off_of, unit_of
from halage.environment.instances.seats import take_seat, unpack_release
from halage.environment.machinery import Machinery
from halage.environment.model import ExecutionWish, Outcome
from halage.environment.records import orders
from halage.environment.tables.store import Place

log = structlog.get_logger()
EXECUTION_UNIT = "x"
GRACE_S = 5.0
"""What a command gets to end by itself when its time is over or its client is gone."""
LEFT = "its client went away"


class Execution:
    """One that runs: its ends, and how it ends."""

    def __init__(self, record: ExecutionRecord) -> None:
        self.record = record
        self._begun: asyncio.Future[Attached] = asyncio.get_running_loop().create_future()
        self._over: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._left = asyncio.Event()
        self._reason = ""

    @property
    def id(self) -> str:
        """Its id, which the journal and its unit have too."""
        return self.record.id

    @property
    def ends(self) -> Attached:
        """Its input, outputs and terminal."""
        return self._begun.result()

    async def over(self) -> Outcome:
        """How it ended, once nothing of it is left."""
        return await asyncio.shield(self._over)

    def refuse(self, problem: HalageError) -> None:
        """It never began."""
        if not self._over.done():
            self._over.set_result(Outcome(None, problem.message))
        self._begun.set_exception(problem)
        self._begun.exception()  # looked at, should nobody wait any more

    def leave(self, reason: str) -> None:
        """Nobody wants it any more: it is ended. Idempotent."""
        if not self._left.is_set():
            self._reason = reason
            self._left.set()


class Executions:
    """The use cases of executions."""

    def __init__(self, machinery: Machinery, attaching: RunsAttached, *, tasks: Tasks) -> None:
        """`attaching` is the compute driver of the machinery, by its ability."""
        self._m = machinery
        self._attaching = attaching
        self._tasks = tasks
        self._running: dict[str, Execution] = {}
        self._is_closing = False

    async def recover(self) -> None:
        """End what an earlier control plane left."""
        for unit in await self._m.compute.list():
            if unit.id.startswith(f"{EXECUTION_UNIT}-"):
                await self._m.compute.stop(unit.id, 0.0)
                await self._m.compute.remove(unit.id)
        await self._m.database.run(execution_ledger.end_cut_off)

    async def close(self) -> None:
        """End all of them; none begins any more."""
        self._is_closing = True
        for execution in tuple(self._running.values()):
            execution.leave("the server stopped")
        await asyncio.gather(*(execution.over() for execution in tuple(self._running.values())))

    async def check(self, project: str, name: str, wish: ExecutionWish) -> None:
        """Raise what `run` would raise now for a wish that cannot be: see there."""
        self._limit_of(wish)
        await self._m.database.run(execution_ledger.aim_of, (project, name), wish)

    async def list(self, project: str, name: str) -> Sequence[UnderWay]:
        """Those of an environment that run, oldest first. Raises NoSuchEnvironment."""
        return await self._m.database.run(execution_ledger.under_way, (project, name))

    async def end(self, project: str, name: str, execution_id: str, *, actor: str) -> UnderWay:
        """End one, whoever began it: it gets GRACE_S. Raises NoSuchEnvironment, NotFound."""
        place = (project, name)
        found = await self._m.database.run(execution_ledger.ask_to_end, place, execution_id, actor)
        if (execution := self._running.get(execution_id)) is not None:
            execution.leave(f"{actor} ended it")
        return found

    @asynccontextmanager
    async def run(
        self, project: str, name: str, wish: ExecutionWish, *, actor: str
    ) -> AsyncIterator[Execution]:
        """Start it; leaving the context ends it, if it has not ended by itself, and takes it away.

        Raises NoSuchEnvironment, NothingDeployed, NotFound for an instance that there is not, Conflict
        when too many run, Invalid for a limit that is too long, Unavailable when it cannot be started.
        """
        execution = await self._begin((project, name), wish, actor)
        try:
            yield execution
        finally:
            execution.leave(LEFT)
            await execution.over()

    async def _begin(self, place: Place, wish: ExecutionWish, actor: str) -> Execution:
        if self._is_closing:
            raise Unavailable("The server is stopping: nothing new begins. Try again when it is back.")
        limit_s = self._limit_of(wish)
        aim = await self._m.database.run(execution_ledger.aim_of, place, wish)
        execution = Execution(
            ExecutionRecord(
                id=new_id(EXECUTION_UNIT),
                place=place,
                release_id=aim.release.id,
                release_number=aim.release.number,
                instance_id=wish.instance,
                command=spoken(wish.command, await self._secrets(aim)) or "a shell",
                has_terminal=wish.terminal is not None,
                limit_s=limit_s,
                actor=actor,
            )
        )
        self._running[execution.id] = execution
        self._tasks.start(self._live(execution, aim, wish), f"execution {execution.id}")
        try:
            await asyncio.shield(execution._begun)
        except BaseException:
            execution.leave(LEFT)
            raise
        return execution

    def _limit_of(self, wish: ExecutionWish) -> float:
        longest = self._m.limits.execution_s
        if wish.limit_s is not None and not 0 < wish.limit_s <= longest:
            raise Invalid(
                f"A command runs for {longest:g} s at most here, not {wish.limit_s:g} s: the setting "
                "executions.limit_s of the server says so.",
                limit_s=wish.limit_s,
            )
        return longest if wish.limit_s is None else wish.limit_s

    async def _secrets(self, aim: Aim) -> Sequence[str]:
        """Those that it will see, and those of now."""
        frozen = Configuration.from_document(aim.release.configuration).variables.values()
        sealed = {stored.value for stored in frozen if stored.is_secret}
        sealed |= set(await self._m.database.run(orders.secrets_of, aim.place[0]))
        return [self._m.sealer.open(value) for value in sealed]

    # -- its life, which no client can cut short of its end

    async def _live(self, execution: Execution, aim: Aim, wish: ExecutionWish) -> None:
        start = self._m.clock.monotonic()
        try:
            await self._m.database.run(execution_ledger.begin, execution.record)
        except HalageError as error:
            self._running.pop(execution.id, None)
            execution.refuse(error)
            return
        try:
            ends = await self._attach(execution, aim, wish)
        except (HalageError, OSError) as error:
            await self._end(execution, Outcome(None, f"it could not be started: {error}"), start)
            execution.refuse(Unavailable(f"The command could not be started: {error}"))
            return
        execution._begun.set_result(ends)
        log.info("execution began", action="environment:Execute", subject=execution.id)
        try:
            outcome = await self._until_over(execution)
        finally:
            ends.close()
        await self._end(execution, outcome, start)

    async def _attach(self, execution: Execution, aim: Aim, wish: ExecutionWish) -> Attached:
        await unpack_release(self._m, aim.place, aim.release)
        seat = await self._seat(execution.id, aim)
        serving = one_off_of(seat, self._m.sealer, wish.command)
        if aim.instance is None:
            await self._m.places.make_private(aim.place, execution.id, serving.files, seat.account)
        host = copy_of(aim.instance).unit_id if aim.instance is not None else None
        spec = _on_terminal(unit_of(execution.id, seat, serving), wish)
        return await self._attaching.attach(spec, wish.terminal, host)

    async def _seat(self, name: str, aim: Aim) -> Seat:
        """A fresh one, without an address that anyone listens on; or that of the instance."""
        if aim.instance is None:
            return await take_seat(self._m, aim.place, name, aim.release, "127.0.0.1", 0)
        row = aim.instance
        return await take_seat(self._m, aim.place, row.id, aim.release, row.address, row.port)

    async def _until_over(self, execution: Execution) -> Outcome:
        """How it ended: by itself, or because its time was over or its client gone."""
        if not await self._m.database.run(execution_ledger.is_under_way, execution.id):
            execution.leave("its project was deleted")
        reason = ""
        async with Tasks() as tasks:
            ended = tasks.start(self._exit_of(execution.id), f"wait for {execution.id}")
            time = tasks.start(self._m.clock.sleep(execution.record.limit_s), f"limit {execution.id}")
            left = tasks.start(execution._left.wait(), f"client of {execution.id}")
            await asyncio.wait({ended, time, left}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                reason = execution._reason or f"its time of {execution.record.limit_s:g} s was over"
                if execution._left.is_set():
                    execution.ends.close()
                await self._m.compute.stop(execution.id, GRACE_S)
            exit_ = await ended
        if exit_ is None:
            return Outcome(None, reason or "it was taken away")
        if not reason and (exit_.out_of_memory or exit_.code is None):
            reason = str(exit_)
        return Outcome(exit_.code, reason)

    async def _exit_of(self, unit_id: str) -> Exit | None:
        try:
            return await self._m.compute.wait(unit_id)
        except NoSuchUnit:
            return None

    async def _end(self, execution: Execution, outcome: Outcome, start: float) -> None:
        """Take away what is left of it, and tell."""
        record = execution.record
        try:
            await self._m.compute.remove(execution.id)
            if record.instance_id is None:
                self._m.places.forget_private(record.place, execution.id)
            elapsed = self._m.clock.monotonic() - start
            await self._m.database.insist(execution_ledger.end, record, outcome, elapsed)
            log.info(
                "execution ended", action="environment:Execute", subject=execution.id, duration_s=elapsed
            )
        finally:
            self._running.pop(execution.id, None)
            execution._over.set_result(outcome)


def _on_terminal(spec: UnitSpec, wish: ExecutionWish) -> UnitSpec:
    if wish.terminal is None:
        return spec
    # Programs that draw ask for both; a site's own choice of language wins.
    return replace(spec, environment={"LANG": "C.UTF-8", **spec.environment, "TERM": wish.terminal_kind})
