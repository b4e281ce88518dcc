"""How values read on a terminal."""

import pytest

from halage.base.errors import Conflict, HalageError, Invalid, NotAllowed, NotFound
from halage.cli.exits import exit_code_of
from halage.cli.words import duration, elapsed, harmless, size, style_of
from halage.client.errors import ProblemError


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10.0 s"),
        (59.4, "59 s"),
        (185, "3 min 05 s"),
        (7620, "2 h 07 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes() -> None:
    assert [size(count) for count in (None, 900, 13 * 1024 * 1024, 3 * 1024**3)] == [
        "-",
        "900 B",
        "13 MiB",
        "3.0 GiB",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\tand tabbed", "plain\tand tabbed"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("\x9b31mred\x07\r\x08", "31mred"),
        ("\x1bPq", "q"),
    ],
)
def test_nothing_from_elsewhere_steers_the_terminal(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_elapsed_goes_on_until_the_end() -> None:
    started = {"started_at": "2026-01-01T00:00:00Z", "finished_at": None}
    assert elapsed(started, 1767225610.0) == 10.0
    assert elapsed({**started, "finished_at": "2026-01-01T00:00:03.5Z"}, 1767225610.0) == 3.5
    assert elapsed({"started_at": None}, 0.0) is None


def test_states_have_colours() -> None:
    assert [style_of(state) for state in ("succeeded", "failed", "waiting", "running", "what")] == [
        "green",
        "red",
        "yellow",
        "cyan",
        "dim",
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProblemError(401, "t", "d"), 3),
        (ProblemError(403, "t", "d"), 3),
        (ProblemError(404, "t", "d"), 4),
        (ProblemError(409, "t", "d"), 1),
        (ProblemError(422, "t", "d"), 2),
        (ProblemError(500, "t", "d"), 1),
        (Invalid(), 2),
        (NotAllowed(), 3),
        (NotFound(), 4),
        (Conflict(), 1),
        (HalageError(), 1),
    ],
)
def test_exit_codes(error: HalageError, code: int) -> None:
    assert exit_code_of(error) == code
