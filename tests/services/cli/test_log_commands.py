"""`halage logs` and `halage log`: found, counted, exported; filters and outlets; refusals that say why."""

import json
from pathlib import Path

import pytest

from tests.services.cli.conftest import Halage, Served


def test_the_last_lines_of_an_environment(as_dev: Halage) -> None:
    shown = as_dev("logs", "shop", "prod")
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == [
        "i-1  plain words",
        'i-1  {"level": "error", "user": {"id": 7}}',
        "i-1  \ufffd\ufffd no text",
    ]
    assert len(as_dev("logs", "shop", "prod", "-n", "1").out.splitlines()) == 1
    assert "  prod i-1  plain words" in as_dev("logs", "shop").out, "of all environments: with their names"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--search", "plain"), 1),
        (("-s", "PLAIN"), 0),
        (("-s", "PLAIN", "-i"), 1),
        (("--not", "plain"), 2),
        (("--field", "level=error"), 1),
        (("--field", "level~err", "--field", "user.id=7"), 1),
        (("--field", "user.id=8"), 0),
        (("--stream", "i-1"), 3),
        (("--stream", "i-2"), 0),
        (("--group", "instances"), 3),
        (("--since", "1h30m"), 3),
        (("--until", "2h"), 0),
        (("--since", "2001-01-01 10:00", "--until", "2001-01-02"), 0),
        (("--since", "3000w"), 3),
    ],
)
def test_lines_are_found_by_text_field_stream_and_time(
    as_dev: Halage, options: tuple[str, ...], found: int
) -> None:
    shown = as_dev("logs", "shop", "prod", *options)
    assert (shown.code, len(shown.out.splitlines())) == (0, found), shown.err
    assert (shown.err == "No line is like that.\n") == (found == 0)
    told = json.loads(as_dev("logs", "shop", "prod", *options, "-o", "json").out)
    assert len(told) == found
    assert {line["group"] for line in told} <= {"shop.prod/instances"}


def test_nothing_is_explained(as_dev: Halage) -> None:
    shown = as_dev("logs", "shop", "prdo")
    assert shown.out == ""
    assert shown.err == (
        "Nothing is logged in shop.prdo/instances, shop.prdo/access. There are: shop.prod/instances.\n"
    )
    assert as_dev("logs", "shop", "--group", "builds").err.startswith("Nothing is logged in shop/builds.")


def test_lines_are_counted_by_time(as_dev: Halage) -> None:
    shown = as_dev("logs", "shop", "prod", "--count", "1h", "--since", "1d")
    rows = shown.out.splitlines()
    assert rows[0].split() == ["from", "lines"]
    assert sum(int(row.split()[2]) for row in rows[1:]) == 3
    assert rows[1].split()[3:] == ["#" * 40], "the table begins with the first lines"
    counts = json.loads(as_dev("logs", "shop", "prod", "--count", "1h", "--since", "1d", "-o", "json").out)
    assert sum(counts["counts"]) == 3 and len(counts["counts"]) == 25
    long = as_dev("logs", "shop", "prod", "--count", "1s", "--since", "30d")
    assert "Each count is of 4096 s" in long.err
    none = as_dev("logs", "shop", "prod", "--count", "1m", "-s", "nowhere").err
    assert none == "No line is like that.\nOf the last hour; --since says how far back to count.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Name a project"),
        (("shop", "--group", "halage"), "--group halage alone"),
        (("shop", "prod", "--since", "yesterday"), "'yesterday' is no moment: write how long ago"),
        (("shop", "prod", "--count", "5x"), "'5x' is no duration"),
        (("shop", "prod", "--count", "1.5s"), "whole number of seconds"),
        (("shop", "prod", "--field", "level"), "is written level=error"),
        (("shop", "prod", "-f", "--count", "1m"), "leave out --count"),
        (("shop", "prod", "-f", "--until", "1m"), "leave out"),
        (("shop", "prod", "-f", "-n", "1001"), "1000 lines at the most"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_does(
    as_dev: Halage, words: tuple[str, ...], said: str
) -> None:
    answer = as_dev("logs", *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_each_sees_their_own(as_dev: Halage, as_admin: Halage) -> None:
    # as_admin came last: the environment has the administrator's token.
    assert "server" not in as_admin("logs", "shop").out
    assert "i-1  plain words" in as_admin("logs", "--group", "halage").out
    assert "hidden.prod/instances" in as_admin("log", "groups").out


def test_a_developer_sees_no_other_project_and_not_the_server(as_dev: Halage) -> None:
    assert as_dev("logs", "hidden").code == 4
    assert as_dev("logs", "--group", "halage").code == 3
    listed = as_dev("log", "groups")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["group", "shop.prod/instances"]
    assert listed.out.splitlines()[1].split()[1] == "3"


def test_lines_are_written_to_a_file(as_dev: Halage, tmp_path: Path) -> None:
    text, lines = tmp_path / "lines.txt", tmp_path / "lines.jsonl"
    done = as_dev("log", "export", str(text), "shop", "prod", "--not", "plain")
    assert (done.code, done.out) == (0, f"Wrote 2 lines to {text}.\n")
    assert [line.split(" ", 2)[1] for line in text.read_text().splitlines()] == ["i-1", "i-1"]
    assert text.read_text().split(" ")[0].endswith("Z")
    assert as_dev("log", "export", str(lines), "shop").code == 0
    assert json.loads(lines.read_text().splitlines()[0])["text"] == "plain words"
    refused = as_dev("log", "export", str(tmp_path / "none" / "x"), "shop")
    assert refused.code == 2 and "cannot be written" in refused.err
    assert sorted(path.name for path in tmp_path.glob("lines*")) == ["lines.jsonl", "lines.txt"]


def test_a_filter_is_made_listed_changed_and_deleted(as_dev: Halage) -> None:
    made = as_dev("log", "filter", "create", "shop.prod/instances", "errors", "--field", "level=error")
    assert made.code == 0, made.err
    assert made.out == "Filter 1 counts level=error in errors from now on.\n"
    again = as_dev("log", "filter", "create", "shop.prod/instances", "errors")
    assert (again.code, "already" in again.err) == (1, True)
    changed = as_dev("log", "filter", "change", "1", "-s", "oops", "-i", "--not", "x", "--stream", "i-1")
    assert changed.out == 'Filter 1 counts "oops", not "x", of i-1, in any case in errors.\n'
    listed = json.loads(as_dev("log", "filter", "list", "shop", "-o", "json").out)
    assert [(each["group"], each["search"]["text"]) for each in listed] == [("shop.prod/instances", "oops")]
    assert '"oops"' in as_dev("log", "filter", "list", "shop").out
    assert as_dev("log", "filter", "delete", "1").out == "Filter 1 is gone.\n"
    assert as_dev("log", "filter", "delete", "1").code == 4
    assert as_dev("log", "filter", "change", "1").code == 4
    assert as_dev("log", "filter", "list", "shop").err == "shop has no filters.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("shop.prod", "errors"), "A group is written shop.prod/instances"),
        (("halage", "errors"), "A group is written"),
        (("shop.prod/instances", "machine_errors"), "Halage's own"),
        (("shop.prod/instances", "errors", "--field", "level"), "is written level=error"),
    ],
)
def test_a_filter_is_refused_for_a_reason(as_dev: Halage, words: tuple[str, ...], said: str) -> None:
    refused = as_dev("log", "filter", "create", *words)
    assert refused.code == 2
    assert said in refused.err


def test_an_outlet_is_made_listed_paused_and_deleted(as_admin: Halage) -> None:
    made = as_admin(
        "log", "outlet", "create", "far", "http://127.0.0.1:9/x", "-g", "shop.*", "--header", "Authorization",
        stdin="Bearer secret\n",
    )  # fmt: skip
    assert made.code == 0, made.err
    number = made.out.split()[1]
    assert made.out == f"Outlet {number} sends to http://127.0.0.1:9/x from now on.\n"
    listed = as_admin("log", "outlet", "list", "-o", "json")
    assert json.loads(listed.out)[0]["header_names"] == ["Authorization"]
    assert "secret" not in listed.out
    row = as_admin("log", "outlet", "list").out.splitlines()[1].split()
    assert row[:6] == [number, "far", "http://127.0.0.1:9/x", "shop.*", "ok", "0"]
    assert as_admin("log", "outlet", "pause", number).out == f"Outlet {number} is paused.\n"
    assert "paused" in as_admin("log", "outlet", "list").out
    assert as_admin("log", "outlet", "resume", number).out == f"Outlet {number} goes on.\n"
    assert as_admin("log", "outlet", "delete", number).out == f"Outlet {number} is gone.\n"
    assert as_admin("log", "outlet", "delete", number).code == 4
    assert as_admin("log", "outlet", "list").err == "Logs are sent nowhere.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("far", "127.0.0.1:9"), "Lines cannot be sent to"),
        (("Far", "udp://127.0.0.1:9"), "An outlet cannot be called"),
        (("far", "udp://127.0.0.1"), "HOST:PORT"),
        (("far", "udp://127.0.0.1:9", "--header", "A=b"), "Headers are for collectors"),
    ],
)
def test_an_outlet_is_refused_for_a_reason(as_admin: Halage, words: tuple[str, ...], said: str) -> None:
    refused = as_admin("log", "outlet", "create", *words)
    assert refused.code == 2
    assert said in refused.err


def test_outlets_are_for_administrators(as_dev: Halage, served: Served) -> None:
    assert as_dev("log", "outlet", "list").code == 3
    assert as_dev("log", "outlet", "create", "far", "udp://127.0.0.1:9").code == 3
