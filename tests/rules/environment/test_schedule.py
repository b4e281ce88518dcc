"""When deployments may begin: windows, zones, changes of the hour, a freeze."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halage.environment.settings.schedule import may_begin
from halage.site.settings import SchedulePlan, Window

PARIS = "Europe/Paris"
OFFICE = Window("0 9 * * MON-FRI", 8 * 3600.0, PARIS)
LUNCH = Window("0 12 * * *", 3600.0, PARIS, allows=False)


def _at(text: str, zone: str = PARIS) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("windows", "now", "until"),
    [
        ((), "2026-03-28 03:00", None),
        ((OFFICE,), "2026-03-27 09:00", None),
        ((OFFICE,), "2026-03-27 16:59:59", None),
        ((OFFICE,), "2026-03-27 17:00", "2026-03-30 09:00"),  # Friday evening, and the hour changes on Sunday
        ((OFFICE,), "2026-03-27 08:59:59", "2026-03-27 09:00"),
        ((LUNCH,), "2026-03-27 11:59:59", None),
        ((LUNCH,), "2026-03-27 12:00", "2026-03-27 13:00"),
        ((LUNCH,), "2026-03-27 13:00", None),
        ((OFFICE, LUNCH), "2026-03-27 12:30", "2026-03-27 13:00"),
        (
            (OFFICE, Window("0 0 * * SAT", 4 * 86400.0, PARIS, allows=False)),
            "2026-03-28 10:00",
            "2026-04-01 09:00",
        ),
        (
            (Window("0 22 * * *", 6 * 3600.0, PARIS),),
            "2026-03-29 03:30",
            None,
        ),  # the night is an hour shorter
        ((Window("0 22 * * *", 5 * 3600.0, PARIS),), "2026-03-29 04:30", "2026-03-29 22:00"),
        (
            (Window("30 2 * * *", 1800.0, PARIS),),
            "2026-03-29 03:10",
            None,
        ),  # 2:30 is not there: it begins at 3:00
        ((Window("0 0 29 2 *", 60.0, PARIS),), "2026-03-01 00:00", "2028-02-29 00:00"),
    ],
)
def test_windows(windows: tuple[Window, ...], now: str, until: str | None) -> None:
    hold = may_begin(SchedulePlan(windows), _at(now))
    if until is None:
        assert hold is None
    else:
        assert hold is not None
        assert hold.until == _at(until)
        assert hold.reason.endswith(f"until {until} {PARIS}")


def test_a_freeze_says_why_and_has_no_end() -> None:
    hold = may_begin(
        SchedulePlan(frozen=True, frozen_reason="the sale", windows=(OFFICE,)), _at("2026-03-27 10:00")
    )
    assert hold is not None
    assert (hold.reason, hold.until) == ("frozen: the sale", None)


def test_windows_that_never_open_say_so() -> None:
    always = Window("0 0 * * *", 86400.0, allows=False)
    hold = may_begin(SchedulePlan((always,)), _at("2026-03-27 10:00", "UTC"))
    assert hold is not None
    expected = "in a window without deployments (0 0 * * *), at least until 2026-07-05 00:00 UTC"
    assert (hold.reason, hold.until) == (expected, _at("2026-07-05", "UTC"))


_WINDOWS = st.lists(
    st.builds(
        Window,
        cron=st.builds("{} {} * * {}".format, st.integers(0, 59), st.integers(0, 23), st.integers(0, 6)),
        duration_s=st.integers(60, 3 * 86400).map(float),
        timezone=st.sampled_from([PARIS, "UTC", "America/New_York", "Australia/Lord_Howe"]),
        allows=st.booleans(),
    ),
    max_size=4,
).map(tuple)


@given(_WINDOWS, st.integers(1_760_000_000, 1_800_000_000).map(float))
def test_at_the_moment_that_is_told_it_may_begin_and_just_before_it_may_not(
    windows: tuple[Window, ...], now: float
) -> None:
    hold = may_begin(SchedulePlan(windows), now)
    if hold is not None and hold.until is not None:
        assert hold.until > now
        is_told = "at least" not in hold.reason
        assert not is_told or may_begin(SchedulePlan(windows), hold.until) is None
        assert may_begin(SchedulePlan(windows), hold.until - 1) is not None
