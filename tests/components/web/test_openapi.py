"""The OpenAPI document is true: schemathesis holds every route to it, with good and with bad input."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
import structlog
from hypothesis import HealthCheck
from schemathesis import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance

from halage.client import Client
from halage.web.api.address import LISTS
from halage.web.app import create_api
from tests.services.web.world import World, make_world

EXAMPLES = 15
RULED = {
    "query_metrics",
    "list_health_history",
    "put_metrics",
    "create_alarm",
    "set_alarm",
    "disable_alarm",
    "create_dashboard",
    "change_dashboard",
    "set_certificate",
    "set_console_certificate",
    "simulate_scaling",
    "change_settings",
}
"""Operations of which no schema can say what is good: texts in a language of their own, moments that
have to come yet or are not long past, a value or values by the kind of a metric, widgets apart from
each other, certificates, settings by their paths."""
STREAMS = {"stream_run", "stream_console", "stream_logs", "stream_events", "tail_logs"}
"""Operations that answer for as long as the server does not stop."""
NOT_SENT: tuple[object, ...] = (None, [], {})
"""Values that nothing of an address can say: with them, a bad request is sent as a good one."""


class LateApp:
    """The bare API while tests are collected (its document is all that is asked for), the world later."""

    def __init__(self) -> None:
        self.app: Any = create_api()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


late = LateApp()
schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", late)


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    world = asyncio.run(make_world(tmp_path_factory.mktemp("openapi")))
    late.app = world.app
    yield world
    asyncio.run(world.services.logs.close())
    world.services.database.close()
    structlog.reset_defaults()


@schema.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
def test_every_route_is_what_the_document_says(case: Case[Any], world: World) -> None:
    hypothesis.assume(not any(value in NOT_SENT for value in (case.query or {}).values()))
    operation = case.operation.definition.raw["operationId"]
    is_ruled = operation in RULED
    if operation in STREAMS:
        world.services.stopping.set()
    else:
        world.services.stopping.clear()
    case.call_and_validate(
        headers={"Authorization": f"Bearer {world.tokens['admin']}"},
        excluded_checks=[positive_data_acceptance] if is_ruled else [],
    )


def test_every_operation_is_described_and_can_be_refused(world: World) -> None:
    document = json.loads(json.dumps(world.app.openapi()))
    names = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["description"], where
            assert operation["operationId"] not in names, where
            names.add(operation["operationId"])
            assert "/{" not in operation["operationId"]
            answers = operation["responses"]
            assert {"400", "422", "500"} <= set(answers), where
            is_open = path in ("/api/v1/health", "/api/v1/login")
            assert is_open == ("security" not in operation), where
            assert is_open or {"401", "403"} <= set(answers), where
            for status, answer in answers.items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"], (where, status)
    assert set(document["components"]["securitySchemes"]) == {"token", "session"}


def test_only_lists_may_be_given_several_times(world: World) -> None:
    parameters = [
        parameter
        for operations in world.app.openapi()["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    ]
    lists = {one["name"] for one in parameters if one["schema"].get("type") == "array"}
    assert lists == LISTS
    for name in lists:
        assert all(one["schema"].get("type") == "array" for one in parameters if one["name"] == name)


def test_every_operation_has_its_method_in_the_client(world: World) -> None:
    different = {
        "stream_console": "follow_console",
        "stream_logs": "follow_logs",
        "stream_events": "follow_events",
    }
    for operations in world.app.openapi()["paths"].values():
        for operation in operations.values():
            name = operation["operationId"]
            assert callable(getattr(Client, different.get(name, name), None)), name
