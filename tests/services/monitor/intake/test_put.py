"""Metrics that people's scripts put: all of a batch or none, within limits."""

import pytest

from halage.base.errors import NotFound
from halage.monitor.intake.model import IntakeLimits, Kept, Point, Reason
from halage.monitor.metrics.errors import BadMetric, MetricsFull, TooManySeries
from halage.monitor.metrics.model import Kind, Sample, Series, SeriesKey
from halage.monitor.metrics.sketch import Sketch
from tests.services.monitor.intake.stage import Stage


def _gauge(name: str = "queue", value: float = 1.0, at: float | None = None, **dimensions: str) -> Point:
    return Point(name, Kind.GAUGE, (value,), dimensions, at)


def _count(name: str = "orders", value: float = 1.0, at: float | None = None, **dimensions: str) -> Point:
    return Point(name, Kind.COUNT, (value,), dimensions, at)


async def test_a_batch_is_on_the_disk_once_the_call_returns(stage: Stage) -> None:
    await stage.clock.advance(13)
    values = Point("time_ms", Kind.DISTRIBUTION, (1.0, 2.0, 4.0), {})
    async with stage.intake() as intake:
        batch = [_gauge(value=1), _gauge(value=7), _count(value=2), _count(value=3), values]
        assert await intake.put("shop", "prod", batch) == Kept(points=5, series=3, limit=500)
        ((at, resolution_s, samples),) = stage.store.writes
    assert (at, resolution_s) == (1_000_000_010, 10), "the beginning of the tick"
    by_name = {sample.key.name: sample for sample in samples}
    assert by_name["queue"] == Sample(
        SeriesKey.of("queue", project="shop", environment="prod"), Kind.GAUGE, 7
    )
    assert by_name["orders"].value == 5
    sketch = by_name["time_ms"].value
    assert isinstance(sketch, Sketch) and (sketch.count, sketch.total) == (3, 7)


async def test_points_of_the_past_hour_go_into_their_ticks(stage: Stage) -> None:
    now = stage.clock.now()
    async with stage.intake() as intake:
        await intake.put("shop", "prod", [_count(at=now - 3599), _count(at=now - 25), _count(at=now - 21)])
        assert [(at, sample.value) for at, sample in stage.store.kept("orders")] == [
            (now - 3600, 1),
            (now - 30, 2),
        ]
        for at in (now - 3601, now + 61):
            with pytest.raises(BadMetric, match="an hour ago"):
                await intake.put("shop", "prod", [_count(at=at)])


async def test_a_batch_with_one_bad_point_is_refused_whole(stage: Stage) -> None:
    async with stage.intake() as intake:
        for bad in (
            _gauge("instance_cpu_percent"),
            _gauge(project="bank"),
            _count(value=-1),
            _gauge("orders"),
            _gauge(value=float("nan")),
        ):
            with pytest.raises(BadMetric, match="Nothing of this batch was kept") as refused:
                await intake.put("shop", "prod", [_count(), bad])
            assert refused.value.facts["metric"] == bad.name
        assert stage.store.own() == []
        (state,) = intake.state(lambda project: True).environments
        assert state.series == 0
        assert sum(refused.count for refused in state.refused) == 10


async def test_past_the_limit_it_is_a_conflict_that_names_limit_and_metric(stage: Stage) -> None:
    async with stage.intake(IntakeLimits(series=3)) as intake:
        await intake.put("shop", "prod", [_count(shop="a"), _count(shop="b")])
        with pytest.raises(TooManySeries) as refused:
            await intake.put("shop", "prod", [_count(shop="a"), _count(shop="c"), _gauge("visits")])
        facts = refused.value.facts
        assert facts == {"metric": "visits", "reason": "series_limit", "limit": 3, "series": 2}
        assert "metrics.series_per_environment" in refused.value.message
        kept = await intake.put("shop", "prod", [_count(shop="a"), _gauge("visits")])
        assert kept.series == 3, "what fits is still taken"


async def test_the_limit_holds_after_a_restart(stage: Stage) -> None:
    now = stage.clock.now()
    key = SeriesKey.of("old", project="shop", environment="prod")
    other = SeriesKey.of("old", project="shop", environment="dev")
    stage.store.known = [Series(n, each, Kind.COUNT, 10, now, now) for n, each in enumerate((key, other))]
    async with stage.intake(IntakeLimits(series=1)) as intake:
        with pytest.raises(TooManySeries):
            await intake.put("shop", "prod", [_count()])
        await intake.put("shop", "prod", [_count("old")])


async def test_an_environment_that_is_not_there_takes_nothing(stage: Stage) -> None:
    async with stage.intake() as intake:
        with pytest.raises(NotFound):
            await intake.put("shop", "nosuch", [_count()])


async def test_a_full_disk_is_told_to_the_caller(stage: Stage) -> None:
    async with stage.intake() as intake:
        stage.store.error = MetricsFull()
        with pytest.raises(MetricsFull):
            await intake.put("shop", "prod", [_count()])


async def test_more_values_than_are_kept_apart_are_refused(stage: Stage) -> None:
    values = Point("time_ms", Kind.DISTRIBUTION, tuple(1.1**n for n in range(100)), {})
    async with stage.intake(IntakeLimits(values=50)) as intake:
        with pytest.raises(BadMetric, match="more than 50 different values"):
            await intake.put("shop", "prod", [values])
        (state,) = intake.state(lambda project: True).environments
        assert state.refused[0].reason is Reason.VALUE_LIMIT


async def test_only_what_may_be_seen_is_shown(stage: Stage) -> None:
    async with stage.intake() as intake:
        assert intake.state(lambda project: project == "bank").environments == ()
