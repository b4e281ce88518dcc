"""The tables of jobs and bundles."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Row

from halage.base.database import Transaction
from halage.base.schema import Document, Instant, metadata
from halage.build.model import Bundle, Job, JobState, TestCase, TestReport

jobs_table = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", String(100), nullable=False, unique=True),
    Column("project", String(63), nullable=False, index=True),
    Column("commit", String(40), nullable=False),
    Column("run_id", Integer, nullable=False),
    Column("site", Document, nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("is_cancelled", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("exit_code", Integer),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("peak_memory_bytes", BigInteger),
    Column("report", Document),
    Column("bundle_digest", String(64)),
    Column("warnings", Document, nullable=False),
    sqlite_autoincrement=True,
)

bundles_table = Table(
    "bundles",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("project", String(63), primary_key=True),
    Column("commit", String(40), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
)


def insert_job(tx: Transaction, values: Mapping[str, Any]) -> int:
    """Add a queued job, or find the one that was asked for before with this token; returns its id."""
    query = select(jobs_table.c.id).where(jobs_table.c.token == values["token"])
    if (before := tx.execute(query).scalar()) is not None:
        return int(before)
    row = {"state": JobState.QUEUED.value, "attempt": 1, "is_cancelled": False, "reason": "", "warnings": []}
    return tx.insert(insert(jobs_table).values({**row, "created_at": tx.now, **values}))


def job_row(tx: Transaction, job_id: int) -> Row[Any] | None:
    """One job by id, or None."""
    return tx.execute(select(jobs_table).where(jobs_table.c.id == job_id)).one_or_none()


def open_jobs(tx: Transaction) -> list[Row[Any]]:
    """Jobs that have not ended, oldest first."""
    states = (JobState.QUEUED.value, JobState.RUNNING.value)
    return list(
        tx.execute(select(jobs_table).where(jobs_table.c.state.in_(states)).order_by(jobs_table.c.id))
    )


def update_job(tx: Transaction, job_id: int, /, **values: Any) -> None:
    """Change columns of one job."""
    tx.execute(update(jobs_table).where(jobs_table.c.id == job_id).values(**values))


def finish_job(tx: Transaction, job_id: int, attempt: int, values: Mapping[str, Any]) -> bool:
    """Record how an attempt ended; False when the job is past it: a late result changes nothing."""
    table = jobs_table
    changed = tx.change(
        update(table)
        .where(table.c.id == job_id, table.c.attempt == attempt, table.c.state == JobState.RUNNING.value)
        .values(finished_at=tx.now, **values)
    )
    return changed == 1


def put_bundle(tx: Transaction, bundle: Bundle) -> None:
    """Record a bundle; one that is known already stays as it is."""
    table = bundles_table
    query = select(func.count()).where(table.c.digest == bundle.digest, table.c.project == bundle.project)
    if not tx.execute(query).scalar():
        tx.execute(insert(table).values(asdict(bundle)))


def drop_bundles(tx: Transaction, project: str, digests: Sequence[str]) -> list[str]:
    """Remove a project's bundles; returns the digests that nobody else has."""
    table = bundles_table
    tx.execute(delete(table).where(table.c.project == project, table.c.digest.in_(digests)))
    others = set(tx.execute(select(table.c.digest).where(table.c.digest.in_(digests))).scalars())
    return sorted(set(digests) - others)


def delete_jobs(tx: Transaction, project: str) -> tuple[list[int], list[str]]:
    """Remove a project's jobs and bundles; returns job ids and digests that nobody else has."""
    jobs = list(tx.execute(select(jobs_table.c.id).where(jobs_table.c.project == project)).scalars())
    mine = list(
        tx.execute(select(bundles_table.c.digest).where(bundles_table.c.project == project)).scalars()
    )
    tx.execute(delete(jobs_table).where(jobs_table.c.project == project))
    return jobs, drop_bundles(tx, project, mine)


def report_document(report: TestReport) -> dict[str, Any]:
    """A report as plain JSON values."""
    return asdict(report)


def job_view(row: Any) -> Job:
    """A job as people see it."""
    return Job(
        id=row.id,
        project=row.project,
        commit=row.commit,
        run_id=row.run_id,
        state=JobState(row.state),
        attempt=row.attempt,
        reason=row.reason,
        exit_code=row.exit_code,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        peak_memory_bytes=row.peak_memory_bytes,
        report=_report(row.report) if row.report else None,
        bundle_digest=row.bundle_digest,
        warnings=tuple(row.warnings),
    )


def _report(document: Mapping[str, Any]) -> TestReport:
    cases = {name: tuple(TestCase(**case) for case in document[name]) for name in ("failures", "slowest")}
    return TestReport(**{**document, **cases})
