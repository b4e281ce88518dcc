"""Events in depth: where they came from, what they changed, chosen by everything, as a file."""

import asyncio
import csv
import io
import json
from typing import Any

import pytest

from halage.base.database import Transaction
from halage.base.tasks import Tasks
from halage.web.api.events import PAGE
from halage.web.authentication import CSRF_HEADER, SESSION_COOKIE
from halage.web.downloads import BrokenOff
from tests.services.web.test_streams import Listener
from tests.services.web.world import World

EXPORT = "/api/v1/events/export"


async def _record(world: World, **values: Any) -> None:
    def record(tx: Transaction) -> None:
        tx.record(**{"action": "x:Y", "actor": "ada", "subject": "thing", "project": "shop", **values})

    await world.services.database.run(record)


async def _last(world: World, action: str) -> dict[str, Any]:
    async with world.client("admin") as client:
        found = (await client.get("/api/v1/events", params={"action": action, "limit": 1})).json()
    return dict(found[0])


async def test_an_event_says_by_which_door_address_and_token_it_came(world: World) -> None:
    async with world.client("owner") as client:
        set_ = await client.put("/api/v1/projects/shop/members/dev", json={"role": "viewer"})
    assert set_.status_code == 200, set_.text
    entry = await _last(world, "project:SetMember")
    assert entry["origin"] == "api 127.0.0.1 token test"
    assert (entry["before"], entry["after"]) == ({"role": "developer"}, {"role": "viewer"})


async def test_a_session_and_a_sign_in_are_told_apart_from_a_token(world: World) -> None:
    access = world.services.access
    principal = await access.authenticate_token(world.tokens["admin"])
    session, secret = await access.open_session(principal)
    async with world.client() as client:
        client.cookies.set(SESSION_COOKIE, secret)
        headers = {CSRF_HEADER: session.csrf_token}
        made = await client.post("/api/v1/users", json={"name": "mia"}, headers=headers)
        assert made.status_code == 201, made.text
        wrong = await client.post("/api/v1/login", json={"user": "mia", "password": "wrong"})
        assert wrong.status_code == 401
    entry = await _last(world, "access:CreateUser")
    assert entry["origin"] == "api 127.0.0.1 session"
    assert (entry["before"], entry["after"]) == (None, {"is_admin": False, "has_password": False})
    assert (await _last(world, "access:SignInFailed"))["origin"] == "api 127.0.0.1"


async def test_what_comes_next_in_the_same_task_has_no_origin_of_a_request(world: World) -> None:
    async with world.client("owner") as client:
        await client.put("/api/v1/projects/shop/members/dev", json={"role": "viewer"})
    await _record(world, action="x:Own")
    assert (await _last(world, "x:Own"))["origin"] == "halage"


async def test_git_comes_from_git(world: World) -> None:
    class Door:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await _record(world, action="x:Pushed")
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    for route in world.app.routes:
        if getattr(route, "path", "") == "/git":
            route.app = Door()  # type: ignore[attr-defined]
    async with world.client() as client:
        await client.get("/git/shop.git/info/refs")
    assert (await _last(world, "x:Pushed"))["origin"] == "git 127.0.0.1"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("environment=prod", {"a"}),
        ("subject=project/shop/*", {"a", "b"}),
        ("origin=halage", {"a", "b", "c"}),
        ("origin=api", set()),
        ("text=needle", {"b"}),
        ("text=NEEDLE&subject=*run*", {"b"}),
        ("text=hay&environment=prod", set()),
        ("project=shop&action=*y", {"a", "b", "c"}),
    ],
)
async def test_events_are_chosen_by_place_origin_and_text(
    world: World, query: str, expected: set[str]
) -> None:
    await _record(world, actor="a", subject="project/shop/environment/prod")
    await _record(world, actor="b", subject="project/shop/run/1", before={"title": "needle"}, hay="hay")
    await _record(world, actor="c", subject="project/shop")
    await _record(world, actor="d", subject="project/hidden/environment/prod", project="hidden")
    async with world.client("viewer") as client:
        found = await client.get(f"/api/v1/events?{query}")
    assert found.status_code == 200, found.text
    # What made the small world itself is there, too.
    assert {each["actor"] for each in found.json()} - {"admin", "halage"} == expected


async def test_a_stream_sends_only_what_was_chosen(world: World) -> None:
    async with asyncio.timeout(10), Tasks() as tasks:
        listener = Listener(world, "/events/stream?environment=prod&text=needle", last_id="0")
        tasks.start(listener.listen(), "listener")
        for number, subject in enumerate(("project/shop", "project/shop/environment/prod")):
            await _record(world, subject=subject, needle=number)
            await _record(world, subject=subject)
        (event,) = await listener.until(1)
        listener.leave()
    assert event[1]["details"] == {"needle": 1}
    assert len(listener.events) == 1


async def test_everybody_sees_what_they_did_themselves_and_administrators_everything(world: World) -> None:
    for actor in ("viewer", "dev"):
        await _record(world, actor=actor, action="access:SetPassword", project=None)

    async def seen_by(user: str) -> list[str]:
        async with world.client(user) as client:
            found = await client.get("/api/v1/events?action=access:SetPassword")
            exported = await client.get(f"{EXPORT}?action=access:SetPassword")
        assert [json.loads(line)["actor"] for line in exported.text.splitlines()] == [
            each["actor"] for each in found.json()
        ]
        return [each["actor"] for each in found.json()]

    assert await seen_by("viewer") == ["viewer"]
    assert await seen_by("dev") == ["dev"]
    assert await seen_by("owner") == []
    assert await seen_by("admin") == ["viewer", "dev"]


async def test_an_export_has_all_of_them_in_order_as_json_lines(world: World) -> None:
    def many(tx: Transaction) -> None:
        for number in range(1200):
            tx.record("x:Many", actor="ada", subject="thing", project="shop", number=number)

    await world.services.database.run(many)
    async with world.client("viewer") as client:
        answer = await client.get(f"{EXPORT}?action=x:Many")
        listed = await client.get("/api/v1/events?action=x:Many&limit=1")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert answer.headers["content-disposition"] == 'attachment; filename="halage-events.jsonl"'
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["details"]["number"] for line in lines] == list(range(1200))
    assert lines[-1] == listed.json()[0], "a line is what the API answers"


async def test_a_spreadsheet_takes_nothing_of_an_export_for_a_formula(world: World) -> None:
    evil = '=HYPERLINK("http://evil.example","x")'
    await _record(world, actor=evil, action="+x", subject="-1+1", before={"=a": "=b"}, note='a "b", c\nd')
    await _record(world, actor="@sum", action="\tx", subject="plain")
    async with world.client("viewer") as client:
        answer = await client.get(f"{EXPORT}?format=csv&project=shop")
    assert answer.headers["content-type"].startswith("text/csv")
    *_, first, second = list(csv.DictReader(io.StringIO(answer.text)))
    assert (first["actor"], first["action"], first["subject"]) == (f"'{evil}", "'+x", "'-1+1")
    assert json.loads(first["before"]) == {"=a": "=b"} and first["after"] == ""
    assert json.loads(first["details"]) == {"note": 'a "b", c\nd'}
    assert (second["actor"], second["action"], second["origin"]) == ("'@sum", "'\tx", "halage")
    for row in csv.reader(io.StringIO(answer.text)):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


async def test_an_export_of_what_one_may_not_see_is_refused(world: World) -> None:
    async with world.client("viewer") as client:
        assert (await client.get(f"{EXPORT}?project=hidden")).status_code == 404
        assert (await client.get(f"{EXPORT}?format=xml")).status_code == 422
    async with world.client() as client:
        assert (await client.get(EXPORT)).status_code == 401


@pytest.mark.parametrize("how", ["stop", "token"])
async def test_an_export_is_cut_off_rather_than_left_half(world: World, how: str) -> None:
    """Once the server stops, or the token was revoked, no client takes what came for all of it."""

    def many(tx: Transaction) -> None:
        for _ in range(3 * PAGE):
            tx.record("x:Many", actor="ada", subject="thing", project="shop")

    await world.services.database.run(many)
    listener = Listener(world, "/events/export")
    listener.interrupt(how)
    with pytest.raises(BrokenOff):
        await listener.listen()
    assert 0 < listener.text.count("\n") < 3 * PAGE


async def test_scaling_asks_for_a_number_or_for_none_in_so_many_words(world: World) -> None:
    address = "/api/v1/projects/shop/environments/prod/scale"
    async with world.client("dev") as client:
        up = await client.post(address, json={"instances": 3})
        reset = await client.post(address, json={"instances": None})
        wrong = [
            await client.post(address, json=body) for body in ({}, {"instances": -1}, {"instances": "3"})
        ]
        over = await client.post(address, json={"instances": 101})
    assert (up.status_code, up.json()["scaled"], reset.json()["scaled"]) == (202, 3, None)
    assert [answer.status_code for answer in (*wrong, over)] == [422] * 4
    assert world.environments.calls == [
        ("scale", "shop", "prod", 3, "dev"),
        ("scale", "shop", "prod", None, "dev"),
    ]
