"""Runs and their stages."""

from dataclasses import dataclass
from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands. The last four are final."""

    RUNNING = "running"
    WAITING = "waiting"
    """For an approval."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it (but a retry)."""
        return self not in (RunState.RUNNING, RunState.WAITING)


class StageState(StrEnum):
    """Where a stage stands."""

    PENDING = "pending"
    """A stage before it has not ended."""
    WAITING = "waiting"
    """For an approval, or for its environment; `reason` says which."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"


class StageKind(StrEnum):
    """What a stage does."""

    SOURCE = "source"
    TEST = "test"
    APPROVAL = "approval"
    DEPLOY = "deploy"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a run."""

    position: int
    name: str
    """`source`, `test`, `approval`, or the environment's name."""
    kind: StageKind
    state: StageState
    reason: str
    attempt: int
    started_at: float | None
    finished_at: float | None
    job_id: int | None = None
    deployment_id: int | None = None
    decided_by: str | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """The way of one pinned commit."""

    id: int
    project: str
    branch: str
    commit: str
    title: str
    author: str
    state: RunState
    reason: str
    created_by: str
    created_at: float
    finished_at: float | None
    stages: tuple[Stage, ...]
