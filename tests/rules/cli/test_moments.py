"""How people write a moment on the command line."""

from datetime import UTC, datetime, timedelta

import pytest

from halage.base.errors import Invalid
from halage.cli.words import moment_before
from halage.web.api.event_export import cell

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("45s", timedelta(seconds=45)),
        ("90m", timedelta(minutes=90)),
        ("90 min", timedelta(minutes=90)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
    ],
)
def test_so_long_ago(text: str, ago: timedelta) -> None:
    assert moment_before(text, NOW) == NOW - ago


def test_a_date_is_one_of_the_local_time_zone_unless_it_says_another() -> None:
    assert moment_before("2026-11-23T08:00+02:00", NOW) == datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
    assert moment_before("2026-11-20", NOW) == datetime(2026, 11, 20).astimezone()


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7y", "-1d", "2026-13-01"])
def test_what_is_no_moment_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(Invalid, match="how long ago"):
        moment_before(text, NOW)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_a_spreadsheet_takes_no_cell_for_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(f"a{text}") == f"a{text}"
