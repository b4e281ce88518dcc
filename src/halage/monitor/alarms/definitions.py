"""What is recorded of what people, and Halage itself, define: one transaction each."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from halage.base.database import Transaction
from halage.monitor.alarms import composite, store
from halage.monitor.alarms.documents import to_document, to_shown
from halage.monitor.alarms.errors import AlarmConflict, TooManyAlarms
from halage.monitor.alarms.ledger import ACTOR, LITTLE_S, note, require
from halage.monitor.alarms.model import Alarm, Definition, State

MOST_ALARMS = 20_000
"""Alarms in all, past which people add none."""


def create(tx: Transaction, definition: Definition, actor: str, *, is_default: bool = False) -> Alarm:
    """Add an alarm. Raises AlarmConflict, TooManyAlarms, BadAlarm (its rule).

    Those that come by themselves come past the limit: no environment is without them because people
    have as many as they may, and they are bounded by the environments.
    """
    count = tx.execute(select(func.count()).select_from(store.alarms_table)).scalar_one()
    if count >= MOST_ALARMS and not is_default:
        raise TooManyAlarms(f"there are {count} alarms, and there may be {MOST_ALARMS}: delete some first")
    _check_neighbours(tx, definition, None)
    alarm_id = tx.insert(
        insert(store.alarms_table).values(
            project=definition.project,
            environment=definition.environment,
            name=definition.name,
            definition=to_document(definition),
            is_default=is_default,
            state=State.INSUFFICIENT_DATA.value,
            reason="not evaluated yet",
            state_at=tx.now,
            is_disabled=False,
            created_at=tx.now,
            updated_at=tx.now,
            updated_by=actor,
        )
    )
    note(tx, "monitor:CreateAlarm", actor, alarm_id, definition, after=to_shown(definition))
    return require(tx, alarm_id)


def change_definition(tx: Transaction, before: Alarm, definition: Definition, actor: str) -> Alarm:
    """Give an alarm another definition. Raises NoSuchAlarm, AlarmConflict, BadAlarm (its rule)."""
    require(tx, before.id)
    _check_neighbours(tx, definition, before)
    table = store.alarms_table
    values = {
        "name": definition.name,
        "environment": definition.environment,
        "definition": to_document(definition),
        "is_default": False,
        "updated_at": max(tx.now, before.updated_at + LITTLE_S),
        "updated_by": actor,
    }
    tx.change(update(table).where(table.c.id == before.id).values(**values))
    shown = {"before": to_shown(before.definition), "after": to_shown(definition)}
    note(tx, "monitor:SetAlarm", actor, before.id, definition, **shown)
    return require(tx, before.id)


def remove(tx: Transaction, alarm_id: int, actor: str) -> None:
    """Delete an alarm with its history. Raises NoSuchAlarm, AlarmConflict."""
    alarm = require(tx, alarm_id)
    _refuse_named(tx, alarm, "delete")
    tx.change(delete(store.alarms_table).where(store.alarms_table.c.id == alarm_id))
    before = to_shown(alarm.definition)
    note(tx, "monitor:DeleteAlarm", actor, alarm_id, alarm.definition, before=before)


def disable(tx: Transaction, alarm_id: int, until: float | None, actor: str) -> Alarm:
    """Mute an alarm, until a moment or for good. Raises NoSuchAlarm."""
    return _set_disabled(tx, require(tx, alarm_id), True, until, actor)


def enable(tx: Transaction, alarm_id: int, actor: str) -> Alarm:
    """End the silence of an alarm that was disabled. Raises NoSuchAlarm."""
    return _set_disabled(tx, require(tx, alarm_id), False, None, actor)


def end_disablement(tx: Transaction, alarm_id: int, actor: str) -> Alarm | None:
    """Enable an alarm whose disablement has ended by now; None where there is no such alarm any more.

    One that people enabled or disabled anew meanwhile stays as they left it.
    """
    row = store.alarm_row(tx, alarm_id)
    if row is None:
        return None
    alarm = store.alarm_of(row)
    if not alarm.is_disabled or alarm.is_muted_at(tx.now):
        return alarm
    return _set_disabled(tx, alarm, False, None, actor)


def _set_disabled(tx: Transaction, alarm: Alarm, is_disabled: bool, until: float | None, actor: str) -> Alarm:
    table = store.alarms_table
    values = {"is_disabled": is_disabled, "disabled_until": until}
    tx.change(update(table).where(table.c.id == alarm.id).values(**values))
    before = {"is_disabled": alarm.is_disabled, "disabled_until": alarm.disabled_until}
    action = "monitor:DisableAlarm" if is_disabled else "monitor:EnableAlarm"
    note(tx, action, actor, alarm.id, alarm.definition, before=before, after=values)
    return require(tx, alarm.id)


def ensure_defaults(
    tx: Transaction, project: str, environment: str, defaults: Mapping[str, Definition]
) -> list[Alarm]:
    """Make those default alarms of a place ("" and "": the server) that were never made; returns them."""
    table = store.alarm_defaults_table
    here = (table.c.project == project, table.c.environment == environment)
    made = set(tx.execute(select(table.c.word).where(*here)).scalars())
    new = []
    for word, definition in defaults.items():
        if word in made:
            continue
        tx.execute(insert(table).values(project=project, environment=environment, word=word))
        if store.alarm_named(tx, definition.project, definition.name) is None:
            new.append(create(tx, definition, ACTOR, is_default=True))
    return new


def forget_place(tx: Transaction, project: str, environment: str | None) -> list[int]:
    """Delete the alarms of a project, or of one environment of it, with their history; returns which."""
    gone: list[int] = []
    for table in (store.alarms_table, store.alarm_defaults_table):
        here = [table.c.project == project]
        if environment is not None:
            here.append(table.c.environment == environment)
        if table is store.alarms_table:
            gone = list(tx.execute(select(table.c.id).where(*here)).scalars())
        tx.change(delete(table).where(*here))
    return gone


def _check_neighbours(tx: Transaction, definition: Definition, before: Alarm | None) -> None:
    """That the name is free, and that the rule names what is there and does not lead back to itself."""
    found = store.alarm_named(tx, definition.project, definition.name)
    if found is not None and (before is None or found != before.id):
        place = f"project {definition.project}" if definition.project else "the server"
        raise AlarmConflict(
            f"{place} has an alarm {definition.name} already: choose another name, or change that one",
            name=definition.name,
            alarm=found,
        )
    if before is not None and before.definition.name != definition.name:
        _refuse_named(tx, before, "rename")
    if definition.rule is not None:
        # Only a rule needs the others, each with its definition: there may be thousands.
        rows = store.neighbour_rows(tx, definition.project)
        others = {row.name: row for row in rows if before is None or row.id != before.id}
        composite.check_names(definition.name, definition.rule, _rules_of(others.values()), set(others))


def _refuse_named(tx: Transaction, alarm: Alarm, verb: str) -> None:
    rules = _rules_of(store.neighbour_rows(tx, alarm.definition.project))
    name = alarm.definition.name
    naming = [other for other, names in rules.items() if name in names and other != name]
    if naming:
        raise AlarmConflict(
            f"cannot {verb} {name}: the rule of {', '.join(naming)} names it; change that first",
            named_by=naming,
        )


def _rules_of(rows: Iterable[Any]) -> dict[str, set[str]]:
    rules = {row.name: row.definition["rule"] for row in rows if row.definition["rule"] is not None}
    return {name: set(composite.names_in(composite.parse_rule(text))) for name, text in rules.items()}
