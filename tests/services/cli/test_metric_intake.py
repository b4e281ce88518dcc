"""`halage metric put`, `intake` and `export`."""

import json

from tests.services.cli.conftest import Halage


def test_what_is_put_stands_in_the_export(as_dev: Halage) -> None:
    done = as_dev("metric", "put", "shop", "prod", "queue", "3")
    assert done.code == 0
    assert done.out.startswith("Kept. shop.prod has ") and "of 500 series of its own" in done.out
    assert as_dev("metric", "put", "shop", "prod", "debt", "--", "-4").code == 0
    as_dev("metric", "put", "shop", "prod", "orders", "2", "--kind", "count", "-d", "a=b=c", "-d", "d=e")
    as_dev("metric", "put", "shop", "prod", "took_seconds", "1", "2.5", "--kind", "distribution")
    out = as_dev("metric", "export").out
    place = 'environment="prod",project="shop"'
    for line in (
        f"queue{{{place}}} 3",
        f"debt{{{place}}} -4",
        'orders_total{a="b=c",d="e",' + place + "} 2",
        f"took_seconds_count{{{place}}} 2",
        f"took_seconds_sum{{{place}}} 3.5",
    ):
        assert line in out.splitlines()
    assert "queue" in json.loads(as_dev("metric", "export", "-o", "json").out)["text"]


def test_what_cannot_be_used_ends_with_2(as_dev: Halage) -> None:
    for wrong in (("1", "2"), ("one",), ("1", "-d", "a"), ("1", "--kind", "timer"), ("1", "--at", "soon")):
        assert as_dev("metric", "put", "shop", "prod", "queue", *wrong).code == 2, wrong
    refused = as_dev("metric", "put", "shop", "prod", "halage_lies", "1")
    assert refused.code == 2 and "Halage's own" in refused.err
    assert as_dev("metric", "put", "shop", "nosuch", "queue", "1").code == 4


def test_what_was_refused_is_shown(as_dev: Halage) -> None:
    as_dev("metric", "put", "shop", "prod", "debt", "--kind", "count", "--", "-1")
    shown = as_dev("metric", "intake")
    assert shown.code == 0
    assert "refused: " in shown.out and "shop.prod" in shown.out
    assert "StatsD is off" in shown.err
    state = json.loads(as_dev("metric", "intake", "-o", "json").out)
    assert state["environments"][0]["limit"] == 500
