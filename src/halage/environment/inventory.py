"""What there is to watch, told to monitoring: a copy that is made anew only when something changed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import select

from halage.base.database import Transaction
from halage.base.errors import HalageError
from halage.environment import store
from halage.environment.configuration import Configuration
from halage.environment.controller import EnvironmentController
from halage.environment.fleet import copy_of
from halage.environment.machinery import Machinery
from halage.environment.model import DeploymentState, InstanceState
from halage.environment.store import Place
from halage.monitor.inventory import WatchedEnvironment, WatchedInstance, Workload

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Rows:
    """Everything that is recorded of all environments, in five statements."""

    environments: list[Any]
    instances: dict[Place, list[Any]]
    open_deployments: dict[Place, Any]
    configurations: dict[int, Mapping[str, Any]]
    """Of the releases that were not known before, by id."""
    sealed: dict[Place, list[str]]
    """The secret variables of now."""


class EnvironmentInventory:
    """The `monitor.Inventory` of all environments. It asks the database only after the controller
    or a person changed something; without that, a call costs a comparison."""

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
        self._configurations: dict[int, Configuration] = {}
        self._opened: dict[str, str | None] = {}
        """Secrets by their sealed form: each is opened once."""

    async def environments(self) -> Sequence[WatchedEnvironment]:
        """Every environment of every project."""
        # Taken before the reading: what changes meanwhile is read at the next call.
        version = self._controller.version
        if version != self._version:
            rows = await self._m.database.run(_read, frozenset(self._configurations))
            self._learn(rows)
            self._found = tuple(self._watched(row, rows) for row in rows.environments)
            self._version = version
        return self._found

    async def workload(self) -> Workload:
        """What waits and what is under way."""
        return await self._workload()

    def _learn(self, rows: _Rows) -> None:
        """Keep the configurations and secrets that are in use, and no others."""
        for release_id, document in rows.configurations.items():
            self._configurations[release_id] = Configuration.from_document(document)
        used = _used_releases(rows)
        self._configurations = {key: self._configurations[key] for key in used if key in self._configurations}
        sealed = {each for place in rows.sealed.values() for each in place}
        for configuration in self._configurations.values():
            sealed |= _sealed_in(configuration)
        self._opened = {
            each: self._opened[each] if each in self._opened else self._open(each) for each in sealed
        }

    def _open(self, sealed: str) -> str | None:
        try:
            return self._m.sealer.open(sealed)
        except HalageError as error:
            # No instance could be started with it either; what cannot be known cannot be masked.
            log.warning("secret not opened", action="monitor:Mask", subject="server", reason=error.message)
            return None

    def _watched(self, row: Any, rows: _Rows) -> WatchedEnvironment:
        place = (row.project, row.name)
        deployment = rows.open_deployments.get(place)
        goal = self._configurations.get(_goal(row, deployment))
        plan = goal.plan(row.name) if goal is not None else None
        instances = rows.instances.get(place, [])
        sealed = set(rows.sealed.get(place, ()))
        for instance in instances:
            # Who was started before a secret was changed still prints the old one.
            sealed |= _sealed_in(self._configurations[instance.release_id])
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
            secrets=tuple(sorted(opened for each in sealed if (opened := self._opened[each]))),
        )

    def _watched_instance(self, row: Any) -> WatchedInstance:
        configuration = self._configurations[row.release_id]
        return WatchedInstance(
            project=row.project,
            environment=row.environment,
            id=row.id,
            unit_id=copy_of(row).unit_id,
            type=self._m.types[configuration.plan(row.environment).type],
            address=row.address,
            port=row.port,
            is_serving=row.state == InstanceState.SERVING,
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


def _used_releases(rows: _Rows) -> set[int]:
    used = {row.release_id for each in rows.instances.values() for row in each}
    return used | {
        _goal(row, rows.open_deployments.get((row.project, row.name))) for row in rows.environments
    }


def _read(tx: Transaction, known: frozenset[int]) -> _Rows:
    instances: dict[Place, list[Any]] = {}
    for row in store.instance_rows(tx):
        instances.setdefault((row.project, row.environment), []).append(row)
    open_ones: dict[Place, Any] = {}
    for row in store.deployments_in(tx, store.OPEN_DEPLOYMENTS):
        open_ones.setdefault((row.project, row.environment), row)
    variables = store.variables_table
    sealed: dict[Place, list[str]] = {}
    for row in tx.execute(select(variables).where(variables.c.is_secret)):
        sealed.setdefault((row.project, row.environment), []).append(row.value)
    rows = _Rows(store.environment_rows(tx), instances, open_ones, {}, sealed)
    new = _used_releases(rows) - known - {0}
    releases = store.releases_by_id(tx, new)
    rows.configurations.update({key: row.configuration for key, row in releases.items()})
    return rows
