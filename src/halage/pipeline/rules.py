"""How a run goes from stage to stage. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from halage.build.model import JobState
from halage.environment.model import DeploymentState
from halage.pipeline.model import RunState, StageKind, StageState

DONE = frozenset({StageState.SUCCEEDED, StageState.SKIPPED})


@dataclass(frozen=True, slots=True)
class JobNews:
    """What is known of a stage's job."""

    state: JobState
    reason: str


@dataclass(frozen=True, slots=True)
class DeploymentNews:
    """What is known of a stage's deployment."""

    state: DeploymentState
    reason: str


@dataclass(frozen=True, slots=True)
class StageFacts:
    """A stage as recorded, and what is observed of its job or deployment."""

    position: int
    kind: StageKind
    state: StageState
    reason: str = ""
    deadline_at: float | None = None
    news: JobNews | DeploymentNews | None = None


@dataclass(frozen=True, slots=True)
class StartJob:
    """Ask for the stage's job."""

    position: int


@dataclass(frozen=True, slots=True)
class StartDeployment:
    """Ask for the stage's deployment."""

    position: int


@dataclass(frozen=True, slots=True)
class WaitForApproval:
    """Park the run here; older runs that wait at the same gate are superseded."""

    position: int


@dataclass(frozen=True, slots=True)
class SetStage:
    """Record a stage's state."""

    position: int
    state: StageState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EndRun:
    """Record the end of the run; stages that never began stay as they are."""

    state: RunState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """An approval's own deadline is so far away."""

    after_s: float


Action = StartJob | StartDeployment | WaitForApproval | SetStage | EndRun | LookAgain

_JOB_ENDS = {
    JobState.SUCCEEDED: StageState.SUCCEEDED,
    JobState.FAILED: StageState.FAILED,
    JobState.TIMED_OUT: StageState.FAILED,
    JobState.CANCELLED: StageState.CANCELLED,
}
_DEPLOYMENT_ENDS = {
    DeploymentState.SUCCEEDED: StageState.SUCCEEDED,
    DeploymentState.ROLLED_BACK: StageState.FAILED,
    DeploymentState.FAILED: StageState.FAILED,
    DeploymentState.SUPERSEDED: StageState.SUPERSEDED,
}
_RUN_ENDS = {
    StageState.FAILED: RunState.FAILED,
    StageState.CANCELLED: RunState.CANCELLED,
    StageState.SUPERSEDED: RunState.SUPERSEDED,
}


def decide(state: RunState, stages: Sequence[StageFacts], now: float) -> list[Action]:
    """The actions to take now; an empty list means: wait for news."""
    if state.is_final:
        return []
    for stage in stages:
        if stage.state in DONE:
            continue
        if stage.state in _RUN_ENDS:
            return [EndRun(_RUN_ENDS[stage.state], stage.reason)]
        return _advance(stage, now)
    return [EndRun(RunState.SUCCEEDED)]


def _advance(stage: StageFacts, now: float) -> list[Action]:
    match stage.kind:
        case StageKind.SOURCE:
            return [SetStage(stage.position, StageState.SUCCEEDED)]
        case StageKind.APPROVAL:
            return _advance_approval(stage, now)
        case StageKind.TEST:
            return _follow(stage, StartJob(stage.position))
        case StageKind.DEPLOY:
            return _follow(stage, StartDeployment(stage.position))


def _advance_approval(stage: StageFacts, now: float) -> list[Action]:
    if stage.state is StageState.PENDING:
        return [WaitForApproval(stage.position)]
    if stage.deadline_at is None:
        return []
    if now >= stage.deadline_at:
        return [SetStage(stage.position, StageState.FAILED, "nobody approved it before its deadline")]
    return [LookAgain(stage.deadline_at - now)]


def _follow(stage: StageFacts, start: StartJob | StartDeployment) -> list[Action]:
    """Start it, then mirror what is known of it."""
    if stage.news is None:
        return [start]
    state, reason = _mirrored(stage.news)
    if (state, reason) != (stage.state, stage.reason):
        return [SetStage(stage.position, state, reason)]
    return []


def _mirrored(news: JobNews | DeploymentNews) -> tuple[StageState, str]:
    if isinstance(news, JobNews):
        waiting, ends = news.state is JobState.QUEUED, _JOB_ENDS.get(news.state)
    else:
        waiting, ends = news.state is DeploymentState.WAITING, _DEPLOYMENT_ENDS.get(news.state)
    if ends is not None:
        return ends, news.reason
    return (StageState.WAITING if waiting else StageState.RUNNING), news.reason
