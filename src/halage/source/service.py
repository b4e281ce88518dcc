"""Repositories, and the way of a push from git's hooks to whoever is told of it."""

import asyncio
from collections import Counter
from collections.abc import Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog

from halage.base.clock import Clock
from halage.base.database import Database
from halage.base.errors import HalageError, Unavailable
from halage.base.tasks import Controller, Tasks
from halage.source.checkout import unpack_commit
from halage.source.git import Git
from halage.source.hooks import HOOKS
from halage.source.locks import PushLocks
from halage.source.model import ABSENT, Account, Commit, GitTree, Push, PushAnswer, PushConsumer, RefChange
from halage.source.repositories import KIND_FILES, Repositories
from halage.source.rules import missed_changes
from halage.source.store import forget_refs, remember_ref, seen_refs

T = TypeVar("T")
log = structlog.get_logger()

UNHEARD_PUSHER = "halage"
"""Named as the pusher when refs were changed while nobody was there to hear of it."""

RETRY_FIRST_S = 1.0
RETRY_LONGEST_S = 60.0
ORPHAN_LOOK_S = 1.0
TIDY_AFTER_S = 300.0


@dataclass(frozen=True, slots=True)
class Told:
    """Whether a push counts as told, and what its pusher reads."""

    answer: PushAnswer
    is_final: bool


class Source:
    """The repositories of one data directory. `async with` it; then `reconcile()` once."""

    def __init__(
        self,
        directory: Path,
        run_directory: Path,
        database: Database,
        clock: Clock,
        on_push: PushConsumer | None = None,
    ) -> None:
        """`on_push` may be set later, before the first push (its owner often needs this object)."""
        self.on_push = on_push
        self.git = Git(directory, run_directory / "git")
        self.repositories = Repositories(self.git)
        self._locks = PushLocks(run_directory / "pushes")
        self._database = database
        self._clock = clock
        self._tasks = Tasks()
        self._controller = Controller("source", self._catch_up, tasks=self._tasks)
        self._turns: dict[str, asyncio.Lock] = {}
        self._receiving: Counter[str] = Counter()
        self._unsettled: set[str] = set()
        """Projects with refs that may have changed without being told of."""
        self._retry_s: dict[str, float] = {}
        self._unstoppable: set[asyncio.Task[Any]] = set()
        self._untidy: set[str] = set()
        """Projects whose repository is to be packed soon, if it is worth it."""

    async def __aenter__(self) -> Self:
        self.git.prepare(HOOKS)
        self._locks.prepare()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._controller.stop()
        if self._unstoppable:
            await asyncio.wait(self._unstoppable)
        await self._tasks.__aexit__(kind, error, trace)
        self._locks.close()

    # Repositories

    async def create_repository(self, project: str) -> None:
        """Make the project's empty repository. Raises NameInvalid and RepositoryExists."""
        await self.repositories.create(project)

    async def delete_repository(self, project: str) -> None:
        """Delete the project's repository and what is known of its refs; idempotent."""
        await self.repositories.delete(project)
        await self._database.run(forget_refs, project)

    async def refs(self, project: str) -> dict[str, str]:
        """Branches and tags, by full name, with their object ids."""
        return await self.repositories.refs(project)

    async def commit(self, project: str, sha: str) -> Commit:
        """What is to be shown of a commit. Raises CommitMissing."""
        return await self.repositories.commit(project, sha)

    async def commits(self, project: str, ref: str, limit: int = 20) -> list[Commit]:
        """The latest commits of a branch, newest first. Raises CommitMissing."""
        return await self.repositories.commits(project, ref, limit)

    async def tree(self, project: str, sha: str, files: Collection[str] = KIND_FILES) -> GitTree:
        """The root of a commit and the files that tell its kind. Raises CommitMissing and FileTooBig."""
        return await self.repositories.tree(project, sha, files)

    async def archive(
        self, project: str, sha: str, destination: Path, account: Account | None = None
    ) -> None:
        """Unpack a commit into a fresh directory of the account's; see `unpack_commit`."""
        await unpack_commit(self.git, self.repositories, project, sha, destination, account)

    # Pushes

    def begin_push(self, project: str) -> int:
        """Tell that git may change refs from now on: nobody else looks at them until `end_push`.

        Returns a descriptor that the processes of the push inherit; close it once they are started.
        """
        descriptor = self._locks.hold()
        self._receiving[project] += 1
        return descriptor

    def end_push(self, project: str, *, was_heard: bool) -> None:
        """Tell that no process of the push is left; the refs are compared when nothing was heard of it."""
        self._receiving[project] -= 1
        if not was_heard:
            self._unsettled.add(project)
        self._controller.wake(project)

    async def see_through(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """What `work` returns; it goes on when the caller is cancelled, and is waited for at the stop."""
        task = self._tasks.start(work, name)
        self._unstoppable.add(task)
        task.add_done_callback(self._unstoppable.discard)
        return await asyncio.shield(task)

    async def record(
        self, project: str, changes: Sequence[RefChange], pusher: str, options: tuple[str, ...]
    ) -> list[PushAnswer]:
        """Tell the consumer of each changed ref; goes on when the caller is cancelled."""
        pushes = [Push(project, change.ref, change.old, change.new, pusher, options) for change in changes]
        return await self.see_through(self._tell_all(pushes), f"record push to {project}")

    async def _tell_all(self, pushes: Sequence[Push]) -> list[PushAnswer]:
        answers = []
        for push in pushes:
            told = await self._tell(push)
            answers.append(told.answer)
            if not told.is_final:
                self._unsettled.add(push.project)
        if pushes and pushes[0].project not in self._untidy:
            self._untidy.add(pushes[0].project)
            self._tasks.start(self._tidy_later(pushes[0].project), f"tidy {pushes[0].project}")
        if any(push.old == ABSENT for push in pushes):
            with suppress(HalageError):
                await self.repositories.adopt_default(pushes[0].project)
        return answers

    async def _tidy_later(self, project: str) -> None:
        """Pack the repository if it is worth it, once the run that the push started has its commit."""
        await self._clock.sleep(TIDY_AFTER_S)
        self._untidy.discard(project)
        if self.repositories.exists(project):
            try:
                await self.repositories.tidy(project)
            except HalageError as error:
                log.warning("repository not tidied", action="source:Tidy", subject=project, reason=str(error))

    async def _tell(self, push: Push) -> Told:
        # A lock across an await, on purpose: pushes to one project are told in the order in which
        # they came, and the consumer only records them.
        async with self._turns.setdefault(push.project, asyncio.Lock()):
            if push.is_reconciled and not await self._is_news(push):
                return Told(PushAnswer(), True)
            told = await self._ask_consumer(push)
        log.info(
            "push told",
            action="source:Push",
            subject=f"project/{push.project}",
            ref=push.ref,
            sha=push.new,
            pusher=push.pusher,
            is_reconciled=push.is_reconciled,
            is_final=told.is_final,
        )
        return told

    async def _is_news(self, push: Push) -> bool:
        seen = await self._database.run(seen_refs, push.project)
        return seen.get(push.ref, ABSENT) != push.new

    async def _ask_consumer(self, push: Push) -> Told:
        subject = f"project/{push.project}"
        try:
            answer = await self._consume(push)
            await self._database.run(remember_ref, push.project, push.ref, push.new)
        except HalageError as error:
            log.warning("push not recorded", action="source:Push", subject=subject, reason=str(error))
            again = " It is tried again soon." if isinstance(error, Unavailable) else ""
            return Told(PushAnswer((f"halage: {error}{again}",)), not again)
        except Exception:
            log.exception("push not recorded", action="source:Push", subject=subject)
            line = f"halage: {push.ref} was taken, but what it starts was not. It is tried again soon."
            return Told(PushAnswer((line,)), False)
        return Told(answer, True)

    async def _consume(self, push: Push) -> PushAnswer:
        if self.on_push is None:
            raise Unavailable("Nobody listens to pushes yet.")
        try:
            return await self.on_push.pushed(push)
        except Unavailable:
            raise
        except HalageError as error:
            log.warning(
                "push refused", action="source:Push", subject=f"project/{push.project}", reason=str(error)
            )
            return PushAnswer((f"halage: {error}",))

    # Pushes that nobody heard of

    async def reconcile(self) -> list[Push]:
        """Tell of each push that came while nobody listened, and return them.

        Processes of pushes that a killed server left behind may still be at work: once the
        last of them has ended, the refs are compared once more.
        """
        self.repositories.sweep(self._clock.now())
        has_orphans = self._locks.has_orphans()
        for project in self.repositories.names() if not has_orphans else ():
            await self.repositories.drop_quarantines(project)
        told = [push for project in self.repositories.names() for push in (await self._compare(project))[0]]
        if has_orphans:
            self._tasks.start(self._outlive_orphans(), "wait for orphaned pushes")
        return told

    async def _outlive_orphans(self) -> None:
        while self._locks.has_orphans():
            await self._clock.sleep(ORPHAN_LOOK_S)
        for project in self.repositories.names():
            self._unsettled.add(project)
            self._controller.wake(project)

    async def _catch_up(self, project: str) -> float | None:
        # While a push is at work its own hook tells of it; the end of the last one wakes us again.
        if self._receiving[project] > 0 or project not in self._unsettled:
            return None
        if await self._settle(project):
            self._unsettled.discard(project)
            self._retry_s.pop(project, None)
            return None
        delay_s = self._retry_s.get(project, RETRY_FIRST_S)
        self._retry_s[project] = min(delay_s * 2, RETRY_LONGEST_S)
        return delay_s

    async def _settle(self, project: str) -> bool:
        if not self.repositories.exists(project):
            return True
        if not self._locks.has_orphans():
            await self.repositories.drop_quarantines(project)
        return (await self._compare(project))[1]

    async def _compare(self, project: str) -> tuple[list[Push], bool]:
        """The pushes that were missed, and whether all of them count as told now."""
        seen = await self._database.run(seen_refs, project)
        pushes = [
            Push(project, change.ref, change.old, change.new, UNHEARD_PUSHER, is_reconciled=True)
            for change in missed_changes(await self.repositories.refs(project), seen)
        ]
        finals = [(await self._tell(push)).is_final for push in pushes]
        if not all(finals):
            self._unsettled.add(project)
            self._controller.wake(project)
        return pushes, all(finals)
