"""Cron in time zones: over both changes of the clock, and what the schedule says at a moment."""

from datetime import UTC, datetime

import pytest

from halage.environment.autoscaling.timetable import limits_at, span_at
from halage.site.settings import ScalingPlan, ScheduledSize


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("cron", "timezone", "now", "last", "following"),
    [
        ("0 8 * * 1-5", "UTC", "2026-11-25T09:00Z", "2026-11-25T08:00Z", "2026-11-26T08:00Z"),
        ("0 8 * * 1-5", "UTC", "2026-11-28T09:00Z", "2026-11-27T08:00Z", "2026-11-30T08:00Z"),
        ("0 8 * * *", "UTC", "2026-11-25T08:00Z", "2026-11-25T08:00Z", "2026-11-26T08:00Z"),
        # 8 in Paris is 7 UTC in winter and 6 in summer.
        ("0 8 * * *", "Europe/Paris", "2026-03-28T12:00Z", "2026-03-28T07:00Z", "2026-03-29T06:00Z"),
        ("0 8 * * *", "Europe/Paris", "2026-10-24T12:00Z", "2026-10-24T06:00Z", "2026-10-25T07:00Z"),
        # The clock goes from 2 to 3: half past two comes up at once after the gap.
        ("30 2 * * *", "Europe/Paris", "2026-03-29T00:30Z", "2026-03-28T01:30Z", "2026-03-29T01:00Z"),
        ("30 2 * * *", "Europe/Paris", "2026-03-29T02:00Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"),
        # The clock goes from 3 to 2: half past two is there twice and comes up once.
        ("30 2 * * *", "Europe/Paris", "2026-10-25T00:40Z", "2026-10-25T00:30Z", "2026-10-26T01:30Z"),
        ("30 2 * * *", "Europe/Paris", "2026-10-25T01:40Z", "2026-10-25T00:30Z", "2026-10-26T01:30Z"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00Z", "2024-02-29T00:00Z", "2028-02-29T00:00Z"),
    ],
)
def test_when_it_comes_up(cron: str, timezone: str, now: str, last: str, following: str) -> None:
    found = [datetime.fromtimestamp(each, UTC) for each in span_at(cron, timezone, at(now))]
    assert found == [datetime.fromisoformat(last), datetime.fromisoformat(following)]


def test_limits_by_the_clock() -> None:
    plan = ScalingPlan(
        minimum=1,
        maximum=4,
        sizes=(
            ScheduledSize("day", "0 8 * * *", minimum=3, maximum=8, instances=5),
            ScheduledSize("night", "0 20 * * *", minimum=1, maximum=2),
        ),
    )
    day = limits_at(plan, 2, at("2026-11-25T12:00Z"))
    assert (day.minimum, day.maximum, day.size, day.size_name) == (3, 8, 5, "day")
    assert (day.sized_at, day.until) == (at("2026-11-25T08:00Z"), at("2026-11-25T20:00Z"))
    night = limits_at(plan, 2, at("2026-11-25T23:00Z"))
    assert (night.minimum, night.maximum, night.sized_at) == (1, 2, at("2026-11-25T08:00Z"))
