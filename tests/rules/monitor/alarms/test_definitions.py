"""Definitions: what they may be, how they are kept, and what is shown of them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from halage.monitor.alarms.composite import parse_rule
from halage.monitor.alarms.defaults import environment_defaults, server_defaults
from halage.monitor.alarms.documents import from_document, in_words, to_document, to_shown
from halage.monitor.alarms.errors import BadAlarm
from halage.monitor.alarms.limits import check_definition
from halage.monitor.alarms.message import body_of, message_of
from halage.monitor.alarms.messenger import masked
from halage.monitor.alarms.model import Band, Call, Change, Definition, Missing, Rollback, Scale, State, Tell
from halage.monitor.alarms.sealing import definition_of, shown_form
from halage.monitor.metrics.expression import parse

ADDRESS = "mailto://grace:s3same@example.org?to=ops@example.org"
URL = "https://hooks.example.org/T0KEN/x?key=s3same"


class PlainBox:
    """A box that only turns texts round."""

    def seal(self, text: str) -> str:
        return text[::-1]

    def open(self, sealed: str) -> str:
        return sealed[::-1]


BOX = PlainBox()
WANTED: dict[str, Any] = {
    "name": "errors",
    "project": "shop",
    "environment": "prod",
    "expression": "sum(x)",
    "operator": ">=",
    "threshold": 5.0,
    "periods": 3,
    "breaching": 2,
    "missing": "notBreaching",
    "low_samples": None,
    "on_alarm": [
        {"kind": "tell", "to": [ADDRESS, "slack://T0KEN/B/C"]},
        {"kind": "scale", "by": 1, "maximum": 6},
        {"kind": "rollback"},
        {"kind": "call", "url": URL, "headers": {"Authorization": "Bearer s3same"}},
    ],
    "on_ok": [{"kind": "tell"}],
}


def test_a_definition_is_kept_and_read_back_and_its_secrets_are_sealed() -> None:
    definition = definition_of(WANTED, BOX, None)
    check_definition(definition)
    document = json.loads(json.dumps(to_document(definition)))
    assert from_document(document) == definition
    tell, scale, rollback, call = definition.on_alarm
    assert isinstance(tell, Tell)
    assert isinstance(call, Call)
    assert [BOX.open(each.secret) for each in tell.to] == [ADDRESS, "slack://T0KEN/B/C"]
    assert BOX.open(call.url.secret) == URL
    assert (scale, rollback) == (Scale(maximum=6, by=1), Rollback(3600))
    for secret in ("s3same", "T0KEN", "grace"):
        assert secret not in json.dumps(document)
        assert secret not in repr(definition)


def test_what_is_shown_holds_nothing_secret_and_can_be_sent_back() -> None:
    definition = definition_of(WANTED, BOX, None)
    shown = to_shown(definition)
    mail, slack = shown["on_alarm"][0]["to"]
    assert mail.startswith("mailto://***@example.org#")
    assert slack.startswith("slack://***#")
    assert shown["on_alarm"][3]["headers"] == {"Authorization": "***"}
    assert shown["on_alarm"][3]["url"].startswith("https://***@hooks.example.org#")
    for secret in ("s3same", "T0KEN", "grace"):
        assert secret not in json.dumps(shown) + " ".join(map(in_words, definition.on_alarm))
    assert definition_of({**shown, "threshold": 9.0}, BOX, definition) == replace(definition, threshold=9.0)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"on_alarm": [{"kind": "tell", "to": ["mailto://***@example.org#zzzz"]}]}, "on_alarm.0.to.0"),
        ({"on_ok": [{"kind": "call", "url": URL, "headers": {"X": "***"}}]}, "on_ok.0.headers.X"),
        ({"on_ok": [{"kind": "call", "url": "ftp://s3same"}]}, "on_ok.0.url"),
        ({"on_ok": [{"kind": "call", "url": "https://"}]}, "on_ok.0.url"),
        ({"on_ok": [{"kind": "call", "url": URL, "headers": {"Idempotency-Key": "1"}}]}, "on_ok.0.headers"),
        ({"on_ok": [{"kind": "call", "url": URL, "headers": {"a b": "1"}}]}, "on_ok.0.headers"),
    ],
)
def test_a_shown_form_that_stands_for_nothing_and_a_bad_call_are_refused(
    change: dict[str, Any], where: str
) -> None:
    with pytest.raises(BadAlarm) as refused:
        definition_of({**WANTED, **change}, BOX, None)
    assert refused.value.message.startswith(f"{where}: found ")
    assert "s3same" not in refused.value.message + str(refused.value.facts)


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("mailtos://u:p@mail.example.org/x", "mailtos://***@mail.example.org#k3x9"),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "discord://***#k3x9"),
        ("https://u:p@h.example.org:8443/t", "https://***@h.example.org#k3x9"),
        ("no address at all", "***#k3x9"),
        ("json://[::1", "json://***#k3x9"),
    ],
)
def test_what_is_shown_of_an_address(address: str, wanted: str) -> None:
    assert shown_form(address, "k3x9") == wanted


def test_what_a_service_says_is_shown_without_the_address() -> None:
    said = "Could not load Slack URL: slack://T0KENA/T0KENB (T0KENB is bad)"
    assert masked(said, "slack://T0KENA/T0KENB") == "Could not load Slack URL: slack://*** (*** is bad)"


METRIC = Definition("a", project="shop", environment="prod", expression="sum(x)", threshold=1.0)
RULE = Definition("a", project="shop", rule='ALARM("b")')


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (replace(METRIC, expression=None), "expression, rule: found neither, allowed is one of the two"),
        (replace(METRIC, rule="DEPLOYING"), "expression, rule: found both"),
        (replace(METRIC, threshold=None), "threshold, band: found neither, allowed is one of the two"),
        (replace(METRIC, band=Band(2)), "threshold, band: found both"),
        (replace(METRIC, threshold=float("inf")), "threshold: found inf, allowed is a finite number"),
        (replace(METRIC, threshold=None, band=Band(0), period_s=300), "band.width: found 0"),
        (
            replace(METRIC, threshold=None, band=Band(2)),
            "period_s: found 60, allowed is with a band 300, 600",
        ),
        (replace(METRIC, period_s=15), "period_s: found 15, allowed is 10, 20 or 30, or a multiple of 60"),
        (replace(METRIC, period_s=90), "period_s: found 90"),
        (replace(METRIC, period_s=90000), "period_s: found 90000"),
        (replace(METRIC, periods=0), "periods: found 0"),
        (
            replace(METRIC, period_s=3600, periods=25),
            "periods: found 25 periods of 3600 s, allowed is at most",
        ),
        (
            replace(METRIC, periods=3, breaching=4),
            "breaching: found 4, allowed is from 1 to periods, which is 3",
        ),
        (replace(METRIC, project=None), "environment: found prod, allowed is null without a project"),
        (replace(METRIC, name='a"b'), "name: found 'a\"b'"),
        (replace(RULE, threshold=1.0), "threshold, band: found one of them, allowed is neither with a rule"),
        (
            replace(RULE, on_alarm=(Rollback(),)),
            "on_alarm.0: found rollback, allowed is only in an alarm of an",
        ),
        (replace(METRIC, on_ok=(Scale(3),)), "on_ok.0: found neither, allowed is one of by and to"),
        (replace(METRIC, on_ok=(Scale(3, by=0),)), "on_ok.0.by: found 0"),
        (replace(METRIC, on_ok=(Scale(3, minimum=4, by=1),)), "on_ok.0.minimum, maximum: found 4 to 3"),
        (replace(METRIC, on_ok=(Scale(3, to=4),)), "on_ok.0.to: found 4, allowed is from 1 to 3"),
        (replace(METRIC, on_ok=(Scale(3, minimum=0, to=0),)), "on_ok.0.minimum, maximum: found 0 to 3"),
    ],
)
def test_each_limit_is_refused_by_name_with_what_is_allowed(definition: Definition, message: str) -> None:
    with pytest.raises(BadAlarm) as refused:
        check_definition(definition)
    assert message in refused.value.message


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(BadAlarm) as refused:
        check_definition(replace(METRIC, period_s=7, periods=2, breaching=3))
    assert [each["location"] for each in refused.value.facts["errors"]] == ["period_s", "breaching"]


def test_the_alarms_that_come_by_themselves_are_good_ones() -> None:
    alarms = [*environment_defaults("shop", "prod").values(), *server_defaults().values()]
    assert len({alarm.name for alarm in alarms}) == len(alarms) == 8
    for alarm in alarms:
        check_definition(alarm)
        assert alarm.description.endswith(".")
        assert alarm.on_alarm == (Tell(),)
        if alarm.rule is not None:
            parse_rule(alarm.rule)
        else:
            assert alarm.expression is not None
            parse(alarm.expression)
    assert {alarm.environment for alarm in environment_defaults("shop", "prod").values()} == {"prod"}


CHANGE = Change(
    12, 7, 1_700_000_000.0, 1_700_000_001.0, State.OK, State.ALARM, "3 of the last 5 values are > 5: 7", {}
)


def test_a_message_says_what_where_since_when_the_numbers_and_where_to_look() -> None:
    definition = replace(METRIC, name="errors", description="Too many errors.", on_alarm=(Rollback(),))
    message = message_of(definition, CHANGE, "https://halage.example.org")
    assert message.title == "ALARM: errors (prod of shop)"
    assert message.body.splitlines() == [
        "3 of the last 5 values are > 5: 7",
        "sum(x) > 1",
        "Too many errors.",
        "",
        "Where: prod of shop",
        "Since: 2023-11-14 22:13:20 UTC",
        "Before: OK",
        "Halage does: roll back, if the release was deployed in the last 60 min",
        "Look: https://halage.example.org/alarms/7",
        "Reference: change 12",
    ]


def test_a_call_carries_the_change_as_json() -> None:
    body = json.loads(json.dumps(body_of(METRIC, CHANGE, "https://h")))
    assert body["state"] == "ALARM"
    assert body["at"] == "2023-11-14T22:13:20+00:00"
    assert body["url"] == "https://h/alarms/7"
    assert body["change"] == 12


@pytest.mark.parametrize(
    ("field", "scale", "missing", "location"),
    [
        ("on_alarm", Scale(maximum=6, by=-1), Missing.BREACHING, "missing"),
        ("on_ok", Scale(maximum=6, by=-1), Missing.NOT_BREACHING, "missing"),
        ("on_ok", Scale(maximum=6, to=2), Missing.NOT_BREACHING, "missing"),
        ("on_insufficient_data", Scale(maximum=6, by=-1), Missing.MISSING, "on_insufficient_data.0"),
        ("on_insufficient_data", Scale(maximum=6, to=1), Missing.MISSING, "on_insufficient_data.0"),
        ("on_alarm", Scale(maximum=6, by=-1), Missing.MISSING, None),
        ("on_alarm", Scale(maximum=6, by=-1), Missing.IGNORE, None),
        ("on_alarm", Scale(maximum=6, by=1), Missing.BREACHING, None),
        ("on_alarm", Scale(maximum=6, to=5), Missing.BREACHING, None),
        ("on_ok", Scale(maximum=6, by=-1), Missing.MISSING, None),
        ("on_insufficient_data", Scale(maximum=6, by=1), Missing.MISSING, None),
    ],
)
def test_a_metric_that_is_lost_takes_no_instance_away(
    field: str, scale: Scale, missing: Missing, location: str | None
) -> None:
    actions: dict[str, Any] = {"on_alarm": (), "on_ok": (), "on_insufficient_data": (), field: (scale,)}
    definition = replace(definition_of(WANTED, BOX, None), missing=missing, **actions)
    if location is None:
        check_definition(definition)
        return
    with pytest.raises(BadAlarm, match="fewer instances") as refused:
        check_definition(definition)
    assert [each["location"] for each in refused.value.facts["errors"]] == [location]
