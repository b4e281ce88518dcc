"""The pages of alarms: what is rendered before any script runs, who may do what, and the form."""

import html
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from halage.monitor.alarms.model import State
from tests.services.web.console.sample import Sample
from tests.services.web.console.visit import Visit, Visits

NEW = {
    "name": "Too slow",
    "environment": "prod",
    "what": "expression",
    "expression": "maximum(environment_response_time_ms)",
    "limit": "threshold",
    "operator": ">",
    "threshold": "12,5",
    "side": "outside",
    "period_s": "60",
    "breaching": "3",
    "periods": "5",
    "missing": "notBreaching",
    "low_samples": "evaluate",
}
BUTTONS = ("test", "disable", "enable", "delete", "edit")


def rows_of(page: str) -> list[tuple[str, str]]:
    """State and name of the alarms of a list, from top to bottom."""
    return [
        (state.replace("alarm-", ""), name)
        for state, name in re.findall(
            r'<li id="alarm-\d+" class="alarm is-([a-z_-]+)[^>]*>.*?<a class="strong"[^>]*>([^<]+)',
            page,
            re.S,
        )
    ]


def problem_of(page: str, field: str) -> str:
    """What stands next to a field, as the field itself refers to it."""
    name = field.replace(".", "-")
    tag = re.search(rf'<(?:input|select|textarea) [^>]*id="{name}"[^>]*>', page)
    assert tag is not None and 'aria-invalid="true"' in tag[0] and f"problem-{name}" in tag[0], field
    found = re.search(rf'<p class="field-problem(?: code)?" id="problem-{name}"[^>]*>([^<]+)', page)
    assert found is not None, field
    return html.unescape(found[1])


async def make(visit: Visit, project: str = "boutique", **fields: str) -> Any:
    """Send the form of a new alarm."""
    return await visit.send(f"/alarms/new?project={project}", **{**NEW, **fields})


async def newest(sample: Sample) -> Any:
    """The alarm that was made last."""
    return max(await sample.services.alarms.list(), key=lambda alarm: alarm.id)


async def test_the_list_shows_state_by_colour_and_word_the_worst_first(visits: Visits) -> None:
    page = (await (await visits.by("root")).get("/alarms")).text
    states = [state for state, _ in rows_of(page)]
    assert states == ["alarm"] * 2 + ["insufficient_data"] + ["ok"] * 4
    for word in ("Alarm", "Insufficient data", "OK"):
        assert f"<span>{word}</span>" in page
    assert rows_of(page)[1] == ("alarm", "Response time") and "512, 530, 588, 611, 640" in page
    french = (await (await visits.by("root")).get("/alarms", "fr")).text
    assert "<span>Données insuffisantes</span>" in french and "<span>Alarme</span>" in french


async def test_the_list_is_chosen_by_project_environment_and_state(visits: Visits) -> None:
    visit = await visits.by("root")
    chosen = (await visit.get("/alarms?project=boutique&environment=prod&state=ALARM")).text
    assert rows_of(chosen) == [("alarm", "Response time")]
    assert 'href="/alarms?project=boutique&amp;environment=prod"' in chosen, "the way back to all states"
    assert "<option selected>boutique</option>" in chosen and "<option selected>prod</option>" in chosen
    of_place = (await visit.get("/projects/boutique/environments/prod/alarms?state=OK")).text
    assert rows_of(of_place) == [("ok", "Errors")]
    follows = re.search(r'sse-connect="([^"]+)"', of_place)
    assert follows is not None
    assert follows[1] == "/projects/boutique/environments/prod/alarms/live?state=OK"
    nothing = (await visit.get("/alarms?environment=nowhere&state=nonsense&page=nonsense")).text
    assert rows_of(nothing) == [] and "There is no such alarm here." in nothing


async def test_a_long_list_is_shown_a_page_at_a_time(visits: Visits, sample: Sample) -> None:
    alarms = sample.services.alarms
    wanted = {"project": "museum", "rule": "DEPLOYING"}
    for number in range(120):
        await alarms.create({**wanted, "name": f"n{number:03}"}, actor="marie")
    visit = await visits.by("marie")
    first = (await visit.get("/alarms?project=museum")).text
    assert len(rows_of(first)) == 100 and 'href="/alarms?project=museum&amp;page=2"' in first
    second = (await visit.get("/alarms?project=museum&page=2")).text
    assert [name for _, name in rows_of(second)] == [f"n{number:03}" for number in range(100, 120)]
    assert 'href="/alarms?project=museum"' in second and "page=3" not in second


async def test_how_many_are_in_alarm_stands_at_the_ways_to_them(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("zoe")

    async def counts(address: str) -> list[str]:
        page = (await visit.get(address)).text
        return re.findall(r'<span class="count is-alarm-alarm">(\d+)<span class="unseen"> in alarm', page)

    assert await counts("/projects") == ["2"]
    assert await counts("/projects/boutique") == ["2", "2"]
    assert await counts("/projects/boutique/environments/prod") == ["2", "1"]
    assert await counts("/projects/museum") == ["2"]
    await sample.alarms.say(1, State.ALARM)
    assert await counts("/projects/boutique/environments/prod/logs") == ["3", "2"]


async def test_one_sees_the_alarms_of_ones_projects_and_administrators_those_of_the_server(
    visits: Visits, sample: Sample
) -> None:
    hidden = await sample.services.alarms.create(
        {"project": "secret-plan", "name": "Hidden", "rule": "DEPLOYING"}, actor="root"
    )
    zoe, root = await visits.by("zoe"), await visits.by("root")
    names = {name for _, name in rows_of((await zoe.get("/alarms")).text)}
    assert "Response time" in names and not {"Hidden", "Disk of the machine"} & names
    assert {"Hidden", "Disk of the machine"} < {name for _, name in rows_of((await root.get("/alarms")).text)}
    seen, missing = await zoe.get(f"/alarms/{hidden.id}"), await zoe.get("/alarms/99")
    assert (seen.status_code, missing.status_code) == (404, 404)
    assert re.sub(rf"(alarm |/alarms/){hidden.id}\b", r"\g<1>99", seen.text) == missing.text
    assert (await zoe.get("/alarms/5")).status_code == 403
    for address in ("/alarms?project=secret-plan", "/alarms/live?project=secret-plan", "/alarms/none"):
        assert (await zoe.get(address)).status_code == 404, address
    assert "Disk of the machine" not in (await zoe.get("/dashboards/machine")).text
    assert "Disk of the machine" in (await root.get("/dashboards/machine")).text


async def test_one_alarm_says_why_with_its_numbers_its_picture_and_its_history(visits: Visits) -> None:
    page = (await (await visits.by("zoe")).get("/alarms/2")).text
    assert '<p class="cause" lang="en">5 of the last 5 values are &gt; 500' in page
    assert "in 3 of the last 5 periods of 1 min" in page
    picture = page.split('<svg class="course"')[1].split("</section>")[0]
    assert 'class="values"' in picture and 'class="limit-name"' in picture and "&gt; 500</text>" in picture
    assert picture.count('class="values"') == 2, "a gap in the data is a gap in the line"
    rects = re.findall(r'<rect class="is-alarm-(ok|alarm)" x="([\d.]+)%" width="([\d.]+)%"', picture)
    spans = {state: (float(begin), float(width)) for state, begin, width in rects}
    # It is so since two hours before the sample was made, of three that are drawn: up to the last ten seconds
    # that are over, which moves it to the right by a tenth of a per cent at the most.
    begin, width = spans["alarm"]
    assert 0 < begin < 33.5 and spans["ok"][0] == 0
    assert abs(spans["ok"][1] - begin) < 0.02 and abs(begin + width - 100) < 0.02
    numbers = page.split("<tbody>")[1].split("</tbody>")[0]
    assert numbers.count("<tr>") == 7 and numbers.count(" yes</span>") >= 3
    changes = page.split('<ol class="rows changes">')[1].split("</ol>")[0]
    assert "<strong>Done</strong>" in changes and "mailto://***@example.org#k3x9" in changes
    assert "<strong>Failed</strong>" in changes and "10 attempts" in changes
    assert "there is no earlier release" in changes
    does = page.split('id="actions-title"')[1].split("</section>")[0]
    assert "roll back, if the release was deployed in the last 1 h" in does and "sealed" not in page


async def test_a_band_is_drawn_and_a_rule_shows_the_alarms_that_it_names(visits: Visits) -> None:
    visit = await visits.by("zoe")
    band = (await visit.get("/alarms/6")).text
    assert 'class="usual"' in band and "outside the usual by 3 deviations" in band
    assert 'class="limit"' not in band
    assert re.search(r'<td class="num">[\d.]+ \u2013 [\d.]+</td>', band), "the band at each period"
    rule = (await visit.get("/alarms/7")).text
    assert 'class="course"' not in rule and 'class="said"' in rule
    assert '<a class="strong" href="/alarms/2">' in rule and '<a class="strong" href="/alarms/1">' in rule
    assert "does not hold: Response time is ALARM, Errors is OK" in rule


async def test_the_address_says_what_time_is_drawn(visits: Visits) -> None:
    visit = await visits.by("zoe")
    assert 'href="?range=10800" aria-current="true"' in (await visit.get("/alarms/2")).text
    week = (await visit.get("/alarms/2?range=604800")).text
    assert 'href="?range=604800" aria-current="true"' in week and "Each value covers 30 min." in week
    assert 'href="?range=43200" aria-current="true"' in (await visit.get("/alarms/6?range=7")).text


async def test_what_people_wrote_is_shown_as_they_wrote_it(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    made = await make(visit, name="<b>slow", description="<script>", expression="maximum(nothing)")
    page = (await visit.get(made.headers["location"])).text
    assert "&lt;b&gt;slow</h1>" in page and "&lt;script&gt;</p>" in page
    assert "<b>slow" not in page + (await visit.get("/alarms")).text


async def test_an_alarm_is_tested_and_a_message_is_sent_only_when_asked(
    visits: Visits, sample: Sample
) -> None:
    visit = await visits.by("paul")
    made = await make(visit, **{"on_alarm.0.kind": "tell", "on_alarm.0.on": "yes", "on_alarm.0.who": "these",
                                "on_alarm.0.to": "memory://xyzzy\nmemory://broken"})  # fmt: skip
    where = made.headers["location"]
    tested = (await visit.send(f"{where}/test")).text
    trial = tested.split('id="trial-title"')[1].split("</section>")[0]
    assert "Now it would say:" in trial and "Test message" not in trial
    sent = (await visit.send(f"{where}/test", send="yes")).text
    assert "Test message delivered to memory://***#" in sent
    assert "not delivered:" in sent and "the service did not take it" in sent
    assert "xyzzy" not in sent
    alone = (await visit.send("/alarms/7/test", send="yes")).text
    assert "Nobody was told" in alone


async def test_an_alarm_is_disabled_with_an_end_and_enabled(visits: Visits, sample: Sample) -> None:
    visit, alarms = await visits.by("paul"), sample.services.alarms
    before = time.time()
    await visit.send("/alarms/1/disable", **{"for": "3600"})
    kept = await alarms.show(1)
    assert kept.is_disabled and kept.disabled_until is not None
    assert before + 3600 <= kept.disabled_until <= time.time() + 3600
    page = (await visit.get("/alarms/1")).text
    assert "Disabled, ends <time" in page and "nothing is done when it changes" in page
    assert "/alarms/1/enable" in page and "/alarms/1/disable" not in page
    listed = (await visit.get("/alarms")).text
    assert "is-silent" in listed and "Disabled, ends <time" in listed
    assert (await visit.send("/alarms/1/enable")).headers["location"] == "/alarms/1"
    assert not (await alarms.show(1)).is_disabled

    await visit.send("/alarms/1/disable", **{"for": "until", "until": "2199-01-02T03:04"})
    assert (await alarms.show(1)).disabled_until == datetime(2199, 1, 2, 3, 4, tzinfo=UTC).timestamp()
    await visit.send("/alarms/1/disable", **{"for": ""})
    assert (await alarms.show(1)).disabled_until is None and (await alarms.show(1)).is_disabled


@pytest.mark.parametrize(
    ("until", "said"),
    [("2001-01-01T00:00", "which is over"), ("", "Write until which day and time."), ("soon", "Write until")],
)
async def test_an_end_that_cannot_be_is_refused(
    visits: Visits, sample: Sample, until: str, said: str
) -> None:
    answer = await (await visits.by("paul")).send("/alarms/1/disable", **{"for": "until", "until": until})
    assert answer.status_code == 422 and said in answer.text
    assert not (await sample.services.alarms.show(1)).is_disabled


async def test_an_alarm_is_deleted_unless_a_rule_names_it(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    refused = await visit.send("/alarms/2/delete")
    assert refused.status_code == 409 and "the rule of Shop is down names it" in refused.text
    done = await visit.send("/alarms/7/delete")
    assert done.headers["location"] == "/projects/boutique/environments/preprod/alarms"
    assert (await visit.send("/alarms/2/delete")).status_code == 303
    assert (await visit.get("/alarms/2")).status_code == 404


async def test_a_new_alarm_asks_first_whose_it_is(visits: Visits) -> None:
    paul, root = await visits.by("paul"), await visits.by("root")
    asked = (await paul.get("/alarms/new")).text
    assert "<option>boutique</option>" in asked and 'value=""' not in asked and "secret-plan" not in asked
    assert '<option value="">server</option>' in (await root.get("/alarms/new")).text
    form = (await paul.get("/alarms/new?project=boutique&environment=prod&expression=sum(x)")).text
    assert '<option value="prod" selected>' in form and ">sum(x)</textarea>" in form
    assert (await paul.get("/alarms/new?project=")).status_code == 403
    assert (await paul.get("/alarms/new?project=secret-plan")).status_code == 404
    of_server = (await root.get("/alarms/new?project=")).text
    assert 'name="environment"' not in of_server and 'value="rollback"' not in of_server


async def test_the_form_makes_what_it_says(visits: Visits, sample: Sample) -> None:
    actions = {
        "on_alarm.0": {"kind": "tell", "on": "yes", "who": "these", "to": "memory://ada\n\nmemory://bob"},
        "on_alarm.1": {"kind": "scale", "on": "yes", "how": "by", "number": "2", "minimum": "1",
                       "maximum": "6"},
        "on_alarm.2": {"kind": "rollback", "on": "yes", "within": "30"},
        "on_alarm.3": {"kind": "call", "on": "yes", "method": "PUT", "url": "https://hooks.example.org/x",
                       "headers": "Authorization: Bearer secret\nX-Team: shop"},
        "on_ok.0": {"kind": "tell", "on": "yes", "who": "everyone", "to": "memory://ignored"},
        "on_ok.1": {"kind": "scale", "how": "to", "number": "1", "minimum": "1", "maximum": "6"},
    }  # fmt: skip
    fields = {f"{row}.{name}": text for row, texts in actions.items() for name, text in texts.items()}
    made = await make(await visits.by("paul"), **fields, mute_while_deploying="yes", description="Call Ada")
    assert made.status_code == 303, made.text
    kept = (await newest(sample)).definition
    assert (kept.threshold, kept.operator, kept.breaching, kept.periods) == (12.5, ">", 3, 5)
    assert (kept.missing, kept.mute_while_deploying, kept.description) == ("notBreaching", True, "Call Ada")
    tell, scale, rollback, call = kept.on_alarm
    assert len(tell.to) == 2 and (scale.by, scale.to, scale.maximum) == (2, None, 6)
    assert rollback.within_s == 1800 and call.method == "PUT"
    assert [name for name, _ in call.headers] == ["Authorization", "X-Team"]
    assert kept.on_ok == (type(tell)(),), "what is not ticked is not there"
    opened = [sample.services.access.secrets.open(each.secret) for each in (*tell.to, call.url)]
    assert opened == ["memory://ada", "memory://bob", "https://hooks.example.org/x"]


async def test_a_band_and_a_rule_come_from_the_form_as_well(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    await make(visit, limit="band", width="2.5", side="above", period_s="300")
    kept = (await newest(sample)).definition
    assert (kept.band.width, kept.band.side, kept.threshold) == (2.5, "above", None)
    await make(visit, name="Both", what="rule", rule='ALARM("Errors") AND NOT DEPLOYING', threshold="x")
    kept = (await newest(sample)).definition
    assert (kept.rule, kept.expression) == ('ALARM("Errors") AND NOT DEPLOYING', None)


FIELD_ERRORS = [
    ({"name": ""}, "name", "This is empty, or holds"),
    ({"name": "a/b"}, "name", "a name without quotes, slashes"),
    ({"name": "Errors"}, "name", "has an alarm Errors already"),
    ({"environment": "nowhere"}, "environment", "has no environment nowhere"),
    ({"expression": "summ(x"}, "expression", "Did you mean `sum`?"),
    ({"expression": ""}, "expression", "one of the two"),
    ({"expression": "sum(orders_placed"}, "expression", "`)` is missing"),
    ({"what": "rule", "rule": "ALARM("}, "rule", "the name of an alarm in quotes"),
    ({"what": "rule", "rule": 'ALARM("x")'}, "rule", "the name of an alarm of the same project"),
    ({"what": "rule", "rule": ""}, "rule", "one of the two"),
    ({"threshold": "much"}, "threshold", "Write a number."),
    ({"threshold": "inf"}, "threshold", "Write a number."),
    ({"limit": "band", "width": "0"}, "width", "greater than 0"),
    ({"limit": "band", "width": "3"}, "period_s", "with a band 300, 600, 900 or 1800 seconds"),
    ({"period_s": "61"}, "period_s", "a multiple of 60"),
    ({"periods": "many"}, "periods", "Write a whole number."),
    ({"breaching": "6"}, "breaching", "from 1 to periods, which is 5"),
    ({"missing": "nonsense"}, "missing", "Input should be"),
    ({"on_alarm.4.kind": "scale", "on_alarm.4.on": "yes", "on_alarm.4.number": "1", "on_alarm.4.minimum": "1",
      "on_alarm.4.maximum": "x"}, "on_alarm.4.maximum", "Write a whole number."),
    ({"on_alarm.4.kind": "scale", "on_alarm.4.on": "yes", "on_alarm.4.number": "0", "on_alarm.4.minimum": "1",
      "on_alarm.4.maximum": "2"}, "on_alarm.4.number", "other than 0"),
    ({"on_ok.1.kind": "rollback", "on_ok.1.on": "yes", "on_ok.1.within": "60", "environment": ""},
     "on_ok.1.on", "only in an alarm of an environment"),
    ({"on_alarm.2.kind": "call", "on_alarm.2.on": "yes", "on_alarm.2.method": "POST",
      "on_alarm.2.url": "ftp://x"}, "on_alarm.2.url", "an address such as https://"),
    ({"on_alarm.2.kind": "call", "on_alarm.2.on": "yes", "on_alarm.2.method": "POST",
      "on_alarm.2.url": "https://x.example.org", "on_alarm.2.headers": "no colon"},
     "on_alarm.2.headers", "Name: value"),
    ({"on_alarm.0.kind": "tell", "on_alarm.0.on": "yes", "on_alarm.0.who": "these",
      "on_alarm.0.to": "nobody"}, "on_alarm.0.to", "an address as Apprise knows them"),
    ({"on_alarm.0.kind": "tell", "on_alarm.0.on": "yes", "on_alarm.0.who": "these"},
     "on_alarm.0.to", "Write at least one address"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "said"), FIELD_ERRORS, ids=lambda each: str(each)[:50])
async def test_what_is_wrong_stands_next_to_its_field_and_nothing_is_lost(
    visits: Visits, sample: Sample, changes: dict[str, str], field: str, said: str
) -> None:
    before = len(await sample.services.alarms.list())
    answer = await make(await visits.by("paul"), description="Keep me", **changes)
    assert answer.status_code in (409, 422)
    assert said in problem_of(answer.text, field)
    assert f'href="#problem-{field.replace(".", "-")}"' in answer.text, "it is named on top as well"
    assert 'value="Keep me"' in answer.text
    assert len(await sample.services.alarms.list()) == before


async def test_what_is_secret_is_never_sent_back_to_a_page(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    secrets = {
        "on_alarm.0.kind": "tell", "on_alarm.0.on": "yes", "on_alarm.0.who": "these",
        "on_alarm.0.to": "mailto://ops:hunter2@example.org",
        "on_alarm.1.kind": "call", "on_alarm.1.on": "yes", "on_alarm.1.method": "POST",
        "on_alarm.1.url": "https://example.org/hunter2", "on_alarm.1.headers": "X-Key: hunter2",
    }  # fmt: skip
    refused = await make(visit, **secrets, threshold="wrong")
    assert refused.status_code == 422 and "hunter2" not in refused.text
    for field in ("on_alarm.0.to", "on_alarm.1.url", "on_alarm.1.headers"):
        assert problem_of(refused.text, field).startswith("Type this again")
    made = await make(visit, **secrets)
    where = made.headers["location"]
    for address in (where, f"{where}/edit", "/alarms", "/events"):
        assert "hunter2" not in (await visit.get(address)).text, address


async def test_a_masked_secret_that_is_left_as_it_is_stays(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    before = await sample.services.alarms.show(2)
    page = (await visit.get("/alarms/2/edit")).text
    assert ">mailto://***@example.org#k3x9</textarea>" in page
    sent = {**NEW, "name": "Response time", "threshold": "700"}
    sent |= {"on_alarm.0.kind": "tell", "on_alarm.0.on": "yes", "on_alarm.0.who": "these"}
    sent |= {"on_alarm.0.to": "mailto://***@example.org#k3x9"}
    refused = await visit.send("/alarms/2/edit", **{**sent, "periods": "x"})
    assert ">mailto://***@example.org#k3x9</textarea>" in refused.text, "and over a mistake, too"
    done = await visit.send("/alarms/2/edit", **sent)
    assert done.headers["location"] == "/alarms/2", done.text
    after = await sample.services.alarms.show(2)
    assert after.definition.threshold == 700.0 and after.definition.on_alarm == before.definition.on_alarm[:1]
    assert (after.updated_by, after.is_default) == ("paul", False)


async def test_the_form_of_every_alarm_stands_for_it(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("root")
    for before in await sample.services.alarms.list():
        page = (await visit.get(f"/alarms/{before.id}/edit")).text
        await visit.send(f"/alarms/{before.id}/edit", **fields_of(page))
        after = await sample.services.alarms.show(before.id)
        assert after.definition == before.definition and after.updated_by == "root", before.definition.name


def fields_of(page: str) -> dict[str, str]:
    """What a browser sends of the form of an alarm."""
    form = page.split('class="alarm-form">')[1].split("</form>")[0]
    fields = {}
    for tag in re.findall(r"<input [^>]+>", form):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if attributes.get("type") in ("checkbox", "radio") and " checked" not in tag:
            continue
        fields[attributes["name"]] = html.unescape(attributes["value"])
    for name, text in re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>([^<]*)</textarea>', form):
        fields[name] = html.unescape(text)
    for name, options in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', form, re.S):
        values = re.findall(r'<option value="([^"]*)"( selected)?>', options)
        fields[name] = html.unescape(next((value for value, is_on in values if is_on), values[0][0]))
    del fields["csrf"]
    return fields


async def test_a_form_with_too_many_fields_is_refused(visits: Visits) -> None:
    answer = await make(await visits.by("paul"), **{f"f{number}": "x" for number in range(600)})
    assert answer.status_code == 422 and "The form is too large." in answer.text


async def test_a_viewer_looks_and_changes_nothing(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("zoe")
    before = [await sample.services.alarms.show(number) for number in range(1, 8)]
    for number in (1, 5):
        for button in BUTTONS:
            assert (await visit.send(f"/alarms/{number}/{button}", **NEW)).status_code == 403, button
    assert (await make(visit)).status_code == 403
    assert (await visit.get("/alarms/1/edit")).status_code == 403
    page = (await visit.get("/alarms/1")).text
    assert "<form" not in page.split("<main")[1].split("</main>")[0]
    assert "/alarms/new" not in (await visit.get("/alarms")).text
    assert (await visit.get("/alarms/new")).status_code == 403
    assert [await sample.services.alarms.show(number) for number in range(1, 8)] == before
    paul = await visits.by("paul")
    assert (await paul.send("/alarms/5/disable")).status_code == 403, "the server's are administrators'"
    assert (await paul.client.post("/alarms/1/delete", data={})).status_code == 403, "no token of the session"
    assert (await visits.nobody().get("/alarms")).status_code == 303


async def test_pages_of_alarms_are_live(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("zoe")
    place = "/projects/boutique/environments/prod"
    async with (
        visit.live("/alarms/live?state=ALARM") as listed,
        visit.live("/alarms/1/live") as one,
        visit.live(f"{place}/live") as environment,
    ):
        assert "Errors" not in (await listed.next("alarms")).data
        assert "is-alarm-ok" in (await one.next("head")).data
        assert ">1<" in (await environment.next("alarm-count")).data
        await sample.alarms.say(1, State.ALARM, "12 is above 5")
        assert "Errors" in (await listed.next("alarms")).data
        assert "12 is above 5" in (await one.next("head")).data
        assert "12 is above 5" in (await one.next("history")).data
        assert ">2<" in (await environment.next("alarm-count")).data


async def test_an_alarm_that_is_deleted_while_it_is_watched_ends_the_page_quietly(
    visits: Visits, sample: Sample
) -> None:
    visit = await visits.by("zoe")
    async with visit.live("/alarms/7/live") as live:
        await live.next("head")
        await sample.services.alarms.delete(7, actor="paul")
        assert [heard.name for heard in await live.rest()][-1] == "problem"


@pytest.mark.parametrize("number", ["99999999999999999999999", "0", "-1", "x"])
async def test_older_changes_are_asked_for_by_a_number_that_can_be(visits: Visits, number: str) -> None:
    assert (await (await visits.by("zoe")).get(f"/alarms/1?before={number}")).status_code == 404


async def test_a_number_that_is_far_from_any_that_is_allowed_is_refused_at_its_field(visits: Visits) -> None:
    row = {"on_alarm.2.kind": "rollback", "on_alarm.2.on": "yes", "on_alarm.2.within": "1e308"}
    answer = await make(await visits.by("paul"), **row)
    assert answer.status_code == 422
    assert problem_of(answer.text, "on_alarm.2.within")


async def test_no_alarm_is_made_in_a_project_that_is_not_there(visits: Visits, sample: Sample) -> None:
    root = await visits.by("root")
    before = len(await sample.services.alarms.list())
    assert (await root.get("/alarms/new?project=nosuch")).status_code == 404
    assert (await make(root, project="nosuch", environment="")).status_code == 404
    assert len(await sample.services.alarms.list()) == before


async def test_a_rule_of_the_server_is_offered_the_servers_alarms(visits: Visits) -> None:
    page = (await (await visits.by("root")).get("/alarms/new?project=")).text
    offered = re.findall(r"ALARM\(&#34;([^&]+)&#34;\)", page)
    assert offered and "Errors" not in offered, "those of projects cannot be named"
