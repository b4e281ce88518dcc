"""How a run goes from stage to stage."""

import pytest

from halage.build.model import JobState
from halage.environment.model import DeploymentState
from halage.pipeline.model import RunState, StageKind, StageState
from halage.pipeline.rules import (
    Action,
    DeploymentNews,
    EndRun,
    JobNews,
    LookAgain,
    SetStage,
    StageFacts,
    StartDeployment,
    StartJob,
    WaitForApproval,
    decide,
)

SOURCE = StageFacts(0, StageKind.SOURCE, StageState.SUCCEEDED)
TESTED = StageFacts(1, StageKind.TEST, StageState.SUCCEEDED)


def _test(
    state: StageState = StageState.PENDING, news: JobNews | None = None, reason: str = ""
) -> StageFacts:
    return StageFacts(1, StageKind.TEST, state, reason, news=news)


def _deploy(state: StageState = StageState.PENDING, news: DeploymentNews | None = None) -> StageFacts:
    return StageFacts(2, StageKind.DEPLOY, state, news=news)


def _approval(state: StageState, deadline_at: float | None = None) -> StageFacts:
    return StageFacts(2, StageKind.APPROVAL, state, deadline_at=deadline_at)


@pytest.mark.parametrize(
    ("stages", "actions"),
    [
        ([StageFacts(0, StageKind.SOURCE, StageState.PENDING)], [SetStage(0, StageState.SUCCEEDED)]),
        ([SOURCE, _test()], [StartJob(1)]),
        ([SOURCE, _test(news=JobNews(JobState.QUEUED, "waits"))], [SetStage(1, StageState.WAITING, "waits")]),
        ([SOURCE, _test(news=JobNews(JobState.RUNNING, ""))], [SetStage(1, StageState.RUNNING)]),
        ([SOURCE, _test(StageState.RUNNING, JobNews(JobState.RUNNING, ""))], []),
        (
            [SOURCE, _test(StageState.RUNNING, JobNews(JobState.FAILED, "red"))],
            [SetStage(1, StageState.FAILED, "red")],
        ),
        (
            [SOURCE, _test(StageState.RUNNING, JobNews(JobState.TIMED_OUT, "late"))],
            [SetStage(1, StageState.FAILED, "late")],
        ),
        ([SOURCE, _test(StageState.FAILED, reason="red"), _deploy()], [EndRun(RunState.FAILED, "red")]),
        ([SOURCE, TESTED], [EndRun(RunState.SUCCEEDED)]),
        ([SOURCE, TESTED, _deploy()], [StartDeployment(2)]),
        (
            [SOURCE, TESTED, _deploy(news=DeploymentNews(DeploymentState.WAITING, "waits for 3"))],
            [SetStage(2, StageState.WAITING, "waits for 3")],
        ),
        (
            [
                SOURCE,
                TESTED,
                _deploy(StageState.RUNNING, DeploymentNews(DeploymentState.ROLLED_BACK, "exit 1")),
            ],
            [SetStage(2, StageState.FAILED, "exit 1")],
        ),
        (
            [
                SOURCE,
                TESTED,
                _deploy(StageState.WAITING, DeploymentNews(DeploymentState.SUPERSEDED, "newer")),
            ],
            [SetStage(2, StageState.SUPERSEDED, "newer")],
        ),
        ([SOURCE, TESTED, _deploy(StageState.SUPERSEDED)], [EndRun(RunState.SUPERSEDED)]),
        ([SOURCE, TESTED, _deploy(StageState.CANCELLED)], [EndRun(RunState.CANCELLED)]),
        ([SOURCE, TESTED, _approval(StageState.PENDING)], [WaitForApproval(2)]),
        ([SOURCE, TESTED, _approval(StageState.WAITING, 160.0)], [LookAgain(60.0)]),
        (
            [SOURCE, TESTED, _approval(StageState.WAITING, 99.0)],
            [SetStage(2, StageState.FAILED, "nobody approved it before its deadline")],
        ),
    ],
)
def test_decide(stages: list[StageFacts], actions: list[Action]) -> None:
    assert decide(RunState.RUNNING, stages, now=100.0) == actions


@pytest.mark.parametrize("state", [state for state in RunState if state.is_final])
def test_an_ended_run_does_nothing(state: RunState) -> None:
    assert decide(state, [SOURCE, _test()], now=100.0) == []
