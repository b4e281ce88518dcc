"""The stream of one run: its changes and its jobs' consoles, merged."""

from halage.base.tasks import Tasks
from halage.pipeline.model import Run
from halage.web.api import schemas
from halage.web.services import Services
from halage.web.streams import Emit, Event


class RunStream:
    """Follows a run to its end. `last_event_id` is `JOB.LINE`: lines up to it are not sent again."""

    def __init__(self, door: Services, emit: Emit, last_event_id: str) -> None:
        self._door = door
        self._emit = emit
        job, line = (int(part) for part in last_event_id.split(".")) if last_event_id else (0, -1)
        self._seen_job = job
        self._seen_line = line
        self._followed: set[int] = set()

    async def follow(self, run_id: int) -> None:
        """Send until the run is final and the consoles of its jobs are sent whole."""
        consoles = []
        async with Tasks() as tasks:
            async for run in self._door.pipeline.follow(run_id):
                await self._emit(Event("run", schemas.Run.of(run).model_dump(mode="json")))
                for job_id in self._new_jobs(run):
                    consoles.append(tasks.start(self._send_console(job_id), f"console of job {job_id}"))
            for console in consoles:
                await console

    def _new_jobs(self, run: Run) -> list[int]:
        jobs = {stage.job_id for stage in run.stages if stage.job_id is not None}
        # An earlier job's console was sent whole before the client's last event.
        new = sorted(job for job in jobs - self._followed if job >= self._seen_job)
        self._followed.update(new)
        return new

    async def _send_console(self, job_id: int) -> None:
        from_line = self._seen_line + 1 if job_id == self._seen_job else 0
        async for line in self._door.builds.follow_console(job_id, from_line):
            shown = schemas.JobLine(job_id=job_id, number=line.number, at_s=line.at_s, text=line.text)
            body = shown.model_dump(mode="json")
            await self._emit(Event("console", body, f"{job_id}.{line.number}"))
