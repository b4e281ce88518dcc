"""What an alarm may do to an environment: scale it, or roll it back (`monitor.alarms.actions.Actuator`)."""

from halage.base.database import Transaction
from halage.base.errors import Conflict
from halage.environment.control.controller import EnvironmentController
from halage.environment.machinery import Machinery
from halage.environment.model import DeploymentState
from halage.environment.records import orders, scaling
from halage.environment.tables import store
from halage.environment.tables.store import Place
from halage.monitor.alarms.actions import Standing

ACTOR = "alarm"
"""Who the journal names; the reason says which alarm, and why."""


class Actuator:
    """Scales and rolls back for alarms. Asking twice for the same does it once.

    Every refusal is a Conflict or NotFound whose message says why the environment does not allow it now.
    """

    def __init__(self, machinery: Machinery, controller: EnvironmentController) -> None:
        self._m = machinery
        self._controller = controller

    async def look(self, project: str, environment: str) -> Standing:
        """How it is now: an instance that is still starting counts as wanted. Raises NoSuchEnvironment."""
        return await self._m.database.run(_look, (project, environment))

    async def scale(self, project: str, environment: str, to: int, reason: str) -> None:
        """Let `to` instances serve. Raises Invalid, NoSuchEnvironment, NothingDeployed."""
        place = (project, environment)
        await self._m.database.run(scaling.scale_deployed, place, to, ACTOR, reason)
        self._controller.wake(place)

    async def rollback(self, project: str, environment: str, leaving: int, reason: str) -> None:
        """Return from release `leaving` to the last good one; nothing to do when another is current.

        Raises NoSuchEnvironment, NothingToReturnTo, and Conflict while a deployment is under way or waits.
        """
        place = (project, environment)
        if await self._m.database.run(_roll_back, place, leaving, reason):
            self._controller.wake(place)


def _look(tx: Transaction, place: Place) -> Standing:
    rows = orders.rows_of(tx, place)
    release_id = rows.environment.current_release_id
    deployed_at = next(
        (
            row.finished_at
            for row in store.deployment_rows(tx, place, 1)
            if row.kind == "deploy" and row.state == DeploymentState.SUCCEEDED.value
        ),
        None,
    )
    number = rows.releases[release_id].number if release_id is not None else None
    return Standing(scaling.wanted(rows), number, deployed_at)


def _roll_back(tx: Transaction, place: Place, leaving: int, reason: str) -> bool:
    rows = orders.rows_of(tx, place)
    current = rows.environment.current_release_id
    waiting = [DeploymentState.WAITING.value]
    if under_way := store.deployments_in(tx, [*store.OPEN_DEPLOYMENTS, *waiting], place):
        raise Conflict(
            f"deployment {under_way[0].id} of {place[0]} {place[1]} is "
            f"{under_way[0].state.replace('_', ' ')}: nothing is rolled back now",
            deployment=under_way[0].id,
        )
    if current is None or rows.releases[current].number != leaving:
        return False
    orders.order_rollback(tx, place, None, ACTOR, reason)
    return True
