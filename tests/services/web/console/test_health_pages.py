"""The page of an environment's health: causes, instances to take out and put back, the strip over time."""

import html
import re

import pytest

from halage.environment.model import Colour, Health, HealthStatus
from halage.environment.tables.health_tables import HealthSpan
from halage.web.console.health import stretches_of
from tests.services.web.console.sample import Sample
from tests.services.web.console.visit import Visits

PROD = "/projects/boutique/environments/prod"
DEV = "/projects/boutique/environments/dev"


def _text(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Severe", "1834 requests, 12 failed", "24 hours")),
        ("fr", ("Grave", "1834 requêtes, 12 en échec")),
    ],
)
async def test_it_says_how_it_is_why_and_how_it_was(
    visits: Visits, language: str, words: tuple[str, ...]
) -> None:
    page = _text((await (await visits.by("zoe")).get(f"{DEV}/health", language)).text)
    assert "no instance passes its check: visitors get the error page" in page
    assert "i-1 fails its check for 3 s (L7TOUT in 5001 ms)" in page
    for each in words:
        assert each in page


async def test_a_viewer_is_shown_no_button(visits: Visits) -> None:
    page = (await (await visits.by("zoe")).get(f"{PROD}/health")).text
    assert "/take-out" not in page
    refused = await (await visits.by("zoe")).send(f"{PROD}/instances/boutique-prod-1/take-out")
    assert refused.status_code == 403


async def test_an_instance_is_taken_out_and_put_back(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("marie")
    done = await visit.send(f"{PROD}/instances/boutique-prod-1/take-out", replace="yes")
    assert (done.status_code, done.headers["location"]) == (303, f"{PROD}/health")
    page = (await visit.get(f"{PROD}/health")).text
    assert "Taken out by marie" in _text(page)
    assert f'action="{PROD}/instances/boutique-prod-1/put-back"' in page
    assert f'action="{PROD}/instances/boutique-prod-1/take-out"' not in page
    again = await visit.send(f"{PROD}/instances/boutique-prod-1/take-out")
    assert again.status_code == 409 and "is the only instance that serves" in _text(again.text)
    assert (await visit.send(f"{PROD}/instances/boutique-prod-1/put-back")).status_code == 303
    refused = await visit.send(f"{PROD}/instances/boutique-prod-1/put-back")
    assert refused.status_code == 409 and "was not taken out" in _text(refused.text)
    assert [call[0] for call in sample.environments.calls] == ["take-out", "put-back", "put-back"]


async def test_an_unknown_range_is_a_day(visits: Visits) -> None:
    page = (await (await visits.by("zoe")).get(f"{PROD}/health?range=%3Cb%3E")).text
    assert 'range=24h" aria-current="true"' in page and "<b>" not in page


async def test_the_overview_leads_to_it(visits: Visits, sample: Sample) -> None:
    sample.environments.colours["boutique", "prod"] = Colour.YELLOW
    page = (await (await visits.by("zoe")).get(PROD)).text
    assert re.search(rf'href="{PROD}/health">Warning<', page)


def _span(begin: float, end: float | None, status: HealthStatus) -> HealthSpan:
    return HealthSpan(begin, end, Health(status, ""))


def test_the_strip_is_cut_to_its_range_and_hides_no_short_outage() -> None:
    spans = [
        _span(0, 150, HealthStatus.OK),
        _span(150, 150.1, HealthStatus.SEVERE),
        _span(150.1, None, HealthStatus.OK),
    ]
    stretches = stretches_of(spans, 100, 200)
    assert [(s.begin, s.width) for s in stretches] == [(0, 50), (50.1, 49.9), (50, 0.3)]
    assert stretches[-1].colour is Colour.RED
    assert stretches_of(spans, 300, 400)[0].width == 100
