"""What runs, on the page of an environment's shell."""

from collections.abc import AsyncIterator
from typing import cast

import pytest

from halage.environment.execution.service import Execution
from halage.environment.model import ExecutionWish
from tests.executions import ScriptedExecutions
from tests.services.web.console.sample import Sample
from tests.services.web.console.visit import Visits

PROD = "/projects/boutique/environments/prod"


@pytest.fixture
async def running(sample: Sample) -> AsyncIterator[Execution]:
    """A command of marie's that waits."""
    executions = cast(ScriptedExecutions, sample.services.executions)
    async with executions.run("boutique", "prod", ExecutionWish(("wait",)), actor="marie") as execution:
        yield execution


@pytest.mark.parametrize(("language", "words"), [("en", "a fresh instance"), ("fr", "une instance neuve")])
async def test_it_says_who_runs_what_where_and_since_when(
    visits: Visits, running: Execution, language: str, words: str
) -> None:
    page = (await (await visits.by("marie")).get(f"{PROD}/shell", language)).text
    assert "a command" in page and words in page and "1970-01-01T00:01:00Z" in page
    assert f'action="{PROD}/executions/x-1/end"' in page


async def test_a_developer_ends_it_and_a_viewer_may_not(
    visits: Visits, running: Execution, sample: Sample
) -> None:
    assert (await (await visits.by("zoe")).send(f"{PROD}/executions/x-1/end")).status_code == 403
    assert (await (await visits.by("zoe")).get(f"{PROD}/shell/live")).status_code == 403
    visit = await visits.by("marie")
    for _ in range(2):  # the second time it has ended already
        done = await visit.send(f"{PROD}/executions/x-1/end")
        assert (done.status_code, done.headers["location"]) == (303, f"{PROD}/shell")
    assert (await running.over()).reason == "marie ended it"
