"""Scraping of instances over real HTTP: what is taken, and what an endpoint that misbehaves costs."""

import asyncio
import gzip
from collections.abc import Callable

import pytest

from halage.monitor.intake.model import IntakeLimits, Reason, Scrape
from halage.monitor.intake.service import Intake
from halage.monitor.metrics.model import Kind
from tests.clock import ManualClock
from tests.components.monitor.intake.endpoints import (
    Answer,
    breaks_off,
    drips,
    endpoint,
    hangs,
    says,
    speaks_no_http,
    talks_without_end,
)
from tests.services.monitor.intake.stage import Stage, an_instance

TEXT = """# TYPE orders_total counter
orders_total{{channel="web",instance="mine"}} {}
# TYPE queue gauge
queue 4
# TYPE halage_lies gauge
halage_lies 1
# TYPE time_seconds histogram
time_seconds_bucket{{le="1"}} {}
time_seconds_bucket{{le="+Inf"}} {}
time_seconds_sum 3
time_seconds_count {}
"""


@pytest.fixture
def stage(clock: ManualClock) -> Stage:
    return Stage(clock)


def _scrapes(intake: Intake) -> dict[str, Scrape]:
    (state,) = intake.state(lambda project: True).environments
    return {scrape.instance: scrape for scrape in state.scrapes}


async def _eventually(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not look():  # noqa: ASYNC110 - it is asked from outside
            await asyncio.sleep(0.005)


async def _pass(stage: Stage, seconds: int) -> None:
    """Let time pass, each second once the intake waits for it: it looks each second, and may be writing."""
    for _ in range(seconds):
        await _eventually(lambda: stage.clock.is_waited_for)
        await stage.clock.advance(1)


async def _tick(stage: Stage, intake: Intake, *instances: str) -> None:
    """Move on to the next tick, and return once these have been scraped and written."""
    before = {name: scrape.at for name, scrape in _scrapes(intake).items()}
    await _pass(stage, 10)

    def is_done() -> bool:
        now = _scrapes(intake)
        return all(name in now and now[name].at != before.get(name) for name in instances)

    await _eventually(is_done)
    await intake.flush()


async def test_what_an_instance_says_becomes_samples_of_the_tick(stage: Stage) -> None:
    async with endpoint(says(TEXT.format(10, 1, 2, 2))) as site:
        stage.inventory.scrape("/metrics", an_instance(port=site.port))
        async with stage.intake() as intake:
            await _pass(stage, 5)
            await _tick(stage, intake, "i-1")
            site.answer = says(TEXT.format(13, 1, 3, 3))
            await _tick(stage, intake, "i-1")
            assert _scrapes(intake)["i-1"].problem is None
            assert _scrapes(intake)["i-1"].samples == 3
    assert "GET /metrics HTTP/1.1" in site.requests[0]
    assert "user-agent: halage-scrape" in site.requests[0]
    assert "x-forwarded-for" not in site.requests[0]
    ((at, orders),) = stage.store.kept("orders_total")
    assert (at, orders.value, orders.kind) == (1_000_000_010, 3, Kind.COUNT)
    assert dict(orders.key.dimensions) == {
        "channel": "web",
        "environment": "prod",
        "exported_instance": "mine",
        "instance": "i-1",
        "project": "shop",
    }
    assert stage.store.values("queue") == [4, 4]
    assert stage.store.values("time_seconds") == [1]
    assert stage.store.values("halage_lies") == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (hangs, "no whole answer within 0.3 s"),
        (drips, "no whole answer within 0.3 s"),
        (talks_without_end, "its answer is longer than 1024 KiB"),
        (breaks_off, "peer closed connection"),
        (speaks_no_http, "Server disconnected"),
        (says("no", status="500 Internal Server Error"), "it answered 500"),
        (says("", status="302 Found", headers="location: http://127.0.0.1:1/\r\n"), "it answered 302"),
        (says("<html>Welcome</html>"), "it is not in Prometheus' text format"),
        (says(b"\xff\xfe"), "it is not text in UTF-8"),
        (says("queue 1\nqueue{ 2\n"), "lines that could not be read: 1"),
        (
            says(gzip.compress(b"#" * 10**8), headers="content-encoding: gzip\r\n"),
            "it answered in a compression that was not asked for",
        ),
        (says("x 1\n" * 10_001), "it has more than 10000 samples"),
    ],
)
async def test_an_endpoint_that_misbehaves_is_named_and_disturbs_no_other(
    stage: Stage, answer: Answer, problem: str
) -> None:
    async with endpoint(answer) as bad, endpoint(says("good_total 1\n")) as good:
        stage.inventory.scrape(
            "/metrics", an_instance("i-bad", port=bad.port), an_instance("i-good", port=good.port)
        )
        async with stage.intake(scrape_timeout_s=0.3) as intake:
            await _pass(stage, 5)
            await _tick(stage, intake, "i-good")
            good.answer = says("good_total 4\n")
            await _tick(stage, intake, "i-good")
            await _eventually(lambda: "i-bad" in _scrapes(intake))
            assert problem in (_scrapes(intake)["i-bad"].problem or "")
            assert _scrapes(intake)["i-good"].problem is None
            (state,) = intake.state(lambda project: True).environments
            (refused,) = [each for each in state.refused if each.reason is Reason.SCRAPE]
            assert "i-bad" in refused.message
    assert stage.store.values("good_total") == [3]


async def test_scrapes_that_hang_never_pile_up(stage: Stage) -> None:
    async with endpoint(hangs) as bad, endpoint(says("queue 1\n")) as good:
        stage.inventory.scrape(
            "/metrics", an_instance("i-bad", port=bad.port), an_instance("i-good", port=good.port)
        )
        async with stage.intake(scrape_timeout_s=60) as intake:
            await _pass(stage, 5)
            for _ in range(4):
                await _tick(stage, intake, "i-good")
            assert len(bad.requests) == 1
            assert len(good.requests) == 4
        # Left at once: nothing waits for the one that hangs.


async def test_an_instance_that_is_not_there_is_named(stage: Stage, free_port: int) -> None:
    stage.inventory.scrape("/metrics", an_instance(port=free_port))
    async with stage.intake() as intake:
        await _pass(stage, 5)
        await _tick(stage, intake, "i-1")
        assert _scrapes(intake)["i-1"].problem == "connection refused"


async def test_a_path_cannot_lead_elsewhere(stage: Stage) -> None:
    async with endpoint(says("queue 1\n")) as elsewhere:
        stage.inventory.scrape(f"@127.0.0.1:{elsewhere.port}/metrics", an_instance(port=1))
        async with stage.intake() as intake:
            await _pass(stage, 5)
            await _tick(stage, intake, "i-1")
            assert "does not begin with a slash" in (_scrapes(intake)["i-1"].problem or "")
        assert elsewhere.requests == []


async def test_an_endpoint_with_too_many_series_keeps_those_that_fit(stage: Stage) -> None:
    def text(count: int) -> str:
        return "".join(f'hits_total{{visitor="{n}"}} {count}\n' for n in range(2000))

    async with endpoint(says(text(1))) as site:
        stage.inventory.scrape("/metrics", an_instance(port=site.port))
        async with stage.intake(IntakeLimits(series=50)) as intake:
            await _pass(stage, 5)
            await _tick(stage, intake, "i-1")
            site.answer = says(text(3))
            await _tick(stage, intake, "i-1")
            (state,) = intake.state(lambda project: True).environments
            assert state.series == 50
            assert [(each.reason, each.count) for each in state.refused] == [(Reason.SERIES_LIMIT, 1950)]
    assert stage.store.values("hits_total") == [2] * 50


async def test_a_new_attempt_of_an_instance_counts_anew(stage: Stage) -> None:
    async with endpoint(says("orders_total 100\n")) as site:
        stage.inventory.scrape("/metrics", an_instance(port=site.port))
        async with stage.intake() as intake:
            await _pass(stage, 5)
            await _tick(stage, intake, "i-1")
            stage.inventory.scrape("/metrics", an_instance(port=site.port, attempt=2))
            site.answer = says("orders_total 250\n")
            await _tick(stage, intake, "i-1")
            assert stage.store.values("orders_total") == [], "what the new one counted before is not known"
            site.answer = says("orders_total 251\n")
            await _tick(stage, intake, "i-1")
    assert stage.store.values("orders_total") == [1]
