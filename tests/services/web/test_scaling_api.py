"""Scaling through the API: who may look and who may change, decisions with their numbers, simulations."""

import pytest

from tests.services.web.world import World

PROD = "/api/v1/projects/shop/environments/prod"
TRACE = "time,requests\n2026-01-01 00:00:00,60\n2026-01-01 00:01:00,30000\n2026-01-01 00:02:00,60\n"


async def test_how_it_stands(world: World) -> None:
    async with world.client("viewer") as client:
        found = (await client.get(f"{PROD}/scaling")).json()
        web, worker = found["processes"]
        assert (web["minimum"], web["maximum"], web["wanted"], web["protected"]) == (1, 6, 4, 1)
        assert (worker["is_active"], worker["minimum"], worker["latest"]) == (False, None, None)
        assert web["latest"]["id"] == 0
        assert [(each["id"], each["kind"], each["cause"]) for each in found["decisions"]] == [
            (2, "out", "trigger"),
            (1, "held", "cool_down"),
        ]
        assert found["decisions"][0]["numbers"]["triggers"][0]["value"] == 310
        older = (await client.get(f"{PROD}/scaling", params={"before": 2, "limit": 1})).json()
        assert [each["id"] for each in older["decisions"]] == [1]


async def test_viewers_change_nothing(world: World) -> None:
    changes = (
        ("scaling/suspended", {"suspended": ["in"]}),
        ("instances/i-1/protection", {"is_protected": True}),
    )
    async with world.client("viewer") as client:
        for path, body in changes:
            answer = await client.put(f"{PROD}/{path}", json=body)
            assert (answer.status_code, "developer" in answer.text) == (403, True)
        simulated = await client.post(f"{PROD}/scaling/simulate", json={"capacity": 50})
        assert simulated.status_code == 200, "a question changes nothing"
    async with world.client("dev") as client:
        for path, body in changes:
            assert (await client.put(f"{PROD}/{path}", json=body)).status_code == 200
        assert (await client.put(f"{PROD}/instances/i-9/protection", json=changes[1][1])).status_code == 404


async def test_simulations(world: World) -> None:
    async with world.client("viewer") as client:
        body = {"trace": TRACE, "capacity": 100, "targets": {"requests": 70}, "static": 3, "is_drawn": True}
        found = (await client.post(f"{PROD}/scaling/simulate", json=body)).json()
        assert (found["requests"], found["peak"], found["static"]["most"]) == (30_120, 500, 3)
        assert found["static"]["dropped"] > 0 and found["picture"].startswith("<svg")
        own = (await client.post(f"{PROD}/scaling/simulate", json={"capacity": 100})).json()
        assert (own["requests"], own["picture"]) == (960_000, None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "capacity"),
        ({"capacity": 0}, "capacity"),
        ({"capacity": 1, "trace": "no trace"}, "0 rows"),
        ({"capacity": 1, "targets": {"memory": 5}}, "targets"),
        ({"capacity": 1, "maximum": 0}, "maximum"),
    ],
)
async def test_what_cannot_be_simulated(world: World, body: dict[str, object], said: str) -> None:
    async with world.client("viewer") as client:
        answer = await client.post(f"{PROD}/scaling/simulate", json=body)
        assert (answer.status_code, said in answer.text) == (422, True), answer.text
