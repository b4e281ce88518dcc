"""Jobs and what comes out of them: a console, a test report, a bundle."""

from dataclasses import dataclass
from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands. The last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class TestCase:
    """One test of a report. `outcome`: passed, failed, error, skipped."""

    name: str
    group: str
    outcome: str
    duration_s: float
    message: str = ""

    __test__ = False


@dataclass(frozen=True, slots=True)
class TestReport:
    """The sum of a job's JUnit XML files; `failures` and `slowest` (5) are kept whole."""

    passed: int
    failed: int
    skipped: int
    duration_s: float
    failures: tuple[TestCase, ...]
    slowest: tuple[TestCase, ...]

    __test__ = False

    @property
    def total(self) -> int:
        """All tests, skipped ones included."""
        return self.passed + self.failed + self.skipped


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a job built: a zstd tar, named by the SHA-256 of its bytes."""

    digest: str
    project: str
    commit: str
    size_bytes: int
    created_at: float


@dataclass(frozen=True, slots=True)
class Job:
    """One checkout, build, test and bundle of one commit."""

    id: int
    project: str
    commit: str
    run_id: int
    state: JobState
    attempt: int
    reason: str
    """Why it waits (queued) or how it ended, in words."""
    exit_code: int | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    peak_memory_bytes: int | None
    report: TestReport | None
    bundle_digest: str | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """One line of a console: its number from 0, seconds since the job's start, text (secrets masked)."""

    number: int
    at_s: float
    text: str
