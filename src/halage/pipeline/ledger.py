"""The recorded side of runs: each decision and each wish of a person, one transaction each."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from halage.base.database import Transaction
from halage.pipeline import store
from halage.pipeline.errors import CannotRetry, NoSuchRun, NoSuchStage, NotWaiting, RunEnded
from halage.pipeline.model import RunState, StageKind, StageState

ACTOR = "halage"


def run_of(tx: Transaction, run_id: int) -> Any:
    """A run's row. Raises NoSuchRun."""
    row = store.run_row(tx, run_id)
    if row is None:
        raise NoSuchRun(f"there is no run {run_id}", run=run_id)
    return row


def set_stage(tx: Transaction, run_id: int, position: int, state: StageState, reason: str) -> None:
    """Record a stage's state, with the moments of its first start and its end; not past the run's end."""
    if RunState(run_of(tx, run_id).state).is_final:
        return
    stage = store.stage_rows(tx, run_id)[position]
    values: dict[str, Any] = {"state": state.value, "reason": reason}
    if stage.started_at is None:
        values["started_at"] = tx.now
    if state not in (StageState.PENDING, StageState.WAITING, StageState.RUNNING):
        values["finished_at"] = tx.now
        row = run_of(tx, run_id)
        change = _Change(stage.state, state.value)
        details = {"stage": stage.name, "state": state.value, "reason": reason}
        _note(tx, "pipeline:StageEnded", row, ACTOR, change, **details)
    store.update_stage(tx, run_id, position, **values)


def attach(tx: Transaction, run_id: int, position: int, /, **ids: int) -> None:
    """Record which job or deployment a stage has."""
    store.update_stage(tx, run_id, position, **ids)


def park(tx: Transaction, run_id: int, position: int, deadline_at: float) -> list[int]:
    """Let a run wait for an approval; returns the older runs that it supersedes at this gate."""
    row = run_of(tx, run_id)
    if RunState(row.state).is_final:
        return []  # cancelled in this moment
    stages = store.stage_rows(tx, run_id)
    gate = _after(stages, position)
    superseded = []
    for other in store.waiting_rows(tx, row.project):
        if _after(store.stage_rows(tx, other.run_id), other.position) != gate:
            continue
        older, newer = sorted(((other.run_id, other.position), (run_id, position)))
        reason = f"superseded by run {newer[0]}, which is newer and waits for the same approval"
        set_stage(tx, *older, StageState.SUPERSEDED, reason)
        if older[0] == run_id:
            return []  # it came late: a newer one waits already
        superseded.append(other.run_id)
    store.update_stage(
        tx,
        run_id,
        position,
        state=StageState.WAITING.value,
        reason=f"waits for an approval of {gate}",
        started_at=tx.now,
        deadline_at=deadline_at,
    )
    store.update_run(tx, run_id, state=RunState.WAITING.value, reason=f"waits for an approval of {gate}")
    change = _Change(row.state, RunState.WAITING.value)
    _note(tx, "pipeline:WaitForApproval", row, ACTOR, change, stage=gate)
    return superseded


def _after(stages: list[Any], position: int) -> str:
    """The name of what an approval opens."""
    return stages[position + 1].name if position + 1 < len(stages) else "the end"


def end_run(tx: Transaction, run_id: int, state: RunState, reason: str) -> None:
    """Record the end of a run; one that has ended stays as it is."""
    row = run_of(tx, run_id)
    if RunState(row.state).is_final:
        return
    store.update_run(tx, run_id, state=state.value, reason=reason, finished_at=tx.now)
    _note(tx, _ENDS[state], row, ACTOR, _Change(row.state, state.value), reason=reason)


_ENDS = {
    RunState.SUCCEEDED: "pipeline:Succeeded",
    RunState.FAILED: "pipeline:Failed",
    RunState.CANCELLED: "pipeline:Cancelled",
    RunState.SUPERSEDED: "pipeline:Superseded",
}


def answer(tx: Transaction, run_id: int, is_approved: bool, comment: str, actor: str) -> None:
    """Record a person's answer to a waiting approval. Raises NoSuchRun, NotWaiting."""
    row = run_of(tx, run_id)
    waiting = [stage for stage in store.stage_rows(tx, run_id) if _waits(stage)]
    if not waiting:
        raise NotWaiting(f"run {run_id} is {row.state}: it does not wait for an approval", run=run_id)
    stage = waiting[0]
    state = StageState.SUCCEEDED if is_approved else StageState.FAILED
    verb = "approved" if is_approved else "rejected"
    reason = f"{verb} by {actor}" + (f": {comment}" if comment else "")
    store.update_stage(
        tx,
        run_id,
        stage.position,
        state=state.value,
        reason=reason,
        finished_at=tx.now,
        decided_by=actor,
        comment=comment,
    )
    store.update_run(tx, run_id, state=RunState.RUNNING.value, reason="")
    action = "pipeline:Approve" if is_approved else "pipeline:Reject"
    _note(tx, action, row, actor, _Change(stage.state, state.value), stage=stage.name, comment=comment)


def _waits(stage: Any) -> bool:
    return bool(stage.kind == StageKind.APPROVAL and stage.state == StageState.WAITING)


def cancel(tx: Transaction, run_id: int, actor: str) -> int:
    """Record that a person cancels a run; returns the position of the stage that it stops in."""
    row = run_of(tx, run_id)
    if RunState(row.state).is_final:
        raise RunEnded(f"run {run_id} is {row.state}: there is nothing to cancel", run=run_id)
    stages = store.stage_rows(tx, run_id)
    done = (StageState.SUCCEEDED, StageState.SKIPPED)
    reason = f"cancelled by {actor}"
    position = next((stage.position for stage in stages if stage.state not in done), None)
    if position is not None:
        set_stage(tx, run_id, position, StageState.CANCELLED, reason)
    store.update_run(tx, run_id, state=RunState.CANCELLED.value, reason=reason, finished_at=tx.now)
    _note(tx, "pipeline:Cancel", row, actor, _Change(row.state, RunState.CANCELLED.value))
    return position if position is not None else len(stages) - 1


def work_of(tx: Transaction, run_id: int, position: int) -> tuple[int | None, int | None]:
    """The job and the deployment of a stage."""
    stage = store.stage_rows(tx, run_id)[position]
    return stage.job_id, stage.deployment_id


def retry(tx: Transaction, run_id: int, stage_name: str | None, actor: str) -> None:
    """Record that a person wants a run to go on from a stage (by default the first that did not succeed)."""
    row = run_of(tx, run_id)
    if not RunState(row.state).is_final:
        raise CannotRetry(f"run {run_id} is {row.state}: it has not ended", run=run_id)
    if row.site is None:
        raise CannotRetry(
            f"run {run_id} could not be understood ({row.reason}): push a corrected commit", run=run_id
        )
    stages = store.stage_rows(tx, run_id)
    first = _first_to_retry(run_id, stages, stage_name)
    for stage in stages[first:]:
        store.update_stage(
            tx,
            run_id,
            stage.position,
            state=StageState.PENDING.value,
            reason="",
            attempt=stage.attempt + 1,
            started_at=None,
            finished_at=None,
            deadline_at=None,
            job_id=None,
            deployment_id=None,
            decided_by=None,
            comment="",
        )
    store.update_run(tx, run_id, state=RunState.RUNNING.value, reason="", finished_at=None)
    change = _Change(row.state, RunState.RUNNING.value)
    _note(tx, "pipeline:Retry", row, actor, change, stage=stages[first].name)


def _first_to_retry(run_id: int, stages: list[Any], stage_name: str | None) -> int:
    names = [stage.name for stage in stages]
    done = (StageState.SUCCEEDED, StageState.SKIPPED)
    unfinished = [stage.position for stage in stages if stage.state not in done]
    if stage_name is None:
        if not unfinished:
            raise CannotRetry(f"run {run_id} succeeded; name a stage to run again from: {', '.join(names)}")
        return int(unfinished[0])
    if stage_name not in names:
        raise NoSuchStage(f"run {run_id} has no stage {stage_name}; it has {', '.join(names)}", run=run_id)
    position = names.index(stage_name)
    if unfinished and position > unfinished[0]:
        raise CannotRetry(f"run {run_id} did not reach {stage_name}: retry from {names[unfinished[0]]}")
    return position


def test_job_of(tx: Transaction, run_id: int) -> int | None:
    """The job whose bundle a run carries."""
    table = store.stages_table
    query = select(table.c.job_id).where(table.c.run_id == run_id, table.c.kind == StageKind.TEST.value)
    return tx.execute(query).scalars().first()


@dataclass(frozen=True, slots=True)
class _Change:
    """The state of a run, or of its stage, before and after."""

    before: str
    after: str


def _note(tx: Transaction, action: str, row: Any, actor: str, change: _Change, **details: Any) -> None:
    tx.record(
        action,
        actor=actor,
        subject=f"project/{row.project}/run/{row.id}",
        project=row.project,
        before={"state": change.before},
        after={"state": change.after},
        **details,
    )
