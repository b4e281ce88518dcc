"""The pages of dashboards: what is rendered before any script runs, who may change, documents."""

import json
import re

import pytest

from halage.monitor.alarms.model import State
from halage.monitor.dashboards.model import Layout, MetricLine, Widget, WidgetKind
from tests.services.web.console.sample import Sample
from tests.services.web.console.visit import Visits

GRAPHS = "/projects/boutique/environments/prod/graphs"
LAYOUT = Layout("Sales", (Widget("words", WidgetKind.TEXT, 0, 0, 6, 2, "A <b>title</b>", text="<script>"),))


def widgets_of(html: str) -> list[dict[str, object]]:
    return [json.loads(each) for each in re.findall(r"data-widget='([^']+)'", html)]


async def test_an_environment_has_graphs_by_itself_in_the_visitors_words(visits: Visits) -> None:
    visit = await visits.by("zoe")
    english, french = (await visit.get(GRAPHS)).text, (await visit.get(GRAPHS, "fr")).text
    assert ">Requests<" in english and ">Requêtes<" in french
    labels = {line["label"] for each in widgets_of(french) for line in each["lines"]}  # type: ignore[attr-defined]
    assert {"requêtes", "voulues", "en service"} <= labels
    assert re.search(r'aria-current="page">Graphs<', english)
    assert 'id="edit"' not in english, "a viewer changes nothing"
    assert "Response time</a>" in english and "No healthy instance" not in english


async def test_the_address_says_what_time_is_shown(visits: Visits) -> None:
    visit = await visits.by("zoe")
    html = (await visit.get(f"{GRAPHS}?range=86400")).text
    assert 'data-range="86400" data-from="" data-to=""' in html
    assert re.search(r'data-range-link="86400" aria-current="true"', html)
    html = (await visit.get(f"{GRAPHS}?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00%2B01:00")).text
    assert 'data-from="2026-01-01T00:00:00Z" data-to="2026-01-01T23:00:00Z"' in html
    for wrong in ("range=1", "range=x", "range=99999999999", "from=x&to=y", "from=2026-01-02&to=2026-01-01"):
        assert 'data-range="10800" data-from="" data-to=""' in (await visit.get(f"{GRAPHS}?{wrong}")).text


async def test_what_people_wrote_is_shown_as_they_wrote_it(visits: Visits, sample: Sample) -> None:
    await sample.services.dashboards.create("boutique", LAYOUT, actor="paul")
    html = (await (await visits.by("zoe")).get("/dashboards/1")).text
    assert "A &lt;b&gt;title&lt;/b&gt;" in html and "&lt;script&gt;</p>" in html
    assert "<b>title" not in html and "<script></p>" not in html


async def test_a_dashboard_is_made_taken_from_a_document_and_deleted(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    made = await visit.send("/dashboards", name="Sales", project="boutique")
    assert made.headers["location"] == "/dashboards/1?edit=yes"
    answer = await visit.get("/dashboards/machine/document.json")
    assert answer.headers["content-disposition"] == 'attachment; filename="dashboard-machine.json"'
    taken = await visit.send("/dashboards/import", document=answer.text, project="boutique")
    assert taken.headers["location"] == "/dashboards/2"
    kept = await sample.services.dashboards.show("2")
    assert (kept.project, len(kept.layout.widgets)) == ("boutique", len(answer.json()["widgets"]))
    listed = (await visit.get("/dashboards")).text
    assert 'href="/dashboards/1">Sales<' in listed and 'href="/dashboards/2">The machine<' in listed
    assert (await visit.send("/dashboards/1/delete")).headers["location"] == "/dashboards"
    assert (await visit.get("/dashboards/1")).status_code == 404


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
        ('{"name": "x", "widgets": [{"id": "a"}]}', "widgets.0.kind"),
        (
            '{"name": "x", "widgets": [{"id": "a", "kind": "bar", "x": 0, "y": 0, "width": 1, "height": 1}]}',
            "needs 1 to 20 expressions",
        ),
    ],
)
async def test_a_document_that_is_none_is_refused_and_not_lost(
    visits: Visits, document: str, said: str
) -> None:
    visit = await visits.by("paul")
    answer = await visit.send("/dashboards/import", document=document, project="boutique")
    assert answer.status_code == 422
    text = answer.text.replace("&#34;", '"')
    assert said in text and f">{document}</textarea>" in text


async def test_deleting_ones_own_brings_the_made_one_back(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    await sample.services.dashboards.change("boutique.prod", LAYOUT, version=0, actor="paul")
    assert 'data-version="1"' in (await visit.get(GRAPHS)).text
    answer = await visit.send("/dashboards/boutique.prod/delete")
    assert answer.headers["location"] == "/dashboards/boutique.prod"
    assert 'data-version="0"' in (await visit.get(GRAPHS)).text


async def test_who_may_not_is_refused_and_told_nothing(visits: Visits, sample: Sample) -> None:
    await sample.services.dashboards.create("secret-plan", LAYOUT, actor="root")
    zoe, paul = await visits.by("zoe"), await visits.by("paul")
    hidden, missing = await zoe.get("/dashboards/1"), await zoe.get("/dashboards/99")
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert hidden.text.replace("/1", "/99").replace("dashboard 1", "dashboard 99") == missing.text
    for address in ("/dashboards/secret-plan.prod", "/dashboards/boutique.nosuch"):
        assert (await zoe.get(address)).status_code == 404
    assert (await zoe.send("/dashboards", name="x", project="boutique")).status_code == 403
    assert (await paul.send("/dashboards", name="x")).status_code == 403, "the server's are administrators'"
    assert (await zoe.send("/dashboards/boutique.prod/delete")).status_code == 403
    assert (await zoe.client.post("/dashboards", data={"name": "x"})).status_code == 403
    assert "secret_sales" not in (await zoe.get("/explore")).text
    assert "secret_sales" in (await (await visits.by("root")).get("/explore")).text


async def test_alarms_are_shown_as_they_change(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("zoe")
    async with visit.live("/dashboards/boutique.prod/live") as live:
        assert "Errors" in (await live.next("alarms-alarms")).data
        await sample.alarms.say(1, State.ALARM)
        assert (await live.next("alarms-alarms")).data.count("is-alarm-alarm") == 2


async def test_metrics_are_found_by_dimension_and_a_mistake_is_shown_at_its_place(visits: Visits) -> None:
    visit = await visits.by("zoe")
    html = (await visit.get("/explore?search=cpu+environment%3Dprod")).text
    assert re.findall(r'row-main" href="[^"]*"><code>(\w+)<', html) == ["instance_cpu_percent"]
    assert "average%28instance_cpu_percent%7Benvironment%3D%22prod%22%7D%29" in html
    assert "No metric has such a name." in (await visit.get("/explore?search=nosuch")).text

    answer = await visit.get("/explore?expression=averge(machine_cpu_percent)&search=cpu")
    assert answer.status_code == 422
    text = answer.text.replace("&#39;", "'")
    assert "Did you mean `average`?" in text and "^^^^^^</pre>" in text
    assert 'aria-invalid="true"' in text and ">averge(machine_cpu_percent)</textarea>" in text
    assert 'id="monitor"' not in text, "nothing is drawn"


async def test_the_address_of_a_metric_keeps_all_that_was_chosen(visits: Visits) -> None:
    visit = await visits.by("zoe")
    html = (await visit.get("/explore?expression=sum(orders_placed)&kind=bar&unit=bytes&range=86400")).text
    assert 'href="?expression=sum%28orders_placed%29&amp;kind=bar&amp;unit=bytes&amp;range=3600"' in html
    assert re.search(r'data-range-link="86400" aria-current="true"', html)
    assert 'name="dashboard"' not in html, "a viewer keeps nothing"


@pytest.mark.parametrize(
    ("dashboard", "address"),
    [
        ("7", "/dashboards/7"),
        ("machine", "/dashboards/machine"),
        ("boutique.prod", GRAPHS),
        ("//evil.test/x", "/dashboards/%2F%2Fevil.test%2Fx"),
    ],
)
async def test_a_metric_is_brought_to_a_dashboard(visits: Visits, dashboard: str, address: str) -> None:
    visit = await visits.by("paul")
    answer = await visit.get(f"/explore/keep?dashboard={dashboard}&expression=sum(x)&kind=bar&unit=none")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{address}?edit=yes&expression=sum%28x%29&kind=bar&unit=none"


async def test_thresholds_of_alarms_come_with_the_page_and_those_of_others_do_not(
    visits: Visits, sample: Sample
) -> None:
    expression = 'average(environment_requests{project="boutique",environment="prod"})'
    await sample.alarms.redefine(4, project="museum", environment="prod")
    widget = Widget(
        "one", WidgetKind.LINE, 0, 0, 6, 4, lines=(MetricLine(expression),), shows_alarm_thresholds=True
    )
    await sample.services.dashboards.create("boutique", Layout("Sales", (widget,)), actor="paul")
    html = (await (await visits.by("zoe")).get("/dashboards/1")).text
    levels = json.loads(re.findall(r"data-levels='([^']+)'", html)[0])
    assert {each["label"] for each in levels} == {"Errors", "Certificate end"}
    assert levels[1] == {"alarm": 1, "label": "Errors", "operator": ">", "value": 5}


@pytest.mark.parametrize("address", ["/dashboards", "/dashboards/import"])
async def test_no_dashboard_is_made_in_a_project_that_is_not_there(
    visits: Visits, sample: Sample, address: str
) -> None:
    fields = {"name": "x", "project": "nosuch", "document": '{"name": "x"}'}
    for name in ("root", "paul"):
        assert (await (await visits.by(name)).send(address, **fields)).status_code == 404
    assert await sample.services.dashboards.list(None) == []


async def test_a_document_that_is_nested_without_end_is_refused_in_words(visits: Visits) -> None:
    answer = await (await visits.by("paul")).send(
        "/dashboards/import", project="boutique", document="[" * 50_000 + "]" * 10
    )
    assert answer.status_code == 422
    assert "nested too deeply" in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "from=1970-01-02&to=9999-12-31",
        "from=0001-01-01T00:00:00-23:59&to=2026-01-01",
        "from=3000-01-01&to=3001-01-01",
    ],
)
async def test_a_time_that_the_api_does_not_know_is_not_asked_for(visits: Visits, query: str) -> None:
    visit = await visits.by("zoe")
    assert 'data-from="" data-to=""' in (await visit.get(f"{GRAPHS}?{query}")).text
    assert (await visit.get(f"/logs?place=boutique.prod&{query}")).status_code == 200


async def test_a_dashboard_that_is_deleted_while_it_is_watched_ends_the_page(
    visits: Visits, sample: Sample
) -> None:
    widget = Widget("alarms", WidgetKind.ALARM, 0, 0, 3, 3, "Alarms")
    id_ = (await sample.services.dashboards.create("boutique", Layout("All", (widget,)), actor="paul")).id
    async with (await visits.by("zoe")).live(f"/dashboards/{id_}/live") as live:
        assert "alarm-list" in (await live.next("alarms-alarms")).data
        await sample.services.dashboards.delete(id_, actor="paul")
        assert [heard.name for heard in await live.rest()][-1] == "problem"
