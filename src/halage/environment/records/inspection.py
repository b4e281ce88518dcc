"""Records that people take instances out to look at them, and put them back. One transaction each."""

from dataclasses import asdict
from typing import Any

from halage.base.database import Transaction
from halage.base.errors import Conflict, NotFound
from halage.environment.autoscaling.model import WEB
from halage.environment.model import InstanceState, TakenOut
from halage.environment.records import orders
from halage.environment.records.standing import taken_out_of
from halage.environment.tables import store
from halage.environment.tables.store import Place

ENDED_REASON = "its release is not the current one any more"


def row_of(tx: Transaction, place: Place, instance_id: str) -> Any:
    """A living instance of an environment. Raises NoSuchEnvironment, NotFound."""
    for row in orders.rows_of(tx, place).instances:
        if row.id == instance_id:
            return row
    raise NotFound(
        f"{place[0]} {place[1]} has no instance {instance_id}; `halage env show` lists them",
        instance=instance_id,
    )


def with_release(tx: Transaction, place: Place, instance_id: str) -> tuple[Any, Any]:
    """A living instance and its release. Raises NoSuchEnvironment, NotFound."""
    row = row_of(tx, place, instance_id)
    return row, store.release_row(tx, row.release_id)


def take_out(tx: Transaction, place: Place, instance_id: str, replace: bool, actor: str) -> None:
    """Note that an instance shall leave the balancer; asked again, nothing changes.

    Raises NotFound, and Conflict when it does not serve, while a deployment is under way, or
    when nobody would serve any more.
    """
    row = row_of(tx, place, instance_id)
    if row.taken_out:
        return
    if row.process != WEB:
        raise Conflict(
            f"{instance_id} is a {row.process}: it gets no requests, there is nothing to take it out of",
            instance=instance_id,
        )
    if row.state != InstanceState.SERVING:
        raise Conflict(
            f"{instance_id} is {row.state.replace('_', ' ')}: only an instance that serves can be taken out",
            instance=instance_id,
        )
    waiting = store.deployments_in(tx, [*store.OPEN_DEPLOYMENTS, "waiting"], place)
    if waiting:
        raise Conflict(
            f"deployment {waiting[0].id} of {place[0]} {place[1]} is {waiting[0].state.replace('_', ' ')}: "
            "take the instance out once it has ended",
            deployment=waiting[0].id,
        )
    others = [
        each
        for each in store.instance_rows(tx, place)
        if each.id != instance_id
        and each.process == WEB
        and each.state == InstanceState.SERVING
        and not each.taken_out
    ]
    if not others and not replace:
        raise Conflict(
            f"{instance_id} is the only instance that serves: ask for another one in its place (--replace)",
            instance=instance_id,
        )
    taken_out = asdict(TakenOut(actor, tx.now, replace))
    store.update_instance(tx, instance_id, taken_out=taken_out)
    _note(tx, "environment:TakeOut", place, row, actor, "out", replace=replace)


def put_back(tx: Transaction, place: Place, instance_id: str, actor: str) -> bool:
    """Let an instance serve again; False when it ends instead: its release is not the current one.

    Raises NotFound, and Conflict when it was not taken out.
    """
    row = row_of(tx, place, instance_id)
    if taken_out_of(row) is None:
        raise Conflict(f"{instance_id} was not taken out: there is nothing to put back", instance=instance_id)
    environment = store.environment_row(tx, place)
    is_current = environment is not None and row.release_id == environment.current_release_id
    values: dict[str, Any] = {"taken_out": None}
    if row.state == InstanceState.TAKEN_OUT:
        # Not `ready`: where another one serves in its place, it would be the one too many that goes.
        state = InstanceState.SERVING if is_current else InstanceState.STOPPING
        values |= {"state": state.value, "since": tx.now, "reason": "" if is_current else ENDED_REASON}
    store.update_instance(tx, instance_id, **values)
    _note(tx, "environment:PutBack", place, row, actor, "back" if is_current else "ended")
    return is_current


def _note(
    tx: Transaction, action: str, place: Place, row: Any, actor: str, after: str, **details: Any
) -> None:
    tx.record(
        action,
        actor=actor,
        subject=f"project/{place[0]}/environment/{place[1]}",
        project=place[0],
        before={"state": row.state},
        after={"state": after},
        instance=row.id,
        **details,
    )
