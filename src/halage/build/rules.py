"""What a job does next. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from shlex import quote

from halage.build.model import JobState
from halage.compute.model import Exit
from halage.site.model import Site


class Step(StrEnum):
    """What the controller does with a job."""

    WAIT = "wait"
    """For a free place; the reason says so."""
    BEGIN = "begin"
    """Check out and start the commands."""
    ADOPT = "adopt"
    """Its commands run, or have ended, and nobody of this control plane looks after them."""
    BEGIN_AGAIN = "begin again"
    """It was cut off: its commands are gone without a result."""
    END_CANCELLED = "end cancelled"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What is recorded and observed of a job."""

    state: JobState
    is_cancelled: bool
    is_looked_after: bool
    """A task of this control plane is at it."""
    is_unit_known: bool
    """Its commands were started, and the driver knows of them."""
    has_room: bool
    """Fewer jobs run than may."""


def decide(facts: JobFacts) -> Step:
    """The next step of a job."""
    if facts.state.is_final or facts.is_looked_after:
        return Step.NOTHING
    if facts.is_cancelled:
        return Step.END_CANCELLED
    if facts.state is JobState.QUEUED:
        return Step.BEGIN if facts.has_room else Step.WAIT
    return Step.ADOPT if facts.is_unit_known else Step.BEGIN_AGAIN


PHASE_MARK = "\x1e"
"""A line that begins with it is the script speaking to Halage, not a command to people."""


def script_of(site: Site) -> str:
    """The shell script of a job: build commands, then test commands, each in a shell of its own.

    Before each phase and command it prints a marked line, so that time limits and messages can
    name what was running. It ends with the first failing command's exit code.
    """
    lines = ["#!/bin/sh", "set -u"]
    for phase, commands in (("build", site.build.commands), ("test", site.test.commands)):
        if commands:
            lines.append(f"printf '\\036phase {phase}\\n'")
        lines += [f"{_say(command)}\nsh -ec {quote(command)} || exit $?" for command in commands]
    return "\n".join(lines) + "\n"


def _say(command: str) -> str:
    first = command.strip().splitlines()[0] if command.strip() else command
    return f"printf '\\036command %s\\n' {quote(first)}"


def verdict(exit_: Exit, *, is_cancelled: bool, timed_out: str | None, command: str) -> tuple[JobState, str]:
    """The state that a job ends in, and why, in words."""
    if is_cancelled:
        return JobState.CANCELLED, "cancelled"
    if timed_out is not None:
        return JobState.TIMED_OUT, f"`{command}` was ended: the {timed_out}"
    if exit_.code == 0 and not exit_.out_of_memory:
        return JobState.SUCCEEDED, ""
    return JobState.FAILED, f"`{command}` {exit_}" if command else f"the job {exit_}"
