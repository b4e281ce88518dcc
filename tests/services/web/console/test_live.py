"""Live pages: fragments are sent as things change, nothing twice, nothing to those who may not see."""

from dataclasses import replace

import pytest

from halage.base.database import Transaction
from halage.environment.model import Colour
from halage.pipeline.model import RunState, StageState
from tests.services.web.console.sample import Sample, stages
from tests.services.web.console.visit import Visits


def note(tx: Transaction, project: str, action: str = "source:Push") -> None:
    tx.record(action, actor="marie", subject=f"project/{project}", project=project)


async def test_a_run_is_followed_to_its_end(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    async with visit.live("/runs/6/live?from_line=8") as live:
        assert "is-running" in (await live.next("stages")).data
        assert "/runs/6/cancel" in (await live.next("actions")).data
        sample.builds.live_lines.put_nowait("\x1b[31mlive <b>line</b>\x1b[0m")
        line = await live.next("lines")
        assert line.id == "8"
        assert '<span class="ansi-red">live &lt;b&gt;line&lt;/b&gt;</span>' in line.data
        ok = StageState.SUCCEEDED
        run = sample.pipeline.stored[6]
        await sample.pipeline.put(replace(run, reason="almost there"))
        assert "almost there" in (await live.next("head")).data
        await sample.pipeline.put(
            replace(run, state=RunState.SUCCEEDED, stages=stages(source=ok, test=ok, dev=ok))
        )
        sample.builds.live_lines.put_nowait(None)
        rest = await live.rest()
    names = [heard.name for heard in rest]
    assert names[-1] == "end"
    assert "is-running" not in next(heard.data for heard in rest if heard.name == "stages")
    # What looks the same is not sent again, so nobody who types a comment loses it.
    assert names.count("actions") == 1
    assert "tests" not in names and "lines" not in names


async def test_a_cut_connection_resumes_after_the_last_line(visits: Visits, sample: Sample) -> None:
    sample.builds.live_lines.put_nowait(None)
    visit = await visits.by("zoe")
    async with visit.live("/runs/4/live?from_line=0", last_event_id="5") as live:
        assert [heard.id for heard in await live.rest() if heard.name == "lines"] == ["6", "7"]


async def test_live_pages_of_what_one_may_not_see(visits: Visits, sample: Sample) -> None:
    stranger = visits.nobody()
    answer = await stranger.client.get("/runs/6/live", headers={"Accept": "text/event-stream"})
    assert answer.status_code == 401
    sample.pipeline.stored[8] = replace(sample.pipeline.stored[6], id=8, project="secret-plan")
    for address in ("/runs/8", "/runs/8/live", "/runs/8/console.txt"):
        refused = await (await visits.by("zoe")).get(address)
        assert refused.status_code == 404
        assert "secret-plan" not in refused.text


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("/projects/live", "projects"),
        ("/projects/boutique/live", "environments"),
        ("/projects/boutique/environments/prod/live", "head"),
    ],
)
async def test_colours_change_by_themselves(visits: Visits, sample: Sample, address: str, part: str) -> None:
    visit = await visits.by("zoe")
    async with visit.live(address) as live:
        before = await live.next(part)
        sample.environments.colours["boutique", "prod"] = Colour.RED
        await sample.services.database.run(note, "boutique", "environment:Turn")
        after = await live.next(part)
    assert after.data.count("is-red") > before.data.count("is-red")


async def test_a_project_that_one_loses_disappears_from_the_live_list(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("zoe")
    async with visit.live("/projects/live") as live:
        assert "museum" in (await live.next("projects")).data
        await sample.services.access.set_member("museum", "zoe", None, "root")
        assert "museum" not in (await live.next("projects")).data


async def test_events_are_live_and_only_those_that_one_may_see(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("zoe")
    async with visit.live("/events/live?after=0") as live:
        while "project/boutique" not in (await live.next("entries")).data:
            pass
        for project in ("secret-plan", "museum"):
            await sample.services.database.run(note, project)
        seen = [await live.next("entries")]
        while "source:Push" not in seen[-1].data or "project/museum" not in seen[-1].data:
            seen.append(await live.next("entries"))
        sample.services.stopping.set()
        seen += await live.rest()
    assert not any("secret-plan" in heard.data for heard in seen)
    numbers = [int(heard.id) for heard in seen]
    assert numbers == sorted(set(numbers))
    async with visit.live("/events/live?after=0", last_event_id=str(numbers[-1])) as again:
        assert await again.rest() == []  # the server is stopping, and nothing was missed
