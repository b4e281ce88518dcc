"""Which bundles are still needed: the others are deleted, so that the disk does not fill."""

from collections.abc import Collection

from sqlalchemy import select

from halage.base.database import Transaction
from halage.build.store import bundles_table, jobs_table
from halage.environment.tables.store import releases_table
from halage.pipeline.store import OPEN_RUNS, runs_table

KEPT_RUNS = 5
"""Ended runs of a project whose bundle is kept, so that they can be retried without a build."""
_NEEDED = ("new", "current", "good", "left")


def unneeded_bundles(tx: Transaction, project: str) -> list[str]:
    """Digests that no open run, no late run and no release that can be returned to needs."""
    mine = select(bundles_table.c.digest).where(bundles_table.c.project == project)
    digests = set(tx.execute(mine).scalars())
    return sorted(digests - _of_releases(tx, digests) - _of_runs(tx, project))


def _of_releases(tx: Transaction, digests: Collection[str]) -> set[str]:
    table = releases_table
    query = select(table.c.bundle_digest).where(
        table.c.state.in_(_NEEDED), table.c.bundle_digest.in_(digests)
    )
    return set(tx.execute(query).scalars())


def _of_runs(tx: Transaction, project: str) -> set[str]:
    table = runs_table
    newest = select(table.c.id).where(table.c.project == project).order_by(table.c.id.desc()).limit(KEPT_RUNS)
    kept = list(tx.execute(newest).scalars())
    still_open = select(table.c.id).where(table.c.project == project, table.c.state.in_(OPEN_RUNS))
    kept += tx.execute(still_open).scalars()
    jobs = select(jobs_table.c.bundle_digest).where(jobs_table.c.run_id.in_(kept))
    return {digest for digest in tx.execute(jobs).scalars() if digest is not None}
