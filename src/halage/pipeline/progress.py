"""A run's progress as lines for a terminal that only takes text: the output of `git push -o wait`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from halage.pipeline.model import Run, RunState, Stage, StageState

_WORDS = {
    StageState.WAITING: "waits",
    StageState.PENDING: "comes",
    StageState.SKIPPED: "skipped",
    StageState.RUNNING: "runs",
    StageState.SUCCEEDED: "done",
    StageState.FAILED: "FAILED",
    StageState.CANCELLED: "cancelled",
    StageState.SUPERSEDED: "superseded",
}


Remarks = Callable[[Stage], Awaitable[Iterable[str]]]
"""What is to be said of a stage beside its state: warnings, the last words of what failed."""


async def progress_lines(runs: AsyncIterator[Run], remarks: Remarks) -> AsyncIterator[str]:
    """A line for each change of a stage with what there is to remark, then one for the end of the run.

    Ends when the run has ended or waits for a person: a push does not wait for people.
    """
    shown: dict[int, tuple[StageState, str]] = {}
    async for run in runs:
        for stage in run.stages:
            if stage.state is not StageState.PENDING and shown.get(stage.position) != _key(stage):
                shown[stage.position] = _key(stage)
                yield stage_line(stage)
                for remark in await remarks(stage):
                    yield f"  {remark}"
        if run.state is not RunState.RUNNING:
            yield run_line(run)
            return


def _key(stage: Stage) -> tuple[StageState, str]:
    return stage.state, stage.reason


def stage_line(stage: Stage) -> str:
    """One stage in one line: name, state, duration, reason."""
    took = ""
    if stage.finished_at is not None and stage.started_at is not None:
        took = f" in {stage.finished_at - stage.started_at:.1f} s"
    reason = f": {stage.reason}" if stage.reason else ""
    return f"{stage.name} {_WORDS[stage.state]}{took}{reason}"


def run_line(run: Run) -> str:
    """A run's end, or what it waits for, in one line."""
    if run.state is RunState.WAITING:
        return f"run {run.id} {run.reason}: halage approve {run.project} {run.id}"
    was_said = any(run.reason == stage.reason for stage in run.stages)
    reason = f": {run.reason}" if run.reason and not was_said else ""
    return f"run {run.id} {run.state}{reason}"
