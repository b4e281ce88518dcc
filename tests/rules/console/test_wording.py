"""Moments, durations and sizes as people read them."""

import hashlib
from pathlib import Path

import pytest

from halage.web.console.assets import STATIC
from halage.web.console.console import local_address
from halage.web.console.language import read_languages
from halage.web.console.wording import console_stamp, duration, moment, short, size, stopwatch

EN, FR = read_languages()["en"], read_languages()["fr"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.0004, "0 ms"),
        (0.041, "41 ms"),
        (0.949, "949 ms"),
        (1.32, "1.3 s"),
        (59.94, "59.9 s"),
        (59.99, "1 min 0 s"),
        (192, "3 min 12 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(EN, seconds) == words


def test_french_has_a_comma() -> None:
    assert duration(FR, 4.2) == "4,2 s"
    assert size(FR, 3_565_158) == "3,4 MiB"


@pytest.mark.parametrize(
    ("size_bytes", "words"), [(0, "0 B"), (900, "900 B"), (2048, "2.0 KiB"), (187_000_000, "178 MiB")]
)
def test_sizes(size_bytes: int, words: str) -> None:
    assert size(EN, size_bytes) == words


def test_moments_are_exact_for_programs_and_readable_without_a_script() -> None:
    html = str(moment(EN, 1_700_000_000.25))
    assert html == '<time datetime="2023-11-14T22:13:20Z" data-moment>2023-11-14 22:13 UTC</time>'
    assert str(stopwatch(EN, 1.0, 3.5)) == "2.5 s"
    assert "data-since" in str(stopwatch(EN, 1.0, None))


def test_console_stamps_and_short_commits() -> None:
    assert [console_stamp(at) for at in (0, 133.44, 3725.0)] == ["00:00.0", "02:13.4", "1:02:05.0"]
    assert short("sha256:0123456789abcdef") == "01234567"


@pytest.mark.parametrize(
    "address", ["//evil.example", "/\\evil.example", "https://evil.example", "", None, "/a\r\nX: y", "evil"]
)
def test_no_address_leads_away(address: str | None) -> None:
    assert local_address(address, "/projects") == "/projects"
    assert local_address("/runs/7?x=1", "/projects") == "/runs/7?x=1"


def test_vendored_scripts_are_what_their_table_says() -> None:
    table = (STATIC / "vendor" / "README.md").read_text("utf-8")
    scripts = sorted((STATIC / "vendor").glob("*.js"))
    assert scripts
    for script in scripts:
        assert f"| {script.name} |" in table
        assert hashlib.sha256(script.read_bytes()).hexdigest() in table


def test_no_static_file_reaches_out_of_the_server() -> None:
    style = (Path(STATIC) / "console.css").read_text("utf-8")
    assert "url(" not in style
    assert "@import" not in style
