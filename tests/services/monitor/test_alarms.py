"""Alarms over metrics in memory: evaluated, changed, told, muted, caught up."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from halage.base.database import Transaction
from halage.base.errors import Conflict, HalageError
from halage.monitor.alarms.actions import Standing
from halage.monitor.alarms.controller import GRACE_S
from halage.monitor.alarms.definitions import MOST_ALARMS
from halage.monitor.alarms.errors import AlarmConflict, BadAlarm, NoSuchAlarm, TooManyAlarms
from halage.monitor.alarms.model import State
from halage.monitor.alarms.store import alarms_table
from halage.monitor.metrics.errors import BadExpression
from halage.monitor.metrics.model import Kind, Sample, SeriesKey
from halage.monitor.metrics.sketch import Sketch
from tests.alarms import NOW, PATIENCE_S, AlarmGround, Plane, alarm_plane

OK, ALARM, NONE = State.OK, State.ALARM, State.INSUFFICIENT_DATA
HOUR_S = 3600


@pytest.fixture
def ground(tmp_path: Path) -> AlarmGround:
    return AlarmGround(tmp_path)


@pytest.fixture
async def plane(ground: AlarmGround) -> AsyncIterator[Plane]:
    async with alarm_plane(ground) as plane:
        yield plane
    ground.close()


# -- evaluation


async def test_an_alarm_changes_at_the_end_of_a_period_and_tells_once(plane: Plane) -> None:
    alarm = await plane.define(on_ok=[{"kind": "tell", "to": ["memory://ada"]}])
    assert alarm.state is NONE
    await plane.tick(load=1)
    await plane.ticks(3, load=9)
    await plane.ticks(3, load=1)
    assert await plane.changes(alarm) == [(NONE, OK), (OK, ALARM), (ALARM, OK)]
    change = await plane.delivered(alarm)
    assert change.reason == "no value is > 5; the last one is 1"
    # That a new alarm is well is no news.
    assert plane.ground.post.titles() == ["ALARM: load (shop)", "OK again: load (shop)"]
    history = await plane.alarms.history(alarm.id)
    assert history[1].period_end == NOW + 20
    assert history[1].facts["points"][-1] == [NOW + 10, 9]


async def test_m_of_n_and_a_period_of_a_minute(plane: Plane) -> None:
    alarm = await plane.define(period_s=60, periods=3, breaching=2)
    await plane.ticks(4, load=1)  # a minute begins
    for load in (1, 9, 1):
        await plane.ticks(6, load=load)
    await plane.ticks(5, load=9)
    assert await plane.changes(alarm) == [(NONE, OK)]
    await plane.tick(load=9)
    assert await plane.changes(alarm) == [(NONE, OK), (OK, ALARM)]


async def test_what_is_written_a_second_after_the_end_of_a_period_counts(ground: AlarmGround) -> None:
    """A scrape at the end of a tick, and counts of log lines, come after what the collector asks for."""
    ground.grace_s = GRACE_S
    async with alarm_plane(ground) as plane:
        alarm = await plane.define(expression="sum(load)")
        await ground.clock.advance(10)
        plane.controller.on_tick(tick := plane.write({}), 10)
        async with asyncio.timeout(PATIENCE_S):
            while not ground.clock.is_waited_for:  # noqa: ASYNC110 - it is asked from outside
                await asyncio.sleep(0.005)
        await ground.clock.advance(GRACE_S - 0.2)
        assert await plane.changes(alarm) == []
        plane.write({"load": 9.0}, at=tick)
        await ground.clock.advance(0.2)
        await plane.controller.settled()
        assert await plane.changes(alarm) == [(NONE, ALARM)]
        assert (await plane.alarms.history(alarm.id))[0].period_end == NOW + 10
    ground.close()


async def test_an_expression_may_be_arithmetic(plane: Plane) -> None:
    alarm = await plane.define(expression="maximum(load) / maximum(limit) * 100", threshold=90.0)
    await plane.tick(load=80, limit=100)
    await plane.tick(load=80, limit=0)  # nothing: it is not zero
    assert await plane.state(alarm) is OK
    await plane.tick(load=80, limit=85)
    assert await plane.state(alarm) is ALARM


async def test_a_percentile_of_few_samples_keeps_the_state(plane: Plane) -> None:
    key = SeriesKey.of("time_ms", project="shop")
    alarm = await plane.define(expression="p90(time_ms)", threshold=100.0, low_samples="ignore")

    async def tick(count: int, value: float) -> State:
        at = plane.write({}, at=plane.ground.clock.now())
        sketch = Sketch.of([value] * count)
        plane.ground.metrics.write(at, 10, [Sample(key, Kind.DISTRIBUTION, sketch)])
        await plane.tick()
        return await plane.state(alarm)

    assert await tick(100, 10) is OK
    assert await tick(99, 500) is OK
    assert await tick(100, 500) is ALARM


async def test_an_alarm_reads_the_series_of_its_own_project_only(plane: Plane) -> None:
    alarm = await plane.define(expression="highest(maximum(load))")
    await plane.ground.clock.advance(10)
    plane.write({"load": 99.0}, project="hidden")
    plane.controller.on_tick(plane.write({"load": 1.0}), 10)
    await plane.controller.settled()
    assert await plane.state(alarm) is OK
    server = await plane.define(project=None, expression="highest(maximum(load))")
    await plane.tick()
    assert await plane.state(server) is ALARM


async def test_later_lines_are_judged_by_the_worst_of_them(plane: Plane) -> None:
    alarm = await plane.define(expression='maximum(load{part="*"})')

    async def tick(**parts: float) -> State:
        samples = [
            Sample(SeriesKey.of("load", project="shop", part=part), Kind.GAUGE, value)
            for part, value in parts.items()
        ]
        plane.ground.metrics.write(plane.ground.clock.now() // 10 * 10, 10, samples)
        await plane.tick()
        return await plane.state(alarm)

    assert await tick(a=1) is OK
    assert await tick(a=1, b=9) is ALARM
    with pytest.raises(
        BadAlarm, match=r"expression: it gives 2 lines \(a, b\), allowed is one line: merge with"
    ):
        await plane.define(name="another", expression='maximum(load{part="*"})')


async def test_an_alarm_on_a_band_learns_what_is_usual_at_this_hour_of_the_week(plane: Plane) -> None:
    key = SeriesKey.of("sales", project="shop")
    week_s = 7 * 86400
    for week in (1, 2, 3):
        for minute in range(0, 60, 5):
            value = 100.0 + (minute % 10)  # 100 and 105 in turn
            at = NOW // HOUR_S * HOUR_S - week * week_s + minute * 60
            plane.ground.metrics.write(at, 10, [Sample(key, Kind.GAUGE, value)])
    band = {"width": 3.0, "side": "below"}
    alarm = await plane.define(expression="average(sales)", threshold=None, band=band, period_s=300)
    await plane.ticks(60, sales=102)
    assert await plane.state(alarm) is OK
    await plane.ticks(60, sales=60)
    assert await plane.state(alarm) is ALARM
    (change, *_) = await plane.alarms.history(alarm.id)
    assert "1 of the last 1 values is below its band of 3 deviations: 88 (band 94.8" in change.reason


async def test_an_alarm_on_a_band_without_a_past_says_so(plane: Plane) -> None:
    alarm = await plane.define(expression="average(sales)", threshold=None, band={"width": 3.0}, period_s=300)
    await plane.ticks(60, sales=102)
    assert await plane.state(alarm) is NONE
    trial = await plane.alarms.test(alarm.id, send=False, actor="ada")
    assert trial.verdict.reason == "the band is not learned yet"


# -- rules over other alarms


async def test_a_rule_follows_the_alarms_that_it_names_in_the_same_period(plane: Plane) -> None:
    one = await plane.define(name="one", on_alarm=[])
    two = await plane.define(name="two", expression="maximum(queue)", on_alarm=[])
    plain = {"expression": None, "threshold": None}
    both = await plane.define(name="both", rule='ALARM("one") AND ALARM("two")', **plain)
    outer = await plane.define(name="a outer", rule='ALARM("both")', **plain)
    await plane.tick(load=9, queue=1)
    assert [await plane.state(each) for each in (one, two, both, outer)] == [ALARM, OK, OK, OK]
    await plane.tick(load=9, queue=9)
    assert [await plane.state(each) for each in (one, two, both, outer)] == [ALARM] * 4
    (change, *_) = await plane.alarms.history(outer.id)
    assert change.reason == 'ALARM("both") holds: both is ALARM'
    assert change.facts["states"] == {"both": "ALARM"}
    await plane.delivered(both)
    assert plane.ground.post.titles("memory://ada").count("ALARM: both (shop)") == 1


async def test_a_rule_may_not_lead_back_to_itself_and_what_it_names_may_not_go(plane: Plane) -> None:
    plain = {"expression": None, "threshold": None}
    one = await plane.define(name="one")
    two = await plane.define(name="two", rule='ALARM("one")', **plain)
    with pytest.raises(BadAlarm, match="it names one -> two -> one"):
        await plane.alarms.set(one.id, {"name": "one", "rule": 'NOT OK("two")'}, actor="ada")
    with pytest.raises(BadAlarm, match="it names 'three', allowed is the name of an alarm"):
        await plane.define(name="x", rule='ALARM("three")', **plain)
    with pytest.raises(AlarmConflict, match="cannot delete one: the rule of two names it"):
        await plane.alarms.delete(one.id, actor="ada")
    with pytest.raises(AlarmConflict, match="cannot rename one: the rule of two names it"):
        await plane.alarms.set(
            one.id, {"name": "uno", "expression": "maximum(load)", "threshold": 1.0}, actor="ada"
        )
    await plane.alarms.delete(two.id, actor="ada")
    await plane.alarms.delete(one.id, actor="ada")


async def test_metrics_that_are_paused_are_an_alarm_of_the_server(plane: Plane) -> None:
    await plane.tick()
    (alarm,) = [each for each in await plane.alarms.list() if each.definition.name == "server-metrics-paused"]
    assert alarm.state is OK
    plane.ground.is_paused = True
    await plane.ground.clock.advance(10)
    plane.controller.on_tick(plane.ground.clock.now() - 10, 10)  # nothing could be written
    await plane.controller.settled()
    assert await plane.state(alarm) is ALARM
    await plane.delivered(alarm)
    assert plane.ground.post.titles("memory://everyone")[-1] == "ALARM: server-metrics-paused (the server)"


# -- muted


async def test_a_disabled_alarm_is_evaluated_and_does_nothing_until_it_ends(plane: Plane) -> None:
    alarm = await plane.define()
    await plane.tick(load=1)
    until = plane.ground.clock.now() + 35
    await plane.alarms.disable(alarm.id, until=until, actor="ada")
    await plane.ticks(3, load=9)
    assert await plane.state(alarm) is ALARM
    assert plane.ground.post.sent == []
    (change, *_) = await plane.alarms.history(alarm.id)
    assert [each.state for each in change.deliveries] == ["held"]
    await plane.tick(load=9)
    await plane.delivered(alarm)
    assert plane.ground.post.titles() == ["ALARM: load (shop)"]
    shown = await plane.alarms.show(alarm.id)
    assert (shown.is_disabled, shown.disabled_until) == (False, None)
    assert [each.actor for each in await plane.journal("monitor:EnableAlarm")] == ["halage"]


async def test_an_alarm_that_is_deleted_as_its_disablement_ends_stops_no_other_one(plane: Plane) -> None:
    gone, other = await plane.define(name="gone"), await plane.define()
    await plane.tick(load=1)
    await plane.alarms.disable(gone.id, until=plane.ground.clock.now() + 15, actor="ada")
    await plane.tick(load=1)
    await plane.alarms.delete(gone.id, actor="ada")
    await plane.tick(load=9)
    assert await plane.state(other) is ALARM


async def test_who_disables_an_alarm_for_longer_is_heard_to_the_last_moment(plane: Plane) -> None:
    alarm = await plane.define()
    now = plane.ground.clock.now()
    await plane.alarms.disable(alarm.id, until=now + 15, actor="ada")
    await plane.tick(load=1)
    await plane.alarms.disable(alarm.id, until=now + 600, actor="ada")
    await plane.ticks(2, load=9)
    assert (await plane.alarms.show(alarm.id)).disabled_until == now + 600
    assert await plane.journal("monitor:EnableAlarm") == []


async def test_what_ended_while_it_was_muted_is_never_told(plane: Plane) -> None:
    alarm = await plane.define(on_ok=[{"kind": "tell", "to": ["memory://ada"]}])
    await plane.tick(load=1)
    await plane.delivered(alarm)
    plane.ground.post.sent.clear()
    await plane.alarms.disable(alarm.id, until=None, actor="ada")
    await plane.ticks(2, load=9)
    await plane.ticks(2, load=1)
    await plane.alarms.enable(alarm.id, actor="ada")
    await plane.ticks(2, load=1)
    assert plane.ground.post.sent == []
    history = await plane.alarms.history(alarm.id)
    assert [each.state for change in history[:2] for each in change.deliveries] == ["dropped", "dropped"]


async def test_an_alarm_may_be_mute_while_a_deployment_runs_in_its_environment(plane: Plane) -> None:
    town = plane.ground.town
    town.places = [("shop", "prod"), ("shop", "dev")]
    muted = await plane.define(name="muted", environment="prod", mute_while_deploying=True)
    loud = await plane.define(name="loud", environment="prod")
    town.deploying = {("shop", "dev"), ("shop", "prod")}
    await plane.ticks(2, load=9)
    await plane.delivered(loud)
    assert plane.ground.post.titles("memory://ada") == ["ALARM: loud (prod of shop)"]
    town.deploying = {("shop", "dev")}
    await plane.tick(load=9)
    await plane.delivered(muted)
    assert plane.ground.post.titles("memory://ada")[1:] == ["ALARM: muted (prod of shop)"]


# -- what is done


async def test_a_scale_is_decided_once_within_its_bounds(plane: Plane) -> None:
    plane.ground.town.places = [("shop", "prod")]
    hands = plane.ground.hands
    refusals = [Conflict("a deployment runs: later")]

    def before(verb: str) -> None:
        if refusals:
            raise refusals.pop()

    hands.before = before
    scale = [{"kind": "scale", "by": 2, "maximum": 3}]
    alarm = await plane.define(environment="prod", on_alarm=scale)
    await plane.tick(load=1)
    await plane.tick(load=9)
    change = await plane.delivered(alarm)
    assert [(each.state, each.attempts) for each in change.deliveries] == [("delivered", 2)]
    reason = "alarm load: 1 of the last 1 values is > 5: 9"
    assert hands.done == [("scale", "shop", "prod", 3, reason)]
    await plane.tick(load=1)
    await plane.tick(load=9)
    change = await plane.delivered(alarm)
    assert [(each.state, each.error) for each in change.deliveries] == [
        ("dropped", "3 instances are wanted, its bound")
    ]


async def test_a_rollback_leaves_only_a_release_that_came_just_before(plane: Plane) -> None:
    plane.ground.town.places = [("shop", "prod")]
    hands = plane.ground.hands
    alarm = await plane.define(environment="prod", on_alarm=[{"kind": "rollback", "within_s": 1800}])
    await plane.tick(load=1)
    await plane.tick(load=9)
    await plane.delivered(alarm)
    assert [each[:4] for each in hands.done] == [("rollback", "shop", "prod", 7)]
    for deployed_at, words in (
        (None, "nothing was deployed in the 30 min before the alarm"),
        (NOW - 1800, "nothing was deployed in the 30 min before the alarm"),
        (NOW + 86400, "v6 was deployed after the alarm"),
    ):
        hands.standing = Standing(2, 6, deployed_at)
        await plane.tick(load=1)
        await plane.tick(load=9)
        change = await plane.delivered(alarm)
        assert [(each.state, each.error) for each in change.deliveries] == [("dropped", words)]
    assert len(hands.done) == 1


async def test_a_delivery_is_tried_again_and_at_last_failed_for_all_to_see(plane: Plane) -> None:
    alarm = await plane.define(on_alarm=[{"kind": "tell", "to": ["memory://broken/s3same", "memory://ada"]}])
    await plane.tick(load=9)
    change = await plane.delivered(alarm)
    assert [(each.state, each.attempts) for each in change.deliveries] == [("failed", 4), ("delivered", 1)]
    assert change.deliveries[0].error == "the service did not take it"
    told, _ = await plane.journal("monitor:AlarmChanged")  # and that of an alarm of the server
    assert (told.before, told.after) == ({"state": "INSUFFICIENT_DATA"}, {"state": "ALARM"})
    assert (told.actor, told.details["reason"]) == ("halage", change.reason)
    (failed,) = await plane.journal("monitor:DeliveryFailed")
    assert failed.details["what"].startswith("tell memory://***#")
    (delivered,) = await plane.journal("monitor:Delivered")
    assert delivered.details["attempts"] == 1
    assert "s3same" not in str([failed, delivered, change])


async def test_a_receiver_that_hangs_holds_up_no_other_one(plane: Plane) -> None:
    hanging = [f"memory://hangs/{number}" for number in range(5)]
    alarm = await plane.define(on_alarm=[{"kind": "tell", "to": [*hanging, "memory://ada"]}])
    await plane.tick(load=9)
    async with asyncio.timeout(PATIENCE_S):
        while "memory://ada" not in [to for to, _ in plane.ground.post.sent]:
            await plane.ground.clock.advance(0.01)
            await asyncio.sleep(0.005)
    (change, *_) = await plane.alarms.history(alarm.id)
    assert [each.state for each in change.deliveries[:5]] == ["waiting"] * 5
    plane.ground.post.released.set()
    await plane.delivered(alarm)


async def test_who_is_told_where_nobody_is_named_comes_from_the_settings(ground: AlarmGround) -> None:
    ground.everyone = ("memory://one", "memory://two")
    async with alarm_plane(ground) as plane:
        alarm = await plane.define(on_alarm=[{"kind": "tell"}])
        await plane.tick(load=9)
        await plane.delivered(alarm)
        assert sorted(to for to, _ in ground.post.sent) == ["memory://one", "memory://two"]
    ground.close()


# -- what people do


async def test_a_test_says_what_it_would_do_and_sends_only_when_asked(plane: Plane) -> None:
    to = ["memory://ada", "memory://broken"]
    alarm = await plane.define(on_alarm=[{"kind": "tell", "to": to}, {"kind": "tell"}])
    await plane.tick(load=1)
    await plane.alarms.set(
        alarm.id,
        {"name": "load", "expression": "maximum(load)", "threshold": 0.5, "period_s": 10}
        | {"on_alarm": [{"kind": "tell", "to": to}]},
        actor="ada",
    )
    trial = await plane.alarms.test(alarm.id, send=False, actor="ada")
    assert (trial.verdict.state, trial.state, trial.told) == (ALARM, OK, ())
    assert trial.verdict.reason == "1 of the last 1 values is > 0.5: 1"
    assert len(trial.actions) == 1
    assert plane.ground.post.sent == []
    trial = await plane.alarms.test(alarm.id, send=True, actor="ada")
    assert [(each.is_delivered, each.error) for each in trial.told] == [
        (True, ""),
        (False, "the service did not take it"),
    ]
    assert plane.ground.post.titles() == ["Test: load (shop)"]
    assert await plane.state(alarm) is OK, "a test changes nothing"


async def test_what_is_not_usable_is_refused_by_name(plane: Plane) -> None:
    await plane.define()
    with pytest.raises(AlarmConflict, match="project shop has an alarm load already"):
        await plane.define()
    with pytest.raises(BadExpression):
        await plane.define(name="x", expression="maximum(load")
    with pytest.raises(BadAlarm, match=r"on_alarm.0.to.1: no such address; allowed is an address as Apprise"):
        to = ["memory://ada", "s3same"]
        await plane.define(name="x", on_alarm=[{"kind": "tell", "to": to}])
    with pytest.raises(BadAlarm, match="until: found 2023-11-14 22:13:20 UTC, which is over"):
        await plane.alarms.disable(1, until=NOW, actor="ada")
    # The last moment of the year 9999 in a western time zone is no moment in UTC.
    with pytest.raises(BadAlarm, match="until: found a later one, allowed is a moment in the future, before"):
        await plane.alarms.disable(1, until=253402351199.0, actor="ada")
    with pytest.raises(BadAlarm, match="until: found one before 1970"):
        await plane.alarms.disable(1, until=-62135647200.0, actor="ada")
    for missing in (plane.alarms.show(99), plane.alarms.delete(99, actor="ada")):
        with pytest.raises(NoSuchAlarm):
            await missing


async def test_a_period_shorter_than_the_data_is_refused(plane: Plane) -> None:
    plane.ground.metrics.write(NOW - 60, 60, [Sample(SeriesKey.of("slow", project="shop"), Kind.GAUGE, 1.0)])
    with pytest.raises(BadAlarm, match="period_s: found 10, allowed is at least 60, the resolution"):
        await plane.define(expression="maximum(slow)")
    await plane.define(expression="maximum(slow)", period_s=60)


async def test_the_journal_has_who_changed_what_and_no_secret(plane: Plane) -> None:
    alarm = await plane.define(on_alarm=[{"kind": "tell", "to": ["mailto://u:s3same@example.org"]}])
    shown = {"name": "load", "expression": "maximum(load)", "threshold": 7.0, "period_s": 10}
    await plane.alarms.set(alarm.id, shown, actor="bob")
    await plane.alarms.disable(alarm.id, until=None, actor="bob")
    await plane.alarms.delete(alarm.id, actor="bob")
    (created,) = await plane.journal("monitor:CreateAlarm")
    (changed,) = await plane.journal("monitor:SetAlarm")
    (disabled,) = await plane.journal("monitor:DisableAlarm")
    (deleted,) = await plane.journal("monitor:DeleteAlarm")
    assert (created.actor, changed.actor, created.project) == ("ada", "bob", "shop")
    assert "s3same" not in str([created, changed, disabled, deleted])
    assert (created.before, created.after["threshold"]) == (None, 5.0)
    assert (changed.before, changed.after["threshold"]) == (created.after, 7.0)
    assert (disabled.before["is_disabled"], disabled.after["is_disabled"]) == (False, True)
    assert (deleted.before, deleted.after) == (changed.after, None)
    assert {each.origin for each in (created, changed, disabled, deleted)} == {"halage"}
    assert len({each.at for each in (created, changed, disabled, deleted)} - {None}) == 1
    assert "mailto://***@example.org#" in str(created)


# -- what comes by itself


async def test_each_environment_gets_its_alarms_once_and_what_people_do_to_them_stays(
    ground: AlarmGround,
) -> None:
    async with alarm_plane(ground) as plane:
        ground.town.places = [("shop", "prod")]
        ground.town.empty = {("shop", "prod")}
        await plane.tick()
        assert await plane.alarms.list(project="shop") == [], "there is nothing to watch yet"
        ground.town.empty.clear()
        await plane.tick()
        made = {each.definition.name: each for each in await plane.alarms.list(project="shop")}
        assert set(made) == {"prod-errors", "prod-latency", "prod-no-healthy-instance", "prod-certificate"}
        assert all(each.is_default for each in made.values())
        await plane.alarms.delete(made["prod-latency"].id, actor="ada")
        definition = made["prod-errors"].definition
        wanted = {"name": "prod-errors", "environment": "prod", "expression": definition.expression}
        changed = await plane.alarms.set(made["prod-errors"].id, {**wanted, "threshold": 1.0}, actor="ada")
        assert not changed.is_default
        await plane.tick()
    async with alarm_plane(ground) as plane:
        ground.town.places = [("shop", "prod"), ("shop", "dev")]
        await plane.tick()
        found = {each.definition.name: each for each in await plane.alarms.list(project="shop")}
        assert "prod-latency" not in found
        assert found["prod-errors"].definition.threshold == 1.0
        assert "dev-latency" in found
        await plane.alarms.forget_place("shop", "dev")
        ground.town.places = [("shop", "prod")]
        await plane.tick()
        names = {each.definition.name for each in await plane.alarms.list(project="shop")}
        assert names == {name for name in found if not name.startswith("dev-")}, "those of prod stay"
        ground.town.places = [("shop", "prod"), ("shop", "dev")]
        await plane.tick()
        found = {each.definition.name: each for each in await plane.alarms.list(project="shop")}
        assert "dev-latency" in found, "an environment that is made anew"
        await plane.alarms.forget_place("shop")
        ground.town.places = []
        await plane.tick()
        assert await plane.alarms.list(project="shop") == []
        ground.town.places = [("shop", "prod")]
        await plane.tick()
        assert len(await plane.alarms.list(project="shop")) == 4, "a project that is made anew"
        await plane.alarms.forget_place("shop")  # and again, before anybody looked
        await plane.tick()
        assert len(await plane.alarms.list(project="shop")) == 4
    ground.close()


async def test_where_people_have_all_alarms_that_there_may_be_an_environment_still_gets_its_own(
    plane: Plane,
) -> None:
    alarm = await plane.define()

    def fill(tx: Transaction) -> None:
        row = dict(tx.execute(select(alarms_table)).mappings().one())
        rows = [{**row, "id": None, "name": f"load {number}"} for number in range(MOST_ALARMS - 1)]
        tx.execute(insert(alarms_table), rows)

    await plane.ground.database.run(fill)
    with pytest.raises(TooManyAlarms, match="there are 20000 alarms, and there may be 20000: delete some"):
        await plane.define(name="one more")
    plane.ground.town.places = [("shop", "prod")]
    await plane.tick(load=9)
    assert await plane.state(alarm) is ALARM
    assert len(await plane.alarms.list(environment="prod")) == 4


async def test_an_alarm_of_a_deleted_project_says_nothing_more(plane: Plane) -> None:
    alarm = await plane.define(on_alarm=[{"kind": "tell", "to": ["memory://broken"]}])
    await plane.tick(load=9)
    await plane.alarms.forget_place("shop")
    assert await plane.alarms.list(project="shop") == []
    await plane.ticks(2, load=1)
    await plane.ticks(2, load=9)
    with pytest.raises(NoSuchAlarm):
        await plane.alarms.history(alarm.id)
    again = await plane.define()
    assert again.id > alarm.id
    assert await plane.changes(again) == [], "it has no past"
    assert plane.ground.post.sent == []


async def test_who_may_not_see_a_project_does_not_see_its_alarms(plane: Plane) -> None:
    await plane.define()
    await plane.define(project="hidden", name="secret")
    await plane.define(project=None, name="of the server")
    seen = await plane.alarms.list(visible=frozenset({"shop"}), with_server=False)
    assert [each.definition.name for each in seen] == ["load"]
    assert len(await plane.alarms.list()) == 3
    assert await plane.alarms.list(state=State.ALARM) == []


# -- stops


async def test_what_happened_while_it_was_stopped_is_caught_up_with_in_order(ground: AlarmGround) -> None:
    async with alarm_plane(ground) as plane:
        alarm = await plane.define(on_ok=[{"kind": "tell"}])
        await plane.tick(load=1)
    # The collector wrote (back-filled) while alarms were not evaluated.
    for value in (9, 9, 1, 1, 9):
        await ground.clock.advance(10)
        plane.write({"load": value})
    async with alarm_plane(ground) as plane:
        await plane.tick(load=9)
        assert await plane.changes(alarm) == [(NONE, OK), (OK, ALARM), (ALARM, OK), (OK, ALARM)]
        history = await plane.alarms.history(alarm.id)
        assert [each.period_end - NOW for each in reversed(history)] == [10, 20, 40, 60]
    ground.close()


async def test_a_kill_between_the_changes_of_one_moment_loses_none_and_tells_none_twice(
    ground: AlarmGround,
) -> None:
    async with alarm_plane(ground) as plane:
        alarms = [await plane.define(name=f"load {number}") for number in range(25)]
        await plane.tick(load=1)
        before = len(await plane.journal("monitor:AlarmChanged"))
        await ground.clock.advance(10)
        plane.controller.on_tick(plane.write({"load": 9.0}), 10)
        while (changed := len(await plane.journal("monitor:AlarmChanged")) - before) == 0:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert 0 < changed < len(alarms)
    async with alarm_plane(ground) as plane:
        await plane.tick(load=1)
        for alarm in alarms:
            assert await plane.changes(alarm) == [(NONE, OK), (OK, ALARM), (ALARM, OK)]
            assert [each.period_end - NOW for each in await plane.alarms.history(alarm.id)] == [30, 20, 10]
    ground.close()


@pytest.mark.parametrize("value", [1, 9])
@pytest.mark.parametrize("hours", [0.1, 2, 30])
async def test_a_time_in_which_nobody_looked_changes_nothing(
    ground: AlarmGround, value: float, hours: float
) -> None:
    modes = ("missing", "ignore", "breaching", "notBreaching")
    async with alarm_plane(ground) as plane:
        alarms = [await plane.define(name=each, missing=each, periods=5, breaching=3) for each in modes]
        await plane.ticks(8, load=value)
        before = [await plane.changes(alarm) for alarm in alarms]
    await ground.clock.advance(hours * HOUR_S)
    async with alarm_plane(ground) as plane:
        await plane.ticks(8, load=value)
        assert [await plane.changes(alarm) for alarm in alarms] == before
    ground.close()


async def test_a_fault_that_began_before_the_stop_alarms_after_it(ground: AlarmGround) -> None:
    async with alarm_plane(ground) as plane:
        alarm = await plane.define(periods=4, breaching=4)
        await plane.ticks(6, load=1)
        await plane.ticks(2, load=9)
    await ground.clock.advance(600)
    async with alarm_plane(ground) as plane:
        await plane.tick(load=9)
        assert await plane.state(alarm) is OK
        await plane.tick(load=9)
        assert await plane.state(alarm) is ALARM
    ground.close()


async def test_a_metric_that_really_ends_is_missing_data(plane: Plane) -> None:
    alarm = await plane.define(periods=1)
    await plane.ticks(3, load=1)
    await plane.ticks(2)
    assert await plane.state(alarm) is OK
    await plane.tick()
    assert await plane.state(alarm) is NONE


async def test_deliveries_that_waited_are_done_after_a_restart(ground: AlarmGround) -> None:
    ground.limits = type(ground.limits)(pauses_s=(3600.0,), attempt_s=5.0)
    async with alarm_plane(ground) as plane:
        alarm = await plane.define(on_alarm=[{"kind": "tell", "to": ["memory://broken"]}])
        await plane.tick(load=9)
        while (await plane.alarms.history(alarm.id))[0].deliveries[0].attempts != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    ground.clock.jump(-HOUR_S)  # set back: the pause must not grow by it
    async with alarm_plane(ground) as plane:
        change = await plane.delivered(alarm)
        assert [(each.state, each.attempts) for each in change.deliveries] == [("failed", 2)]
    ground.close()


async def test_an_hour_forward_and_an_hour_back(plane: Plane) -> None:
    alarm = await plane.define()
    await plane.ticks(3, load=1)
    plane.ground.clock.jump(HOUR_S)
    await plane.ticks(2, load=1)
    assert await plane.changes(alarm) == [(NONE, OK)]
    await plane.tick(load=9)
    await plane.tick(load=1)
    plane.ground.clock.jump(-HOUR_S)
    await plane.tick(load=9)
    await plane.tick(load=1)
    wanted = [(NONE, OK), (OK, ALARM), (ALARM, OK), (OK, ALARM), (ALARM, OK)]
    assert await plane.changes(alarm) == wanted
    plane.ground.clock.jump(HOUR_S - 40)  # the same periods for the second time
    await plane.ticks(2, load=9)
    await plane.ticks(2, load=1)
    assert (await plane.changes(alarm))[:5] == wanted
    assert await plane.state(alarm) is OK


async def test_an_alarm_that_is_changed_while_it_is_judged_is_judged_anew(plane: Plane) -> None:
    alarm = await plane.define()
    await plane.tick(load=1)
    await plane.ground.clock.advance(10)
    plane.controller.on_tick(plane.write({"load": 9.0}), 10)
    await plane.alarms.set(
        alarm.id,
        {"name": "load", "expression": "maximum(load)", "threshold": 50.0, "period_s": 10},
        actor="ada",
    )
    await plane.controller.settled()
    await plane.tick(load=9)
    assert (await plane.changes(alarm))[-1] in [(NONE, OK), (ALARM, OK)]
    assert await plane.state(alarm) is OK


async def test_what_an_environment_refuses_for_good_fails(plane: Plane) -> None:
    plane.ground.town.places = [("shop", "prod")]

    def refuse(verb: str) -> None:
        raise HalageError("there is no earlier good release to return to")

    plane.ground.hands.before = refuse
    alarm = await plane.define(environment="prod", on_alarm=[{"kind": "rollback"}])
    await plane.tick(load=9)
    change = await plane.delivered(alarm)
    assert [(each.state, each.error) for each in change.deliveries] == [
        ("failed", "there is no earlier good release to return to")
    ]
