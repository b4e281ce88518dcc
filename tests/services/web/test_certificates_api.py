"""The API's routes about certificates."""

import time

import pytest

from halage.balancer.certificates import make_certificate
from tests.services.web.world import World

PROD = "/api/v1/projects/shop/environments/prod/certificate"
CONSOLE = "/api/v1/server/certificate"
GIVEN = make_certificate(["shop.test"], time.time(), None)
BODY = {"certificate": GIVEN.chain, "key": GIVEN.key}


async def test_viewer_sees_a_certificate_and_never_its_key(world: World) -> None:
    async with world.client("viewer") as client:
        answer = await client.get(PROD)
        assert answer.status_code == 200
        assert answer.json()["origin"] == "made"
        assert answer.json()["served"] == ["shop.test"]
        assert "PRIVATE" not in answer.text
        assert (await client.put(PROD, json=BODY)).status_code == 403
        assert (await client.delete(PROD)).status_code == 403
        assert (await client.get("/api/v1/projects/hidden/environments/prod/certificate")).status_code == 404
        assert (await client.get("/api/v1/projects/shop/environments/no/certificate")).status_code == 404


async def test_developer_gives_makes_and_removes_one(world: World) -> None:
    async with world.client("dev") as client:
        given = await client.put(PROD, json=BODY)
        assert (given.status_code, given.json()["origin"], given.json()["chain"]) == (
            200,
            "given",
            GIVEN.chain,
        )
        both = await client.put(PROD, json={"certificate": GIVEN.chain + GIVEN.key})
        assert both.json()["fingerprint"] == given.json()["fingerprint"]
        made = await client.put(PROD, json={"origin": "self_signed"})
        assert (made.json()["origin"], made.json()["updated_by"]) == ("self_signed", "dev")
        assert (await client.delete(PROD)).status_code == 204
        assert (await client.get(PROD)).json()["origin"] == "made"
        authority = (await client.get("/api/v1/server/authority")).json()["chain"]
        assert authority.startswith("-----BEGIN CERTIFICATE-----")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "certificate is missing"),
        ({"origin": "made", "key": GIVEN.key}, "takes neither certificate nor key"),
        ({"certificate": GIVEN.chain}, "no private key in PEM"),
        ({"certificate": GIVEN.chain, "key": GIVEN.key.replace("MIG", "XXX")}, "key cannot be read"),
        ({"certificate": GIVEN.chain, "key": [GIVEN.key]}, "key"),
        ({"certificate": GIVEN.chain, "key": GIVEN.key * 500}, "key"),
    ],
)
async def test_what_is_wrong_is_said_and_the_key_is_not(
    world: World, body: dict[str, object], words: str
) -> None:
    async with world.client("dev") as client:
        answer = await client.put(PROD, json=body)
    assert answer.status_code in (400, 422)
    assert words in answer.text
    assert GIVEN.key.splitlines()[1] not in answer.text


async def test_console_s_is_for_administrators_of_the_server(world: World) -> None:
    for user in ("viewer", "dev", "owner"):
        async with world.client(user) as client:
            assert (await client.get(CONSOLE)).status_code == 403
            assert (await client.put(CONSOLE, json={"origin": "made"})).status_code == 403
            assert (await client.delete(CONSOLE)).status_code == 403
    async with world.client("admin") as client:
        assert (await client.get(CONSOLE)).json()["names"] == ["halage.test"]
        assert (await client.put(CONSOLE, json={"origin": "self_signed"})).json()["origin"] == "self_signed"
        assert (await client.put(CONSOLE, json=BODY)).status_code == 422
