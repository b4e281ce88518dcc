"""Changes what is set on the server in an environment: looks, compares, records, asks for the deployment."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from halage.base.database import Database, Transaction
from halage.base.ids import new_id
from halage.environment.configuration import Configuration, Sealer
from halage.environment.errors import NoSuchRelease
from halage.environment.model import DeploymentState
from halage.environment.records import ledger, orders
from halage.environment.settings import freezing
from halage.environment.settings.addresses import sealed_value
from halage.environment.settings.model import (
    Change,
    Difference,
    PastChange,
    Settings,
    Wish,
)
from halage.environment.settings.rules import (
    NO_SITE_RUN,
    check_unset,
    differences,
    settings_view,
    values_of,
    variables_view,
    wanted_settings,
)
from halage.environment.tables import settings_tables as tables
from halage.environment.tables import store
from halage.environment.tables.store import Place
from halage.site.effective import GROUPS, Reading, with_settings
from halage.site.model import BuildPlan, EnvironmentPlan, Kind, Site, TestPlan
from halage.site.plans import flat


class EnvironmentSettings:
    """The use cases of settings. Every method raises NoSuchEnvironment for an unknown one."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        reading: Reading,
        *,
        wake: Callable[[Place], None],
        tell: Callable[[Sequence[int]], None],
    ) -> None:
        """`wake` looks at an environment; `tell` tells runs that one of their deployments has changed."""
        self._database = database
        self._sealer = sealer
        self._reading = reading
        self._wake = wake
        self._tell = tell

    async def show(self, project: str, name: str, *, release: int | None = None) -> Settings:
        """All settings with their source; `release`: as they are in that one. Raises NoSuchRelease."""
        return await self._database.run(_show, (project, name), release)

    async def change(self, project: str, name: str, wish: Wish, *, actor: str) -> Change:
        """Set and unset settings; what serves gets them by a deployment of its own.

        Raises SettingsInvalid with every problem, and then nothing is changed.
        """
        place = (project, name)
        change = await self._database.run(_change, place, wish, actor, self._sealer, self._reading)
        if not wish.is_preview:
            self._wake(place)
            self._tell(change.superseded_runs)
        return change

    async def history(self, project: str, name: str, *, limit: int = 50) -> Sequence[PastChange]:
        """The changes that were made, newest first."""
        return await self._database.run(_history, (project, name), limit)


def _show(tx: Transaction, place: Place, number: int | None) -> Settings:
    rows = orders.rows_of(tx, place)
    current = rows.releases.get(rows.environment.current_release_id)
    deployed = Configuration.from_document(current.configuration) if current is not None else None
    if number is not None:
        current = _numbered(tx, place, number)
        deployed = Configuration.from_document(current.configuration)
        base, held = deployed.base, deployed.settings
    else:
        base, held = base_now(tx, rows), tables.settings_now(tx, place)
    people = [(row.name, None if row.is_secret else row.value, bool(row.is_secret)) for row in rows.variables]
    settings = settings_view(base, place[1], held, deployed)
    variables, order = variables_view(base, place[1], people), list(GROUPS)
    return Settings(
        project=place[0],
        environment=place[1],
        release=current.number if current is not None else None,
        settings=tuple(sorted((*settings, *variables), key=lambda each: order.index(each.group))),
    )


def _numbered(tx: Transaction, place: Place, number: int) -> Any:
    for row in store.release_rows(tx, place):
        if row.number == number:
            return row
    raise NoSuchRelease(f"{place[0]} {place[1]} has no release v{number}; `halage env releases` lists them")


def base_now(tx: Transaction, rows: store.EnvironmentRows) -> Site:
    """What halage.toml says of an environment: in the release that serves, else in the newest one."""
    environment = rows.environment
    row = rows.releases.get(environment.current_release_id)
    if row is None:
        row = next(iter(store.release_rows(tx, (environment.project, environment.name))), None)
    if row is not None:
        return Configuration.from_document(row.configuration).base
    plan = EnvironmentPlan(
        environment.name,
        instances=environment.plan.get("instances", 1),
        type=environment.plan.get("type", "micro"),
        domains=tuple(environment.plan.get("domains", ())),
    )
    return Site(Kind.STATIC, BuildPlan(), TestPlan(), NO_SITE_RUN, {}, {environment.name: plan}, ())


def _change(
    tx: Transaction, place: Place, wish: Wish, actor: str, sealer: Sealer, reading: Reading
) -> Change:
    rows = orders.rows_of(tx, place)
    held, base = tables.settings_now(tx, place), base_now(tx, rows)
    given = {
        path: sealed_value(path, value, held.get(path), sealer) for path, value in flat(wish.set).items()
    }
    check_unset(wish.unset, {*values_of(with_settings(base, place[1], held), place[1]), *held})
    wanted = wanted_settings(held, replace(wish, set=given))
    site = with_settings(base, place[1], wanted, reading)
    found = differences(values_of(with_settings(base, place[1], held), place[1]), values_of(site, place[1]))
    if wish.is_preview or wanted == held:
        return Change(found)
    tables.put_settings(tx, place, wanted, actor)
    tables.add_change(tx, place, actor, wish.reason, [asdict(each) for each in found])
    freezing.note_configured(tx, place, actor, wish.reason, differences(held, wanted))
    if rows.environment.current_release_id is None and not store.deployments_in(
        tx, store.OPEN_DEPLOYMENTS, place
    ):
        return Change(found)
    deployment_id = _order(tx, place, actor)
    return Change(found, deployment_id)


def _order(tx: Transaction, place: Place, actor: str) -> int:
    """Ask for a deployment of what is set; one that waits for older settings needs not be done."""
    rows = orders.rows_of(tx, place)
    for row in store.deployments_in(tx, [DeploymentState.WAITING.value], place):
        if row.kind == freezing.KIND:
            ledger.end_unstarted(tx, row, f"superseded by newer settings of {actor}")
    model = rows.releases.get(rows.environment.current_release_id) or next(
        iter(store.release_rows(tx, place))
    )
    # It is frozen when it begins: what is deployed until then is what the settings are for.
    release_id = store.insert_release(
        tx,
        place,
        {
            "bundle_digest": model.bundle_digest,
            "commit": model.commit,
            "title": model.title,
            "configuration": model.configuration,
            "run_id": model.run_id,
            "created_by": actor,
        },
    )
    values = {"token": new_id(freezing.KIND), "kind": freezing.KIND, "release_id": release_id}
    return store.insert_deployment(tx, place, {**values, "created_by": actor})


def _history(tx: Transaction, place: Place, limit: int) -> list[PastChange]:
    orders.rows_of(tx, place)
    rows = tables.change_rows(tx, place, limit)
    releases = store.releases_by_id(tx, [row.release_id for row in rows])
    return [
        PastChange(
            id=row.id,
            at=row.at,
            by=row.by,
            reason=row.reason,
            differences=tuple(Difference(**each) for each in row.differences),
            release=releases[row.release_id].number if row.release_id in releases else None,
        )
        for row in rows
    ]
