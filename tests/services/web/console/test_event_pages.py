"""The page of events: chosen by everything, with what was before and after; and the form that scales."""

import html
import re
from dataclasses import replace
from typing import Any

from halage.base.database import Transaction
from halage.environment.model import Environment
from tests.services.web.console.sample import Sample
from tests.services.web.console.visit import Visits

PROD = "/projects/boutique/environments/prod"


async def _record(sample: Sample, **values: Any) -> None:
    def record(tx: Transaction) -> None:
        common = {"action": "x:Y", "actor": "marie", "subject": "project/boutique", "project": "boutique"}
        tx.record(**{**common, **values})

    await sample.services.database.run(record)


def _rows(page: str) -> list[str]:
    """The text of each event of a page, newest first."""
    rows = re.findall(r'<li class="event">(.*?)</li>', page, re.DOTALL)
    return [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", row)).split()) for row in rows]


async def test_an_event_shows_what_changed_and_from_where(visits: Visits, sample: Sample) -> None:
    before, after = (
        {"instances": 2, "is_scaled": False, "same": 1},
        {"instances": 3, "is_scaled": True, "same": 1},
    )
    await _record(sample, action="environment:Scale", before=before, after=after)
    await _record(sample, action="environment:UnsetVariable", before={"value": "red"}, after=None)
    visit = await visits.by("zoe")
    unset, scaled = _rows((await visit.get("/events?project=boutique")).text)[:2]
    assert "instances 2 → 3 is_scaled false → true from halage" in scaled
    assert "same" not in scaled
    assert "value red → \N{EN DASH}" in unset
    assert "depuis halage" in (await visit.get("/events", "fr")).text


async def test_what_is_new_has_no_before_and_an_alarm_is_one_click_away(
    visits: Visits, sample: Sample
) -> None:
    after = {"name": "slow", "threshold": 10.0, "on_alarm": [{"kind": "tell", "to": []}], "band": None}
    await _record(sample, action="monitor:CreateAlarm", subject="alarm/7", before=None, after=after)
    page = (await (await visits.by("zoe")).get("/events?project=boutique")).text
    row = _rows(page)[0]
    assert 'name slow threshold 10.0 on_alarm [{"kind": "tell", "to": []}]' in row
    assert "→" not in row and "band" not in row
    assert '<a href="/alarms/7">alarm/7</a>' in page


async def test_a_form_that_changes_something_comes_from_the_console(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("marie")
    done = await visit.send("/projects/boutique/members", user="zoe", role="developer")
    assert done.status_code == 303
    row = _rows((await visit.get("/events?action=project:SetMember")).text)[0]
    assert row.endswith("from console 127.0.0.1") and "role viewer → developer" in row


async def test_every_field_of_the_form_chooses(visits: Visits, sample: Sample) -> None:
    place = "project/boutique/environment/prod"
    await _record(sample, action="a:One", subject=place, note="needle")
    await _record(sample, action="a:Two", actor="paul", subject="project/boutique/run/3")
    visit = await visits.by("zoe")
    for query, expected in {
        "action=a:*": ["a:Two", "a:One"],
        "action=a:*&actor=paul": ["a:Two"],
        "action=a:*&environment=prod": ["a:One"],
        "action=a:*&text=NEEDLE": ["a:One"],
        "action=a:*&origin=halage": ["a:Two", "a:One"],
        "action=a:*&origin=console": [],
        "action=a:*&since=2001-01-01&until=2999-12-31": ["a:Two", "a:One"],
        "action=a:*&until=9999-12-31": ["a:Two", "a:One"],
        "action=a:*&until=2001-01-01": [],
        "action=a:*&text=%00needle": ["a:One"],
    }.items():
        answer = await visit.get(f"/events?{query}")
        assert answer.status_code == 200, query
        assert re.findall(r'event-action">([^<]+)', answer.text) == expected, query


async def test_a_day_that_cannot_be_read_is_said(visits: Visits) -> None:
    visit = await visits.by("zoe")
    for days, found in {
        "since=yesterday": ["yesterday"],
        "since=2026-02-30&until=31.12.2026": ["2026-02-30", "31.12.2026"],
        "until=%3Cb%3E": ["<b>"],
        "since=0001-01-01": ["0001-01-01"],
        "since=&until=2999-12-31": [],
    }.items():
        for language, words in {"en": "is no day", "fr": "n'est pas un jour"}.items():
            page = (await visit.get(f"/events?{days}", language)).text
            notices = re.findall(r'role="alert">(.*?)</p>', page)
            assert [words in html.unescape(each) for each in notices] == [True] * len(found), (days, notices)
            assert all(text in html.unescape(each) for text, each in zip(found, notices, strict=True))
            assert "<b>" not in "".join(notices)


async def test_the_choice_is_kept_by_the_live_page_the_next_page_and_the_export(
    visits: Visits, sample: Sample
) -> None:
    for _ in range(250):
        await _record(sample, action="a:Many", note="x & y")
    visit = await visits.by("zoe")
    first = (await visit.get("/events?project=boutique&text=x+%26+y&since=2001-02-03")).text
    assert len(_rows(first)) == 100
    older = re.findall(r'href="(/events\?before=[^"]+)"', first)[0]
    second = (await visit.get(html.unescape(older))).text
    newer = re.findall(r'href="(/events\?after=[^"]+)"', second)[0]
    assert "sse-connect" not in second, "only the newest page is live"
    assert len(_rows(second)) == 100
    back = (await visit.get(html.unescape(newer))).text
    assert len(_rows(back)) == 100 and "/events?before=" in back
    third = (await visit.get(html.unescape(re.findall(r'href="(/events\?before=[^"]+)"', second)[0]))).text
    assert len(_rows(third)) == 50 and 'href="/events?before=' not in third
    link = html.unescape(re.findall(r'href="(/api/v1/events/export\?format=csv[^"]+)"', first)[0])
    exported = await visit.client.get(link)
    assert exported.status_code == 200, exported.text
    assert exported.text.count("\n") == 251, "all that were chosen, and the line of names"
    live = html.unescape(re.findall(r'sse-connect="([^"]+)"', first)[0])
    async with visit.live(live) as stream:
        await _record(sample, action="a:Other")
        await _record(sample, action="a:Chosen", note="x & y")
        assert "a:Chosen" in (await stream.next("entries")).data


async def test_a_page_that_was_away_for_long_misses_nothing(visits: Visits, sample: Sample) -> None:
    for number in range(230):
        await _record(sample, action="a:Many", number=number)
    visit = await visits.by("zoe")
    async with visit.live("/events/live?after=0&action=a:Many") as stream:
        heard = [await stream.next("entries") for _ in range(230)]
    assert [int(each.id) for each in heard] == sorted({int(each.id) for each in heard})


async def test_everybody_finds_their_own_sign_ins_and_root_those_of_all(visits: Visits) -> None:
    zoe, root = await visits.by("zoe"), await visits.by("root")
    mine = set(re.findall(r'event-who">([^<]+)', (await zoe.get("/events?action=access:SignIn")).text))
    everybody = set(re.findall(r'event-who">([^<]+)', (await root.get("/events?action=access:SignIn")).text))
    assert mine == {"zoe"} and {"zoe", "root"} <= everybody


async def test_the_form_scales_and_says_what_is_wrong(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    page = (await visit.get(PROD)).text
    assert f'action="{PROD}/scale"' in page and 'name="reset"' not in page
    assert (await visit.send(f"{PROD}/scale", instances="3")).status_code == 303
    assert (await visit.send(f"{PROD}/scale", reset="yes")).status_code == 303
    assert [call for call in sample.environments.calls if call[0] == "scale"] == [
        ("scale", "boutique", "prod", 3, "paul"),
        ("scale", "boutique", "prod", None, "paul"),
    ]
    for wrong in ("", "many", "-1", "²", "101"):
        answer = await visit.send(f"{PROD}/scale", instances=wrong)
        assert answer.status_code == 422 and 'role="alert"' in answer.text, wrong
    viewer = await visits.by("zoe")
    assert f"{PROD}/scale" not in (await viewer.get(PROD)).text
    assert (await viewer.send(f"{PROD}/scale", instances="3")).status_code == 403


async def test_a_scaled_environment_says_so_in_both_languages(visits: Visits, sample: Sample) -> None:
    class Scaled(type(sample.environments)):  # type: ignore[misc]
        async def show(self, project: str, name: str) -> Environment:
            shown: Environment = await super().show(project, name)
            return replace(shown, planned=2, scaled=3)

    sample.environments.__class__ = Scaled
    visit = await visits.by("paul")
    page = (await visit.get(PROD)).text
    assert "Scaled to 3 instances, halage.toml says 2" in page
    assert "As halage.toml says: 2" in page and 'name="reset" value="yes"' in page
    assert "Mis à 3 instances, halage.toml dit 2" in (await visit.get(PROD, "fr")).text
