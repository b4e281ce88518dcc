"""Every page: in both languages, for each role, under the strict policy, without a script."""

import re
import time
from typing import Any, cast

import pytest

from halage.balancer.certificates import fingerprint_of, make_certificate
from halage.base.database import Transaction
from halage.environment.model import Colour
from tests.services.web.console.sample import Sample
from tests.services.web.console.visit import Visits
from tests.services.web.scalings import FakeScaling

ENVIRONMENT = "/projects/boutique/environments/prod"
PAGES = (
    "/projects",
    "/projects/boutique",
    "/projects/atelier",
    "/projects/boutique/runs",
    "/projects/boutique/members",
    "/projects/boutique/environments/dev",
    "/projects/boutique/environments/preprod",
    "/projects/museum/environments/dev",
    ENVIRONMENT,
    f"{ENVIRONMENT}/logs",
    f"{ENVIRONMENT}/variables",
    f"{ENVIRONMENT}/scaling",
    f"{ENVIRONMENT}/scaling?capacity=100&target=70&static=3",
    f"{ENVIRONMENT}/settings",
    f"{ENVIRONMENT}/plan",
    f"{ENVIRONMENT}/deployments/1/report",
    f"{ENVIRONMENT}/certificate",
    f"{ENVIRONMENT}/shell",
    *(f"/runs/{number}" for number in range(1, 8)),
    f"{ENVIRONMENT}/graphs",
    "/dashboards",
    "/dashboards/machine",
    "/dashboards/boutique.dev",
    "/alarms",
    "/alarms?project=boutique&environment=prod&state=ALARM",
    "/alarms?state=OK&page=2",
    f"{ENVIRONMENT}/alarms",
    "/alarms/1",
    "/alarms/2?range=43200",
    "/alarms/3?before=9",
    "/alarms/6",
    "/alarms/7",
    "/explore",
    "/explore?expression=average(machine_cpu_percent)&search=cpu",
    "/events",
    "/events?project=boutique",
    "/events?actor=ada&action=environment:*&since=2026-11-01&until=nonsense",
    "/account",
)
ADMIN_PAGES = (
    "/projects/new",
    "/users",
    "/projects/boutique/delete",
    "/alarms/new",
    "/alarms/new?project=boutique&environment=prod",
    "/alarms/new?project=",
    *(f"/alarms/{number}/edit" for number in (1, 5, 6, 7)),
    "/alarms/5",
)


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_every_page_in_both_languages_and_under_the_policy(visits: Visits, language: str) -> None:
    visit = await visits.by("root")
    for page in (*PAGES, *ADMIN_PAGES):
        answer = await visit.get(page, language)
        assert answer.status_code == 200, page
        assert f'<html lang="{language}">' in answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r'<style|\sstyle="|\son[a-z]+="|<script(?! src=)', answer.text), page
        assert len(re.findall("<h1", answer.text)) == 1, page
        assert "<main" in answer.text and 'class="skip"' in answer.text
        ids = re.findall(r'\sid="([^"]+)"', answer.text)
        assert len(ids) == len(set(ids)), (page, sorted(ids))


async def test_who_is_not_signed_in_is_sent_to_the_sign_in_page_and_back(visits: Visits) -> None:
    answer = await visits.nobody().get("/projects/boutique/runs?before=7")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/projects/boutique/runs%3Fbefore%3D7"
    for page in (*PAGES, *ADMIN_PAGES):
        assert (await visits.nobody().get(page)).status_code == 303, page


async def test_an_event_says_what_can_be_said_in_a_line(visits: Visits, sample: Sample) -> None:
    def note(tx: Transaction) -> None:
        details: dict[str, Any] = {
            "id": 6,
            "is_late": True,
            "reason": "",
            "comment": "fine",
            "phases": {"boot": [0.2, 1]},
        }
        tx.record(
            "environment:Deployed", actor="halage", subject="project/boutique", project="boutique", **details
        )

    await sample.services.database.run(note)
    page = (await (await visits.by("zoe")).get("/events?project=boutique")).text
    row = page.split('<li class="event"')[1]
    assert re.findall(r"<b>(\w+)</b> ([^<]*)<", row) == [
        ("id", "6"),
        ("is_late", "True"),
        ("comment", "fine"),
    ]


async def test_events_are_chosen_in_a_form_that_keeps_the_choice(visits: Visits) -> None:
    visit = await visits.by("root")
    everything = (await visit.get("/events?project=boutique")).text
    actions = set(re.findall(r'event-action">([^<]+)', everything))
    assert len(actions) > 1, "the sample must hold more than one action"
    wanted = sorted(actions)[0]
    chosen = (await visit.get(f"/events?project=boutique&action={wanted}&since=2001-02-03")).text
    assert set(re.findall(r'event-action">([^<]+)', chosen)) == {wanted}
    assert f'value="{wanted}"' in chosen and 'value="2001-02-03"' in chosen
    follows = re.search(r'sse-connect="([^"]+)"', chosen)
    assert follows is not None and "since=2001-02-03" in follows[1] and "action=" in follows[1]
    none = (await visit.get("/events?until=2001-02-03")).text
    assert "Nothing of that kind has happened." in none and 'href="/events"' in none


async def test_a_project_that_one_may_not_see_is_not_there(visits: Visits) -> None:
    visit = await visits.by("zoe")
    hidden, missing = await visit.get("/projects/secret-plan"), await visit.get("/projects/no-such")
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert hidden.text.replace("secret-plan", "no-such") == missing.text
    assert "secret-plan" not in (await visit.get("/projects")).text
    assert "secret-plan" not in (await visit.get("/events")).text
    assert (await visit.get("/projects/secret-plan/live")).status_code == 404
    assert (await visit.get("/events?project=secret-plan")).status_code == 404


async def test_a_viewer_sees_no_controls_and_is_refused_by_the_server(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("zoe")
    for page in PAGES:
        html = (await visit.get(page)).text
        # A form that only looks (method="get") changes nothing.
        targets = set(re.findall(r'<form method="post"[^>]* action="([^"]+)"', html))
        targets = (targets | set(re.findall(r'formaction="([^"]+)"', html))) - {"/logout", "/language"}
        assert all(target.startswith("/account") for target in targets), (page, targets)
    refused = {
        "/runs/7/approve": {},
        "/runs/7/reject": {},
        "/runs/7/cancel": {},
        "/runs/3/retry": {},
        f"{ENVIRONMENT}/restart": {},
        f"{ENVIRONMENT}/rollback": {"release": "11"},
        f"{ENVIRONMENT}/swap": {},
        f"{ENVIRONMENT}/variables": {"name": "A", "value": "b"},
        f"{ENVIRONMENT}/variables/APP_NAME/unset": {},
        f"{ENVIRONMENT}/certificate": {"certificate": "x", "key": "y"},
        f"{ENVIRONMENT}/certificate/make": {"origin": "made"},
        f"{ENVIRONMENT}/certificate/remove": {},
        f"{ENVIRONMENT}/deployments/1/abort": {},
        f"{ENVIRONMENT}/scaling/suspended": {"in": "yes"},
        f"{ENVIRONMENT}/instances/i-1/protection": {"is_protected": "yes"},
        "/projects/boutique/members": {"user": "zoe", "role": "admin"},
        "/projects/boutique/members/paul/remove": {},
        "/projects/boutique/delete": {"name": "boutique"},
        "/projects": {"name": "new-one"},
        "/users": {"name": "eve"},
        "/users/root/login-link": {},
        "/users/root/end": {},
    }
    for address, fields in refused.items():
        answer = await visit.send(address, **fields)
        assert answer.status_code == 403, address
        assert "You are not allowed to do this" in answer.text
    assert sample.pipeline.calls == sample.environments.calls == []


async def test_a_form_without_its_token_or_from_elsewhere_changes_nothing(
    visits: Visits, sample: Sample
) -> None:
    visit = await visits.by("paul")
    assert (await visit.client.post("/runs/7/approve", data={})).status_code == 403
    assert (await visit.client.post("/runs/7/approve", data={"csrf": "wrong"})).status_code == 403
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}):
        answer = await visit.client.post("/runs/7/approve", data={"csrf": visit.csrf}, headers=headers)
        assert answer.status_code == 403
    assert sample.pipeline.calls == []


async def test_approving_and_rejecting_with_a_comment(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    page = (await visit.get("/runs/7")).text
    assert 'action="/runs/7/approve"' in page and 'formaction="/runs/7/reject"' in page
    answer = await visit.send("/runs/7/approve", comment=" Fine on preprod ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs/7")
    assert sample.pipeline.calls == [("approve", 7, "Fine on preprod", "paul")]
    page = (await visit.get("/runs/7")).text
    assert "by paul" in page and "Fine on preprod" in page and 'action="/runs/7/approve"' not in page
    await visit.send("/runs/7/reject", comment="No")
    assert sample.pipeline.calls[-1] == ("reject", 7, "No", "paul")


async def test_retrying_and_cancelling(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    page = (await visit.get("/runs/3")).text
    assert '<option value="test" selected>' in page
    await visit.send("/runs/3/retry", stage="test")
    assert sample.pipeline.calls == [("retry", 3, "test", "paul")]
    ended = await visit.send("/runs/4/cancel")
    assert ended.status_code == 409
    assert "there is nothing to cancel" in ended.text
    assert (await visit.send("/runs/4/explode")).status_code == 404


async def test_a_failed_run_says_why_on_top(visits: Visits, sample: Sample) -> None:
    sample.builds.failed = 2
    page = (await (await visits.by("zoe")).get("/runs/3")).text
    cause = page.index("phpunit exited with code 1: 2 of 128 tests failed")
    assert cause < page.index('class="canal"') < page.index('id="console"')
    assert "Failed in test" in page
    assert "Failed asserting that 59.9 matches expected 60." in page
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)" in page
    assert "123 passed" in page and "2 failed" in page and "3 skipped" in page


async def test_the_console_is_escaped_and_its_colours_kept(visits: Visits) -> None:
    visit = await visits.by("zoe")
    page = (await visit.get("/runs/4")).text
    assert "&lt;script&gt;document.title" in page and "<script>document" not in page
    assert '<span class="ansi-green">laravel/framework</span>' in page
    text = await visit.get("/runs/4/console.txt")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert "00:03.4   - Installing laravel/framework (v11.4.0): Extracting archive\n" in text.text


async def test_pictures_have_words(visits: Visits) -> None:
    visit = await visits.by("zoe")
    html = (await visit.get("/projects/boutique")).text
    assert 'aria-label="Source: passed., Test: passed., dev: failed."' in html
    for colour, word in ((Colour.RED, "Red"), (Colour.YELLOW, "Yellow"), (Colour.GREEN, "Green")):
        assert re.search(rf'env is-{colour}".*?<span>{word}</span>', html, re.DOTALL)
    assert html.index("/environments/dev") < html.index("/environments/preprod") < html.index("nts/prod")
    french = (await visit.get("/projects/boutique", "fr")).text
    assert "Tests\u00a0: passée." in french and "Rouge" in french


async def test_scaling_is_suspended_and_instances_are_protected(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    await visit.send(f"{ENVIRONMENT}/scaling/suspended", out="yes", replace="yes")
    page = (await visit.get(f"{ENVIRONMENT}/scaling")).text
    assert page.count(" checked") == 2 and "2 to 4: load 310 over 80" in page
    instance = (await sample.services.environments.show("boutique", "prod")).instances[0].id
    await visit.send(f"{ENVIRONMENT}/instances/{instance}/protection", is_protected="yes")
    scaling = cast(FakeScaling, sample.services.scaling)
    assert scaling.calls == [("suspend", ("out", "replace"), "paul"), ("protect", instance, True, "paul")]


async def test_what_would_have_been(visits: Visits) -> None:
    visit = await visits.by("zoe")
    page = (await visit.get(f"{ENVIRONMENT}/scaling?capacity=100")).text
    assert "data:image/svg+xml;base64," in page and "static" in page
    for query, said in (
        ("capacity=many", "capacity: write a number"),
        ("capacity=9&static=x", "static: write"),
    ):
        refused = await visit.get(f"{ENVIRONMENT}/scaling?{query}")
        assert (refused.status_code, said in refused.text) == (422, True)


async def test_variables_are_set_and_secret_ones_never_shown(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    await visit.send(f"{ENVIRONMENT}/variables", name="API_KEY", value=" hunter2 ", secret="yes")
    assert sample.environments.calls == [("set", "API_KEY", " hunter2 ", True)]
    page = (await visit.get(f"{ENVIRONMENT}/variables")).text
    assert "API_KEY" in page and "not shown" in page and "hunter2" not in page
    assert "<code>Boutique</code>" in page


async def test_a_certificate_is_given_and_its_key_never_shown(visits: Visits) -> None:
    visit = await visits.by("paul")
    page = f"{ENVIRONMENT}/certificate"
    assert "made by this server" in (await visit.get(page)).text
    given = make_certificate(["boutique.sites.test"], time.time(), None)
    await visit.send(page, certificate=given.chain, key=given.key)
    shown = (await visit.get(page)).text
    assert "<dd>given</dd>" in shown and fingerprint_of(given) in shown
    assert given.key.splitlines()[1] not in shown
    refused = await visit.send(page, certificate=given.chain, key="-----BEGIN PRIVATE KEY-----\nabcdef")
    assert refused.status_code == 422
    assert "private key cannot be read" in refused.text and "abcdef" not in refused.text
    await visit.send(f"{page}/make", origin="self_signed")
    assert "self-signed" in (await visit.get(page)).text
    await visit.send(f"{page}/remove")
    assert "made by this server" in (await visit.get(page)).text
    authority = await visit.get(f"{page}/authority")
    assert authority.text.startswith("-----BEGIN CERTIFICATE-----")
    assert "attachment" in authority.headers["content-disposition"]


async def test_rolling_back_and_restarting(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    page = (await visit.get(ENVIRONMENT)).text
    assert "Roll back to v11" in page and "Roll back to v9" not in page
    await visit.send(f"{ENVIRONMENT}/rollback", release="11")
    await visit.send(f"{ENVIRONMENT}/rollback")
    await visit.send(f"{ENVIRONMENT}/restart")
    assert sample.environments.calls == [
        ("rollback", "boutique", "prod", 11, "paul"),
        ("rollback", "boutique", "prod", None, "paul"),
        ("restart", "boutique", "prod", "paul"),
    ]


async def test_the_plan_the_report_and_the_swap(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    page = (await visit.get(f"{ENVIRONMENT}/plan")).text
    assert "4 of 4 at the least" in page and "8 at the most" in page and "0.34 instance-hours" in page
    refused = (await visit.get(f"{ENVIRONMENT}/plan?policy=rolling")).text
    assert "It would be refused:" in refused and "rolling stops 1 of 1 instance" in refused
    report = (await visit.get(f"{ENVIRONMENT}/deployments/1/report")).text
    assert "Blue/green" in report and "5 minutes before" in report and "1200" in report
    await visit.send(f"{ENVIRONMENT}/swap")
    assert sample.environments.calls == [("swap", "boutique", "prod", "paul")]


async def test_members(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("marie")
    await visit.send("/projects/boutique/members", user="zoe", role="developer")
    assert (await sample.services.access.members("boutique"))["zoe"] == "developer"
    for fields in ({"user": "zoe", "role": "king"}, {"user": "nobody", "role": "viewer"}):
        answer = await visit.send("/projects/boutique/members", **fields)
        assert answer.status_code in (404, 422)
        assert 'role="alert"' in answer.text
    await visit.send("/projects/boutique/members/zoe/remove")
    assert "zoe" not in await sample.services.access.members("boutique")


async def test_a_new_project_shows_how_to_push(visits: Visits) -> None:
    visit = await visits.by("root")
    assert (await visit.send("/projects", name="boutique")).status_code == 409
    answer = await visit.send("/projects", name="fresh")
    assert answer.headers["location"] == "/projects/fresh"
    page = (await visit.get("/projects/fresh")).text
    assert "git remote add halage http://127.0.0.1:7070/git/fresh.git" in page
    assert re.search(r"<details open", page)


async def test_deleting_a_project_needs_its_name(visits: Visits) -> None:
    visit = await visits.by("marie")
    wrong = await visit.send("/projects/museum/delete", name="boutique")
    assert wrong.status_code == 422 and "nothing was deleted" in wrong.text
    assert (await visit.send("/projects/museum/delete", name="museum")).headers["location"] == "/projects"
    assert (await visit.get("/projects/museum")).status_code == 404


@pytest.mark.parametrize(
    "address", ["/nothing", "/runs/none", "/runs/999", "/projects/boutique/environments/x"]
)
async def test_what_is_not_there_is_a_page(visits: Visits, address: str) -> None:
    answer = await (await visits.by("root")).get(address, "fr")
    assert answer.status_code == 404
    assert "Il n'y a rien ici" in answer.text.replace("&#39;", "'")
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_static_files_are_kept_for_ever_by_their_content(visits: Visits) -> None:
    visit = visits.nobody()
    page = (await visit.get("/login")).text
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(addresses) == 7
    for address in addresses:
        answer = await visit.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    old = await visit.get("/static/000000000000/console.css")
    assert old.headers["cache-control"] == "no-cache"
    assert (await visit.get("/static/0/../../../pyproject.toml")).status_code == 404
    assert (await visit.get("/static/0/vendor/README.md")).status_code == 404


async def test_an_unexpected_error_reveals_nothing(visits: Visits, sample: Sample) -> None:
    sample.pipeline.stored[9] = None  # type: ignore[assignment]
    answer = await (await visits.by("root")).get("/runs/9")
    assert answer.status_code == 500
    assert "Halage made a mistake" in answer.text and "NoneType" not in answer.text
