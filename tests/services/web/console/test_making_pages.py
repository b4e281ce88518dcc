"""Environments made, cloned, saved as a template, rebuilt and terminated in the console."""

from typing import Any

import pytest

from tests.services.web.console.sample import Sample
from tests.services.web.console.visit import Visits

PROJECT = "/projects/boutique"
PROD = f"{PROJECT}/environments/prod"


async def test_an_environment_is_made_of_a_template(visits: Visits) -> None:
    visit = await visits.by("paul")
    assert f'href="{PROJECT}/environments"' in (await visit.get(PROJECT)).text
    text = (await visit.get(f"{PROJECT}/environments")).text
    assert "Of the template big" in text and "<code>type</code>" in text
    made = await visit.send(f"{PROJECT}/environments", name="stage", template="big")
    assert (made.status_code, made.headers["location"]) == (303, f"{PROJECT}/environments/stage")
    refused = await visit.send(f"{PROJECT}/environments", name="prod", template="big")
    assert refused.status_code == 409
    assert "has an environment prod already" in refused.text and 'value="prod"' in refused.text
    assert (await visit.send(f"{PROJECT}/templates/big/delete")).status_code == 303


async def test_an_environment_is_cloned_kept_as_a_template_and_rebuilt(
    visits: Visits, sample: Sample
) -> None:
    visit = await visits.by("paul")
    text = (await visit.get(f"{PROD}/manage")).text
    assert "Clone this environment" in text and "Terminate" not in text, "paul is a developer"
    cloned = await visit.send(f"{PROD}/clone", name="copy")
    assert (cloned.status_code, cloned.headers["location"]) == (303, f"{PROJECT}/environments/copy")
    refused = await visit.send(f"{PROD}/clone", name="no good")
    assert refused.status_code == 422 and 'value="no good"' in refused.text
    saved = await visit.send(f"{PROD}/template", template="big")
    assert (saved.status_code, saved.headers["location"]) == (303, f"{PROJECT}/environments")
    assert (await visit.send(f"{PROD}/rebuild")).status_code == 303
    assert _done(sample) == [("rebuild", "prod")]


async def test_terminating_says_what_goes_and_asks_for_the_name(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("marie")
    assert f'href="{PROD}/terminate"' in (await visit.get(f"{PROD}/manage")).text
    text = (await visit.get(f"{PROD}/terminate")).text
    for words in ("What goes", "its alarms, dashboards, logs and metrics", "What stays", "the journal"):
        assert words in text
    wrong = await visit.send(f"{PROD}/terminate", name="dev")
    assert wrong.status_code == 422 and "nothing was removed" in wrong.text
    assert _done(sample) == []
    gone = await visit.send(f"{PROD}/terminate", name="prod")
    assert (gone.status_code, gone.headers["location"]) == (303, PROJECT)
    assert _done(sample) == [("terminate", "prod")]
    assert (await visit.get(f"{PROJECT}/environments/nowhere/terminate")).status_code == 404


@pytest.mark.parametrize("user", ["zoe", "paul"])
async def test_who_may_not_is_refused(visits: Visits, sample: Sample, user: str) -> None:
    visit = await visits.by(user)
    assert (await visit.get(f"{PROD}/manage")).status_code == 200
    addresses = [f"{PROD}/terminate"]
    if user == "zoe":
        addresses += [f"{PROD}/{word}" for word in ("clone", "template", "rebuild")]
        addresses += [f"{PROJECT}/environments", f"{PROJECT}/templates/big/delete"]
    for address in addresses:
        assert (await visit.send(address, name="prod", template="x")).status_code == 403, address
    assert _done(sample) == []


def _done(sample: Sample) -> list[tuple[str, str]]:
    making: Any = sample.services.making
    found: list[tuple[str, str]] = making.done
    return found
