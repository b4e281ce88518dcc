"""`halage alarm`: every command, in both forms, and how it ends."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from halage.monitor.alarms.ledger import NewChange, expand_with, record_changes
from halage.monitor.alarms.model import State, Tell, Verdict
from tests.services.cli.conftest import Halage, Served

LATENCY = 'p95(environment_response_time_ms{environment="prod"})'


def made(halage: Halage, name: str, *arguments: str) -> dict[str, Any]:
    """An alarm of the shop."""
    place = () if "--project" in arguments else ("--project", "shop")
    answer = halage("alarm", "create", name, *place, *arguments, "-o", "json")
    assert answer.code == 0, answer.err
    return dict(json.loads(answer.out))


def shown(halage: Halage, alarm: dict[str, Any]) -> dict[str, Any]:
    answer = halage("alarm", "show", str(alarm["id"]), "-o", "json")
    assert answer.code == 0, answer.err
    return dict(json.loads(answer.out))


def say(served: Served, alarm: dict[str, Any], state: State, reason: str) -> None:
    """Let an alarm change, as the controller does."""
    services = served.world.services

    async def change() -> None:
        now = await services.alarms.show(alarm["id"])
        verdict = Verdict(state, reason, {"points": [[1_700_000_000.0, 640.0]], "period_s": 60})
        made = NewChange(now, verdict, services.clock.now(), is_deploying=False)
        await services.database.run(record_changes, [made], expand_with([Tell()]), None)

    asyncio.run(change())


def test_an_alarm_with_everything_that_has_an_option(as_dev: Halage) -> None:
    alarm = made(
        as_dev, "slow", "--environment", "prod", "--expression", LATENCY, "--at-least", "500.5",
        "--period", "5m", "--out-of", "3/5", "--missing", "notBreaching", "--low-samples", "ignore",
        "--tell", "memory://ada", "--tell", "memory://bob", "--call", "https://hooks.example.org/secret",
        "--scale-by", "2", "--up-to", "6", "--rollback", "--mute-while-deploying",
        "--description", "Call Ada",
    )  # fmt: skip
    assert (alarm["operator"], alarm["threshold"], alarm["band"]) == (">=", 500.5, None)
    assert (alarm["period_s"], alarm["breaching"], alarm["periods"]) == (300, 3, 5)
    assert (alarm["missing"], alarm["low_samples"]) == ("notBreaching", "ignore")
    assert alarm["mute_while_deploying"] and alarm["description"] == "Call Ada"
    tell, call, scale, rollback = alarm["on_alarm"]
    assert [re.sub("#.*", "", each) for each in tell["to"]] == ["memory://***"] * 2
    assert "secret" not in call["url"] and call["method"] == "POST"
    assert scale == {"kind": "scale", "by": 2, "to": None, "minimum": 1, "maximum": 6}
    assert rollback == {"kind": "rollback", "within_s": 3600}
    assert alarm["on_ok"][0]["to"] == tell["to"] or len(alarm["on_ok"]) == 2, "and tells when well again"
    page = as_dev("alarm", "show", str(alarm["id"]))
    for words in ("INSUFFICIENT_DATA", "(3 of 5 x 300 s)", "scale by +2 (1 to 6 instances)", "ignore"):
        assert words in page.out, page.out
    assert "roll back what was deployed within 60 min" in page.out and "secret" not in page.out


def test_a_band_a_rule_and_one_that_tells_everyone(as_dev: Halage) -> None:
    band = made(as_dev, "unusual", "--expression", LATENCY, "--band", "2.5", "--side", "above",
                "--period", "10m", "--tell-everyone")  # fmt: skip
    assert (band["band"], band["threshold"]) == ({"width": 2.5, "side": "above"}, None)
    assert band["on_alarm"] == band["on_ok"] == [{"kind": "tell", "to": []}]
    rule = made(as_dev, "both", "--rule", 'ALARM("unusual") AND NOT DEPLOYING')
    assert (rule["rule"], rule["expression"]) == ('ALARM("unusual") AND NOT DEPLOYING', None)
    listed = as_dev("alarm", "list", "--project", "shop")
    assert "above the band of 2.5 (1 of 1 x 600 s)" in listed.out and "DEPLOYING" in listed.out
    refused = as_dev("alarm", "delete", str(band["id"]))
    assert refused.code == 1 and "the rule of both names it" in refused.err


def test_alarms_are_listed_by_place_and_state(as_dev: Halage, served: Served) -> None:
    alarm = made(as_dev, "listed", "--environment", "prod", "--expression", LATENCY, "--above", "1")
    say(served, alarm, State.ALARM, "1 of the last 1 values is > 1: 640")
    table = as_dev("alarm", "list", "--environment", "prod", "--state", "ALARM")
    assert re.search(rf"^{alarm['id']} +listed +shop prod +ALARM ", table.out, re.MULTILINE)
    found = json.loads(as_dev("alarm", "list", "--state", "ALARM", "-o", "json").out)
    assert [each["name"] for each in found] == ["listed"]
    empty = as_dev("alarm", "list", "--project", "shop", "--environment", "nowhere")
    assert empty.code == 0 and "There are no alarms." in empty.err
    assert as_dev("alarm", "list", "--project", "hidden").code == 4
    assert as_dev("alarm", "list", "--state", "RED").code == 2


def test_what_is_not_named_stays_when_an_alarm_is_changed(as_dev: Halage) -> None:
    alarm = made(as_dev, "changed", "--expression", LATENCY, "--above", "1", "--out-of", "2",
                 "--tell", "memory://ada", "--call", "https://hooks.example.org/x")  # fmt: skip
    number = str(alarm["id"])
    done = as_dev("alarm", "set", number, "--below", "0.5", "--period", "2m", "--name", "renamed",
                  "--low-samples", "ignore")  # fmt: skip
    words = f"Alarm {number}: renamed, in alarm when {LATENCY} < 0.5 (2 of 2 x 120 s).\n"
    assert (done.code, done.out) == (0, words), done.err
    after = shown(as_dev, alarm)
    assert after["on_alarm"] == alarm["on_alarm"], "masked secrets that are sent back stay"
    assert as_dev("alarm", "set", number, "--tell", "memory://bob").code == 0
    told = shown(as_dev, alarm)
    assert len(told["on_alarm"][0]["to"]) == 1 and told["on_alarm"][0] != alarm["on_alarm"][0]
    assert told["on_alarm"][1] == alarm["on_alarm"][1], "what is no message stays"
    assert as_dev("alarm", "set", number, "--band", "3", "--period", "5m").code == 0
    assert shown(as_dev, alarm)["threshold"] is None
    nothing = as_dev("alarm", "set", number)
    assert nothing.code == 2 and "Name at least one thing to change." in nothing.err


def test_an_export_is_an_import(as_dev: Halage, tmp_path: Path) -> None:
    alarm = made(as_dev, "exported", "--expression", LATENCY, "--above", "1", "--tell", "memory://xyzzy")
    number, file = str(alarm["id"]), tmp_path / "alarm.json"
    printed = as_dev("alarm", "export", number)
    assert as_dev("alarm", "export", number, "--file", str(file)).out == f"Wrote {file}.\n"
    assert file.read_text() == printed.out and "xyzzy" not in printed.out
    document = json.loads(printed.out)
    over = as_dev("alarm", "import", "-", "--over", number, stdin=json.dumps({**document, "threshold": 9}))
    assert over.code == 0, over.err
    assert shown(as_dev, alarm)["on_alarm"] == alarm["on_alarm"]
    refused = as_dev("alarm", "import", str(file), "--project", "shop")
    assert refused.code == 2 and "only what is shown of a secret" in refused.err, "a mask is no address"
    document["on_alarm"][0]["to"] = document["on_ok"][0]["to"] = ["memory://ada"]
    copy = as_dev("alarm", "import", "-", "--project", "shop", stdin=json.dumps({**document, "name": "copy"}))
    assert copy.code == 0 and ": copy, in alarm when" in copy.out
    both = as_dev("alarm", "import", str(file), "--over", number, "--project", "shop")
    assert both.code == 2


@pytest.mark.parametrize("text", ["not json", "[]", "{}", None])
def test_what_is_no_alarm_is_refused_before_it_is_sent(
    as_dev: Halage, tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "wrong.json"
    if text is not None:
        file.write_text(text)
    answer = as_dev("alarm", "import", str(file), "--project", "shop")
    assert answer.code == 2 and str(file) in answer.err


def test_the_history_says_why_and_what_was_done(as_dev: Halage, served: Served) -> None:
    alarm = made(as_dev, "told", "--environment", "prod", "--expression", LATENCY, "--above", "1",
                 "--tell", "memory://ada", "--rollback")  # fmt: skip
    number = str(alarm["id"])
    assert "It has not changed yet." in as_dev("alarm", "history", number).err
    say(served, alarm, State.ALARM, "1 of the last 1 values is > 1: 640")
    say(served, alarm, State.OK, "no value is > 1")
    table = as_dev("alarm", "history", number)
    assert table.out.index("ALARM to OK") < table.out.index("INSUFFICIENT_DATA to ALARM")
    assert "roll back, if the release was deployed in the last 60 min (waiting)" in table.out
    assert "tell memory://***#" in table.out and "ada" not in table.out
    newest = json.loads(as_dev("alarm", "history", number, "-n", "1", "-o", "json").out)
    assert [change["state"] for change in newest] == ["OK"]
    assert newest[0]["facts"]["points"] == [[1700000000.0, 640.0]]


def test_a_test_says_what_it_would_do_and_fails_when_nobody_is_reached(as_dev: Halage) -> None:
    alarm = made(as_dev, "tested", "--expression", LATENCY, "--above", "1", "--tell", "memory://broken")
    number = str(alarm["id"])
    quiet = as_dev("alarm", "test", number)
    assert quiet.code == 0 and quiet.out.startswith("INSUFFICIENT_DATA: ") and "told" not in quiet.out
    sent = as_dev("alarm", "test", number, "--send")
    assert sent.code == 1
    assert re.search(r"^not told memory://\*\*\*#\w+: the service did not take it$", sent.out, re.MULTILINE)
    assert as_dev("alarm", "set", number, "--tell", "memory://ada").code == 0
    good = as_dev("alarm", "test", number, "--send", "-o", "json")
    assert good.code == 0 and json.loads(good.out)["told"][0]["is_delivered"]


def test_an_alarm_is_disabled_for_a_while_and_enabled(as_dev: Halage) -> None:
    alarm = made(as_dev, "disabled", "--expression", LATENCY, "--above", "1")
    number = str(alarm["id"])
    ended = as_dev("alarm", "disable", number, "--for", "30m")
    assert ended.code == 0 and f"Alarm {number} does nothing until " in ended.out
    until = shown(as_dev, alarm)
    assert until["is_disabled"] and until["disabled_until"] is not None
    assert "INSUFFICIENT_DATA (disabled)" in as_dev("alarm", "show", number).out
    whole = as_dev("alarm", "disable", number)
    assert whole.out == f"Alarm {number} does nothing.\n"
    assert shown(as_dev, alarm)["disabled_until"] is None
    assert as_dev("alarm", "enable", number).out == f"Alarm {number} does again what it does.\n"
    assert not shown(as_dev, alarm)["is_disabled"]
    assert as_dev("alarm", "disable", number, "--for", "soon").code == 2


def test_a_deleted_alarm_is_gone(as_dev: Halage) -> None:
    alarm = made(as_dev, "deleted", "--expression", LATENCY, "--above", "1")
    number = str(alarm["id"])
    answer = as_dev("alarm", "delete", number, "-o", "json")
    assert json.loads(answer.out) == {"id": alarm["id"], "is_deleted": True}
    for command in ("show", "history", "test", "enable", "disable", "delete", "export"):
        gone = as_dev("alarm", command, number)
        assert gone.code == 4 and f"There is no alarm {number}" in gone.err, command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--above", "1", "--below", "2"), "Give one of --above"),
        (("--above", "1", "--band", "2"), "Give one of --above"),
        (("--above", "1", "--side", "above"), "--side says on which side of a --band"),
        (("--above", "1", "--out-of", "three"), "--out-of is written as 3/5"),
        (("--above", "1", "--out-of", "6/5"), "from 1 to periods, which is 5"),
        (("--above", "1", "--scale-by", "1"), "--scale-by needs --up-to"),
        (("--above", "1", "--up-to", "8"), "--up-to says how far --scale-by may go"),
        (("--above", "1", "--period", "59.9s"), "a whole number of seconds"),
        (("--above", "1", "--rollback"), "only in an alarm of an environment"),
        (("--above", "1", "--period", "61s"), "a multiple of 60"),
        (("--above", "1", "--tell", "nobody"), "an address as Apprise knows them"),
        (("--above", "nan"), "finite numbers"),
        ((), "one of the two"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(
    as_dev: Halage, arguments: tuple[str, ...], said: str
) -> None:
    answer = as_dev("alarm", "create", "wrong", "--project", "shop", "--expression", LATENCY, *arguments)
    assert answer.code == 2 and said in answer.err, answer.err
    names = {each["name"] for each in json.loads(as_dev("alarm", "list", "-o", "json").out)}
    assert "wrong" not in names


def test_a_file_that_cannot_be_written_or_says_what_no_alarm_has(as_dev: Halage, tmp_path: Path) -> None:
    alarm = made(as_dev, "filed", "--expression", LATENCY, "--above", "1")
    refused = as_dev("alarm", "export", str(alarm["id"]), "--file", str(tmp_path / "none" / "x.json"))
    assert refused.code == 2 and "cannot be written: No such file" in refused.err
    for member in ("treshold", "project"):
        document = json.dumps({"name": "typo", "expression": LATENCY, member: 1})
        refused = as_dev("alarm", "import", "-", "--project", "shop", stdin=document)
        assert refused.code == 2 and f"- has '{member}', which no alarm has" in refused.err


def test_an_address_with_a_password_is_asked_for(as_dev: Halage) -> None:
    answer = as_dev("alarm", "create", "asked", "--project", "shop", "--expression", LATENCY, "--above", "1",
                    "--tell", "-", "--call", "-", "-o", "json",
                    stdin="memory://s3cret\nhttps://hooks.example.org/s3cret\n")  # fmt: skip
    assert answer.code == 0, answer.err
    tell, call = json.loads(answer.out)["on_alarm"]
    assert tell["to"][0].startswith("memory://***") and "@hooks.example.org" in call["url"]
    assert "s3cret" not in answer.out


def test_a_viewer_looks_and_the_servers_are_administrators(
    as_dev: Halage, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarm = made(as_dev, "seen", "--expression", LATENCY, "--above", "1")
    denied = as_dev(
        "alarm", "create", "disk", "--expression", "highest(maximum(machine_disk))", "--above", "9"
    )
    assert denied.code == 3 and "an administrator of the server" in denied.err
    monkeypatch.setenv("HALAGE_TOKEN", served.world.tokens["viewer"])
    assert as_dev("alarm", "show", str(alarm["id"])).code == 0
    for command in ("test", "disable", "enable", "delete"):
        assert as_dev("alarm", command, str(alarm["id"])).code == 3, command
    monkeypatch.setenv("HALAGE_TOKEN", served.world.tokens["admin"])
    disk = as_dev("alarm", "create", "disk", "--expression", "highest(maximum(machine_disk))", "--above", "9")
    assert disk.code == 0, disk.err
    assert re.search(r"^\d+ +disk +server ", as_dev("alarm", "list").out, re.MULTILINE)
