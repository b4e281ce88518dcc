"""Lines of StatsD and DogStatsD."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from halage.monitor.intake.errors import Refusal
from halage.monitor.intake.model import Reason
from halage.monitor.intake.statsd_lines import StatsdLine, parse_line
from halage.monitor.metrics.model import Kind


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("k1.orders:1|c", StatsdLine("k1", "orders", Kind.COUNT, (1.0,), (), (False,), 1.0, {})),
        ("k1.orders:2|c|@0.1", StatsdLine("k1", "orders", Kind.COUNT, (2.0,), (), (False,), 0.1, {})),
        ("k1.queue:320|g", StatsdLine("k1", "queue", Kind.GAUGE, (320.0,), (), (False,), 1.0, {})),
        ("k1.queue:-10|g", StatsdLine("k1", "queue", Kind.GAUGE, (-10.0,), (), (True,), 1.0, {})),
        ("k1.queue:+4|g", StatsdLine("k1", "queue", Kind.GAUGE, (4.0,), (), (True,), 1.0, {})),
        (
            "k1.page.render-time:3.5|ms|@0.5",
            StatsdLine("k1", "page_render_time", Kind.DISTRIBUTION, (3.5,), (), (False,), 0.5, {}),
        ),
        ("k1.t:1e3|h", StatsdLine("k1", "t", Kind.DISTRIBUTION, (1000.0,), (), (False,), 1.0, {})),
        (
            "k1.t:1:2.5:.3|d",
            StatsdLine("k1", "t", Kind.DISTRIBUTION, (1.0, 2.5, 0.3), (), (False,) * 3, 1.0, {}),
        ),
        ("k1.u:a:b|s", StatsdLine("k1", "u", Kind.GAUGE, (), ("a:b",), (), 1.0, {})),
        (
            "orders:1|c|#key:k1,channel:web,url:http://a,urgent,a-b:c",
            StatsdLine(
                "k1",
                "orders",
                Kind.COUNT,
                (1.0,),
                (),
                (False,),
                1.0,
                {"channel": "web", "url": "http://a", "urgent": "true", "a_b": "c"},
            ),
        ),
        (
            "page.views:1|c|#key:k1|c:0123abc|T1656581400",
            StatsdLine("k1", "page_views", Kind.COUNT, (1.0,), (), (False,), 1.0, {}),
        ),
        ("orders:1|c", StatsdLine(None, "orders", Kind.COUNT, (1.0,), (), (False,), 1.0, {})),
    ],
)
def test_a_line_is_read(text: str, wanted: StatsdLine) -> None:
    assert parse_line(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "orders",
        "orders:",
        "orders:1",
        "orders:1|",
        ":1|c",
        "orders:1|x",
        "orders:one|c",
        "orders:nan|g",
        "orders:inf|g",
        "orders:1e999|g",
        "orders:1_000|g",
        "orders: 1|g",
        "orders:1:|c",
        "orders:|c",
        "orders:1|c|@0",
        "orders:1|c|@2",
        "orders:1|c|@1e-9",
        "orders:1|c|@x",
        "orders,channel=web:1|c",
        "_e{5,4}:title|text",
        "_sc|name|0",
        "ordérs:1|c",
        "orders:1|c\x00",
    ],
)
def test_a_line_that_cannot_be_read_is_malformed(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_line(text)
    assert refused.value.reason is Reason.MALFORMED


def test_a_refusal_does_not_tell_the_key() -> None:
    for text in ("ksecret.orders:x|c", "orders:x|c|#key:ksecret,a:b"):
        with pytest.raises(Refusal) as refused:
            parse_line(text)
        assert "ksecret" not in refused.value.message
        assert "orders" in refused.value.message


@given(some.text(max_size=200))
def test_no_line_breaks_the_reader(text: str) -> None:
    try:
        line = parse_line(text)
    except Refusal:
        return
    assert line.name and (line.numbers or line.members)
    assert len(line.changes) == len(line.numbers)
