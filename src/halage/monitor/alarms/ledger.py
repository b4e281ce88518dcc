"""What is recorded of changes and of what they lead to, one transaction each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from halage.base.database import Transaction
from halage.monitor.alarms import store
from halage.monitor.alarms.documents import action_from, in_words, kept_action
from halage.monitor.alarms.errors import NoSuchAlarm
from halage.monitor.alarms.model import Action, Alarm, Change, Definition, State, Tell, Verdict

ACTOR = "halage"
KEPT_CHANGES = 1000
"""Changes of each alarm that its history keeps."""
LITTLE_S = 0.001

Expand = Callable[[Action], Sequence[Action]]
"""What of an action is delivered by itself: each address of a message, with those of the settings."""


@dataclass(frozen=True, slots=True)
class NewChange:
    """A change that is to be recorded."""

    alarm: Alarm
    """As it was when it was judged."""
    verdict: Verdict
    period_end: float
    is_deploying: bool
    """Whether a deployment runs in its environment."""


@dataclass(frozen=True, slots=True)
class OpenDelivery:
    """A delivery that waits, with everything that it is about."""

    id: int
    position: int
    action: Action
    attempts: int
    next_at: float
    alarm: Alarm
    change: Change

    @property
    def key(self) -> str:
        """The same for every attempt of this delivery, and for no other one."""
        return f"halage-alarm-{self.alarm.id}-change-{self.change.id}-{self.position}"


def require(tx: Transaction, alarm_id: int) -> Alarm:
    """One alarm. Raises NoSuchAlarm."""
    row = store.alarm_row(tx, alarm_id)
    if row is None:
        raise NoSuchAlarm(f"there is no alarm {alarm_id}")
    return store.alarm_of(row)


# -- what alarms say


def evaluated_until(tx: Transaction) -> float | None:
    """The end of the last period that was evaluated; None before the first one."""
    return tx.execute(select(store.alarm_clock_table.c.evaluated_until)).scalar_one_or_none()


def set_evaluated_until(tx: Transaction, end: float) -> None:
    """Note up to when periods were evaluated."""
    if not tx.change(update(store.alarm_clock_table).values(evaluated_until=end)):
        tx.insert(insert(store.alarm_clock_table).values(id=1, evaluated_until=end))


def record_changes(
    tx: Transaction, changes: Iterable[NewChange], expand: Expand, until: float | None
) -> list[list[int] | None]:
    """Record changes at once, and up to when periods were evaluated with them (None: as far as before).

    For each the deliveries that it leads to; None where nothing is recorded because the alarm is not as
    it was when it was judged, and then nothing of its later changes either.
    """
    stale: set[int] = set()
    recorded = []
    for change in changes:
        made = None if change.alarm.id in stale else _record_change(tx, change, expand)
        if made is None:
            stale.add(change.alarm.id)
        recorded.append(made)
    if until is not None:
        set_evaluated_until(tx, until)
    return recorded


def _record_change(tx: Transaction, new: NewChange, expand: Expand) -> list[int] | None:
    """Record one: state, history, journal, and what has to be done, held while the alarm is muted."""
    alarm, verdict, period_end = new.alarm, new.verdict, new.period_end
    table = store.alarms_table
    is_same = (table.c.id == alarm.id, table.c.state == alarm.state, table.c.updated_at == alarm.updated_at)
    values = {"state": verdict.state.value, "reason": verdict.reason, "state_at": period_end}
    if not tx.change(update(table).where(*is_same).values(**values)):
        return None
    now = require(tx, alarm.id)
    is_muted = now.is_muted_at(tx.now) or (alarm.definition.mute_while_deploying and new.is_deploying)
    change_id = tx.insert(
        insert(store.alarm_changes_table).values(
            alarm_id=alarm.id,
            period_end=_moment_of(tx, alarm.id, period_end),
            at=tx.now,
            state_before=alarm.state.value,
            state=verdict.state.value,
            reason=verdict.reason,
            facts=dict(verdict.facts),
        )
    )
    states = {"before": {"state": alarm.state.value}, "after": {"state": verdict.state.value}}
    reason = {"reason": verdict.reason, "change": change_id}
    note(tx, "monitor:AlarmChanged", ACTOR, alarm.id, alarm.definition, **states, **reason)
    _forget_old_changes(tx, alarm.id, change_id)
    actions: list[Action] = []
    if verdict.state is not State.OK or _has_alarmed(tx, alarm.id, change_id):
        actions = [part for each in alarm.definition.actions_on(verdict.state) for part in expand(each)]
    state = store.HELD if is_muted else store.WAITING
    return [_insert_delivery(tx, change_id, place, each, state) for place, each in enumerate(actions)]


def _has_alarmed(tx: Transaction, alarm_id: int, change_id: int) -> bool:
    """Whether there was an alarm since it was well: a new alarm that is well from the start is no news."""
    table = store.alarm_changes_table
    query = (
        select(table.c.state)
        .where(table.c.alarm_id == alarm_id, table.c.id < change_id, table.c.state != State.INSUFFICIENT_DATA)
        .order_by(table.c.id.desc())
    )
    return tx.execute(query.limit(1)).scalar_one_or_none() == State.ALARM


def _moment_of(tx: Transaction, alarm_id: int, period_end: float) -> float:
    """The moment that a change is kept under.

    After the clock was set back a period ends for the second time; its change is told from that of the
    first time by a thousandth of a second, so that neither is lost.
    """
    table = store.alarm_changes_table
    query = select(func.max(table.c.period_end)).where(
        table.c.alarm_id == alarm_id, table.c.period_end >= period_end, table.c.period_end < period_end + 1
    )
    taken = tx.execute(query).scalar_one_or_none()
    return period_end if taken is None else taken + LITTLE_S


def _insert_delivery(tx: Transaction, change_id: int, position: int, action: Action, state: str) -> int:
    values = {"change_id": change_id, "position": position, "action": kept_action(action), "state": state}
    table = store.alarm_deliveries_table
    return tx.insert(insert(table).values(**values, attempts=0, next_at=tx.now, error=""))


def _forget_old_changes(tx: Transaction, alarm_id: int, newest: int) -> None:
    if newest % 50:  # now and then is enough
        return
    table = store.alarm_changes_table
    kept = select(table.c.id).where(table.c.alarm_id == alarm_id).order_by(table.c.id.desc())
    oldest = tx.execute(kept.offset(KEPT_CHANGES - 1).limit(1)).scalar_one_or_none()
    if oldest is not None:
        tx.change(delete(table).where(table.c.alarm_id == alarm_id, table.c.id < oldest))


# -- what alarms do


def waiting_deliveries(tx: Transaction) -> list[int]:
    """Deliveries that are not done yet."""
    table = store.alarm_deliveries_table
    query = select(table.c.id).where(table.c.state == store.WAITING).order_by(table.c.id)
    return list(tx.execute(query).scalars())


def alarms_with_held(tx: Transaction) -> set[int]:
    """Alarms that were muted when they changed, and have something to do for it."""
    deliveries, changes = store.alarm_deliveries_table, store.alarm_changes_table
    query = select(changes.c.alarm_id).join(deliveries, deliveries.c.change_id == changes.c.id)
    return set(tx.execute(query.where(deliveries.c.state == store.HELD)).scalars())


def release_held(tx: Transaction, alarm_id: int) -> list[int]:
    """End the silence of an alarm: what its last change leads to waits from now on, the rest is dropped.

    Nothing is done when it says again what it said before the silence: nobody has heard otherwise.
    """
    deliveries, changes = store.alarm_deliveries_table, store.alarm_changes_table
    query = (
        select(deliveries.c.id, deliveries.c.change_id, changes.c.state_before, changes.c.state)
        .join(changes, deliveries.c.change_id == changes.c.id)
        .where(changes.c.alarm_id == alarm_id, deliveries.c.state == store.HELD)
        .order_by(deliveries.c.id)
    )
    held = tx.execute(query).all()
    if not held:
        return []
    last = tx.execute(select(func.max(changes.c.id)).where(changes.c.alarm_id == alarm_id)).scalar_one()
    row = store.alarm_row(tx, alarm_id)
    known = _known_before(tx, alarm_id, held[0].change_id)
    is_news = row is not None and row.state != known
    released = [each.id for each in held if is_news and each.change_id == last]
    dropped = [each.id for each in held if each.id not in released]
    _move(tx, released, state=store.WAITING, next_at=tx.now)
    _move(tx, dropped, state=store.DROPPED, ended_at=tx.now, error="the alarm was muted")
    return released


def _known_before(tx: Transaction, alarm_id: int, change_id: int) -> str:
    """What an alarm said before a change."""
    table = store.alarm_changes_table
    return str(tx.execute(select(table.c.state_before).where(table.c.id == change_id)).scalar_one())


def _move(tx: Transaction, ids: Iterable[int], **values: Any) -> None:
    table = store.alarm_deliveries_table
    tx.change(update(table).where(table.c.id.in_(list(ids))).values(**values))


def open_delivery(tx: Transaction, delivery_id: int) -> OpenDelivery | None:
    """A delivery that waits; None when it does not any more."""
    deliveries, changes = store.alarm_deliveries_table, store.alarm_changes_table
    query = select(deliveries).where(deliveries.c.id == delivery_id, deliveries.c.state == store.WAITING)
    row = tx.execute(query).one_or_none()
    if row is None:
        return None
    change = tx.execute(select(changes).where(changes.c.id == row.change_id)).one()
    alarm = store.alarm_row(tx, change.alarm_id)
    assert alarm is not None, "what is done for an alarm goes with it"
    return OpenDelivery(
        id=row.id,
        position=row.position,
        action=action_from(row.action),
        attempts=row.attempts,
        next_at=row.next_at,
        alarm=store.alarm_of(alarm),
        change=store.change_of(change),
    )


def decide_action(tx: Transaction, delivery_id: int, action: Action) -> None:
    """Record what an action comes to before it is done, so that doing it again does not do more."""
    _move(tx, [delivery_id], action=kept_action(action))


def end_delivery(tx: Transaction, delivery: OpenDelivery, state: str, error: str = "") -> None:
    """Record that a delivery is done, has failed for good, or is not needed any more."""
    attempts = delivery.attempts + 1
    _move(tx, [delivery.id], state=state, attempts=attempts, error=error, next_at=None, ended_at=tx.now)
    action = {store.DELIVERED: "monitor:Delivered", store.FAILED: "monitor:DeliveryFailed"}.get(
        state, "monitor:DeliveryDropped"
    )
    details = {"what": in_words(delivery.action), "attempts": attempts, "change": delivery.change.id}
    if error:
        details["reason"] = error
    note(tx, action, ACTOR, delivery.alarm.id, delivery.alarm.definition, **details)


def put_off_delivery(tx: Transaction, delivery: OpenDelivery, error: str, next_at: float) -> None:
    """Record that an attempt failed and when the next one comes."""
    _move(tx, [delivery.id], attempts=delivery.attempts + 1, error=error, next_at=next_at)


def note(
    tx: Transaction, action: str, actor: str, alarm_id: int, definition: Definition, **details: Any
) -> None:
    """A journal entry about an alarm."""
    tx.record(
        action,
        actor=actor,
        subject=f"alarm/{alarm_id}",
        project=definition.project,
        name=definition.name,
        environment=definition.environment,
        **details,
    )


def expand_with(everyone: Sequence[Tell]) -> Expand:
    """What is delivered by itself: a message to each address, `everyone` where an action names nobody."""

    def expand(action: Action) -> Sequence[Action]:
        if not isinstance(action, Tell):
            return (action,)
        return [Tell((address,)) for address in action.to] or everyone

    return expand
