"""The refs as they were when the last push of each was told."""

from sqlalchemy import Column, String, Table, delete, insert, select, update

from halage.base.database import Transaction
from halage.base.schema import Instant, metadata
from halage.source.model import ABSENT

refs_table = Table(
    "source_refs",
    metadata,
    Column("project", String(63), primary_key=True),
    Column("ref", String(255), primary_key=True),
    Column("sha", String(40), nullable=False),
    Column("seen_at", Instant, nullable=False),
)


def remember_ref(tx: Transaction, project: str, ref: str, sha: str) -> None:
    """Note that the push of `sha` to `ref` was told (ABSENT: its deletion); idempotent."""
    chosen = (refs_table.c.project == project) & (refs_table.c.ref == ref)
    if sha == ABSENT:
        tx.change(delete(refs_table).where(chosen))
    elif not tx.change(update(refs_table).where(chosen).values(sha=sha, seen_at=tx.now)):
        tx.execute(insert(refs_table).values(project=project, ref=ref, sha=sha, seen_at=tx.now))


def seen_refs(tx: Transaction, project: str) -> dict[str, str]:
    """The object id that each ref of a project was seen at."""
    rows = tx.execute(select(refs_table.c.ref, refs_table.c.sha).where(refs_table.c.project == project))
    return {row.ref: row.sha for row in rows}


def forget_refs(tx: Transaction, project: str) -> None:
    """Drop what is known of a project's refs."""
    tx.change(delete(refs_table).where(refs_table.c.project == project))
