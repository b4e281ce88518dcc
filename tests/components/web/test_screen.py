"""The screen of the console's terminal, by what programs write to it; run by Node.js."""

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCREEN = Path(__file__).parents[3] / "src" / "halage" / "web" / "static" / "screen.js"
pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")

Step = str | tuple[int, int]


def screens(*cases: tuple[int, int, list[Step]]) -> list[dict[str, Any]]:
    """What is to be seen on a screen of (columns, rows) after each of these writings and resizings."""
    given = [{"columns": columns, "rows": rows, "steps": steps} for columns, rows, steps in cases]
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("screen.js")), str(SCREEN)],
        input=json.dumps(given).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


LINES: list[tuple[str, list[Step], list[str]]] = [
    ("plain", ["one\r\ntwo"], ["one", "two", "", ""]),
    ("wraps", ["0123456789ab"], ["0123456789", "ab", "", ""]),
    ("waits at the margin", ["0123456789\r\nx"], ["0123456789", "x", "", ""]),
    ("does not wrap", ["\x1b[?7l0123456789ab"], ["012345678b", "", "", ""]),
    ("carriage return", ["abc\rX"], ["Xbc", "", "", ""]),
    ("backspace", ["abc\b\bX"], ["aXc", "", "", ""]),
    ("tab", ["a\tb"], ["a       b", "", "", ""]),
    ("scrolls", ["1\r\n2\r\n3\r\n4\r\n5"], ["2", "3", "4", "5"]),
    ("place", ["\x1b[2;3Hx"], ["", "  x", "", ""]),
    ("moves", ["\x1b[3;3H\x1b[A\x1b[2Dx\x1b[By"], ["", "x", " y", ""]),
    ("erase to the end", ["abcdef\x1b[3D\x1b[K"], ["abc", "", "", ""]),
    ("erase to the start", ["abcdef\x1b[3D\x1b[1K"], ["    ef", "", "", ""]),
    ("erase below", ["1\r\n2\r\n3\x1b[2;1H\x1b[J"], ["1", "", "", ""]),
    ("clear", ["1\r\n2\x1b[H\x1b[2J"], ["", "", "", ""]),
    ("erase characters", ["abcdef\x1b[4D\x1b[2X"], ["ab  ef", "", "", ""]),
    ("insert characters", ["abc\x1b[2D\x1b[2@"], ["a  bc", "", "", ""]),
    ("delete characters", ["abcdef\x1b[5D\x1b[2P"], ["adef", "", "", ""]),
    ("insert mode", ["bc\r\x1b[4ha\x1b[4l"], ["abc", "", "", ""]),
    ("insert a line", ["1\r\n2\r\n3\x1b[2H\x1b[L"], ["1", "", "2", "3"]),
    ("delete a line", ["1\r\n2\r\n3\x1b[2H\x1b[M"], ["1", "3", "", ""]),
    ("region", ["1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[3;1H\n"], ["1", "3", "", "4"]),
    ("reverse index", ["1\r\n2\x1b[H\x1bM0"], ["0", "1", "2", ""]),
    ("save and restore", ["ab\x1b7\x1b[3;3Hx\x1b8c"], ["abc", "", "  x", ""]),
    ("another screen", ["main\x1b[?1049h\x1b[Hother"], ["other", "", "", ""]),
    ("and back", ["main\x1b[?1049h\x1b[Hother\x1b[?1049l!"], ["main!", "", "", ""]),
    ("repeat", ["a\x1b[3b"], ["aaaa", "", "", ""]),
    ("lines", ["\x1b(0lqk\x1b(B x"], ["┌─┐ x", "", "", ""]),
    ("a title is not shown", ["\x1b]0;a title\x07x\x1b]2;other\x1b\\y"], ["xy", "", "", ""]),
    ("device control is not shown", ["\x1bPq#0;1\x1b\\x"], ["x", "", "", ""]),
    ("wide", ["日本x"], ["日本x", "", "", ""]),
    ("wide at the margin", ["012345678日"], ["012345678", "日", "", ""]),
    ("marks", ["e\u0301x"], ["e\u0301x", "", "", ""]),
    ("unknown", ["\x1b[?9999h\x1b[5 q\x1b[>4;2m\x1b[1;2;3yx"], ["x", "", "", ""]),
    ("cut in two", ["\x1b[", "2", ";3", "Hx"], ["", "  x", "", ""]),
    ("huge", ["\x1b[99999999999999b\x1b[999999S\x1b[9999999999@x"], ["x", "", "", ""]),
    ("narrower and back", ["0123456789", (5, 4), (10, 4)], ["01234", "", "", ""]),
    ("lower", ["1\r\n2\r\n3\r\n4", (10, 2)], ["3", "4"]),
    ("higher", ["1", (10, 5)], ["1", "", "", "", ""]),
]


def test_what_is_on_the_screen() -> None:
    found = screens(*((10, 4, steps) for _, steps, _ in LINES))
    assert {name: each["lines"] for (name, _, _), each in zip(LINES, found, strict=True)} == {
        name: lines for name, _, lines in LINES
    }


@pytest.mark.parametrize(
    ("written", "style"),
    [
        ("\x1b[1;31mx", "fg=1 bold"),
        ("\x1b[97;104mx", "fg=15 bg=12"),
        ("\x1b[1;4;7mx\x1b[0m", "bold underline inverse"),
        ("\x1b[1;4m\x1b[22;24mx", ""),
        ("\x1b[38;5;196mx", "fg=rgb(255,0,0)"),
        ("\x1b[38;5;3mx", "fg=3"),
        ("\x1b[48;5;232mx", "bg=rgb(8,8,8)"),
        ("\x1b[38;2;1;2;3;1mx", "fg=rgb(1,2,3) bold"),
        ("\x1b[38:2::1:2:3mx", "fg=rgb(1,2,3)"),
        ("\x1b[38;2;1;2;999mx", ""),
        ("\x1b[41m\x1b[2Kx", "bg=1"),
        ("\x1b[38;5mx", ""),
        ("\x1b[31m\x1b[mx", ""),
    ],
)
def test_colours(written: str, style: str) -> None:
    assert screens((10, 4, [written]))[0]["style"] == style


def test_what_scrolls_off_is_kept_but_not_of_another_screen() -> None:
    lines = "".join(f"{number}\r\n" for number in range(6))
    found, other, cleared = screens(
        (10, 3, [lines]), (10, 3, ["\x1b[?1049h", lines]), (10, 3, [lines, "\x1b[3J"])
    )
    assert found["history"] == ["0", "1", "2", "3"]
    assert other["history"] == cleared["history"] == []


def test_it_answers_what_it_is_asked_and_nothing_else() -> None:
    (found,) = screens((10, 4, ["\x1b[2;3H\x1b[6n\x1b[5n\x1b[c\x1b[>c\x1b[21t\x1bP+q544e\x1b\\"]))
    assert found["answers"] == ["\x1b[2;3R", "\x1b[0n", "\x1b[?62;22c", "\x1b[>0;10;0c"]


def test_modes() -> None:
    (found,) = screens((10, 4, ["\x1b[?1h\x1b[?2004h\x1b[?25l"]))
    assert found["modes"] == ["wrap", "keys", "paste"]


def test_no_noise_breaks_it() -> None:
    dice = random.Random(7)
    pieces = [
        "\x1b[",
        "\x1b",
        "\x1b]",
        "\x07",
        "\r\n",
        "日",
        "e\u0301",
        ";",
        "9",
        "1",
        "?",
        "\x1bM",
        "\x1b(0",
    ]
    pieces += [f"\x1b[{final}" for final in "@ABCDEFGHIJKLMPSTXZbdmrsu"]
    pieces += [f"\x1b[{n};{n}{final}" for n in (0, 3, 70) for final in "@HJKLMPSTXr"]
    pieces += ["\x1b[?1049h", "\x1b[?1049l", "\x1b[?6h", "\x1b[4h", "text "]
    cases: list[tuple[int, int, list[Step]]] = []
    for _ in range(200):
        steps: list[Step] = [
            (dice.randint(1, 30), dice.randint(1, 10)) if dice.random() < 0.05 else dice.choice(pieces)
            for _ in range(80)
        ]
        cases.append((dice.randint(1, 30), dice.randint(1, 10), steps))
    for found in screens(*cases):
        assert found["cursor"][0] >= 0 and found["cursor"][1] >= 0
