"""The pages of logs: found, counted, paged, shown by field, followed, refused; filters and outlets."""

import html
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from halage.monitor.logs.model import Group, Line
from halage.web.console.logs import AT_ONCE, MOST_GATHERED
from tests.services.web.console.sample import Sample, now
from tests.services.web.console.visit import Visits

PROD = Group.named("boutique.prod/instances")
ENVIRONMENT = "/projects/boutique/environments/prod/logs"


def texts_of(page: str) -> list[str]:
    """The texts of the lines of a page, oldest first."""
    found = re.findall(r'<span class="text">(.*?)</span>(?:</summary>|</div>)', page, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", "", each)) for each in found]


def link(page: str, words: str) -> str:
    """The address behind a link with these words."""
    found = re.search(rf'href="([^"]+)"[^>]*>{re.escape(words)}<', page)
    assert found is not None, words
    return html.unescape(found[1])


async def keep(sample: Sample, *texts: bytes, stream: str = "i-7", at: float | None = None) -> None:
    sample.services.logs.append(PROD, stream, [Line(at or now(), text) for text in texts])
    await sample.services.logs.round()


async def test_lines_of_a_place_with_their_counts(visits: Visits) -> None:
    visit = await visits.by("zoe")
    page = (await visit.get("/logs?place=boutique.prod")).text
    assert len(texts_of(page)) == 9
    assert "<strong>9 lines</strong>" in page and page.count('class="bar"') >= 1
    assert "on dev" not in page and "composer" not in page
    assert "on dev" in (await visit.get("/logs?place=boutique")).text, "all environments"
    builds = (await visit.get("/logs?place=boutique&group=builds")).text
    assert texts_of(builds) == ["composer install", "OK (128 tests)"]
    assert "9 lignes" in (await visit.get("/logs?place=boutique.prod", "fr")).text


async def test_an_environment_has_them_among_its_pages(visits: Visits) -> None:
    visit = await visits.by("zoe")
    page = (await visit.get(f"{ENVIRONMENT}?group=instances&text=order")).text
    assert 'aria-current="page">Logs<' in page and 'id="place"' not in page
    assert len(texts_of(page)) == 2
    assert f'sse-connect="{ENVIRONMENT}/live?after=' in page
    assert (await visit.get(ENVIRONMENT.replace("prod", "nosuch"))).status_code == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("text=ORDER", 0),
        ("text=ORDER&ignore_case=true", 2),
        ("text=order&not_text=ada", 1),
        ("field=order.id%3D4711", 1),
        ("field=message~order&field=user%3Dada", 1),
        ("stream=i-8", 4),
        ("group=access&stream=i-7", 2),
        ("text=nowhere", 0),
    ],
)
async def test_lines_are_searched_by_text_field_and_stream(visits: Visits, query: str, found: int) -> None:
    group = "" if "group=" in query else "&group=instances"
    page = (await (await visits.by("zoe")).get(f"/logs?place=boutique.prod{group}&{query}")).text
    assert len(texts_of(page)) == found
    assert ("No line in this time is like that." in page) == (found == 0)


async def test_what_cannot_be_looked_for_is_told_and_not_lost(visits: Visits) -> None:
    answer = await (await visits.by("zoe")).get("/logs?place=boutique.prod&field=level&text=kept")
    assert answer.status_code == 422
    assert "is not NAME=VALUE" in answer.text
    assert 'value="level"' in answer.text and 'value="kept"' in answer.text
    assert "sse-connect" not in answer.text


async def test_json_is_shown_by_field_and_each_narrows(visits: Visits) -> None:
    visit = await visits.by("zoe")
    page = (await visit.get("/logs?place=boutique.prod&group=instances&stream=i-7")).text
    assert re.search(r"<dt>order\.id</dt><dd>4711 <a", page)
    address = html.unescape(re.search(r'<dt>user</dt><dd>ada <a href="([^"]+)"', page)[1])  # type: ignore[index]
    assert parse_qs(urlsplit(address).query)["field"] == ["user=ada"]
    assert len(texts_of((await visit.get(address)).text)) == 1


async def test_levels_have_colours_and_long_lines_are_cut(visits: Visits) -> None:
    page = (await (await visits.by("zoe")).get("/logs?place=boutique.prod")).text
    lines = dict(
        re.findall(r'class="log-line(?: level-(\w+))?".*?<span class="text">(.{12})', page, re.DOTALL)
    )
    assert set(lines) == {"", "error", "warning"}
    assert page.count("level-error") == 2, "a JSON line of level error, and an answer of 503"
    assert "… 3005 more characters" in page and "x" * 2001 not in page


async def test_pages_go_back_and_forth_and_every_line_is_on_one(visits: Visits, sample: Sample) -> None:
    await keep(sample, *(b"number %d" % number for number in range(2 * AT_ONCE + 50)))
    visit = await visits.by("zoe")
    page = (await visit.get("/logs?place=boutique.prod&text=number")).text
    seen, pages = [texts_of(page)], [page]
    while ">Older<" in page:
        page = (await visit.get(link(page, "Older"))).text
        seen.append(texts_of(page))
        pages.append(page)
        assert "sse-connect" not in page, "an older page is not live"
    assert [len(each) for each in seen] == [100, 100, 50]
    found = [text for each in reversed(seen) for text in each]
    assert found == [f"number {number}" for number in range(250)]
    back = (await visit.get(link(page, "Newer"))).text
    assert texts_of(back) == seen[1]
    assert texts_of((await visit.get(link(back, "Newer"))).text) == seen[0]
    assert texts_of((await visit.get(link(page, "Newest"))).text) == seen[0]


async def test_a_bar_narrows_the_time_and_the_link_says_it(visits: Visits, sample: Sample) -> None:
    await keep(sample, b"long ago", at=now() - 7200)
    visit = await visits.by("zoe")
    page = (await visit.get("/logs?place=boutique.prod&group=instances")).text
    bars = [html.unescape(each) for each in re.findall(r'<a href="([^"]+)" tabindex="-1">', page)]
    first = (await visit.get(bars[0])).text
    assert texts_of(first) == ["long ago"]
    assert "sse-connect" not in first
    assert re.search(r'<tr><th scope="row"><a href="[^"]+"><time', page), "the same without a mouse"
    assert texts_of((await visit.get(link(first, "Reset zoom"))).text) == texts_of(page)


async def test_the_export_is_what_is_shown(visits: Visits) -> None:
    visit = await visits.by("zoe")
    page = (await visit.get("/logs?place=boutique&group=instances&text=order&field=user%3Dada")).text
    text = await visit.get(link(page, "Export as text"))
    assert text.text.count("\n") == 1 and '"user": "ada"' in text.text
    lines = (await visit.get(link(page, "Export as JSON lines"))).text.splitlines()
    assert len(lines) == 1


async def test_who_may_not_read_is_told_nothing(visits: Visits) -> None:
    zoe, root = await visits.by("zoe"), await visits.by("root")
    for address in (
        "/logs?place=secret-plan",
        "/logs?place=secret-plan.prod",
        "/logs/live?place=secret-plan",
    ):
        assert (await zoe.get(address)).status_code == 404
    assert (await zoe.get("/logs?place=")).status_code == 403, "the server's own is for administrators"
    assert (await zoe.get("/logs/live")).status_code == 403
    assert (await zoe.get("/logs/outlets")).status_code == 403
    assert "secret-plan" not in (await zoe.get("/logs")).text
    assert "a secret line" in (await root.get("/logs?place=secret-plan")).text
    assert "server started" in (await root.get("/logs?place=")).text


async def test_new_lines_come_by_themselves_and_only_those_that_are_wanted(
    visits: Visits, sample: Sample
) -> None:
    visit = await visits.by("zoe")
    page = (await visit.get("/logs?place=boutique.prod&text=order")).text
    connect = html.unescape(re.search(r'sse-connect="([^"]+)"', page)[1])  # type: ignore[index]
    async with visit.live(connect) as live:
        await keep(sample, b"something else", b"an order at last", stream="i-9")
        heard = await live.next("lines")
        assert texts_of(heard.data) == ["an order at last"]
        assert "stream-2" in heard.data and ">i-9" in heard.data
    async with visit.live(connect, last_event_id=heard.id) as live:
        await keep(sample, b"order two")
        assert texts_of((await live.next("lines")).data) == ["order two"], "no line twice after a cut"


async def test_a_flood_shows_its_end_and_says_how_much_there_was(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("zoe")
    connect = f"{ENVIRONMENT}/live?after={await sample.services.logs.last_id()}"
    async with visit.live(connect) as live:
        await keep(sample, *(b"flood %d" % number for number in range(3000)))
        shown: list[str] = []
        missing = 0
        while not shown or shown[-1] != "flood 2999":
            data = (await live.next("lines")).data
            shown += texts_of(data)
            assert len(texts_of(data)) <= MOST_GATHERED
            missing += sum(int(each) for each in re.findall(r"(\d+) lines came too fast", data))
    assert missing + len(shown) == 3000 and missing > 0


async def test_counts_go_on_by_themselves(visits: Visits, sample: Sample) -> None:
    async with (await visits.by("zoe")).live("/logs/live?place=boutique.prod&text=order") as live:
        assert "<strong>2 lines</strong>" in (await live.next("counts")).data
        await keep(sample, b"one more order")
        assert "<strong>3 lines</strong>" in (await live.next("counts")).data


# -- filters


async def test_a_search_becomes_a_filter_which_is_changed_and_deleted(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    page = (await visit.get("/logs?place=boutique.prod&group=instances&text=order&field=user%3Dada")).text
    form = (await visit.get(link(page, "Count in a metric"))).text
    assert "<option selected>boutique.prod/instances</option>" in form
    assert 'name="text" value="order"' in form and ">user=ada</textarea>" in form
    fields = {
        "group": "boutique.prod/instances",
        "metric": "orders_of_ada",
        "text": "order",
        "field": "user=ada",
    }
    assert (await visit.send("/logs/filters", **fields)).headers["location"] == "/logs/filters"
    made = (await sample.services.logs.filters.list())[0]
    assert [str(each) for each in made.search.fields] == ["user=ada"]
    assert "orders_of_ada" in (await visit.get("/logs/filters")).text
    changed = await visit.send(f"/logs/filters/{made.id}", text="bill", field="a=1\nb~2", ignore_case="true")
    assert changed.status_code == 303
    search = (await sample.services.logs.filters.get(made.id)).search
    assert (search.text, search.ignores_case, len(search.fields)) == ("bill", True, 2)
    assert (await visit.send(f"/logs/filters/{made.id}/delete")).status_code == 303
    assert await sample.services.logs.filters.list() == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metric": "machine_cpu"}, "Halage's own"),
        ({"metric": "1"}, "cannot be named"),
        ({"metric": "x", "field": "level"}, "is not NAME=VALUE"),
        ({"metric": "x", "group": "nothing"}, "is no group of logs"),
        ({"metric": "x", "group": "halage"}, "a project"),
    ],
)
async def test_a_filter_that_cannot_be_is_refused_and_not_lost(
    visits: Visits, fields: dict[str, str], said: str
) -> None:
    visit = await visits.by("paul")
    answer = await visit.send(
        "/logs/filters", **{"group": "boutique.prod/instances", "text": "kept", **fields}
    )
    assert answer.status_code == 422
    assert said in html.unescape(answer.text) and 'value="kept"' in answer.text


async def test_filters_are_for_developers_of_the_project(visits: Visits, sample: Sample) -> None:
    zoe, paul = await visits.by("zoe"), await visits.by("paul")
    fields = {"group": "boutique.prod/instances", "metric": "mine"}
    assert (await zoe.send("/logs/filters", **fields)).status_code == 403
    hidden = await paul.send("/logs/filters", group="secret-plan.prod/instances", metric="mine")
    assert hidden.status_code == 404
    await (await visits.by("root")).send("/logs/filters", group="secret-plan.prod/instances", metric="theirs")
    number = (await sample.services.logs.filters.list())[0].id
    assert (await paul.send(f"/logs/filters/{number}/delete")).status_code == 404
    await paul.send("/logs/filters", **fields)
    own = (await sample.services.logs.filters.list("boutique"))[0].id
    for address in (f"/logs/filters/{own}", f"/logs/filters/{own}/delete"):
        assert (await zoe.send(address)).status_code == 403, "a viewer changes nothing"
    assert "theirs" not in (await paul.get("/logs/filters")).text
    assert "New filter" not in (await zoe.get("/logs/filters")).text
    assert (await paul.client.post("/logs/filters", data=fields)).status_code == 403, "without a token"


# -- outlets


async def test_an_outlet_is_made_shown_with_its_state_paused_and_deleted(
    visits: Visits, sample: Sample
) -> None:
    root = await visits.by("root")
    fields = {
        "name": "central",
        "address": "https://logs.example.org/lines",
        "groups": "boutique.* halage",
        "header": "Authorization",
        "value": "Bearer very-secret",
    }
    assert (await root.send("/logs/outlets", **fields)).headers["location"] == "/logs/outlets"
    page = (await root.get("/logs/outlets")).text
    assert "central" in page and "Authorization" in page and "0 lines wait" in page
    assert "very-secret" not in page
    await keep(sample, b"one", b"two")
    assert "2 lines wait" in (await root.get("/logs/outlets")).text
    number = (await sample.services.logs.outlets.list())[0].id
    for action, state in (("pause", "Paused"), ("resume", "Sends")):
        assert (await root.send(f"/logs/outlets/{number}/{action}")).status_code == 303
        assert f"<span>{state}</span>" in (await root.get("/logs/outlets")).text
    assert (await root.send(f"/logs/outlets/{number}/dance")).status_code == 404
    assert (await root.send(f"/logs/outlets/{number}/delete")).status_code == 303
    assert "Lines are sent nowhere." in (await root.get("/logs/outlets")).text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"address": "logs.example.org"}, "Logs cannot be sent to"),
        ({"name": "Not This"}, "cannot be called"),
        ({"groups": ""}, "which groups"),
        ({"groups": "shop;prod"}, "is no group"),
        ({"header": "X Y", "value": "x"}, "cannot be sent"),
    ],
)
async def test_an_outlet_that_cannot_be_is_refused_and_not_lost(
    visits: Visits, fields: dict[str, str], said: str
) -> None:
    root = await visits.by("root")
    usual = {"name": "central", "address": "https://logs.example.org/", "groups": "*"}
    answer = await root.send("/logs/outlets", **{**usual, **fields})
    assert answer.status_code == 422
    assert said in html.unescape(answer.text)
    assert (await (await visits.by("paul")).send("/logs/outlets", **usual)).status_code == 403


async def test_lines_of_several_instances_stand_in_the_order_of_their_times(
    visits: Visits, sample: Sample
) -> None:
    at = now()
    await keep(sample, b"order second", stream="i-7", at=at - 1)
    await keep(sample, b"order first", stream="i-8", at=at - 2)
    page = (await (await visits.by("zoe")).get(f"{ENVIRONMENT}?text=order&stream=")).text
    found = texts_of(page)
    assert found.index("order first") < found.index("order second")


@pytest.mark.parametrize("place", ["BOUTIQUE", "boutique.prod.x", "boutique.", "%00", "../x"])
async def test_a_mistyped_place_is_not_taken_for_the_servers_own_log(visits: Visits, place: str) -> None:
    root = await visits.by("root")
    assert (await root.get(f"/logs?place={place}")).status_code == 404
    assert (await root.get(f"/logs/live?place={place}")).status_code == 404
    assert (await root.get("/logs?place=")).status_code == 200
