"""Makes environments after others, rebuilds and terminates them."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic_core import PydanticCustomError
from sqlalchemy import delete, insert, select, update

from halage.base.database import Transaction
from halage.base.errors import Conflict, Invalid, NotFound
from halage.base.ids import new_id
from halage.base.journal import journal_table
from halage.environment.configuration import Configuration, StoredVariable
from halage.environment.control.controller import EnvironmentController
from halage.environment.machinery import Machinery
from halage.environment.model import InstanceState
from halage.environment.records import orders
from halage.environment.records.settings import base_now
from halage.environment.settings import freezing
from halage.environment.settings.addresses import shown_value
from halage.environment.settings.rules import values_of
from halage.environment.tables import settings_tables as tables
from halage.environment.tables import store
from halage.environment.tables.store import Place
from halage.site.effective import with_settings
from halage.site.model import EnvironmentPlan
from halage.site.values import check_environments

_ACTOR = "halage"
_TEMPLATE = re.compile(r"[a-z][a-z0-9-]{0,62}")
_UNFINISHED_S = 30 * 86400.0
"""How far back is looked for an environment whose removal was cut off."""
OF_ONE = frozenset({"domains"})
"""Settings that two environments cannot share."""


class ForgetsPlace(Protocol):
    """Removes what monitoring keeps of an environment that is gone."""

    async def __call__(self, project: str, environment: str, /) -> None:
        """Do it; idempotent. Raises Unavailable when that cannot be done at the moment."""
        ...


@dataclass(frozen=True, slots=True)
class EnvironmentTemplate:
    """The settings of an environment under a name, to make others of."""

    project: str
    name: str
    settings: dict[str, Any]
    """By path, as they may be shown."""
    created_at: float
    created_by: str


@dataclass(frozen=True, slots=True)
class Made:
    """An environment that was made, and the deployment that fills it; None: nothing is deployed to it yet."""

    project: str
    environment: str
    deployment_id: int | None


class EnvironmentMaking:
    """The use cases. Every method raises NoSuchEnvironment for an unknown one."""

    def __init__(
        self, machinery: Machinery, controller: EnvironmentController, forget_watched: ForgetsPlace
    ) -> None:
        self._m = machinery
        self._controller = controller
        self._forget_watched = forget_watched

    async def recover(self) -> None:
        """Finish what was being removed when an earlier control plane died."""
        for project, name in await self._m.database.run(_half_terminated, None):
            await self._remove_traces((project, name))

    async def clone(self, project: str, name: str, new: str, *, actor: str) -> Made:
        """Another environment with the settings, variables and release of this one.

        Not its domains and not what its instances keep between releases. Raises Invalid, Conflict.
        """
        return await self._made(await self._m.database.run(_clone, (project, name), new, actor))

    async def create(self, project: str, new: str, *, template: str | None, actor: str) -> Made:
        """An empty environment, with the settings of a template if one is named. Raises Invalid, Conflict."""
        return await self._made(await self._m.database.run(_create, (project, new), template, actor))

    async def _made(self, made: Made) -> Made:
        place = (made.project, made.environment)
        self._controller.note_change()
        await self._m.routing.change({place: EnvironmentPlan(made.environment)})
        self._controller.wake(place)
        return made

    async def rebuild(self, project: str, name: str, *, actor: str) -> int:
        """End every instance at once and start the release anew, unpacked again; returns the deployment.

        Visitors are not served meanwhile. Raises NothingDeployed; Conflict while a deployment is under way.
        """
        deadline_s = self._m.limits.deadline_s
        deployment_id, superseded = await self._m.database.run(_rebuild, (project, name), actor, deadline_s)
        self._controller.wake((project, name))
        self._controller.tell(superseded)
        return deployment_id

    async def terminate(self, project: str, name: str, *, actor: str) -> None:
        """End every instance and remove the environment with all that belongs to it but the journal.

        Cannot be undone. The next push that goes to it makes it anew, empty. Raises Unavailable when a disk
        is full: asked again, it goes on.
        """
        place = (project, name)
        deleted, runs = await self._m.database.run(_terminate, place, actor)
        await self._controller.leave(place, deleted.deployments)
        late = await self._m.database.run(store.delete_places, project, name)
        self._controller.note_change()
        self._controller.tell(runs)
        await self._m.routing.change({place: None})
        units = [*deleted.instances, *late.instances, *deleted.executions, *late.executions]
        await self._controller.fleet.forget(units, [*deleted.deployments, *late.deployments])
        await self._remove_traces(place)

    async def _remove_traces(self, place: Place) -> None:
        """What is beside the rows of an environment that is gone; may be done again."""
        await asyncio.to_thread(self._m.places.forget_environment, place)
        await self._forget_watched(*place)
        await self._m.database.run(_note, "environment:Terminated", place, _ACTOR)

    # -- templates

    async def save_template(
        self, project: str, name: str, template: str, *, actor: str
    ) -> EnvironmentTemplate:
        """Keep the settings of an environment under a name; one of that name is replaced."""
        return await self._m.database.run(_save_template, (project, name), template, actor)

    async def templates(self, project: str) -> Sequence[EnvironmentTemplate]:
        """The templates of a project, by name."""
        return await self._m.database.run(_templates, project)

    async def delete_template(self, project: str, template: str, *, actor: str) -> None:
        """Forget a template; environments made of it stay. Raises NotFound."""
        await self._m.database.run(_delete_template, project, template, actor)


def _own_settings(tx: Transaction, place: Place) -> dict[str, Any]:
    """What is not as by default in an environment, as settings of another one; addresses sealed."""
    rows = orders.rows_of(tx, place)
    held, base = tables.settings_now(tx, place), base_now(tx, rows)
    values = values_of(with_settings(base, place[1], held), place[1])
    default = values_of(replace(base, environments={}), place[1])
    own = {path: value for path, value in values.items() if value != default.get(path) and value is not None}
    return {path: value for path, value in own.items() if path not in OF_ONE}


def _clone(tx: Transaction, place: Place, new: str, actor: str) -> Made:
    settings = _own_settings(tx, place)
    rows = orders.rows_of(tx, place)
    target = (place[0], new)
    _insert(tx, target, actor, of=place[1])
    tables.put_settings(tx, target, settings, actor)
    base = base_now(tx, rows)
    plan = base.environments.get(place[1])
    for key, value in ((plan.variables if plan else None) or {}).items():
        _put_variable(tx, target, key, StoredVariable(value, False), actor)
    for key, stored in freezing.variables_now(tx, place).items():
        _put_variable(tx, target, key, stored, actor)
    current = rows.releases.get(rows.environment.current_release_id)
    if current is None:
        return Made(*target, None)
    release_id = store.insert_release(
        tx,
        target,
        {
            "bundle_digest": current.bundle_digest,
            "commit": current.commit,
            "title": current.title,
            "configuration": freezing.configured(
                tx, target, Configuration.from_document(current.configuration).base
            ).to_document(),
            "run_id": current.run_id,
            "created_by": actor,
        },
    )
    values = {"token": new_id("clone"), "kind": "deploy", "release_id": release_id, "created_by": actor}
    return Made(*target, store.insert_deployment(tx, target, values))


def _put_variable(tx: Transaction, place: Place, name: str, stored: StoredVariable, actor: str) -> None:
    values = {"value": stored.value, "is_secret": stored.is_secret, "updated_by": actor}
    store.put_variable(tx, place, name, values)


def _create(tx: Transaction, place: Place, template: str | None, actor: str) -> Made:
    settings = _template(tx, place[0], template).settings if template is not None else {}
    _insert(tx, place, actor, template=template or "")
    tables.put_settings(tx, place, settings, actor)
    return Made(*place, None)


def _insert(tx: Transaction, place: Place, actor: str, **details: Any) -> None:
    project, name = place
    try:
        check_environments({name: {}})
    except PydanticCustomError as error:
        raise Invalid(f"An environment cannot be called {name!r}: allowed are {error.message()}.") from error
    if store.environment_row(tx, place) is not None:
        raise Conflict(f"{project} has an environment {name} already; choose another name")
    orders.create(tx, project, [EnvironmentPlan(name)])
    _note(tx, "environment:Create", place, actor, after={"name": name}, **details)


def _rebuild(tx: Transaction, place: Place, actor: str, server_deadline_s: float) -> tuple[int, list[int]]:
    under_way = store.deployments_in(tx, store.OPEN_DEPLOYMENTS, place)
    if under_way:
        raise Conflict(f"deployment {under_way[0].id} is under way: let it end, or abort it, then rebuild")
    deployment_id, superseded = orders.order_restart(tx, place, actor, server_deadline_s)
    table = store.instances_table
    here = (table.c.project == place[0], table.c.environment == place[1])
    living = table.c.state.not_in((*store.ENDED_INSTANCES, InstanceState.STOPPING.value))
    stopping = {"state": InstanceState.STOPPING.value, "reason": f"rebuilt by {actor}", "since": tx.now}
    count = tx.change(update(table).where(*here, living).values(stopping))
    _note(tx, "environment:Rebuild", place, actor, before={"instances": count}, deployment=deployment_id)
    return deployment_id, superseded


def _terminate(tx: Transaction, place: Place, actor: str) -> tuple[store.Deleted, list[int | None]]:
    """Remove the rows; returns what they told of, and the runs that waited for a deployment of it."""
    if store.environment_row(tx, place) is None and place in _half_terminated(tx, place[0]):
        return store.Deleted([], [], []), []
    rows = orders.rows_of(tx, place)
    runs = [row.run_id for row in store.deployments_in(tx, store.OPEN_DEPLOYMENTS, place)]
    current = rows.releases.get(rows.environment.current_release_id)
    before = {"release": current.number if current is not None else None, "instances": len(rows.instances)}
    _note(tx, "environment:Terminate", place, actor, before=before)
    tables.forget_settings(tx, *place)
    return store.delete_places(tx, *place), runs


def _half_terminated(tx: Transaction, project: str | None) -> list[Place]:
    """Environments (None: of every project) that are gone, but were not removed whole."""
    columns = journal_table.c
    query = select(columns.subject, columns.action).where(
        columns.at > tx.now - _UNFINISHED_S,
        columns.action.in_(("environment:Terminate", "environment:Terminated")),
    )
    if project is not None:
        query = query.where(columns.project == project)
    last = {row.subject: row.action for row in tx.execute(query.order_by(columns.id))}
    begun = [subject for subject, action in last.items() if action == "environment:Terminate"]
    places = [(parts[1], parts[3]) for parts in (subject.split("/") for subject in begun)]
    return [place for place in places if store.environment_row(tx, place) is None]


def _save_template(tx: Transaction, place: Place, template: str, actor: str) -> EnvironmentTemplate:
    if not _TEMPLATE.fullmatch(template):
        raise Invalid(
            f"A template cannot be called {template!r}: allowed are names of lower-case letters, digits and "
            "hyphens that begin with a letter, at most 63."
        )
    settings = _own_settings(tx, place)
    table, project = tables.templates_table, place[0]
    tx.execute(delete(table).where(table.c.project == project, table.c.name == template))
    row = {"project": project, "name": template, "settings": settings, "created_at": tx.now}
    tx.execute(insert(table).values(created_by=actor, **row))
    shown = {path: shown_value(path, value) for path, value in settings.items()}
    _note(tx, "environment:SaveTemplate", place, actor, after=shown, template=template)
    return EnvironmentTemplate(project, template, shown, tx.now, actor)


def _templates(tx: Transaction, project: str) -> list[EnvironmentTemplate]:
    query = select(tables.templates_table).where(tables.templates_table.c.project == project)
    return [_shown(row) for row in tx.execute(query.order_by(tables.templates_table.c.name))]


def _shown(row: Any) -> EnvironmentTemplate:
    shown = {path: shown_value(path, value) for path, value in row.settings.items()}
    return EnvironmentTemplate(row.project, row.name, shown, row.created_at, row.created_by)


def _template(tx: Transaction, project: str, name: str) -> Any:
    table = tables.templates_table
    query = select(table).where(table.c.project == project, table.c.name == name)
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"{project} has no template {name}; `halage env template list` shows those it has")
    return row


def _delete_template(tx: Transaction, project: str, name: str, actor: str) -> None:
    row, table = _template(tx, project, name), tables.templates_table
    tx.execute(delete(table).where(table.c.project == project, table.c.name == name))
    before = _shown(row).settings
    tx.record(
        "environment:DeleteTemplate",
        actor=actor,
        subject=f"project/{project}",
        project=project,
        before=before,
        template=name,
    )


def _note(
    tx: Transaction,
    /,
    action: str,
    place: Place,
    actor: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    **details: Any,
) -> None:
    subject = f"project/{place[0]}/environment/{place[1]}"
    tx.record(action, actor=actor, subject=subject, project=place[0], before=before, after=after, **details)
