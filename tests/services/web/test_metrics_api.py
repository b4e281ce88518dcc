"""Metrics through the API: who sees what, forms of an answer, and refusals that help."""

import csv
import io
from datetime import UTC, datetime

import pytest

from tests.services.web.world import World

AT = 1_700_000_000
FROM = "2023-11-14T22:13:20Z"
TO = "2023-11-14T22:14:00Z"
SPAN = {"from": FROM, "to": TO}


@pytest.fixture(autouse=True)
def _measured(world: World) -> None:
    put = world.metrics.put
    for number, values in enumerate(([10, 20, None, 40], [30, 40, None, None]), 1):
        put(
            "instance_cpu_percent",
            values,
            at=AT,
            project="shop",
            environment="prod",
            instance=f"i-{number}",
        )
    put("instance_cpu_percent", [99], at=AT, project="hidden", environment="prod", instance="i-9")
    put("machine_cpu_percent", [5], at=AT)
    put("orders", [1], at=AT, project="shop", environment="dev", shop="=cmd()")
    put("orders", [2], at=AT, project="shop", environment="dev", shop="b, c")


async def test_search(world: World) -> None:
    async with world.client("viewer") as client:
        everything = (await client.get("/api/v1/metrics")).json()
        assert everything["found"] == 5
        names = [each["name"] for each in everything["series"]]
        assert names == ["instance_cpu_percent"] * 2 + ["machine_cpu_percent"] + ["orders"] * 2
        query = {"name": "instance_*", "project": "shop", "environment": "prod", "dimension": "instance:i-2"}
        found = (await client.get("/api/v1/metrics", params=query)).json()
        assert found == {
            "series": [
                {
                    "name": "instance_cpu_percent",
                    "dimensions": {"environment": "prod", "instance": "i-2", "project": "shop"},
                    "kind": "gauge",
                    "unit": "percent",
                    "meaning": "Processor time, of what its type gives it.",
                    "resolution_s": 10,
                    "first_at": "2023-11-14T22:13:20Z",
                    "last_at": "2023-11-14T22:13:30Z",
                }
            ],
            "found": 1,
        }
        one = (await client.get("/api/v1/metrics", params={"limit": 1, "name": "orders"})).json()
        assert (len(one["series"]), one["found"]) == (1, 2)
        assert (one["series"][0]["unit"], one["series"][0]["meaning"]) == (None, None)
        several = {"dimension": ["environment:d*", "shop:b*"]}
        assert (await client.get("/api/v1/metrics", params=several)).json()["found"] == 1


async def test_nobody_sees_the_series_of_another_project(world: World) -> None:
    expressions = (
        'sum(instance_cpu_percent{project="hidden"})',
        'sum(instance_cpu_percent{instance="i-9"})',
        'fill(sum(instance_cpu_percent{project="hid*"} by project), 0)',
    )
    async with world.client("viewer") as client:
        for expression in expressions:
            answer = await client.get("/api/v1/metrics/query", params={"expression": expression, **SPAN})
            assert answer.status_code == 200
            assert answer.json()["lines"] == []
            absent = expression.replace("hid", "non").replace("i-9", "i-0")
            other = await client.get("/api/v1/metrics/query", params={"expression": absent, **SPAN})
            assert other.json()["problems"] == [
                each.replace("hid", "non").replace("i-9", "i-0") for each in answer.json()["problems"]
            ]
        everything = {"expression": "total(sum(instance_cpu_percent))", **SPAN}
        (line,) = (await client.get("/api/v1/metrics/query", params=everything)).json()["lines"]
        assert line["values"] == [40, 60, None, 40]
        assert (await client.get("/api/v1/metrics", params={"project": "hidden"})).status_code == 404
        listed = await client.get("/api/v1/metrics", params={"dimension": "project:hidden"})
        assert listed.json() == {"series": [], "found": 0}
    async with world.client("admin") as client:
        (line,) = (await client.get("/api/v1/metrics/query", params=everything)).json()["lines"]
        assert line["values"] == [139, 60, None, 40]


async def test_who_is_in_no_project_sees_the_machine(world: World) -> None:
    await world.services.access.create_user("stranger", actor="admin")
    _, world.tokens["stranger"] = await world.services.access.create_token("stranger", "test", actor="admin")
    async with world.client("stranger") as client:
        found = (await client.get("/api/v1/metrics")).json()
        assert [each["name"] for each in found["series"]] == ["machine_cpu_percent"]
        assert (await client.get("/api/v1/metrics", params={"project": "shop"})).status_code == 404


async def test_who_leaves_a_project_sees_its_series_no_more(world: World) -> None:
    query = {"expression": "sum(orders by ())", **SPAN}
    async with world.client("dev") as client:
        assert len((await client.get("/api/v1/metrics/query", params=query)).json()["lines"]) == 1
        await world.services.access.set_member("shop", "dev", None, "admin")
        assert (await client.get("/api/v1/metrics/query", params=query)).json()["lines"] == []


async def test_an_answer_in_json(world: World) -> None:
    query = {"expression": "average(instance_cpu_percent)", "period": "20", **SPAN}
    async with world.client("viewer") as client:
        answer = (await client.get("/api/v1/metrics/query", params=query)).json()
    assert answer == {
        "start": FROM,
        "period_s": 20,
        "lines": [
            {
                "label": f"i-{number}",
                "dimensions": {"environment": "prod", "instance": f"i-{number}", "project": "shop"},
                "values": values,
            }
            for number, values in ((1, [15, 40]), (2, [35, None]))
        ],
        "problems": [],
    }


@pytest.mark.parametrize(
    ("parameters", "accept", "is_csv"),
    [
        ({"format": "csv"}, "*/*", True),
        ({}, "text/csv", True),
        ({}, "text/csv;q=0.9, */*;q=0.1", True),
        ({}, "application/json, text/csv", False),
        ({"format": "json"}, "text/csv", False),
        ({}, "*/*", False),
    ],
)
async def test_the_form_of_an_answer(
    world: World, parameters: dict[str, str], accept: str, is_csv: bool
) -> None:
    query = {"expression": "sum(machine_cpu_percent)", **SPAN, **parameters}
    async with world.client("viewer") as client:
        answer = await client.get("/api/v1/metrics/query", params=query, headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/csv" if is_csv else "application/json")


async def test_csv_has_a_column_for_each_line_and_no_formulas(world: World) -> None:
    query = {"expression": "sum(orders)", "format": "csv", "from": FROM, "to": "2023-11-14T22:13:40Z"}
    async with world.client("viewer") as client:
        text = (await client.get("/api/v1/metrics/query", params=query)).text
        rows = list(csv.reader(io.StringIO(text)))
        assert rows == [["at", "'=cmd()", "b, c"], [FROM, "1.0", "2.0"], ["2023-11-14T22:13:30Z", "", ""]]
        nothing = {**query, "expression": "sum(nothing)"}
        assert (await client.get("/api/v1/metrics/query", params=nothing)).text == "at\r\n"


async def test_without_a_time_the_last_three_hours_are_shown(world: World) -> None:
    now = world.services.clock.now()
    world.metrics.put("machine_load_1m", [1], at=now - 60)
    async with world.client("viewer") as client:
        query = {"expression": "average(machine_load_1m)"}
        answer = (await client.get("/api/v1/metrics/query", params=query)).json()
    assert answer["period_s"] == 60
    assert [value for value in answer["lines"][0]["values"] if value is not None] == [1]
    start = datetime.fromisoformat(answer["start"])
    assert start.tzinfo == UTC
    assert now - 3 * 3600 - 60 <= start.timestamp() <= now - 3 * 3600 + 60


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"expression": "averge(x)"}, "Did you mean `average`?"),
        ({"expression": "1", "from": TO, "to": FROM}, "`from` must be before `to`"),
        ({"expression": "1", "from": "2023-02-30T00:00:00Z", "to": TO}, "there is no such day"),
        ({"expression": "1", "from": "2023-11-14T22:13:20"}, "query.from"),
        ({"expression": "1", "period": "0"}, "query.period"),
        ({"expression": "1" * 4097}, "query.expression"),
        ({}, "query.expression"),
        ({"expression": "1", "period": "1", "from": "2023-11-01T00:00:00Z", "to": TO}, "period of 13 s"),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    world: World, parameters: dict[str, str], says: str
) -> None:
    async with world.client("viewer") as client:
        answer = await client.get("/api/v1/metrics/query", params=parameters)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


async def test_a_bad_expression_names_its_place(world: World) -> None:
    async with world.client("viewer") as client:
        answer = await client.get("/api/v1/metrics/query", params={"expression": "1 + averge(x)"})
    problem = answer.json()
    assert (problem["position"], problem["found"], problem["nearest"]) == (4, "averge", "average")
    assert "samples" in problem["allowed"]
    assert problem["detail"].endswith("    1 + averge(x)\n        ^^^^^^")
