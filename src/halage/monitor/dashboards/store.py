"""The table of dashboards."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Column, Index, Integer, Select, String, Table, delete, insert, or_, select, update
from sqlalchemy.engine import Row

from halage.base.database import Transaction
from halage.base.schema import Document, Instant, metadata
from halage.monitor.dashboards.errors import DashboardChanged, NoSuchDashboard
from halage.monitor.dashboards.model import Dashboard, Layout, Place
from halage.monitor.dashboards.rules import from_document, in_words, to_document

dashboards_table = Table(
    "dashboards",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(63)),
    Column("name", String(100), nullable=False),
    Column("document", Document, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", String(100), nullable=False),
    Index("ix_dashboards_project", "project"),
    sqlite_autoincrement=True,
)

_STANDS_FOR = "stands_for"
"""In the document: the id of the place whose made-by-itself dashboard this one replaces."""


def get_all(tx: Transaction, projects: Collection[str] | None) -> list[Dashboard]:
    """Those of the server and of these projects (None: of all), by name."""
    query = select(dashboards_table)
    if projects is not None:
        of_server = dashboards_table.c.project.is_(None)
        query = query.where(or_(of_server, dashboards_table.c.project.in_(projects)))
    return [_dashboard(row) for row in tx.execute(query.order_by(dashboards_table.c.name))]


def get(tx: Transaction, number: int) -> Dashboard | None:
    """One that people made, by its number."""
    row = tx.execute(select(dashboards_table).where(dashboards_table.c.id == number)).first()
    return None if row is None or _STANDS_FOR in row.document else _dashboard(row)


def get_of_place(tx: Transaction, place: Place) -> Dashboard | None:
    """The one that people put in the place of the made-by-itself one."""
    row = _row_of_place(tx, place)
    return None if row is None else _dashboard(row)


def add(tx: Transaction, project: str | None, layout: Layout, actor: str, place: Place | None) -> Dashboard:
    """A new one; with a place it replaces the made-by-itself one. Raises DashboardChanged when it has."""
    if place is not None and (there := _row_of_place(tx, place)) is not None:
        raise _changed(there)
    document = to_document(layout) | ({} if place is None else {_STANDS_FOR: place.id})
    values = {
        "project": project,
        "name": layout.name,
        "document": document,
        "version": 1,
        "created_at": tx.now,
        "updated_at": tx.now,
        "updated_by": actor,
    }
    number = tx.insert(insert(dashboards_table).values(**values))
    id_ = str(number) if place is None else place.id
    _note(tx, "monitor:SetDashboard", id_, project, actor, None, _summary(layout, 1))
    return Dashboard(id_, project, layout, 1, tx.now, tx.now, actor)


def change(tx: Transaction, id_: str, place: Place | None, layout: Layout, version: int, actor: str) -> None:
    """Replace the layout of version `version`. Raises NoSuchDashboard, DashboardChanged."""
    row = _row(tx, id_, place)
    if row.version != version:
        raise _changed(row)
    document = to_document(layout) | ({} if place is None else {_STANDS_FOR: place.id})
    tx.change(
        update(dashboards_table)
        .where(dashboards_table.c.id == row.id)
        .values(
            name=layout.name,
            document=document,
            version=version + 1,
            updated_at=tx.now,
            updated_by=actor,
        )
    )
    before, after = _summary_of(row), _summary(layout, version + 1)
    _note(tx, "monitor:SetDashboard", id_, row.project, actor, before, after)


def remove(tx: Transaction, id_: str, place: Place | None, actor: str) -> None:
    """Delete it; a place has the made-by-itself one again. Raises NoSuchDashboard."""
    row = _row(tx, id_, place)
    tx.change(delete(dashboards_table).where(dashboards_table.c.id == row.id))
    _note(tx, "monitor:DeleteDashboard", id_, row.project, actor, _summary_of(row), None)


def remove_of_place(tx: Transaction, project: str, environment: str | None) -> None:
    """Delete those of a project, or those that show one environment of it."""

    def is_gone(row: Row[Any]) -> bool:
        if environment in (None, from_document(row.document).environment):
            return True
        return bool(row.document.get(_STANDS_FOR) == Place(project, environment).id)

    query = select(dashboards_table).where(dashboards_table.c.project == project)
    gone = [row.id for row in tx.execute(query) if is_gone(row)]
    tx.change(delete(dashboards_table).where(dashboards_table.c.id.in_(gone)))


def _row(tx: Transaction, id_: str, place: Place | None) -> Row[Any]:
    row = _row_of_place(tx, place) if place is not None else None
    if place is None:
        row = tx.execute(select(dashboards_table).where(dashboards_table.c.id == int(id_))).first()
        row = None if row is None or _STANDS_FOR in row.document else row
    if row is None:
        raise NoSuchDashboard(f"There is no dashboard {id_} that people made, or you may not see it.")
    return row


def _row_of_place(tx: Transaction, place: Place) -> Row[Any] | None:
    query: Select[Any] = select(dashboards_table).where(dashboards_table.c.project == place.project)
    if place.project is None:
        query = select(dashboards_table).where(dashboards_table.c.project.is_(None))
    return next((row for row in tx.execute(query) if row.document.get(_STANDS_FOR) == place.id), None)


def _dashboard(row: Row[Any]) -> Dashboard:
    return Dashboard(
        id=row.document.get(_STANDS_FOR, str(row.id)),
        project=row.project,
        layout=from_document(_layout_of(row)),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
    )


def _layout_of(row: Row[Any]) -> dict[str, Any]:
    return {key: value for key, value in row.document.items() if key != _STANDS_FOR}


def _changed(row: Row[Any]) -> DashboardChanged:
    return DashboardChanged(
        f"{row.updated_by} changed this dashboard meanwhile (it is at version {row.version}). "
        "Load it again, or save over it on purpose with that version.",
        version=row.version,
        updated_by=row.updated_by,
    )


def _summary_of(row: Row[Any]) -> dict[str, Any]:
    return _summary(from_document(_layout_of(row)), row.version)


def _summary(layout: Layout, version: int) -> dict[str, Any]:
    """What the journal shows of a dashboard: a value for each widget, so that one that changed stands out."""
    widgets = {f"widget {each.id}": in_words(each) for each in layout.widgets}
    return {"name": layout.name, "version": version, "range_s": layout.range_s, **widgets}


def _note(
    tx: Transaction,
    action: str,
    id_: str,
    project: str | None,
    actor: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    subject = f"dashboard/{id_}"
    tx.record(action, actor=actor, subject=subject, project=project, before=before, after=after)
