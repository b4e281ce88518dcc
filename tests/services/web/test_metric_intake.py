"""The API's routes about metrics on their way in."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from halage.monitor.intake.model import IntakeLimits
from halage.web.app import create_app
from tests.clock import ManualClock
from tests.services.monitor.intake.stage import Stage
from tests.services.web.world import World

PUT = "/api/v1/projects/shop/environments/prod/metrics"
STATE = "/api/v1/metrics/intake"


@pytest.fixture
def stage(clock: ManualClock) -> Stage:
    return Stage(clock)


@pytest.fixture
async def taking(world: World, stage: Stage) -> AsyncIterator[World]:
    """The world with an intake that takes three series."""
    async with stage.intake(IntakeLimits(series=3)) as intake:
        services = replace(world.services, intake=intake)
        yield replace(world, services=services, app=create_app(services))


def _batch(*metrics: dict[str, Any]) -> dict[str, Any]:
    return {"metrics": list(metrics)}


async def test_a_developer_puts_metrics(taking: World, stage: Stage) -> None:
    async with taking.client("dev") as client:
        answer = await client.put(
            PUT,
            json=_batch(
                {"name": "queue", "value": 3},
                {"name": "orders", "kind": "count", "value": 2, "dimensions": {"channel": "web"}},
                {"name": "time_ms", "kind": "distribution", "values": [1, 2.5], "at": "2001-09-09T01:46:35Z"},
            ),
        )
    assert (answer.status_code, answer.json()) == (200, {"points": 3, "series": 3, "limit": 3})
    assert stage.store.values("queue") == [3]
    assert stage.store.values("orders") == [2]
    assert stage.store.kept("time_ms")[0][0] == 999_999_990


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ({"name": "queue"}, "either value or values"),
        ({"name": "queue", "value": 1, "values": [1]}, "either value or values"),
        ({"name": "queue", "values": [1, 2]}, "only a distribution has values"),
        ({"name": "queue", "value": "1"}, "without quotes"),
        ({"name": "queue", "value": True}, "without quotes"),
        ({"name": "queue", "value": 1, "kind": "timer"}, "gauge"),
        ({"name": "a b", "value": 1}, "pattern"),
        ({"name": "queue", "value": 1, "dimensions": {"a b": "c"}}, "pattern"),
        ({"name": "queue", "value": 1, "at": "2001-09-09T01:46:35"}, "timezone"),
        ({"name": "queue", "value": 1, "at": "1999-01-01T00:00:00Z"}, "an hour ago"),
        ({"name": "queue", "value": 1, "unit": "ms"}, "Extra inputs"),
        ({"name": "machine_load_1m", "value": 1}, "Halage's own"),
        ({"name": "queue", "value": 1, "dimensions": {"project": "x"}}, "given by Halage"),
        ({"name": "queue", "value": -1, "kind": "count"}, "how often something happened"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_the_reason(
    taking: World, stage: Stage, metric: dict[str, Any], words: str
) -> None:
    async with taking.client("dev") as client:
        answer = await client.put(PUT, json=_batch({"name": "fine", "value": 1}, metric))
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]
    assert stage.store.own() == []


async def test_past_the_limit_it_is_a_conflict_that_names_limit_and_metric(taking: World) -> None:
    async with taking.client("dev") as client:
        metrics = [{"name": "hits", "value": 1, "dimensions": {"visitor": str(n)}} for n in range(4)]
        answer = await client.put(PUT, json=_batch(*metrics))
        problem = answer.json()
        assert answer.status_code == 409
        assert (problem["metric"], problem["limit"], problem["series"]) == ("hits", 3, 0)
        assert "shop.prod" in problem["detail"] and "may have 3" in problem["detail"]
        state = (await client.get(STATE)).json()
    (environment,) = state["environments"]
    assert (environment["series"], environment["limit"]) == (0, 3)
    (refused,) = environment["refused"]
    assert (refused["reason"], refused["count"], refused["metric"]) == ("series_limit", 4, "hits")
    assert state["statsd"] == {"address": None, "lines": 0, "malformed": 0, "strangers": 0, "dropped": 0}


async def test_who_may_do_what(taking: World) -> None:
    body = _batch({"name": "queue", "value": 1})
    async with taking.client("viewer") as client:
        assert (await client.put(PUT, json=body)).status_code == 403
        assert len((await client.get(STATE)).json()["environments"]) == 1
        assert (await client.put(PUT.replace("shop", "hidden"), json={"nonsense": 1})).status_code == 404
    async with taking.client("admin") as client:
        assert (await client.put(PUT, json=body)).status_code == 200
        assert (await client.put(PUT.replace("prod", "nosuch"), json=body)).status_code == 404
    access = taking.services.access
    await access.create_user("stranger", actor="admin")
    _, taking.tokens["stranger"] = await access.create_token("stranger", "test", actor="admin")
    async with taking.client("stranger") as client:
        assert (await client.get(STATE)).json()["environments"] == []
