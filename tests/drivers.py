"""What stands below a control plane in tests: drivers in memory that outlive it, and that it dies upon."""

import asyncio
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from halage.balancer.drivers.memory import MemoryBalancer
from halage.balancer.model import Applied, Route, Target, TargetStatus
from halage.base.clock import Clock
from halage.base.database import Database, Transaction
from halage.compute.drivers.memory import IllegalOrder, MemoryDriver
from halage.compute.model import Account as ComputeAccount
from halage.compute.model import Exit, Output, UnitSpec, UnitStatus, Usage
from halage.environment.instances.probe import Probe, Prober
from halage.environment.places import Places
from halage.environment.tables.store import Place
from halage.source.errors import CommitMissing
from halage.source.model import Account, Commit, GitTree
from halage.source.repositories import KIND_FILES
from halage.source.service import Source

P = ParamSpec("P")
T = TypeVar("T")


class Killed(BaseException):
    """The control plane was killed here. No clause of the product catches it."""


@dataclass(slots=True)
class Notes:
    """What all lives told the drivers."""

    told: list[tuple[str, str]] = field(default_factory=list)
    """Verb and instance (or unit that is none), over both drivers in the order of time."""
    illegal: list[str] = field(default_factory=list)
    """Calls that no compute driver allows."""

    def tell(self, verb: str, unit_id: str) -> None:
        self.told.append((verb, unit_id.rpartition(".")[0] if unit_id.startswith("i-") else unit_id))


class Life:
    """One life of a control plane: it ends right after its `steps`-th change, and nothing is done later."""

    def __init__(self, steps: int | None = None) -> None:
        self.steps = steps
        self.taken: list[str] = []
        """What it changed, in order."""
        self.is_over = False

    def breathe(self) -> None:
        """Raise Killed once it is over: before anything is done."""
        if self.is_over:
            raise Killed

    def step(self, name: str) -> None:
        """Count a change that was made; the control plane learns of the last one no more."""
        self.breathe()
        self.taken.append(name)
        if len(self.taken) == self.steps:
            self.is_over = True
            raise Killed


class MortalDatabase(Database):
    """A database whose control plane may die after any transaction that changed something."""

    def __init__(self, real: Database, life: Life, clock: Clock) -> None:
        self._real = real
        self._clock = clock
        self._life = life

    async def run(
        self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        changed = False

        def watched(tx: Transaction) -> T:
            nonlocal changed
            connection: Any = tx.connection.connection.dbapi_connection
            before = getattr(connection, "total_changes", 0)
            result = work(tx, *args, **kwargs)
            changed = bool(tx.entries) or getattr(connection, "total_changes", 0) != before
            return result

        self._life.breathe()
        found = await self._real.run(watched)
        if changed:
            self._life.step(getattr(work, "__name__", "work"))
        return found


class MortalCompute:
    """The compute driver as one life of a control plane sees it; notes what no driver would allow."""

    def __init__(self, real: MemoryDriver, life: Life, notes: Notes) -> None:
        self._real = real
        self._life = life
        self._notes = notes

    async def start(self, spec: UnitSpec) -> UnitStatus:
        self._life.breathe()
        self._notes.tell("start", spec.id)
        try:
            status = await self._real.start(spec)
        except IllegalOrder as error:
            self._notes.illegal.append(str(error))
            raise
        self._life.step(f"start {spec.id}")
        return status

    async def list(self) -> list[UnitStatus]:
        self._life.breathe()
        return await self._real.list()

    async def wait(self, unit_id: str) -> Exit:
        self._life.breathe()
        return await self._real.wait(unit_id)

    async def read(self, unit_id: str, offset: int = 0, limit: int = 65536) -> Output:
        self._life.breathe()
        return await self._real.read(unit_id, offset, limit)

    async def measure(self, unit_id: str) -> Usage:
        self._life.breathe()
        return await self._real.measure(unit_id)

    async def stop(self, unit_id: str, grace_s: float = 10.0) -> Exit | None:
        self._life.breathe()
        self._notes.tell("stop", unit_id)
        exit_ = await self._real.stop(unit_id, grace_s)
        self._life.step(f"stop {unit_id}")
        return exit_

    async def remove(self, unit_id: str) -> None:
        self._life.breathe()
        await self._real.remove(unit_id)
        self._life.step(f"remove {unit_id}")


class MortalBalancer:
    """The balancer driver as one life of a control plane sees it."""

    def __init__(self, real: MemoryBalancer, life: Life, notes: Notes) -> None:
        self._real = real
        self._life = life
        self._notes = notes

    async def apply(self, routes: Iterable[Route], *, allow_reload: bool = True) -> Applied:
        self._life.breathe()
        applied = await self._real.apply(routes, allow_reload=allow_reload)
        self._life.step("apply")
        return applied

    async def add(self, route: str, target: Target) -> None:
        self._life.breathe()
        self._notes.tell("add", f"{target.id}.")
        await self._real.add(route, target)
        self._life.step(f"add {target.id}")

    async def drain(self, route: str, target_id: str) -> None:
        self._life.breathe()
        self._notes.tell("drain", f"{target_id}.")
        await self._real.drain(route, target_id)
        self._life.step(f"drain {target_id}")

    async def remove(self, route: str, target_id: str) -> None:
        self._life.breathe()
        self._notes.tell("take out", f"{target_id}.")
        await self._real.remove(route, target_id)
        self._life.step(f"take out {target_id}")

    async def status(self, route: str | None = None) -> list[TargetStatus]:
        self._life.breathe()
        return await self._real.status(route)

    async def close(self) -> None:
        await self._real.close()

    async def stop(self) -> None:
        await self._real.stop()


class QuickPlaces(Places):
    """Places that unpack nothing: an empty directory stands for a release. No process is started."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.persistent: dict[Place, tuple[str, ...]] = {}
        directory.mkdir(exist_ok=True)

    async def unpack(
        self,
        place: Place,
        number: int,
        digest: str,
        persistent: Iterable[str],
        account: ComputeAccount | None,
    ) -> None:
        await asyncio.sleep(0)
        self.persistent[place] = tuple(persistent)
        self.release(place, number).mkdir(parents=True, exist_ok=True)

    async def make_private(
        self, place: Place, name: str, files: Mapping[str, str], account: ComputeAccount | None
    ) -> Path:
        await asyncio.sleep(0)
        path = self.private(place, name)
        path.mkdir(parents=True, exist_ok=True)
        return path


class ScriptedProber(Prober):
    """Answers for the instances: `problem_of(unit's spec)` is None for a good one, "..." for never."""

    def __init__(self, compute: MemoryDriver) -> None:
        self._compute = compute
        self.problem_of: Callable[[UnitSpec], str | None] = lambda spec: None
        self.answers = asyncio.Event()
        """Clear it, and nobody answers until it is set."""
        self.answers.set()
        self.probes: list[Probe] = []

    async def until_answer(self, probe: Probe, is_over: Callable[[], bool]) -> str | None:
        self.probes.append(probe)
        while not self.answers.is_set():
            if is_over():
                return "gave no good answer"
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        if is_over():
            return "gave no good answer"
        for unit_id in self._compute.running():
            spec = self._compute.spec(unit_id)
            host, port = spec.environment.get("HOST"), spec.environment.get("PORT")
            is_everywhere = host == "0.0.0.0" and f":{port}/" in probe.url
            if is_everywhere or f"http://{host}:{port}/" in probe.url:
                return self.problem_of(spec)
        return "connection refused"

    async def close(self) -> None:
        """There is no connection."""


class MemorySource(Source):
    """A Source without git: commits are dictionaries of files."""

    def __init__(self) -> None:
        self._commits: dict[str, dict[str, str]] = {}
        self._titles: dict[str, str] = {}
        self.archived: list[str] = []
        """Every checkout that was made, by commit."""

    def add_commit(self, files: Mapping[str, str], title: str = "Change the page") -> str:
        """A new commit with these files; returns its id."""
        sha = hashlib.sha1(f"{len(self._commits)}".encode()).hexdigest()
        self._commits[sha] = dict(files)
        self._titles[sha] = title
        return sha

    async def commit(self, project: str, sha: str) -> Commit:
        return Commit(sha, self._titles[sha], "Ada", 1_000_000.0)

    async def tree(self, project: str, sha: str, files: Collection[str] = KIND_FILES) -> GitTree:
        found = self._commits[sha]
        names = frozenset(path.split("/")[0] for path in found)
        return GitTree(sha, names, {path: found.get(path) for path in {*files, *found}})

    async def archive(
        self, project: str, sha: str, destination: Path, account: Account | None = None
    ) -> None:
        if sha not in self._commits:
            raise CommitMissing(f"{project} has no commit {sha[:12]}")
        self.archived.append(sha)
        destination.mkdir()
        for path, text in self._commits[sha].items():
            (destination / path).parent.mkdir(parents=True, exist_ok=True)
            (destination / path).write_text(text)

    async def create_repository(self, project: str) -> None:
        """There is nothing to make."""

    async def delete_repository(self, project: str) -> None:
        """There is nothing to delete."""
