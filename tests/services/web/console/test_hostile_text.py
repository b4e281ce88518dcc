"""Whatever people, commits and sites write is shown as text: on pages and in live fragments."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from halage.base.database import Transaction
from halage.build.model import Job
from halage.environment.model import Deployment, Environment, Release, Variable
from halage.monitor.logs.model import Group, Line, Search
from halage.pipeline.model import RunState, StageState
from tests.services.web.console import sample as samples
from tests.services.web.console.sample import Sample
from tests.services.web.console.visit import Visits

EVIL = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'"
BASE = "/projects/boutique/environments/prod"
PAGES = (
    "/projects",
    "/projects/boutique",
    "/projects/boutique/runs",
    "/runs/9",
    "/runs/10",
    BASE,
    f"{BASE}/logs",
    f"/logs?place=boutique&text={quote(EVIL)}&stream={quote(EVIL)}&field={quote('a=' + EVIL)}",
    "/logs/filters",
    f"{BASE}/variables",
    "/events",
)
STREAMS = {
    "/projects/live": "projects",
    "/projects/boutique/live": "runs",
    "/runs/9/live?from_line=0": "lines",
    "/runs/10/live": "deployments",
    f"{BASE}/live": "head",
    f"{BASE}/logs/live": "lines",
    "/events/live": "entries",
}


class HostileEnvironments(samples.SampleEnvironments):
    """What a site and its team may have written anywhere."""

    async def show(self, project: str, name: str) -> Environment:
        shown = await super().show(project, name)
        instances = tuple(replace(each, reason=EVIL, check=EVIL) for each in shown.instances)
        return replace(shown, cause=EVIL, instances=instances, release=_hostile(shown.release))

    async def list(self, project: str) -> list[Environment]:
        return [await self.show(*key) for key in self.colours if key[0] == project]

    async def releases(self, project: str, name: str) -> Sequence[Release]:
        return [replace(each, title=EVIL, created_by=EVIL) for each in samples.releases_of(project, name)]

    async def deployment(self, deployment_id: int) -> Deployment:
        return samples.a_deployment(deployment_id, reason=EVIL, log_tail=f"{EVIL}\n{EVIL}")

    async def variables(self, project: str, name: str) -> tuple[Variable, ...]:
        return (Variable("NAME", EVIL, False, 0.0, EVIL),)


def _hostile(release: Release | None) -> Release | None:
    return release and replace(release, title=EVIL)


class HostileBuilds(samples.SampleBuilds):
    """A commit may print anything, and name its tests as it likes."""

    async def job(self, job_id: int) -> Job:
        job = await super().job(job_id)
        report = samples.a_report(1)
        cases = tuple(replace(case, name=EVIL, group=EVIL, message=EVIL) for case in report.failures)
        return replace(
            job, report=replace(report, failures=cases, slowest=cases), reason=EVIL, warnings=(EVIL,)
        )


@pytest.fixture
async def hostile(sample: Sample) -> Sample:
    """The sample, with a hostile word wherever a word comes from outside."""
    ok = StageState.SUCCEEDED
    sample.builds.__class__ = HostileBuilds
    sample.builds.lines.append(EVIL)
    sample.builds.live_lines.put_nowait(None)
    sample.environments.__class__ = HostileEnvironments
    ways: dict[int, Any] = {
        9: samples.stages(source=ok, test=(StageState.FAILED, EVIL)),
        10: samples.stages(
            source=ok, test=ok, dev=(StageState.FAILED, ""), approval=(StageState.WAITING, EVIL)
        ),
    }
    for number, way in ways.items():
        commented = tuple(replace(stage, comment=EVIL, decided_by=EVIL) for stage in way)
        run = samples.a_run(number, RunState.FAILED, EVIL, commented, author=EVIL, branch=EVIL, reason=EVIL)
        sample.pipeline.stored[number] = run

    def note(tx: Transaction) -> None:
        for project in ("boutique", None):
            tx.record(EVIL, actor=EVIL, subject=EVIL, project=project, evil=EVIL)

    await sample.services.database.run(note)
    logs = sample.services.logs
    document = json.dumps({EVIL: EVIL, "level": EVIL}).encode()
    at = samples.now()
    logs.append(Group.named("boutique.prod/instances"), EVIL, [Line(at, EVIL.encode()), Line(at, document)])
    await logs.round()
    await logs.filters.create(
        Group.named("boutique.prod/instances"), "evil", Search(EVIL, EVIL, stream=EVIL), actor=EVIL
    )
    return sample


def assert_harmless(html: str, where: str) -> None:
    assert "<img src=x" not in html, where
    assert "<script>alert" not in html, where


@pytest.mark.usefixtures("hostile")
async def test_pages_show_it_as_text(visits: Visits) -> None:
    visit = await visits.by("root")
    for page in PAGES:
        html = (await visit.get(page)).text
        assert "&lt;img src=x" in html, page
        assert_harmless(html, page)


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("address", STREAMS)
async def test_live_fragments_show_it_as_text(visits: Visits, address: str) -> None:
    visit = await visits.by("root")
    async with visit.live(address) as live:
        heard = await live.next(STREAMS[address])
        while "&lt;img src=x" not in heard.data:
            assert_harmless(heard.data, address)
            heard = await live.next(STREAMS[address])
    assert_harmless(heard.data, address)


@pytest.mark.usefixtures("hostile")
async def test_forms_give_it_back_as_text(visits: Visits) -> None:
    visit = await visits.by("root")
    for address, fields in {
        "/login": {"user": EVIL, "password": "x"},
        "/logs/filters": {"group": EVIL, "metric": EVIL, "text": EVIL, "field": EVIL},
        "/logs/outlets": {"name": EVIL, "address": EVIL, "groups": EVIL, "header": EVIL},
        "/users": {"name": EVIL},
        "/projects/boutique/members": {"user": EVIL, "role": "king"},
        "/projects/boutique/delete": {"name": EVIL},
    }.items():
        assert_harmless((await visit.send(address, **fields)).text, address)
    assert_harmless((await visit.get(f"/login?next=/{EVIL}")).text, "next")
    assert_harmless((await visit.get(f"/projects/{EVIL}")).text, "address")
