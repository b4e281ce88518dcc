"""Dashboards by the API: who sees and changes which, and that an export is an import."""

from typing import Any

import pytest

from tests.services.web.world import World

WIDGET: dict[str, Any] = {
    "id": "one",
    "kind": "line",
    "x": 0,
    "y": 0,
    "width": 6,
    "height": 4,
    "lines": [{"expression": "sum(requests)"}],
}
LAYOUT: dict[str, Any] = {"name": "Sales", "widgets": [WIDGET]}


async def test_the_list_has_what_there_is_by_itself_and_what_people_made(world: World) -> None:
    async with world.client("dev") as client:
        made = await client.post("/api/v1/dashboards", json={**LAYOUT, "project": "shop"})
        assert made.status_code == 201
        assert made.headers["location"] == "/api/v1/dashboards/1"
        heads = (await client.get("/api/v1/dashboards")).json()
        of_project = (await client.get("/api/v1/dashboards?project=shop")).json()
    assert [(head["id"], head["is_made"]) for head in heads] == [
        ("machine", True),
        ("shop.prod", True),
        ("1", False),
    ]
    assert [head["id"] for head in of_project] == ["shop.prod", "1"]


async def test_an_export_is_an_import(world: World) -> None:
    async with world.client("dev") as client:
        shown = (await client.get("/api/v1/dashboards/shop.prod")).json()
        layout = {key: shown[key] for key in ("name", "environment", "range_s", "widgets")}
        copy = (await client.post("/api/v1/dashboards", json={**layout, "project": "shop"})).json()
    assert {key: copy[key] for key in layout} == layout
    assert (copy["version"], copy["updated_by"]) == (1, "dev")


async def test_the_second_of_two_editors_gets_a_conflict_that_says_what_to_do(world: World) -> None:
    async with world.client("dev") as dev, world.client("owner") as owner:
        mine = await dev.put("/api/v1/dashboards/shop.prod", json={**LAYOUT, "version": 0})
        assert (mine.status_code, mine.json()["version"], mine.json()["is_made"]) == (200, 1, False)
        late = await owner.put("/api/v1/dashboards/shop.prod", json={**LAYOUT, "version": 0})
        assert late.status_code == 409
        assert (late.json()["version"], late.json()["updated_by"]) == (1, "dev")
        assert "dev changed this dashboard meanwhile" in late.json()["detail"]
        assert (await dev.delete("/api/v1/dashboards/shop.prod")).status_code == 204
        assert (await dev.get("/api/v1/dashboards/shop.prod")).json()["is_made"]


@pytest.mark.parametrize("id_", ["hidden.prod", "nosuch.prod", "shop.nosuch", "1", "99"])
@pytest.mark.parametrize("method", ["get", "put", "delete"])
async def test_what_one_may_not_see_is_not_there(world: World, method: str, id_: str) -> None:
    async with world.client("admin") as client:
        await client.post("/api/v1/dashboards", json={**LAYOUT, "project": "hidden"})
    async with world.client("owner") as client:
        body = {**LAYOUT, "version": 1} if method == "put" else None
        answer = await client.request(method, f"/api/v1/dashboards/{id_}", json=body)
    assert answer.status_code == 404, answer.text


async def test_no_dashboard_is_made_in_a_project_that_is_not_there(world: World) -> None:
    async with world.client("admin") as client:
        answer = await client.post("/api/v1/dashboards", json={**LAYOUT, "project": "nosuch"})
        assert answer.status_code == 404
        assert (await client.get("/api/v1/dashboards/1")).status_code == 404


async def test_a_viewer_looks_and_administrators_change_what_is_the_servers(world: World) -> None:
    async with world.client("viewer") as client:
        for id_ in ("machine", "shop.prod"):
            assert (await client.get(f"/api/v1/dashboards/{id_}")).status_code == 200
            change = await client.put(f"/api/v1/dashboards/{id_}", json={**LAYOUT, "version": 0})
            assert change.status_code == 403
        assert (await client.post("/api/v1/dashboards", json=LAYOUT)).status_code == 403
    async with world.client("owner") as client:
        change = await client.put("/api/v1/dashboards/machine", json={**LAYOUT, "version": 0})
        assert change.status_code == 403
    async with world.client("admin") as client:
        change = await client.put("/api/v1/dashboards/machine", json={**LAYOUT, "version": 0})
        assert change.status_code == 200


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lines": [{"expression": "sum("}]}, "sum("),
        ({"x": 8}, "must lie within the 12 columns"),
        ({"kind": "pie"}, "kind"),
        ({"x": "0"}, "without quotes"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_cannot_be_shown_is_refused(world: World, wrong: dict[str, Any], said: str) -> None:
    async with world.client("dev") as client:
        body = {**LAYOUT, "project": "shop", "widgets": [{**WIDGET, **wrong}]}
        answer = await client.post("/api/v1/dashboards", json=body)
    assert answer.status_code == 422
    assert said in answer.text
