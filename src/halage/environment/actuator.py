"""What an alarm may do to an environment: scale it, or roll it back. Each change names the alarm."""

from halage.base.database import Transaction
from halage.base.errors import Conflict, Invalid
from halage.environment import orders, scaling, store
from halage.environment.controller import EnvironmentController
from halage.environment.machinery import Machinery
from halage.environment.model import DeploymentState
from halage.environment.scaling import MOST_INSTANCES, Step
from halage.environment.store import Place

LONGEST_ACTOR = 100
"""Characters: what the columns of actors hold."""


class Actuator:
    """Scales and rolls back for alarms. Both answer with what was done, in words, for their history.

    Every refusal is a Conflict or NotFound whose message says why: the state of the environment
    does not allow it now. Asking for a scaling twice is harmless; a rollback is refused while the
    first one is under way.
    """

    def __init__(self, machinery: Machinery, controller: EnvironmentController) -> None:
        self._m = machinery
        self._controller = controller

    async def scale(
        self,
        project: str,
        environment: str,
        *,
        by: int | None = None,
        to: int | None = None,
        at_least: int = 1,
        at_most: int = MOST_INSTANCES,
        reason: str,
        actor: str,
    ) -> str:
        """Have `by` more (or, below 0, fewer) instances, or `to` so many, within the bounds.

        Reckoned from the number that there is to be, not from what serves now: an instance that is
        still starting is not asked for twice. Raises Invalid, NoSuchEnvironment, NothingDeployed.
        """
        if (by is None) == (to is None):
            raise Invalid("scale either by a number of instances or to one")
        if not 1 <= at_least <= at_most <= MOST_INSTANCES:
            raise Invalid(
                f"instances cannot be kept from {at_least} to {at_most}: the bounds are from 1 to "
                f"{MOST_INSTANCES}, the smaller one first"
            )
        place = (project, environment)
        step = Step(by, to, at_least, at_most)
        done = await self._m.database.run(scaling.scale_by_step, place, step, actor[:LONGEST_ACTOR], reason)
        if done.before == done.after:
            return f"{project} {environment} stays at {_count(done.after)} (from {at_least} to {at_most})"
        self._controller.wake(place)
        return f"{project} {environment} goes from {done.before} to {_count(done.after)}"

    async def rollback(self, project: str, environment: str, *, reason: str, actor: str) -> str:
        """Return to the last good release, unless a deployment is under way or waits.

        Raises NoSuchEnvironment, Conflict: one is under way, nothing good is there, or the last
        deployment was a rollback already (the release before is not the cause then).
        """
        place = (project, environment)
        deployment_id, number = await self._m.database.run(_roll_back, place, reason, actor[:LONGEST_ACTOR])
        self._controller.wake(place)
        return f"{project} {environment} returns to release v{number} (deployment {deployment_id})"


def _roll_back(tx: Transaction, place: Place, reason: str, actor: str) -> tuple[int, int]:
    orders.rows_of(tx, place)
    waiting = [DeploymentState.WAITING.value]
    if under_way := store.deployments_in(tx, [*store.OPEN_DEPLOYMENTS, *waiting], place):
        raise Conflict(
            f"deployment {under_way[0].id} of {place[0]} {place[1]} is "
            f"{under_way[0].state.replace('_', ' ')}: nothing is rolled back now",
            deployment=under_way[0].id,
        )
    last = store.deployment_rows(tx, place, 1)
    if last and last[0].kind == "rollback":
        raise Conflict(
            f"{place[0]} {place[1]} was rolled back already (deployment {last[0].id}): "
            "an earlier release is for a person to choose",
            deployment=last[0].id,
        )
    deployment_id, _ = orders.order_rollback(tx, place, None, actor, reason)
    row = store.deployment_row(tx, deployment_id)
    assert row is not None
    return deployment_id, store.release_row(tx, row.release_id).number


def _count(number: int) -> str:
    return "1 instance" if number == 1 else f"{number} instances"
