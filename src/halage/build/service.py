"""Jobs: what pipelines and people ask of them."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from halage.base.database import Database
from halage.base.objects import ObjectStore
from halage.build import store
from halage.build.console import read_console, read_tail
from halage.build.controller import BuildController
from halage.build.errors import NoSuchJob
from halage.build.model import ConsoleLine, Job
from halage.site.document import site_to_document
from halage.site.model import Site


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What a pipeline asks for. `token` makes asking twice the same as asking once."""

    token: str
    project: str
    commit: str
    run_id: int
    site: Site


class Builds:
    """The use cases of jobs."""

    def __init__(self, database: Database, objects: ObjectStore, controller: BuildController) -> None:
        self._database = database
        self._objects = objects
        self._controller = controller

    async def start(self, order: JobOrder) -> int:
        """Queue a job; returns its id."""
        values = {
            "token": order.token,
            "project": order.project,
            "commit": order.commit,
            "run_id": order.run_id,
            "site": site_to_document(order.site),
        }
        job_id = await self._database.run(store.insert_job, values)
        self._controller.wake(job_id)
        return job_id

    async def job(self, job_id: int) -> Job:
        """One job. Raises NoSuchJob."""
        row = await self._database.run(store.job_row, job_id)
        if row is None:
            raise NoSuchJob(f"there is no job {job_id}")
        return store.job_view(row)

    async def cancel(self, job_id: int) -> None:
        """End a job with its whole process tree; nothing happens to one that has ended."""
        await self._database.run(store.update_job, job_id, is_cancelled=True)
        self._controller.wake(job_id)

    async def console(self, job_id: int, from_line: int = 0, limit: int = 1000) -> list[ConsoleLine]:
        """Lines of a job's console, from a line number on. Raises NoSuchJob."""
        await self.job(job_id)
        return await asyncio.to_thread(read_console, self._controller.console_path(job_id), from_line, limit)

    async def console_tail(self, job_id: int, lines: int) -> list[ConsoleLine]:
        """The last lines of a job's console. Raises NoSuchJob."""
        await self.job(job_id)
        return await asyncio.to_thread(read_tail, self._controller.console_path(job_id), lines)

    async def follow_console(self, job_id: int, from_line: int = 0) -> AsyncIterator[ConsoleLine]:
        """Lines as they come, until the job has ended. Raises NoSuchJob."""
        with self._controller.bell.listen(job_id) as news:
            while True:
                news.clear()
                is_over = (await self.job(job_id)).state.is_final
                lines = await self.console(job_id, from_line)
                for line in lines:
                    from_line = line.number + 1
                    yield line
                if is_over and not lines:
                    return
                if not lines:
                    await news.wait()

    async def forget_bundles(self, project: str, digests: Sequence[str]) -> None:
        """Delete bundles of a project; the bytes stay while another project has the same bundle."""
        for digest in await self._database.run(store.drop_bundles, project, digests):
            await asyncio.to_thread(self._objects.delete, digest)

    async def forget_project(self, project: str) -> None:
        """Remove a project's jobs, consoles, caches and the bundles that no other project has."""
        jobs, digests = await self._database.run(store.delete_jobs, project)
        for job_id in jobs:
            shutil.rmtree(self._controller.console_path(job_id).parent, ignore_errors=True)
        for digest in digests:
            await asyncio.to_thread(self._objects.delete, digest)
        await asyncio.to_thread(self._controller.forget_project, project)
