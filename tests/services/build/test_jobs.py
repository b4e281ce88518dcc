"""Jobs on a driver in memory: console, limits, cancel, adoption, reports, bundles."""

import asyncio
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from halage.build.errors import NoSuchJob
from halage.build.model import Job, JobState
from halage.build.service import JobOrder
from halage.compute.drivers.memory import Script
from halage.compute.model import Limits, UnitSpec
from halage.site.model import BuildPlan, Site
from halage.site.model import TestPlan as SiteTests
from tests.clock import ManualClock
from tests.controlplane import (
    PROD,
    SHOP,
    ControlPlane,
    Ground,
    control_plane,
    eventually,
    site_of,
)

FILES = {"server.js": "serve()", "public/page.html": "<p>hello</p>"}
REPORT = """<testsuite name="shop"><testcase name="sells" classname="Shop" time="0.5"/>
<testcase name="ships" classname="Shop" time="0.1"><failure message="lost">at sea</failure></testcase>
</testsuite>"""
MARK = "\x1e"


def _order(
    ground: Ground, site: Site | None = None, *, token: str = "run-1-1-1", run_id: int = 1
) -> JobOrder:
    commit = ground.source.add_commit(FILES)
    return JobOrder(token, SHOP, commit, run_id, site or site_of())


async def _is_running(ground: Ground, unit: str) -> None:
    async def look() -> bool:
        return unit in ground.compute.running()

    await eventually(look, f"unit {unit}")


async def _texts(plane: ControlPlane, job_id: int) -> list[str]:
    return [line.text for line in await plane.builds.console(job_id)]


def _workspace(ground: Ground, spec: UnitSpec) -> Path:
    assert spec.sandbox is not None
    return spec.sandbox.writable["/site"]


async def test_a_job_that_succeeds_leaves_a_bundle_a_console_and_nothing_else(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        job = await plane.job_ended(await plane.builds.start(_order(ground)))
        assert (job.state, job.exit_code, job.reason, job.attempt) == (JobState.SUCCEEDED, 0, "", 1)
        assert job.peak_memory_bytes == 9_000_000
        assert await _texts(plane, job.id) == ["$ ./test", "all good"]
        assert _names_in_bundle(ground, job) == ["public", "public/page.html", "server.js"]
        await _nothing_is_left(ground)


async def _nothing_is_left(ground: Ground) -> None:
    async def look() -> bool:
        is_clear = not any((ground.directory / "work").glob("*/*"))
        return is_clear and await ground.compute.list() == []

    await eventually(look, "everything but the console to be cleared away")


def _names_in_bundle(ground: Ground, job: Job) -> list[str]:
    assert job.bundle_digest is not None
    with ground.objects.open(job.bundle_digest) as packed:
        stream = zstandard.ZstdDecompressor().stream_reader(packed)
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            return [entry.name for entry in tar]


async def test_commands_run_behind_a_wall_with_what_they_need_and_no_secret(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script()
    site = site_of(variables={"COLOUR": "red"}, build=BuildPlan(("npm ci",), network=False))
    async with control_plane(ground) as plane:
        await plane.deploy(site)
        await plane.environments.set_variable(*PROD, "KEY", "sesame-open", is_secret=True, actor="ada")
        job_id = await plane.builds.start(_order(ground, site))
        await _is_running(ground, f"j-{job_id}.1")
        spec = ground.compute.spec(f"j-{job_id}.1")
        assert spec.sandbox is not None
        assert (spec.directory, spec.sandbox.network) == ("/site", False)
        assert set(spec.sandbox.writable) == {"/site", "/cache"}
        assert spec.environment["COLOUR"] == "red"
        assert spec.environment["HTTP_PROXY"] == "http://proxy.test"
        assert spec.environment["CI"] == "true"
        assert "KEY" not in spec.environment and "sesame-open" not in str(spec)
        assert spec.limits.memory_bytes == ground.build_limits.memory_bytes
        ground.compute.end(spec.id, 0)
        await plane.job_ended(job_id)


async def test_the_same_commit_gives_the_same_bundle(ground: Ground) -> None:
    order = _order(ground)
    async with control_plane(ground) as plane:
        first = await plane.job_ended(await plane.builds.start(order))
        second = await plane.job_ended(await plane.builds.start(replace(order, token="run-2-1-1")))
    assert first.id != second.id
    assert first.bundle_digest == second.bundle_digest


async def test_asking_twice_with_one_token_is_asking_once(ground: Ground) -> None:
    order = _order(ground)
    async with control_plane(ground) as plane:
        first = await plane.builds.start(order)
        assert await plane.builds.start(order) == first
        await plane.job_ended(first)
        assert await plane.builds.start(order) == first
    assert ground.started("j-") == [f"j-{first}.1"]


async def test_a_failing_command_is_named_with_its_code(ground: Ground) -> None:
    output = f"{MARK}phase test\n{MARK}command ./test\n1 failed\n".encode()
    ground.compute.script_for = lambda spec: Script(output=output, exit_code=2)
    async with control_plane(ground) as plane:
        job = await plane.job_ended(await plane.builds.start(_order(ground)))
        assert (job.state, job.exit_code, job.bundle_digest) == (JobState.FAILED, 2, None)
        assert job.reason == "`./test` exited with code 2"
        assert (await _texts(plane, job.id))[-1] == "[Halage: `./test` exited with code 2]"


async def test_too_much_memory_is_named(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script()
    async with control_plane(ground) as plane:
        job_id = await plane.builds.start(_order(ground))
        await _is_running(ground, f"j-{job_id}.1")
        ground.compute.end(f"j-{job_id}.1", 137, out_of_memory=True)
        job = await plane.job_ended(job_id)
        assert job.state is JobState.FAILED
        assert "was killed: it used more than its" in job.reason


async def test_the_console_is_live_masked_and_readable_from_any_line(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script()
    async with control_plane(ground) as plane:
        await plane.deploy()
        await plane.environments.set_variable(*PROD, "KEY", "sesame-open", is_secret=True, actor="ada")
        job_id = await plane.builds.start(_order(ground))
        unit = f"j-{job_id}.1"
        await _is_running(ground, unit)
        lines = plane.builds.follow_console(job_id)
        ground.compute.print(unit, b"the key is sesame-open\nhalf")
        assert (await anext(lines)).text == "the key is [secret]"
        ground.compute.print(unit, b" and half\n")
        assert (await anext(lines)).text == "half and half"
        ground.compute.print(unit, b"no newline at the end")
        ground.compute.end(unit, 0)
        assert [line.text async for line in lines] == ["no newline at the end"]
        assert [line.number for line in await plane.builds.console(job_id, 1, 1)] == [1]


async def test_a_console_that_is_full_says_so(ground: Ground) -> None:
    ground.build_limits = replace(ground.build_limits, console_bytes=200)
    ground.compute.script_for = lambda spec: Script(output=b"0123456789\n" * 100, exit_code=0)
    async with control_plane(ground) as plane:
        job = await plane.job_ended(await plane.builds.start(_order(ground)))
        assert job.state is JobState.SUCCEEDED
        texts = await _texts(plane, job.id)
        assert texts[-1] == "[Halage: the console is full; what follows is not kept]"
        assert len(texts) < 20


async def test_without_a_sandbox_the_console_says_so_first(ground: Ground) -> None:
    ground.sandbox_warning = "jobs are not kept apart"
    async with control_plane(ground) as plane:
        job = await plane.job_ended(await plane.builds.start(_order(ground)))
        assert (await _texts(plane, job.id))[0] == "warning: jobs are not kept apart"


@pytest.mark.parametrize(("phase", "seconds"), [("build", 30), ("test", 60)])
async def test_a_time_limit_ends_the_job_and_names_the_command(
    ground: Ground, clock: ManualClock, phase: str, seconds: int
) -> None:
    output = f"{MARK}phase {phase}\n{MARK}command ./slow\n".encode()
    ground.compute.script_for = lambda spec: Script(output=output)
    site = site_of(build=BuildPlan(("./slow",), timeout_s=30), test=SiteTests(("./slow",), timeout_s=60))
    async with control_plane(ground) as plane:
        job_id = await plane.builds.start(_order(ground, site))
        lines = plane.builds.follow_console(job_id)
        assert (await anext(lines)).text == "$ ./slow"
        await clock.advance(seconds - 1)
        await asyncio.sleep(0.03)
        assert not (await plane.builds.job(job_id)).state.is_final
        await clock.advance(1)
        job = await plane.job_ended(job_id)
        assert job.state is JobState.TIMED_OUT
        assert job.reason == f"`./slow` was ended: the time limit of {seconds} s for [{phase}] is over"
        await lines.aclose()  # type: ignore[attr-defined]  # a generator
        await _nothing_is_left(ground)


@pytest.mark.parametrize("is_running", [True, False])
async def test_cancel_ends_a_running_job_and_one_that_waits(ground: Ground, is_running: bool) -> None:
    ground.compute.script_for = lambda spec: Script()
    ground.build_limits = replace(ground.build_limits, concurrent=1)
    async with control_plane(ground) as plane:
        first = await plane.builds.start(_order(ground))
        second = await plane.builds.start(_order(ground, token="run-2-1-1", run_id=2))
        await _is_running(ground, f"j-{first}.1")
        waiting = await plane.builds.job(second)
        assert (waiting.state, waiting.reason) == (
            JobState.QUEUED,
            "waits for a free place: 1 jobs are running",
        )
        chosen = first if is_running else second
        await plane.builds.cancel(chosen)
        job = await plane.job_ended(chosen)
        assert (job.state, job.reason) == (JobState.CANCELLED, "cancelled")
        if is_running:
            await _is_running(ground, f"j-{second}.1")  # the place is free again
            await plane.builds.cancel(second)
            await plane.job_ended(second)
        else:
            assert ground.started("j-") == [f"j-{first}.1"]
            await plane.builds.cancel(first)
            await plane.job_ended(first)
        await plane.builds.cancel(chosen)  # nothing happens to one that has ended
        assert (await plane.builds.job(chosen)).state is JobState.CANCELLED


async def test_a_job_goes_on_while_the_control_plane_is_away(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script(output=b"before\n")
    async with control_plane(ground) as plane:
        job_id = await plane.builds.start(_order(ground))
        await _is_running(ground, f"j-{job_id}.1")
    ground.compute.print(f"j-{job_id}.1", b"meanwhile\n")
    ground.compute.end(f"j-{job_id}.1", 0)
    async with control_plane(ground) as plane:
        job = await plane.job_ended(job_id)
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
        assert await _texts(plane, job_id) == ["before", "meanwhile"]
    assert ground.started("j-") == [f"j-{job_id}.1"]
    assert len(ground.source.archived) == 1


async def test_a_job_whose_unit_is_gone_begins_again_as_another_attempt(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script(output=b"once\n")
    async with control_plane(ground) as plane:
        job_id = await plane.builds.start(_order(ground))
        await _is_running(ground, f"j-{job_id}.1")
    await ground.compute.remove(f"j-{job_id}.1")  # the machine was switched off
    ground.compute.script_for = lambda spec: Script(output=b"twice\n", exit_code=0)
    async with control_plane(ground) as plane:
        job = await plane.job_ended(job_id)
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
        assert await _texts(plane, job_id) == ["twice"]


async def test_a_job_that_is_cut_off_again_and_again_ends_with_advice(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script()
    async with control_plane(ground) as plane:
        job_id = await plane.builds.start(_order(ground))
        await _is_running(ground, f"j-{job_id}.1")
    for attempt in range(1, 10):
        await ground.compute.remove(f"j-{job_id}.{attempt}")
        async with control_plane(ground) as plane:
            await _is_running(ground, f"j-{job_id}.{attempt + 1}")
    await ground.compute.remove(f"j-{job_id}.10")
    async with control_plane(ground) as plane:
        job = await plane.job_ended(job_id)
        assert job.state is JobState.FAILED
        assert job.reason == "it was cut off 10 times; retry the run when the machine is steady"


async def test_a_unit_of_no_job_is_ended(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.job_ended(await plane.builds.start(_order(ground)))
    await ground.compute.start(UnitSpec("j-99.1", ("sh",), "/", {}, Limits(1.0, 2**20)))
    async with control_plane(ground):

        async def look() -> bool:
            return await ground.compute.list() == []

        await eventually(look, "the orphan to go")


async def test_reports_are_read_and_a_failed_test_has_its_message(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script()
    site = site_of(test=SiteTests(("./test",), ("junit.xml",)))
    async with control_plane(ground) as plane:
        job_id = await plane.builds.start(_order(ground, site))
        await _is_running(ground, f"j-{job_id}.1")
        spec = ground.compute.spec(f"j-{job_id}.1")
        (_workspace(ground, spec) / "junit.xml").write_text(REPORT)
        ground.compute.end(spec.id, 1)
        report = (await plane.job_ended(job_id)).report
        assert report is not None
        assert (report.passed, report.failed) == (1, 1)
        assert report.failures[0].message == "lost\nat sea"
        assert report.slowest[0].name == "sells"


async def test_a_commit_without_commands_is_packed_with_a_warning(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        job = await plane.job_ended(await plane.builds.start(_order(ground, site_of(test=SiteTests()))))
        assert job.state is JobState.SUCCEEDED
        assert job.warnings == ("no tests were found: nothing was tested",)
        assert job.bundle_digest is not None
    assert ground.started("j-") == []


async def test_a_commit_that_is_gone_fails_the_job_with_the_reason(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        job = await plane.job_ended(await plane.builds.start(replace(_order(ground), commit="f" * 40)))
        assert job.state is JobState.FAILED
        assert job.reason == "shop has no commit ffffffffffff"


async def test_a_unit_that_cannot_be_started_fails_the_job_with_the_reason(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script(start_error="no room for another process")
    async with control_plane(ground) as plane:
        job = await plane.job_ended(await plane.builds.start(_order(ground)))
        assert (job.state, job.reason) == (JobState.FAILED, "no room for another process")
        await _nothing_is_left(ground)


async def test_what_jobs_of_an_earlier_life_left_is_cleared_away(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script()
    async with control_plane(ground) as plane:
        job_id = await plane.builds.start(_order(ground))
        await _is_running(ground, f"j-{job_id}.1")
    work = ground.directory / "work" / SHOP
    for name in ("77.1", "script-77"):
        (work / name).mkdir()
    async with control_plane(ground) as plane:

        async def look() -> bool:
            return sorted(path.name for path in work.iterdir()) == ["1.1", "script-1"]

        await eventually(look, "the leavings to go, and nothing else")
        await plane.builds.cancel(job_id)
        await plane.job_ended(job_id)
        await _nothing_is_left(ground)


async def test_what_nobody_foresaw_fails_the_job_and_not_the_server(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script()
    async with control_plane(ground) as plane:
        job_id = await plane.builds.start(_order(ground))
        await _is_running(ground, f"j-{job_id}.1")
        ground.compute._units.clear()  # somebody took the unit away by hand
        job = await plane.job_ended(job_id)
        assert job.state is JobState.FAILED
        assert f"j-{job_id}.1" in job.reason
        ground.compute.script_for = lambda spec: Script(exit_code=0)
        other = await plane.builds.start(_order(ground, token="run-2-1-1"))
        assert (await plane.job_ended(other)).state is JobState.SUCCEEDED


async def test_a_report_that_is_nested_without_end_is_a_warning(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script()
    site = site_of(test=SiteTests(("./test",), ("junit.xml",)))
    async with control_plane(ground) as plane:
        job_id = await plane.builds.start(_order(ground, site))
        await _is_running(ground, f"j-{job_id}.1")
        spec = ground.compute.spec(f"j-{job_id}.1")
        nested = "<testsuite>" * 5000 + "</testsuite>" * 5000
        (_workspace(ground, spec) / "junit.xml").write_text(nested)
        ground.compute.end(spec.id, 0)
        job = await plane.job_ended(job_id)
        assert job.state is JobState.SUCCEEDED
        assert job.warnings[0].startswith("test report junit.xml could not be read")


async def test_bundles_are_forgotten_only_when_nobody_else_has_them(ground: Ground) -> None:
    order = _order(ground)
    async with control_plane(ground) as plane:
        mine = await plane.job_ended(await plane.builds.start(order))
        theirs = await plane.job_ended(
            await plane.builds.start(replace(order, token="other", project="blog"))
        )
        assert mine.bundle_digest is not None
        assert mine.bundle_digest == theirs.bundle_digest
        await plane.builds.forget_bundles(SHOP, [mine.bundle_digest])
        assert _names_in_bundle(ground, mine) != []
        await plane.builds.forget_project("blog")
        with pytest.raises(NoSuchJob, match=f"there is no job {theirs.id}"):
            await plane.builds.job(theirs.id)
    assert not [path for path in (ground.directory / "objects").rglob("*") if path.is_file()]


@pytest.mark.parametrize("hurry", [0.0, 0.002])
async def test_stopping_the_control_plane_leaves_a_job_running(ground: Ground, hurry: float) -> None:
    ground.compute.script_for = lambda spec: Script()
    async with control_plane(ground) as plane:
        job_id = await plane.builds.start(_order(ground))
        await asyncio.sleep(hurry)
    async with control_plane(ground) as plane:

        async def look() -> bool:
            return len(ground.compute.running()) == 1

        await eventually(look, "the job")
        await plane.builds.cancel(job_id)
        await plane.job_ended(job_id)
