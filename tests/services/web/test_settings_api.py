"""Settings by the API: who sees and changes them, what is refused, what every route answers."""

from typing import Any

import httpx

from tests.services.web.world import World

PATH = "/api/v1/projects/shop/environments/prod/settings"


async def _setting(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    settings = (await client.get(PATH)).json()["settings"]
    return next(each for each in settings if each["path"] == path)


async def test_what_is_set_holds_and_says_where_it_comes_from(world: World) -> None:
    async with world.client("dev") as client:
        assert (await _setting(client, "deployments.batch"))["source"] == "default"
        body = {"set": {"deployments": {"batch": "25%"}, "scaling.maximum": 6}, "reason": "sale"}
        answer = await client.patch(PATH, json=body)
        assert answer.status_code == 200
        assert answer.json() == {
            "differences": [
                {"path": "scaling.maximum", "before": None, "after": 6, "is_live": True},
                {"path": "deployments.batch", "before": 1, "after": "25%", "is_live": True},
            ],
            "deployment": None,
        }
        setting = await _setting(client, "deployments.batch")
        assert (setting["value"], setting["source"], setting["said"]) == ("25%", "server", 1)
        await client.patch(PATH, json={"unset": ["scaling"]})
        assert (await _setting(client, "scaling.maximum"))["value"] is None
        history = (await client.get(f"{PATH}/history")).json()
        assert [(each["by"], each["reason"]) for each in history] == [("dev", ""), ("dev", "sale")]


async def test_a_preview_changes_nothing(world: World) -> None:
    async with world.client("dev") as client:
        body = {"set": {"type": "small"}, "is_preview": True}
        (difference,) = (await client.patch(PATH, json=body)).json()["differences"]
        assert difference == {"path": "type", "before": "micro", "after": "small", "is_live": False}
        assert (await _setting(client, "type"))["value"] == "micro"


async def test_every_problem_is_told(world: World) -> None:
    async with world.client("dev") as client:
        answer = await client.patch(PATH, json={"set": {"deployments.batch": 0, "network.alowed": []}})
        assert answer.status_code == 422
        assert [(each["location"], each["found"]) for each in answer.json()["errors"]] == [
            ("deployments.batch", "0"),
            ("network.alowed", "a key that is not known"),
        ]
        assert "Did you mean `allowed`?" in answer.json()["detail"]
        answer = await client.patch(PATH, json={"set": {"schedule.frozen_reason": "a\0b"}})
        assert answer.status_code == 422
        trigger = {"name": "a", "kind": "target", "target": 1, "expression": "avg(x"}
        answer = await client.patch(PATH, json={"set": {"scaling": {"maximum": 3, "triggers": [trigger]}}})
        assert "`avg` is no statistic" in answer.json()["detail"]
        assert (await client.patch(PATH, json={"set": {"a" * 201: 1}})).status_code == 422
        assert (await client.get(f"{PATH}?release=9")).status_code == 404


async def test_viewers_look_and_strangers_see_nothing(world: World) -> None:
    async with world.client("viewer") as client:
        assert (await client.get(PATH)).status_code == 200
        assert (await client.patch(PATH, json={"set": {"type": "small"}})).status_code == 403
        assert (await client.get(PATH.replace("shop", "other"))).status_code in (403, 404)
        assert (await client.get(PATH.replace("prod", "nowhere"))).status_code == 404
