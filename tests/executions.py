"""Executions by hand: what a command does is scripted, nothing is started."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from halage.base.errors import NotFound
from halage.compute.drivers.memory import MemoryAttached, MemoryDriver, Script
from halage.compute.model import Limits, UnitSpec
from halage.environment.execution.ledger import ExecutionRecord, UnderWay
from halage.environment.execution.service import Execution
from halage.environment.model import ExecutionWish, Outcome


class ScriptedExecutions:
    """A command `wait` runs until it is ended, any other says hello and exits with 3."""

    def __init__(self) -> None:
        self.driver = MemoryDriver()
        self.wishes: list[ExecutionWish] = []
        self.running: dict[str, Execution] = {}
        self.left: list[tuple[str, str]] = []
        """Ids of those that had to be ended, with the reason."""

    def ends(self) -> MemoryAttached:
        """Those of the newest."""
        return list(self.driver.attached.values())[-1]

    async def list(self, project: str, name: str) -> "list[UnderWay]":
        """Those that run, as though begun a minute after the epoch."""
        await self.check(project, name, ExecutionWish(()))
        return [
            UnderWay(each.id, each.record.command, False, 2, each.record.instance_id, 60.0, "dev", 14400.0)
            for each in self.running.values()
            if each.record.place == (project, name) and not each._over.done()
        ]

    async def end(self, project: str, name: str, execution_id: str, *, actor: str) -> UnderWay:
        for each in await self.list(project, name):
            if each.id == execution_id:
                self.finish(execution_id, 143, f"{actor} ended it")
                return each
        raise NotFound(f"{project} {name} has no execution {execution_id} that runs", execution=execution_id)

    async def check(self, project: str, name: str, wish: ExecutionWish) -> None:
        if name != "prod":
            raise NotFound(f"{project} has no environment {name}; it has prod.")

    @asynccontextmanager
    async def run(
        self, project: str, name: str, wish: ExecutionWish, *, actor: str
    ) -> AsyncIterator[Execution]:
        await self.check(project, name, wish)
        self.wishes.append(wish)
        execution_id = f"x-{len(self.wishes)}"
        does = Script() if wish.command[:1] == ("wait",) else Script(output=b"hello\n", exit_code=3)
        self.driver.script(execution_id, does)
        spec = UnitSpec(execution_id, ("sh",), "/", {}, Limits(1, 1))
        ends = await self.driver.attach(spec, wish.terminal)
        record = ExecutionRecord(
            execution_id, (project, name), 2, 2, wish.instance, "a command", False, 60.0, actor
        )
        execution = Execution(record)
        execution._begun.set_result(ends)
        self.running[execution_id] = execution
        if does.exit_code is not None:
            execution._over.set_result(Outcome(does.exit_code))
        try:
            yield execution
        finally:
            ends.close()
            if not execution._over.done():
                self.left.append((execution_id, "its client went away"))
                execution._over.set_result(Outcome(143, "its client went away"))
            del self.running[execution_id]

    def finish(self, execution_id: str, code: int, reason: str = "") -> None:
        """Let one that waits end."""
        self.driver.end(execution_id, code)
        self.running[execution_id]._over.set_result(Outcome(code, reason))
