"""The requests of the last minute, counted as the access log is read."""

import pytest

from halage.balancer.model import Visit
from halage.monitor.collect.model import Requests
from halage.monitor.collect.recent import SILENT_S, RecentVisits
from tests.clock import ManualClock

ROUTE = "shop.prod"


def _visit(clock: ManualClock, status: int = 200, target: str | None = "i-1", ms: int = 10) -> Visit:
    return Visit(clock.now(), ROUTE, target, status, ms, ms + 1, b"", 0)


def _add(recent: RecentVisits, clock: ManualClock, number: int = 1, **values: object) -> None:
    for _ in range(number):
        visit = _visit(clock, **values)  # type: ignore[arg-type]
        recent.add(visit, clock.now())
    recent.note_read()


@pytest.fixture
def recent(clock: ManualClock) -> RecentVisits:
    return RecentVisits(clock)


def test_counts_by_target_and_of_the_whole_route(recent: RecentVisits, clock: ManualClock) -> None:
    _add(recent, clock, 3)
    _add(recent, clock, 2, status=500, target="i-2", ms=50)
    _add(recent, clock, 1, status=404)
    _add(recent, clock, 4, status=503, target=None)
    found = recent.requests_of(ROUTE)
    assert found is not None
    assert found["i-1"] == Requests(4, 0, 1, 10.0, 10.0, 10.0)
    assert found["i-2"] == Requests(2, 2, 0, 50.0, 50.0, 50.0)
    assert (found[None].count, found[None].errors, found[None].client_errors) == (10, 6, 1)
    assert set(found) == {None, "i-1", "i-2"}


def test_percentiles_are_exact(recent: RecentVisits, clock: ManualClock) -> None:
    for ms in range(1, 101):
        _add(recent, clock, ms=ms)
    found = recent.requests_of(ROUTE)
    assert found is not None
    one = found["i-1"]
    assert (one.p50_ms, one.p95_ms, one.p99_ms) == (50, 95, 99)


async def test_only_the_last_minute_counts(recent: RecentVisits, clock: ManualClock) -> None:
    _add(recent, clock, 5)
    await clock.advance(30)
    _add(recent, clock, 2)
    await clock.advance(36)
    recent.note_read()
    found = recent.requests_of(ROUTE)
    assert found is not None and found[None].count == 2
    await clock.advance(60)
    recent.note_read()
    assert recent.requests_of(ROUTE) == {None: Requests()}


async def test_nothing_is_said_while_the_log_is_not_read(recent: RecentVisits, clock: ManualClock) -> None:
    assert recent.requests_of(ROUTE) is None
    recent.note_read()
    assert recent.requests_of(ROUTE) == {None: Requests()}
    await clock.advance(SILENT_S + 1)
    assert recent.requests_of(ROUTE) is None


async def test_a_clock_that_is_set_back_leaves_no_visits_of_the_future(
    recent: RecentVisits, clock: ManualClock
) -> None:
    _add(recent, clock, 5)
    clock.jump(-3600)
    _add(recent, clock, 2)
    found = recent.requests_of(ROUTE)
    assert found is not None and found[None].count == 2


def test_what_ended_long_ago_is_not_counted(recent: RecentVisits, clock: ManualClock) -> None:
    visit = _visit(clock)
    clock.jump(120)
    recent.add(visit, visit.at or 0.0)
    recent.note_read()
    assert recent.requests_of(ROUTE) == {None: Requests()}
