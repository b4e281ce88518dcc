"""The settings of an environment in the console: sources, a difference before saving, history."""

import re
from html import unescape

from tests.services.web.console.visit import Visits

PAGE = "/projects/boutique/environments/prod/settings"


async def test_nine_groups_with_the_source_of_each_value(visits: Visits) -> None:
    visit = await visits.by("paul")
    text = (await visit.get(PAGE)).text
    titles = re.findall(r'<h2 id="group-(\w+)">', text)
    assert titles == [
        "scaling", "instances", "software", "deployments", "balancer", "network", "health",
        "notifications", "schedule",
    ]  # fmt: skip
    assert 'name="setting.deployments.batch"' in text and 'value="1m"' in text
    assert "Nothing was set here yet." in text


async def test_what_is_changed_is_shown_before_it_is_saved(visits: Visits) -> None:
    visit = await visits.by("paul")
    sent = {"setting.deployments.batch": "25%", "setting.type": "micro", "setting.network.allowed": ""}
    text = (await visit.send(PAGE, **sent, path="processes.worker.command", value="work <hard>")).text
    assert "deployments.batch" in text and "&#34;25%&#34;" in text and "work &lt;hard&gt;" in text
    assert "<code>type</code>" not in text, "it is as it was"
    wish = re.findall(r'name="wish" value="([^"]*)"', text)[0]
    assert "Nothing was set here yet." in (await visit.get(PAGE)).text
    saved = await visit.send(f"{PAGE}/save", wish=unescape(wish), reason="the sale")
    assert saved.status_code == 303
    text = (await visit.get(PAGE)).text
    assert "the sale" in text and "set here" in text
    # an empty field is as halage.toml says again
    text = (await visit.send(PAGE, **{"setting.deployments.batch": ""})).text
    wish = unescape(re.findall(r'name="wish" value="([^"]*)"', text)[0])
    assert wish == '{"set": {}, "unset": ["deployments.batch"]}'


async def test_what_is_refused_stays_in_the_form(visits: Visits) -> None:
    visit = await visits.by("paul")
    answer = await visit.send(PAGE, **{"setting.deployments.batch": "0%"})
    assert answer.status_code == 422
    assert "a share of them over" in answer.text and 'value="0%"' in answer.text
    assert (await visit.send(f"{PAGE}/save", wish="[]")).status_code == 422


async def test_a_viewer_changes_nothing(visits: Visits) -> None:
    visit = await visits.by("zoe")
    text = (await visit.get(PAGE)).text
    assert "deployments.batch" in text and "<textarea" not in text
    assert (await visit.send(PAGE)).status_code == 403
    assert (await visit.send(f"{PAGE}/save", wish="{}")).status_code == 403
