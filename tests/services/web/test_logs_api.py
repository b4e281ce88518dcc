"""Logs by the API: who reads which, what is found, counted, exported and followed; filters and outlets."""

import asyncio
import json
from typing import Any

import pytest

from halage.base.tasks import Tasks
from halage.monitor.logs.model import Group, Line
from halage.monitor.logs.service import EXPORTED_AT_ONCE
from halage.web.downloads import BrokenOff
from tests.services.web.test_streams import Listener
from tests.services.web.world import World

PROD = "shop.prod/instances"
SEARCH = "/api/v1/logs/search"
COLLECTOR = {"name": "far", "address": "https://logs.example.org/x", "groups": ["shop.*"]}
READING = ("search", "counts", "export", "stream")


async def keep(world: World, *texts: bytes, group: str = PROD) -> None:
    logs = world.services.logs
    logs.append(Group.named(group), "i-2", [Line(world.services.clock.now(), text) for text in texts])
    await logs.round()


async def texts(world: World, query: str, user: str = "dev") -> list[str]:
    async with world.client(user) as client:
        answer = await client.get(f"{SEARCH}?{query}")
        assert answer.status_code == 200, answer.text
        return [line["text"] for line in answer.json()["lines"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"group={PROD}", 3),
        ("group=shop.*/instances", 3),
        ("group=shop.*/instances&group=shop.dev/access", 3),
        ("group=shop/builds", 0),
        (f"group={PROD}&text=plain", 1),
        (f"group={PROD}&text=PLAIN", 0),
        (f"group={PROD}&text=PLAIN&ignore_case=true", 1),
        (f"group={PROD}&not_text=plain", 2),
        (f"group={PROD}&field=level%3Derror&field=user.id%3D7", 1),
        (f"group={PROD}&field=level~rr", 1),
        (f"group={PROD}&stream=i-1", 3),
        (f"group={PROD}&stream=i-9", 0),
        (f"group={PROD}&to=2001-01-01T00:00:00Z", 0),
        (f"group={PROD}&from=2001-01-01T00:00:00%2B02:00", 3),
    ],
)
async def test_what_is_found(world: World, query: str, found: int) -> None:
    assert len(await texts(world, query)) == found


async def test_a_star_is_one_project_s_environments_and_no_other_s(world: World) -> None:
    await keep(world, b"of the shop's other one", group="shop.dev/instances")
    await keep(world, b"of another shop", group="shop-2.dev/instances")
    assert "of the shop's other one" in await texts(world, "group=shop.*/instances")
    assert "of another shop" not in await texts(world, "group=shop.*/instances", "admin")
    async with world.client("dev") as client:
        for wrong in ("*.prod/instances", "*", "shop.*", "shop*/builds", "shop.*/builds", "shop.p*/access"):
            assert (await client.get(SEARCH, params={"group": wrong})).status_code == 422, wrong


@pytest.mark.parametrize("route", READING)
async def test_who_may_not_read_is_told_nothing(world: World, route: str) -> None:
    async with world.client("dev") as client, world.client("viewer") as viewer:
        for group, status in (("hidden.prod/instances", 404), ("hidden.*/access", 404), ("halage", 403)):
            query = f"/api/v1/logs/{route}?group={PROD}&group={group}"
            assert (await client.get(query)).status_code == status, group
        if route != "stream":  # which has no end
            assert (await viewer.get(f"/api/v1/logs/{route}?group={PROD}")).status_code == 200
    async with world.client() as nobody:
        assert (await nobody.get(f"/api/v1/logs/{route}?group={PROD}")).status_code == 401


@pytest.mark.parametrize(
    "query", ["", "group=", "group=shop", f"group={PROD}&field=level", f"group={PROD}&from=now"]
)
@pytest.mark.parametrize("route", READING)
async def test_what_cannot_be_asked_is_refused(world: World, route: str, query: str) -> None:
    async with world.client("dev") as client:
        answer = await client.get(f"/api/v1/logs/{route}?{query}")
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"


async def test_pages_go_on_where_the_last_one_ended(world: World) -> None:
    await keep(world, *(b"line %d" % number for number in range(25)))
    seen: list[str] = []
    async with world.client("dev") as client:
        query: dict[str, Any] = {"group": PROD, "text": "line", "limit": 10}
        while True:
            page = (await client.get(SEARCH, params=query)).json()
            seen += [line["text"] for line in page["lines"]]
            assert not page["is_cut_off"] and page["problems"] == []
            if page["next_before"] is None:
                break
            query["before"] = page["next_before"]
    assert seen == [f"line {number}" for number in reversed(range(25))]


async def test_lines_are_counted_by_period(world: World) -> None:
    async with world.client("dev") as client:
        counts = (await client.get(f"/api/v1/logs/counts?group={PROD}&period=600")).json()
        assert sum(counts["counts"]) == 3 and counts["period_s"] == 600
        assert len(counts["counts"]) in (6, 7), "of the last hour"
        query = f"group={PROD}&period=1&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z"
        long = (await client.get(f"/api/v1/logs/counts?{query}")).json()
        assert len(long["counts"]) <= 1000 and long["period_s"] > 1


async def test_an_export_has_every_line_oldest_first(world: World) -> None:
    await keep(world, *(b"line %d" % number for number in range(2500)))
    async with world.client("dev") as client:
        answer = await client.get(f"/api/v1/logs/export?group={PROD}&text=line")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        written = answer.text.splitlines()
        assert [each.split(" ", 2)[2] for each in written] == [f"line {number}" for number in range(2500)]
        assert written[0].split(" ")[0].endswith("Z") and written[0].split(" ")[1] == "i-2"
        answer = await client.get(f"/api/v1/logs/export?group={PROD}&format=json&text=no text")
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert [sorted(json.loads(each)) for each in answer.text.splitlines()] == [
            ["at", "group", "id", "stream", "text"]
        ]


@pytest.mark.parametrize("how", ["stop", "token"])
async def test_an_export_is_cut_off_rather_than_left_half(world: World, how: str) -> None:
    for _ in range(4):
        await keep(world, *(b"%05d" % number for number in range(EXPORTED_AT_ONCE)))
    listener = Listener(world, f"/logs/export?group={PROD}")
    listener.interrupt(how)
    with pytest.raises(BrokenOff):
        await listener.listen()
    assert 0 < listener.text.count("\n") < 2 * EXPORTED_AT_ONCE


async def test_a_tail_has_the_last_lines_and_new_ones_and_goes_on_after_a_cut(world: World) -> None:
    path = "/logs/stream?group=shop.*/instances&lines=1&not_text=skip"
    async with asyncio.timeout(30), Tasks() as tasks:
        first = Listener(world, path)
        tasks.start(first.listen(), "first")
        await first.until(1)
        await keep(world, b"skip this", b"new one")
        events = await first.until(2)
        first.leave()
        await keep(world, b"meanwhile")
        second = Listener(world, path, last_id=events[-1][2])
        tasks.start(second.listen(), "second")
        await second.until(1)
        await keep(world, b"after")
        resumed = await second.until(2)
        second.leave()
    assert ["no text" in events[0][1]["text"], events[1][1]["text"]] == [True, "new one"]
    assert [body["text"] for _, body, _ in resumed] == ["meanwhile", "after"]


async def test_groups_are_listed_for_who_may_read_them(world: World) -> None:
    async with world.client("dev") as client, world.client("admin") as admin:
        listed = (await client.get("/api/v1/logs/groups")).json()
        assert [(each["name"], each["lines"], each["streams"]) for each in listed] == [(PROD, 3, ["i-1"])]
        assert (await client.get("/api/v1/logs/groups?project=hidden")).status_code == 404
        names = [each["name"] for each in (await admin.get("/api/v1/logs/groups")).json()]
        assert names == ["halage", "hidden.prod/instances", PROD]


# -- filters


async def test_a_filter_is_made_changed_and_deleted_and_the_journal_knows(world: World) -> None:
    body = {"group": PROD, "metric": "errors", "search": {"fields": ["level=error"]}}
    async with world.client("dev") as client:
        made = (await client.post("/api/v1/logs/filters", json=body)).json()
        assert (made["metric"], made["search"]["fields"]) == ("errors", ["level=error"])
        assert (await client.post("/api/v1/logs/filters", json=body)).status_code == 409
        address = f"/api/v1/logs/filters/{made['id']}"
        changed = await client.put(address, json={"text": "oops", "ignore_case": True})
        assert changed.status_code == 200 and changed.json()["id"] == made["id"]
        assert changed.json()["search"] == {
            "text": "oops", "not_text": "", "ignore_case": True, "fields": [], "stream": None,
        }  # fmt: skip
        assert (await client.get("/api/v1/logs/filters?project=shop")).json() == [changed.json()]
        assert (await client.put(address, json={"fields": ["level"]})).status_code == 422
        assert (await client.delete(address)).status_code == 204
        assert (await client.put(address, json={})).status_code == 404
        events = (await client.get("/api/v1/events?project=shop&action=monitor:*LogFilter")).json()
    told = [(each["action"], each["before"] or {}, each["after"] or {}) for each in events]
    assert [(action, before.get("text"), after.get("text")) for action, before, after in told] == [
        ("monitor:SetLogFilter", None, None),
        ("monitor:SetLogFilter", None, "oops"),
        ("monitor:DeleteLogFilter", "oops", None),
    ]


async def test_filters_are_for_developers_of_their_project(world: World) -> None:
    body = {"group": PROD, "metric": "errors"}
    async with world.client("viewer") as viewer, world.client("dev") as dev, world.client("admin") as admin:
        assert (await viewer.post("/api/v1/logs/filters", json=body)).status_code == 403
        hidden = {**body, "group": "hidden.prod/instances"}
        assert (await dev.post("/api/v1/logs/filters", json=hidden)).status_code == 404
        number = (await admin.post("/api/v1/logs/filters", json=hidden)).json()["id"]
        for answer in (
            await dev.put(f"/api/v1/logs/filters/{number}", json={}),
            await dev.delete(f"/api/v1/logs/filters/{number}"),
            await dev.delete("/api/v1/logs/filters/999"),
        ):
            assert answer.status_code == 404
        assert (await dev.get("/api/v1/logs/filters?project=hidden")).status_code == 404


# -- outlets


async def test_an_outlet_has_a_state_and_shows_no_secret(world: World) -> None:
    headers = [{"name": "Authorization", "value": "Bearer very-secret"}]
    async with world.client("admin") as client:
        made = await client.post("/api/v1/logs/outlets", json={**COLLECTOR, "headers": headers})
        assert made.status_code == 201, made.text
        number = made.json()["id"]
        await keep(world, b"one", b"two")
        shown = (await client.get(f"/api/v1/logs/outlets/{number}")).json()
        assert (shown["state"], shown["behind"], shown["header_names"]) == ("ok", 2, ["Authorization"])
        paused = await client.post(f"/api/v1/logs/outlets/{number}/pause")
        assert paused.json()["state"] == "paused"
        assert (await client.post(f"/api/v1/logs/outlets/{number}/resume")).json()["state"] == "ok"
        assert (await client.post("/api/v1/logs/outlets", json=COLLECTOR)).status_code == 409
        listed = await client.get("/api/v1/logs/outlets")
        assert len(listed.json()) == 1
        assert (await client.delete(f"/api/v1/logs/outlets/{number}")).status_code == 204
        assert (await client.get(f"/api/v1/logs/outlets/{number}")).status_code == 404
        events = await client.get("/api/v1/events?action=monitor:*Outlet")
    assert "very-secret" not in made.text + listed.text + events.text


@pytest.mark.parametrize(
    "body",
    [
        {**COLLECTOR, "address": "logs.example.org"},
        {**COLLECTOR, "address": "https://user:password@logs.example.org/"},
        {**COLLECTOR, "address": "udp://logs.example.org"},
        {**COLLECTOR, "groups": []},
        {**COLLECTOR, "groups": ["shop;"]},
        {**COLLECTOR, "name": "Far"},
        {**COLLECTOR, "headers": [{"name": "A b", "value": "x"}]},
        {**COLLECTOR, "headers": [{"name": "A", "value": "x\r\nB: y"}]},
    ],
)
async def test_an_outlet_that_cannot_be_is_refused(world: World, body: dict[str, Any]) -> None:
    async with world.client("admin") as client:
        assert (await client.post("/api/v1/logs/outlets", json=body)).status_code == 422


async def test_outlets_are_for_administrators(world: World) -> None:
    async with world.client("owner") as client:
        assert (await client.get("/api/v1/logs/outlets")).status_code == 403
        assert (await client.post("/api/v1/logs/outlets", json=COLLECTOR)).status_code == 403
        for method, path in (("GET", "1"), ("POST", "1/pause"), ("POST", "1/resume"), ("DELETE", "1")):
            assert (await client.request(method, f"/api/v1/logs/outlets/{path}")).status_code == 403
