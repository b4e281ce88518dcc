"""How lines of logs read on a page: levels, fields, colours, bars; what an address of the page says."""

import json

import pytest
from starlette.datastructures import QueryParams

from halage.base.errors import Invalid
from halage.monitor.logs.model import Counts, Group, KeptLine
from halage.web.console.log_choice import LogChoice, period_for
from halage.web.console.log_lines import LONGEST_SHOWN, bars_of, colour_of, level_of, shown_lines

NOW = 1_800_000_000.0


def shown(text: bytes, group: str = "shop.prod/instances") -> tuple[str, dict[str, str]]:
    line = shown_lines([KeptLine(1, NOW, group, "i-1", text)], names_environments=False)[0]
    return line.level, {field.name: field.value for field in line.fields}


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("all is well", ""),
        ("an error in the middle of a sentence", ""),
        ("[2026-11-23 19:20:41] production.ERROR: refused", "error"),
        ("2026-11-23 WARN something", "warning"),
        ("[error] 7#7: *1 open() failed", "error"),
        ('time=now level=debug msg="x"', "debug"),
        ("x" * 300 + " ERROR", ""),
        ('{"level": "FATAL"}', "error"),
        ('{"severity": "Warning"}', "warning"),
        ('{"level": 50}', "error"),
        ('{"level": 30}', ""),
        ('{"level": {"a": 1}, "message": "ERROR"}', ""),
    ],
)
def test_the_level_of_a_line(text: str, level: str) -> None:
    assert shown(text.encode())[0] == level


@pytest.mark.parametrize(("status", "level"), [(200, ""), (404, "warning"), (503, "error"), ("null", "")])
def test_the_level_of_an_answer_is_that_of_its_status(status: object, level: str) -> None:
    line = f'{{"method":"GET","status":{status},"level":"error"}}'
    assert level_of(line, json.loads(line), "access") == level


def test_an_answer_reads_like_a_request_and_has_all_its_fields() -> None:
    text = b'{"method":"GET","path":"/<b>","status":200,"response_ms":33,"client":"127.0.0.1"}'
    line = shown_lines([KeptLine(1, NOW, "shop.prod/access", "i-1", text)], names_environments=False)[0]
    assert line.text == "200 GET /<b> 33 ms"
    assert {field.name for field in line.fields} == {"method", "path", "status", "response_ms", "client"}
    raw = KeptLine(1, NOW, "shop.prod/access", "i-1", b"what cannot be read")
    assert shown_lines([raw], names_environments=False)[0].text == "what cannot be read"


def test_fields_are_told_flat_and_bounded() -> None:
    text = {"a": {"b": {"c": 1.50}, "d": None}, "list": [1, {"x": 2}], "e": True, "": "x", "f=g": "h"}
    _, fields = shown(json.dumps(text).encode())
    assert fields == {
        "a.b.c": "1.5",
        "a.d": "null",
        "list": '["1", {"x": "2"}]',
        "e": "true",
        "": "x",
        "f=g": "h",
    }
    wide = shown(json.dumps({f"field{number}": "x" * 5000 for number in range(300)}).encode())[1]
    assert len(wide) == 100 and {len(value) for value in wide.values()} == {LONGEST_SHOWN}
    deep = b'{"a":' * 50 + b"1" + b"}" * 50
    assert len(shown(deep)[1]) == 1
    assert shown(b"[1, 2]")[1] == shown(b"{not json}")[1] == {}


def test_a_field_that_cannot_be_looked_for_is_no_link() -> None:
    text = json.dumps({"ok": "x", "f=g": "h", "": "x", "lines": "a\nb", "list": [1], "long": "x" * 1500})
    line = shown_lines([KeptLine(1, NOW, "halage", "server", text.encode())], names_environments=False)[0]
    assert [field.name for field in line.fields if field.is_whole] == ["ok"]


def test_neighbours_have_different_colours_and_each_always_the_same() -> None:
    assert len({colour_of(f"i-{number}") for number in range(8)}) == 8
    assert colour_of("balancer") == colour_of("balancer") in range(1, 9)


def test_bars_stand_where_their_time_is() -> None:
    bars = bars_of(Counts(NOW, 60, (0, 4, 0, 1), False, None))
    assert [(bar.start, bar.end, bar.count) for bar in bars] == [
        (NOW + 60, NOW + 120, 4),
        (NOW + 180, NOW + 240, 1),
    ]
    assert [(bar.x, bar.width, bar.height) for bar in bars] == [(25, 25, 100), (75, 25, 25)]
    assert bars_of(Counts(NOW, 60, (0, 0), False, None)) == []


@pytest.mark.parametrize(
    ("seconds", "period"),
    [(0.5, 1), (90, 1), (3600, 60), (86400, 1800), (28 * 86400, 43200), (1e9, 28 * 86400)],
)
def test_bars_have_a_round_period(seconds: float, period: int) -> None:
    assert period_for(seconds) == period


def choice(query: str, place: str = "shop.prod") -> LogChoice:
    return LogChoice.of(QueryParams(query), place)


@pytest.mark.parametrize(
    ("place", "query", "groups"),
    [
        ("shop.prod", "", ("shop.prod/instances", "shop.prod/access")),
        ("shop", "", ("shop.*/instances", "shop.*/access")),
        ("shop.prod", "group=builds", ("shop/builds",)),
        ("shop", "group=access&group=nothing", ("shop.*/access",)),
        ("", "group=access", ("halage",)),
        ("../etc", "", ("halage",)),
    ],
)
def test_a_place_and_groups(place: str, query: str, groups: tuple[str, ...]) -> None:
    assert choice(query, place).groups == groups


def test_which_groups_are_chosen() -> None:
    dev, builds = Group.named("shop.dev/instances"), Group.named("shop/builds")
    assert choice("", "shop").has(dev) and not choice("").has(dev)
    assert choice("group=builds").has(builds) and not choice("").has(builds)
    assert choice("", "").has(Group("halage", None)) and not choice("", "").has(dev)
    assert not choice("", "shopping").has(dev)


def test_an_address_says_all_of_a_choice_and_is_read_again() -> None:
    query = (
        "group=access&text=a%26b&not_text=c&ignore_case=true&field=a%3D1&field=b~2&stream=i-1"
        "&range=86400&before=500&trail=0.900"
    )
    first = choice(query)
    again = choice(first.query())
    assert again == first
    assert choice(first.newer).before == 900
    assert choice(choice(first.newer).newer).before is None
    older = choice(first.older(400))
    assert (older.before, older.trail) == (400, (0, 900, 500))
    narrowed = choice(first.between(NOW, NOW + 60))
    assert (narrowed.range.from_, narrowed.range.to, narrowed.before) == (NOW, NOW + 60, None)
    assert choice(narrowed.last(3600)).range.seconds == 3600
    assert choice(first.with_field("b", "2")).fields == ("a=1", "b~2", "b=2")
    assert "from=2027-01-14T08%3A00%3A00Z" in first.api_query(NOW) and "to=" not in first.api_query(NOW)


@pytest.mark.parametrize("wrong", ["before=x", "before=-1&trail=x.y", "trail=1.2", "before=" + "9" * 40])
def test_what_cannot_be_read_chooses_nothing(wrong: str) -> None:
    assert choice(wrong) == choice("")


def test_a_field_that_is_none_is_refused() -> None:
    with pytest.raises(Invalid, match="is not NAME=VALUE"):
        _ = choice("field=level").timeless


def test_nothing_breaks_out_of_a_line() -> None:
    assert choice("text=a%00b%0Ac").text == "abc"
    assert len(choice("text=" + "x" * 5000).text) == 1000
    assert len(choice("&".join(f"field=a{number}%3D1" for number in range(50))).fields) == 20
