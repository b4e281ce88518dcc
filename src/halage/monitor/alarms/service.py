"""Alarms: what people ask of them."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from halage.base.clock import Clock
from halage.base.database import Database, Transaction
from halage.monitor.alarms import definitions, ledger, store
from halage.monitor.alarms.carriers import Carriers
from halage.monitor.alarms.composite import names_in, parse_rule
from halage.monitor.alarms.controller import AlarmController
from halage.monitor.alarms.course import course_of
from halage.monitor.alarms.documents import ACTION_FIELDS, in_words
from halage.monitor.alarms.errors import BadAlarm, NotDelivered
from halage.monitor.alarms.limits import check_definition
from halage.monitor.alarms.message import Message, moment, trial_message
from halage.monitor.alarms.messenger import Messenger, check_address
from halage.monitor.alarms.model import (
    Alarm,
    AlarmCounts,
    AlarmFilter,
    Change,
    Course,
    Definition,
    Sealed,
    State,
    Tell,
    Told,
    Trial,
    Verdict,
)
from halage.monitor.alarms.points import PointReader, refuse_many
from halage.monitor.alarms.sealing import Box, definition_of, shown_form

TRIAL_S = 20.0
"""How long a test message may take."""
LAST_END = datetime(2600, 1, 1, tzinfo=UTC).timestamp()
"""No disablement ends later: not every reader of the API has a calendar that goes further."""


class Alarms:
    """The use cases of alarms. `actor` is the name of who asks, for the journal.

    It does not check who may ask: the doors do. Methods raise NoSuchAlarm for one that is not there.
    """

    def __init__(
        self,
        database: Database,
        controller: AlarmController,
        carriers: Carriers,
        *,
        points: PointReader,
        messenger: Messenger,
        box: Box,
        clock: Clock,
        everyone: Sequence[str] = (),
        public_url: str,
    ) -> None:
        self._database = database
        self._controller = controller
        self._carriers = carriers
        self._points = points
        self._messenger = messenger
        self._box = box
        self._clock = clock
        self._everyone = tuple(everyone)
        self._public_url = public_url

    # -- look

    async def list(
        self,
        *,
        project: str | None = None,
        environment: str | None = None,
        state: State | None = None,
        visible: Collection[str] | None = None,
        with_server: bool = True,
    ) -> Sequence[Alarm]:
        """Alarms by project and name, those of the server first; `visible` None: of every project."""
        wanted = AlarmFilter(
            project, environment, state, None if visible is None else frozenset(visible), with_server
        )
        return await self.page(wanted, is_urgent_first=False)

    async def page(
        self, wanted: AlarmFilter, *, is_urgent_first: bool = True, limit: int | None = None, skip: int = 0
    ) -> Sequence[Alarm]:
        """So many of the alarms that are wanted: those in alarm first, then by project and name."""
        rows = await self._database.run(
            store.found_rows, wanted, is_urgent_first=is_urgent_first, limit=limit, skip=skip
        )
        return [store.alarm_of(row) for row in rows]

    async def counts(self, wanted: AlarmFilter) -> AlarmCounts:
        """How many of them say what, by place."""
        return await self._database.run(store.count_rows, wanted)

    async def show(self, alarm_id: int) -> Alarm:
        """One alarm."""
        return await self._database.run(ledger.require, alarm_id)

    async def history(self, alarm_id: int, *, before: int | None = None, limit: int = 50) -> Sequence[Change]:
        """Its changes with what was done for them, newest first; `before`: those with a lower number."""
        await self.show(alarm_id)
        rows = await self._database.run(store.change_rows, alarm_id, before=before, limit=limit)
        deliveries = await self._database.run(store.delivery_rows, [row.id for row in rows])
        return [store.change_of(row, deliveries) for row in rows]

    async def named_by(self, alarm: Alarm) -> Sequence[Alarm]:
        """The alarms that its rule names, in the order of the rule; none where it has an expression."""
        if alarm.definition.rule is None:
            return ()
        names = dict.fromkeys(names_in(parse_rule(alarm.definition.rule)))
        rows = await self._database.run(store.neighbour_rows, alarm.definition.project)
        found = {row.name: row for row in rows}
        return [store.alarm_of(found[name]) for name in names if name in found]

    async def look(self, alarm_id: int) -> Verdict:
        """What it says of the last period that has ended, with the numbers; nothing changes."""
        return await self._controller.look(await self.show(alarm_id))

    async def course(self, alarm_id: int, start: float, end: float) -> Course:
        """How its values went in [start, end), and its band. Empty for an alarm with a rule."""
        definition = (await self.show(alarm_id)).definition
        if definition.expression is None:
            return Course(start, definition.period_s, ())
        return await asyncio.to_thread(course_of, self._points, definition, start, end)

    async def muted_by_deployments(self, alarms: Collection[Alarm]) -> frozenset[int]:
        """Those (by id) that are mute now because a deployment runs in their environment."""
        return await self._controller.muted_by_deployments(alarms)

    async def test(self, alarm_id: int, *, send: bool, actor: str) -> Trial:
        """What it would say now and do; with `send`, a test message to everyone whom it tells."""
        alarm = await self.show(alarm_id)
        verdict = await self._controller.look(alarm)
        actions = tuple(in_words(each) for each in alarm.definition.actions_on(verdict.state))
        told: tuple[Told, ...] = ()
        if send:
            await self._database.run(_note_test, alarm, actor)
            message = trial_message(alarm.definition, alarm.id, verdict.reason, actor, self._public_url)
            addresses = self._addresses(alarm.definition)
            told = tuple(
                await asyncio.gather(*(self._tell(shown, each, message) for shown, each in addresses))
            )
        return Trial(verdict, alarm.state, actions, told)

    def _addresses(self, definition: Definition) -> Sequence[tuple[str, str]]:
        """Whom an alarm tells when it begins: what is shown of each address, and the address."""
        tells = [action for action in definition.on_alarm if isinstance(action, Tell)]
        found = {each.shown: self._box.open(each.secret) for tell in tells for each in tell.to}
        if any(not tell.to for tell in tells):
            found |= {shown_form(each): each for each in self._everyone}
        return tuple(found.items())

    async def _tell(self, shown: str, address: str, message: Message) -> Told:
        try:
            async with asyncio.timeout(TRIAL_S):
                await self._carriers.tell(address, message)
        except NotDelivered as error:
            return Told(shown, False, error.message)
        except TimeoutError:
            return Told(shown, False, f"no answer within {TRIAL_S:g} s")
        return Told(shown, True, "")

    # -- change

    async def create(self, wanted: Mapping[str, Any], *, actor: str) -> Alarm:
        """Define an alarm. Raises BadAlarm, BadExpression, AlarmConflict, TooManyAlarms.

        `wanted` has the members of the API's body; what is secret in it is sealed before it is kept.
        """
        definition = await self._define(wanted, None)
        alarm = await self._database.run(definitions.create, definition, actor)
        self._controller.changed((alarm.id,))
        return alarm

    async def set(self, alarm_id: int, wanted: Mapping[str, Any], *, actor: str) -> Alarm:
        """Give an alarm another definition; its project stays. Raises what `create` raises.

        What it says stays until its next period ends.
        """
        before = await self.show(alarm_id)
        definition = await self._define({**wanted, "project": before.definition.project}, before.definition)
        alarm = await self._database.run(definitions.change_definition, before, definition, actor)
        self._controller.changed((alarm_id,))
        return alarm

    async def delete(self, alarm_id: int, *, actor: str) -> None:
        """Delete an alarm with its history. Raises AlarmConflict when a rule names it."""
        await self._database.run(definitions.remove, alarm_id, actor)
        self._controller.changed((alarm_id,))

    async def disable(self, alarm_id: int, *, until: float | None, actor: str) -> Alarm:
        """Do nothing when it changes, until a moment or until it is enabled. It is evaluated all the same."""
        if until is not None:
            _check_end(until, self._clock.now())
        alarm = await self._database.run(definitions.disable, alarm_id, until, actor)
        self._controller.changed((alarm_id,))
        return alarm

    async def enable(self, alarm_id: int, *, actor: str) -> Alarm:
        """End a disablement; what was held back is done when it still says something else than before."""
        alarm = await self._database.run(definitions.enable, alarm_id, actor)
        self._controller.changed((alarm_id,))
        return alarm

    async def forget_place(self, project: str, environment: str | None = None) -> None:
        """Delete every alarm of a project that is deleted, or of an environment of it that is terminated."""
        gone = await self._database.run(definitions.forget_place, project, environment)
        self._controller.forget_place(project, environment, gone)

    async def _define(self, wanted: Mapping[str, Any], before: Definition | None) -> Definition:
        definition = definition_of(wanted, self._box, before)
        check_definition(definition)
        if definition.rule is not None:
            parse_rule(definition.rule)
        await asyncio.to_thread(self._check_slowly, definition, before)
        return definition

    def _check_slowly(self, definition: Definition, before: Definition | None) -> None:
        """What has to ask the metrics, or load Apprise."""
        if definition.expression is not None:
            self._check_expression(definition)
        known = {each.secret for each in _tell_addresses(before).values()} if before is not None else set()
        for where, address in _tell_addresses(definition).items():
            if address.secret not in known:
                check_address(self._messenger, self._box.open(address.secret), where)

    def _check_expression(self, definition: Definition) -> None:
        end = self._clock.now() // definition.period_s * definition.period_s
        start = end - definition.range_periods * definition.period_s
        checked = self._points.check(definition, start, end)
        refuse_many(checked.lines)
        if checked.resolution_s > definition.period_s:
            allowed = f"at least {checked.resolution_s}, the resolution of these data"
            raise BadAlarm(
                f"period_s: found {definition.period_s}, allowed is {allowed}",
                errors=[{"location": "period_s", "found": definition.period_s, "allowed": allowed}],
            )


def _check_end(until: float, now: float) -> None:
    """Raise BadAlarm unless a disablement may end then."""
    if now < until < LAST_END:
        return
    allowed = "a moment in the future, before the year 2600, or null: until it is enabled"
    found = "a later one" if until > now else "one before 1970"
    if 0 <= until <= now:
        found = f"{moment(until)}, which is over"
    raise BadAlarm(
        f"until: found {found}, allowed is {allowed}",
        errors=[{"location": "until", "found": found, "allowed": allowed}],
    )


def _note_test(tx: Transaction, alarm: Alarm, actor: str) -> None:
    ledger.note(tx, "monitor:TestAlarm", actor, alarm.id, alarm.definition)


def _tell_addresses(definition: Definition) -> dict[str, Sealed]:
    """Every address that the definition names, by where it stands."""
    found: dict[str, Sealed] = {}
    for field in ACTION_FIELDS:
        for place, action in enumerate(getattr(definition, field)):
            if isinstance(action, Tell):
                found |= {f"{field}.{place}.to.{n}": each for n, each in enumerate(action.to)}
    return found
