"""Environments: what people and pipelines ask of them."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence

from halage.balancer.errors import BalancerDown
from halage.balancer.model import TargetStatus
from halage.base.errors import Conflict
from halage.environment.autoscaling.model import WEB
from halage.environment.configuration import Configuration, StoredVariable
from halage.environment.control.controller import EnvironmentController
from halage.environment.errors import BadVariable
from halage.environment.instances.fleet import copy_of
from halage.environment.instances.launch import probe_of
from halage.environment.instances.logs import follow_lines, last_lines
from halage.environment.machinery import Machinery
from halage.environment.model import Deployment, Environment, InstanceState, LogLine, Release, Variable
from halage.environment.records import inspection, orders, scaling
from halage.environment.records.orders import DeploymentOrder
from halage.environment.records.planning import RolloutPlan, plan_rollout
from halage.environment.records.reporting import Report, make_report, read_course
from halage.environment.records.views import environment_view, release_view, variable_view
from halage.environment.routing import route_name
from halage.environment.tables import store
from halage.environment.tables.health_tables import HealthSpan, read_spans
from halage.environment.tables.settings_tables import forget_settings, forget_templates
from halage.environment.tables.store import Place
from halage.site.model import EnvironmentPlan
from halage.site.settings import Policy

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_OWN_VARIABLES = frozenset({"HOST", "PORT", "HOME", "TMPDIR", "PATH"})


class Environments:
    """The use cases of environments. Every method raises NoSuchEnvironment for an unknown one."""

    def __init__(self, machinery: Machinery, controller: EnvironmentController, public_port: int) -> None:
        self._m = machinery
        self._controller = controller
        self._public_port = public_port

    # -- look

    async def list(self, project: str) -> Sequence[Environment]:
        """Every environment of a project, in the order of the way of a change."""
        rows = await self._m.database.run(orders.all_rows_of, project)
        return [await self._view(each) for each in rows]

    async def show(self, project: str, name: str) -> Environment:
        """One environment as it is now."""
        return await self._view(await self._m.database.run(orders.rows_of, (project, name)))

    async def releases(self, project: str, name: str) -> Sequence[Release]:
        """Its releases, newest first."""
        await self._m.database.run(orders.rows_of, (project, name))
        return [release_view(row) for row in await self._m.database.run(store.release_rows, (project, name))]

    async def deployments(self, project: str, name: str, *, limit: int = 20) -> Sequence[Deployment]:
        """Its deployments, newest first."""
        return await self._m.database.run(orders.deployments_of, (project, name), limit)

    async def deployment(self, deployment_id: int) -> Deployment:
        """One deployment. Raises NoSuchDeployment."""
        return await self._m.database.run(orders.deployment_of, deployment_id)

    async def _view(self, rows: store.EnvironmentRows) -> Environment:
        place = (rows.environment.project, rows.environment.name)
        statuses: Sequence[TargetStatus] | None
        try:
            statuses = await self._m.balancer.status(route_name(place))
        except BalancerDown:
            statuses = None
        urls = self._m.routing.urls(place, self._public_port)
        return environment_view(rows, statuses, urls, self._controller.vitals)

    # -- make and remove

    async def create(self, project: str, plans: Sequence[EnvironmentPlan]) -> None:
        """Add environments (those that exist stay as they are) and their routes."""
        new = await self._m.database.run(orders.create, project, plans)
        for plan in new:
            self._controller.note_change((project, plan.name))
        if new:
            await self._m.routing.change({(project, plan.name): plan for plan in new})

    async def delete(self, project: str) -> None:
        """End every instance of a project and remove its environments, routes and files."""
        environments = await self._m.database.run(store.environment_rows, project)
        places = [(project, row.name) for row in environments]
        # The rows go first: while they are there, what ends would be started again.
        deleted = await self._m.database.run(store.delete_places, project)
        for place in places:
            await self._controller.leave(place, deleted.deployments)
        late = await self._m.database.run(store.delete_places, project)
        await self._m.database.run(forget_settings, project)
        await self._m.database.run(forget_templates, project)
        for place in places:
            self._controller.note_change(place)
        await self._m.routing.change(dict.fromkeys(places))
        units = [*deleted.instances, *late.instances, *deleted.executions, *late.executions]
        await self._controller.fleet.forget(units, deleted.deployments)
        await asyncio.to_thread(self._m.places.forget_project, project)

    # -- deploy

    async def deploy(self, project: str, name: str, order: DeploymentOrder, *, actor: str) -> int:
        """Ask for a deployment; returns its id. The same token gives the same deployment again."""
        place = (project, name)
        deployment_id, superseded = await self._m.database.run(orders.order, place, order, actor)
        self._controller.wake(place)
        self._controller.tell(superseded)
        return deployment_id

    async def rollback(self, project: str, name: str, *, number: int | None = None, actor: str) -> Deployment:
        """Return to the last good release, or to a given one: its bundle and its configuration."""
        place = (project, name)
        deployment_id, superseded = await self._m.database.run(orders.order_rollback, place, number, actor)
        self._controller.wake(place)
        self._controller.tell(superseded)
        return await self.deployment(deployment_id)

    async def swap(self, project: str, name: str, *, actor: str) -> Deployment:
        """Exchange the instances that serve and those that are kept: at once. Raises NothingToReturnTo."""
        place = (project, name)
        deployment_id, superseded = await self._m.database.run(orders.order_swap, place, actor)
        self._controller.wake(place)
        self._controller.tell(superseded)
        return await self.deployment(deployment_id)

    async def plan(
        self, project: str, name: str, *, number: int | None = None, policy: Policy | None = None
    ) -> RolloutPlan:
        """What a restart, or the return to a release, would do. Nothing is begun.

        Raises NoSuchRelease, NothingDeployed, NothingToReturnTo.
        """
        deadline_s = self._m.limits.deadline_s
        return await self._m.database.run(plan_rollout, (project, name), number, policy, deadline_s)

    async def report(self, deployment_id: int) -> Report:
        """What a deployment did, phase by phase, and what visitors got meanwhile. Raises NoSuchDeployment."""
        course = await self._m.database.run(read_course, deployment_id)
        return await make_report(course, self._m.traffic, self._m.clock.now())

    async def restart(self, project: str, name: str, *, actor: str) -> Deployment:
        """Replace every instance, one at a time: the same bundle with today's variables."""
        place = (project, name)
        deployment_id, superseded = await self._m.database.run(
            orders.order_restart, place, actor, self._m.limits.deadline_s
        )
        self._controller.wake(place)
        self._controller.tell(superseded)
        return await self.deployment(deployment_id)

    async def scale(
        self, project: str, name: str, instances: int | None, *, process: str = WEB, actor: str
    ) -> Environment:
        """Have so many instances (of a kind of process) from now on; None: as many as halage.toml says.

        Takes effect at once, without a deployment, and holds through the next ones until it is
        taken back. Raises Invalid for a number that cannot be, NotFound.
        """
        place = (project, name)
        if process == WEB:
            await self._m.database.run(scaling.scale, place, instances, actor)
        else:
            await self._m.database.run(scaling.scale_process, place, process, instances, actor)
        self._controller.wake(place)
        return await self.show(project, name)

    # -- health

    async def health_spans(
        self, project: str, name: str, start: float, end: float, *, limit: int = 500
    ) -> Sequence[HealthSpan]:
        """What its health was from `start` to `end` (seconds, epoch), oldest first: the latest spans."""
        place = (project, name)
        await self._m.database.run(orders.rows_of, place)
        return await self._m.database.run(read_spans, place, start, end, limit)

    async def take_out(
        self, project: str, name: str, instance: str, *, replace: bool, actor: str
    ) -> Environment:
        """Take an instance out of the balancer to look at it: it runs on, and counts nowhere.

        With `replace` another one serves in its place first; else its place stays empty until it is
        put back. Raises NotFound, and Conflict when that is not possible now.
        """
        place = (project, name)
        await self._m.database.run(inspection.take_out, place, instance, replace, actor)
        self._controller.wake(place)
        return await self.show(project, name)

    async def put_back(self, project: str, name: str, instance: str, *, actor: str) -> Environment:
        """Let an instance that was taken out serve again. One of another release than the current ends.

        Raises NotFound, and Conflict when it was not taken out or does not answer its check.
        """
        place = (project, name)
        row, release = await self._m.database.run(inspection.with_release, place, instance)
        if row.state == InstanceState.TAKEN_OUT and release.state == "current":
            configuration = Configuration.from_document(release.configuration)
            host = self._m.routing.host(place)
            problem = await self._controller.fleet.ask(
                probe_of(row.address, row.port, host, place, configuration)
            )
            if problem is not None:
                raise Conflict(f"{instance} stays out: it {problem}", instance=instance)
        await self._m.database.run(inspection.put_back, place, instance, actor)
        self._controller.wake(place)
        return await self.show(project, name)

    async def abort(self, deployment_id: int, *, actor: str) -> None:
        """Turn a deployment round: back to the release before. Raises DeploymentEnded."""
        place, superseded = await self._m.database.run(orders.abort, deployment_id, actor)
        self._controller.wake(place)
        self._controller.tell(superseded)

    # -- logs

    async def logs(self, project: str, name: str, *, lines: int = 200) -> Sequence[LogLine]:
        """The last lines of the instances, those that ended lately included."""
        return await last_lines(self._m.compute, await self._units((project, name)), lines)

    async def follow_logs(self, project: str, name: str) -> AsyncIterator[LogLine]:
        """Lines as they come, of every instance that there is and will be."""
        place = (project, name)
        await self._units(place)
        async for line in follow_lines(self._m.compute, self._m.clock, lambda: self._units(place)):
            yield line

    async def _units(self, place: Place) -> Sequence[str]:
        rows = await self._m.database.run(orders.rows_of, place)
        return self._controller.fleet.units(place, [copy_of(row) for row in rows.instances])

    # -- variables

    async def variables(self, project: str, name: str) -> tuple[Variable, ...]:
        """Variables that people set, secret ones without their value."""
        rows = await self._m.database.run(orders.rows_of, (project, name))
        return tuple(variable_view(row) for row in rows.variables)

    async def set_variable(
        self, project: str, name: str, variable: str, value: str, *, is_secret: bool, actor: str
    ) -> Variable:
        """Set a variable; it takes effect with the next deployment or restart. Raises BadVariable."""
        if (
            not _VARIABLE_NAME.fullmatch(variable)
            or variable in _OWN_VARIABLES
            or variable.startswith("HALAGE_")
        ):
            raise BadVariable(
                f"{variable!r} cannot be set: a name has letters, digits and _ , begins with no digit, and is"
                f" none that Halage sets itself ({', '.join(sorted(_OWN_VARIABLES))}, HALAGE_...)"
            )
        if "\0" in value:
            raise BadVariable(f"the value of {variable} contains a NUL character; remove it")
        stored = StoredVariable(self._m.sealer.seal(value) if is_secret else value, is_secret)
        await self._m.database.run(orders.set_variable, (project, name), variable, stored, actor)
        self._controller.note_change((project, name))
        return Variable(variable, None if is_secret else value, is_secret, self._m.clock.now(), actor)

    async def unset_variable(self, project: str, name: str, variable: str, *, actor: str) -> None:
        """Remove a variable; takes effect with the next deployment or restart. Raises NoSuchVariable."""
        await self._m.database.run(orders.unset_variable, (project, name), variable, actor)
        self._controller.note_change((project, name))

    async def secret_values(self, project: str) -> Sequence[str]:
        """Every secret of a project, opened: for masking consoles, and for nothing else."""
        sealed = await self._m.database.run(orders.secrets_of, project)
        return [self._m.sealer.open(value) for value in sealed]
