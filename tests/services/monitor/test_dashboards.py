"""Dashboards over a real database."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from halage.base.database import Database, Transaction
from halage.base.errors import Invalid
from halage.base.journal import Entry, Journal, read_journal
from halage.base.schema import metadata
from halage.monitor.dashboards.errors import DashboardChanged, DashboardInvalid, NoSuchDashboard
from halage.monitor.dashboards.made import made_dashboard
from halage.monitor.dashboards.model import Layout, MetricLine, Place, Widget, WidgetKind
from halage.monitor.dashboards.service import Dashboards
from tests.clock import ManualClock

WIDGET = Widget("one", WidgetKind.LINE, 0, 0, 6, 4, "Requests", (MetricLine("sum(requests)"),))
LAYOUT = Layout("Sales", (WIDGET,), environment="prod")


def no_nonsense(expression: str) -> None:
    if "nonsense" in expression:
        raise Invalid("This is nonsense.")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/halage.db", clock=clock, journal=Journal())
    metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.fixture
def dashboards(database: Database) -> Dashboards:
    return Dashboards(database, no_nonsense)


async def journal_of(database: Database) -> list[Entry]:
    def read(tx: Transaction) -> list[Entry]:
        return read_journal(tx.connection)

    return await database.run(read)


async def test_what_was_made_is_shown_listed_changed_and_deleted(
    dashboards: Dashboards, database: Database, clock: ManualClock
) -> None:
    made = await dashboards.create("shop", LAYOUT, actor="ada")
    assert (made.id, made.project, made.version, made.is_made) == ("1", "shop", 1, False)
    assert await dashboards.show("1") == made
    await clock.advance(60)
    wide = replace(LAYOUT, name="Sales and more", widgets=(replace(WIDGET, width=12),))
    changed = await dashboards.change("1", wide, version=1, actor="bob")
    assert (changed.layout, changed.version, changed.updated_by) == (wide, 2, "bob")
    assert changed.updated_at == clock.now() and changed.created_at == made.created_at
    assert await dashboards.list(None) == [changed]
    await dashboards.delete("1", actor="ada")
    with pytest.raises(NoSuchDashboard):
        await dashboards.show("1")
    entries = await journal_of(database)
    assert [(entry.subject, entry.action, entry.actor) for entry in entries] == [
        ("dashboard/1", "monitor:SetDashboard", "ada"),
        ("dashboard/1", "monitor:SetDashboard", "bob"),
        ("dashboard/1", "monitor:DeleteDashboard", "ada"),
    ]
    small = "line, 6 x 4 at column 0, row 0: Requests: sum(requests)"
    first = {"name": "Sales", "version": 1, "range_s": 10800, "widget one": small}
    second = {
        **first,
        "name": "Sales and more",
        "version": 2,
        "widget one": small.replace("6 x 4", "12 x 4"),
    }
    assert [(entry.before, entry.after) for entry in entries] == [
        (None, first),
        (first, second),
        (second, None),
    ]
    assert {entry.project for entry in entries} == {"shop"}


async def test_of_two_editors_the_second_is_told_and_overwrites_nothing(dashboards: Dashboards) -> None:
    made = await dashboards.create("shop", LAYOUT, actor="ada")
    first = await dashboards.change("1", replace(LAYOUT, name="Ada's"), version=made.version, actor="ada")
    with pytest.raises(DashboardChanged) as caught:
        await dashboards.change("1", replace(LAYOUT, name="Bob's"), version=made.version, actor="bob")
    assert caught.value.facts == {"version": 2, "updated_by": "ada"}
    assert await dashboards.show("1") == first
    on_purpose = await dashboards.change("1", replace(LAYOUT, name="Bob's"), version=2, actor="bob")
    assert (on_purpose.name, on_purpose.version) == ("Bob's", 3)


@pytest.mark.parametrize("place", [Place(), Place("shop", "prod")])
async def test_a_place_has_one_by_itself_until_somebody_changes_it(
    dashboards: Dashboards, database: Database, place: Place
) -> None:
    shown = await dashboards.show(place.id)
    assert shown == made_dashboard(place)
    assert await dashboards.list(None) == [] and await journal_of(database) == []
    mine = await dashboards.change(place.id, LAYOUT, version=0, actor="ada")
    assert (mine.id, mine.project, mine.version) == (place.id, place.project, 1)
    assert mine.environment == place.environment, "it stays the place's own"
    assert await dashboards.show(place.id) == mine
    assert await dashboards.list(None) == [mine]
    with pytest.raises(DashboardChanged):
        await dashboards.change(place.id, LAYOUT, version=0, actor="bob")
    with pytest.raises(NoSuchDashboard):
        await dashboards.show("1")  # it has one address, not two
    again = await dashboards.change(place.id, replace(LAYOUT, name="Mine"), version=1, actor="ada")
    assert (again.name, again.version) == ("Mine", 2)
    await dashboards.delete(place.id, actor="ada")
    assert await dashboards.show(place.id) == made_dashboard(place)
    with pytest.raises(NoSuchDashboard):
        await dashboards.delete(place.id, actor="ada")


async def test_one_place_does_not_answer_for_another(dashboards: Dashboards) -> None:
    await dashboards.change("shop.prod", LAYOUT, version=0, actor="ada")
    for other in ("shop.dev", "other.prod", "machine"):
        assert (await dashboards.show(other)).is_made


async def test_the_list_is_of_the_server_and_of_the_projects_asked_for(dashboards: Dashboards) -> None:
    for project, name in (("shop", "C"), ("hidden", "B"), (None, "A")):
        await dashboards.create(project, replace(LAYOUT, name=name), actor="ada")
    assert [each.name for each in await dashboards.list(None)] == ["A", "B", "C"]
    assert [each.name for each in await dashboards.list({"shop"})] == ["A", "C"]
    assert [each.name for each in await dashboards.list(frozenset())] == ["A"]


async def test_nothing_invalid_is_kept(dashboards: Dashboards) -> None:
    bad = replace(LAYOUT, widgets=(replace(WIDGET, lines=(MetricLine("nonsense"),)),))
    with pytest.raises(DashboardInvalid, match="Widget one: nonsense: This is nonsense"):
        await dashboards.create("shop", bad, actor="ada")
    await dashboards.create("shop", LAYOUT, actor="ada")
    with pytest.raises(DashboardInvalid):
        await dashboards.change("1", bad, version=1, actor="ada")
    assert (await dashboards.show("1")).layout == LAYOUT


@pytest.mark.parametrize("id_", ["2", "0", "-1", "x", "", "1" * 5000, "\u0661"])
async def test_what_is_not_there(dashboards: Dashboards, id_: str) -> None:
    await dashboards.create("shop", LAYOUT, actor="ada")
    with pytest.raises(NoSuchDashboard):
        await dashboards.show(id_)
    with pytest.raises(NoSuchDashboard):
        await dashboards.change(id_, LAYOUT, version=1, actor="ada")
    with pytest.raises(NoSuchDashboard):
        await dashboards.delete(id_, actor="ada")


async def test_a_deleted_project_leaves_none(dashboards: Dashboards) -> None:
    await dashboards.create("shop", LAYOUT, actor="ada")
    await dashboards.change("shop.prod", LAYOUT, version=0, actor="ada")
    await dashboards.create(None, LAYOUT, actor="ada")
    await dashboards.forget_place("shop")
    assert [each.project for each in await dashboards.list(None)] == [None]


async def test_a_terminated_environment_leaves_none(dashboards: Dashboards) -> None:
    of_dev = replace(LAYOUT, name="dev", environment="dev")
    await dashboards.create("shop", of_dev, actor="ada")
    await dashboards.create("shop", replace(of_dev, name="prod", environment="prod"), actor="ada")
    await dashboards.create("shop", replace(of_dev, name="all", environment=None), actor="ada")
    await dashboards.change("shop.prod", replace(of_dev, environment=None), version=0, actor="ada")
    await dashboards.forget_place("shop", "prod")
    assert sorted(each.name for each in await dashboards.list(["shop"])) == ["all", "dev"]
