"""What a job does next, its script, its verdict."""

import subprocess

import pytest

from halage.build.model import JobState
from halage.build.rules import JobFacts, Step, decide, script_of, verdict
from halage.compute.model import Exit
from halage.site.model import BuildPlan, Kind, RunPlan, Site, TestPlan


def _facts(**changes: object) -> JobFacts:
    values = {
        "state": JobState.QUEUED,
        "is_cancelled": False,
        "is_looked_after": False,
        "is_unit_known": False,
        "has_room": True,
    }
    return JobFacts(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        (_facts(), Step.BEGIN),
        (_facts(has_room=False), Step.WAIT),
        (_facts(is_cancelled=True), Step.END_CANCELLED),
        (_facts(state=JobState.RUNNING, is_looked_after=True), Step.NOTHING),
        (_facts(state=JobState.RUNNING, is_unit_known=True), Step.ADOPT),
        (_facts(state=JobState.RUNNING), Step.BEGIN_AGAIN),
        (_facts(state=JobState.RUNNING, is_unit_known=True, is_cancelled=True), Step.END_CANCELLED),
        *[(_facts(state=state), Step.NOTHING) for state in JobState if state.is_final],
    ],
)
def test_decide(facts: JobFacts, step: Step) -> None:
    assert decide(facts) is step


def _site(build: tuple[str, ...], test: tuple[str, ...]) -> Site:
    return Site(Kind.STATIC, BuildPlan(build), TestPlan(test), RunPlan(), {}, {}, ())


def _run(site: Site) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/bin/sh", "-c", script_of(site)], capture_output=True, text=True, check=False)


def test_the_script_runs_commands_in_order_and_says_which() -> None:
    ran = _run(_site(("echo 'it''s built'", "cd /; X=1"), ("echo ${X-unset} tested",)))
    assert ran.returncode == 0
    assert ran.stdout.rstrip("\n").split("\n") == [
        "\x1ephase build",
        "\x1ecommand echo 'it''s built'",
        "its built",
        "\x1ecommand cd /; X=1",
        "\x1ephase test",
        "\x1ecommand echo ${X-unset} tested",
        "unset tested",
    ]


def test_the_script_ends_at_the_first_failure_with_its_code() -> None:
    ran = _run(_site(("echo %s one", "exit 7", "echo never"), ("echo never",)))
    assert ran.returncode == 7
    assert "never" not in ran.stdout
    assert "%s one" in ran.stdout


@pytest.mark.parametrize(
    ("exit_", "cancelled", "limit", "state", "reason"),
    [
        (Exit(0, 1.0), False, None, JobState.SUCCEEDED, ""),
        (Exit(3, 1.0), False, None, JobState.FAILED, "`make` exited with code 3"),
        (Exit(None, 1.0), False, None, JobState.FAILED, "`make` ended, its exit code is not known"),
        (
            Exit(137, 1.0, True),
            False,
            None,
            JobState.FAILED,
            "`make` was killed: it used more memory than its type allows",
        ),
        (Exit(143, 1.0), True, None, JobState.CANCELLED, "cancelled"),
        (Exit(143, 1.0), False, "time limit", JobState.TIMED_OUT, "`make` was ended: the time limit"),
        (Exit(0, 1.0), False, "time limit", JobState.TIMED_OUT, "`make` was ended: the time limit"),
    ],
)
def test_verdict(exit_: Exit, cancelled: bool, limit: str | None, state: JobState, reason: str) -> None:
    assert verdict(exit_, is_cancelled=cancelled, timed_out=limit, command="make") == (state, reason)
