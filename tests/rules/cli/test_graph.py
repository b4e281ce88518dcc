"""Pictures of characters."""

import pytest

from halage.base.errors import Invalid
from halage.cli.graph import number, picture, sparkline
from halage.cli.words import parse_duration, parse_moment


@pytest.mark.parametrize(
    ("values", "width", "shown"),
    [
        ([], 5, ""),
        ([None, None], 5, "  "),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8], 9, "▁▁▂▃▄▅▆▇█"),
        ([100, None, 50], 5, "█ ▄"),
        ([0, 0], 5, "▁▁"),
        ([-8, 0, -4], 5, "▁█▄"),
        ([1, 9, 1, None, None, 4, 8, None], 4, "█▁▄▇"),
    ],
)
def test_sparklines(values: list[float | None], width: int, shown: str) -> None:
    assert sparkline(values, width) == shown


def test_a_picture_is_as_high_as_wanted() -> None:
    assert picture([1, 2, 4, None, 3], 5, 2) == ["  █ ▄", "▄██ █"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0, "0"),
        (0.04172, "0.0417"),
        (3.14159, "3.14"),
        (12.34, "12.3"),
        (50.0, "50"),
        (-1234567.8, "-1,234,568"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_durations_are_read() -> None:
    found = {text: parse_duration(text) for text in ("90s", "5m", "1.5h", "1d", "2w", "1h30m")}
    assert found == {"90s": 90, "5m": 300, "1.5h": 5400, "1d": 86400, "2w": 1209600, "1h30m": 5400}
    for text in ("", "5", "m", "5 m", "-5m", "5x", "1h30", "0s", "99999999999w"):
        with pytest.raises(Invalid, match="is no duration"):
            parse_duration(text)


def test_moments_are_read_in_the_local_zone_unless_they_name_one() -> None:
    assert parse_moment("2026-01-05T09:30:00Z").timestamp() == 1767605400
    assert parse_moment("2026-01-05 10:30+01:00").timestamp() == 1767605400
    assert parse_moment("2026-01-05").tzinfo is not None
    with pytest.raises(Invalid, match="is no moment"):
        parse_moment("tomorrow")
