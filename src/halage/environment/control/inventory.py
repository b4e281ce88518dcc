"""What there is to watch, told to monitoring: a copy of which only what changed is made anew."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from halage.base.database import Transaction
from halage.base.errors import HalageError
from halage.environment.autoscaling.model import WEB
from halage.environment.configuration import Configuration
from halage.environment.control.controller import EnvironmentController
from halage.environment.instances.fleet import copy_of
from halage.environment.instances.seats import type_of
from halage.environment.machinery import Machinery
from halage.environment.model import DeploymentState, InstanceState
from halage.environment.records.standing import Standing
from halage.environment.tables import store
from halage.environment.tables.store import Place
from halage.monitor.inventory import LogLimits, WatchedEnvironment, WatchedInstance, Workload
from halage.site.model import EnvironmentPlan
from halage.site.settings import LogPlan

_DAY_S = 86400.0

log = structlog.get_logger()


FEW = 20
"""So many environments, and no more, are read one by one; of more, all are read at once."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Everything that is recorded of some environments, or of all in five statements."""

    environments: dict[Place, Any]
    instances: dict[Place, list[Any]]
    open_deployments: dict[Place, Any]
    configurations: dict[int, Mapping[str, Any]]
    """Of the releases that were not known before, by id."""
    sealed: dict[Place, list[str]]
    """The secret variables of now."""
    numbers: dict[int, int]
    """Of the releases that were not known before, by id."""
    last_deployments: dict[Place, Any]
    """The newest one of each environment, whatever became of it."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is told of an environment, and what that was made of."""

    watched: WatchedEnvironment
    standing: Standing
    order: tuple[str, int, str]
    """By project, in it in the order of the way of a change."""
    releases: frozenset[int]
    """Those whose configuration is in use."""
    sealed: frozenset[str]


class EnvironmentInventory:
    """The `monitor.Inventory` of all environments. It asks the database only for environments that the
    controller or a person changed something of; without that, a call costs a comparison."""

    def __init__(
        self,
        machinery: Machinery,
        controller: EnvironmentController,
        workload: Callable[[], Awaitable[Workload]],
    ) -> None:
        """`workload` counts what the domains above have to do."""
        self._m = machinery
        self._controller = controller
        self._workload = workload
        self._version: int | None = None
        self._found: tuple[WatchedEnvironment, ...] = ()
        self._standings: tuple[Standing, ...] = ()
        self._kept: dict[Place, _Kept] = {}
        self._configurations: dict[int, Configuration] = {}
        self._numbers: dict[int, int] = {}
        """Of the releases that are in use, by id; every standing looks into it."""
        self._opened: dict[str, str | None] = {}
        """Secrets by their sealed form: each is opened once."""

    async def environments(self) -> Sequence[WatchedEnvironment]:
        """Every environment of every project."""
        await self._look()
        return self._found

    async def standings(self) -> Sequence[Standing]:
        """What the health of each depends on; those that wait for their first release are not told."""
        await self._look()
        return self._standings

    async def _look(self) -> None:
        # Taken before the reading: what changes meanwhile is read at the next call.
        version = self._controller.version
        if version != self._version:
            changed = self._controller.changed_since(self._version) if self._version is not None else None
            if changed is not None and len(changed) > FEW:
                changed = None
            rows = await self._m.database.run(_read, changed, frozenset(self._configurations))
            self._learn(rows, self._kept.keys() if changed is None else changed)
            kept = self._kept.values()
            self._found = tuple(each.watched for each in kept)
            self._standings = tuple(each.standing for each in kept if each.watched.has_release)
            self._version = version

    async def workload(self) -> Workload:
        """What waits and what is under way."""
        return await self._workload()

    def _learn(self, rows: _Rows, changed: Iterable[Place]) -> None:
        """Keep what was read. Configurations and secrets that are in use are kept, and no others."""
        for release_id, document in rows.configurations.items():
            self._configurations[release_id] = Configuration.from_document(document)
        self._numbers |= rows.numbers
        former = {place: self._kept[place] for place in changed if place in self._kept}
        for place in former.keys() - rows.environments.keys():
            del self._kept[place]
        kept = {place: self._keep(row, rows) for place, row in rows.environments.items()}
        self._kept |= kept
        if any(place not in former or former[place].order != each.order for place, each in kept.items()):
            self._kept = dict(sorted(self._kept.items(), key=lambda entry: entry[1].order))
        for place, before in former.items():
            after = kept.get(place)
            for release_id in before.releases - (after.releases if after else frozenset()):
                self._configurations.pop(release_id, None)
                self._numbers.pop(release_id, None)
            for each in before.sealed - (after.sealed if after else frozenset()):
                self._opened.pop(each, None)  # one that another environment has too is opened again there

    def _keep(self, row: Any, rows: _Rows) -> _Kept:
        releases = _used_releases(row, rows)
        sealed = set(rows.sealed.get((row.project, row.name), ()))
        for release_id in releases:
            # Who was started before a secret was changed still prints the old one.
            sealed |= _sealed_in(self._configurations[release_id])
        for each in sealed - self._opened.keys():
            self._opened[each] = self._open(each)
        order = (row.project, row.position, row.name)
        watched = self._watched(row, rows, sealed)
        return _Kept(watched, self._standing(row, rows), order, releases, frozenset(sealed))

    def _open(self, sealed: str) -> str | None:
        try:
            return self._m.sealer.open(sealed)
        except HalageError as error:
            # No instance could be started with it either; what cannot be known cannot be masked.
            log.warning("secret not opened", action="monitor:Mask", subject="server", reason=error.message)
            return None

    def _watched(self, row: Any, rows: _Rows, sealed: set[str]) -> WatchedEnvironment:
        place = (row.project, row.name)
        deployment = rows.open_deployments.get(place)
        goal = self._configurations.get(_goal(row, deployment))
        plan = goal.plan(row.name) if goal is not None else None
        instances = rows.instances.get(place, [])
        return WatchedEnvironment(
            project=row.project,
            name=row.name,
            wanted=goal.wanted(row.name, row.instances) if goal is not None else 0,
            instances=tuple(self._watched_instance(instance) for instance in instances),
            ended_units=tuple(self._controller.fleet.ended(place)),
            is_detailed=plan is not None and plan.detailed_monitoring,
            metrics_path=goal.site.run.metrics if goal is not None else None,
            domains=plan.domains if plan is not None else (),
            certificate_ends=self._m.routing.certificate_ends(place),
            is_deploying=deployment is not None,
            has_release=row.current_release_id is not None or deployment is not None or bool(instances),
            log_limits=_log_limits(plan),
            secrets=tuple(sorted(opened for each in sealed if (opened := self._opened[each]))),
        )

    def _standing(self, row: Any, rows: _Rows) -> Standing:
        place = (row.project, row.name)
        current = self._configurations.get(row.current_release_id or 0)
        return Standing(
            place=place,
            plan=current.plan(row.name) if current is not None else None,
            wanted=current.wanted(row.name, row.instances) if current is not None else 0,
            release_id=row.current_release_id,
            instances=rows.instances.get(place, ()),
            numbers=self._numbers,
            deployment=rows.open_deployments.get(place) or rows.last_deployments.get(place),
        )

    def _watched_instance(self, row: Any) -> WatchedInstance:
        configuration = self._configurations[row.release_id]
        return WatchedInstance(
            project=row.project,
            environment=row.environment,
            id=row.id,
            unit_id=copy_of(row).unit_id,
            type=type_of(self._m, configuration, (row.project, row.environment), row.process),
            address=row.address,
            port=row.port,
            is_serving=row.state == InstanceState.SERVING and row.process == WEB,
            restarts=row.attempt - 1,
        )


def _goal(row: Any, deployment: Any | None) -> int:
    """The release that an environment is on its way to, or stays with; 0, which is none."""
    if deployment is None:
        goal = row.current_release_id
    elif deployment.state == DeploymentState.RUNNING:
        goal = deployment.release_id
    else:
        goal = deployment.previous_release_id
    return goal or 0


def _sealed_in(configuration: Configuration) -> set[str]:
    return {variable.value for variable in configuration.variables.values() if variable.is_secret}


def _used_releases(row: Any, rows: _Rows) -> frozenset[int]:
    place = (row.project, row.name)
    deployment = rows.open_deployments.get(place)
    used = {instance.release_id for instance in rows.instances.get(place, ())}
    used |= {_goal(row, deployment), row.current_release_id or 0}
    used |= {each.release_id for each in (deployment, rows.last_deployments.get(place)) if each is not None}
    return frozenset(used - {0})


def _read(tx: Transaction, places: Collection[Place] | None, known: frozenset[int]) -> _Rows:
    """What is recorded of these environments (of those that are there), or with None of all."""
    rows = _Rows({}, {}, {}, {}, {}, {}, {})
    for place in (None,) if places is None else places:
        _read_in(tx, place, rows)
    new = {each for row in rows.environments.values() for each in _used_releases(row, rows)} - known
    releases = store.releases_by_id(tx, new)
    rows.configurations.update({key: row.configuration for key, row in releases.items()})
    rows.numbers.update({key: row.number for key, row in releases.items()})
    return rows


def _read_in(tx: Transaction, place: Place | None, rows: _Rows) -> None:
    found = store.environment_rows(tx) if place is None else [store.environment_row(tx, place)]
    rows.environments.update({(row.project, row.name): row for row in found if row is not None})
    for row in store.instance_rows(tx, place):
        rows.instances.setdefault((row.project, row.environment), []).append(row)
    for row in store.present_deployments(tx, place):
        rows.last_deployments[row.project, row.environment] = row
        if row.state in store.OPEN_DEPLOYMENTS:
            rows.open_deployments.setdefault((row.project, row.environment), row)
    for row in store.secret_rows(tx, place):
        rows.sealed.setdefault((row.project, row.environment), []).append(row.value)


def _log_limits(plan: EnvironmentPlan | None) -> LogLimits:
    logs = plan.logs if plan is not None else LogPlan()
    return LogLimits(
        logs.keep_days * _DAY_S if logs.keep_days is not None else None,
        logs.keep_mib * 1024**2 if logs.keep_mib is not None else None,
    )
